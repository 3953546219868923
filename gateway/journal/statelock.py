"""One daemon per state directory: a lock on the directory itself, taken before anything in it is opened.

The directory is locked, not a file in it: this works on a full and on a read-only disk too, leaves nothing behind, and
the kernel lets go of it whatever way the process ends.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from gateway.errors import AlreadyRunning, JournalDown

JOURNAL_FILE = "journal.db"
"""The journal's name in its state directory."""


class StateLock:
    """The right to use `folder`, held from `take` to `release`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._handle: int | None = None

    def take(self) -> None:
        """Lock the folder, which is made (mode 0700) where it does not exist.

        Raises AlreadyRunning while another process has it, JournalDown where there can be no such folder.
        """
        if self._handle is not None:
            return
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise JournalDown(
                f"the state directory {self._folder} cannot be used: {error.strerror}",
                "create it, and give it to the user that Sitewarden runs as",
            ) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(handle)
            raise AlreadyRunning(
                f"another Sitewarden already uses {self._folder}",
                "stop it first (systemctl stop sitewarden), or give this one its own state directory",
            ) from error
        self._handle = handle

    def release(self) -> None:
        """Let go of the folder."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
