"""Hold time of a contact: a level counts once it has lasted. Pure; fed with edges and times."""

from __future__ import annotations

from typing import NamedTuple


class Change(NamedTuple):
    """A level that counts, since the moment (monotonic s) at which it had lasted long enough."""

    high: bool
    mono: float


class Debounce:
    """One pin. With `hold_s` 0 every edge counts at once."""

    def __init__(self, hold_s: float, high: bool) -> None:
        self.high = high
        self.due: float | None = None  # when the other level will have lasted long enough
        self._hold_s = hold_s

    def edge(self, high: bool, mono: float) -> list[Change]:
        """The pin went to `high` at `mono`: what counts by then, oldest first."""
        changes = self.settle(mono)
        if high == self.high:
            self.due = None
        elif self.due is None:
            self.due = mono + self._hold_s
            changes += self.settle(mono)
        return changes

    def settle(self, now: float) -> list[Change]:
        """The level that has lasted long enough by `now`, if it is a new one."""
        if self.due is None or now < self.due:
            return []
        change = Change(not self.high, self.due)
        self.high, self.due = change.high, None
        return [change]
