"""The check of a journal at start, in bounded time, and setting a damaged one aside: kept, and out of the way."""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from datetime import UTC, datetime
from pathlib import Path

from gateway.journal import reading, setaside
from gateway.journal.faults import JournalDamaged
from gateway.model import Lane

CHECK_S = 2.0
_WHOLE_CHECK_BYTES = 32_000_000  # a card that reads 20 MB/s is done with this in time
_SMALL = frozenset({"runs", "state", "acked", "gaps", "shape"})
_PARTS = ("-wal", "-shm", "")  # the file itself last: a WAL left beside a new file would be played into it
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


def set_aside(path: Path, now_ts: int, max_bytes: int) -> Path:
    """Rename the database at `path` with its -wal and -shm, so that they still belong together; gives the new name.

    Of files set aside earlier, the oldest go until a few in `max_bytes` are left; this one stays (setaside.py).
    Raises OSError where the disk refuses.
    """
    aside = _bad_name(path, now_ts)
    while aside.exists():
        now_ts += 1
        aside = _bad_name(path, now_ts)
    for part in _PARTS:
        source = Path(f"{path}{part}")
        if source.exists():
            source.rename(f"{aside}{part}")
    setaside.trim(path, max_bytes, least=1)
    _sync_folder(path.parent)
    return aside


def _bad_name(path: Path, ts: int) -> Path:
    stamp = datetime.fromtimestamp(ts / 1000, UTC).strftime("%Y%m%dT%H%M%S.%f")[:-3]
    return path.with_name(f"{path.name}.bad-{stamp}")


def bad_files(path: Path) -> list[Path]:
    """The damaged databases that were set aside beside `path`, oldest first."""
    return setaside.of_kind(path, ".bad-")


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
