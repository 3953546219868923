"""Judging: one rule on one point, from values and the passing of time to the changes of its alarm.

- A bad value is unknown: it ends no alarm, and restarts a delay that was running.
- The on-delay runs while every value is beyond the limit, the off-delay while every value is at the clear limit or
  better; both end at their time, without waiting for another value.
- An alarm that comes for the third time within a minute chatters: it is held, and ends ten minutes later at the
  earliest (numbers: EEMUA 191 and ISA-18.2 call three in a minute chattering).
- Life is immutable; `judge` and `elapse` give the same object back when nothing changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import NamedTuple

from gateway.hours import Hours
from gateway.model import AlarmState, Moment, Priority, Trust, Value
from gateway.rules.condition import Condition, SilentFor
from gateway.rules.lifecycle import ACTIVE, Change, after
from gateway.rules.overlay import Suppression


@dataclass(frozen=True, slots=True)
class Rule:
    """A condition with its delays (seconds), its risk level and what it calls for.

    With `hours` it is a rule within them alone, or, unless `during`, outside of them alone.
    """

    id: str
    condition: Condition
    on_delay_s: float = 0.0
    off_delay_s: float = 0.0
    priority: Priority = Priority.MEDIUM
    latch: bool = False
    response: str | None = None
    text: str = ""
    hours: Hours | None = None
    during: bool = True
    hold_chattering: bool = True
    suppression: Suppression | None = None
    re_alarm_s: float = inf  # after which an alarm that was acknowledged and still stands is told again

    def applies(self, now: Moment) -> bool:
        """Whether it is a rule now. While the clock is not known it always is."""
        if self.hours is None or now.trust is Trust.UNSYNCED:
            return True
        return self.hours.hold(now.ts) is self.during


CHATTER, CHATTER_WITHIN_S, HOLD_S = 3, 60.0, 600.0
"""An alarm that is raised so often within so many seconds is held for so many."""


class Life(NamedTuple):
    """Where an alarm stands. `pending` is since when (monotonic) the condition contradicts that, None if it does not.

    `heard` is when (monotonic) the last good value came; a rule on silence is judged by it. `raised` is when it was
    raised lately; until `held` it does not end. `seen` is when it was acknowledged.
    """

    state: AlarmState
    pending: float | None
    heard: float
    raised: tuple[float, ...] = ()
    held: float = -inf
    seen: float = inf


def fresh(mono: float) -> Life:
    """The life of an alarm of which nothing is known yet."""
    return Life(AlarmState.NORMAL, None, mono)


def judge(rule: Rule, life: Life, value: Value, mono: float) -> tuple[Life, Change | None]:
    """What a good value at monotonic time `mono` makes of the alarm."""
    holds = rule.condition.holds(value, life.state in ACTIVE)
    if isinstance(rule.condition, SilentFor):
        life = life._replace(heard=mono)
    return settle(rule, life, holds, mono)


def settle(rule: Rule, life: Life, holds: bool | None, mono: float) -> tuple[Life, Change | None]:
    """What it makes of the alarm that its condition holds at monotonic time `mono`, or does not; None: not known."""
    standing = life.state in ACTIVE
    if holds is None or holds == standing:
        return (life if life.pending is None else _pending_since(None, life)), None
    pending = mono if life.pending is None else life.pending
    if mono < _ripe_at(rule, life, pending):
        return (_pending_since(mono, life) if life.pending is None else life), None
    return _ripened(rule, life, mono)


def unknown(rule: Rule, life: Life) -> Life:
    """What a bad value makes of the alarm: a delay that was running starts anew with the next good value."""
    if life.pending is None or isinstance(rule.condition, SilentFor):
        return life
    return life._replace(pending=None)


def elapse(rule: Rule, life: Life, mono: float) -> tuple[Life, Change | None]:
    """What the passing of time until `mono` makes of the alarm."""
    if isinstance(rule.condition, SilentFor) and life.state not in ACTIVE and life.pending is None:
        silent_at = life.heard + rule.condition.seconds
        if mono < silent_at:
            return life, None
        life = life._replace(pending=silent_at)
    if life.state is AlarmState.ACK_ACTIVE and mono >= life.seen + rule.re_alarm_s:
        return life._replace(state=AlarmState.UNACK_ACTIVE, seen=inf), Change.RE_ALARMED
    if life.pending is None or mono < _ripe_at(rule, life, life.pending):
        return life, None
    return _ripened(rule, life, mono)


def set_aside(rule: Rule, life: Life) -> tuple[Life, Change | None]:
    """What becomes of the alarm when its rule is none any more, as at the end of its hours: it is over, if it stood."""
    state = after(life.state, Change.CLEARED, latch=rule.latch) if life.state in ACTIVE else None
    if state is None:
        return life._replace(pending=None), None
    return life._replace(state=state, pending=None), Change.CLEARED


def taken_up(life: Life, mono: float) -> Life:
    """The alarm when its rule is one again: silence counts from now."""
    return life._replace(heard=mono)


def acknowledged(life: Life, state: AlarmState, mono: float) -> Life:
    """The alarm in the state that follows from a person's acknowledgement."""
    return life._replace(state=state, seen=mono)


def deadline(rule: Rule, life: Life) -> float | None:
    """When (monotonic) `elapse` may change something; None: not before the next value."""
    standing = life.state in ACTIVE
    again = life.seen + rule.re_alarm_s if life.state is AlarmState.ACK_ACTIVE else inf
    if life.pending is not None:
        return min(_ripe_at(rule, life, life.pending), again)
    if isinstance(rule.condition, SilentFor) and not standing:
        return life.heard + rule.condition.seconds
    return again if again < inf else None


def _ripe_at(rule: Rule, life: Life, pending: float) -> float:
    """When (monotonic) what is pending happens."""
    return max(pending + rule.off_delay_s, life.held) if life.state in ACTIVE else pending + rule.on_delay_s


def _pending_since(pending: float | None, life: Life) -> Life:
    """Made by itself: `_replace` takes three times as long, and this is done for every value beyond a limit."""
    return Life(life.state, pending, life.heard, life.raised, life.held, life.seen)


def _ripened(rule: Rule, life: Life, mono: float) -> tuple[Life, Change | None]:
    """What was pending has happened."""
    change = Change.CLEARED if life.state in ACTIVE else Change.RAISED
    state = after(life.state, change, latch=rule.latch)
    if state is None:  # cannot happen: every state has an answer to the condition's change
        return _pending_since(None, life), None
    raised, held = life.raised, life.held
    if change is Change.RAISED and rule.hold_chattering:
        raised = (*(at for at in raised if mono - at < CHATTER_WITHIN_S), mono)[-CHATTER:]
        held = mono + HOLD_S if len(raised) == CHATTER else held
    return Life(state, None, life.heard, raised, held, life.seen), change
