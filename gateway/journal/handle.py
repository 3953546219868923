"""The journal's file while it is open: one connection, its transactions, and the border where its errors become ours.

Invariants:
- A transaction that has ended without an error is on the disk: WAL with synchronous=FULL.
- After a failure the connection is closed and never used again; `connect` makes a new one, and checks the file.
"""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gateway.errors import JournalDown
from gateway.journal import damage, faults, opening
from gateway.journal.faults import JournalDamaged, JournalFull
from gateway.journal.space import BUSY_S, Space


class Handle:
    """The file at `path`, whose files may take `max_size` bytes together."""

    def __init__(self, path: Path, max_size: int, event_share: float) -> None:
        self.path = path
        self.space = Space(path, max_size, event_share)
        self.damage: JournalDamaged | None = None
        """Why the file must be set aside."""
        self._db: sqlite3.Connection | None = None
        self._inode = 0

    @property
    def is_open(self) -> bool:
        """Whether there is a connection that has not failed."""
        return self._db is not None

    @property
    def db(self) -> sqlite3.Connection:
        """The connection. Raises JournalDown without one."""
        if self._db is None:
            raise JournalDown(f"the journal {self.path} is not open", "it is tried again every few seconds")
        return self._db

    def connect(self, *, existed: bool) -> sqlite3.Connection:
        """Connect to the file that was prepared, check it, and bring its schema up to date."""
        self._db = db = sqlite3.connect(self.path, timeout=BUSY_S, isolation_level=None)
        opening.configure(db, self.space.wal_bytes)
        if existed:
            self.space.cut_wal(db)
            self.space.expect_bounded_wal()
            damage.check(db, self.path)
        opening.migrate(db)
        self._inode = self.path.stat().st_ino
        return db

    def limit(self, max_size: int, event_share: float) -> None:
        """Other limits from now on."""
        self.space.limit(max_size, event_share)
        if self._db is not None:
            with self.border():
                opening.configure(self._db, self.space.wal_bytes)
                self.space.fit(self._db)

    def close(self) -> None:
        """Close, with the WAL played into the database; a connection that fails in this is closed all the same."""
        if self._db is not None:
            with suppress(sqlite3.Error):
                self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        self.abandon()

    def abandon(self) -> None:
        """Close as it is."""
        db, self._db = self._db, None
        if db is not None:
            db.close()

    def expect_in_place(self) -> None:
        """Raise OSError where the file has been deleted or replaced: SQLite would go on writing where nobody reads."""
        if self.path.stat().st_ino != self._inode:
            raise FileNotFoundError(errno.ENOENT, "moved or deleted while in use", str(self.path))

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """BEGIN IMMEDIATE ... COMMIT, for one use inside a border."""
        db = self.db
        db.execute("BEGIN IMMEDIATE")
        try:
            yield db
            db.execute("COMMIT")
        except BaseException:  # whatever it was goes on; but no half of a transaction may be left for the next COMMIT
            with suppress(sqlite3.Error):
                db.execute("ROLLBACK")
            raise

    @contextmanager
    def border(self) -> Iterator[None]:
        """Where errors of SQLite and the kernel become JournalDown, and cost the connection."""
        try:
            with faults.translated(self.path):
                yield
        except JournalDown as down:
            if isinstance(down, JournalDamaged):
                self.damage = down
            if isinstance(down, JournalFull):
                self.space.throw_ballast()
            self.abandon()
            raise
