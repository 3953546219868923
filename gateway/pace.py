"""An allowance per second, with a burst. Pure."""

from __future__ import annotations


class Pace:
    """So many units a second, and at most a quarter of a second's worth (but no less than `burst`) at once."""

    def __init__(self, per_s: float, burst: float = 1.0) -> None:
        self._per_s = per_s
        self._most = max(burst, per_s / 4)
        self._left = self._most
        self._then: float | None = None

    def allows(self, now: float) -> bool:
        """Whether something may be spent at the monotonic time `now`; what it is may overdraw the allowance once."""
        if self._then is not None:
            self._left = min(self._most, self._left + (now - self._then) * self._per_s)
        self._then = now
        return self._left >= 1.0

    def spend(self, units: float) -> None:
        """Take so many units from what `allows` has counted."""
        self._left -= units

    def due_at(self) -> float | None:
        """When (monotonic) something may be spent again; None before the first question."""
        return None if self._then is None else self._then + max(0.0, 1.0 - self._left) / self._per_s
