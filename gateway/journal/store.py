"""The SQLite file of the journal.

Invariants:
- One writer: only the journal's thread uses a Store. Readers open connections of their own.
- A commit that has returned is on the disk: WAL with synchronous=FULL. Every change is one explicit transaction.
- A row's primary key is its identity (ledger.py), so storing twice is storing once, and a transaction whose outcome is
  unknown is simply tried again. Stored rows never change.
- An id is given out once in the life of a process, even if the file is replaced under it: the run keeps its number, and
  what an uplink acknowledged of the old file cannot hit a row of the new one.
- The ledger in memory becomes what a transaction made of it only when that has been committed. Acknowledgements are
  true anyway: they go into it at once, and to the disk with the next commit.
- After a failure the handle is closed and never used again; `open` makes a new one, checks the file, and ends with a
  real write and sync. A damaged file is set aside with its WAL; what it still gives and the state are in the new one
  in the same transaction as the run, or the next start tries again.
- Every event is one link of the hash chain (chain.py), in the transaction that inserts it.
- The database never grows past its budget (max_page_count), a share of which is for events alone (retention.py).

No auto_vacuum: its pointer pages would be written with most commits, to return space that the budget has anyway.
"""

from __future__ import annotations

import errno
import logging
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from gateway.errors import JournalDown
from gateway.journal import chaining, damage, enrolment, faults, opening, reading, retention, salvage
from gateway.journal.chain import START, Head
from gateway.journal.chaining import End
from gateway.journal.enrolment import Identity
from gateway.journal.faults import JournalDamaged, JournalFull
from gateway.journal.gaps import Gaps
from gateway.journal.ledger import Kept, Ledger, row_id, run_of, seq_of
from gateway.journal.retention import Slice
from gateway.journal.space import BUSY_S, Space, pragma
from gateway.journal.waiting import Lost, Waiting
from gateway.model import JOURNAL_FAILED, Acked, Backlog, BacklogWanted, Dropped, Lane, Record, Recovered, Row

_SLICES_AT_ONCE = 4
_SLICES_AT_MOST = 100

_INSERT = "INSERT INTO telemetry VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING"

log = logging.getLogger(__name__)


