"""The SQLite file of the journal.

Invariants:
- One writer: only the journal's thread uses a Store. Readers open connections of their own.
- A commit that has returned is on the disk: WAL with synchronous=FULL. Every change is one explicit transaction.
- A row's primary key is its identity (ledger.py), so storing twice is storing once, and a transaction whose outcome is
  unknown is simply tried again. Stored rows never change.
- Of telemetry the values are stored, and the names in them once in a run (shape.py): a third of the bytes.
- An id is given out once in the life of a process, even if the file is replaced under it: the run keeps its number, and
  what an uplink acknowledged of the old file cannot hit a row of the new one.
- After a failure the connection is closed and never used again; `open` makes a new one, checks the file, and ends with
  a real write and sync. A damaged file is set aside with its WAL; what it still gives and the state are in the new one
  in the same transaction as the run, or the next start tries again (inheritance.py).
- Every event is one link of the hash chain (chain.py), in the transaction that inserts it.
- The database never grows past its budget (max_page_count), a share of which is for events alone (retention.py).

No auto_vacuum: its pointer pages would be written with most commits, to return space that the budget has anyway.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from gateway.journal import chaining, enrolment, faults, opening, reading, retention, times
from gateway.journal.books import Books
from gateway.journal.chain import Head
from gateway.journal.enrolment import Identity
from gateway.journal.faults import JournalDamaged
from gateway.journal.handle import Handle
from gateway.journal.inheritance import Inheritance
from gateway.journal.ledger import Ledger, row_id, run_of, seq_of
from gateway.journal.retention import Slice
from gateway.journal.shaping import Shapes
from gateway.journal.upkeep import Upkeep
from gateway.journal.waiting import Lost, Waiting
from gateway.model import (
    JOURNAL_FAILED,
    Acked,
    Backlog,
    BacklogWanted,
    Confirmed,
    Dropped,
    Lane,
    Record,
    Recovered,
    Resend,
    ResendWanted,
    Row,
)

_INSERT = {
    lane: f"INSERT INTO {lane} (id, ts, trust, mono_ms, text, shape) "  # noqa: S608 - a lane is no input
    "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING"
    for lane in (Lane.TELEMETRY, Lane.LOCAL)
}


class Store:
    """The journal of one run in the file at `path`, within `max_size` bytes. All methods may raise JournalDown."""

    def __init__(
        self, path: Path, run: str, boot: str, uplinks: tuple[str, ...], max_size: int, event_share: float = 0.1
    ) -> None:
        self.handle = Handle(path, max_size, event_share)
        self._books = Books(uplinks)
        self.upkeep = Upkeep(self.handle, self._books)
        self._inheritance = Inheritance(path, self.handle.space)
        self._shapes = Shapes()
        self._run = run
        self._boot = boot
        self._number = 0  # of the run; 0 until it is enrolled
        self._wish = 0  # the number that rows were told with before it was enrolled
        self._void = 0  # a wish that was not granted: what is acknowledged under it may be another run's
        self._state: dict[str, str] = {}  # as on the disk, in case the file must be replaced
        self._is_new = False

    @property
    def ledger(self) -> Ledger:
        """Which rows there are, and who has which."""
        return self._books.ledger

    @property
    def state(self) -> Mapping[str, str]:
        """The state as on the disk."""
        return self._state

    # ------------------------------------------------------------ opening and closing

    @property
    def is_open(self) -> bool:
        """Whether there is a handle that has not failed."""
        return self.handle.is_open

    def open(self, now_ts: int) -> tuple[Recovered, tuple[Dropped, ...]]:
        """Open, check and enrol the run: what was found, and the gaps that the hub has not been told yet."""
        if self.handle.damage is None:
            with suppress(JournalDamaged):
                return self._begin(now_ts)
        self._set_aside(now_ts)
        return self._begin(now_ts)

    def close(self) -> None:
        """Close, with the WAL played into the database; a handle that fails in this is closed all the same."""
        self.handle.close()

    def _begin(self, now_ts: int) -> tuple[Recovered, tuple[Dropped, ...]]:
        books, inheritance = self._books, self._inheritance
        with self.handle.border():
            inheritance.resume()
            existed = opening.prepare(self.handle.path)
            self._is_new = self._is_new or not existed
            self._shapes.forget_file()
            if self._number and not existed and not inheritance.is_open:
                inheritance.forget_rows(self.ledger, "journal_deleted")
            db = self.handle.connect(existed=existed)
            self._hear_wish(db)
            with faults.expecting_sound(), self.handle.transaction():
                shapes = self._shapes.insert(db, self._number)  # again, where the run has met some already
                base, lost, is_salvaged = inheritance.take(db, self.ledger)
                draft, books.kept = enrolment.recall(db, base)
                number, previous = enrolment.enrol(
                    db, draft, Identity(self._run, self._boot, self._number, self._wish), now_ts
                )
                end = inheritance.chain(db)
                db.executemany("INSERT OR IGNORE INTO state VALUES (?, ?)", self._state.items())
                books.gaps.note(db, now_ts, lost)
                is_restored = enrolment.was_restored(db)
                kept = books.write(db, draft)
                db.execute(f"PRAGMA user_version = {opening.SCHEMA}")  # writes, whatever it was before
            inheritance.written()
            self._shapes.committed(shapes)
            with faults.expecting_sound():
                dropped = books.gaps.recall(db)
            self._state = dict(db.execute("SELECT key, text FROM state"))
            self.handle.space.cut_wal(db)  # what was carried over went through it
            self.handle.space.fit(db)  # not before: a full file must open, and what was set aside is not needed now
        books.ledger, books.kept, self._number, inheritance.end = draft, kept, number, end
        fate = "salvaged" if is_salvaged else "restored" if is_restored else "new" if self._is_new else "kept"
        self._is_new = False
        recovered = Recovered(fate, previous, self._state, inheritance.aside)
        inheritance.taken()
        return recovered, dropped

    def _hear_wish(self, db: sqlite3.Connection) -> None:
        if self._wish and not self._number and not enrolment.is_free(db, self._wish):
            self._void, self._wish = self._wish, 0
            self._books.ledger = Ledger(self.ledger.uplinks)

    def _set_aside(self, now_ts: int) -> None:
        damage = self.handle.damage
        if damage is not None:
            with self.handle.border():
                self._inheritance.set_aside(damage, now_ts)
            self.handle.damage = None

    # ------------------------------------------------------------ records

    @property
    def head(self) -> Head:
        """The head of the chain of events."""
        return self._inheritance.end.head

    def commit(
        self, group: Waiting, lost: Sequence[Dropped], now_ts: int, *, with_acks: bool = True
    ) -> tuple[Row, ...]:
        """Store a group with the gaps `lost` before it in one transaction; gives its rows when they are on the disk.

        Without acknowledgements it costs a page less.
        """
        with_acks = with_acks or bool(lost or group.holes)
        for hole in group.holes:
            self.ledger.give_up(hole.lane, *self._ids(hole.first, hole.last))
        with self.handle.border(), self.handle.transaction() as db:
            self.handle.expect_in_place()
            self.handle.space.expect_bounded_wal()
            for gap in lost:  # a commit that seemed to fail may have stored them
                retention.delete(db, self.ledger, gap.lane, *self._ids(gap.first, gap.last))
            events = ((row_id(self._number, event.seq), event) for event in group.events)
            end = chaining.insert(db, self._inheritance.end, self._run, events)
            for lane, records in ((Lane.TELEMETRY, group.telemetry), (Lane.LOCAL, group.local)):
                if records:
                    db.executemany(_INSERT[lane], [self._columns(record) for record in records])
            shapes = self._shapes.insert(db, self._number)
            self._change_state(db, group.state)
            self._books.gaps.announce(db, group.events)
            self._books.gaps.note(db, now_ts, lost)
            kept = self._books.write(db, self.ledger) if with_acks else self._books.kept
        self._books.kept, self._inheritance.end = kept, end
        self._shapes.committed(shapes)
        self._books.gaps.announced(group.events)
        self._books.gaps.committed(lost)
        self._state = {key: text for key, text in (self._state | group.state).items() if text is not None}
        rows = self.rows_of(group.records(), now_ts)
        for lane in {row.record.lane for row in rows}:
            self.ledger.stored(lane, max(row.id for row in rows if row.record.lane is lane))
        return rows

    def rows_of(self, records: Iterable[Record], now_ts: int) -> tuple[Row, ...]:
        """Records of this run as rows, whether they are stored or not."""
        if not self._number and not self._wish:
            self._wish = enrolment.wished(now_ts)
        number = self._number or self._wish
        return tuple(Row(row_id(number, record.seq), self._run, record) for record in records)

    def _ids(self, first: int, last: int) -> tuple[int, int]:
        return row_id(self._number, first), row_id(self._number, last)

    def given_up(self, lost: Lost, now_ts: int) -> Iterator[Dropped]:
        """The gaps of records that waited for the disk and are not kept any longer, by the uplinks that miss them."""
        number = self._number or self._wish or enrolment.wished(now_ts)
        for first, last, uplinks in self.ledger.pieces(
            lost.lane, row_id(number, lost.first), row_id(number, lost.last)
        ):
            stamps = [stamp for stamp in lost.stamps if seq_of(first) <= stamp.seq <= seq_of(last)]
            gap = Dropped(self._run, lost.lane, seq_of(first), seq_of(last), len(stamps), uplinks, JOURNAL_FAILED)
            yield times.of_stamps(stamps).on(gap)

    def _columns(self, record: Record) -> tuple[int, int, str, int, str, int | None]:
        text, shape = self._shapes.pack(record.text)
        return row_id(self._number, record.seq), record.ts, record.trust.value, record.mono_ms, text, shape

    def _change_state(self, db: sqlite3.Connection, state: Mapping[str, str | None]) -> None:
        db.executemany(
            "INSERT INTO state VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET text = excluded.text",
            [(key, text) for key, text in state.items() if text is not None],
        )
        db.executemany("DELETE FROM state WHERE key = ?", [(key,) for key, text in state.items() if text is None])

    # ------------------------------------------------------------ uplinks

    def acknowledge(self, acked: Acked) -> bool:
        """Take note; stored with the next commit. False if the uplink is not configured."""
        ids = acked.ids
        if self._void:
            ids = tuple(part for part in ids if run_of(part[0]) != self._void)
        return self.ledger.acknowledge(acked.uplink, acked.lane, ids)

    def confirm(self, confirmed: Confirmed) -> bool:
        """Take note of what exists of this; stored with the next commit. False if there is no such run."""
        number = self.ledger.number_of(confirmed.run)
        if number is None or number == self._void:
            return False
        end = seq_of(self.ledger.ends[confirmed.lane].get(number, 0))
        ids = [
            (row_id(number, first), row_id(number, min(last, end))) for first, last in confirmed.ranges if first <= end
        ]
        self.ledger.confirm(confirmed.uplink, confirmed.lane, ids)
        return True

    def backlog(self, wanted: BacklogWanted, now_ts: int) -> tuple[Backlog, tuple[Dropped, ...]]:
        """The oldest rows that an uplink does not have, and the gaps of those among them that are damaged.

        What the uplink has is jumped over, not read.
        """
        upto = max(self.ledger.top(wanted.lane), wanted.after) if wanted.upto is None else wanted.upto
        dropped: tuple[Dropped, ...] = ()
        while True:
            with self.handle.border():
                rows, unsound = reading.backlog(self.handle.db, self.ledger, wanted, upto, self._shapes)
            if not unsound:
                return Backlog(wanted.lane, tuple(rows[: wanted.limit]), upto, len(rows) <= wanted.limit), dropped
            cut = self.upkeep.slice(
                partial(retention.delete_rows, lane=wanted.lane, rows=unsound, reason="row_damaged"), now_ts
            )
            dropped += cut.dropped if cut is not None else ()

    def resend(self, wanted: ResendWanted, now_ts: int) -> Resend:
        """Take back what an uplink has acknowledged of these records, on the disk before this returns."""
        number = self.ledger.number_of(wanted.run)
        if number is None:
            return Resend(0, wanted.last - wanted.first + 1, f"the journal has nothing of run {wanted.run}")
        last = min(wanted.last, seq_of(self.ledger.ends[wanted.lane].get(number, 0)))
        if last < wanted.first:
            return Resend(0, 0)
        ids = row_id(number, wanted.first), row_id(number, last)
        cut = self.upkeep.slice(lambda _, draft: Slice(draft.take_back(wanted.uplink, wanted.lane, *ids)), now_ts)
        again = cut.rows if cut is not None else 0
        return Resend(again, last - wanted.first + 1 - again)
