"""All alarms of the gateway: each rule on each of its points, and its own (own.py), with what survives a restart.

The state of an alarm that is not normal is stored under `alarm/<id>` with the decision that changed it. What is
restored at start is merged: it raises nothing again and never undoes what has happened since the start.
Numbers that are calm (rules/condition.py) on all of a device's points cost two comparisons each; where one is not, each
alarm of the device looks at its value.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from math import inf
from operator import ge, le
from typing import NamedTuple, cast

from gateway.hub.own import Trouble
from gateway.model import AlarmState, AlarmView, Json, Priority, Reading, StateChange, Value
from gateway.records import encode
from gateway.rules.condition import NOWHERE, Told
from gateway.rules.judge import Life, Rule, deadline, elapse, fresh, judge, unknown
from gateway.rules.lifecycle import ACTIVE, Change, after, refusal
from gateway.rules.responses import Response

STATE_PREFIX = "alarm/"
_NUMBER = (float, int)  # by itself, since `float | int` in the loop is made anew for each value


class Target(NamedTuple):
    """One point that a rule is on, and the id of the alarm that this makes."""

    alarm: str
    device: str
    point: str
    zone: str


@dataclass(slots=True, eq=False)
class _Alarm:
    rule: Rule
    target: Target
    life: Life
    view: AlarmView
    of_device: _OfDevice
    low: float = inf  # from here to `high` a number changes nothing
    high: float = -inf

    def live(self, life: Life) -> None:
        """Go on with this life."""
        self.life = life
        low, high = NOWHERE if life.pending is not None else self.rule.condition.calm(life.state in ACTIVE)
        if low != self.low or high != self.high:
            self.low, self.high = low, high
            self.of_device.calm = None


class _Calm(NamedTuple):
    """The points of a device with limits, and from where to where the number of each changes nothing.

    No lows, or no highs, where any number is high, or low, enough.
    """

    names: tuple[str, ...]
    lows: tuple[float, ...]
    highs: tuple[float, ...]

    def holds(self, values: Mapping[str, Value]) -> bool:
        """Whether all of these points are there, and are such numbers."""
        try:
            numbers = cast("tuple[float, ...]", tuple(map(values.__getitem__, self.names)))
            return all(map(le, self.lows, numbers)) and all(map(ge, self.highs, numbers))
        except (KeyError, TypeError):  # it is bad, or no number
            return False


class _OfDevice:
    """The alarms on one device, by point: all of them, those with limits, and those that judge every value."""

    def __init__(self) -> None:
        self.all: dict[str, list[_Alarm]] = {}
        self.limited: dict[str, list[_Alarm]] = {}
        self.restless: dict[str, list[_Alarm]] = {}
        self.calm: _Calm | None = None  # None: to be found out

    def add(self, alarm: _Alarm) -> None:
        """One alarm more."""
        has_limits = alarm.rule.condition.calm(standing=False) != NOWHERE
        for by_point in (self.all, self.limited if has_limits else self.restless):
            by_point.setdefault(alarm.target.point, []).append(alarm)

    def concerned(self, values: Mapping[str, Value]) -> Mapping[str, list[_Alarm]]:
        """The alarms, by point, for which these values may change something."""
        self.calm = self.calm or self._calm()
        return self.restless if self.calm.holds(values) else self.all

    def _calm(self) -> _Calm:
        lows = [max(alarm.low for alarm in alarms) for alarms in self.limited.values()]
        highs = [min(alarm.high for alarm in alarms) for alarms in self.limited.values()]
        return _Calm(
            tuple(self.limited),
            tuple(lows) if any(low > -inf for low in lows) else (),
            tuple(highs) if any(high < inf for high in highs) else (),
        )


class Changed(NamedTuple):
    """An alarm's transition at the monotonic time `mono` (seconds), before it is numbered."""

    view: AlarmView
    change: Change
    mono: float


