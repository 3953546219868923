"""What SQLite and the kernel report of a failing disk, in words, as errors named by what the journal does next."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.errors import JournalDown


class JournalFull(JournalDown):
    """No space: rows that may go are deleted, then the commit is tried again."""


class JournalDamaged(JournalDown):
    """The file is no sound database: it is set aside and a new one begun."""


_FULL = ("SQLITE_FULL", "SQLITE_IOERR_SHMSIZE")  # the -shm file meets ENOSPC under its own name
_NO_TEXT = "decode to UTF-8"  # of sqlite3 itself, which has no name for it
_DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB")
_READ_ONLY = ("SQLITE_READONLY", "SQLITE_PERM", "SQLITE_AUTH")


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """What a disk can raise through sqlite3 and os leaves this block as JournalDown; what only a bug can, as it is."""
    try:
        yield
    except (sqlite3.ProgrammingError, sqlite3.IntegrityError):
        raise
    except (sqlite3.DatabaseError, OSError) as error:
        raise explained(error, path) from error


@contextmanager
def expecting_sound() -> Iterator[None]:
    """What no journal ever holds, read from one, leaves this block as JournalDamaged."""
    try:
        yield
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise JournalDamaged(
            f"the journal is damaged ({type(error).__name__}: {error})",
            "the SD card or disk may be failing: check dmesg",
        ) from error


def explained(error: Exception, path: Path) -> JournalDown:
    """The JournalDown, JournalFull or JournalDamaged that `error` means for the file at `path`.

    Source: https://sqlite.org/rescode.html
    """
    name = getattr(error, "sqlite_errorname", "")
    number = error.errno if isinstance(error, OSError) else None
    detail = f"{name or type(error).__name__}: {error}"
    if name.startswith(_FULL) or number in {errno.ENOSPC, errno.EDQUOT}:
        return JournalFull(f"the disk is full ({detail})", f"free space beside {path}, or lower storage: max_size")
    if name.startswith(_DAMAGED) or _NO_TEXT in str(error):
        return JournalDamaged(f"the journal is damaged ({detail})", "the SD card or disk may be failing: check dmesg")
    if name == "SQLITE_READONLY_DBMOVED" or number == errno.ENOENT:
        return JournalDown(f"the journal was moved or deleted while in use ({detail})", f"leave {path} in its place")
    refused = name.startswith(_READ_ONLY) or number in {errno.EROFS, errno.EACCES, errno.EPERM}
    if refused or (name.startswith("SQLITE_CANTOPEN") and _is_read_only(path.parent)):
        hint = f"check the owner of {path.parent} and dmesg: a failing SD card turns read-only"
        return JournalDown(f"the journal cannot be written ({detail})", hint)
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return JournalDown(f"another program keeps the journal locked ({detail})", f"close what has {path} open")
    if name.startswith("SQLITE_IOERR") or number == errno.EIO:
        hint = "check dmesg; replace the SD card or disk if it reports errors"
        return JournalDown(f"the disk reports an error ({detail})", hint)
    return JournalDown(f"the journal cannot be used ({detail})", f"check that {path} can be opened and written")


def _is_read_only(folder: Path) -> bool:
    try:
        return bool(os.statvfs(folder).f_flag & os.ST_RDONLY)
    except OSError:
        return False
