"""Who asks over the control socket: the name that is given, and beside it the user whom the kernel knows.

Anyone who may open the socket can give any name; whose process it is cannot be made up.
"""

from __future__ import annotations

import pwd
import socket
import struct

from gateway.errors import SitewardenError
from gateway.untrusted import MAX_ISSUER, is_issuer

_CREDENTIALS = struct.Struct("3i")  # struct ucred: process, user, group; unix(7), SO_PEERCRED


def caller(client: socket.socket, given: object) -> str:
    """As records name who asks: `ada`, or `Ada (user ada)`; SitewardenError where the name given is none."""
    if not is_issuer(given):
        raise SitewardenError(f"the name must be 1 to {MAX_ISSUER} printable characters", "give another: --by NAME")
    credentials = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, uid, _ = _CREDENTIALS.unpack(credentials)
    user = _name_of(uid)
    return given if given == user else f"{given} (user {user})"


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:  # a user of another machine, or of a container
        return str(uid)
