"""Files that were the journal once, kept beside it: damaged ones (`.bad-<time>`), replaced ones (`.replaced-<time>`).

They count within the journal's budget. A few of each kind stay, and of all together no more than what the journal that
is in use leaves them: the oldest goes first, and says so in the log.
"""

from __future__ import annotations

import logging
from pathlib import Path

KEEP = 3
"""So many of each kind stay."""

_KINDS = (".bad-", ".replaced-")
_PARTS = ("", "-wal", "-shm")

log = logging.getLogger(__name__)


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
        for part in reversed(_PARTS):
            Path(f"{old}{part}").unlink(missing_ok=True)
    except OSError as error:
        log.warning("%s cannot be deleted: %s", old, error.strerror)
    else:
        log.warning("%s is deleted: %s", old, why)


def _time(path: Path) -> str:
    return path.name.rpartition("-")[2]