class Alarms:
    """Every alarm by id. Owned and changed by the hub alone; before `wake` (monotonic) `elapse` changes nothing."""

    def __init__(
        self,
        rules: tuple[tuple[Rule, tuple[Target, ...]], ...],
        responses: Mapping[str, Response],
        mono: float,
        own: tuple[str, ...] = (),
    ) -> None:
        self._alarms: dict[str, _Alarm] = {}
        self._by_device: dict[str, _OfDevice] = {}
        for rule, targets in (*rules, (Rule("", Told()), tuple(Target(alarm, "", "", "") for alarm in own))):
            for target in targets:
                of_device = self._by_device.setdefault(target.device, _OfDevice())
                alarm = _Alarm(rule, target, fresh(mono), _view(rule, target, responses), of_device)
                alarm.live(alarm.life)
                of_device.add(alarm)
                self._alarms[target.alarm] = alarm
        self.wake = self._next_deadline()

    def take(self, reading: Reading) -> list[Changed]:
        """The transitions that follow from a reading."""
        changes: list[Changed] = []
        of_device = self._by_device.get(reading.device)
        if of_device is None:
            return changes
        concerned = of_device.concerned(reading.values)
        for name, value in reading.values.items() if concerned else ():
            for alarm in concerned.get(name, ()):
                if isinstance(value, _NUMBER) and alarm.low <= value <= alarm.high:
                    continue
                change = self._judge(alarm, value, reading.mono)
                if change is not None:
                    changes.append(self._change(alarm, change, reading.mono, reading.ts, value))
        for name in reading.bad:
            for alarm in of_device.all.get(name, ()):
                alarm.live(unknown(alarm.rule, alarm.life))
        return changes

    def _judge(self, alarm: _Alarm, value: Value, mono: float) -> Change | None:
        before = alarm.life
        life, change = judge(alarm.rule, before, value, mono)
        if life is not before:
            alarm.live(life)
            self._note_deadline(alarm)
        return change

    def elapse(self, mono: float, ts: int) -> Iterator[Changed]:
        """The transitions that follow from the passing of time alone."""
        if mono < self.wake:
            return
        for alarm in self._alarms.values():
            before = alarm.life
            life, change = elapse(alarm.rule, before, mono)
            if life is not before:
                alarm.live(life)
            if change is not None:
                yield self._change(alarm, change, mono, ts, alarm.view.value)
        self.wake = self._next_deadline()

    def act(self, alarm_id: str, change: Change, mono: float, ts: int) -> Changed | str:
        """What a person's acknowledgement or reset does; a refusal in words where it does not apply."""
        alarm = self._alarms.get(alarm_id)
        if alarm is None:
            return f"there is no alarm {alarm_id!r}"
        state = after(alarm.life.state, change, latch=alarm.rule.latch)
        if state is None:
            return refusal(alarm.life.state, change)
        alarm.live(alarm.life._replace(state=state))
        return self._change(alarm, change, mono, ts, alarm.view.value)

    def tell(self, alarm_id: str, trouble: Trouble | None, mono: float, ts: int) -> Changed | None:
        """What is known of one of the gateway's own alarms: it is raised, raised again, cleared, or left as it is."""
        alarm = self._alarms[alarm_id]
        standing = alarm.life.state in ACTIVE
        if trouble is not None and not (standing and trouble == _trouble(alarm.view)):
            alarm.view = replace(alarm.view, **trouble._asdict())
            alarm.live(alarm.life._replace(state=AlarmState.UNACK_ACTIVE))
            return self._change(alarm, Change.RAISED, mono, ts, None)
        if trouble is None and standing:
            state = after(alarm.life.state, Change.CLEARED, latch=False)
            alarm.live(alarm.life._replace(state=state or AlarmState.NORMAL))
            return self._change(alarm, Change.CLEARED, mono, ts, None)
        return None

    def numbered(self, view: AlarmView) -> StateChange:
        """Keep the view with the number of its event; returns the state to store with it."""
        self._alarms[view.alarm].view = view
        key = STATE_PREFIX + view.alarm
        if view.state is AlarmState.NORMAL:
            return StateChange(key, None)
        kept: dict[str, Json] = {
            "state": view.state,
            "since": view.since,
            "seq": view.seq,
            "run": view.run,
            "value": view.value,
        }
        if not view.rule:
            kept |= _trouble(view)._asdict()
        return StateChange(key, encode(kept))

    def restore(self, stored: Mapping[str, str]) -> Iterator[StateChange | AlarmView]:
        """Merge the alarms of the run before: their views, and removals of the state of alarms that are gone."""
        for key, text in stored.items():
            if not key.startswith(STATE_PREFIX):
                continue
            alarm = self._alarms.get(key.removeprefix(STATE_PREFIX))
            if alarm is not None and alarm.view.seq:  # what has happened to it in this run counts
                continue
            view = None if alarm is None else _restored(alarm.view, text)
            if alarm is None or view is None:
                yield StateChange(key, None)
            else:
                alarm.view = view
                alarm.live(alarm.life._replace(state=view.state, pending=None))  # a delay of another state
                self._note_deadline(alarm)
                yield view

    def corrected(self, is_in_era: Callable[[str, int], bool], by_ms: int) -> Iterator[AlarmView]:
        """The clock was wrong by `by_ms` when these events (run, seq) were made: the views that show such a time."""
        for view in self.standing():
            if by_ms and is_in_era(view.run, view.seq):
                yield replace(view, since=view.since + by_ms)

    def has(self, alarm_id: str) -> bool:
        """Whether a rule of this configuration makes this alarm."""
        return alarm_id in self._alarms

    def standing(self) -> tuple[AlarmView, ...]:
        """The alarms that are not normal."""
        return tuple(alarm.view for alarm in self._alarms.values() if alarm.view.state is not AlarmState.NORMAL)

    def response(self, alarm_id: str) -> str | None:
        """The response that an alarm's rule calls for."""
        return self._alarms[alarm_id].rule.response

    def _change(self, alarm: _Alarm, change: Change, mono: float, ts: int, value: Value | None) -> Changed:
        return Changed(replace(alarm.view, state=alarm.life.state, since=ts, value=value), change, mono)

    def _note_deadline(self, alarm: _Alarm) -> None:
        at = deadline(alarm.rule, alarm.life)
        if at is not None:
            self.wake = min(self.wake, at)

    def _next_deadline(self) -> float:
        deadlines = (deadline(alarm.rule, alarm.life) for alarm in self._alarms.values())
        return min((at for at in deadlines if at is not None), default=float("inf"))


