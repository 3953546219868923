"""Files that were the journal once, kept beside it: damaged ones (`.bad-<time>`), replaced ones (`.replaced-<time>`).

They count within the journal's budget. A few of each kind stay, and of all together no more than what the journal that
is in use leaves them: the oldest goes first, and says so in the log. Each is named as younger than those there,
whatever the clock says: after a power cut it is often behind.

A damaged file and its WAL are renamed one after the other, and what it still gives is carried over after that. So a
mark is on the disk first, which names the file and where it goes, until that is done: power may be cut at any step.
"""

from __future__ import annotations

import json
import logging
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

KEEP = 3
"""So many of each kind stay."""

_KINDS = (".bad-", ".replaced-")
_PARTS = ("", "-wal", "-shm")
_MARK = "-damaged"
_TIME = "%Y%m%dT%H%M%S.%f"

log = logging.getLogger(__name__)


def new_name(path: Path, kind: str, now_ts: int) -> Path:
    """What the journal at `path` is to be called when it is set aside now (UTC ms)."""
    stamp = datetime.fromtimestamp(now_ts / 1000, UTC).strftime(_TIME)[:-3]
    before = [_time(name) for name in of_kind(path, kind)]
    if before and stamp <= before[-1]:
        stamp = _after(before[-1])
    return path.with_name(f"{path.name}{kind}{stamp}")


def move(path: Path, now_ts: int) -> Path:
    """Set the damaged database at `path` aside with its -wal and -shm, so that they still belong together.

    Gives its new name. Raises OSError where the disk refuses; then `unfinished` goes on with it.
    """
    aside = unfinished(path)
    if aside is None or path.exists():
        aside = new_name(path, ".bad-", now_ts)
        mark = json.dumps({"file": path.stat().st_ino, "to": aside.name})
        part = Path(f"{_mark(path)}.part")
        with part.open("w", encoding="utf-8") as file:
            file.write(mark)
            file.flush()
            os.fsync(file.fileno())
        part.replace(_mark(path))
        _sync_folder(path.parent)
        _rename(path, aside)
    return aside


def unfinished(path: Path) -> Path | None:
    """A damaged file from which nothing may have been carried over yet; if it was still on its way, it is there now."""
    try:
        mark = json.loads(_mark(path).read_text(encoding="utf-8"))
        number, aside = int(mark["file"]), path.with_name(str(mark["to"]))
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return None
    if not aside.exists() and path.exists() and path.stat().st_ino == number:
        _rename(path, aside)
    return aside if aside.exists() else None


def finished(path: Path) -> None:
    """What the damaged file gave is in the new one, on the disk."""
    if _mark(path).exists():
        _mark(path).unlink()
        _sync_folder(path.parent)


def delete(path: Path) -> None:
    """Delete the database at `path` with its -wal and -shm. Raises OSError where the disk refuses."""
    for part in reversed(_PARTS):
        Path(f"{path}{part}").unlink(missing_ok=True)


def files(path: Path) -> list[Path]:
    """The databases that were set aside beside `path`, oldest first."""
    return sorted((name for kind in _KINDS for name in of_kind(path, kind)), key=_time)


def of_kind(path: Path, kind: str) -> list[Path]:
    """The databases of one kind that were set aside beside `path`, oldest first."""
    names = path.parent.glob(f"{path.name}{kind}*")
    return sorted((name for name in names if not name.name.endswith(("-wal", "-shm"))), key=_time)


def size_bytes(path: Path) -> int:
    """The size of a database with its WAL, as far as they exist."""
    sizes = 0
    for part in _PARTS:
        try:
            sizes += Path(f"{path}{part}").stat().st_size
        except FileNotFoundError:
            continue
    return sizes


def total_bytes(path: Path) -> int:
    """The size of all that were set aside."""
    return sum(map(size_bytes, files(path)))


def trim(path: Path, max_bytes: int, least: int = 0) -> None:
    """Delete the oldest, down to KEEP of each kind and `max_bytes` of all together; so many newest ones stay anyway.

    What the disk refuses to delete is left to the next time.
    """
    for half in path.parent.glob(f"{path.name}.part-*"):
        _delete(half, "the restore that began it was killed")
    for kind in _KINDS:
        for old in of_kind(path, kind)[:-KEEP]:
            _delete(old, f"{KEEP} younger ones are kept")
    left = files(path)
    while len(left) > least and sum(map(size_bytes, left)) > max_bytes:
        _delete(left.pop(0), "the journal needs its room within storage: max_size")


def _delete(old: Path, why: str) -> None:
    try:
        delete(old)
    except OSError as error:
        log.warning("%s cannot be deleted: %s", old, error.strerror)
    else:
        log.warning("%s is deleted: %s", old, why)


def _rename(path: Path, aside: Path) -> None:
    for part in reversed(_PARTS):  # the file itself last: a WAL left beside a new file would be played into it
        source = Path(f"{path}{part}")
        if source.exists():
            source.rename(f"{aside}{part}")
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _mark(path: Path) -> Path:
    return path.with_name(f"{path.name}{_MARK}")


def _time(path: Path) -> str:
    return path.name.rpartition("-")[2]


def _after(stamp: str) -> str:
    """A millisecond later, or what sorts behind a name that is no time of ours."""
    try:
        return (datetime.strptime(stamp, _TIME) + timedelta(milliseconds=1)).strftime(_TIME)[:-3]  # noqa: DTZ007 - UTC
    except ValueError:
        return f"{stamp}1"
