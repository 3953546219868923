"""Modbus registers to values: types, byte orders, scaling and what is no value at all. Pure.

Invariants: a result is a finite number in the unit of its kind, the word of a state, or Bad; it is the decimal that
the device meant (raw 245 at scale 0.1 is 24.5, the float32 0x43663334 is 230.2), never a neighbour of it.
Byte orders and types: vectors in tests/vectors/devices.json.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from decimal import Decimal

from drivers.modbus_profile import RegisterPoint
from gateway.model import Bad, Reason, Value
from gateway.units import STATE_WORDS

_SIGNED = {"int16": 0x8000, "int32": 1 << 31, "int64": 1 << 63}


def decode(point: RegisterPoint, raw: Sequence[int]) -> Value | Bad:
    """The value of `point`, whose registers (0 to 65535) or bit (0 or 1) are `raw`."""
    if point.is_state:
        return STATE_WORDS[point.kind][_is_on(point, raw[0]) != point.inverted]
    bits = _bits(raw, point.order)
    mask = (1 << 16 * len(raw)) - 1
    if any(sentinel & mask == bits for sentinel in point.sentinels):
        return Bad(Reason.SENSOR_FAULT)
    number = _number(point.type, bits)
    if number is None:
        return Bad(Reason.SENSOR_FAULT)
    value = _scaled(point, number)
    if not math.isfinite(value):
        return Bad(Reason.OUT_OF_RANGE)
    below = point.minimum is not None and value < point.minimum
    above = point.maximum is not None and value > point.maximum
    return Bad(Reason.OUT_OF_RANGE) if below or above else value


def _is_on(point: RegisterPoint, raw: int) -> bool:
    return bool(raw >> point.bit & 1) if point.bit is not None else raw != 0


def _bits(raw: Sequence[int], order: str) -> int:
    """The registers as one unsigned number."""
    words = raw[::-1] if order in ("CDAB", "DCBA") else raw
    code = "<" if order in ("BADC", "DCBA") else ">"
    return int.from_bytes(struct.pack(f"{code}{len(raw)}H", *words), "big")


def _number(kind: str, bits: int) -> int | float | None:
    """The number that `bits` spell in this type; None where they spell none."""
    match kind:
        case "float32":
            single = float(struct.unpack(">f", bits.to_bytes(4, "big"))[0])
            return shortest(single) if math.isfinite(single) else None
        case "float64":
            double = float(struct.unpack(">d", bits.to_bytes(8, "big"))[0])
            return double if math.isfinite(double) else None
        case "bcd16":
            digits = f"{bits:04x}"
            return int(digits) if digits.isdecimal() else None
        case "offset10000":
            return bits if bits < 10000 else 10000 - bits
        case "sign_magnitude16":
            return -(bits & 0x7FFF) if bits & 0x8000 else bits
    sign = _SIGNED.get(kind, 0)
    return (bits ^ sign) - sign


def _scaled(point: RegisterPoint, number: int | float) -> int | float:  # noqa: PYI041 - the two are treated apart
    """`number * scale + offset`, freed of what binary fractions add to it."""
    if isinstance(number, float) and point.decimals is None:
        if (point.scale, point.offset) == (1.0, 0.0):
            return number + 0.0
        return float(f"{number * point.scale + point.offset:.15g}") + 0.0
    places = point.decimals if point.decimals is not None else max(_places(point.scale), _places(point.offset))
    if isinstance(number, int) and places == 0 and _whole(point.scale) and _whole(point.offset):
        return number * int(point.scale) + int(point.offset)
    value = number * point.scale + point.offset
    if not math.isfinite(value):
        return value
    return round(value, places) + 0.0 if places else round(value)


def shortest(single: float) -> float:
    """The decimal with the fewest digits that a float32 stores as `single`: 230.2, not 230.1999969482422."""
    for digits in (6, 7, 8):
        decimal = float(f"{single:.{digits}g}")
        try:
            if struct.pack(">f", decimal) == struct.pack(">f", single):
                return decimal + 0.0
        except OverflowError:  # rounded up beyond the largest float32
            continue
    return float(f"{single:.9g}") + 0.0


def _whole(number: float) -> bool:
    return float(number).is_integer()


def _places(number: float) -> int:
    """How many decimals `number` is written with: 1 for 0.1, 4 for 0.0625, 0 for 10."""
    exponent = Decimal(repr(float(number))).normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0