def _view(rule: Rule, target: Target, responses: Mapping[str, Response]) -> AlarmView:
    response = responses.get(rule.response) if rule.response else None
    return AlarmView(
        alarm=target.alarm,
        rule=rule.id,
        device=target.device,
        point=target.point,
        zone=target.zone,
        priority=rule.priority,
        state=AlarmState.NORMAL,
        since=0,
        seq=0,
        run="",
        value=None,
        text=rule.text or f"{target.device}.{target.point} {rule.condition}",
        say=response.say if response is not None else "",
    )


def _trouble(view: AlarmView) -> Trouble:
    return Trouble(view.priority, view.text, view.say)


def _restored(view: AlarmView, text: str) -> AlarmView | None:
    """The view as it was stored; None where the text is not one of ours."""
    try:
        stored = json.loads(text)
        value = stored["value"]
        if not view.rule:
            trouble = Trouble(Priority(stored["priority"]), str(stored["text"]), str(stored["say"]))
            view = replace(view, **trouble._asdict())
        return replace(
            view,
            state=AlarmState(stored["state"]),
            since=int(stored["since"]),
            seq=int(stored["seq"]),
            run=str(stored["run"]),
            value=(float(value[0]), float(value[1])) if isinstance(value, list) else value,
        )
    except (ValueError, KeyError, TypeError, IndexError):
        return None
