"""Decisions that are not on the disk yet, gathered into one group, in bounded memory while the disk fails.

Pure. Invariants:
- A group is stored in one transaction, so a decision's records and state stay together; of a state key only the newest
  text is kept.
- When memory is short, what is local goes first, then the oldest telemetry; events go only when no other is left. What
  goes is told.
- A number of a reading that is skipped never comes later: it is a hole. (The event `started` has number 1 whenever it
  is made, and events are never skipped.)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from itertools import chain, islice
from typing import NamedTuple

from gateway.journal.times import Stamp
from gateway.model import Decision, Lane, Record


class Lost(NamedTuple):
    """Numbers `first` to `last` of a lane of this run, and when the records were made that were given up of them."""

    lane: Lane
    first: int
    last: int
    stamps: tuple[Stamp, ...] = ()


class Waiting:
    """The group that is being gathered; `since` is the monotonic time of its oldest part."""

    def __init__(self) -> None:
        self.events: deque[Record] = deque()
        self.telemetry: deque[Record] = deque()
        self.local: deque[Record] = deque()
        self.state: dict[str, str | None] = {}
        self.since: float | None = None
        self.text_bytes = 0
        self.holes: list[Lost] = []
        self._told = dict.fromkeys(Lane, 0)  # so many of the first of a lane
        self._newest = {Lane.TELEMETRY: 0, Lane.LOCAL: 0}

    def __len__(self) -> int:
        return len(self.events) + len(self.telemetry) + len(self.local)

    def add(self, decision: Decision, now: float) -> None:
        """Let the records and state of `decision` wait from `now` (monotonic seconds)."""
        for record in decision.records:
            self._add(record)
        for change in decision.state:
            self.state[change.key] = change.text
        if self.since is None and (decision.records or decision.state):
            self.since = now

    def _add(self, record: Record) -> None:
        text = record.text
        if not text.isascii():  # half a surrogate pair is no UTF-8: neither the disk nor MQTT would take it
            record = record._replace(text=text.encode("utf-8", "replace").decode())
        self.text_bytes += len(text)
        if record.lane is Lane.EVENT:
            self.events.append(record)
            return
        lane, newest = record.lane, self._newest[record.lane]
        (self.telemetry if lane is Lane.TELEMETRY else self.local).append(record)
        if record.seq > newest + 1:
            self.holes.append(Lost(lane, newest + 1, record.seq - 1))
        self._newest[lane] = max(newest, record.seq)

    def records(self) -> Iterator[Record]:
        """Events, then telemetry, then what is local, each in the order of its numbers."""
        return chain(self.events, self.telemetry, self.local)

    @property
    def told(self) -> Mapping[Lane, int]:
        """How many records of a lane, the first ones, were told while they waited."""
        return self._told

    def tell(self) -> list[Record]:
        """The records that were not told yet, which now are."""
        fresh = [record for lane, queue in self._queues() for record in islice(queue, self._told[lane], None)]
        self._told = {lane: len(queue) for lane, queue in self._queues()}
        return fresh

    def exceeds(self, max_records: int, max_bytes: int) -> bool:
        """Whether this is more than that."""
        return len(self) > max_records or self.text_bytes > max_bytes

    def _queues(self) -> tuple[tuple[Lane, deque[Record]], ...]:
        return (Lane.EVENT, self.events), (Lane.TELEMETRY, self.telemetry), (Lane.LOCAL, self.local)

    def trim(self, max_records: int, max_bytes: int) -> list[Lost]:
        """Give up the oldest of what is local, of telemetry, then of the events, until at most this much is left."""
        lost = []
        for lane, queue in reversed(self._queues()):
            gone: list[Stamp] = []
            while queue and self.exceeds(max_records, max_bytes):
                record = queue.popleft()
                self.text_bytes -= len(record.text)
                gone.append(Stamp(record.seq, record.ts, record.trust))
            self._told[lane] = max(0, self._told[lane] - len(gone))
            if gone:
                lost.append(Lost(lane, gone[0].seq, gone[-1].seq, tuple(gone)))
        return lost

    def clear(self) -> None:
        """Everything is on the disk."""
        self.events.clear()
        self.telemetry.clear()
        self.local.clear()
        self.state.clear()
        self.holes.clear()
        self._told = dict.fromkeys(Lane, 0)
        self.text_bytes = 0
        self.since = None
