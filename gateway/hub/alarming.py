"""From readings, the passing of time and acts of people to alarms, with their events, their state and their outputs.

Whatever changes an alarm or an output leaves in the same Decision as its event.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace

from gateway import records
from gateway.hub.acts import SILENCE, done, silenced
from gateway.hub.alarm import Changed
from gateway.hub.alarms import STATE_PREFIX, Alarms
from gateway.hub.early import Early, Happened
from gateway.hub.flooding import Flooding, Summed
from gateway.hub.following import Following
from gateway.hub.holding import HOLDS, Held, Holding
from gateway.hub.numbering import Numbering
from gateway.hub.outputs import Call, Level, Outputs, Switch, writes_of
from gateway.hub.own import Troubles
from gateway.hub.plan import Plan
from gateway.hub.recheck import Input
from gateway.hub.reporters import Reporters
from gateway.model import (
    AlarmLoad,
    AlarmsKnown,
    AlarmView,
    Briefing,
    Command,
    Decision,
    Json,
    Moment,
    Notice,
    Reading,
    Record,
    StateChange,
    TimePassed,
    Write,
)
from gateway.rules.lifecycle import Change
from gateway.rules.overlay import NOBODY
from gateway.rules.responses import RANKS, wants

_SOUNDS_ANEW = frozenset({Change.RAISED, Change.RE_ALARMED})


def _never(_zone: str, _alarm: str) -> bool:
    return False


class Alarming:
    """The alarms and outputs of one run. Owned and changed by the hub alone; `elapse` is due at `wake` (monotonic)."""

    def __init__(
        self, plan: Plan, numbering: Numbering, now: Moment, is_of_test: Callable[[str, str], bool] = _never
    ) -> None:
        self._plan = plan
        self._is_of_test = is_of_test
        self._numbering = numbering
        self._alarms = Alarms(plan.rules, plan.responses, now, plan.own, plan.boot)
        self._outputs = Outputs(plan.outputs, plan.boot, plan.paces, now.mono)
        self._holding = Holding(self._outputs, plan.outputs, plan.responses, plan.boot)
        self._flooding = Flooding()
        self._early: Early | None = Early()  # until what the run before had stored is known, or is not waited for
        self._following = Following(plan.times, plan.boot)
        self._are_known = False  # whether those of the run before are merged
        self._reporters = Reporters(plan)

    def briefing(self, uplinks: frozenset[str], floor_ts: int) -> tuple[Briefing, ...]:
        """What uplinks that have joined must know; no time before `floor_ts` (UTC ms) is right."""
        if not uplinks:
            return ()
        known = (AlarmsKnown(),) if self._are_known else ()
        passed = (TimePassed(floor_ts),) if floor_ts else ()
        told = (view for view in self.standing if view.seq)
        return (Briefing(uplinks, (*passed, *told, *known)),)

    @property
    def wake(self) -> float:
        """When (monotonic) `elapse` may lead to something."""
        parts = (self._alarms, self._outputs, self._following, self._holding, self._flooding)
        return min(part.wake for part in parts)

    @property
    def standing(self) -> tuple[AlarmView, ...]:
        """The alarms that are not at rest."""
        return tuple(self._marked(view) for view in self._alarms.standing())

    @property
    def outputs(self) -> dict[str, str]:
        """`device.point` -> what the output should be."""
        return self._outputs.wanted()

    def load(self, now: Moment) -> AlarmLoad:
        """How many alarms people have and get."""
        return self._flooding.counter.figures(self.standing, now.mono, now.ts)

    def take(self, reading: Reading, heard: Callable[[str, str], float], now: Moment) -> Decision:
        """What of a reading is recorded, and what follows from it; `heard`: when a point had its last good value."""
        made: list[Record] = []
        changes = self._alarms.take(reading, heard)
        if self._alarms.further:
            changes += self._resounded(now)
        self._reporters.urge(changes)
        if self._early is not None:
            self._early.read(reading)
        worth = self._reporters.worth(reading)
        if worth is not None:
            made += self._numbering.readings(worth, now)
        for switch in self._outputs.failed(reading):
            made.append(self._output_event(switch, "failed", now))
        decision = Decision(tuple(made), self._alarms.unsaved(now) if self._alarms.changed_silently else ())
        troubles = self._outputs.troubles((reading.device,), now.mono)
        decision = decision.then(self._tell_known(troubles, now)) if troubles else decision
        return decision.then(self._changed(changes, now)) if changes else decision

    def elapse(self, now: Moment) -> Decision:
        """What follows from the passing of time alone."""
        changes = list(self._alarms.elapse(now))
        self._reporters.urge(changes)
        for alarm, step in self._following.elapse(now.mono):
            changes.append(self._alarms.told(alarm, step, NOBODY, now))
        decision = self._changed(changes, now).then(self._held(self._holding.elapse(now), now))
        if now.mono >= self._flooding.wake:
            decision = decision.then(self._summed(self._flooding.elapse(now.mono), now))
        decision = decision.then(self._switched(self._outputs.elapse(now.mono), now))
        decision = decision.then(self._tell_known(self._outputs.troubles(self._outputs.failing_devices, now.mono), now))
        return decision.then(Decision(writes=self._outputs.due_retries(now.mono)))

    def act(self, command: Command, now: Moment) -> tuple[Decision, str]:
        """What a person's command about alarms or outputs leads to, and why it is refused ("" if it is not)."""
        if command.name in HOLDS:
            held = self._holding.act(command, now)
            return (Decision(), held) if isinstance(held, str) else (self._held(held, now), "")
        if command.name == SILENCE:
            several = silenced(self._alarms, self._outputs, command, now)
            return (Decision(), several) if isinstance(several, str) else (self._changed(several, now), "")
        changed = done(self._alarms, self._following, command, now)
        return (Decision(), changed) if isinstance(changed, str) else (self._changed((changed,), now), "")

    def inputs(self, alarm: Json | None) -> tuple[Input, ...]:
        """The points to be looked at before a reset of an alarm."""
        return self._alarms.inputs(alarm) if isinstance(alarm, str) and self._alarms.has(alarm) else ()

    def signalled(self, zone: str, now: Moment) -> Decision:
        """A detector in this zone has begun to signal: what was silenced for fire there sounds again."""
        alarms = [alarm for alarm in self._alarms.of_fire(zone) if self._outputs.is_silenced(alarm)]
        return self._changed([self._alarms.told(alarm, Change.RESOUNDED, NOBODY, now) for alarm in alarms], now)

    def marked_anew(self, before: Mapping[str, AlarmView]) -> Decision:
        """The views of standing alarms that are others than `before`, since a test has begun or ended."""
        return Decision(notices=tuple(view for view in self.standing if before.get(view.alarm) != view))

    def tell(self, troubles: Troubles, now: Moment) -> Decision:
        """What this means for the gateway's own alarms."""
        told = (self._alarms.tell(alarm, trouble, now.mono, now.ts) for alarm, trouble in troubles.items())
        return self._changed((changed for changed in told if changed is not None), now)

    def _tell_known(self, troubles: Troubles, now: Moment) -> Decision:
        """The same, of alarms that the plan may lack."""
        return self.tell({alarm: it for alarm, it in troubles.items() if self._alarms.has(alarm)}, now)

    def restore(self, stored: Mapping[str, str], now: Moment) -> Decision:
        """The alarms of the run before are merged, and what has happened meanwhile happens to them."""
        early, self._early = self._early, None
        decision = self._held(self._holding.restore(stored, now), now)
        decision = decision.then(self._summed(self._flooding.restore(stored), now))
        self._outputs.recall(stored, now)
        merged = list(self._alarms.restore(stored, now))
        known = {view.alarm: view for view in self._alarms.standing()}
        decision = decision.then(Decision(state=tuple(self._following.restore(stored, known, now))))
        restored = {view.alarm for view in merged if isinstance(view, AlarmView)}
        if early is not None:
            decision = decision.then(self._told(list(self._again(early, restored)), now))
        for each in merged:
            decision = decision.then(self._merged(each, now))
        decision = decision.then(self._changed(list(self._alarms.elapse(now)), now))  # hours that have ended meanwhile
        for reading in () if early is None else early.readings:
            decision = decision.then(self._changed(self._alarms.take(reading), now))
        decision = decision.then(self._changed(self._alarms.stories(now), now))
        decision = decision.then(Decision(state=self._alarms.unsaved(now)))
        self._outputs.recalled_all()
        self._are_known = True
        return decision.then(Decision(state=self._outputs.unsaved(), notices=(AlarmsKnown(),)))

    def go_ahead(self, now: Moment) -> Decision:
        """The journal is not waited for any more: what has happened is told."""
        early, self._early = self._early, None
        if early is None:
            return Decision()
        told = self._told(early.all(self._alarms.has), now)
        return told.then(self._changed(self._alarms.stories(now), now))

    def stop(self, now: Moment) -> Decision:
        """What is still to be told."""
        return self.go_ahead(now).then(self._summed(self._flooding.summary(), now))

    def _again(self, early: Early, restored: Collection[str]) -> Iterator[Happened]:
        """What has happened before the journal's answer, as far as it is new."""
        for each in early.all(self._alarms.has):
            changed = each.changed
            if changed is not None and changed.view.alarm in restored:
                changed = self._alarms.again(changed, each.overlay)
            yield each._replace(changed=changed)

    def _merged(self, merged: StateChange | Changed | AlarmView, now: Moment) -> Decision:
        """What follows from an alarm of the run before, or from one that is none any more."""
        if isinstance(merged, Changed):
            return self._changed((merged,), now)
        if isinstance(merged, StateChange):
            alarm = merged.key.removeprefix(STATE_PREFIX)
            gone = not self._alarms.has(alarm)
            made = (self._numbering.event(records.event("alarm_removed", alarm=alarm), now),) if gone else ()
            return Decision(made, (merged,))
        view = self._alarms.view(merged.alarm)
        switched = self._switched(self._respond(view, now), now)
        return Decision(notices=(self._marked(view),)).then(switched)

    def change(self, plan: Plan, anew: Collection[str], now: Moment) -> Decision:
        """Go on by another configuration; what is `anew` has said nothing yet, and is at its safe values."""
        before, self._plan = self._plan, plan
        alarms = Alarms(plan.rules, plan.responses, now, plan.own, plan.boot)
        others = list(alarms.take_over(self._alarms, now))
        self._alarms = alarms
        self._reporters.change(before, plan, anew)
        standing = {view.alarm: view for view in self.standing}
        state = list(self._following.change(plan.times, standing, now))
        gone = [view for view in others if not alarms.has(view.alarm)]
        made = [self._numbering.event(records.event("alarm_removed", alarm=view.alarm), now) for view in gone]
        state += (StateChange(STATE_PREFIX + view.alarm, None) for view in gone)
        decision = Decision(tuple(made), tuple(state))
        self._outputs.change(plan.outputs, anew, plan.paces, now.mono)
        decision = decision.then(self._held(self._holding.change(plan.outputs, plan.responses, now), now))
        switches = self._outputs.respond_anew(self._wanted(standing.values()), now)
        notices = tuple(self._marked(view) for view in others if view.seq)  # others have not been told of yet
        unsaved = self._outputs.unsaved()
        decision = decision.then(Decision(state=unsaved, notices=notices)).then(self._switched(switches, now))
        return decision.then(self._changed(self._alarms.stories(now), now)) if self._early is None else decision

    def _wanted(self, views: Iterable[AlarmView]) -> dict[str, Call]:
        """Which responses are wanted now, by whom."""
        calls = (call for view in views for call in self._calls(view))
        return {owner: call for owner, call, wanted in calls if wanted}

    def correct(self, is_in_era: Callable[[str, int], bool], by_ms: int, now: Moment) -> Decision:
        """The clock was wrong by `by_ms` when these events (run, seq) were made: the views that show such a time."""
        views = tuple(self._alarms.corrected(is_in_era, by_ms))
        return Decision(state=tuple(self._alarms.numbered(view, now) for view in views), notices=views)

    def reopened(self, link: str, mono: float) -> Decision:
        """What has to be written on a link that was just opened, where all outputs are at their safe values."""
        return Decision(writes=self._outputs.reopened(link, mono))

    def _resounded(self, now: Moment) -> list[Changed]:
        """Alarms that were silenced, and of which a further detector has come: they sound again."""
        alarms = [alarm for alarm in sorted(self._alarms.further) if self._outputs.is_silenced(alarm)]
        self._alarms.further.clear()
        return [self._alarms.told(alarm, Change.RESOUNDED, NOBODY, now) for alarm in alarms]

    def _changed(self, changes: Iterable[Changed], now: Moment) -> Decision:
        """What follows from changes of alarms: outputs at once, and what is told, now or later."""
        if self._early is None:
            return self._told((Happened(changed) for changed in self._alarms.one_story(changes)), now)
        writes: list[Write] = []
        for changed in changes:
            switched = self._respond(changed.view, now, changed.change)
            self._early.note(changed, switched, self._alarms.overlay(changed.view.alarm))
            writes += writes_of(switched)
        return Decision(writes=tuple(writes))

    def _told(self, happened: Iterable[Happened], now: Moment) -> Decision:
        """The events and the state; the outputs, where they have not been switched."""
        made: list[Record] = []
        state: list[StateChange] = []
        writes: list[Write] = []
        notices: list[Notice] = []
        for changed, at, switched, _ in happened:
            then = now if at is None else Moment(*at, now.trust)
            if changed is not None:
                state += self._following.note(changed.view, changed.change, then)
                if at is None:
                    switched = tuple(self._respond(changed.view, now, changed.change))  # noqa: PLW2901 - by now
                    writes += writes_of(switched)
                view = self._marked(changed.view)
                batched = self._flooding.batches(view, changed.change)
                event = self._event(view, changed, now, batched=batched)
                since = event.ts if view.since == changed.ts else view.since
                view = replace(view, since=since, seq=event.seq, run=self._plan.run)
                made.append(event)
                state.append(self._alarms.numbered(view, now))
                notices.append(view)
                state += self._flooding.batched(view.alarm, now.mono) if batched else ()
                if changed.change is Change.RAISED and view.hidden is None:
                    begun = self._flooding.raised(view.alarm, changed.mono)
                    made += (self._numbering.event(text, now) for text in begun)
            made += self._output_events(switched, then)
        if not made:
            return Decision()
        state += self._outputs.unsaved()
        return Decision(tuple(made), tuple(state), tuple(writes), tuple(notices))

    def _summed(self, summed: Summed, now: Moment) -> Decision:
        """What is told of alarms together."""
        return Decision(tuple(self._numbering.event(text, now) for text in summed.told), summed.state)

    def _event(self, view: AlarmView, changed: Changed, now: Moment, *, batched: bool) -> Record:
        text = records.alarm(view, changed.change, *changed.note, batched=batched)
        return self._numbering.event(text, now, (changed.mono, changed.ts))

    def _marked(self, view: AlarmView) -> AlarmView:
        """The view with what others know of its alarm."""
        report, silenced = self._following.mark(view.alarm), self._outputs.is_silenced(view.alarm)
        return replace(view, report=report, silenced=silenced, test=self._is_of_test(view.zone, view.alarm))

    def _respond(self, view: AlarmView, now: Moment, change: Change | None = None) -> list[Switch]:
        """What has to be switched because an alarm is as `view` says, since `change`."""
        if change in {Change.SILENCED, Change.RESOUNDED}:
            return self._outputs.silence(view.alarm, now, silenced=change is Change.SILENCED)
        switches = []
        for owner, call, wanted in self._calls(view):
            anew = change in _SOUNDS_ANEW and owner == view.alarm
            switches += self._outputs.respond(owner, call, now, wanted=wanted, anew=anew)
        return switches

    def _calls(self, view: AlarmView) -> Iterator[tuple[str, Call, bool]]:
        """The responses to an alarm and to the steps of its report, each with its owner and whether it is wanted."""
        responses, rank = self._plan.responses, RANKS[view.priority]
        response_id = self._alarms.response(view.alarm)
        if response_id is not None:
            response = responses[response_id]
            yield view.alarm, Call(response, rank), wants(view, response.until)
        for step, called in self._plan.at_step.items():
            calls = view.hidden is None and self._following.calls(view.alarm, step)
            yield f"{view.alarm} {step}", Call(responses[called], rank), calls

    def _held(self, held: Held, now: Moment) -> Decision:
        """What people have taken in hand, or what has ended of that."""
        told = tuple(self._numbering.event(text, now) for text in held.told)
        return Decision(told, self._outputs.unsaved()).then(self._switched(held.switches, now))

    def _switched(self, switches: Iterable[Switch], now: Moment) -> Decision:
        switches = tuple(switches)
        if not switches:
            return Decision()
        return Decision(tuple(self._output_events(switches, now)), writes=writes_of(switches))

    def _output_events(self, switches: Iterable[Switch], now: Moment) -> list[Record]:
        """One for each change; none for a pulse of many."""
        return [self._output_event(switch, "switched", now) for switch in switches if switch.level is not None]

    def _output_event(self, switch: Switch, result: str, now: Moment) -> Record:
        level = switch.level or Level(switch.write.value)
        write = switch.write._replace(value=level.value)
        return self._numbering.event(records.output(write, result, switch.why, level.pulse, trial=level.trial), now)
