"""Modbus registers that spell something else than one number: states, texts, addresses and positions. Pure.

Invariants: a state is one of its kind's two words; a text is printable ASCII; a position lies on the earth and is not
where a receiver without a fix says it is. Everything else is Bad.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from typing import TypeAlias

from drivers.modbus_number import joined, shortest
from drivers.modbus_point import RegisterPoint
from gateway.model import Bad, Reason, Value
from gateway.units import STATE_WORDS

Decode: TypeAlias = Callable[[Sequence[int], int], Value | Bad]
"""From what a device answered, registers (0 to 65535) or bits (0 or 1), and the place in it where a point begins."""

_FAULT, _OUTSIDE, _NO_FIX = Bad(Reason.SENSOR_FAULT), Bad(Reason.OUT_OF_RANGE), Bad(Reason.NO_FIX)
_LEAST_DEGREES = 1e-9  # a tenth of a millimetre; less, and not 0, is no place but bytes in the wrong order


def state(point: RegisterPoint) -> Decode:
    """The word for the bit that is meant; of an output with words of its own, for one of them, or for 0 or 1."""
    words = STATE_WORDS[point.kind]
    off, on = words[point.inverted], words[not point.inverted]
    if point.write is not None and point.write.has_words:
        meant = {0: off, 1: on, point.write.word(on=False): off, point.write.word(on=True): on}
        return lambda raw, at: meant.get(raw[at], _FAULT)
    shift, mask = (0, 0xFFFF) if point.bit is None else (point.bit, 1)
    return lambda raw, at: on if raw[at] >> shift & mask else off


def text(point: RegisterPoint) -> Decode:
    """Two characters a register, the first in its high byte, up to a zero; without spaces around it. May be empty."""
    width = point.width
    pack = struct.Struct(f"{'<' if point.order == 'BADC' else '>'}{width}H").pack

    def decode(raw: Sequence[int], at: int) -> Value | Bad:
        found = pack(*raw[at : at + width]).partition(b"\0")[0].decode("ascii", "replace").strip(" ")
        return found if found.isascii() and found.isprintable() else _FAULT  # an empty one is printable

    return decode


def address(point: RegisterPoint) -> Decode:
    """An IPv4 address as people write it: 192.168.1.1."""
    number_of, sentinels = joined(2, point.order), frozenset(point.sentinels)

    def decode(raw: Sequence[int], at: int) -> Value | Bad:
        bits = number_of(raw[at : at + 2])
        return _FAULT if bits in sentinels else ".".join(str(byte) for byte in bits.to_bytes(4, "big"))

    return decode


def position(point: RegisterPoint) -> Decode:
    """Latitude and longitude as two float32, degrees, each in the byte order of the point; 0, 0 is no fix."""
    number_of = joined(2, point.order)

    def degrees(raw: Sequence[int]) -> float:
        return float(struct.unpack(">f", number_of(raw).to_bytes(4, "big"))[0])

    def decode(raw: Sequence[int], at: int) -> Value | Bad:
        latitude, longitude = degrees(raw[at : at + 2]), degrees(raw[at + 2 : at + 4])
        if math.isnan(latitude) or math.isnan(longitude):
            return _FAULT
        if latitude == longitude == 0:
            return _NO_FIX
        if not (abs(latitude) <= 90 and abs(longitude) <= 180) or _is_tiny(latitude) or _is_tiny(longitude):
            return _OUTSIDE
        return shortest(latitude), shortest(longitude)

    return decode


def _is_tiny(degrees: float) -> bool:
    return 0 < abs(degrees) < _LEAST_DEGREES
