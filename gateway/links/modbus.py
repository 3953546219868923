"""One Modbus request, one checked reply; the only user of pymodbus, which builds requests. The wire is ours.

- A value is given only from the reply that the request announces: unit, function, byte count, and CRC or transaction
  id are right. Everything else is a NoReply with the name of its fault.
- An RTU reply does not say which request it answers. So late bytes are dropped before a request is sent; and after a
  request without its reply the line stays silent until that reply has come late, or for one more response time: a
  device that takes up to twice the timeout costs its poll, and its reply never meets another request. A device that
  is slower still needs a longer `timeout` on its link.
- A request is sent once. Asking again is the poller's business.
- On TCP a read may be sent before it is asked for, and its reply taken without waiting: how links share a thread. One
  request at most is under way; a read of exactly what is under way waits for its reply, anything else first lets it
  come.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Literal, NamedTuple

from pymodbus.framer import FramerRTU, FramerSocket
from pymodbus.pdu import DecodePDU, ModbusPDU
from pymodbus.pdu.bit_message import (
    ReadCoilsRequest,
    ReadDiscreteInputsRequest,
    WriteMultipleCoilsRequest,
    WriteSingleCoilRequest,
)
from pymodbus.pdu.register_message import (
    ReadHoldingRegistersRequest,
    ReadInputRegistersRequest,
    WriteMultipleRegistersRequest,
    WriteSingleRegisterRequest,
)

from gateway.driver import Table
from gateway.errors import NoReply, Refused
from gateway.links.framing import Ask, Read, RtuAnswer, TcpAnswer
from gateway.links.port import Pace, Port

_READS: dict[Table, type[ModbusPDU]] = {
    Table.COIL: ReadCoilsRequest,
    Table.DISCRETE: ReadDiscreteInputsRequest,
    Table.HOLDING: ReadHoldingRegistersRequest,
    Table.INPUT: ReadInputRegistersRequest,
}
_BITS = frozenset({Table.COIL, Table.DISCRETE})
_MOST_BITS, _MOST_REGISTERS = 2000, 125  # in one read; in one write 1968 and 123 (Application Protocol V1.1b3, part 6)
_MOST_BITS_WRITTEN, _MOST_REGISTERS_WRITTEN = 1968, 123
_QUIET_S = 0.02  # USB adapters hand bytes over in lumps of 16 ms: a shorter silence is none
_RTU_OVERHEAD, _TCP_OVERHEAD = 3, 7  # unit and CRC; transaction, protocol, length and unit
_MOST_REQUESTS = 1000  # that are kept ready: far more than the devices of one port are ever asked

_EXCEPTIONS = {
    1: "illegal function",
    2: "illegal data address",
    3: "illegal data value",
    4: "device failure",
    5: "accepted, not done yet",
    6: "busy",
    7: "negative acknowledge",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "the device behind the gateway does not answer",
}
_BUSY, _GATEWAY = frozenset({5, 6}), frozenset({10, 11})


class _Request(NamedTuple):
    """A request and what it announces; `frame` is all of it on RTU, and what follows the transaction id on TCP."""

    ask: Ask
    frame: bytes
    response_s: float
    values: Callable[[bytes], Sequence[int]]  # in the PDU of the reply, whose length has been checked


class _Sent(NamedTuple):
    """A request whose reply is expected until `deadline` (monotonic s)."""

    request: _Request
    answer: RtuAnswer | TcpAnswer
    deadline: float


class Exchange:
    """The devices on one port, as `gateway.driver.Registers`; framing `rtu` fits serial lines and serial servers."""

    def __init__(self, port: Port, framing: Literal["rtu", "tcp"], pace: Pace) -> None:
        self._port = port
        self._rtu = framing == "rtu"
        self._framer = FramerRTU(DecodePDU(False)) if self._rtu else FramerSocket(DecodePDU(False))
        self._pace = pace
        self._echo = pace.echo  # as configured until the line shows it
        self._transaction = 0
        self._requests: dict[Read, _Request] = {}
        self._ahead: _Sent | None = None  # a read that nobody has asked for yet
        self._silent_until = 0.0
        self._owed: RtuAnswer | None = None  # what still collects the reply that did not come in time

    def read(self, unit: int, table: Table, address: int, count: int) -> Sequence[int]:
        """The `count` registers (0 to 65535) or bits (0 or 1) from the 0-based `address` on.

        Raises NoReply, Refused or LinkDown; ValueError when the request itself is impossible.
        """
        request = self._request(Read(unit, table, address, count))
        if self._ahead is not None and self._ahead.request is request:
            sent, self._ahead = self._ahead, None
            return request.values(self._await(sent))
        return request.values(self._exchange(request))

    def write(self, unit: int, table: Table, address: int, values: Sequence[int]) -> None:
        """Write registers (functions 6, 16) or coils (5, 15); returns when the device has confirmed.

        Raises NoReply, Refused or LinkDown; ValueError when the request itself is impossible.
        """
        bits = table in _BITS
        _check(unit, address, len(values), _MOST_BITS_WRITTEN if bits else _MOST_REGISTERS_WRITTEN)
        request = _write_request(unit, table, address, values)
        head = bytes((request.function_code,)) + request.encode()[:4]  # all four are confirmed by these five bytes
        self._exchange(self._announcing(Ask.of(unit, head, len(head)), request, _nothing))

    # -- ahead of the asking; on TCP alone, where a reply names its request

    def send(self, wanted: Read) -> float:
        """Send a read and return at once; until when (monotonic s) its reply may come. Raises LinkDown."""
        sent = self._ahead = self._send(self._request(wanted))
        return sent.deadline

    def reply(self) -> Sequence[int] | None:
        """What answers the read that was sent, if it has come; never waits. Raises NoReply, Refused or LinkDown."""
        sent = self._ahead
        if sent is None:
            return None
        answer, done = sent.answer, True
        try:
            pdu = answer.feed(self._port.receive(0.0))
            if pdu is None:
                done = False
                return None
        finally:
            if done:
                self._ahead = None
                if answer.noise_bytes:
                    self._port.noise(answer.noise_bytes)
        return sent.request.values(_accepted(sent.request.ask, pdu))

    def forget(self) -> None:
        """Nobody wants the reply to what was sent ahead: it must not pass for the answer to a later question."""
        self._ahead = None

    # -- one exchange

    def _request(self, wanted: Read) -> _Request:
        """The request that reads this, made once."""
        known = self._requests.get(wanted)
        if known is not None:
            return known
        unit, table, address, count = wanted
        bits = table in _BITS
        _check(unit, address, count, _MOST_BITS if bits else _MOST_REGISTERS)
        size = (count + 7) // 8 if bits else 2 * count
        pdu = _READS[table](address=address, count=count, dev_id=unit)
        ask = Ask.of(unit, bytes((pdu.function_code, size)), size + 2)
        request = self._announcing(ask, pdu, _bits_of(count) if bits else _registers_of(count))
        if len(self._requests) >= _MOST_REQUESTS:
            self._requests.clear()
        self._requests[wanted] = request
        return request

    def _announcing(self, ask: Ask, pdu: ModbusPDU, values: Callable[[bytes], Sequence[int]]) -> _Request:
        frame = self._framer.buildFrame(pdu)
        frame = frame if self._rtu else frame[2:]
        characters = len(frame) + ask.size + (_RTU_OVERHEAD if self._rtu else _TCP_OVERHEAD)
        return _Request(ask, frame, self._pace.response_s(characters), values)

    def _exchange(self, request: _Request) -> bytes:
        self._settle()
        return self._await(self._send(request))

    def _settle(self) -> None:
        """Wait until the line may be used: no late reply is to come, and it is quiet for the gap."""
        port = self._port
        if self._ahead is not None:
            unwanted, self._ahead = self._ahead, None
            with suppress(NoReply):
                self._collect(unwanted.answer, unwanted.deadline)
        port.prepare()
        until = max(port.last + self._pace.gap_s, self._silent_until)
        give_up = None
        while late := port.receive(until):
            port.noise(len(late))
            if self._owed is not None and self._owed.feed(late) is not None:
                self._owed, self._silent_until = None, 0.0
            quiet = port.last + max(self._pace.gap_s, _QUIET_S)
            give_up = give_up or max(quiet, self._silent_until) + self._pace.response_s(256)
            until = max(quiet, self._silent_until)
            if until > give_up:
                hint = "check baud rate and parity, and that no other master and no talking device is on this line"
                raise NoReply("noise", "the line is never quiet", hint)
        self._owed = None

    def _send(self, request: _Request) -> _Sent:
        frame = request.frame
        answer: RtuAnswer | TcpAnswer
        if self._rtu:
            answer = RtuAnswer(request.ask, frame, _whole, echo=self._echo)
        else:
            self._transaction = self._transaction % 0xFFFF + 1
            answer = TcpAnswer(request.ask, self._transaction)
            frame = self._transaction.to_bytes(2) + frame
        self._port.write(frame)
        return _Sent(request, answer, time.monotonic() + request.response_s)

    def _await(self, sent: _Sent) -> bytes:
        """The PDU of the reply."""
        (ask, _, response_s, *_), answer, deadline = sent
        try:
            pdu = self._collect(answer, deadline)
            if pdu is None:
                self._await_late_reply(answer, deadline + response_s)
                raise answer.fault(response_s)
        finally:
            self._port.noise(answer.noise_bytes)
        return _accepted(ask, pdu)

    def _collect(self, answer: RtuAnswer | TcpAnswer, deadline: float) -> bytes | None:
        """The PDU of the reply; None at the deadline, or when a spoilt reply has come to its end."""
        port, until = self._port, deadline
        while data := port.receive(until):
            pdu = answer.feed(data)
            if pdu is not None:
                self._notice_echo(answer)
                return pdu
            if isinstance(answer, RtuAnswer) and answer.spoilt:
                until = min(deadline, port.last + max(self._pace.gap_s, _QUIET_S))
        return None

    def _notice_echo(self, answer: RtuAnswer | TcpAnswer) -> None:
        """See whether the adapter hears itself: then its echo must not pass for the confirmation of a write."""
        if isinstance(answer, RtuAnswer) and answer.echoed is not None:
            self._echo = answer.echoed

    def _await_late_reply(self, answer: RtuAnswer | TcpAnswer, until: float) -> None:
        """Keep an RTU line silent; a TCP reply that comes late is known by its transaction id."""
        if isinstance(answer, RtuAnswer):
            quiet = self._port.last + max(self._pace.gap_s, _QUIET_S)
            self._silent_until = quiet if answer.spoilt else until
            self._owed = answer


def _registers_of(count: int) -> Callable[[bytes], Sequence[int]]:
    """What takes so many registers out of the PDU of a reply (Application Protocol, parts 6.3 and 6.4)."""
    return struct.Struct(f">xx{count}H").unpack


def _bits_of(count: int) -> Callable[[bytes], Sequence[int]]:
    """What takes so many bits out of the PDU of a reply (Application Protocol, parts 6.1 and 6.2)."""
    return lambda pdu: [pdu[2 + place // 8] >> place % 8 & 1 for place in range(count)]


def _nothing(_: bytes) -> Sequence[int]:
    return ()


def _accepted(ask: Ask, pdu: bytes) -> bytes:
    """The PDU, unless the device says no with it."""
    if pdu[0] & 0x80:
        raise _refusal(ask, pdu[1])
    return pdu


def _check(unit: int, address: int, count: int, most: int) -> None:
    if not 0 <= unit <= 255:
        raise ValueError(f"a unit id is 0 to 255, not {unit}")
    if not 1 <= count <= most:
        raise ValueError(f"1 to {most} values at once, not {count}")
    if not 0 <= address <= 0x10000 - count:
        raise ValueError(f"{count} values from address {address} on do not lie in 0 to 65535")


def _write_request(unit: int, table: Table, address: int, values: Sequence[int]) -> ModbusPDU:
    several = len(values) > 1
    if table is Table.COIL:
        bits = [bool(value) for value in values]
        coils = WriteMultipleCoilsRequest if several else WriteSingleCoilRequest
        return coils(address=address, bits=bits, dev_id=unit)
    if table is Table.HOLDING:
        if any(not 0 <= value <= 0xFFFF for value in values):
            raise ValueError(f"a register holds 0 to 65535, not {values}")
        registers = WriteMultipleRegistersRequest if several else WriteSingleRegisterRequest
        return registers(address=address, registers=list(values), dev_id=unit)
    raise ValueError(f"a {table} cannot be written")


def _whole(frame: bytes) -> bool:
    """Whether the CRC at the end of an RTU frame is right: then the CRC over all of it is 0."""
    return FramerRTU.compute_CRC(frame) == 0


def _refusal(ask: Ask, code: int) -> NoReply | Refused:
    what = f"unit {ask.unit}: exception {code} ({_EXCEPTIONS.get(code, 'unknown')}) to function {ask.head[0]}"
    if 1 <= code <= 3:
        return Refused(code, what, "check the device's profile: table, address and number of registers")
    if code in _BUSY:
        return NoReply("busy", what)
    if code in _GATEWAY:
        return NoReply("gateway", what, "check the device behind the gateway: power, unit id, wiring")
    return NoReply("device_failure", what, "the device reports a fault of its own: restart or replace it")
