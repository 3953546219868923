"""The head of an HTTP reply, which a proxy and a websocket begin with: bounded in bytes and in time.

The standard library's client reads ahead into a buffer of its own, where the bytes after the head would be lost.
"""

from __future__ import annotations

import re
import socket
import time
from typing import NamedTuple

MAX_HEAD = 16_384
"""Bytes of a head, at most."""

_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9][0-9])(?: |$)")


class Head(NamedTuple):
    """The status, the headers by their names in small letters, and the bytes that came behind the head."""

    status: int
    headers: dict[str, str]
    rest: bytes


def read_head(sock: socket.socket, by: float) -> Head:
    """The head that comes on `sock`; ValueError if it is none, TimeoutError after `by` (monotonic), OSError."""
    data = bytearray()
    while (end := data.find(b"\r\n\r\n")) < 0:
        if len(data) > MAX_HEAD:
            raise ValueError("a head without an end")
        sock.settimeout(max(0.001, by - time.monotonic()))
        more = sock.recv(4096)
        if not more:
            raise ConnectionResetError
        data += more
        if not data.startswith(b"HTTP/1."[: len(data)]):
            raise ValueError("not HTTP")
    first, *lines = bytes(data[:end]).split(b"\r\n")
    status = _STATUS.match(first)
    if status is None:
        raise ValueError("no status")
    fields = (line.decode("latin-1").partition(":") for line in lines)
    return Head(int(status[1]), {name.lower(): value.strip() for name, _, value in fields}, bytes(data[end + 4 :]))
