"""Copies of a journal: one made while the daemon writes on, and one put in the place of the present journal.

- A copy is one moment of the journal: SQLite's own backup within one read transaction (without it, it would begin anew
  with every commit of the daemon), a few pages at a time with pauses between them. While it lasts the WAL cannot be
  cut; where the daemon writes much, the pauses end, and beyond MAX_WAL_GROWTH the copying is given up.
- A copy gets its name only when it is whole, checked and on the disk. It is one file (mode 0600) without a WAL.
- Putting a copy in place happens under the lock of the state directory, so never under a daemon. The present journal
  is kept, as `.replaced-<time>`. What it had not sent, and the copy does not have, is noted in the copy as gaps, which
  the next run announces, as it does that the journal was restored. Runs are numbered on from those of the present
  journal: no row's id is used twice.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple, TypeAlias

from gateway.errors import CannotCreate, JournalDown
from gateway.journal import inspection, opening, setaside, succession
from gateway.journal.statelock import JOURNAL_FILE, StateLock
from gateway.journal.verify import verify
from gateway.model import Dropped

MAX_WAL_GROWTH = 64 << 20
"""A copy that would make the WAL grow more than this is given up."""

_STEP_PAGES = 256  # 1 MB
_PAUSE_S = 0.01
_HURRY_BYTES = MAX_WAL_GROWTH // 4
_SPARE_BYTES = 16 << 20

Progress: TypeAlias = Callable[[float], None]
"""Told how much is done, 0 to 1."""


class Restored(NamedTuple):
    """What became of it: where the journal before is kept, what of it nobody will get, whether it could be read."""

    replaced: Path | None
    dropped: tuple[Dropped, ...]
    readable: bool


def backup(source: Path, target: Path, progress: Progress) -> None:
    """Make a checked copy of the journal at `source`, running or not, as `target`, which it replaces when it is whole.

    Raises JournalDown where the source cannot be copied or is not sound, CannotCreate where the target cannot be made.
    """
    expect_apart(source, target)
    with _draft(target) as draft:
        _copy(source, draft, progress)
        _expect_sound(draft, source, "a daemon sets its damaged journal aside when it starts; check dmesg")


def restore(copy: Path, state_dir: Path, progress: Progress, broken_chain: bool = False) -> Restored:
    """Put a copy of a journal in the place of the present one, while no daemon runs there; the copy stays as it is.

    Raises AlreadyRunning, JournalDown where the copy is not sound (its chain may be broken where that is accepted),
    CannotCreate where the directory cannot be used.
    """
    if not copy.is_file():
        raise JournalDown(f"there is no file {copy}", "name one that `sitewarden journal backup` has made")
    lock = StateLock(state_dir)
    lock.take()
    try:
        present = state_dir / JOURNAL_FILE
        if present.exists() and present.samefile(copy):
            raise JournalDown(f"{copy} is the present journal", "name a copy of it")
        for left in state_dir.glob(f"{JOURNAL_FILE}.part-*"):  # by an attempt that was killed
            left.unlink()
        with _draft(present, replaces=False) as draft:
            _copy(copy, draft, progress)
            _expect_sound(draft, copy, "use another copy")
            _bring_up_to_date(draft)
            if not broken_chain:
                _expect_chain(draft)
            before = succession.left_by(present, draft) if present.exists() else succession.NOTHING
            succession.hand_on(draft, before)
            replaced = _exchange(draft, present)
    finally:
        lock.release()
    return Restored(replaced, before.unsent if before else (), before is not None)


# ---------------------------------------------------------------- copying


def _copy(source: Path, draft: Path, progress: Progress) -> None:
    """One moment of `source` into the empty file `draft`."""
    wal = Path(f"{source}-wal")
    begun = _size(wal)
    pause = threading.Event()

    def told(_: int, left: int, total: int) -> None:
        progress(1 - left / total if total else 1.0)
        grown = _size(wal) - begun
        if grown > MAX_WAL_GROWTH:
            raise JournalDown("the daemon writes faster than its journal can be copied", "copy to a faster disk")
        if grown < _HURRY_BYTES:
            pause.wait(_PAUSE_S)

    with inspection.opened(source) as db, closing(sqlite3.connect(draft, isolation_level=None)) as copy:
        db.execute("BEGIN")
        pages = db.execute("PRAGMA page_count").fetchone()[0] * db.execute("PRAGMA page_size").fetchone()[0]
        db.execute("SELECT count(*) FROM sqlite_master").fetchone()  # from here on it is this moment
        _expect_room(draft.parent, pages)
        try:
            copy.execute("PRAGMA synchronous = OFF")  # it is synced as a whole before it gets its name
            db.backup(copy, pages=_STEP_PAGES, progress=told)
            copy.execute("PRAGMA journal_mode = DELETE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorname.startswith(("SQLITE_FULL", "SQLITE_IOERR_WRITE")):
                raise CannotCreate(
                    f"the copy cannot be written ({error})", "free some space, or copy elsewhere"
                ) from error
            raise


def _expect_sound(draft: Path, called: Path, hint: str) -> None:
    with inspection.opened(draft, called) as db:
        inspection.expect_journal(db, called)
        (found,) = db.execute("PRAGMA integrity_check(1)").fetchone()
    if found != "ok":
        raise JournalDown(f"{called} is damaged ({found})", hint)


@contextmanager
def _draft(target: Path, replaces: bool = True) -> Iterator[Path]:
    """A new file (0600) beside the target; if it `replaces` the target, synced and renamed to it when all went well."""
    try:
        handle, name = tempfile.mkstemp(prefix=f"{target.name}.part-", dir=target.parent)
    except OSError as error:
        hint = "name a file in a folder that exists and may be written"
        raise CannotCreate(f"{target} cannot be created: {error.strerror}", hint) from error
    os.close(handle)
    draft = Path(name)
    try:
        yield draft
        if replaces:
            sync(draft)
            draft.replace(target)
            sync(target.parent)
    except OSError as error:
        raise CannotCreate(f"{target} cannot be created: {error.strerror}", "check the disk: dmesg, df") from error
    finally:
        for part in ("", "-journal", "-wal", "-shm"):
            Path(f"{draft}{part}").unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Have a file or folder on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def expect_apart(source: Path, target: Path) -> None:
    """Raise CannotCreate where `target` cannot be a new file, or is one of the journal at `source` or of a database."""
    if target.is_dir() or (target.exists() and not target.is_file()):
        raise CannotCreate(f"{target} is no file", "name a file")
    if target.absolute().parent.resolve() == source.absolute().parent.resolve() and target.name.startswith(source.name):
        raise CannotCreate(f"{target} is, or would be taken for, a file of the journal itself", "choose another name")
    if Path(f"{target}-wal").exists():
        raise CannotCreate(f"{target} is a database in use: there is {target.name}-wal", "choose another name")


def _expect_room(folder: Path, needed: int) -> None:
    disk = os.statvfs(folder)
    free = disk.f_bavail * disk.f_frsize
    if free < needed + _SPARE_BYTES:
        what = f"{folder} has {free / 1e6:.0f} MB free, the copy needs {(needed + _SPARE_BYTES) / 1e6:.0f} MB"
        raise CannotCreate(what, "free some space, or name a file on another disk")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


# ---------------------------------------------------------------- putting a copy in place


def _expect_chain(draft: Path) -> None:
    verdict = verify(draft)
    if verdict.bad is not None:
        bad = verdict.bad
        what = f"the copy's events were changed: number {bad.seq} of run {bad.run} {bad.what}"
        raise JournalDown(what, "use another copy, or --force")


def _bring_up_to_date(draft: Path) -> None:
    with closing(sqlite3.connect(draft, isolation_level=None)) as db:
        opening.migrate(db)
        db.execute(f"PRAGMA user_version = {opening.SCHEMA}")


def _exchange(draft: Path, present: Path) -> Path | None:
    """Give the draft the place of the present journal, which is kept with its WAL; there is always one."""
    owner = present.stat() if present.exists() else present.parent.stat()
    if (draft.stat().st_uid, draft.stat().st_gid) != (owner.st_uid, owner.st_gid):
        os.chown(draft, owner.st_uid, owner.st_gid)
    sync(draft)
    aside = None
    if present.exists():
        with suppress(sqlite3.Error), closing(sqlite3.connect(present)) as db:  # so that it needs its WAL no more
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        aside = setaside.new_name(present, ".replaced-", time.time_ns() // 1_000_000)
    for part in ("-wal", "-shm"):  # left beside the copy, it would be played into it
        left = Path(f"{present}{part}")
        if aside is not None and left.exists():
            left.rename(f"{aside}{part}")
        else:
            left.unlink(missing_ok=True)
    if aside is not None:
        try:
            aside.hardlink_to(present)
        except OSError:  # not every file system has links
            present.rename(aside)
    draft.replace(present)
    setaside.trim(present, sys.maxsize)
    sync(present.parent)
    return aside
