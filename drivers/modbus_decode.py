"""Modbus registers to values: types, byte orders, scaling and what is no value at all. Pure.

Invariants: a result is a finite number in the unit of its kind, the word of a state, or Bad; it is the decimal that
the device meant (raw 245 at scale 0.1 is 24.5, the float32 0x43663334 is 230.2), never a neighbour of it.
Byte orders and types: vectors in tests/vectors/devices.json.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from operator import itemgetter
from typing import NamedTuple, TypeAlias

from drivers.modbus_profile import RegisterPoint
from gateway.model import Bad, Reason, Value
from gateway.units import STATE_WORDS

Decode: TypeAlias = Callable[[Sequence[int], int], Value | Bad]
"""From what a device answered, registers (0 to 65535) or bits (0 or 1), and the place in it where a point begins."""

BlockDecode: TypeAlias = Callable[[Sequence[int]], dict[str, Value | Bad]]
"""From the same to the values of several points, by their names."""

Number: TypeAlias = int | float

_SIGNED = {"int16": 0x8000, "int32": 1 << 31, "int64": 1 << 63}
_SEVERAL = 3  # points that are alike, from which on it pays to read them together
_FLOATS = ("float32", "float64")
_FAULT, _OUTSIDE = Bad(Reason.SENSOR_FAULT), Bad(Reason.OUT_OF_RANGE)
_LARGEST = math.nextafter(math.inf, 0.0)


def block_decoder(points: Iterable[tuple[str, int, RegisterPoint]]) -> BlockDecode:
    """What reads these points, each with its name and its place in the answer; those that are alike, at a glance."""
    alone: list[tuple[str, int, Decode]] = []
    alike: dict[_Word, list[tuple[str, int]]] = {}
    for name, at, point in points:
        if (word := _word(point)) is not None:
            alike.setdefault(word, []).append((name, at))
        else:
            alone.append((name, at, decoder(point)))
    groups = []
    for word, places in alike.items():
        if len(places) < _SEVERAL:
            alone += [(name, at, word.decoder()) for name, at in places]
        else:
            groups.append((tuple(name for name, _ in places), word.decoder_at([at for _, at in places])))

    def decode_block(raw: Sequence[int]) -> dict[str, Value | Bad]:
        values = {name: decode(raw, at) for name, at, decode in alone}
        for names, decode_all in groups:
            values.update(zip(names, decode_all(raw), strict=True))
        return values

    return decode_block


def decoder(point: RegisterPoint) -> Decode:
    """What reads `point`. All that depends on the point alone is worked out here, once."""
    if point.is_state:
        return _state(point)
    if (word := _word(point)) is not None:
        return word.decoder()
    sentinels, (least, most) = _sentinels(point), _limits(point)
    bits_of, number_of, scaled, width = _bits(point), _number(point.type), _scaling(point), point.width

    def decode(raw: Sequence[int], at: int) -> Value | Bad:
        bits = bits_of(raw[at : at + width])
        number = None if bits in sentinels else number_of(bits)
        if number is None:
            return _FAULT
        value = scaled(number)
        return value if least <= value <= most else _OUTSIDE  # what is infinite, or no number, is outside too

    return decode


class _Word(NamedTuple):
    """How an integer in one register is read: what most points are. What they do not have in common is their kind."""

    sign: int  # 0x8000 where the highest bit is one
    factor: int
    summand: int
    divisor: int
    sentinels: frozenset[int]
    least: float
    most: float

    def scaled(self, words: Sequence[int]) -> Sequence[Number]:
        """The values of `words`, be they sound or not."""
        sign, factor, summand, divisor, *_ = self
        if divisor != 1:
            return [(((word ^ sign) - sign) * factor + summand) / divisor for word in words]
        if (sign, factor, summand) != (0, 1, 0):
            return [((word ^ sign) - sign) * factor + summand for word in words]
        return words

    def decoder(self) -> Decode:
        """What reads one."""
        sign, factor, summand, divisor, sentinels, least, most = self
        whole = divisor == 1

        def decode(raw: Sequence[int], at: int) -> Value | Bad:
            word = raw[at]
            if word in sentinels:
                return _FAULT
            value = ((word ^ sign) - sign) * factor + summand
            scaled = value if whole else value / divisor
            return scaled if least <= scaled <= most else _OUTSIDE

        return decode

    def decoder_at(self, places: Sequence[int]) -> Callable[[Sequence[int]], Sequence[Value | Bad]]:
        """What reads those at `places`: together, unless there is one among them that is not sound."""
        decode, sentinels, least, most = self.decoder(), self.sentinels, self.least, self.most
        first, end = places[0], places[-1] + 1
        in_a_row = list(places) == list(range(first, end))
        pick = itemgetter(slice(first, end)) if in_a_row else itemgetter(*places)

        def decode_all(raw: Sequence[int]) -> Sequence[Value | Bad]:
            words = pick(raw)
            if sentinels.isdisjoint(words):
                values = self.scaled(words)
                if least <= min(values) and max(values) <= most:
                    return values
            return [decode(raw, at) for at in places]

        return decode_all


def _word(point: RegisterPoint) -> _Word | None:
    """How it is read, if it is an integer in one register, in the usual order, and not rounded."""
    if point.type not in ("uint16", "int16") or point.order not in ("ABCD", "CDAB") or _rounds(point):
        return None
    return _Word(_SIGNED.get(point.type, 0), *_fraction(point), _sentinels(point), *_limits(point))


def _sentinels(point: RegisterPoint) -> frozenset[int]:
    """Its sentinels as bits."""
    return frozenset(sentinel & (1 << 16 * point.width) - 1 for sentinel in point.sentinels)


def _limits(point: RegisterPoint) -> tuple[float, float]:
    """Its least and its largest value."""
    least = -_LARGEST if point.minimum is None else point.minimum
    return least, _LARGEST if point.maximum is None else point.maximum


def _state(point: RegisterPoint) -> Decode:
    """The word for the bit that is meant."""
    words = STATE_WORDS[point.kind]
    off, on = words[point.inverted], words[not point.inverted]
    shift, mask = (0, 0xFFFF) if point.bit is None else (point.bit, 1)
    return lambda raw, at: on if raw[at] >> shift & mask else off


def _bits(point: RegisterPoint) -> Callable[[Sequence[int]], int]:
    """The registers as one unsigned number."""
    if point.width == 1 and point.order in ("ABCD", "CDAB"):
        return lambda raw: raw[0]
    step = -1 if point.order in ("CDAB", "DCBA") else 1
    pack = struct.Struct(f"{'<' if point.order in ('BADC', 'DCBA') else '>'}{point.width}H").pack
    return lambda raw: int.from_bytes(pack(*raw[::step]), "big")


def _number(kind: str) -> Callable[[int], Number | None]:
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
    sign = _SIGNED.get(kind, 0)
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


def _scaling(point: RegisterPoint) -> Callable[[Number], Number]:
    """`number * scale + offset`, freed of what binary fractions add to it."""
    scale, offset, decimals = point.scale, point.offset, point.decimals
    if point.type in _FLOATS:
        return _float_scaling(scale, offset, decimals)
    factor, summand, divisor = _fraction(point)
    if not _rounds(point):
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


def _fraction(point: RegisterPoint) -> tuple[int, int, int]:
    """`number * scale + offset` as (number * factor + summand) / divisor, all integers.

    The quotient of two integers is the nearest float there is: 245 / 10 is 24.5, and 3 / 10 is 0.3.
    """
    divisor = 10 ** max(_places(point), point.decimals or 0)
    return int(Decimal(repr(point.scale)) * divisor), int(Decimal(repr(point.offset)) * divisor), divisor


def _rounds(point: RegisterPoint) -> bool:
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
        try:
            if struct.pack(">f", decimal) == struct.pack(">f", single):
                return decimal + 0.0
        except OverflowError:  # rounded up beyond the largest float32
            continue
    return float(f"{single:.9g}") + 0.0
