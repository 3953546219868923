"""When to look for retained topics of our own that are no more. Pure.

Once on each connection, for a few seconds; but not before the hub knows its alarms: while the journal is late a fresh
daemon would clear those that still stand.
"""

from __future__ import annotations

from enum import Enum

AFTER_S = 1.0
FOR_S = 3.0


class Step(Enum):
    """What to do now."""

    SUBSCRIBE = "subscribe"
    UNSUBSCRIBE = "unsubscribe"


class Sweep:
    """The look at one connection after the other."""

    def __init__(self) -> None:
        self._at: float | None = None
        self._alarms_known = False
        self.is_on = False

    def alarms_known(self) -> None:
        """The alarms of the run before are merged into those of this one."""
        self._alarms_known = True

    def connected(self, now: float) -> None:
        """A connection begins at the monotonic time `now`."""
        self._at, self.is_on = now + AFTER_S, False

    def disconnected(self) -> None:
        """The connection has ended."""
        self._at, self.is_on = None, False

    @property
    def due_at(self) -> float | None:
        """When (monotonic) the next step comes; None if none does by itself."""
        return self._at if self._alarms_known else None

    def step(self, now: float) -> Step | None:
        """The step to take now, if any."""
        if self.due_at is None or now < self.due_at:
            return None
        self.is_on = not self.is_on
        self._at = now + FOR_S if self.is_on else None
        return Step.SUBSCRIBE if self.is_on else Step.UNSUBSCRIBE
