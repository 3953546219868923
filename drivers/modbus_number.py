"""The bits of Modbus registers as numbers: types, byte orders and scaling. Pure.

Invariants: a number is the decimal that the device meant (raw 245 at scale 0.1 is 24.5, the float32 0x43663334 is
230.2), never a neighbour of it. Byte orders and types: vectors in tests/vectors/modbus.json.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import TypeAlias

from drivers.modbus_point import Order, RegisterPoint

Number: TypeAlias = int | float

SIGNED = {"int16": 0x8000, "int32": 1 << 31, "int64": 1 << 63}
"""The highest bit of the integers that have a sign there."""

_FLOATS = ("float32", "float64")


def bits_of(point: RegisterPoint) -> Callable[[Sequence[int]], int]:
    """The registers as one unsigned number; of a field, its bits."""
    if point.type == "bits":
        shift, mask = point.bit or 0, (1 << (point.bits or 1)) - 1
        return lambda raw: raw[0] >> shift & mask
    if point.width == 1 and point.order in ("ABCD", "CDAB"):
        return lambda raw: raw[0]
    return joined(point.width, point.order)


def joined(width: int, order: Order) -> Callable[[Sequence[int]], int]:
    """`width` registers in this order of their bytes as one unsigned number."""
    step = -1 if order in ("CDAB", "DCBA") else 1
    pack = struct.Struct(f"{'<' if order in ('BADC', 'DCBA') else '>'}{width}H").pack
    return lambda raw: int.from_bytes(pack(*raw[::step]), "big")


def number_of(kind: str) -> Callable[[int], Number | None]:
    """The number that bits spell in this type; None where they spell none."""
    match kind:
        case "float32":
            return _float32
        case "float64":
            return _float64
        case "bcd16":
            return _bcd16
        case "offset10000":
            return lambda bits: bits if bits < 10000 else 10000 - bits
        case "sign_magnitude16":
            return lambda bits: -(bits & 0x7FFF) if bits & 0x8000 else bits
    sign = SIGNED.get(kind, 0)
    return lambda bits: (bits ^ sign) - sign


def _float32(bits: int) -> float | None:
    single = float(struct.unpack(">f", bits.to_bytes(4, "big"))[0])
    return shortest(single) if math.isfinite(single) else None


def _float64(bits: int) -> float | None:
    double = float(struct.unpack(">d", bits.to_bytes(8, "big"))[0])
    return double if math.isfinite(double) else None


def _bcd16(bits: int) -> int | None:
    digits = f"{bits:04x}"
    return int(digits) if digits.isdecimal() else None


def scaling(point: RegisterPoint) -> Callable[[Number], Number]:
    """`number * scale + offset`, freed of what binary fractions add to it."""
    scale, offset, decimals = point.scale, point.offset, point.decimals
    if point.type in _FLOATS:
        return _float_scaling(scale, offset, decimals)
    factor, summand, divisor = fraction(point)
    if not rounds(point):
        if divisor == 1:
            return lambda number: number * factor + summand
        return lambda number: (number * factor + summand) / divisor
    if decimals == 0:
        return lambda number: round((number * factor + summand) / divisor)
    return lambda number: round((number * factor + summand) / divisor, decimals) + 0.0


def _float_scaling(scale: float, offset: float, decimals: int | None) -> Callable[[Number], Number]:
    if decimals == 0:
        return lambda number: _rounded(number * scale + offset)
    if decimals is not None:
        return lambda number: round(number * scale + offset, decimals) + 0.0
    if (scale, offset) == (1.0, 0.0):
        return lambda number: number + 0.0
    return lambda number: float(f"{number * scale + offset:.15g}") + 0.0


def fraction(point: RegisterPoint) -> tuple[int, int, int]:
    """`number * scale + offset` as (number * factor + summand) / divisor, all integers.

    The quotient of two integers is the nearest float there is: 245 / 10 is 24.5, and 3 / 10 is 0.3.
    """
    divisor = 10 ** max(_places(point), point.decimals or 0)
    return int(Decimal(repr(point.scale)) * divisor), int(Decimal(repr(point.offset)) * divisor), divisor


def rounds(point: RegisterPoint) -> bool:
    """Whether a value is to have fewer decimals than it comes with."""
    return point.decimals is not None and point.decimals < _places(point)


def _places(point: RegisterPoint) -> int:
    """How many decimals scale and offset are written with: 1 for 0.1, 4 for 0.0625, 0 for 10."""
    exponents = [Decimal(repr(it)).normalize().as_tuple().exponent for it in (point.scale, point.offset)]
    return max(0, *(-exponent for exponent in exponents if isinstance(exponent, int)))


def _rounded(value: float) -> Number:
    return round(value) if math.isfinite(value) else value


def shortest(single: float) -> float:
    """The decimal with the fewest digits that a float32 stores as `single`: 230.2, not 230.1999969482422."""
    for digits in (6, 7, 8):
        decimal = float(f"{single:.{digits}g}")
        if struct.pack(">f", decimal) == struct.pack(">f", single):
            return decimal + 0.0
    return float(f"{single:.9g}") + 0.0
