"""One alarm, and what the run before had stored of it: merged, so that nothing is forgotten and nothing told twice.

What happened before the journal's answer happens again to the alarm that is restored by it. Where that is nothing new,
as a smoke that is still there, the alarm goes on as it was: since when it stands, and whether somebody has seen it.
"""

from __future__ import annotations

from dataclasses import replace

from gateway.hub.alarm import Alarm, Changed
from gateway.hub.alarm_text import Kept, trouble_of
from gateway.model import AlarmState, Moment
from gateway.rules.judge import acknowledged
from gateway.rules.lifecycle import Change, after
from gateway.rules.overlay import Note, Overlay

STATES = frozenset({Change.RAISED, Change.CLEARED, Change.ACKNOWLEDGED, Change.RESET, Change.RE_ALARMED})
"""The changes that are about the alarm's own state."""


def recover(alarm: Alarm, kept: Kept, now: Moment) -> None:
    """Let the alarm go on as it was kept."""
    alarm.view, overlay = kept.view, kept.overlay
    if overlay.plant is not None and alarm.rule.suppression is None:  # ends, and that is told, at once
        overlay = overlay._replace(plant=overlay.plant._replace(until=now.mono))
    alarm.overlay, alarm.explained = overlay, kept.explained
    # a delay that runs is one of another state
    alarm.live(alarm.life._replace(state=kept.view.state, pending=None, held=kept.held, seen=kept.seen))


def happens_again(alarm: Alarm, changed: Changed, overlay: Overlay) -> bool:
    """Let a change happen to the restored alarm, over which `overlay` lay before; whether it is one."""
    match changed.change:
        case Change.SHELVED | Change.UNSHELVED:
            alarm.overlay = alarm.overlay._replace(shelf=overlay.shelf)
        case Change.OUT_OF_SERVICE | Change.IN_SERVICE:
            alarm.overlay = alarm.overlay._replace(service=overlay.service)
        case Change.SUPPRESSED if alarm.explained:  # for the time that is left, or for too long already
            return False
        case Change.SUPPRESSED | Change.UNSUPPRESSED:
            alarm.overlay, alarm.explained = alarm.overlay._replace(plant=overlay.plant), overlay.plant is not None
        case change if change in STATES:
            return _lives_again(alarm, changed)
    return True


def _lives_again(alarm: Alarm, changed: Changed) -> bool:
    change, life = changed.change, alarm.life
    own = not alarm.rule.id
    state = after(life.state, change, latch=alarm.rule.latch)
    if own and change is Change.RAISED and trouble_of(changed.view) != trouble_of(alarm.view):
        state = AlarmState.UNACK_ACTIVE
    if state is None or (change is Change.CLEARED and changed.mono < life.held):
        return False
    if own and change is Change.RAISED:
        alarm.view = replace(alarm.view, **trouble_of(changed.view)._asdict())
    is_seen = change is Change.ACKNOWLEDGED
    alarm.live(acknowledged(life, state, changed.mono) if is_seen else life._replace(state=state, pending=None))
    return True


def covered_since(alarm: Alarm, kept: Kept, now: Moment) -> tuple[Change, Note] | None:
    """What a person had laid over an alarm, of which the journal tells when more has happened to it in this run."""
    if kept.view.run == alarm.view.run or alarm.overlay.service is not None or alarm.overlay.shelf is not None:
        return None
    service, shelf = kept.overlay.service, kept.overlay.shelf
    if shelf is not None and shelf.until <= now.mono:
        shelf = None
    alarm.overlay = alarm.overlay._replace(service=service, shelf=shelf)
    if service is not None:
        return Change.OUT_OF_SERVICE, service
    return None if shelf is None else (Change.SHELVED, shelf.note)
