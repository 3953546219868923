"""Which records of a lane go next, and which must be asked for from the journal. Pure.

A lane has a live stream, fed by `Stored`, and behind it the backlog, read from the journal piece by piece:

    ids  ....acknowledged....|.. not read yet ..|.. handled by the live stream ..
                          reach               floor

- Rows up to `reach` have been read: they are acknowledged, on their way, or in `chunk`. Rows from `floor` on came live.
- Between them is the backlog. `open_end` says that nobody knows how far it goes: after a connection has ended.
- The live stream keeps a bounded number of rows. What is too much is dropped, oldest first, and thereby backlog.
- Within each stream rows leave in the order of their ids; a row is in one stream at a time only.
- Rows that are on their way while the journal is asked are skipped in its answer, however they ended meanwhile; so are
  those that came live since, even if `floor` has risen above them again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import NamedTuple

from gateway.model import Backlog, Row

CHUNK = 500
"""Rows that the journal is asked for at a time; the next chunk is asked for when half of it has gone."""

ASK_AGAIN_S = 30.0
"""Seconds after which a question to the journal counts as lost."""


class Question(NamedTuple):
    """What to ask the journal for; `number` tells its answer from an older one's."""

    number: int
    after: int
    upto: int | None


class Batch(NamedTuple):
    """The first rows of a stream that fit into one message; `full`: waiting longer would not make it bigger."""

    rows: tuple[Row, ...]
    full: bool


def first_batch(rows: Iterable[Row], max_records: int, max_bytes: int, overhead: int) -> Batch:
    """The rows of one run and one trust at the front, at most so many and so many bytes; never less than one."""
    taken: list[Row] = []
    size = 0
    for row in rows:
        text = row.record.text
        size += (len(text) if text.isascii() else len(text.encode())) + overhead
        if taken and (
            len(taken) == max_records
            or size > max_bytes
            or row.run != taken[0].run
            or row.record.trust is not taken[0].record.trust
        ):
            return Batch(tuple(taken), full=True)
        taken.append(row)
    return Batch(tuple(taken), full=len(taken) >= max_records or size >= max_bytes)


class LaneQueue:
    """The two streams of one lane. `keep`: rows of the live stream that are held, at most."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._live: deque[tuple[float, Row]] = deque()
        self._chunk: deque[Row] = deque()
        self._reach = 0
        self._floor: int | None = None
        self._open_end = True
        self._held: frozenset[int] = frozenset()
        self._asked = 0
        self._asked_at: float | None = None
        self._asked_below: int | None = None

    @property
    def live(self) -> Iterable[Row]:
        """The rows of the live stream that wait, in order."""
        return (row for _, row in self._live)

    @property
    def chunk(self) -> Iterable[Row]:
        """The rows of the backlog that wait, in order."""
        return iter(self._chunk)

    @property
    def has_chunk(self) -> bool:
        """Whether rows of the backlog wait."""
        return bool(self._chunk)

    @property
    def ask_again_at(self) -> float | None:
        """When (monotonic) the journal's answer counts as lost; None if none is waited for."""
        if self._asked_at is None or not self._needs_rows():
            return None
        return self._asked_at + ASK_AGAIN_S

    @property
    def live_since(self) -> float | None:
        """When (monotonic) the first waiting row of the live stream was made, or came if that was not later; or None.

        It has waited for the others of its commit already: that is no reason to wait as long once more.
        """
        if not self._live:
            return None
        came, row = self._live[0]
        return min(came, row.record.mono_ms / 1000)

    def reset(self, rows: Iterable[Row]) -> None:
        """The connection has ended: `rows` were on their way as live and go again, in order; the rest is asked for.

        Of `rows` only those from `floor` on: what is in memory must have no hole that is not acknowledged.
        """
        came = self._live[0][0] if self._live else 0.0
        again = [(came, row) for row in rows if self._floor is not None and row.id >= self._floor]
        self._live.extendleft(reversed(again))
        self._chunk.clear()
        self._reach = 0
        self._floor = self._live[0][1].id if self._live else None
        self._open_end = True
        self._asked_at = None
        self._bound()

    def forget(self) -> None:
        """The connection has ended, and nothing is kept: all that is not acknowledged becomes backlog."""
        self._live.clear()
        self.reset(())

    def stored(self, row: Row, now: float) -> None:
        """A row was stored just now and goes with the live stream."""
        if self._floor is None:
            self.passed(row)
        self._live.append((now, row))
        if len(self._live) > self._keep:
            self._bound()

    def passed(self, row: Row) -> None:
        """A row was stored just now that belongs to the live stream, but has gone already."""
        if self._floor is None:
            if not self._open_end:
                self._reach = row.id - 1
            self._floor = self._asked_below = row.id

    def left_behind(self, row: Row) -> None:
        """A row was stored just now that is backlog; no row of the live stream may be waiting."""
        self.passed(row)
        if not self.is_behind():
            self._reach = row.id - 1
        self._floor = row.id + 1

    def take_live(self, count: int = 1) -> None:
        """The first `count` rows of the live stream are on their way."""
        for _ in range(count):
            self._live.popleft()

    def take_chunk(self, count: int = 1) -> None:
        """The first `count` rows of the backlog are on their way."""
        for _ in range(count):
            self._chunk.popleft()

    def read_again(self) -> None:
        """What the journal has answered so far may have had holes: ask again for all below the live stream."""
        self._chunk.clear()
        self._reach = 0
        self._asked_at = None
        self._open_end = self._open_end or self._floor is None

    def start_over(self) -> None:
        """Rows that were acknowledged are wanted again: ask for all but those that wait in the live stream."""
        self._floor = self._live[0][1].id if self._live else None
        self._open_end = True
        self.read_again()

    def is_behind(self) -> bool:
        """Whether the journal has rows that were not read yet."""
        return self._open_end if self._floor is None else self._reach < self._floor - 1

    def question(self, held: Callable[[], Iterable[int]], now: float) -> Question | None:
        """What to ask the journal now, if anything; `held`, only called then: ids of rows that are on their way."""
        if not self._needs_rows():
            return None
        if self._asked_at is not None and now < self._asked_at + ASK_AGAIN_S:
            return None
        self._asked += 1
        self._asked_at = now
        self._asked_below = self._floor
        self._held = frozenset(held())
        return Question(self._asked, self._reach, None if self._floor is None else self._floor - 1)

    def answered(self, number: int, answer: Backlog) -> None:
        """The journal's answer to question `number`; one that is not waited for any more changes nothing."""
        if self._asked_at is None or number != self._asked:
            return
        self._asked_at = None
        below = answer.upto + 1 if self._asked_below is None else self._asked_below
        self._chunk.extend(row for row in answer.rows if row.id < below and row.id not in self._held)
        if answer.done or not answer.rows:
            read = answer.upto
            self._open_end = False
        else:
            read = answer.rows[-1].id
        self._reach = max(self._reach, min(read, below - 1))

    def _needs_rows(self) -> bool:
        return self.is_behind() and len(self._chunk) <= CHUNK // 2

    def _bound(self) -> None:
        """Drop the oldest rows of the live stream beyond what is kept."""
        if len(self._live) > self._keep and not self.is_behind():
            self._reach = self._live[0][1].id - 1
        while len(self._live) > self._keep:
            self._floor = self._live.popleft()[1].id + 1
