"""Thinning of a track: which positions of a vehicle are worth a record, and what of the same reading goes with them.

- A position is kept when the vehicle is `distance_m` from the last one kept, or its course is `turn` degrees from that
  at the last one (faster than 3 m/s), or after `moving_every_s`; where it has not left a circle of 30 m, after
  `resting_every_s`. Always: the first, the first after a bad one, one at which a word of the device changes (motion,
  fence), and the next one after an alarm was raised or cleared anywhere.
- What follows a position (speed, odometer, motion, ...) is recorded with it; where there is none, when a word changes,
  and now and then.
- A vehicle whose course is the direction in which it moves is never farther from the straight line between two records
  than half of `distance_m` times tan(`turn`), and the way between two readings: 18 m and 25 m at 90 km/h. Slower than
  3 m/s no course is looked at: then it is what the vehicle can go in `moving_every_s`, 90 m at most.
- What of it is sent may be thinned more (Limit.sent_thinning); then the rest is `local`, as elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import inf
from typing import NamedTuple

from gateway.derive.geo import Position, bearing, distance, turn
from gateway.model import Reading, Value
from gateway.refine.exception import Limit, Reporter, Thinning, Worth

STEERING_M_S = 3.0
"""Slower than this a course says nothing."""

STILL_M = 30.0

_NO_STEP = 1.000001  # 199.9999999 m are 200 to whoever drove them


class _Seen(NamedTuple):
    """Where a vehicle is, in which direction it moves (None: slowly, or nobody knows), at `mono`."""

    position: Position
    course: float | None
    mono: float


class _Thinned:
    """One thinned stream of positions: those that are recorded, or those that are sent."""

    def __init__(self, thinning: Thinning, slack_s: float) -> None:
        self._thinning = thinning
        self._slack_s = slack_s
        self.last: _Seen | None = None

    def is_left_by(self, seen: _Seen) -> bool:
        """Whether this one is to be kept."""
        last, thinning = self.last, self._thinning
        if last is None:
            return True
        way = distance(last.position, seen.position)
        if way * _NO_STEP >= thinning.distance_m or self.is_due(seen.mono, moving=way > STILL_M):
            return True
        if seen.course is None:
            return False
        return last.course is None or abs(turn(last.course, seen.course)) >= thinning.turn

    def is_due(self, mono: float, *, moving: bool) -> bool:
        """Whether it is time for a record."""
        every_s = self._thinning.moving_every_s if moving else self._thinning.resting_every_s
        return self.last is None or mono - self.last.mono >= max(every_s - self._slack_s, self._slack_s)


class TrackReporter:
    """What of a device with a thinned position was recorded. Owned and changed by the hub alone."""

    def __init__(self, limits: Mapping[str, Limit], every_s: float) -> None:
        self._position, limit = next((name, each) for name, each in limits.items() if each.thinning is not None)
        thinning = limit.thinning or Thinning()
        slack_s = every_s / 2
        self._speed, self._course = thinning.speed, thinning.course
        self._recorded = _Thinned(thinning, slack_s)
        self._sent = None if limit.sent_thinning is None else _Thinned(limit.sent_thinning, slack_s)
        self._track = frozenset(name for name, each in limits.items() if each.follows) | {self._position}
        self._others = Reporter({name: each for name, each in limits.items() if name not in self._track}, every_s)
        self._words: dict[str, str] = {}  # of those that follow, as they were recorded
        self._before: _Seen | None = None
        self._alone = -inf  # when what follows a position was recorded without one
        self._alone_s = max(thinning.moving_every_s - slack_s, slack_s)
        self._urgent = False

    def urge(self, point: str) -> None:
        """An alarm on this point has changed: its next value is recorded and sent."""
        self._others.urge(point)

    def urge_position(self) -> None:
        """An alarm has changed somewhere: where that was is recorded and sent."""
        self._urgent = True

    def worth(self, reading: Reading) -> Worth:
        """The points that are worth a record now, which count as recorded, those that are sent as sent."""
        position = reading.values.get(self._position)
        track = {name: value for name, value in reading.values.items() if name in self._track}
        rest = {name: value for name, value in reading.values.items() if name not in track}
        others = self._others.worth(reading._replace(values=rest))
        is_news = self._is_news(track)
        if not isinstance(position, tuple):
            is_due = reading.mono >= self._alone + self._alone_s and self._recorded.is_due(reading.mono, moving=True)
            if not track or not (is_news or is_due):
                return others
            self._alone = reading.mono
            return self._with(others, reading, track, is_sent=True)
        seen = self._seen(position, reading)
        is_news = is_news or self._urgent
        is_kept = is_news or self._recorded.is_left_by(seen)
        is_sent = is_news or (is_kept if self._sent is None else self._sent.is_left_by(seen))
        if not is_kept and not is_sent:
            return others
        self._recorded.last = seen
        if is_sent:
            self._urgent = False
            if self._sent is not None:
                self._sent.last = seen
        return self._with(others, reading, track, is_sent=is_sent)

    def _is_news(self, track: Mapping[str, Value]) -> bool:
        """Whether a word is another: a start, a stop, a fence; or something is good again."""
        back = [name for name in track if self._others.was_bad(name)]
        return back != [] or any(self._words.get(name) != value for name, value in _words(track))

    def _with(self, others: Worth, reading: Reading, track: Mapping[str, Value], *, is_sent: bool) -> Worth:
        """The others, and the points of the track, in the order of the reading."""
        self._words.update(_words(track))
        part = others.sent if is_sent else others.local
        beside = {} if part is None else part.values
        values = {name: value for name, value in reading.values.items() if name in track or name in beside}
        whole = reading._replace(values=values, bad={} if part is None else part.bad)
        return others._replace(sent=whole) if is_sent else others._replace(local=whole)

    def _seen(self, position: Position, reading: Reading) -> _Seen:
        """With the course that the reading tells, or that its positions do."""
        before, self._before = self._before, _Seen(position, None, reading.mono)
        speed, course = (_number(reading.values.get(name)) for name in (self._speed, self._course))
        if speed is None and before is not None:
            way = distance(before.position, position)
            speed = way / max(1.0, reading.mono - before.mono)
            course = bearing(before.position, position) if way > 0 else None
        return _Seen(position, course if speed is not None and speed > STEERING_M_S else None, reading.mono)


def _words(track: Mapping[str, Value]) -> Iterator[tuple[str, str]]:
    return ((name, value) for name, value in track.items() if isinstance(value, str))


def _number(value: Value | None) -> float | None:
    return float(value) if isinstance(value, int | float) and -inf < value < inf else None


def reporter_of(limits: Mapping[str, Limit], every_s: float) -> Reporter | TrackReporter:
    """The reporter of a device with these limits."""
    is_track = any(limit.thinning is not None for limit in limits.values())
    return TrackReporter(limits, every_s) if is_track else Reporter(limits, every_s)
