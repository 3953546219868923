"""Report by exception: which points of a reading are worth a record, because they moved or because time has passed.

- Every point is looked at by itself; a record carries those that are worth it, and there is none if no point is.
- A point with a Limit is recorded when it has moved by more than the deadband from what was recorded last (a word or a
  position: when it differs), and again after `max_every_s`, so that silence is never taken for "no change".
- A point without one is recorded at each reading. A point that stays bad is recorded when its reason changes and again
  after `REPEAT_S`; the first good value after that always is.
- What is recorded is also sent, unless the point has a second Limit for sending: then it is sent when it has left that
  one, and recorded with it. What is recorded only is `local`. Of what is bad, of the first good value, and of a point
  whose alarm has just changed, nothing is local.
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


class Thinning(NamedTuple):
    """When a position is a record, in place of a deadband (thinning.py): metres, degrees, seconds.

    `speed` and `course`: the points beside it that tell how it moves; "" where there are none.
    """

    distance_m: float = 200.0
    turn: float = 10.0
    moving_every_s: float = 30.0
    resting_every_s: float = 300.0
    speed: str = ""
    course: str = ""


class Sending(NamedTuple):
    """As Limit, for what of it is sent."""

    deadband: float
    max_every_s: float


class Limit(NamedTuple):
    """A change up to `deadband` (in the point's unit) is none; after `max_every_s` seconds a record is due anyway."""

    deadband: float = 0.0
    max_every_s: float = REPEAT_S
    sending: Sending | None = None  # None: all that is recorded is sent
    thinning: Thinning | None = None  # of a position
    sent_thinning: Thinning | None = None  # of what of it is sent; None: all that is recorded is
    follows: bool = False  # it is recorded with a position that has a Thinning


class Worth(NamedTuple):
    """What of a reading is recorded: the points that are sent, and those that are not; None where there are none."""

    sent: Reading | None
    local: Reading | None


_NOTHING = Worth(None, None)


class _Last(NamedTuple):
    """What was recorded (or sent) last, and when it is again; numbers from `low` to `high` are no change."""

    due: float
    value: Value
    low: float = inf
    high: float = -inf

    def is_left_by(self, value: Value, mono: float) -> bool:
        """Whether `value` is a change, or time has passed at the moment `mono`."""
        if mono >= self.due:
            return True
        return not (isinstance(value, _NUMBER) and self.low <= value <= self.high) and value != self.value


class Reporter:
    """What of one device was recorded. `limits` by point; `every_s`: between readings, which jitter by less than half.

    Owned and changed by the hub alone.
    """

    def __init__(self, limits: Mapping[str, Limit], every_s: float) -> None:
        self._limits = limits
        self._slack_s = every_s / 2
        self._recorded: dict[str, _Last] = {}  # of the points with a Limit
        self._sent: dict[str, _Last] = {}  # of the points with one for sending
        self._bad: dict[str, tuple[Reason, float]] = {}  # of the points that were bad in their last record
        self._urgent: set[str] = set()

    def urge(self, point: str) -> None:
        """An alarm on this point has changed: its next value is recorded and sent, moved or not."""
        if point in self._limits:
            self._urgent.add(point)

    def was_bad(self, point: str) -> bool:
        """Whether the point was bad in its last record; from now on it counts as good."""
        return self._bad.pop(point, None) is not None

    def worth(self, reading: Reading) -> Worth:
        """The points that are worth a record now, which count as recorded, those that are sent as sent."""
        if not self._limits and not self._bad and not reading.bad:
            return Worth(reading, None) if reading.values else _NOTHING
        recorded, mono = self._recorded, reading.mono
        sent: dict[str, Value] = {}
        local: dict[str, Value] = {}
        for name, value in reading.values.items():
            limit = self._limits.get(name)
            if limit is None:
                sent[name] = value
                self._bad.pop(name, None)
                continue
            last = recorded.get(name)
            is_change = last is None or last.is_left_by(value, mono)
            if self._is_to_be_sent(name, limit.sending, value, mono, is_change):
                sent[name] = value
            elif is_change:
                local[name] = value
            else:
                continue
            recorded[name] = self._last(limit.deadband, limit.max_every_s, value, mono)
            self._bad.pop(name, None)
        bad = {name: reason for name, reason in reading.bad.items() if self._is_news(name, reason, mono)}
        return Worth(
            reading._replace(values=sent, bad=bad) if sent or bad else None,
            reading._replace(values=local, bad={}) if local else None,
        )

    def _is_to_be_sent(self, name: str, sending: Sending | None, value: Value, mono: float, is_change: bool) -> bool:
        """Whether it is sent now, and then counts as sent."""
        if sending is not None:
            last = self._sent.get(name)
            is_change = last is None or last.is_left_by(value, mono)
        if self._urgent and name in self._urgent:
            self._urgent.discard(name)
            is_change = True
        if is_change and sending is not None:
            self._sent[name] = self._last(*sending, value, mono)
        return is_change

    def _last(self, deadband: float, max_every_s: float, value: Value, mono: float) -> _Last:
        due = mono + max(max_every_s - self._slack_s, self._slack_s)
        if deadband and isinstance(value, int | float):
            return _Last(due, value, value - deadband * _NO_STEP, value + deadband * _NO_STEP)
        return _Last(due, value)

    def _is_news(self, name: str, reason: Reason, mono: float) -> bool:
        last = self._bad.get(name)
        if last is not None and last[0] is reason and mono < last[1] + REPEAT_S - self._slack_s:
            return False
        self._bad[name] = reason, mono
        self._recorded.pop(name, None)
        self._sent.pop(name, None)
        return True
