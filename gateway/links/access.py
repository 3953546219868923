"""Whether a user may open a device file, and what to do about it where not. Pure."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

_READ_WRITE = 0o6  # of one who is meant: the owner, the group or all


class User(NamedTuple):
    """Who wants to open it: as the process runs now, and the groups that the user would have after a new login."""

    uid: int
    groups: Collection[int]
    enrolled: Collection[int] = ()


class Guarded(NamedTuple):
    """A device file as it is guarded: its mode, owner and group."""

    mode: int
    uid: int
    gid: int
    group: str  # the name of the group

    def open_to(self, user: User) -> bool:
        """Whether the user may read and write it."""
        if user.uid == 0:
            return True
        return self._grants(6 if user.uid == self.uid else 3 if self.gid in user.groups else 0)

    @property
    def shared(self) -> bool:
        """Whether its group lets others in than root: the daemon is not root."""
        return self._grants(0) or (self.gid != 0 and self._grants(3))

    def hint(self, user: User) -> str:
        """What stands in the way of the user, or of a daemon that is not root, and what to do; "" if nothing does."""
        if not self.shared:
            rule = 'a udev rule with GROUP="dialout", MODE="0660" opens it to that group'
            return f"only its owner may open it (mode {self.mode & 0o777:o}): {rule}"
        if self.open_to(user):
            return ""
        if self.gid in user.enrolled:
            return f"you are in its group {self.group}, but not since this login: log out and in again"
        return f"join its group, then log in again: sudo usermod -aG {self.group} $USER"

    def _grants(self, shift: int) -> bool:
        return self.mode >> shift & _READ_WRITE == _READ_WRITE
