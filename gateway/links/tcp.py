"""TCP peers: a Modbus TCP device or gateway, or a serial server that passes bytes through.

- A peer that closes an idle Modbus connection (many do, after a minute), or that has forgotten it, has not gone: the
  next exchange connects again, and only when that fails is the link down.
- A connection whose peer has vanished without a word is noticed by what it does not acknowledge, or by keepalive. A
  request that is not acknowledged when its reply is due ends it at once, so that the next one connects again.
"""

from __future__ import annotations

import fcntl
import socket
import termios
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from gateway.config import schema
from gateway.driver import Family, Heard, Registers, Stream
from gateway.errors import LinkDown
from gateway.links.foresight import Foresight
from gateway.links.port import Pace, Tap, Wire

if TYPE_CHECKING:
    from gateway.links.modbus import Exchange

_UNACKNOWLEDGED_MS = 5_000  # what was sent and is not acknowledged for so long ends the connection
_ACKNOWLEDGES_S = 0.5  # a peer that lives has acknowledged by then: stacks put it off for 0.25 s at most
_IDLE_S, _PROBE_S, _PROBES = 30, 5, 3  # an idle connection is probed, and given up after 45 s
_GONE = "the peer closed the connection or is unreachable: check its power, the network and how many clients it takes"


class TcpPeer:
    """A TCP connection as a link; a port for Modbus exchanges too."""

    def __init__(self, name: str, peer: schema.TcpLink) -> None:
        self._name = f"{name} ({peer.host}:{peer.port})"
        self._peer = peer
        self._socket: socket.socket | None = None
        self._wire = Wire(self._name, _GONE)
        self.write, self.noise = self._wire.write, self._wire.noise
        self._asks = True  # Modbus: the peer speaks only when asked
        self._line: Exchange | None = None  # behind a serial server: its line outlives the connection

    @property
    def noise_bytes(self) -> int:
        """Bytes so far that belonged to no reply."""
        return self._wire.noise_bytes

    @property
    def watched(self) -> tuple[int, int]:
        """The file descriptors of the connection and of `wake`, for a thread that watches several; -1: not there."""
        return self._wire.watched

    @property
    def last(self) -> float:
        """Monotonic seconds of the last byte in or out."""
        return self._wire.last

    def open(self) -> None:
        """Connect; raises LinkDown."""
        peer = self._peer
        try:
            connection = socket.create_connection((peer.host, peer.port), timeout=peer.timeout)
        except OSError as error:
            raise _unreachable(self._name, error) from error
        self._socket = connection
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _IDLE_S)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _PROBE_S)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _PROBES)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNACKNOWLEDGED_MS)
        self._wire.attach(connection.fileno())

    def close(self) -> None:
        """Close the connection."""
        self._wire.detach()
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def offer(self, family: Family) -> Registers | Stream:
        """Registers behind Modbus TCP or RTU, or the bytes as they come."""
        if family is Family.REGISTERS:
            from gateway.links.modbus import Exchange  # noqa: PLC0415 - pymodbus costs 30 ms: only where it is used

            pace = Pace(timeout_s=self._peer.timeout)
            if self._peer.framing == "tcp":
                return Foresight(Exchange(self, "tcp", pace))
            self._line = self._line or Exchange(self, "rtu", pace)
            return self._line
        self._asks = False
        self._wire.listen()
        return self._wire

    def wait(self, until: float) -> Sequence[Heard]:
        """What the peer said by itself."""
        try:
            data = self._wire.wait(until)
        except LinkDown:
            if not self._asks:
                raise
            self.close()
            return ()
        return (Heard(data, time.monotonic()),) if data else ()

    def wake(self) -> None:
        """Make `wait` return; from any thread."""
        self._wire.wake()

    def tap(self, tap: Tap | None) -> None:
        """Tell `tap` of everything that passes from now on; None: nobody."""
        self._wire.tap = tap

    def prepare(self) -> None:
        """Make ready for a request: connect again where the idle peer has closed; raises LinkDown."""
        if self._socket is not None:
            self.wait(0.0)
        if self._socket is None:
            self.open()

    def receive(self, until: float) -> bytes:
        """What has arrived, waiting for it until `until`; empty only when nothing came by then. Raises LinkDown."""
        data = self._wire.receive(until)
        if not data and until >= self._wire.last + _ACKNOWLEDGES_S and self._is_unheard():
            raise LinkDown(f"{self._name}: the peer does not acknowledge what is sent", _GONE)
        return data

    def _is_unheard(self) -> bool:
        """Whether something that was sent has not been acknowledged yet."""
        waiting = fcntl.ioctl(self._wire.watched[0], termios.TIOCOUTQ, bytes(4))  # SIOCOUTQ, of a socket
        return any(waiting)

    def renew(self) -> bool:
        """Close the connection, which has ended; `prepare` connects again."""
        self.close()
        return True


def _unreachable(name: str, error: OSError) -> LinkDown:
    """Why the peer cannot be reached, and what to do about it."""
    if isinstance(error, socket.gaierror):
        return LinkDown(f"{name}: this host name is not known", "check `host` and the gateway's DNS")
    if isinstance(error, ConnectionRefusedError):
        return LinkDown(f"{name}: the connection was refused", "the host runs: check `port`, and its Modbus service")
    if isinstance(error, TimeoutError):
        return LinkDown(f"{name}: no answer", "check the address, power and network cable of the peer")
    what = error.strerror or str(error)
    return LinkDown(f"{name}: {what}", "check the gateway's own network and the address of the peer")
