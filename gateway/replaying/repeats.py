"""Points that were recorded when they moved, held at what was recorded last. Pure.

The hub judges every reading, the journal has what was worth a record (refine/exception.py): a point with a limit for
that has been there, unmoved, from one record to the next, unless it was recorded as bad, or nothing came for longer
than its `max_every`. To rules on silence and on changes that is not the same as no value; for them it is repeated.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush
from math import floor, inf
from typing import NamedTuple

from gateway.hub.plan import Plan
from gateway.model import Reading, Value
from gateway.replaying.missing import LAG_S
from gateway.rules.condition import Changes, SilentFor

_TO_SILENCE, _TO_CHANGE = 2, 60
"""So often within the time of a rule, and no more often than the point was read, at the times at which it was.

Twice within a silence, so that what is due to be found silent is looked for as seldom as in the daemon.
"""


class _Pace(NamedTuple):
    """How often a point is repeated, for how long, and how often it was read (s)."""

    interval_s: float
    hold_s: float
    every_s: float


class _Held(NamedTuple):
    value: Value
    last: float  # when (monotonic s) it was recorded or repeated
    until: float


class Repeats:
    """The points of a plan that need it. `wake`: when (monotonic s) one is to be repeated."""

    def __init__(self, plan: Plan) -> None:
        self._paces = _paces(plan)
        self._held: dict[tuple[str, str], _Held] = {}
        self._due: list[tuple[float, str, str]] = []
        self._queued: set[tuple[str, str]] = set()
        self.devices = self._paces.keys()
        self.wake = inf

    @property
    def points(self) -> int:
        """How many points are held."""
        return sum(map(len, self._paces.values()))

    def begin(self) -> None:
        """Another run: what an earlier one has read is old."""
        self._held.clear()
        self._due.clear()
        self._queued.clear()
        self.wake = inf

    def before(self, reading: Reading) -> Iterator[Reading]:
        """What was there right before a reading of one of `devices`, which is remembered."""
        for name, pace in self._paces[reading.device].items():
            if name not in reading.values and name not in reading.bad:
                continue
            key = reading.device, name
            held = self._held.pop(key, None)
            at = reading.mono - pace.every_s
            if held is not None and held.last + pace.every_s / 2 < at <= held.until:
                yield Reading(reading.device, at, _shifted(reading, at), {name: held.value}, {})
            if name in reading.values:
                self._held[key] = _Held(reading.values[name], reading.mono, reading.mono + pace.hold_s)
                if key not in self._queued:
                    self._push(reading.mono + pace.interval_s + min(LAG_S, pace.every_s / 2), key)

    def due(self, at: float, ts: int) -> Iterator[Reading]:
        """What is known at the monotonic time `at`, which is `ts` (UTC ms), to have been there a moment before."""
        found: dict[tuple[str, float], dict[str, Value]] = {}  # of one device and time together
        while self._due and self._due[0][0] <= at:
            _, device, name = heappop(self._due)
            self._queued.discard((device, name))
            held, pace = self._held.get((device, name)), self._paces[device][name]
            if held is None:
                continue
            was = held.last + pace.interval_s
            lag_s = min(LAG_S, pace.every_s / 2)
            if was + lag_s > at:
                self._push(was + lag_s, (device, name))
            elif was > held.until:
                del self._held[device, name]
            else:
                self._held[device, name] = held._replace(last=was)
                self._push(was + pace.interval_s + lag_s, (device, name))
                found.setdefault((device, was), {})[name] = held.value
        self.wake = self._due[0][0] if self._due else inf
        for (device, was), values in found.items():
            yield Reading(device, was, ts - round((at - was) * 1000), values, {})

    def _push(self, at: float, key: tuple[str, str]) -> None:
        heappush(self._due, (at, *key))
        self._queued.add(key)
        self.wake = self._due[0][0]


def _shifted(reading: Reading, mono: float) -> int:
    return reading.ts - round((reading.mono - mono) * 1000)


def _paces(plan: Plan) -> dict[str, dict[str, _Pace]]:
    found: dict[str, dict[str, _Pace]] = {}
    for rule, targets in plan.rules:
        match rule.condition:
            case SilentFor(seconds):
                wanted_s = seconds / _TO_SILENCE
            case Changes(_, within_s):
                wanted_s = within_s / _TO_CHANGE
            case _:
                continue
        for target in targets:
            limit = plan.limits.get(target.device, {}).get(target.point)
            if limit is None:
                continue
            every_s = plan.every_s[target.device]
            of_device = found.setdefault(target.device, {})
            known_s = of_device[target.point].interval_s if target.point in of_device else inf
            interval_s = min(known_s, every_s * max(1, floor(wanted_s / every_s)))
            of_device[target.point] = _Pace(interval_s, limit.max_every_s + every_s, every_s)
    return found
