"""A file that only takes up space, to be thrown overboard when the disk is full.

On a full disk the WAL can neither grow nor be played into a database that would have to grow for it, and so not even
deleting rows is possible. What the ballast frees is enough to play the WAL in; then room is made inside the file.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_COMFORT = 4
"""The ballast is laid only where the disk has so many times its size to give."""


def lay(path: Path, size: int) -> None:
    """Take `size` bytes of disk beside the journal at `path`, if they are not taken and the disk can spare them.

    What is taken beyond that, for a greater journal, is given back.
    """
    ballast = _beside(path)
    with suppress(OSError):  # a disk that cannot do this is met again where it matters
        taken = size_bytes(path)
        if taken > size:
            os.truncate(ballast, size)
        disk = os.statvfs(path.parent)
        if taken >= size or disk.f_bavail * disk.f_frsize < _COMFORT * size:
            return
        handle = os.open(ballast, os.O_CREAT | os.O_WRONLY, 0o600)
        try:
            os.posix_fallocate(handle, 0, size)
        finally:
            os.close(handle)


def throw(path: Path) -> None:
    """Give the space back."""
    with suppress(OSError):
        _beside(path).unlink(missing_ok=True)


def size_bytes(path: Path) -> int:
    """How much is taken."""
    try:
        return _beside(path).stat().st_size
    except FileNotFoundError:
        return 0


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}-ballast")
