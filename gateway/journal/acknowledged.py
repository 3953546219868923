"""When it is time to store what was acknowledged: with a group that is stored anyway, never with each acknowledgement.

They go with the first group after AT_EARLIEST_S, at the latest after AT_LATEST_S. A run begins with shorter times: else
lives of a few seconds each would note nothing, and all would be sent again after each of them.
"""

from __future__ import annotations

FIRST_S, AT_EARLIEST_S, AT_LATEST_S = 1.0, 5.0, 10.0


class Acknowledgements:
    """Since when (monotonic seconds) there are some that are not on the disk; None: there are none."""

    def __init__(self) -> None:
        self.since: float | None = None
        self._wait_until = float("-inf")
        self._pause_s = FIRST_S

    def come(self, now: float) -> None:
        """One more came."""
        if self.since is None:
            self.since = now

    @property
    def due_at(self) -> float:
        """When they are stored even if nothing else is."""
        return float("inf") if self.since is None else self.since + AT_LATEST_S

    def go(self, now: float, *, stopping: bool) -> bool:
        """Whether they go with a group that is stored now."""
        return self.since is not None and (stopping or now >= self._wait_until)

    def kept(self, now: float) -> None:
        """They are on the disk."""
        self.since = None
        self._wait_until = now + self._pause_s
        self._pause_s = min(AT_EARLIEST_S, 2 * self._pause_s)
