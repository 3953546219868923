"""Space and age, one slice and one transaction at a time: what has to go so that the journal stays within its bounds.

What goes, and in which order, is retention's to say; how much space there is, space's.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from functools import partial

from gateway.journal import retention
from gateway.journal.books import Books
from gateway.journal.handle import Handle
from gateway.journal.ledger import Ledger
from gateway.journal.retention import Slice
from gateway.journal.space import pragma
from gateway.model import Dropped, Lane

FULL = "storage_full"
"""Why rows are given up that the budget has no room for."""

_SLICES_AT_ONCE = 4
_SLICES_AT_MOST = 100


class Upkeep:
    """The upkeep of one journal. All methods may raise JournalDown; the gaps that they make are given."""

    def __init__(self, handle: Handle, books: Books) -> None:
        self._handle = handle
        self._books = books

    def relieve(self, now_ts: int) -> tuple[Dropped, ...]:
        """Delete, a few slices at a time, what keeps telemetry within its share of the budget; gives the gaps."""
        space, uplinks = self._handle.space, len(self._books.ledger.uplinks)
        with self._handle.border():
            live = space.live_pages(self._handle.db)
            pages = space.relieved_pages(live)
            share = space.uplink_pages(max(1, uplinks))
        dropped: tuple[Dropped, ...] = ()
        if live > share and uplinks > 1:
            dropped = self._move_on(share, live, now_ts)
        return dropped if pages is None else dropped + self._shrink(pages, _SLICES_AT_ONCE, now_ts)

    def _move_on(self, share: int, live: int, now_ts: int) -> tuple[Dropped, ...]:
        """Move on the uplinks that hold back more than `share` pages; a gap for each of them alone."""
        ledger = self._books.ledger
        rows = ledger.rows() * share // live  # as if all rows were of one size
        dropped: tuple[Dropped, ...] = ()
        for uplink in ledger.uplinks:
            excess = ledger.backlog(uplink, Lane.TELEMETRY) - rows
            if excess > 0:
                work = partial(retention.pass_over, uplink=uplink, rows=excess + rows // 100, reason="uplink_behind")
                cut = self.slice(work, now_ts)
                dropped += cut.dropped if cut is not None else ()
        return dropped

    def make_room(self, wanted_bytes: int, now_ts: int) -> tuple[Dropped, ...]:
        """Free pages inside the file for about this many bytes, where the disk has no more to give; gives the gaps."""
        with self._handle.border():
            pragma(self._handle.db, "wal_checkpoint(TRUNCATE)")
            pages = self._handle.space.roomy_pages(self._handle.db, wanted_bytes)
        return self._shrink(pages, _SLICES_AT_MOST, now_ts)

    def forget_old(self, now_ts: int, telemetry_s: float, events_s: float | None = None) -> bool:
        """Delete a slice of the rows that all uplinks have and that are so old; whether there may be more."""
        ages = {
            Lane.TELEMETRY: telemetry_s,
            Lane.LOCAL: telemetry_s,
            Lane.EVENT: telemetry_s if events_s is None else events_s,
        }
        cuts = [
            self.slice(partial(retention.delete_old, lane=lane, now_ts=now_ts, keep_s=age), now_ts)
            for lane, age in ages.items()
        ]
        return any(cut is not None and cut.rows >= retention.SLICE_ROWS for cut in cuts)

    def tend(self) -> None:
        """Look again at what the disk has to give, and at the WAL."""
        with self._handle.border():
            self._handle.space.cut_wal(self._handle.db)
            self._handle.space.fit(self._handle.db)

    def size_bytes(self) -> int:
        """The size of all files, those set aside included."""
        with self._handle.border():
            return self._handle.space.size_bytes()

    def _shrink(self, pages: int, slices: int, now_ts: int) -> tuple[Dropped, ...]:
        """Delete slices until at most so many pages are live: readings, and events where the budget itself is full."""
        space = self._handle.space
        dropped: tuple[Dropped, ...] = ()
        for _ in range(slices):
            with self._handle.border():
                live = space.live_pages(self._handle.db)
            if live <= pages:
                break
            rows = self._books.ledger.rows() * (live - pages) // live + 1  # as if all rows were of one size
            cut = self.slice(partial(retention.delete_oldest_readings, rows=rows, reason=FULL), now_ts)
            if cut is None and space.is_full(live):
                cut = self.slice(partial(retention.delete_oldest, lane=Lane.EVENT, rows=rows, reason=FULL), now_ts)
            if cut is None:
                break
            dropped += cut.dropped
        return dropped

    def slice(self, work: Callable[[sqlite3.Connection, Ledger], Slice | None], now_ts: int) -> Slice | None:
        """One transaction of retention, with a draft of the ledger; what nothing has to go for is no write."""
        books = self._books
        draft = books.ledger.copy()
        with self._handle.border(), self._handle.transaction() as db:
            cut = work(db, draft)
            if cut is not None:
                books.gaps.note(db, now_ts, cut.dropped)
            is_write = cut is not None and bool(cut.rows or cut.dropped)
            kept = books.write(db, draft) if is_write else books.kept
        books.ledger, books.kept = draft, kept
        if cut is not None:
            books.gaps.committed(cut.dropped)
        return cut
