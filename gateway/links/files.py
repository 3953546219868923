"""Files of the kernel, as a link: 1-wire sensors, and what the machine says of itself.

- A file is read anew at each poll and never more of it than MOST_BYTES: what stands at its name may be anything.
- One that is not there, or gives an error, is a device that does not answer; the others go on.
- A read may take as long as the kernel takes: a thermometer on 1-wire measures while it is read, up to a second.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Sequence
from pathlib import Path
from queue import Empty, SimpleQueue

from gateway.config import schema
from gateway.driver import Family, Heard, Space
from gateway.errors import LinkDown, NoReply

MOST_BYTES = 4096
MOST_NAMES = 1000


class KernelFiles:
    """The files below `root`. Raises NoReply for a file that cannot be read, LinkDown where there is no `root`."""

    def __init__(self, name: str, part: schema.FilesLink, folder: Path) -> None:
        self.noise_bytes = 0
        self._name = name
        self._root = folder / part.root
        self._inbox: SimpleQueue[None] = SimpleQueue()

    def open(self) -> None:
        """Look whether the files are there at all."""
        if not self._root.is_dir():
            raise LinkDown(f"{self._name}: there is no folder {self._root}", "leave root out, or name a folder")

    def close(self) -> None:
        """Nothing is held open."""

    def offer(self, family: Family) -> KernelFiles:
        """The files."""
        del family  # there is nothing else
        return self

    def read(self, path: str) -> str:
        """The text of the file `path`, below the root."""
        try:
            fd = os.open(self._below(path), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            try:
                if not stat.S_ISREG(os.fstat(fd).st_mode):
                    raise NoReply("device_failure", f"{path} is no file that can be read")
                return os.read(fd, MOST_BYTES).decode("ascii", "replace")
            finally:
                os.close(fd)
        except OSError as error:
            raise _no_reply(path, error) from error

    def names(self, path: str) -> tuple[str, ...]:
        """What is in the folder `path`, sorted; empty where there is none."""
        try:
            with os.scandir(self._below(path)) as entries:
                found = [entry.name for entry, _ in zip(entries, range(MOST_NAMES), strict=False)]
        except OSError:
            return ()
        return tuple(sorted(found))

    def space(self, path: str) -> Space:
        """How much the disk that holds the folder `path` can take."""
        try:
            said = os.statvfs(self._below(path))
        except OSError as error:
            raise _no_reply(path, error) from error
        return Space(said.f_blocks * said.f_frsize, said.f_bavail * said.f_frsize)

    def wait(self, until: float) -> Sequence[Heard]:
        """Nothing is ever pushed; returns at a `wake` or at `until`."""
        timeout_s = until - time.monotonic()
        try:
            if timeout_s > 0:
                self._inbox.get(timeout=timeout_s)
            while True:
                self._inbox.get_nowait()
        except Empty:
            return ()

    def wake(self) -> None:
        """Make `wait` return; from any thread."""
        self._inbox.put(None)

    def _below(self, path: str) -> str:
        return f"{self._root}/{path.lstrip('/')}"


def _no_reply(path: str, error: OSError) -> NoReply:
    if error.errno in {errno.ENOENT, errno.ENOTDIR}:
        return NoReply("silent", f"there is no {path}", "is it plugged in, and does the kernel know its bus?")
    if error.errno in {errno.EACCES, errno.EPERM}:
        return NoReply("device_failure", f"no permission to read {path}", "run the service as its unit says")
    return NoReply("device_failure", f"{path} cannot be read: {error.strerror}", "check its wiring")
