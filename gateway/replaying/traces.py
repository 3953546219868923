"""The values of a point over time, as few enough places to be drawn. Pure; bounded, however long the time is.

Time is cut into slices, of each of which the lowest and the highest value are kept; when there are too many of them,
each two become one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import inf
from typing import NamedTuple

from gateway.model import Value
from gateway.replaying.heard import Heard

_SLICES = 720
_FIRST_MS = 1_000
_WORDS = 12


class Slice(NamedTuple):
    """The lowest and the highest value from `ts` (UTC ms) on, for `length_ms`.

    `is_new`: between the slice before and this one there was a time without a value.
    """

    ts: int
    length_ms: int
    low: float
    high: float
    is_new: bool = False


class Trace:
    """One point, from `from_ts` (UTC ms) on. Words are numbered in `words` as they come."""

    def __init__(self, from_ts: int) -> None:
        self._from_ts = from_ts
        self._length_ms = _FIRST_MS
        self._lows: list[float] = []
        self._highs: list[float] = []
        self._breaks: set[int] = set()  # places behind which there was a time without a value
        self.words: dict[str, int] = {}

    def take(self, ts: int, value: Value) -> None:
        """A value; positions are no such thing, and are passed over."""
        number = self._number(value)
        if number is None:
            return
        place = self._place(ts)
        if place in self._breaks:  # it was over within this one
            self._breaks.discard(place)
            self._breaks.add(place - 1)
        lows, highs = self._lows, self._highs
        if place >= len(lows):
            missing = place + 1 - len(lows)
            lows.extend([inf] * missing)
            highs.extend([-inf] * missing)
        lows[place] = min(lows[place], number)
        highs[place] = max(highs[place], number)

    def missed(self, ts: int) -> None:
        """There was no value at that time, or none after it for a while."""
        self._breaks.add(self._place(ts))

    def slices(self) -> Iterator[Slice]:
        """Those with values, in their order."""
        is_new = True
        for place, (low, high) in enumerate(zip(self._lows, self._highs, strict=True)):
            if low <= high:
                yield Slice(self._from_ts + place * self._length_ms, self._length_ms, low, high, is_new)
                is_new = False
            is_new = is_new or place in self._breaks

    def _place(self, ts: int) -> int:
        place = max(0, ts - self._from_ts) // self._length_ms
        while place >= _SLICES:
            self._halve()
            place //= 2
        return place

    def _number(self, value: Value) -> float | None:
        if isinstance(value, bool):
            return float(value)
        if isinstance(value, int | float):
            return value
        if isinstance(value, str):
            return self.words.setdefault(value, len(self.words)) if len(self.words) < _WORDS else self.words.get(value)
        return None

    def _halve(self) -> None:
        self._length_ms *= 2
        lows, highs = self._lows, self._highs
        self._lows = [min(lows[place : place + 2]) for place in range(0, len(lows), 2)]
        self._highs = [max(highs[place : place + 2]) for place in range(0, len(highs), 2)]
        self._breaks = {_halved(place, lows) for place in self._breaks}


def _halved(place: int, lows: list[float]) -> int:
    """Where a break is when each two slices become one: before that one, if there are values in its second half."""
    second = place + 1
    return place // 2 - (place % 2 == 0 and second < len(lows) and lows[second] < inf)


_NONE: dict[str, Trace] = {}


class Traces:
    """The points of rules, by device."""

    def __init__(self, points: Iterable[tuple[str, str]], from_ts: int) -> None:
        self._by_device: dict[str, dict[str, Trace]] = {}
        self._run, self._last_ts = "", from_ts
        for device, point in points:
            self._by_device.setdefault(device, {})[point] = Trace(from_ts)

    def take(self, heard: Heard) -> None:
        """Readings in their order; between two runs there is nothing."""
        if heard.run != self._run and self._run:
            for trace in (trace for of_device in self._by_device.values() for trace in of_device.values()):
                trace.missed(self._last_ts)
        for reading in heard.readings:
            of_device = self._by_device.get(reading.device, _NONE)
            for name in of_device.keys() & reading.values.keys():
                of_device[name].take(reading.ts, reading.values[name])
            for name in of_device.keys() & reading.bad.keys() if reading.bad else ():
                of_device[name].missed(reading.ts)
        self._run, self._last_ts = heard.run, heard.readings[-1].ts

    def of(self, device: str, point: str) -> Trace | None:
        """What is known of a point."""
        return self._by_device.get(device, {}).get(point)
