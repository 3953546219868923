"""The daemon with somebody at its simulated pins: `pinned.py FD run CONFIG ...` is `sitewarden run CONFIG ...`.

Over the socket FD come lines. `close` and `open` move the smoke detector's contact, which is answered with the
monotonic time of that; `siren` is answered with the level that the siren's pin took since and the seconds until then,
in JSON, or null while it has not changed.
"""

from __future__ import annotations

import ctypes
import json
import socket
import sys
import threading
import time

from gateway.cli import main
from gateway.links.gpio import mock_pin

CONTACT, SIREN = 17, 22

_LET_BE_TRACED, _BY_ANYONE = 0x59616D61, ctypes.c_ulong(-1)
"""Of prctl, for machines where only a parent may: who makes syncs fail is none. Source: prctl(2), PR_SET_PTRACER."""


def attend(door: socket.socket) -> None:
    """Until the other end hangs up."""
    contact, siren = mock_pin(CONTACT), mock_pin(SIREN)
    with door, door.makefile("rw", encoding="ascii") as lines:
        for line in lines:
            if line == "siren\n":
                changed = siren.states[1:2]
                answer = json.dumps([changed[0].timestamp, changed[0].state] if changed else None)
            else:
                siren.clear_states()
                at = time.monotonic()
                contact.wire(high=line == "open\n")  # the pull-up holds it as long as the contact is open
                answer = repr(at)
            lines.write(f"{answer}\n")
            lines.flush()


if __name__ == "__main__":
    ctypes.CDLL(None).prctl(_LET_BE_TRACED, _BY_ANYONE, 0, 0, 0)
    mock_pin(CONTACT).wire(high=True)
    threading.Thread(target=attend, args=(socket.socket(fileno=int(sys.argv[1])),), daemon=True).start()
    sys.exit(main(sys.argv[2:]))
