"""One alarm of the hub, and the alarms on one device: which of them a reading may concern.

Numbers that are calm (rules/condition.py) on all of a device's points cost two comparisons each; where one is not, each
alarm of the device looks at its value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from math import inf
from operator import ge, le
from typing import NamedTuple

from gateway.model import AlarmState, AlarmView, Moment, Reading, Reason, Value
from gateway.rules.condition import EVERYWHERE, NOWHERE, AtLeast
from gateway.rules.judge import Life, Rule, deadline, taken_up
from gateway.rules.lifecycle import ACTIVE, Change
from gateway.rules.overlay import NOBODY, NOTHING, Note, Overlay, Shelf
from gateway.rules.responses import Response
from gateway.rules.window import Window

_NUMBER = (float, int)  # by itself, since `float | int` would be made anew for each value


class Changed(NamedTuple):
    """An alarm's transition at the monotonic time `mono` (seconds), which is `ts` (UTC ms), before it is numbered."""

    view: AlarmView
    change: Change
    mono: float
    ts: int
    note: Note = NOBODY  # who has done it, and why


class Target(NamedTuple):
    """One point that a rule is on, and the id of the alarm that this makes."""

    alarm: str
    device: str
    point: str
    zone: str
    kind: str = ""  # of the point
    patience_s: float = 0.0  # how long a good value may be missing before the point is unknown


@dataclass(slots=True, eq=False)
class Alarm:
    """A rule on a point: where it stands, what lies over it, and what people see of it."""

    rule: Rule
    target: Target
    life: Life
    view: AlarmView
    of_device: OfDevice
    overlay: Overlay = NOTHING
    applies: bool = True  # false outside of its rule's hours
    window: Window | None = None  # of a rule on changes
    explained: bool = False  # by what the plant does, whether for too long or not
    low: float = inf  # from here to `high` a number changes nothing
    high: float = -inf

    def judged_by(self, value: Value, mono: float) -> Value:
        """What of `value` the rule is about: itself, or by how much it has changed."""
        if self.window is None or not isinstance(value, _NUMBER):
            return value
        return self.window.take(value, mono)

    def live(self, life: Life) -> None:
        """Go on with this life."""
        self.life = life
        low, high = NOWHERE if life.pending is not None else self.rule.condition.calm(life.state in ACTIVE)
        if not self.applies:
            low, high = EVERYWHERE
        if low != self.low or high != self.high:
            self.low, self.high = low, high
            self.of_device.calm = None

    def explain(self, value: Value | None, reading: Reading) -> Change | None:
        """Whether the plant begins or ceases to explain the alarm; no value: it is bad, and explains nothing."""
        suppression = self.rule.suppression
        if suppression is None:
            return None
        term, before = suppression.term, self.explained
        self.explained = value is not None and bool(term.condition.holds(value, before))
        if self.explained and not before:
            until = reading.mono + suppression.most_s, reading.ts + round(suppression.most_s * 1000)
            self.overlay = self.overlay._replace(plant=Shelf(Note(f"{term.device}.{term.point}", str(term)), *until))
            return Change.SUPPRESSED
        if before and not self.explained and self.overlay.plant is not None:
            self.overlay = self.overlay._replace(plant=None)
            return Change.UNSUPPRESSED
        return None

    def is_disturbed(self, point: str, reading: Reading, heard: Callable[[str, str], float]) -> bool:
        """Whether a bad value of `point` says nothing yet, since the alarm does not stand.

        A delay that is running is not begun anew by a lost poll: on a bus that loses one in fifty, an excursion would
        never be an alarm. What does not come for longer is unknown (unheard.py). An alarm that stands waits for good
        values.
        """
        if self.life.state in ACTIVE:
            return False
        missing_s = reading.mono - heard(reading.device, point)
        is_jump = reading.bad[point] is Reason.TOO_FAST  # of which the next reading decides
        return is_jump or missing_s < self.target.patience_s

    @property
    def deadline(self) -> float:
        """When (monotonic) time alone may change something."""
        at = deadline(self.rule, self.life) if self.applies else None
        until = inf if self.overlay is NOTHING else self.overlay.until
        return until if at is None or until < at else at

    def go_on_as(self, old: Alarm, now: Moment) -> None:
        """Live as `old` did, as far as the rule is the same: other words or another priority begin no delay anew."""
        asks_the_same = old.rule.condition == self.rule.condition and old.target[:3] == self.target[:3]
        self.view = _gone_on(self.view, old.view)
        self.overlay = old.overlay
        if asks_the_same:
            self.window = old.window
        if old.rule.suppression == self.rule.suppression:
            self.explained = old.explained
        elif (plant := old.overlay.plant) is not None:  # ends, and that is told, at once
            self.overlay = old.overlay._replace(plant=plant._replace(until=now.mono))
        life = old.life if asks_the_same else old.life._replace(pending=None)
        if self.rule.hours is not None:
            self.applies = old.applies  # whether it still does is found, and told, at once
        elif not old.applies:
            life = taken_up(life, now.mono)
        self.live(life)


