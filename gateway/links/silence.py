"""Devices that talk by themselves: when one has been silent too long, and when that is worth saying again. Pure."""

from __future__ import annotations

LEAST_PATIENCE_S = 5.0
AGAIN_S = 60.0


class Silence:
    """One device that is expected to speak each `every` seconds, since `now` (monotonic s)."""

    def __init__(self, every: float, now: float) -> None:
        self.since: float | None = None  # when it became silent for us; None while it talks
        self._patience = max(3 * every, LEAST_PATIENCE_S)
        self._due = now + self._patience

    @property
    def due(self) -> float:
        """When its silence is to be said, unless it speaks before."""
        return self._due

    def restart(self, now: float) -> None:
        """It could not be heard until now; a silence that was said stands until it speaks."""
        self._due = now + self._patience

    def spoke(self, now: float) -> float | None:
        """It has said something; for how many seconds it was silent, if that had been said."""
        since, self.since = self.since, None
        self._due = now + self._patience
        return None if since is None else now - since

    def elapse(self, now: float) -> bool:
        """Whether its silence is to be said now: once, and again each minute."""
        if now < self._due:
            return False
        if self.since is None:
            self.since = now
        self._due = now + AGAIN_S
        return True
