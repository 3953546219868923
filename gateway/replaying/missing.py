"""Points that have no good value: since when, and what the rules were told of them at each poll. Pure.

What stays bad is recorded once, and again after a minute, whatever was polled meanwhile (refine/exception.py); the
first good value is recorded always. The hub judges each poll: a point is unknown when it has been without a good value
for the patience that its alarms have. So a bad point is repeated until then; and one that is recorded when it moves
counts as good until right before it was bad.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import inf
from typing import NamedTuple

from gateway.hub.plan import Plan
from gateway.hub.points import Points
from gateway.model import Reading, Reason
from gateway.rules.condition import AtLeast

LAG_S = 0.25
"""How long after its time a poll is repeated, if nothing else is known of it by then; at most half an interval."""


class _Bad(NamedTuple):
    reason: Reason
    heard: float  # when (monotonic s) the last good value was there
    next: float  # when it is repeated
    until: float


class Missing:
    """The points of a plan's rules. `wake`: when (monotonic s) a bad one is to be repeated."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._patience_s = _patience_s(plan)
        self._bad: dict[str, dict[str, _Bad]] = {}  # by device and point
        self._points: Points
        self.wake = inf
        self.begin()

    def begin(self) -> None:
        """Another run: nothing is known."""
        self._points = Points(self._plan.about.devices, self._plan.every_s)
        self._bad.clear()
        self.wake = inf

    def take(self, reading: Reading) -> None:
        """A reading, before the rules have it."""
        self._points.take(reading)
        if self._bad and reading.device in self._bad:
            of_device = self._bad[reading.device]
            for name in of_device.keys() & reading.values.keys():
                del of_device[name]
            if not of_device:
                del self._bad[reading.device]
        for name, reason in reading.bad.items() if reading.bad else ():
            patience_s = self._patience_s.get((reading.device, name))
            if patience_s is not None and name not in self._bad.get(reading.device, ()):
                heard = self._heard_before(name, reading)
                after = reading.mono + self._plan.every_s[reading.device]
                bad = _Bad(reason, heard, after, heard + patience_s + self._plan.every_s[reading.device])
                self._bad.setdefault(reading.device, {})[name] = bad
                self._wait_for(reading.device, bad)

    def heard(self, device: str, point: str) -> float:
        """When (monotonic s) a point had its last good value."""
        bad = self._bad.get(device, {}).get(point)
        return self._points.heard(device, point) if bad is None else bad.heard

    def due(self, at: float, ts: int) -> Iterator[Reading]:
        """What was still bad a moment before the monotonic time `at`, which is `ts` (UTC ms)."""
        self.wake = inf
        for device, of_device in self._bad.items():
            every_s = self._plan.every_s[device]
            found: dict[tuple[float, Reason], dict[str, Reason]] = {}
            for name, bad in of_device.items():
                if bad.next + _lag_s(every_s) <= at and bad.next <= bad.until:
                    found.setdefault((bad.next, bad.reason), {})[name] = bad.reason
                    of_device[name] = bad._replace(next=bad.next + every_s)
                self._wait_for(device, of_device[name])
            for (was, _), reasons in found.items():
                yield Reading(device, was, ts - round((at - was) * 1000), {}, reasons)

    def _wait_for(self, device: str, bad: _Bad) -> None:
        if bad.next <= bad.until:
            self.wake = min(self.wake, bad.next + _lag_s(self._plan.every_s[device]))

    def _heard_before(self, name: str, reading: Reading) -> float:
        device = reading.device
        recorded, every_s = self._points.heard(device, name), self._plan.every_s[device]
        limit = self._plan.limits.get(device, {}).get(name)
        if limit is None or recorded == -inf:
            return recorded
        return max(recorded, min(reading.mono - every_s, recorded + limit.max_every_s + every_s))


def _lag_s(every_s: float) -> float:
    return min(LAG_S, every_s / 2)


def _patience_s(plan: Plan) -> dict[tuple[str, str], float]:
    """For each point of a rule how long it may be missing at most before it is unknown to all of its alarms."""
    found: dict[tuple[str, str], float] = {}
    for rule, targets in plan.rules:
        for target in targets:
            for place in rule.condition.terms if isinstance(rule.condition, AtLeast) else (target,):
                key = place.device, place.point
                found[key] = max(target.patience_s, found.get(key, 0.0))
    return found
