"""Events that are sent before the disk has confirmed them. Pure.

The hub hands every event over at once. It goes out when it is stored, or after a second, whichever comes first, and
never twice for that reason: what went early is remembered by its number until its row is known as well.

- Number 0 as a row's id means: not stored yet.
- Rows of this run are stored in the order of their numbers, so an event that is handed over after its row is ignored.
- One that is stored after a later one went early (there were too many to wait for the disk in memory) is backlog: the
  live stream stays in order.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from gateway.model import Record, Row

PATIENCE_S = 1.0
"""Seconds that an event waits for the disk."""

MAX_WAITING = 256
MAX_REMEMBERED = 4096


class Fate(Enum):
    """What is to become of an event that was stored just now."""

    SEND = "send"
    LATE = "late"  # a later one went early: it is backlog
    SENT = "sent"  # it went early and waits for its acknowledgement
    ACKED = "acked"  # it went early and was acknowledged


@dataclass(slots=True)
class _Sent:
    row_id: int = 0
    acked: bool = False


class EarlyEvents:
    """The events of this run that are not known to be stored."""

    def __init__(self, run: str) -> None:
        self._run = run
        self._waiting: dict[int, tuple[float, Record]] = {}
        self._sent: dict[int, _Sent] = {}
        self._stored = 0
        self._newest = 0

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def due_at(self) -> float | None:
        """When (monotonic) the next one goes, stored or not; None if none waits."""
        for due, _ in self._waiting.values():
            return due
        return None

    def handed_over(self, record: Record, now: float) -> None:
        """The hub made this event."""
        if record.seq <= self._stored:
            return
        self._waiting[record.seq] = now + PATIENCE_S, record
        if len(self._waiting) > MAX_WAITING:
            del self._waiting[next(iter(self._waiting))]

    def take(self) -> Row:
        """The first waiting event, from now on as one that is on its way."""
        seq = next(iter(self._waiting))
        _, record = self._waiting.pop(seq)
        self._sent[seq] = _Sent()
        self._newest = max(self._newest, seq)
        if len(self._sent) > MAX_REMEMBERED:
            del self._sent[next(iter(self._sent))]
        return Row(0, self._run, record)

    def stored(self, row: Row) -> Fate:
        """An event was stored: what is to become of it."""
        if row.run != self._run:
            return Fate.SEND
        seq = row.record.seq
        self._stored = max(self._stored, seq)
        self._waiting.pop(seq, None)
        sent = self._sent.get(seq)
        if sent is None:
            return Fate.LATE if seq < self._newest else Fate.SEND
        if sent.acked:
            del self._sent[seq]
            return Fate.ACKED
        sent.row_id = row.id
        return Fate.SENT

    def acked(self, row: Row) -> int:
        """An event that went early is acknowledged; returns its row's id, 0 if that comes later."""
        sent = self._sent.get(row.record.seq)
        if sent is None:
            return 0
        if sent.row_id:
            del self._sent[row.record.seq]
        sent.acked = True
        return sent.row_id

    def row_ids(self) -> list[int]:
        """The rows of events that went early and are not acknowledged."""
        return [sent.row_id for sent in self._sent.values() if sent.row_id]

    def put_back(self, rows: list[Row]) -> list[Row]:
        """These went early and were not acknowledged; returns those that are stored by now, the others wait again."""
        stored = []
        waiting: dict[int, tuple[float, Record]] = {}
        for row in rows:
            sent = self._sent.pop(row.record.seq, None)
            if sent is not None and sent.row_id:
                stored.append(row._replace(id=sent.row_id))
            else:
                waiting[row.record.seq] = 0.0, row.record
        self._waiting = waiting | self._waiting
        return stored
