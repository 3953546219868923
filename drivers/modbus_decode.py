"""Modbus registers to values, point by point or a block at a time, and what is no value at all. Pure.

Invariants: a result is a finite number in the unit of its kind, what modbus_words.py makes, or Bad. What is called a
sentinel, or lies outside of the limits, is Bad. A point whose scale another point tells is Bad where that one is, and
where that one tells no scale that the profile knows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from operator import itemgetter
from typing import NamedTuple, TypeAlias

from drivers.modbus_number import SIGNED, Number, bits_of, fraction, number_of, rounds, scaling
from drivers.modbus_point import RegisterPoint, ScaleBy
from drivers.modbus_words import Decode, address, position, state, text
from gateway.model import Bad, Reason, Value

BlockDecode: TypeAlias = Callable[[Sequence[int]], dict[str, Value | Bad]]
"""From the same to the values of several points, by their names."""

Settle: TypeAlias = Callable[[dict[str, Value | Bad]], None]
"""Gives the values of all points of a device, by their names, the scales that others among them tell."""

_SEVERAL = 3  # points that are alike, from which on it pays to read them together
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
    """What reads `point`. All that depends on the point alone is worked out here, once.

    Where the scale depends on another point, it gives the number as it came: see `settler`.
    """
    if (other := _OTHERS.get(point.type)) is not None:
        return other(point)
    if point.scale_by is not None:
        return decoder(_unscaled(point))
    if (word := _word(point)) is not None:
        return word.decoder()
    sentinels, finished = _sentinels(point), _finish(point)
    bits, number, width = bits_of(point), number_of(point.type), point.width

    def decode(raw: Sequence[int], at: int) -> Value | Bad:
        found = bits(raw[at : at + width])
        spelled = None if found in sentinels else number(found)
        return _FAULT if spelled is None else finished(spelled)

    return decode


_OTHERS: Mapping[str, Callable[[RegisterPoint], Decode]] = {
    "bool": state,
    "bit": state,
    "ascii": text,
    "ipv4": address,
    "lat_lon_float32": position,
}
"""By type, what reads those that are no number."""


def settler(points: Mapping[str, RegisterPoint]) -> Settle:
    """What gives points their scale that is told by another point."""
    dependent = [(name, it.scale_by, _finish_by(it, it.scale_by)) for name, it in points.items() if it.scale_by]

    def settle(values: dict[str, Value | Bad]) -> None:
        for name, by, finish in dependent:
            number = values.get(name)
            if not isinstance(number, int | float):
                continue  # it is bad by itself
            told = values.get(by.point)
            if told is None:
                del values[name]  # this round did not come to its scale
            elif isinstance(told, Bad):
                values[name] = told
            else:
                finished = finish.get(told)
                values[name] = _OUTSIDE if finished is None else finished(number)

    return settle


def _finish_by(point: RegisterPoint, by: ScaleBy) -> Mapping[object, Callable[[Number], Value | Bad]]:
    return {told: _finish(replace(point, scale=scale, scale_by=None)) for told, scale in by.scales.items()}


def _unscaled(point: RegisterPoint) -> RegisterPoint:
    """The point as the device counts it."""
    return replace(point, scale_by=None, offset=0.0, decimals=None, minimum=None, maximum=None)


def _finish(point: RegisterPoint) -> Callable[[Number], Value | Bad]:
    """From the number that is spelled to the value, if it is one."""
    scaled, (least, most) = scaling(point), _limits(point)

    def finished(number: Number) -> Value | Bad:
        value = scaled(number)
        return value if least <= value <= most else _OUTSIDE  # what is infinite, or no number, is outside too

    return finished


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
    if point.scale_by is not None:
        return _word(_unscaled(point))
    if point.type not in ("uint16", "int16") or point.order not in ("ABCD", "CDAB") or rounds(point):
        return None
    return _Word(SIGNED.get(point.type, 0), *fraction(point), _sentinels(point), *_limits(point))


def _sentinels(point: RegisterPoint) -> frozenset[int]:
    """Its sentinels as bits."""
    return frozenset(sentinel & (1 << 16 * point.width) - 1 for sentinel in point.sentinels)


def _limits(point: RegisterPoint) -> tuple[float, float]:
    """Its least and its largest value."""
    least = -_LARGEST if point.minimum is None else point.minimum
    return least, _LARGEST if point.maximum is None else point.maximum
