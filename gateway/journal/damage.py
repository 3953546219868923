"""The check of a journal at start, in bounded time."""

from __future__ import annotations

import logging
import sqlite3
import time
from pathlib import Path

from gateway.journal import reading, shaping
from gateway.journal.faults import JournalDamaged
from gateway.model import Lane

CHECK_S = 2.0
_WHOLE_CHECK_BYTES = 32_000_000  # a card that reads 20 MB/s is done with this in time
_SMALL = frozenset({"runs", "state", "acked", "gaps", "chain", *shaping.TABLES})
_READ_ALL = {  # the LIMIT keeps the order: without it SQLite would read the oldest first
    lane: f"SELECT max(length(text)) FROM (SELECT text FROM {lane} ORDER BY id DESC LIMIT 1 << 60)"  # noqa: S608 - no input
    for lane in Lane
}

log = logging.getLogger(__name__)


def check(db: sqlite3.Connection, path: Path) -> None:
    """Look for damage for at most about CHECK_S seconds. Raises JournalDamaged or sqlite3.DatabaseError on finding it.

    A small file is checked whole. In a large one, SQLite's own check of a table cannot be interrupted (its first
    pass is one step): there the small tables are checked whole, and the rows are read,
    newest first, as far as time allows.
    """
    ends = time.monotonic() + CHECK_S
    db.set_progress_handler(lambda: time.monotonic() > ends, 10_000)
    try:
        if path.stat().st_size <= _WHOLE_CHECK_BYTES:
            _expect_ok(db, "PRAGMA quick_check(1)")
            return
        for table in sorted(_SMALL & _tables(db)):
            _expect_ok(db, f"PRAGMA quick_check({table})")
        for lane in reading.lanes(db):
            db.execute(_READ_ALL[lane]).fetchone()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorname != "SQLITE_INTERRUPT":
            raise
        log.info("journal checked for %.0f s only: it is large", CHECK_S)
    finally:
        db.set_progress_handler(None, 0)


def _tables(db: sqlite3.Connection) -> set[str]:
    return {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def _expect_ok(db: sqlite3.Connection, check_statement: str) -> None:
    for (found,) in db.execute(check_statement):
        if found != "ok":
            raise JournalDamaged(f"the journal is damaged ({found})", "the SD card or disk may be failing: check dmesg")
