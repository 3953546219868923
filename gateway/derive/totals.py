"""The totals of counters, and how many come in a minute: of a door's people, a meter's pulses.

- A total never goes back: it goes on over roll-overs and restarts of the device, and over restarts of ours.
- What is not a plain step is an event, with the values from which it was told.
- A total that cannot be read is bad, for the reason that its counter is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import ClassVar, NamedTuple

from gateway.derive.counter import MOST, Counted, Counter, Range, Step
from gateway.derive.derivation import NOTHING, Derivation, Outcome, Told
from gateway.derive.flow import Flow
from gateway.model import Json, Moment, Reading, Reason, Trust, Value

TOLD_EVERY_S = 600.0
"""A counter that does the same oddity again and again tells it so often, with how many there were since."""

FLOW_EVERY_S = 5.0
"""So often the falling of a flow is told while nobody comes."""

EVENTS: Mapping[Step, str] = {
    Step.ROLLOVER: "counter_rolled_over",
    Step.RESTART: "counter_restarted",
    Step.IMPLAUSIBLE: "counter_jumped",
}


class Counting(NamedTuple):
    """A counter of a device: the point that it says, those of its total and its flow ("": none), what it can do.

    `ours`: the counting is done here, and begins at 0 with each run.
    """

    point: str
    total: str
    flow: str = ""
    of: Range = Range()
    ours: bool = False


@dataclass(slots=True)
class _Count:
    counter: Counter
    flow: Flow = field(default_factory=Flow)
    heard: float | None = None  # mono of the last value
    reason: Reason | None = None  # why it cannot be read now


class Totals(Derivation):
    """The totals and flows of one device's counters."""

    remembers: ClassVar[bool] = True

    def __init__(self, countings: Sequence[Counting]) -> None:
        self._countings = tuple(countings)
        self._counts = {each.point: _Count(Counter(each.of)) for each in countings}
        self._oddities = _Oddities()

    def take(self, reading: Reading, now: Moment) -> Outcome:
        """Total and flow of each counter that the reading tells of."""
        values: dict[str, Value] = {}
        bad: dict[str, Reason] = {}
        steps: list[tuple[str, Counted]] = []
        ts = _known_ts(reading.ts, now)
        changed = False
        for each in self._countings:
            count = self._counts[each.point]
            raw = reading.values.get(each.point)
            if isinstance(raw, int | float) and not abs(raw) < MOST:  # garbage that its driver has let through
                count.reason = Reason.OUT_OF_RANGE
                bad |= dict.fromkeys(_points(each), count.reason)
            elif isinstance(raw, int | float):
                count.reason, before = None, count.counter.total
                first, step = count.heard is None, count.counter.take(int(raw), reading.mono, ts)
                if step is not None and not (each.ours and step.step is Step.RESTART):  # a driver made anew by a reload
                    steps.append((each.point, step))
                self._flowed(count, count.counter.total - before, reading.mono)
                changed |= first or count.counter.total != before or _is_odd(step)
                values |= _said(each, count, reading.mono)
            elif each.point in reading.bad:
                count.reason = reading.bad[each.point]
                bad |= dict.fromkeys(_points(each), count.reason)
        self._plan(reading.mono)
        return Outcome(values, bad, tuple(self._oddities.told(steps, reading.mono)), changed)

    def elapse(self, now: Moment) -> Outcome:
        """The flows, which are less by now."""
        flows = [(each.flow, self._counts[each.point]) for each in self._countings if each.flow]
        fallen = [(name, count, count.flow.at(now.mono)) for name, count in flows]
        values = {name: flow for name, count, flow in fallen if _is_known(count)}
        self._plan(now.mono)
        return Outcome(values)

    def stored(self) -> Json:
        """Each counter's, by its point."""
        found = {point: count.counter.stored() for point, count in self._counts.items()}
        known = {point: stored for point, stored in found.items() if stored is not None}
        return known or None

    def restore(self, stored: Json, now: Moment) -> Outcome:
        """Go on from what another run has stored; the next reading tells the totals."""
        before = stored if isinstance(stored, Mapping) else {}
        steps: list[tuple[str, Counted]] = []
        for each in self._countings:
            known = before.get(each.point)
            if each.ours and isinstance(known, Mapping):
                known = {**known, "raw": 0}
            step = self._counts[each.point].counter.restore(known)
            if step is not None:
                steps.append((each.point, step))
        events = tuple(self._oddities.told(steps, now.mono))
        return Outcome(events=events, changed=bool(steps)) if steps else NOTHING

    def _flowed(self, count: _Count, delta: int, mono: float) -> None:
        """What was counted while we were off, or cannot be told when, is no flow of now."""
        if count.heard is not None:
            count.flow.add(delta, mono, mono - count.heard)
        count.heard = mono

    def _plan(self, mono: float) -> None:
        due = min((count.flow.next for count in self._counts.values()), default=inf)
        self.wake = max(due, mono + FLOW_EVERY_S)


class _Oddities:
    """The steps that are events, and of which kind there were too many to tell each."""

    def __init__(self) -> None:
        self._silent: dict[tuple[str, Step], tuple[float, int]] = {}  # until when, and how many were not told

    def told(self, steps: Sequence[tuple[str, Counted]], mono: float) -> Iterator[Told]:
        for point, step in steps:
            if not _is_odd(step):
                continue
            until, missed = self._silent.get((point, step.step), (-inf, 0))
            if mono < until:
                self._silent[point, step.step] = until, missed + 1
                continue
            self._silent[point, step.step] = mono + TOLD_EVERY_S, 0
            yield Told(EVENTS[step.step], _fields(point, step, missed))


def _is_known(count: _Count) -> bool:
    return count.heard is not None and count.reason is None


def _is_odd(step: Counted | None) -> bool:
    return step is not None and step.step is not Step.NORMAL


def _fields(point: str, step: Counted, untold: int) -> dict[str, Json]:
    return {"point": point, "before": step.old, "value": step.new, "counted": step.delta, "untold": untold}


def _points(each: Counting) -> tuple[str, ...]:
    return (each.total, each.flow) if each.flow else (each.total,)


def _said(each: Counting, count: _Count, mono: float) -> dict[str, Value]:
    flow: dict[str, Value] = {each.flow: count.flow.at(mono)} if each.flow else {}
    return {each.total: count.counter.total, **flow}


def _known_ts(ts: int, now: Moment) -> int | None:
    return None if now.trust is Trust.UNSYNCED else ts
