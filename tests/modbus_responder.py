"""Modbus devices that misbehave on request: raw bytes on a pseudo-terminal or a socket, no library.

Every register and bit has a value that only it has, so that a reply to another request cannot pass for a right one.
"""

from __future__ import annotations

import os
import pty
import select
import socket
import threading
import time
import tty
from collections import deque
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Self, TypeAlias

Script: TypeAlias = list[tuple[float, bytes]]
"""What is sent, each after so many seconds since the request."""

HANG_UP, FORGET = b"", b"forgotten"
"""Sent by nobody: what stands for an end of the connection in a script."""

Fault: TypeAlias = Callable[[bytes, bytes], Script]
"""From the request and the right reply (both whole frames) to what is sent instead."""


def crc(data: bytes) -> bytes:
    value = 0xFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ 0xA001 if value & 1 else value >> 1
    return value.to_bytes(2, "little")


def rtu(unit: int, pdu: bytes) -> bytes:
    body = bytes((unit,)) + pdu
    return body + crc(body)


def mbap(transaction: int, unit: int, pdu: bytes, protocol: int = 0) -> bytes:
    head = transaction.to_bytes(2) + protocol.to_bytes(2) + (len(pdu) + 1).to_bytes(2)
    return head + bytes((unit,)) + pdu


def value_of(unit: int, function: int, address: int) -> int:
    """A register's or a bit's own value."""
    if function in {1, 2}:
        return (address * 5 + unit + function) % 3 % 2
    return (unit * 20011 + function * 4001 + address * 13) & 0xFFFF


def values_of(unit: int, function: int, address: int, count: int) -> list[int]:
    return [value_of(unit, function, address + i) for i in range(count)]


