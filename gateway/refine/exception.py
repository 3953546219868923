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
from typing import NamedTuple

from gateway.model import Reading, Reason, Value

REPEAT_S = 60.0
"""Seconds after which an unchanged state or a point that stays bad is recorded again."""


_NO_STEP = 1.000001  # 4.2 - 4.0 is a little more than 0.2 in binary, and 0.2 to whoever wrote it


class Limit(NamedTuple):
    """A change up to `deadband` (in the point's unit) is none; after `max_every_s` seconds a record is due anyway."""

    deadband: float = 0.0
    max_every_s: float = REPEAT_S


class Reporter:
    """What of one device was recorded. `limits` by point; `every_s`: between readings, which jitter by less than half.

    Owned and changed by the hub alone.
    """

    def __init__(self, limits: Mapping[str, Limit], every_s: float) -> None:
        self._limits = limits
        self._slack_s = every_s / 2
        self._values: dict[str, tuple[Value, float]] = {}  # with a Limit: what was recorded last, and when (monotonic)
        self._bad: dict[str, tuple[Reason, float]] = {}  # of the points that were bad in their last record

    def worth(self, reading: Reading) -> Reading | None:
        """The reading with the points that are worth a record now, which count as recorded; None if there are none."""
        if not self._limits and not self._bad and not reading.bad:
            return reading if reading.values else None
        values = {name: value for name, value in reading.values.items() if self._says_more(name, value, reading.mono)}
        bad = {name: reason for name, reason in reading.bad.items() if self._is_news(name, reason, reading.mono)}
        return reading._replace(values=values, bad=bad) if values or bad else None

    def _says_more(self, name: str, value: Value, mono: float) -> bool:
        was_bad = self._bad.pop(name, None) is not None
        limit = self._limits.get(name)
        if limit is None:
            return True
        last = None if was_bad else self._values.get(name)
        if last is not None and not _moved(value, last[0], limit.deadband):
            due = last[1] + max(limit.max_every_s - self._slack_s, self._slack_s)
            if mono < due:
                return False
        self._values[name] = value, mono
        return True

    def _is_news(self, name: str, reason: Reason, mono: float) -> bool:
        last = self._bad.get(name)
        if last is not None and last[0] is reason and mono < last[1] + REPEAT_S - self._slack_s:
            return False
        self._bad[name] = reason, mono
        return True


def _moved(value: Value, last: Value, deadband: float) -> bool:
    if deadband and isinstance(value, int | float) and isinstance(last, int | float):
        return abs(value - last) > deadband * _NO_STEP
    return value != last
