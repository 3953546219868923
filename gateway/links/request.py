"""Modbus requests as bytes, with what each announces; the only user of pymodbus, whose codec builds them."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, TypeAlias

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
from gateway.links.framing import Ask, Read
from gateway.links.port import Pace

_READS: dict[Table, type[ModbusPDU]] = {
    Table.COIL: ReadCoilsRequest,
    Table.DISCRETE: ReadDiscreteInputsRequest,
    Table.HOLDING: ReadHoldingRegistersRequest,
    Table.INPUT: ReadInputRegistersRequest,
}
_WRITES = {Table.COIL: (None, 5, 15), Table.HOLDING: (None, 6, 16)}
_BITS = frozenset({Table.COIL, Table.DISCRETE})
MOST_BITS, MOST_REGISTERS = 2000, 125
"""In one read (Application Protocol V1.1b3, parts 6.1 to 6.4)."""
MOST_BITS_WRITTEN, MOST_REGISTERS_WRITTEN = 1968, 123
"""In one write (parts 6.11 and 6.12)."""

_RTU_OVERHEAD, _TCP_OVERHEAD = 3, 7  # unit and CRC; transaction, protocol, length and unit
_MOST_KEPT = 1000  # requests that are kept ready: far more than the devices of one port are ever asked

Values: TypeAlias = Callable[[bytes], Sequence[int]]
"""From the PDU of a reply, whose length has been checked, to the registers or bits that were asked for."""


class Request(NamedTuple):
    """A request and what it announces; `frame` is all of it on RTU, and what follows the transaction id on TCP."""

    ask: Ask
    frame: bytes
    response_s: float  # how long its reply may take
    wire_s: float  # of which it and its reply are on the wire, or direction is switched
    values: Values

    @property
    def is_repeated(self) -> bool:
        """Whether the device confirms it by the same frame: writes by function 5 or 6."""
        return self.ask.head[0] in (5, 6)


class Requests:
    """The requests for one port; one that was made once is kept."""

    def __init__(self, framing: Literal["rtu", "tcp"], pace: Pace) -> None:
        self._rtu = framing == "rtu"
        self._framer = FramerRTU(DecodePDU(False)) if self._rtu else FramerSocket(DecodePDU(False))
        self._pace = pace
        self._kept: dict[Read, Request] = {}

    def reading(self, wanted: Read) -> Request:
        """The request that reads this; ValueError when it is impossible."""
        known = self._kept.get(wanted)
        if known is not None:
            return known
        unit, table, address, count = wanted
        bits = table in _BITS
        _check(unit, address, count, MOST_BITS if bits else MOST_REGISTERS)
        size = (count + 7) // 8 if bits else 2 * count
        pdu = _READS[table](address=address, count=count, dev_id=unit)
        ask = Ask.of(unit, bytes((pdu.function_code, size)), size + 2)
        request = self._request(ask, pdu, _bits_of(count) if bits else _registers_of(count))
        if len(self._kept) >= _MOST_KEPT:
            self._kept.clear()
        self._kept[wanted] = request
        return request

    def writing(
        self, unit: int, table: Table, address: int, values: Sequence[int], function: int | None = None
    ) -> Request:
        """The request that writes `values`, by a certain `function` if one is given; ValueError when impossible."""
        _check(unit, address, len(values), MOST_BITS_WRITTEN if table in _BITS else MOST_REGISTERS_WRITTEN)
        pdu = _write(unit, table, address, values, function)
        head = bytes((pdu.function_code,)) + pdu.encode()[:4]  # all four functions are confirmed by these five bytes
        return self._request(Ask.of(unit, head, len(head)), pdu, _nothing)

    def _request(self, ask: Ask, pdu: ModbusPDU, values: Values) -> Request:
        frame = self._framer.buildFrame(pdu)
        frame = frame if self._rtu else frame[2:]
        characters = len(frame) + ask.size + (_RTU_OVERHEAD if self._rtu else _TCP_OVERHEAD)
        wire_s = characters * self._pace.char_s + self._pace.switching_s
        return Request(ask, frame, self._pace.response_s(characters), wire_s, values)


def whole(frame: bytes) -> bool:
    """Whether the CRC at the end of an RTU frame is right: then the CRC over all of it is 0."""
    return FramerRTU.compute_CRC(frame) == 0


def _check(unit: int, address: int, count: int, most: int) -> None:
    if not 0 <= unit <= 255:
        raise ValueError(f"a unit id is 0 to 255, not {unit}")
    if not 1 <= count <= most:
        raise ValueError(f"1 to {most} values at once, not {count}")
    if not 0 <= address <= 0x10000 - count:
        raise ValueError(f"{count} values from address {address} on do not lie in 0 to 65535")


class _CoilByWord(WriteSingleRegisterRequest):
    """Function 5 with a word of the device's own: laid out as function 6 is."""

    function_code = 5


def _write(unit: int, table: Table, address: int, values: Sequence[int], function: int | None) -> ModbusPDU:
    if function not in _WRITES.get(table, ()):
        raise ValueError(f"a {table} cannot be written" + ("" if function is None else f" by function {function}"))
    several = len(values) > 1 or function in (15, 16)
    if table is Table.COIL and function != 5:
        bits = [bool(value) for value in values]
        coils = WriteMultipleCoilsRequest if several else WriteSingleCoilRequest
        return coils(address=address, bits=bits, dev_id=unit)
    if any(not 0 <= value <= 0xFFFF for value in values):
        raise ValueError(f"a register holds 0 to 65535, not {values}")
    if several and function in (5, 6):
        raise ValueError(f"function {function} writes one value, not {len(values)}")
    single = _CoilByWord if function == 5 else WriteSingleRegisterRequest
    registers = WriteMultipleRegistersRequest if several else single
    return registers(address=address, registers=list(values), dev_id=unit)


def _registers_of(count: int) -> Values:
    """What takes so many registers out of a PDU (Application Protocol, parts 6.3 and 6.4)."""
    return struct.Struct(f">xx{count}H").unpack


def _bits_of(count: int) -> Values:
    """What takes so many bits out of a PDU (Application Protocol, parts 6.1 and 6.2)."""
    return lambda pdu: [pdu[2 + place // 8] >> place % 8 & 1 for place in range(count)]


def _nothing(_: bytes) -> Sequence[int]:
    return ()
