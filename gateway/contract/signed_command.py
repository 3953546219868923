"""An example of the other end: a command, signed. Python 3 and `pip install cryptography`; prints what to publish.

    openssl genpkey -algorithm ed25519 -out platform.pem      # or: sitewarden command-key platform.pem
    openssl pkey -in platform.pem -pubout                     # goes into the gateway's configuration: command_key
    python3 signed_command.py platform.pem dc3/gw1 maria reload
    python3 signed_command.py platform.pem dc3/gw1 maria set_output '{"output": "lamp", "value": "on", ...}'

What is signed is the text, byte for byte, and it travels as that text: nothing is parsed and put together again.
"""

from __future__ import annotations

import base64
import json
import sys
import time
import uuid
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key


def signed_command(key: Ed25519PrivateKey, gateway: str, command: dict[str, object], counter: int) -> bytes:
    """The payload for `command`; `gateway` is site/gateway, `counter` greater than in any command before."""
    text = json.dumps({**command, "gateway": gateway, "counter": counter}, ensure_ascii=False)
    signature = base64.b64encode(key.sign(text.encode())).decode("ascii")
    return json.dumps({"signed": text, "signature": signature}, ensure_ascii=False).encode()


def main() -> None:
    """Sign what the command line asks for."""
    file, gateway, issuer, name, *args = sys.argv[1:]
    key = load_pem_private_key(Path(file).read_bytes(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        sys.exit(f"{file} holds no Ed25519 key")
    now_ms = time.time_ns() // 1_000_000
    command: dict[str, object] = {
        "id": uuid.uuid4().hex,
        "name": name,
        "args": json.loads(args[0]) if args else {},
        "issuer": issuer,
        "expires": now_ms + 60_000,
    }
    payload = signed_command(key, gateway, command, counter=now_ms)  # the time in ms only ever grows
    sys.stdout.write(payload.decode() + "\n")


if __name__ == "__main__":
    main()
