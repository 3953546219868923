"""Hold time of a contact, and whether it chatters: a level counts once it has lasted. Pure; fed with edges and times.

A change is as old as its edge, not as its having lasted: with `hold` 5 s a door that stays open is open since the
moment at which it opened. While a change is being waited out, nothing is known of the present that could be told.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

CHATTER_EDGES, CHATTER_WITHIN_S, CALM_S = 40, 2.0, 1.0
"""An input with so many edges within so many seconds chatters, until it has been calm for so long.

A contact that closes bounces some twenty times within 20 ms; an input that floats picks up the mains, 100 edges/s.
"""


class Change(NamedTuple):
    """A level that counts, since the moment (monotonic s) of the edge after which it lasted."""

    high: bool
    mono: float


class Debounce:
    """One pin. With `hold_s` 0 every edge counts at once."""

    def __init__(self, hold_s: float, high: bool) -> None:
        self.high = high
        self.due: float | None = None  # when the other level will have lasted long enough
        self._hold_s = hold_s
        self._since = 0.0  # when it went to the other level
        self._seen = high
        self._edges: deque[float] = deque(maxlen=CHATTER_EDGES)

    def edge(self, high: bool, mono: float) -> list[Change]:
        """The pin went to `high`, or was read to be, at `mono`: what counts by then, oldest first."""
        if high != self._seen:
            self._seen = high
            self._edges.append(mono)
        changes = self.settle(mono)
        if high == self.high:
            self.due = None
        elif self.due is None:
            self._since, self.due = mono, mono + self._hold_s
            changes += self.settle(mono)
        return changes

    def settle(self, now: float) -> list[Change]:
        """The level that has lasted long enough by `now`, if it is a new one."""
        if self.due is None or now < self.due:
            return []
        change = Change(not self.high, self._since)
        self.high, self.due = change.high, None
        return [change]

    def chatters(self, now: float) -> bool:
        """Whether there were more edges than anything makes that is wired as it should be."""
        edges = self._edges
        many = len(edges) == CHATTER_EDGES and edges[-1] - edges[0] <= CHATTER_WITHIN_S
        return many and now - edges[-1] < CALM_S