class Store:
    """The journal of one run in the file at `path`, within `max_size` bytes. All methods may raise JournalDown."""

    def __init__(
        self, path: Path, run: str, boot: str, uplinks: tuple[str, ...], max_size: int, event_share: float = 0.1
    ) -> None:
        self.ledger = Ledger(uplinks)
        self._path = path
        self._run = run
        self._boot = boot
        self._space = Space(path, max_size, event_share)
        self._db: sqlite3.Connection | None = None
        self._number = 0  # of the run; 0 until it is enrolled
        self._wish = 0  # the number that rows were told with before it was enrolled
        self._void = 0  # a wish that was not granted: what is acknowledged under it may be another run's
        self._state: dict[str, str] = {}  # as on the disk, in case the file must be replaced
        self._kept: set[Kept] = set()  # the ledger as on the disk
        self._gaps = Gaps()
        self._end = End(START, 0)  # of the chain of events, as on the disk
        self._lost: tuple[Dropped, ...] = ()  # with a file that was set aside, not noted yet
        self._damage: JournalDamaged | None = None
        self._aside: Path | None = None  # a damaged file whose rows are not in a new one yet
        self._may_salvage = True
        self._fresh = False
        self._inode = 0

    # ------------------------------------------------------------ opening and closing

    @property
    def is_open(self) -> bool:
        """Whether there is a handle that has not failed."""
        return self._db is not None

    def open(self, now_ts: int) -> tuple[Recovered, tuple[Dropped, ...]]:
        """Open, check and enrol the run: what was found, and the gaps that the hub has not been told yet."""
        if self._damage is None:
            with suppress(JournalDamaged):
                return self._begin(now_ts)
        self._set_aside(now_ts)
        return self._begin(now_ts)

    def close(self) -> None:
        """Close, with the WAL played into the database; a handle that fails in this is closed all the same."""
        if self._db is not None:
            with suppress(sqlite3.Error):
                self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        self._abandon()

    def _abandon(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            db.close()

    def _begin(self, now_ts: int) -> tuple[Recovered, tuple[Dropped, ...]]:
        with self._border():
            existed = opening.prepare(self._path)
            self._fresh = self._fresh or not existed
            if self._number and not existed and self._aside is None:
                self._forget_rows("journal_deleted")
            self._db = db = sqlite3.connect(self._path, timeout=BUSY_S, isolation_level=None)
            opening.configure(db, self._space.wal_bytes)
            if existed:
                self._space.cut_wal(db)
                self._space.expect_bounded_wal()
                damage.check(db, self._path)
            opening.migrate(db)
            self._inode = self._path.stat().st_ino
            self._hear_wish(db)
            with faults.expecting_sound(), self._transaction():
                base, lost, is_salvaged = self._salvaged(db, existed)
                draft, self._kept = enrolment.recall(db, base)
                number, previous = enrolment.enrol(
                    db, draft, Identity(self._run, self._boot, self._number, self._wish), now_ts
                )
                end = self._chain(db)
                db.executemany("INSERT OR IGNORE INTO state VALUES (?, ?)", self._state.items())
                self._gaps.note(db, now_ts, lost)
                kept = self._keep(db, draft)
                db.execute(f"PRAGMA user_version = {opening.SCHEMA}")  # writes, whatever it was before
            self._space.fit(db)  # not before: a full file must open, to be relieved
            with faults.expecting_sound():
                dropped = self._gaps.recall(db)
            self._state = dict(db.execute("SELECT key, text FROM state"))
        self.ledger, self._number, self._kept, self._lost, self._end = draft, number, kept, (), end
        fate = "salvaged" if is_salvaged else "new" if self._fresh else "kept"
        self._fresh, self._aside, self._may_salvage = False, None, True
        return Recovered(fate, previous, self._state), dropped

    def _hear_wish(self, db: sqlite3.Connection) -> None:
        if self._wish and not self._number and not enrolment.is_free(db, self._wish):
            self._void, self._wish = self._wish, 0
            self.ledger = Ledger(self.ledger.uplinks)

    def _chain(self, db: sqlite3.Connection) -> End:
        """The last link of the chain; a file that has none yet goes on with the one that it follows."""
        found = chaining.recall(db)
        if found is None or (found.head == START and self._end.head != START):
            found = self._end
            chaining.anchor(db, found)
        return found

    def _salvaged(self, db: sqlite3.Connection, existed: bool) -> tuple[Ledger, tuple[Dropped, ...], bool]:
        """Carry over what a file that was set aside still gives: the ledger with it, all gaps, and if it was anything.

        A new file that was never finished belongs to the file that was set aside last, whoever did that.
        """
        if self._aside is None and existed and not pragma(db, "user_version"):
            self._aside = next(reversed(damage.bad_files(self._path)), None)
        if self._aside is None:
            return self.ledger, self._lost, False
        ledger, found = self.ledger.copy(), salvage.nothing()
        if self._may_salvage:
            self._may_salvage = False  # should it be this that fails, the next attempt does without
            found = salvage.carry_over(self._aside, db, ledger, self._space.salvage_bytes())
        if self._end.head == START and found.end is not None:
            self._end = found.end
        lost = salvage.losses(ledger, found.present, "journal_damaged")
        carried = {lane: sum(last - first + 1 for first, last in found.present[lane]) for lane in Lane}
        (states,) = db.execute("SELECT count(*) FROM state").fetchone()
        log.warning(
            "carried over from %s: %d events, %d records of telemetry; %d are known to be lost",
            self._aside,
            carried[Lane.EVENT],
            carried[Lane.TELEMETRY],
            sum(gap.records for gap in lost),
        )
        return ledger, self._lost + lost, any(carried.values()) or states > 0

    def _set_aside(self, now_ts: int) -> None:
        """Rename the damaged file."""
        with self._border():
            aside = damage.set_aside(self._path, now_ts, self._space.max_size // 2)
        log.error("%s: it is kept as %s, and a new one begun", self._damage, aside)
        self._damage, self._aside = None, aside

    def _forget_rows(self, reason: str) -> None:
        """The rows are out of reach: what some uplink did not have becomes a gap, noted when there is a file again."""
        self._lost += salvage.losses(self.ledger, salvage.nothing().present, reason)

    # ------------------------------------------------------------ records

    @property
    def head(self) -> Head:
        """The head of the chain of events."""
        return self._end.head

    def commit(
        self, group: Waiting, lost: Sequence[Dropped], now_ts: int, *, with_acks: bool = True
    ) -> tuple[Row, ...]:
        """Store a group with the gaps `lost` before it in one transaction; gives its rows when they are on the disk.

        Without acknowledgements it costs a page less.
        """
        with_acks = with_acks or bool(lost or group.holes)
        for hole in group.holes:
            self.ledger.give_up(hole.lane, *self._ids(hole.first, hole.last))
        with self._border(), self._transaction() as db:
            self._expect_in_place()
            self._space.expect_bounded_wal()
            for gap in lost:  # a commit that seemed to fail may have stored them
                retention.delete(db, self.ledger, gap.lane, *self._ids(gap.first, gap.last))
            events = ((row_id(self._number, event.seq), event) for event in group.events)
            end = chaining.insert(db, self._end, self._run, events)
            db.executemany(_INSERT, [self._columns(record) for record in group.telemetry])
            self._change_state(db, group.state)
            self._gaps.announce(db, group.events)
            self._gaps.note(db, now_ts, lost)
            kept = self._keep(db, self.ledger) if with_acks else self._kept
        self._kept, self._end = kept, end
        self._gaps.announced(group.events)
        self._gaps.committed(lost)
        self._state = {key: text for key, text in (self._state | group.state).items() if text is not None}
        rows = self.rows_of(group.records(), now_ts)
        for row in rows:
            self.ledger.stored(row.record.lane, row.id)
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
        left = lost.records
        for first, last, uplinks in self.ledger.pieces(
            lost.lane, row_id(number, lost.first), row_id(number, lost.last)
        ):
            records = min(left, last - first + 1)
            left -= records
            yield Dropped(self._run, lost.lane, seq_of(first), seq_of(last), records, uplinks, JOURNAL_FAILED)

    def _columns(self, record: Record) -> tuple[int, int, str, int, str]:
        return row_id(self._number, record.seq), record.ts, record.trust.value, record.mono_ms, record.text

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

    def backlog(self, wanted: BacklogWanted, now_ts: int) -> tuple[Backlog, tuple[Dropped, ...]]:
        """The oldest rows that an uplink does not have, and the gaps of those among them that are damaged.

        What the uplink has is jumped over, not read.
        """
        upto = max(self.ledger.top(wanted.lane), wanted.after) if wanted.upto is None else wanted.upto
        dropped: tuple[Dropped, ...] = ()
        while True:
            with self._border():
                rows, unsound = reading.backlog(self._handle(), self.ledger, wanted, upto)
            if not unsound:
                return Backlog(wanted.lane, tuple(rows[: wanted.limit]), upto, len(rows) <= wanted.limit), dropped
            cut = self._slice(
                partial(retention.delete_rows, lane=wanted.lane, rows=unsound, reason="row_damaged"), now_ts
            )
            dropped += cut.dropped if cut is not None else ()

    # ------------------------------------------------------------ space

    def relieve(self, now_ts: int) -> tuple[Dropped, ...]:
        """Delete, a few slices at a time, what keeps telemetry within its share of the budget; gives the gaps."""
        with self._border():
            pages = self._space.relieved_pages(self._handle())
            live = self._space.live_pages(self._handle())
            share = self._space.uplink_pages(max(1, len(self.ledger.uplinks)))
        dropped: tuple[Dropped, ...] = ()
        if live > share and len(self.ledger.uplinks) > 1:
            dropped = self._move_on(share, live, now_ts)
        return dropped if pages is None else dropped + self._shrink(pages, _SLICES_AT_ONCE, now_ts)

    def _move_on(self, share: int, live: int, now_ts: int) -> tuple[Dropped, ...]:
        """Move on the uplinks that hold back more than `share` pages; a gap for each of them alone."""
        rows = self.ledger.rows() * share // live  # as if all rows were of one size
        dropped: tuple[Dropped, ...] = ()
        for uplink in self.ledger.uplinks:
            excess = self.ledger.backlog(uplink, Lane.TELEMETRY) - rows
            if excess > 0:
                work = partial(retention.pass_over, uplink=uplink, rows=excess + rows // 100, reason="uplink_behind")
                cut = self._slice(work, now_ts)
                dropped += cut.dropped if cut is not None else ()
        return dropped

    def make_room(self, wanted_bytes: int, now_ts: int) -> tuple[Dropped, ...]:
        """Free pages inside the file for about this many bytes, where the disk has no more to give; gives the gaps."""
        with self._border():
            pragma(self._handle(), "wal_checkpoint(TRUNCATE)")
            pages = self._space.roomy_pages(self._handle(), wanted_bytes)
        return self._shrink(pages, _SLICES_AT_MOST, now_ts)

    def forget_old(self, now_ts: int, telemetry_s: float, events_s: float | None = None) -> bool:
        """Delete a slice of the rows that all uplinks have and that are so old; whether there may be more."""
        ages = {Lane.TELEMETRY: telemetry_s, Lane.EVENT: telemetry_s if events_s is None else events_s}
        cuts = [
            self._slice(partial(retention.delete_old, lane=lane, now_ts=now_ts, keep_s=age), now_ts)
            for lane, age in ages.items()
        ]
        return any(cut is not None and cut.rows >= retention.SLICE_ROWS for cut in cuts)

    def tend(self) -> None:
        """Look again at what the disk has to give, and at the WAL."""
        with self._border():
            self._space.fit(self._handle())
            self._space.cut_wal(self._handle())

    def size_bytes(self) -> int:
        """The size of all files, those set aside included."""
        with self._border():
            return self._space.size_bytes()

    def _shrink(self, pages: int, slices: int, now_ts: int) -> tuple[Dropped, ...]:
        """Delete slices until at most so many pages are live: telemetry, and events where the budget itself is full."""
        dropped: tuple[Dropped, ...] = ()
        for _ in range(slices):
            with self._border():
                live, full = self._space.live_pages(self._handle()), self._space.is_full(self._handle())
            if live <= pages:
                break
            rows = self.ledger.rows() * (live - pages) // live + 1  # as if all rows were of one size
            oldest = partial(retention.delete_oldest, rows=rows, reason="storage_full")
            cut = self._slice(partial(oldest, lane=Lane.TELEMETRY), now_ts)
            if cut is None and full:
                cut = self._slice(partial(oldest, lane=Lane.EVENT), now_ts)
            if cut is None:
                break
            dropped += cut.dropped
        return dropped

    def _slice(self, work: Callable[[sqlite3.Connection, Ledger], Slice | None], now_ts: int) -> Slice | None:
        """One transaction of retention, with a draft of the ledger."""
        draft = self.ledger.copy()
        with self._border(), self._transaction() as db:
            cut = work(db, draft)
            if cut is not None:
                self._gaps.note(db, now_ts, cut.dropped)
            kept = self._keep(db, draft)
        self.ledger, self._kept = draft, kept
        if cut is not None:
            self._gaps.committed(cut.dropped)
        return cut

    # ------------------------------------------------------------ the border to SQLite

    def _keep(self, db: sqlite3.Connection, ledger: Ledger) -> set[Kept]:
        """Write down what has changed in the ledger; gives what the disk has when this is committed."""
        kept = ledger.kept()
        old, new = self._kept - kept, kept - self._kept
        db.executemany("DELETE FROM acked WHERE uplink = ? AND lane = ? AND first = ?", [range_[:3] for range_ in old])
        db.executemany("INSERT OR REPLACE INTO acked VALUES (?, ?, ?, ?)", new)
        return kept

    def _expect_in_place(self) -> None:
        """Raise OSError where the file has been deleted or replaced: SQLite would go on writing where nobody reads."""
        if self._path.stat().st_ino != self._inode:
            raise FileNotFoundError(errno.ENOENT, "moved or deleted while in use", str(self._path))

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """BEGIN IMMEDIATE ... COMMIT, for one use inside a border."""
        db = self._handle()
        db.execute("BEGIN IMMEDIATE")
        try:
            yield db
            db.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                db.execute("ROLLBACK")
            raise

    @contextmanager
    def _border(self) -> Iterator[None]:
        """Where errors of SQLite and the kernel become JournalDown, and cost the handle."""
        try:
            with faults.translated(self._path):
                yield
        except JournalDown as down:
            if isinstance(down, JournalDamaged):
                self._damage = down
            if isinstance(down, JournalFull):
                self._space.throw_ballast()
            self._abandon()
            raise

    def _handle(self) -> sqlite3.Connection:
        if self._db is None:
            raise JournalDown(f"the journal {self._path} is not open", "it is tried again every few seconds")
        return self._db
