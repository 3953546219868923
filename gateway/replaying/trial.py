"""A trial: one configuration's rules on the readings of the past, by the very code that judges in the daemon.

- Time comes in with the readings: what falls due between two of them is judged at its moment, at full speed.
- A run begins as in the hub: alarms that stood go on, delays that were running and what windows knew are gone. Between
  runs nothing is judged.
- What people did then (acknowledge, reset, shelve, ...) is not repeated: no such act lets an alarm come or go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from gateway.config.schema import Config
from gateway.hub.alarm import Changed
from gateway.hub.alarms import STATE_PREFIX, Alarms
from gateway.hub.plan import Plan, plan_of
from gateway.model import Moment, Reading, Trust
from gateway.replaying.happened import Span, stands
from gateway.replaying.heard import Heard
from gateway.replaying.history import History
from gateway.replaying.missing import Missing
from gateway.replaying.repeats import Repeats
from gateway.rules.condition import AtLeast
from gateway.rules.judge import Rule
from gateway.rules.lifecycle import Change


@dataclass(frozen=True, slots=True)
class Before:
    """What is known of the time and the runs: the boot and the events' span of each; and the alarms as they stood."""

    from_ts: int
    boots: Mapping[str, str] = field(default_factory=dict)
    spans: Mapping[str, Span] = field(default_factory=dict)
    state: Mapping[str, str] = field(default_factory=dict)


class Trial:
    """The rules of one configuration. `history` is what their alarms do; `values` and `readings` count."""

    def __init__(self, config: Config, before: Before) -> None:
        self.plan: Plan = plan_of(config, "")
        self.history = History(before.from_ts)
        self.readings = self.values = self.runs = 0
        self.first_ts: int | None = None
        self.last_ts = before.from_ts
        self.silent = _points(self.plan)  # device -> the points of rules that have had no value yet
        self.unknown: dict[str, int] = {}  # device -> readings of one that is not in the configuration
        self.repeats = Repeats(self.plan)
        self._missing = Missing(self.plan)
        self._before = before
        self._state = dict(before.state)
        self._run: str | None = None
        self._alarms: Alarms
        self._last = Moment(0.0, 0, Trust.UNSYNCED)
        self._devices = frozenset(self.plan.every_s)
        for alarm in (target.alarm for _, targets in self.plan.rules for target in targets):
            if STATE_PREFIX + alarm in self._state and stands(self._state[STATE_PREFIX + alarm]):
                self.history.stood(alarm)

    def take(self, heard: Heard) -> None:
        """What follows from these readings, and from the time that passes with them."""
        if not heard.readings:
            return
        if heard.run != self._run:
            self._begin(heard)
        alarms, repeats, missing, trust = self._alarms, self.repeats, self._missing, heard.trust
        held, silent, devices = repeats.devices, self.silent, self._devices
        for reading in heard.readings:
            device, mono, _, values, *_ = reading
            if mono >= alarms.wake or mono >= repeats.wake or mono >= missing.wake:
                self._pass(Moment(mono, reading.ts, trust))
            if device in held:
                for repeated in repeats.before(reading):
                    self._repeat(repeated, trust)
            missing.take(reading)
            changes = alarms.take(reading, missing.heard)
            if changes:
                self._note(changes, trust)
            if device in silent:
                self._heard(device, values)
            self.values += len(values)
            if device not in devices:
                self.unknown[device] = self.unknown.get(device, 0) + 1
        self.readings += len(heard.readings)
        self._last = Moment(reading.mono, reading.ts, trust)
        self.last_ts = max(self.last_ts, reading.ts)

    def end(self, *, whole: bool = True) -> None:
        """No more readings: what stands, stands at the end. Not `whole`: the run went on."""
        if whole:
            self._finish()
        self.history.ended(self.last_ts)

    def _heard(self, device: str, values: Iterable[str]) -> None:
        points = self.silent[device]
        points.difference_update(values)
        if not points:
            del self.silent[device]

    def _begin(self, heard: Heard) -> None:
        self._finish()
        first = heard.readings[0]
        now = Moment(first.mono, first.ts, heard.trust)
        span = self._before.spans.get(heard.run)
        if self._run is not None and span is not None and span.first <= first.mono:
            now = Moment(span.first, span.ts, span.trust)
        if self.first_ts is None:
            self.first_ts = first.ts
        self._run, self.runs = heard.run, self.runs + 1
        self._alarms = Alarms(self.plan.rules, self.plan.responses, now, boot=self._before.boots.get(heard.run, ""))
        list(self._alarms.restore(self._state, now))
        self._alarms.stories(now)
        self.repeats.begin()
        self._missing.begin()

    def _finish(self) -> None:
        """The run is over: time has passed until its last event."""
        span = self._before.spans.get(self._run or "")
        last = self._last
        if span is not None and span.last > last.mono:
            ts = last.ts + round((span.last - last.mono) * 1000)
            self._pass(Moment(span.last, ts, last.trust))
            self.last_ts = max(self.last_ts, ts)

    def _pass(self, until: Moment) -> None:
        """Time passes, from one moment at which something is due to the next."""
        alarms, repeats, missing = self._alarms, self.repeats, self._missing
        while (at := min(alarms.wake, repeats.wake, missing.wake)) <= until.mono:
            now = Moment(at, until.ts - round((until.mono - at) * 1000), until.trust)
            for repeated in repeats.due(at, now.ts) if repeats.wake <= at else ():
                self._repeat(repeated, until.trust)
            for repeated in missing.due(at, now.ts) if missing.wake <= at else ():
                self._note(alarms.take(repeated, missing.heard), until.trust)
            self._note(alarms.elapse(now), until.trust)

    def _repeat(self, reading: Reading, trust: Trust) -> None:
        """What was there, and not recorded again."""
        self._missing.take(reading)
        self._note(self._alarms.take(reading, self._missing.heard), trust)

    def _note(self, changes: Iterable[Changed], trust: Trust) -> None:
        for changed in self._alarms.one_story(changes):
            view = changed.view
            stored = self._alarms.numbered(view, Moment(changed.mono, changed.ts, trust))
            if stored.text is None:
                self._state.pop(stored.key, None)
            else:
                self._state[stored.key] = stored.text
            if changed.change is Change.RAISED:
                hidden = view.hidden is not None
                self.history.raised(view.alarm, changed.ts, chattering=view.chattering, hidden=hidden)
            elif changed.change is Change.CLEARED:
                self.history.cleared(view.alarm, changed.ts)


def _points(plan: Plan) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for rule, targets in plan.rules:
        for place in rule.condition.terms if isinstance(rule.condition, AtLeast) else targets:
            found.setdefault(place.device, set()).add(place.point)
    return found


def rules_by_alarm(plan: Plan) -> dict[str, tuple[Rule, tuple[tuple[str, str], ...]]]:
    """Each alarm's rule, and the points (device, point) that it looks at."""
    return {
        target.alarm: (
            rule,
            tuple((term.device, term.point) for term in rule.condition.terms)
            if isinstance(rule.condition, AtLeast)
            else ((target.device, target.point),),
        )
        for rule, targets in plan.rules
        for target in targets
    }
