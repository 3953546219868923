"""Signed commands: Ed25519 (RFC 8032) over the exact text of a command, with the keys that an uplink trusts.

`cryptography` is an extra (`pip install 'sitewarden[signatures]'`), imported only where a key is configured or made.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

KEY_BYTES, SIGNATURE_BYTES = 32, 64
INSTALL = "install it into the environment of sitewarden: pip install 'sitewarden[signatures]'"

_HEX = re.compile(r"[0-9a-fA-F]{64}")
_PEM = re.compile(r"-----BEGIN PUBLIC KEY-----(.*)-----END PUBLIC KEY-----", re.DOTALL)
_SPKI = bytes.fromhex("302a300506032b6570032100")
"""What stands before the 32 bytes of an Ed25519 key in a SubjectPublicKeyInfo. Source: RFC 8410, 4 and 10.1."""


def public_key(written: str) -> bytes:
    """The 32 bytes of a public key written as base64, in hex, or as PEM; ValueError where it is none."""
    text = "".join(written.split())
    if _HEX.fullmatch(text):
        return bytes.fromhex(text)
    pem = _PEM.search(written)
    key = _decoded("".join(pem[1].split()) if pem else text)
    if pem is not None and key.startswith(_SPKI):
        key = key.removeprefix(_SPKI)
    if len(key) != KEY_BYTES:
        raise ValueError("no Ed25519 public key: 32 bytes as base64, in hex, or as PEM")
    return key


def signature(written: str) -> bytes:
    """The 64 bytes of a signature written as base64; ValueError where it is none."""
    found = _decoded(written)
    if len(found) != SIGNATURE_BYTES:
        raise ValueError("no Ed25519 signature: 64 bytes as base64")
    return found


def key_id(key: bytes) -> str:
    """What a public key is called where it is named."""
    return sha256(key).hexdigest()[:16]


def missing() -> str:
    """Why signatures cannot be checked on this machine; "" if they can."""
    try:
        _public(bytes(KEY_BYTES))
    except ImportError as error:
        return f"{error.name or 'cryptography'} is not installed, or not usable: {error}"[:200]
    return ""


class Keys:
    """The public keys that an uplink trusts; ImportError without the library, ValueError where one is no key."""

    def __init__(self, written: Iterable[str]) -> None:
        raw = [public_key(each) for each in written]
        self._keys: Sequence[tuple[str, Ed25519PublicKey]] = [(key_id(key), _public(key)) for key in raw]

    def signer(self, text: bytes, signed: bytes) -> str:
        """The id of the key that has signed `text`; "" if none has."""
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - an extra

        for name, key in self._keys:
            try:
                key.verify(signed, text)
            except InvalidSignature:
                continue
            return name
        return ""


def new_key() -> tuple[bytes, str]:
    """A new pair: the private key as PEM (PKCS 8, not encrypted), and the public one as base64."""
    from cryptography.hazmat.primitives import serialization as form  # noqa: PLC0415 - an extra
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415 - an extra

    private: Ed25519PrivateKey = Ed25519PrivateKey.generate()
    pem = private.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
    return pem, base64.b64encode(private.public_key().public_bytes_raw()).decode("ascii")


def _public(key: bytes) -> Ed25519PublicKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey as Public  # noqa: PLC0415 - an extra

    return Public.from_public_bytes(key)


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("not base64") from error
