"""The alarms as a person reads them: the most urgent first, each in a line of a table, and below it what to know of it.

The id stands last in its line, so that a long one pushes nothing away, or in one of its own where the screen is too
narrow; it is never folded, so that it can be copied.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from textwrap import wrap
from typing import Any

from gateway.cli.table import clock, duration, table
from gateway.model import AlarmState, Priority

_HEAD = ("PRIORITY", "STATE", "SINCE (UTC)", "FOR")
_INDENT = "    "
_LEAST_WIDTH = 40
_STATES = {
    AlarmState.NORMAL: "normal",
    AlarmState.UNACK_ACTIVE: "unacknowledged",
    AlarmState.ACK_ACTIVE: "acknowledged",
    AlarmState.RTN_UNACK: "over, unacknowledged",
    AlarmState.LATCHED_UNACK: "latched, unacknowledged",
    AlarmState.LATCHED_ACK: "latched, acknowledged",
}
_UNSEEN = frozenset({AlarmState.UNACK_ACTIVE, AlarmState.RTN_UNACK, AlarmState.LATCHED_UNACK})
_ORDER = {priority: rank for rank, priority in enumerate((Priority.HIGH, Priority.MEDIUM, Priority.LOW))}


def alarm_lines(alarms: Sequence[dict[str, Any]], ts: int, width: int | None = None) -> Iterable[str]:
    """All that stand or are hidden, at the time `ts` (UTC ms); words are folded at `width` characters."""
    if not alarms:
        yield "no alarms"
        return
    ordered = sorted(alarms, key=_urgency)
    cells = [_row(alarm, ts) for alarm in ordered]
    head, *rows = table((*_HEAD, "ALARM"), [(*row, it["alarm"]) for row, it in zip(cells, ordered, strict=True)], "")
    is_narrow = width is not None and max(map(len, rows)) > width
    if is_narrow:
        head, *rows = table(_HEAD, cells, "")
    yield _summary(ordered)
    yield head
    for row, alarm in zip(rows, ordered, strict=True):
        yield row
        if is_narrow:
            yield _INDENT + alarm["alarm"]
        for told in _told(alarm):
            yield from _folded(told, width)


def _urgency(alarm: dict[str, Any]) -> tuple[bool, int, int]:
    """What calls people goes first, then by priority, then the newest."""
    return alarm["hidden"] is not None, _ORDER[alarm["priority"]], -alarm["since"]


def _summary(alarms: Sequence[dict[str, Any]]) -> str:
    calling = [alarm for alarm in alarms if alarm["hidden"] is None]
    by_priority = Counter(alarm["priority"] for alarm in calling)
    unseen = sum(alarm["state"] in _UNSEEN for alarm in calling)
    priorities = [f"{by_priority[priority]} {priority}" for priority in _ORDER if by_priority[priority]]
    parts = [", ".join(priorities)] if priorities else []
    parts += [f"{unseen} unacknowledged"] if unseen else []
    parts += [f"{len(alarms) - len(calling)} hidden"] if len(alarms) > len(calling) else []
    return f"{len(alarms)} alarm{'s' if len(alarms) > 1 else ''}: {'; '.join(parts)}"


def _row(alarm: dict[str, Any], ts: int) -> tuple[object, ...]:
    stood_s = max(0.0, (ts - alarm["since"]) / 1000)
    state = _STATES[AlarmState(alarm["state"])]
    return alarm["priority"], state, clock(alarm["since"])[:-3], duration(stood_s)


def _told(alarm: dict[str, Any]) -> Iterable[str]:
    """What is wrong, what hides or marks it, and what people should do."""
    yield " ".join((alarm["text"], *_marks(alarm))).strip()
    if alarm["say"] and alarm["hidden"] is None:
        tell = f" (tell {', '.join(alarm['tell'])})" if alarm["tell"] else ""
        yield f"-> {alarm['say']}{tell}"


def _marks(alarm: dict[str, Any]) -> Iterable[str]:
    hidden = alarm["hidden"]
    if hidden is not None:
        until = "" if hidden["until"] is None else f" until {clock(hidden['until'])}"
        yield f"[{hidden['how'].replace('_', ' ')}{until} by {hidden['by']}: {hidden['why']}]"
    for mark in ("test", "chattering", "silenced"):
        if alarm[mark]:
            yield f"[{mark}]"
    if alarm["report"]:
        yield f"[{alarm['report'].replace('_', ' ')}]"


def _folded(text: str, width: int | None) -> Iterable[str]:
    if width is None:
        yield _INDENT + text
        return
    room = max(_LEAST_WIDTH, width)
    yield from wrap(
        text, room, initial_indent=_INDENT, subsequent_indent=_INDENT, break_long_words=False, break_on_hyphens=False
    )
