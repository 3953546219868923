"""Several limits on one point tell one story: while the alarm that says more stands, the lesser one is explained by it.

After ISA-18.2, which suppresses the lower alarm by the higher. One explains another if both are on the same side of the
same point, it has the higher priority, and its limit is as far out or farther. One that is hidden itself explains
nothing; none that is high is ever hidden so. What the lesser one has switched stays: a fan that runs from 8 degrees on
runs at 12, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from gateway.hub.alarm import Alarm
from gateway.model import AlarmState
from gateway.rules.condition import Above, Below
from gateway.rules.lifecycle import ACTIVE, Change
from gateway.rules.overlay import Note
from gateway.rules.responses import RANKS


class Stories:
    """Which alarm may explain which. Owned by the hub alone."""

    def __init__(self, alarms: Iterable[Alarm]) -> None:
        by_side: dict[tuple[str, str, type], list[Alarm]] = {}
        for alarm in alarms:
            if isinstance(alarm.rule.condition, Above | Below):
                side = alarm.target.device, alarm.target.point, type(alarm.rule.condition)
                by_side.setdefault(side, []).append(alarm)
        pairs = [
            (lesser, greater)
            for side in by_side.values()
            for lesser in side
            for greater in side
            if _says_more(greater, lesser)
        ]
        self._greater = _grouped((lesser, greater) for lesser, greater in pairs)
        self._lesser = _grouped((greater, lesser) for lesser, greater in pairs)

    def of(self, alarm: Alarm) -> Iterator[tuple[Alarm, Change]]:
        """Whether an alarm begins or ceases to be explained."""
        if alarm.target.alarm in self._greater:
            yield from self._look(alarm)
        elif alarm.overlay.greater is not None:  # by another configuration
            alarm.overlay = alarm.overlay._replace(greater=None)
            yield alarm, Change.UNSUPPRESSED

    def by(self, alarm: Alarm, coming: Mapping[str, int]) -> Iterator[tuple[Alarm, Change]]:
        """Which alarms another begins or ceases to explain, but for those of which more is told at once."""
        for lesser in self._lesser.get(alarm.target.alarm, ()):
            if not coming.get(lesser.target.alarm):
                yield from self._look(lesser)

    def _look(self, lesser: Alarm) -> Iterator[tuple[Alarm, Change]]:
        found = (it for it in self._greater[lesser.target.alarm] if it.life.state in ACTIVE and not it.overlay.shows)
        greater = next(found, None) if lesser.life.state is not AlarmState.NORMAL else None
        note = None if greater is None else Note(greater.target.alarm, str(greater.rule.condition))
        was, lesser.overlay = lesser.overlay.greater, lesser.overlay._replace(greater=note)
        if (note is None) is not (was is None):
            yield lesser, Change.UNSUPPRESSED if note is None else Change.SUPPRESSED


def _says_more(greater: Alarm, lesser: Alarm) -> bool:
    one, other = greater.rule.condition, lesser.rule.condition
    if RANKS[greater.rule.priority] >= RANKS[lesser.rule.priority]:
        return False
    if isinstance(one, Above) and isinstance(other, Above):
        return one.limit >= other.limit
    return isinstance(one, Below) and isinstance(other, Below) and one.limit <= other.limit


def _grouped(pairs: Iterable[tuple[Alarm, Alarm]]) -> Mapping[str, list[Alarm]]:
    found: dict[str, list[Alarm]] = {}
    for alarm, other in pairs:
        found.setdefault(alarm.target.alarm, []).append(other)
    return {alarm: by_priority(others) for alarm, others in found.items()}


def by_priority(alarms: Iterable[Alarm]) -> list[Alarm]:
    """The greatest first: what is explained by one of them is found when that one is known to stand or not."""
    return sorted(alarms, key=lambda alarm: RANKS[alarm.rule.priority])