def answer(unit: int, pdu: bytes) -> bytes:
    """The PDU that a device with all registers gives."""
    function, address, count = pdu[0], int.from_bytes(pdu[1:3]), int.from_bytes(pdu[3:5])
    if function in {1, 2}:
        bits = values_of(unit, function, address, count)
        packed = sum(bit << i for i, bit in enumerate(bits)).to_bytes((count + 7) // 8, "little")
        return bytes((function, len(packed))) + packed
    if function in {3, 4}:
        registers = b"".join(value.to_bytes(2) for value in values_of(unit, function, address, count))
        return bytes((function, len(registers))) + registers
    return pdu[:5]


# ---------------------------------------------------------------- faults


def right(_: bytes, reply: bytes) -> Script:
    return [(0.0, reply)]


def silent(_: bytes, __: bytes) -> Script:
    return []


def late(seconds: float) -> Fault:
    return lambda _, reply: [(seconds, reply)]


def instead(frame: bytes) -> Fault:
    return lambda _, __: [(0.0, frame)]


def pieces(size: int, pause_s: float) -> Fault:
    def split(_: bytes, reply: bytes) -> Script:
        return [(i * pause_s, reply[i * size : (i + 1) * size]) for i in range(-(-len(reply) // size))]

    return split


def before(noise: bytes) -> Fault:
    return lambda _, reply: [(0.0, noise + reply)]


def after(noise: bytes) -> Fault:
    return lambda _, reply: [(0.0, reply + noise)]


def half(_: bytes, reply: bytes) -> Script:
    return [(0.0, reply[: len(reply) // 2])]


def bad_crc(_: bytes, reply: bytes) -> Script:
    return [(0.0, reply[:-1] + bytes((reply[-1] ^ 0x55,)))]


def echo(request: bytes, reply: bytes) -> Script:
    return [(0.0, request + reply)]


def slow_echo(delay_s: float) -> Fault:
    return lambda request, reply: [(0.0, request), (delay_s, reply)]


def only_echo(request: bytes, _: bytes) -> Script:
    return [(0.0, request)]


def exception(code: int) -> Fault:
    return lambda request, _: [(0.0, rtu(request[0], bytes((request[1] | 0x80, code))))]


def about(addresses: Collection[int], fault: Fault) -> Fault:
    """The fault on every RTU request for one of these addresses, and nothing on the others."""

    def act(request: bytes, reply: bytes) -> Script:
        first, count = int.from_bytes(request[2:4]), int.from_bytes(request[4:6])
        return (fault if set(addresses) & set(range(first, first + count)) else right)(request, reply)

    return act


STILL_ON_THE_LINE_S = 0.05


def hang_up(_: bytes, reply: bytes) -> Script:
    """Close the connection under a request; on TCP. The reply goes to whoever is connected when it comes."""
    return [(0.0, HANG_UP), (STILL_ON_THE_LINE_S, reply)]


def forget(_: bytes, reply: bytes) -> Script:
    """Refuse the connection, like a peer that was restarted and knows nothing of it; on TCP. The reply still comes."""
    return [(0.0, FORGET), (STILL_ON_THE_LINE_S, reply)]


# ---------------------------------------------------------------- devices


class Devices:
    """All units on one wire. `then` says what becomes of the next requests; after that, every reply is right.

    `deaf` units never answer; `always` says what becomes of every reply of a unit. `asked` holds every request with the
    time (monotonic s) at which it was complete, `sent` when something was sent, on a busy machine later than meant.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[float, bytes]] = []
        self.sent: list[float] = []
        self.deaf: set[int] = set()
        self.always: dict[int, Fault] = {}
        self._faults: deque[Fault] = deque()
        self._due: list[tuple[float, bytes]] = []
        self._seen = b""
        self._fd = -1
        self._orders: SimpleQueue[tuple[Callable[[], None] | None, threading.Event]] = SimpleQueue()
        self._bell_r, self._bell_w = os.pipe()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def then(self, *faults: Fault) -> None:
        self._faults.extend(faults)

    def __enter__(self) -> Self:
        self.plug()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._order(None)
        self._thread.join(5)
        self.unplug()
        os.close(self._bell_r)
        os.close(self._bell_w)

    def do(self, act: Callable[[], None]) -> None:
        """Have `act` (plug, unplug, hang_up) done between two requests; returns when it is done."""
        assert self._order(act).wait(5), "the devices do not react"

    def _order(self, act: Callable[[], None] | None) -> threading.Event:
        done = threading.Event()
        self._orders.put((act, done))
        os.write(self._bell_w, b"x")
        return done

    def plug(self) -> None:
        raise NotImplementedError

    def unplug(self) -> None:
        raise NotImplementedError

    def split(self, seen: bytes) -> tuple[bytes, bytes]:
        """The first whole request and the rest."""
        raise NotImplementedError

    def reply(self, request: bytes) -> tuple[int, bytes]:
        """The unit asked, and the right reply."""
        raise NotImplementedError

    def send(self, data: bytes) -> None:
        os.write(self._fd, data)

    def receive(self) -> bytes:
        return os.read(self._fd, 4096)

    def _run(self) -> None:
        while True:
            now = time.monotonic()
            for item in sorted(item for item in self._due if item[0] <= now):
                self._due.remove(item)
                with suppress(OSError):
                    self.send(item[1])
                self.sent.append(time.monotonic())
            timeout = min((at for at, _ in self._due), default=now + 0.05) - time.monotonic()
            waiting = [self._bell_r] + ([self._fd] if self._fd >= 0 else [])
            ready = select.select(waiting, [], [], max(0.0, min(timeout, 0.05)))[0]
            if self._bell_r in ready:
                os.read(self._bell_r, 1)
                act, done = self._orders.get()
                if act is None:
                    return
                act()
                done.set()
            elif ready:
                self._take()

    def _take(self) -> None:
        try:
            self._seen += self.receive()
        except OSError:
            self._seen = b""
            return
        request, self._seen = self.split(self._seen)
        while request:
            now = time.monotonic()
            unit, reply = self.reply(request)
            fault = self.always.get(unit, right)
            if unit in self.deaf:
                fault = silent
            elif self._faults:
                fault = self._faults.popleft()
            self._due += [(now + delay, data) for delay, data in fault(request, reply)]
            self.asked.append((now, request))
            request, self._seen = self.split(self._seen)


def split_rtu(seen: bytes) -> tuple[bytes, bytes]:
    """The first whole request and the rest: 8 bytes, or as many as a request to write several announces."""
    size = 8 if len(seen) < 8 or seen[1] < 15 else 9 + seen[6]
    return (seen[:size], seen[size:]) if len(seen) >= size else (b"", seen)


class RtuDevices(Devices):
    """Units on an RS-485 bus: a pseudo-terminal whose name is the link `path`."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.path = folder / "ttyUSB0"
        self._slave = -1

    def plug(self) -> None:
        master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        self.path.unlink(missing_ok=True)
        self.path.symlink_to(os.ttyname(self._slave))
        self._fd = master

    def unplug(self) -> None:
        master, self._fd = self._fd, -1
        if master >= 0:
            os.close(master)
            os.close(self._slave)
        self.path.unlink(missing_ok=True)

    def split(self, seen: bytes) -> tuple[bytes, bytes]:
        return split_rtu(seen)

    def reply(self, request: bytes) -> tuple[int, bytes]:
        assert crc(request[:-2]) == request[-2:], "the request has a wrong checksum"
        return request[0], rtu(request[0], answer(request[0], request[1:-2]))


class TcpDevices(Devices):
    """A Modbus TCP device on a port of the loopback interface; one connection at a time."""

    def __init__(self, *, framed_as_rtu: bool = False) -> None:
        super().__init__()
        self.port = 0
        self.connections = 0
        self._framed_as_rtu = framed_as_rtu
        self._listener: socket.socket | None = None
        self._connection: socket.socket | None = None

    def plug(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        self._fd = self._listener.fileno()

    def unplug(self) -> None:
        self.hang_up()
        self._fd = -1
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    def hang_up(self, *, rudely: bool = False) -> None:
        """Close the connection, as a server does that has waited too long."""
        connection, self._connection = self._connection, None
        if connection is not None and self._listener is not None:
            self._fd = self._listener.fileno()
        if connection is not None:
            if rudely:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            connection.close()

    def send(self, data: bytes) -> None:
        if data in {HANG_UP, FORGET}:
            self.hang_up(rudely=data == FORGET)
        elif self._connection is not None:
            self._connection.sendall(data)

    def receive(self) -> bytes:
        if self._connection is None:
            assert self._listener is not None
            self._connection = self._listener.accept()[0]
            self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._fd = self._connection.fileno()
            self._seen = b""
            self.connections += 1
            return b""
        data = self._connection.recv(4096)
        if not data:
            self.hang_up()
        return data

    def split(self, seen: bytes) -> tuple[bytes, bytes]:
        if self._framed_as_rtu:
            return split_rtu(seen)
        size = 6 + int.from_bytes(seen[4:6]) if len(seen) >= 8 else len(seen) + 1
        return (seen[:size], seen[size:]) if len(seen) >= size else (b"", seen)

    def reply(self, request: bytes) -> tuple[int, bytes]:
        if self._framed_as_rtu:
            return request[0], rtu(request[0], answer(request[0], request[1:-2]))
        unit = request[6]
        return unit, mbap(int.from_bytes(request[:2]), unit, answer(unit, request[7:]))