@dataclass(slots=True, eq=False)
class Group:
    """An alarm on several points: which of its condition's terms hold, as far as is known.

    A term that is bad for a while keeps its way back. Where it was never known, as after a restart, and the alarm
    stands, it is taken to have held: an alarm ends at the clear limits, not because something was forgotten.
    """

    alarm: Alarm
    condition: AtLeast
    holding: list[bool | None] = field(init=False)
    held: list[bool | None] = field(init=False)  # the same when it was last known

    def __post_init__(self) -> None:
        """Nothing is known yet."""
        self.holding = [None] * len(self.condition.terms)
        self.held = list(self.holding)

    def take(self, number: int, value: Value | None) -> bool:
        """A value for a term; None: it is bad. Whether the term has come true by it."""
        held = self.held[number]
        standing = self.alarm.life.state in ACTIVE if held is None else held
        holds = None if value is None else self.condition.terms[number].condition.holds(value, standing)
        self.holding[number] = holds
        self.held[number] = held if holds is None else holds
        return holds is True and held is not True

    @property
    def verdict(self) -> bool | None:
        """Whether the alarm should stand."""
        return self.condition.verdict(self.holding)


class _Calm(NamedTuple):
    """The points of a device with limits, and from where to where the number of each changes nothing.

    No lows, or no highs, where any number is high, or low, enough.
    """

    names: tuple[str, ...]
    lows: tuple[float, ...]
    highs: tuple[float, ...]

    def holds(self, values: Mapping[str, float]) -> bool:
        """Whether all of these points are there, and are such numbers."""
        try:
            if len(self.names) == 1:
                number = values[self.names[0]]
                return (not self.lows or self.lows[0] <= number) and (not self.highs or number <= self.highs[0])
            numbers = tuple(map(values.__getitem__, self.names))
            return all(map(le, self.lows, numbers)) and all(map(ge, self.highs, numbers))
        except (KeyError, TypeError):  # it is bad, or no number
            return False


class OfDevice:
    """The alarms on one device, by point: all of them, those with limits, and those that judge every value."""

    def __init__(self) -> None:
        self.all: dict[str, list[Alarm]] = {}
        self.limited: dict[str, list[Alarm]] = {}
        self.restless: dict[str, list[Alarm]] = {}
        self.groups: dict[str, list[tuple[Group, int]]] = {}  # of which terms a point is part
        self.explains: dict[str, list[Alarm]] = {}  # which alarms a point may suppress
        self.calm: _Calm | None = None  # None: to be found out

    def add(self, alarm: Alarm) -> None:
        """One alarm more."""
        has_limits = alarm.rule.condition.calm(standing=False) != NOWHERE
        for by_point in (self.all, self.limited if has_limits else self.restless):
            by_point.setdefault(alarm.target.point, []).append(alarm)

    def concerned(self, values: Mapping[str, Value]) -> Mapping[str, list[Alarm]]:
        """The alarms, by point, for which these values may change something."""
        self.calm = self.calm or self._calm()
        is_calm = self.calm.holds(values)  # type: ignore[arg-type]  # what is no number is no calm one
        return self.restless if is_calm else self.all

    def _calm(self) -> _Calm:
        lows = [max(alarm.low for alarm in alarms) for alarms in self.limited.values()]
        highs = [min(alarm.high for alarm in alarms) for alarms in self.limited.values()]
        return _Calm(
            tuple(self.limited),
            tuple(lows) if any(low > -inf for low in lows) else (),
            tuple(highs) if any(high < inf for high in highs) else (),
        )


def view_of(rule: Rule, target: Target, responses: Mapping[str, Response]) -> AlarmView:
    """What people see of an alarm of which nothing is known yet."""
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
        text=rule.text or _words(rule, target),
        say=response.say if response is not None else "",
        say_in=response.say_in if response is not None else {},
        tell=response.tell if response is not None else (),
    )


def _words(rule: Rule, target: Target) -> str:
    of_several = isinstance(rule.condition, AtLeast)
    return str(rule.condition) if of_several else f"{target.device}.{target.point} {rule.condition}"


def _gone_on(view: AlarmView, old: AlarmView) -> AlarmView:
    """What people see of an alarm by this configuration, in the state in which it was seen as `old`."""
    if not view.rule:
        return old
    return replace(
        view,
        state=old.state,
        since=old.since,
        seq=old.seq,
        run=old.run,
        value=old.value,
        hidden=old.hidden,
        chattering=old.chattering,
        silenced=old.silenced,
        report=old.report,
    )
