"""Report by exception: which points of a reading are worth a record, because they moved or because time has passed.

- Every point is looked at by itself; a record carries those that are worth it, and there is none if no point is.
- A point with a Limit is recorded when it has moved by more than the deadband from what was recorded last (a word or a
  position: when it differs), and again after `max_every_s`, so that silence is never taken for "no change".
- A point without one is recorded at each reading. A point that stays bad is recorded when its reason changes and again
  after `REPEAT_S`; the first good value after that always is.
- Judging sees every reading.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import NamedTuple

from gateway.model import Reading, Reason, Value

REPEAT_S = 60.0
"""Seconds after which an unchanged state or a point that stays bad is recorded again."""


_NO_STEP = 1.000001  # 4.2 - 4.0 is a little more than 0.2 in binary, and 0.2 to whoever wrote it


_NUMBER = (float, int)  # by itself, since `float | int` would be made anew for each value


class Limit(NamedTuple):
    """A change up to `deadband` (in the point's unit) is none; after `max_every_s` seconds a record is due anyway."""

    deadband: float = 0.0
    max_every_s: float = REPEAT_S


class _Recorded(NamedTuple):
    """What was recorded last, and when it is recorded again; numbers from `low` to `high` are no change."""

    due: float
    value: Value
    low: float = inf
    high: float = -inf

    def has(self, value: Value) -> bool:
        """Whether `value` is no change."""
        return (isinstance(value, _NUMBER) and self.low <= value <= self.high) or value == self.value


class Reporter:
    """What of one device was recorded. `limits` by point; `every_s`: between readings, which jitter by less than half.

    Owned and changed by the hub alone.
    """

    def __init__(self, limits: Mapping[str, Limit], every_s: float) -> None:
        self._limits = limits
        self._slack_s = every_s / 2
        self._values: dict[str, _Recorded] = {}  # of the points with a Limit
        self._bad: dict[str, tuple[Reason, float]] = {}  # of the points that were bad in their last record

    def worth(self, reading: Reading) -> Reading | None:
        """The reading with the points that are worth a record now, which count as recorded; None if there are none."""
        if not self._limits and not self._bad and not reading.bad:
            return reading if reading.values else None
        known, mono = self._values, reading.mono
        values: dict[str, Value] = {}
        for name, value in reading.values.items():
            last = known.get(name)
            if last is not None and mono < last.due and last.has(value):
                continue
            values[name] = value
            if name in self._limits:
                known[name] = self._recorded(self._limits[name], value, mono)
            self._bad.pop(name, None)
        bad = {name: reason for name, reason in reading.bad.items() if self._is_news(name, reason, mono)}
        return reading._replace(values=values, bad=bad) if values or bad else None

    def _recorded(self, limit: Limit, value: Value, mono: float) -> _Recorded:
        due = mono + max(limit.max_every_s - self._slack_s, self._slack_s)
        if limit.deadband and isinstance(value, int | float):
            return _Recorded(due, value, value - limit.deadband * _NO_STEP, value + limit.deadband * _NO_STEP)
        return _Recorded(due, value)

    def _is_news(self, name: str, reason: Reason, mono: float) -> bool:
        last = self._bad.get(name)
        if last is not None and last[0] is reason and mono < last[1] + REPEAT_S - self._slack_s:
            return False
        self._bad[name] = reason, mono
        self._values.pop(name, None)
        return True
