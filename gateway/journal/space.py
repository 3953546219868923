"""How much the journal may take: one budget over database, WAL, ballast and the files set aside, and what the disk has.

The files set aside give way to the database, not the other way round, and a start is never refused for want of room.

Telemetry may fill what the budget leaves for the database, but for the share of the events; those may fill it all.
Where the disk has less to give than the budget, it counts as full before it is: the WAL needs room to be played in.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from pathlib import Path

from gateway.errors import JournalDown
from gateway.journal import ballast, setaside

BUSY_S = 1.0
"""How long another program may hold the file before it counts as a failure."""

_WAL_BYTES = 4 << 20
_RELIEF_SHARE = 0.01  # so much more than needed goes at once, or every commit would need another relief
_MARGIN_PAGES = 16
_RESERVE_PART = 16  # of the budget is left to a new journal beside a damaged one that had filled its share
_GROWTH_PART = 32  # of it or of the journal is room to grow in, between two looks

log = logging.getLogger(__name__)


class Space:
    """The space of the journal at `path`, whose files may take `max_size` bytes together."""

    def __init__(self, path: Path, max_size: int, event_share: float) -> None:
        self._path = path
        self._wal = Path(f"{path}-wal")
        self._max_pages = 0
        self._wal_stuck = False
        self.limit(max_size, event_share)

    def limit(self, max_size: int, event_share: float) -> None:
        """Other limits from now on; `fit` keeps to them."""
        self.max_size = max_size
        self._telemetry_share = 1 - event_share
        self._full_share = 1 - event_share / 2
        self.wal_bytes = min(_WAL_BYTES, max_size // 8)  # where SQLite's own checkpoints begin
        self._wal_limit = max(4 * self.wal_bytes, max_size // 4)
        self._ballast_bytes = self.wal_bytes * 5 // 4  # lets a full WAL be played in on a full disk
        self._reserve_bytes = max_size // _RESERVE_PART

    def fit(self, db: sqlite3.Connection) -> None:
        """Lay ballast where there is room for it, and limit the database to what budget and disk leave it now."""
        ballast.lay(self._path, self._ballast_bytes)
        left = self.max_size - max(self.wal_bytes, self._wal_size()) - self._ballast_bytes
        setaside.trim(self._path, left - min(self._needed(db), left - self._reserve_bytes))
        disk = os.statvfs(self._path.parent)
        reserved = self._ballast_bytes - ballast.size_bytes(self._path) + self.wal_bytes - self._wal_size()
        growth = max(0, disk.f_bavail * disk.f_frsize - reserved)
        page_bytes = pragma(db, "page_size")
        own = max(0, left - max(self._reserve_bytes, setaside.total_bytes(self._path))) // page_bytes
        self._max_pages = min(own, pragma(db, "page_count") + growth // page_bytes)
        pragma(db, f"max_page_count = {self._max_pages}")

    def _needed(self, db: sqlite3.Connection) -> int:
        """The bytes of the database and what it may grow by soon, without having to give up telemetry for it."""
        present = pragma(db, "page_count") * pragma(db, "page_size")
        return int((present + max(present, self.max_size) // _GROWTH_PART) / self._telemetry_share)

    def live_pages(self, db: sqlite3.Connection) -> int:
        """The pages that hold something."""
        return pragma(db, "page_count") - pragma(db, "freelist_count")

    def relieved_pages(self, live: int) -> int | None:
        """To how many live pages telemetry must shrink the database; None while it is within its share."""
        if live <= self._max_pages * self._telemetry_share:
            return None
        return int(self._max_pages * (self._telemetry_share - _RELIEF_SHARE))

    def uplink_pages(self, uplinks: int) -> int:
        """How many pages of telemetry one of so many uplinks may keep from being forgotten."""
        return int(self._max_pages * self._telemetry_share / uplinks)

    def roomy_pages(self, db: sqlite3.Connection, wanted_bytes: int) -> int:
        """To how many live pages the database must shrink to take so many bytes without growing."""
        pages = pragma(db, "page_count")
        return pages - _MARGIN_PAGES - 2 * wanted_bytes // pragma(db, "page_size") - int(pages * _RELIEF_SHARE)

    def is_full(self, live: int) -> bool:
        """Whether even the share of the events is used up by so many live pages."""
        return live > self._max_pages * self._full_share

    def cut_wal(self, db: sqlite3.Connection) -> None:
        """Play the WAL in and cut it, where it is twice as long as SQLite's own checkpoints should leave it."""
        stuck = False
        if self._wal_size() > 2 * self.wal_bytes:
            pragma(db, "busy_timeout = 0")  # an event must not wait for a reader
            stuck = bool(pragma(db, "wal_checkpoint(TRUNCATE)"))
            pragma(db, f"busy_timeout = {round(BUSY_S * 1000)}")
        if stuck and not self._wal_stuck:
            log.warning("the journal's WAL cannot be cut: another program is reading %s for long", self._path)
        self._wal_stuck = stuck

    def salvage_bytes(self) -> int:
        """How much of a damaged journal may be carried over: a part of the budget, and of what the disk has."""
        disk = os.statvfs(self._path.parent)
        return min(self.max_size // 4, disk.f_bavail * disk.f_frsize // 2)

    def expect_bounded_wal(self) -> None:
        """Raise JournalDown where the WAL has grown to a quarter of the budget (half of a small one).

        It cannot be cut while another program keeps reading the same moment of the file.
        """
        size = self._wal_size()
        if size > self._wal_limit:
            raise JournalDown(
                f"another program has been reading the journal for so long that its WAL has {size // 1_000_000} MB",
                f"end the program that has {self._path} open (fuser {self._path})",
            )

    def throw_ballast(self) -> None:
        """The disk is full: give it some room."""
        ballast.throw(self._path)

    def size_bytes(self) -> int:
        """The size of all files, those set aside included."""
        together = setaside.size_bytes(self._path) + setaside.total_bytes(self._path)
        return together + ballast.size_bytes(self._path)

    def _wal_size(self) -> int:
        try:
            return self._wal.stat().st_size
        except FileNotFoundError:
            return 0


def pragma(db: sqlite3.Connection, name: str) -> int:
    """The (first) number that a pragma answers with."""
    value: int = db.execute(f"PRAGMA {name}").fetchone()[0]
    return value
