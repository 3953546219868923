"""Who has a port open: what the kernel says of open files and locks. Lock files are not used, and none is left behind.

Without the rights of root only one's own processes show what they have open. But a lock (which our own links take, too)
shows its owner to everybody.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")


class Holder(NamedTuple):
    """A process that has a port."""

    pid: int
    program: str  # as it was called; "" if that is not shown

    def __str__(self) -> str:
        return f"{self.program or 'a program'} (process {self.pid})"


def holders(port: str, proc: Path = PROC) -> tuple[Holder, ...]:
    """Who has the device file `port` open or locked, by process id; empty too where that is not shown to us."""
    try:
        device = os.stat(port)  # noqa: PTH116 - a name that may be a symbolic link, as a whole
    except OSError:
        return ()
    pids = {*_lockers(device, proc), *_openers(device, proc)} if stat.S_ISCHR(device.st_mode) else ()
    return tuple(Holder(pid, program(pid, proc)) for pid in sorted(pids))


def program(pid: int, proc: Path = PROC) -> str:
    """What the process was called as, without folders: `minicom`, `sitewarden run`; a script rather than its Python."""
    try:
        words = (proc / str(pid) / "cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return ""
    words = [word for word in words if word]
    if words and os.path.basename(words[0]).startswith("python"):  # noqa: PTH119 - part of a text
        words = words[2:] if words[1:2] == ["-m"] else words[1:]
    if not words:
        return ""
    name = os.path.basename(words[0])  # noqa: PTH119 - part of a text
    name = "sitewarden" if name == "gateway" else name
    return f"{name} {words[1]}" if name == "sitewarden" and len(words) > 1 else name


def _lockers(device: os.stat_result, proc: Path) -> Iterator[int]:
    """Whose lock is on the device file. A line: `1: FLOCK  ADVISORY  WRITE 4711 00:18:5 0 EOF` (proc_locks(5))."""
    file = f"{os.major(device.st_dev):02x}:{os.minor(device.st_dev):02x}:{device.st_ino}"
    with suppress(OSError):
        for line in (proc / "locks").read_text(encoding="ascii").splitlines():
            words = line.split()
            if file in words and words[4].isdecimal():
                yield int(words[4])


def _openers(device: os.stat_result, proc: Path) -> Iterator[int]:
    """Who has the device open, of those whose open files are shown."""
    for process in proc.glob("[0-9]*"):
        with suppress(OSError, ValueError):
            files = process / "fd"
            if any(_is(device, files / name) for name in os.listdir(files)):  # noqa: PTH208 - names alone
                yield int(process.name)


def _is(device: os.stat_result, file: Path) -> bool:
    """Whether an open file is the device. Only below /dev is looked: a lost network disk does not answer."""
    with suppress(OSError):
        return str(file.readlink()).startswith("/dev/") and file.stat().st_rdev == device.st_rdev
    return False
