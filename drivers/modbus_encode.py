"""Values to Modbus registers: the way back of modbus_decode.py. Pure.

Invariant: what is given reads back, by modbus_decode.py, as exactly the value that was asked for. A value that would be
rounded, does not fit, lies outside of the point's limits, or would mean "no sensor" is refused with a ValueError in
words, and nothing is written.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping
from fractions import Fraction

from drivers.modbus_decode import decoder
from drivers.modbus_point import RegisterPoint
from gateway.model import Bad, Value
from gateway.units import KINDS

_MOST_INTEGER = 1 << 64


def encoded(point: RegisterPoint, value: Value) -> tuple[int, ...]:
    """The registers that hold `value`; ValueError, in words for who asked, if they cannot."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < math.inf:
        raise ValueError(f"must be a number, not {value!r}")
    if isinstance(value, int) and abs(value) > _MOST_INTEGER:
        raise ValueError("does not fit into any register")
    _check_limits(point, value)
    raw = (Fraction(repr(value)) - Fraction(repr(point.offset))) / Fraction(repr(point.scale))
    registers = _registers(point, _bits(point, raw))
    back = decoder(point)(registers, 0)
    match back:
        case Bad(reason):
            raise ValueError(f"{_shown(value)} is what the device says for: {reason}")
        case _ if back != value:
            raise ValueError(f"{_shown(value)} would become {back}: the device holds no value between")
    return registers


def _check_limits(point: RegisterPoint, value: float) -> None:
    least = -math.inf if point.minimum is None else point.minimum
    most = math.inf if point.maximum is None else point.maximum
    if not least <= value <= most:
        unit = KINDS[point.kind].unit
        raise ValueError(f"must be from {_shown(least)} to {_shown(most)} {unit}".rstrip() + f", not {_shown(value)}")


def _bits(point: RegisterPoint, raw: Fraction) -> int:
    """The registers as one unsigned number; `raw` is what they are to spell."""
    if point.type in _FLOATS:
        return _FLOATS[point.type](raw)
    if raw.denominator != 1:
        raise ValueError(f"must be in steps of {_shown(abs(point.scale))}")
    bits = _INTEGERS[point.type](raw.numerator)
    if bits is None:
        raise ValueError(f"does not fit into {point.type}")
    return bits


def _registers(point: RegisterPoint, bits: int) -> tuple[int, ...]:
    """One unsigned number as registers, in the point's order."""
    width = point.width
    form = struct.Struct(f"{'<' if point.order in ('BADC', 'DCBA') else '>'}{width}H")
    registers: tuple[int, ...] = form.unpack(bits.to_bytes(2 * width, "big"))
    return registers[::-1] if point.order in ("CDAB", "DCBA") else registers


def _signed(size: int) -> Callable[[int], int | None]:
    half = 1 << size - 1
    return lambda number: number & (1 << size) - 1 if -half <= number < half else None


def _unsigned(size: int) -> Callable[[int], int | None]:
    return lambda number: number if 0 <= number < 1 << size else None


def _bcd16(number: int) -> int | None:
    return int(str(number), 16) if 0 <= number <= 9999 else None


def _offset10000(number: int) -> int | None:
    if number >= 0:
        return number if number < 10000 else None
    return 10000 - number if 10000 - number <= 0xFFFF else None


def _sign_magnitude16(number: int) -> int | None:
    return abs(number) | (0x8000 if number < 0 else 0) if abs(number) <= 0x7FFF else None


def _float32(raw: Fraction) -> int:
    try:
        return int.from_bytes(struct.pack(">f", float(raw)), "big")
    except OverflowError:
        raise ValueError("does not fit into float32") from None


def _float64(raw: Fraction) -> int:
    try:
        return int.from_bytes(struct.pack(">d", float(raw)), "big")
    except OverflowError:
        raise ValueError("does not fit into float64") from None


_INTEGERS: Mapping[str, Callable[[int], int | None]] = {
    "int16": _signed(16),
    "uint16": _unsigned(16),
    "int32": _signed(32),
    "uint32": _unsigned(32),
    "int64": _signed(64),
    "uint64": _unsigned(64),
    "bcd16": _bcd16,
    "offset10000": _offset10000,
    "sign_magnitude16": _sign_magnitude16,
}
_FLOATS: Mapping[str, Callable[[Fraction], int]] = {"float32": _float32, "float64": _float64}


def _shown(number: float) -> str:
    """As a person writes it: 20, not 20.0."""
    return f"{number:.15g}"
