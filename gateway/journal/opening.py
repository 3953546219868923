"""The connection to the journal's file: folder and file with their modes, pragmas, schema."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from gateway.journal.faults import JournalDamaged

SCHEMA = 5
"""How many steps of migrations.py this version knows; the file holds its own count in user_version."""


def prepare(path: Path) -> bool:
    """Make the folder (mode 0700) and the file (0600, and so SQLite's -wal and -shm); whether there was a file."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        return path.stat().st_size > 0
    return False


def configure(db: sqlite3.Connection, wal_bytes: int) -> None:
    """Set the pragmas; SQLite is to play the WAL in whenever it has this size."""
    page_bytes = db.execute("PRAGMA page_size").fetchone()[0]
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        f"wal_autocheckpoint={wal_bytes // page_bytes}",
        f"journal_size_limit={wal_bytes}",
        "secure_delete=OFF",  # Debian's default would write every deleted page once more
        "temp_store=MEMORY",
        "cache_size=-2000",
    ):
        db.execute(f"PRAGMA {pragma}").close()


def migrate(db: sqlite3.Connection) -> None:
    """Bring the schema up to date. Raises JournalDamaged on a file of a later version, which is not ours to change."""
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version > SCHEMA:
        raise JournalDamaged(
            f"the journal has schema {version}, this version knows {SCHEMA}", "install the newer version again"
        )
    if version < SCHEMA:
        from gateway.journal import migrations  # noqa: PLC0415 - see there

        migrations.bring_up_to_date(db)
