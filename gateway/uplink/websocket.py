"""A websocket as a stream of bytes that looks like a socket. Source: RFC 6455; MQTT 5.0, 6.

paho's own websocket is not used: it keeps a frame in memory until its end, however long the peer says it is; reads
the reply to its request line by line without bounds and never looks at the status, so that a wrong path and a broker
that is away look alike; answers pings with frames that RFC 6455 5.1 tells servers to hang up on; drops a packet that
the socket does not take at once; and takes 3.4 ms to mask 60 kB (here: 0.07 ms, measured on one machine).

- Nothing is kept beyond one read of the socket: a frame's payload is handed on as it comes, whatever length it claims.
- What a peer must not send (masked, text, reserved, oversized control frames) ends the connection: `broken` is true.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import socket
import ssl
import struct
from contextlib import suppress

from gateway.uplink import faults, webfaults
from gateway.uplink.address import PORTS, Endpoint
from gateway.uplink.faults import DialError
from gateway.uplink.httphead import Head, read_head

READ = 16_384
"""Bytes of one read: a TLS record."""

MAX_CONTROL = 125
"""Bytes of a control frame's payload, at most. Source: RFC 6455, 5.5."""

_CONTINUATION, _BINARY, _CLOSE, _PING, _PONG = 0x0, 0x2, 0x8, 0x9, 0xA
_KEY_SUFFIX = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_WAIT = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


def upgraded(sock: socket.socket, where: Endpoint, by: float) -> WebSocket:
    """The websocket of `where` on `sock`, asked for and granted; DialError, or OSError, if it is not until `by`."""
    key = base64.b64encode(secrets.token_bytes(16))
    host = where.authority.removesuffix(f":{PORTS['wss']}")  # as browsers do: not every server knows itself otherwise
    request = (
        f"GET {where.path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key.decode()}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n"
    )
    try:
        sock.sendall(request.encode())
        head = read_head(sock, by)
    except ValueError as error:
        raise DialError(webfaults.not_http(where)) from error
    except (ConnectionResetError, BrokenPipeError) as error:
        raise DialError(faults.closed(where, was_up=False)) from error
    if not _is_granted(head, key):
        raise DialError(webfaults.no_websocket(where, head.status))
    return WebSocket(sock, head.rest)


def _is_granted(head: Head, key: bytes) -> bool:
    proof = base64.b64encode(hashlib.sha1(key + _KEY_SUFFIX).digest())  # noqa: S324 - RFC 6455 asks for it; no secret
    return (
        head.status == webfaults.SWITCHING
        and head.headers.get("upgrade", "").lower() == "websocket"
        and head.headers.get("sec-websocket-accept", "") == proof.decode()
        and head.headers.get("sec-websocket-protocol", "mqtt") == "mqtt"
    )


class WebSocket:
    """The client's end of a websocket on `sock`, of which `received` came already. Not blocking, as paho wants it."""

    def __init__(self, sock: socket.socket, received: bytes = b"") -> None:
        self.broken = False
        self._socket = sock
        self._in = bytearray(received)
        self._left = 0  # bytes of the present data frame that have not come yet
        self._ended = False
        self._out = bytearray()
        self._owed = 0  # bytes of the caller's that are in _out, and that no `send` has returned yet

    def recv(self, most: int) -> bytes:
        """Payload, `most` bytes of it; b"" at the end, BlockingIOError if none is there."""
        if not self._deliverable() and not self._ended and not self.broken:
            data = self._socket.recv(READ)
            self._ended = not data
            self._in += data
        count = min(most, self._deliverable())
        if self.broken:
            raise ConnectionAbortedError
        if not count and not self._ended:
            raise BlockingIOError
        got = bytes(self._in[:count])
        del self._in[:count]
        self._left -= count
        return got

    def pending(self) -> int:
        """Bytes that `recv` can give although nothing new comes on the socket."""
        waiting = self._socket.pending() if isinstance(self._socket, ssl.SSLSocket) else 0
        return self._deliverable() or waiting

    def _deliverable(self) -> int:
        """Payload among what was read; headers and control frames before it are taken out."""
        while not self._left and not self._ended and not self.broken and self._take_header():
            pass
        return min(self._left, len(self._in))

    def _take_header(self) -> bool:
        """Take out a data frame's header or a whole control frame; False if it has not come whole."""
        if len(self._in) < 2:
            return False
        first, second = self._in[:2]
        opcode, length = first & 0x0F, second & 0x7F
        extra = {126: 2, 127: 8}.get(length, 0)
        start = 2 + extra
        self.broken = bool(first & 0x70 or second & 0x80)
        if opcode in {_CONTINUATION, _BINARY}:
            if len(self._in) < start:
                return False
            if extra:
                (length,) = struct.unpack("!H" if extra == 2 else "!Q", self._in[2:start])
            self._left = 0 if self.broken else length
        elif opcode in {_CLOSE, _PING, _PONG} and length <= MAX_CONTROL and first & 0x80:
            if len(self._in) < start + length:
                return False
            self._control(opcode, bytes(self._in[start : start + length]))
            start += length
        else:
            self.broken = True
        del self._in[:start]
        return True

    def _control(self, opcode: int, payload: bytes) -> None:
        self._ended = opcode == _CLOSE
        if opcode != _PONG and len(self._out) < READ:  # whoever asks without reading the answers gets no more of them
            self._out += _frame(_PONG if opcode == _PING else _CLOSE, payload)
            with suppress(OSError):
                self.flush()

    def send(self, data: bytes | bytearray) -> int:
        """Send `data` as one frame; BlockingIOError until all of it has left, so that the same data is given again."""
        if not self._owed:
            self._out += _frame(_BINARY, bytes(data))
            self._owed = len(data)
        self.flush()
        if self._out:
            raise BlockingIOError
        sent, self._owed = self._owed, 0
        return sent

    @property
    def wants_write(self) -> bool:
        """Whether bytes wait to be written."""
        return bool(self._out)

    def flush(self) -> None:
        """Write what waits, as far as the socket takes it. An OSError is the end of reading, too."""
        try:
            while self._out:
                del self._out[: self._socket.send(self._out)]
        except _WAIT:
            pass
        except OSError:
            self._ended = True
            raise

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def fileno(self) -> int:
        """The socket's number."""
        return self._socket.fileno()

    def setblocking(self, flag: bool) -> None:
        """Only False makes sense here."""
        self._socket.setblocking(flag)


def _frame(opcode: int, payload: bytes) -> bytes:
    """A whole frame, masked as a client has to. Source: RFC 6455, 5.2 and 5.3."""
    length = len(payload)
    if length <= MAX_CONTROL:
        head = bytes((0x80 | opcode, 0x80 | length))
    elif length < 0x10000:
        head = struct.pack("!BBH", 0x80 | opcode, 0x80 | 126, length)
    else:
        head = struct.pack("!BBQ", 0x80 | opcode, 0x80 | 127, length)
    mask = secrets.token_bytes(4)
    spread = (mask * (length // 4 + 1))[:length]
    masked = int.from_bytes(payload, "little") ^ int.from_bytes(spread, "little")
    return head + mask + masked.to_bytes(length, "little")
