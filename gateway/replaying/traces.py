"""The values of a point over time, as few enough places to be drawn. Pure; bounded, however long the time is.

Time is cut into slices, of each of which the lowest and the highest value are kept; when there are too many of them,
each two become one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import inf
from typing import NamedTuple

from gateway.model import Reading, Value

_SLICES = 720
_FIRST_MS = 1_000
_WORDS = 12


class Slice(NamedTuple):
    """The lowest and the highest value from `ts` (UTC ms) on, for `length_ms`."""

    ts: int
    length_ms: int
    low: float
    high: float


class Trace:
    """One point, from `from_ts` (UTC ms) on. Words are numbered in `words` as they come."""

    def __init__(self, from_ts: int) -> None:
        self._from_ts = from_ts
        self._length_ms = _FIRST_MS
        self._lows: list[float] = []
        self._highs: list[float] = []
        self.words: dict[str, int] = {}

    def take(self, ts: int, value: Value) -> None:
        """A value; positions are no such thing, and are passed over."""
        number = self._number(value)
        if number is None:
            return
        place = max(0, ts - self._from_ts) // self._length_ms
        while place >= _SLICES:
            self._halve()
            place //= 2
        lows, highs = self._lows, self._highs
        if place >= len(lows):
            missing = place + 1 - len(lows)
            lows.extend([inf] * missing)
            highs.extend([-inf] * missing)
        lows[place] = min(lows[place], number)
        highs[place] = max(highs[place], number)

    def slices(self) -> Iterator[Slice]:
        """Those with values, in their order."""
        for place, (low, high) in enumerate(zip(self._lows, self._highs, strict=True)):
            if low <= high:
                yield Slice(self._from_ts + place * self._length_ms, self._length_ms, low, high)

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


class Traces:
    """The points of rules, by device."""

    def __init__(self, points: Iterable[tuple[str, str]], from_ts: int) -> None:
        self._by_device: dict[str, dict[str, Trace]] = {}
        for device, point in points:
            self._by_device.setdefault(device, {})[point] = Trace(from_ts)

    def take(self, readings: Iterable[Reading]) -> None:
        """Readings in their order."""
        for reading in readings:
            of_device = self._by_device.get(reading.device)
            for name in of_device.keys() & reading.values.keys() if of_device is not None else ():
                of_device[name].take(reading.ts, reading.values[name])  # type: ignore[index]  # it is not None here

    def of(self, device: str, point: str) -> Trace | None:
        """What is known of a point."""
        return self._by_device.get(device, {}).get(point)
