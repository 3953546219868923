"""All alarms of the gateway: each rule on each of its points, and its own (own.py), with what survives a restart.

What is not at rest is stored under `alarm/<id>` with the decision that changed it. What is restored at start is merged:
it raises nothing again and never undoes what has happened since the start (recovery.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from math import inf

from gateway.hub.alarm import Alarm, Changed, Group, OfDevice, Target, view_of
from gateway.hub.alarm_text import restored, stored, trouble_of
from gateway.hub.own import Trouble
from gateway.hub.recheck import Input
from gateway.hub.recovery import STATES, covered_since, happens_again, recover
from gateway.hub.story import Stories, by_priority
from gateway.model import AlarmState, AlarmView, Moment, Reading, StateChange, Value
from gateway.rules.condition import AtLeast, Changes, Told
from gateway.rules.judge import Rule, acknowledged, elapse, fresh, judge, set_aside, settle, taken_up, unknown
from gateway.rules.lifecycle import ACTIVE, Change, after, refusal
from gateway.rules.overlay import NOBODY, Act, Note, Overlay, covered
from gateway.rules.responses import Response
from gateway.rules.window import Window
from gateway.zones import in_zone

STATE_PREFIX = "alarm/"
_NUMBER = (float, int)  # by itself, since `float | int` in the loop is made anew for each value


def _never(_device: str, _point: str) -> float:
    return -inf


class Alarms:
    """Every alarm by id. Owned and changed by the hub alone; before `wake` (monotonic) `elapse` changes nothing."""

    def __init__(
        self,
        rules: tuple[tuple[Rule, tuple[Target, ...]], ...],
        responses: Mapping[str, Response],
        now: Moment,
        own: tuple[str, ...] = (),
        boot: str = "",
    ) -> None:
        self._boot = boot
        self._alarms: dict[str, Alarm] = {}
        self._by_device: dict[str, OfDevice] = {}
        self._groups: dict[str, Group] = {}
        for rule, targets in (*rules, (Rule("", Told()), tuple(Target(alarm, "", "", "") for alarm in own))):
            for target in targets:
                of_device = self._by_device.setdefault(target.device, OfDevice())
                alarm = Alarm(rule, target, fresh(now.mono), view_of(rule, target, responses), of_device)
                alarm.applies = rule.applies(now)
                if isinstance(rule.condition, Changes):
                    alarm.window = Window(rule.condition.within_s)
                alarm.live(alarm.life)
                self._alarms[target.alarm] = alarm
                if rule.suppression is not None:
                    term = rule.suppression.term
                    by_point = self._by_device.setdefault(term.device, OfDevice()).explains
                    by_point.setdefault(term.point, []).append(alarm)
                if isinstance(rule.condition, AtLeast):
                    self._add_group(target.alarm, Group(alarm, rule.condition))
                else:
                    of_device.add(alarm)
        self._by_hours = tuple(alarm for alarm in self._alarms.values() if alarm.rule.hours is not None)
        self._turn = _next_minute(now) if self._by_hours else inf
        self.further: set[str] = set()  # the standing alarms of which a reading has made another term come true
        self.changed_silently: set[str] = set()
        self._stories = Stories(self._alarms.values())
        self.wake = self._next_deadline()

    def take(self, reading: Reading, heard: Callable[[str, str], float] = _never) -> list[Changed]:
        """The transitions that follow from a reading; `heard`: when (monotonic s) a point had its last good value."""
        of_device = self._by_device.get(reading.device)
        if of_device is None:
            return []
        changes = list(self._explain(of_device, reading)) if of_device.explains else []
        concerned = of_device.concerned(reading.values)
        for name, value in reading.values.items() if concerned else ():
            for alarm in concerned.get(name, ()):
                if isinstance(value, _NUMBER) and alarm.low <= value <= alarm.high:
                    continue
                if not alarm.applies:
                    continue
                change = self._judge(alarm, value, reading.mono)
                if change is not None:
                    changes.append(self._change(alarm, change, reading.mono, reading.ts, value))
        if reading.bad:
            self._take_bad(of_device, reading, heard)
        if of_device.groups:
            changes += self._take_groups(of_device, reading, heard)
        return changes

    def _explain(self, of_device: OfDevice, reading: Reading) -> Iterator[Changed]:
        """The alarms that what the plant does begins, or ceases, to explain."""
        for name, alarms in of_device.explains.items():
            value = reading.values.get(name)
            if value is None and name not in reading.bad:
                continue
            for alarm in alarms:
                was_explained = alarm.explained
                change = alarm.explain(value, reading)
                if change is None and was_explained != alarm.explained:
                    self.changed_silently.add(alarm.target.alarm)
                if change is not None:
                    self._note_deadline(alarm)
                    yield self._covered(alarm, change, reading.mono, reading.ts)

    def _take_bad(self, of_device: OfDevice, reading: Reading, heard: Callable[[str, str], float]) -> None:
        for name in reading.bad:
            for alarm in of_device.all.get(name, ()):
                if not alarm.is_disturbed(name, reading, heard):
                    alarm.live(unknown(alarm.rule, alarm.life))

    def _take_groups(
        self, of_device: OfDevice, reading: Reading, heard: Callable[[str, str], float]
    ) -> Iterator[Changed]:
        """The transitions of alarms on several points."""
        concerned = {}
        self.further.clear()
        for name, terms in of_device.groups.items():
            if name not in reading.values and name not in reading.bad:
                continue
            for group, number in terms:
                if name in reading.bad and group.alarm.is_disturbed(name, reading, heard):
                    continue
                if group.take(number, reading.values.get(name)) and group.alarm.life.state in ACTIVE:
                    self.further.add(group.alarm.target.alarm)
                concerned[group.alarm.target.alarm] = group.alarm, group.verdict, reading.values.get(name)
        for alarm, verdict, value in concerned.values():
            if not alarm.applies:
                continue
            before = alarm.life
            life, change = settle(alarm.rule, before, verdict, reading.mono)
            if life is not before:
                alarm.live(life)
                self._note_deadline(alarm)
            if change is not None:
                yield self._change(alarm, change, reading.mono, reading.ts, value)

    def _add_group(self, alarm_id: str, group: Group) -> None:
        self._groups[alarm_id] = group
        for number, term in enumerate(group.condition.terms):
            of_device = self._by_device.setdefault(term.device, OfDevice())
            of_device.groups.setdefault(term.point, []).append((group, number))

    def _judge(self, alarm: Alarm, value: Value, mono: float) -> Change | None:
        before = alarm.life
        life, change = judge(alarm.rule, before, alarm.judged_by(value, mono), mono)
        if life is not before:
            alarm.live(life)
            self._note_deadline(alarm)
        return change

    def elapse(self, now: Moment) -> Iterator[Changed]:
        """The transitions that follow from the passing of time alone."""
        mono, ts = now.mono, now.ts
        if mono < self.wake:
            return
        if mono >= self._turn:
            self._turn = _next_minute(now)
            yield from self._turn_hours(now)
        for alarm in self._alarms.values():
            before = alarm.life
            life, change = elapse(alarm.rule, before, mono) if alarm.applies else (before, None)
            if life is not before:
                alarm.live(life)
            if change is not None:
                yield self._change(alarm, change, mono, ts, alarm.view.value)
            for ended, left in alarm.overlay.ended(mono):
                alarm.overlay = left
                yield self._covered(alarm, ended, mono, ts)
        self.wake = self._next_deadline()

    def _turn_hours(self, now: Moment) -> Iterator[Changed]:
        """Rules that are none outside of their hours: some hours may have begun, others ended."""
        for alarm in self._by_hours:
            applies = alarm.rule.applies(now)
            if applies == alarm.applies:
                continue
            alarm.applies = applies
            life, change = (taken_up(alarm.life, now.mono), None) if applies else set_aside(alarm.rule, alarm.life)
            alarm.live(life)
            if change is not None:
                yield self._change(alarm, change, now.mono, now.ts, alarm.view.value)

    def act(self, alarm_id: str, change: Change, note: Note, now: Moment) -> Changed | str:
        """What a person's acknowledgement or reset does; a refusal in words where it does not apply."""
        alarm = self._alarms.get(alarm_id)
        if alarm is None:
            return _unknown(alarm_id)
        state = after(alarm.life.state, change, latch=alarm.rule.latch)
        if state is None:
            return refusal(alarm.life.state, change)
        is_seen = change is Change.ACKNOWLEDGED
        alarm.live(acknowledged(alarm.life, state, now.mono) if is_seen else alarm.life._replace(state=state))
        self._note_deadline(alarm)
        return self._change(alarm, change, now.mono, now.ts, alarm.view.value, note)

    def cover(self, alarm_id: str, act: Act, now: Moment) -> Changed | str:
        """What a person lays over an alarm or takes from it; a refusal in words where that cannot be."""
        alarm = self._alarms.get(alarm_id)
        if alarm is None:
            return _unknown(alarm_id)
        overlay = covered(alarm.overlay, act, alarm.target.kind, alarm.view.priority, now)
        if isinstance(overlay, str):
            return overlay
        alarm.overlay = overlay
        self._note_deadline(alarm)
        return self._covered(alarm, act.change, now.mono, now.ts, act.note)

    def told(self, alarm_id: str, change: Change, note: Note, now: Moment) -> Changed:
        """A change that is about who knows of an alarm: it leaves the alarm as it is."""
        return Changed(self._alarms[alarm_id].view, change, now.mono, now.ts, note)

    def tell(self, alarm_id: str, trouble: Trouble | None, mono: float, ts: int) -> Changed | None:
        """What is known of one of the gateway's own alarms: it is raised, raised again, cleared, or left as it is."""
        alarm = self._alarms[alarm_id]
        standing = alarm.life.state in ACTIVE
        if trouble is not None and not (standing and trouble == trouble_of(alarm.view)):
            alarm.view = replace(alarm.view, **trouble._asdict())
            alarm.live(alarm.life._replace(state=AlarmState.UNACK_ACTIVE))
            return self._change(alarm, Change.RAISED, mono, ts, None)
        if trouble is None and standing:
            state = after(alarm.life.state, Change.CLEARED, latch=False)
            alarm.live(alarm.life._replace(state=state or AlarmState.NORMAL))
            return self._change(alarm, Change.CLEARED, mono, ts, None)
        return None

    def numbered(self, view: AlarmView, now: Moment) -> StateChange:
        """Keep the view with the number of its event; returns the state to store with it."""
        alarm = self._alarms[view.alarm]
        alarm.view = view
        key = STATE_PREFIX + view.alarm
        if view.at_rest and not alarm.explained:
            return StateChange(key, None)
        text = stored(view, alarm.overlay, alarm.life, now, self._boot, explained=alarm.explained)
        return StateChange(key, text)

    def unsaved(self, now: Moment) -> tuple[StateChange, ...]:
        """The state of alarms that has changed without anything to be told."""
        alarms = [self._alarms[alarm] for alarm in sorted(self.changed_silently)]
        self.changed_silently.clear()
        return tuple(self.numbered(alarm.view, now) for alarm in alarms)

    def restore(self, texts: Mapping[str, str], now: Moment) -> Iterator[StateChange | Changed | AlarmView]:
        """Merge the alarms of the run before: their views, what is told of them, removals of the state of others."""
        for key, text in texts.items():
            if key.startswith(STATE_PREFIX):
                alarm_id = key.removeprefix(STATE_PREFIX)
                yield from self._restore(key, self._alarms.get(alarm_id), text, now)

    def _restore(
        self, key: str, alarm: Alarm | None, text: str, now: Moment
    ) -> Iterator[StateChange | Changed | AlarmView]:
        kept = None if alarm is None else restored(alarm.view, text, self._boot, now)
        if alarm is None or (kept is None and not alarm.view.seq):
            yield StateChange(key, None)
            return
        if kept is None:
            return
        if alarm.view.seq:  # what has happened to it in this run counts
            laid = covered_since(alarm, kept, now)
            if laid is not None:
                self._note_deadline(alarm)
                yield self._covered(alarm, laid[0], now.mono, now.ts, laid[1])
            return
        recover(alarm, kept, now)
        if not alarm.applies:  # its hours have ended meanwhile: that is found, and told, at once
            alarm.applies, self._turn = True, now.mono
        self._note_deadline(alarm)
        yield kept.view

    def again(self, changed: Changed, overlay: Overlay) -> Changed | None:
        """What a change from before the journal's answer is for the alarm that was restored since; None: nothing new.

        `overlay`: what lay over the alarm before the answer.
        """
        alarm = self._alarms[changed.view.alarm]
        if not happens_again(alarm, changed, overlay):
            return None
        self._note_deadline(alarm)
        since = changed.ts if changed.change in STATES else alarm.view.since
        alarm.view = replace(
            alarm.view,
            state=alarm.life.state,
            since=since,
            value=changed.view.value,
            hidden=alarm.overlay.shows,
            chattering=changed.mono < alarm.life.held,
        )
        return changed._replace(view=alarm.view)

    def one_story(self, changes: Iterable[Changed]) -> Iterator[Changed]:
        """The changes, with those of alarms that explain each other (story.py)."""
        changes = list(changes)
        coming = Counter(changed.view.alarm for changed in changes)
        for changed in changes:
            alarm = self._alarms[changed.view.alarm]
            coming[changed.view.alarm] -= 1
            own = list(self._stories.of(alarm))
            yield changed._replace(view=replace(changed.view, hidden=alarm.overlay.shows)) if own else changed
            for each in (*own, *self._stories.by(alarm, coming)):
                yield self._covered(*each, changed.mono, changed.ts)

    def stories(self, now: Moment) -> tuple[Changed, ...]:
        """What is explained otherwise than was told."""
        found = (each for alarm in by_priority(self._alarms.values()) for each in self._stories.of(alarm))
        return tuple(self._covered(*each, now.mono, now.ts) for each in found)

    def view(self, alarm_id: str) -> AlarmView:
        """What people see of an alarm."""
        return self._alarms[alarm_id].view

    def overlay(self, alarm_id: str) -> Overlay:
        """What lies over an alarm."""
        return self._alarms[alarm_id].overlay

    def take_over(self, before: Alarms, now: Moment) -> Iterator[AlarmView]:
        """Go on where `before`, made by another configuration, leaves off: the views that are others by this one.

        An alarm whose rule is as it was lives on, with its delays. One whose rule has changed keeps its state, and is
        judged by the next value. Those that are no more are at rest: of these, the views of them that were not.
        """
        for alarm_id, old in before._alarms.items():
            alarm = self._alarms.get(alarm_id)
            if alarm is None:
                if not old.view.at_rest:
                    yield replace(old.view, state=AlarmState.NORMAL, hidden=None)
                continue
            alarm.go_on_as(old, now)
            if not alarm.view.at_rest and alarm.view != old.view:
                yield alarm.view
        for alarm_id, group in self._groups.items():
            old_group = before._groups.get(alarm_id)
            if old_group is not None and old_group.condition == group.condition:
                group.holding, group.held = old_group.holding, old_group.held
        self._turn = now.mono if self._by_hours else inf
        self.wake = self._next_deadline()

    def corrected(self, is_in_era: Callable[[str, int], bool], by_ms: int) -> Iterator[AlarmView]:
        """The clock was wrong by `by_ms` when these events (run, seq) were made: the views that show such a time."""
        for view in self.standing():
            if by_ms and is_in_era(view.run, view.seq):
                yield replace(view, since=view.since + by_ms)

    def has(self, alarm_id: str) -> bool:
        """Whether a rule of this configuration makes this alarm."""
        return alarm_id in self._alarms

    def inputs(self, alarm_id: str) -> tuple[Input, ...]:
        """The points to be looked at before a reset of an alarm; none where it is refused anyway."""
        target, group = self._alarms[alarm_id].target, self._groups.get(alarm_id)
        if self._alarms[alarm_id].life.state is not AlarmState.LATCHED_ACK:
            return ()
        if group is None:
            return (Input(target.device, target.point, target.kind),) if target.device else ()
        return tuple(Input(term.device, term.point, target.kind) for term in group.condition.terms)

    def of_fire(self, zone: str) -> tuple[str, ...]:
        """The standing alarms on fire in a zone, or in one around it."""
        return tuple(
            alarm.view.alarm
            for alarm in self._alarms.values()
            if alarm.target.kind == "fire" and not alarm.view.at_rest and in_zone(zone, alarm.target.zone)
        )

    def standing(self) -> tuple[AlarmView, ...]:
        """The alarms that are not at rest."""
        return tuple(alarm.view for alarm in self._alarms.values() if not alarm.view.at_rest)

    def response(self, alarm_id: str) -> str | None:
        """The response that an alarm's rule calls for."""
        return self._alarms[alarm_id].rule.response

    def _change(
        self, alarm: Alarm, change: Change, mono: float, ts: int, value: Value | None, note: Note = NOBODY
    ) -> Changed:
        life = alarm.life
        held = mono < life.held
        alarm.view = replace(alarm.view, state=life.state, since=ts, value=value, chattering=held)
        return Changed(alarm.view, change, mono, ts, note)

    def _covered(self, alarm: Alarm, change: Change, mono: float, ts: int, note: Note = NOBODY) -> Changed:
        since = alarm.view.since if alarm.view.seq else ts  # it was at rest from the beginning
        alarm.view = replace(alarm.view, since=since, hidden=alarm.overlay.shows)
        return Changed(alarm.view, change, mono, ts, note)

    def _note_deadline(self, alarm: Alarm) -> None:
        at = alarm.deadline
        if at < self.wake or self._turn < self.wake:
            self.wake = min(at, self._turn)

    def _next_deadline(self) -> float:
        return min(self._turn, min((alarm.deadline for alarm in self._alarms.values()), default=inf))


def _next_minute(now: Moment) -> float:
    """When (monotonic) the next minute begins by the clock: hours begin and end with a minute."""
    return now.mono + 60.0 - now.ts % 60_000 / 1000


def _unknown(alarm_id: str) -> str:
    return f"there is no alarm {alarm_id[:140]!r}"
