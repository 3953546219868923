"""Simulated Modbus devices, byte for byte: several units on one RS-485 line, and a Modbus TCP module.

    RTU  unit u8 | function u8 | ... | CRC-16 (low byte first)
    TCP  transaction u16 | protocol u16 = 0 | length u16 | unit u8 | function u8 | ...

Written from the Modbus application protocol 1.1b3 and the serial line guide 1.02, apart from the gateway's own codec,
so that one cannot hide the other's mistake.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TypeAlias

from gateway.demo.port import SerialPort
from gateway.demo.wiring import Wiring

Contents: TypeAlias = Callable[[float], Mapping[int, Mapping[int, int]]]
"""What a device holds at a monotonic time: read function (1 to 4) -> 0-based address -> raw bit or register."""

_BITS, _REGISTERS = (1, 2), (3, 4)
_MOST = {1: 2000, 2: 2000, 3: 125, 4: 125}
_TURNAROUND_S = 0.012  # what a sensor of this price takes to begin its answer
_REQUEST_BYTES = 8  # of every read request on a serial line


def crc16(data: bytes) -> bytes:
    """The CRC of a serial frame, low byte first. Source: Modbus over serial line 1.02, section 6.2.2."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ 0xA001 if crc & 1 else crc >> 1
    return struct.pack("<H", crc)


class Slave:
    """One Modbus device: answers reads of what it holds, and refuses the rest as the specification says."""

    def __init__(self, unit: int, contents: Contents) -> None:
        self.unit = unit
        self.silent = False
        self._contents = contents

    def answer(self, pdu: bytes, now: float) -> bytes:
        """The reply to a request without unit and checksum; an exception reply where it cannot be served."""
        function = pdu[0] if pdu else 0
        table = self._contents(now).get(function)
        if table is None:
            return bytes((function | 0x80, 1))
        address, count = struct.unpack_from(">HH", pdu, 1) if len(pdu) == 5 else (0, 0)
        if not 1 <= count <= _MOST[function]:
            return bytes((function | 0x80, 3))
        raw = [table.get(address + i) for i in range(count)]
        known = [value for value in raw if value is not None]
        if len(known) < count:
            return bytes((function | 0x80, 2))
        body = _packed_bits(known) if function in _BITS else struct.pack(f">{count}H", *known)
        return bytes((function, len(body))) + body


def _packed_bits(bits: Sequence[int]) -> bytes:
    whole = sum(1 << place for place, bit in enumerate(bits) if bit)
    return whole.to_bytes((len(bits) + 7) // 8, "little")


class RtuBus:
    """An RS-485 line with several slaves: one request at a time, everything at the line's pace."""

    def __init__(self, wiring: Wiring, name: Path, baudrate: int, slaves: Iterable[Slave]) -> None:
        self.slaves = {slave.unit: slave for slave in slaves}
        self.port = SerialPort(wiring, name, baudrate)
        self._heard = b""

    def open(self) -> None:
        """Put the line up."""
        self.port.open(self._listen)

    def close(self) -> None:
        """Take the line down."""
        self.port.close()

    def _listen(self) -> None:
        self._heard = (self._heard + self.port.heard())[-256:]
        while len(self._heard) >= _REQUEST_BYTES:
            frame = self._heard[:_REQUEST_BYTES]
            if crc16(frame[:-2]) != frame[-2:]:
                self._heard = self._heard[1:]  # noise: look for a frame one character later
                continue
            self._heard = self._heard[_REQUEST_BYTES:]
            self._asked(frame)

    def _asked(self, frame: bytes) -> None:
        slave = self.slaves.get(frame[0])
        if slave is None or slave.silent:
            return
        reply = frame[:1] + slave.answer(frame[1:-2], time.monotonic())
        self.port.say(reply + crc16(reply), after_s=self.port.carried_s(_REQUEST_BYTES) + _TURNAROUND_S)


class ModbusTcpModule:
    """A Modbus TCP device on a loopback port of its own choice; serves any number of unit ids, as such modules do."""

    def __init__(self, wiring: Wiring, slave: Slave) -> None:
        self._wiring = wiring
        self._slave = slave
        self._listener: socket.socket | None = None
        self._peers: dict[socket.socket, bytes] = {}

    def open(self) -> int:
        """Listen on a free port of 127.0.0.1, and say which."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self._wiring.listen(self._listener.fileno(), self._accept)
        port: int = self._listener.getsockname()[1]
        return port

    def close(self) -> None:
        """Stop listening and hang up. Idempotent; only while the wiring does not run."""
        for peer in self._peers:
            peer.close()
        self._peers.clear()
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    def _accept(self) -> None:
        with suppress(BlockingIOError):
            if self._listener is not None:
                peer, _ = self._listener.accept()
                peer.setblocking(False)
                peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._peers[peer] = b""
                self._wiring.listen(peer.fileno(), partial(self._serve, peer))

    def _serve(self, peer: socket.socket) -> None:
        try:
            data = peer.recv(4096)
            replies, self._peers[peer] = self._replies(self._peers[peer] + data)
            peer.sendall(replies)
        except OSError:
            data = b""
        if not data:
            self._wiring.deafen(peer.fileno())
            del self._peers[peer]
            peer.close()

    def _replies(self, heard: bytes) -> tuple[bytes, bytes]:
        """The replies to all whole requests in `heard`, and what is left of it; a wrong header voids the rest."""
        replies = b""
        while len(heard) >= 8:
            transaction, protocol, length = struct.unpack_from(">HHH", heard)
            if protocol != 0 or not 2 <= length <= 254:
                return replies, b""
            if len(heard) < 6 + length:
                break
            unit, pdu, heard = heard[6], heard[7 : 6 + length], heard[6 + length :]
            if not self._slave.silent:
                reply = self._slave.answer(pdu, time.monotonic())
                replies += struct.pack(">HHHB", transaction, 0, len(reply) + 1, unit) + reply
        return replies, heard


def xy_md02(unit: int, temperature: Callable[[float], float], humidity: Callable[[float], float]) -> Slave:
    """XY-MD02: input registers 1 and 2 hold temperature (0.1 °C, signed) and humidity (0.1 %RH)."""

    def contents(now: float) -> Mapping[int, Mapping[int, int]]:
        measured = {1: _tenths(temperature(now)), 2: _tenths(humidity(now))}
        return {4: measured, 3: {257: unit, 258: 9600, 259: 0, 260: 0}}

    return Slave(unit, contents)


def renke_rs_ws_n01(unit: int, temperature: Callable[[float], float], humidity: Callable[[float], float]) -> Slave:
    """Renke RS-WS-N01: humidity first (0), then temperature (1), in tenths, read by function 3 or 4."""

    def contents(now: float) -> Mapping[int, Mapping[int, int]]:
        measured = {0: _tenths(humidity(now)), 1: _tenths(temperature(now))}
        return {3: measured, 4: measured}

    return Slave(unit, contents)


def wp8028adam(unit: int, inputs: list[bool]) -> Slave:
    """Wellpro WP8028ADAM: eight inputs read by function 2, eight outputs (off) read by function 1."""

    def contents(_now: float) -> Mapping[int, Mapping[int, int]]:
        return {2: {i: int(on) for i, on in enumerate(inputs)}, 1: dict.fromkeys(range(8), 0)}

    return Slave(unit, contents)


def _tenths(value: float) -> int:
    """A value as a register holds it: tenths, 16 bits, two's complement."""
    return round(value * 10) & 0xFFFF
