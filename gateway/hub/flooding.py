"""A flood of alarms: while it stands, those of low priority are told to people together, so that the others are seen.

- Every change keeps its own event, with its number, in the journal and on the feed. Those that are told together carry
  `batched`, and a summary (`alarms_batched`) names their alarms, each minute and when the flood is over.
- What waits for its summary is stored under `batched/<alarm>`: after a restart it is told at once.
- High and medium alarms are never held back, nor is what a person does, nor an output.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import inf
from typing import NamedTuple

from gateway import records
from gateway.hub.alarmload import AlarmCounter
from gateway.model import AlarmView, Priority, StateChange
from gateway.rules.lifecycle import Change

PREFIX = "batched/"
SUMMARY_EVERY_S = 60.0
MOST_NAMED = 100
"""Alarms that one summary names; of more there are several."""

_TOGETHER = frozenset({Change.RAISED, Change.CLEARED, Change.RE_ALARMED})


class Summed(NamedTuple):
    """Texts of events, and state to be stored with them."""

    told: tuple[str, ...] = ()
    state: tuple[StateChange, ...] = ()


class Flooding:
    """Whether alarms flood, and what waits for its summary. Owned and changed by the hub alone.

    `elapse` is due at `wake` (monotonic s).
    """

    def __init__(self) -> None:
        self.counter = AlarmCounter()
        self._waiting: dict[str, int] = {}  # alarm -> its events since the last summary
        self._summary_at = inf
        self._stands = False

    @property
    def wake(self) -> float:
        """When a summary is due, or the flood may be over."""
        return min(self._summary_at, self.counter.calm_at if self._stands else inf)

    def batches(self, view: AlarmView, change: Change) -> bool:
        """Whether a change is told to people with others."""
        return self._stands and view.priority is Priority.LOW and change in _TOGETHER and view.hidden is None

    def batched(self, alarm: str, mono: float) -> Iterator[StateChange]:
        """A change of this alarm waits for a summary: the state to store."""
        if not self._waiting:
            self._summary_at = mono + SUMMARY_EVERY_S
        if alarm not in self._waiting:
            yield StateChange(PREFIX + alarm, "1")
        self._waiting[alarm] = self._waiting.get(alarm, 0) + 1

    def raised(self, alarm: str, mono: float) -> Iterator[str]:
        """One new alarm more: the event of a flood that begins with it."""
        self.counter.raised(alarm, mono)
        if self.counter.flood and not self._stands:
            self._stands = True
            yield self._event("began")

    def elapse(self, mono: float) -> Summed:
        """What follows from the passing of time."""
        self.counter.look(mono)
        is_over = self._stands and not self.counter.flood
        summed = self.summary() if is_over or mono >= self._summary_at else Summed()
        if not is_over:
            return summed
        self._stands = False
        return Summed((*summed.told, self._event("ended")), summed.state)

    def summary(self) -> Summed:
        """What waits, told together."""
        waiting, self._waiting, self._summary_at = self._waiting, {}, inf
        names = list(waiting)
        parts = [names[first : first + MOST_NAMED] for first in range(0, len(names), MOST_NAMED)]
        told = tuple(
            records.event("alarms_batched", alarms=[*part], events=sum(waiting[it] for it in part)) for part in parts
        )
        return Summed(told, tuple(StateChange(PREFIX + alarm, None) for alarm in names))

    def restore(self, stored: Mapping[str, str]) -> Summed:
        """What waited when the run before ended is told now."""
        for key in stored:
            if key.startswith(PREFIX):
                self._waiting.setdefault(key.removeprefix(PREFIX), 1)
        return self.summary()

    def _event(self, change: str) -> str:
        return records.event("flood", change=change, last_10_min=self.counter.last_10_min)
