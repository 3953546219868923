"""How many have passed in the last minute."""

from __future__ import annotations

from collections import deque
from math import ceil, inf

WINDOW_S = 60.0
MERGED_S = 0.5
"""Passages that come so soon after others are forgotten with them; so there are never many to remember."""


class Flow:
    """People (or whatever is counted) per minute: those of the last `WINDOW_S` seconds, to within `MERGED_S`."""

    def __init__(self) -> None:
        self._lately: deque[tuple[float, int]] = deque()
        self._sum = 0

    @property
    def next(self) -> float:
        """When (monotonic seconds) it will be less, if nobody comes; inf where it is 0."""
        return self._lately[0][0] + WINDOW_S if self._lately else inf

    def add(self, count: int, mono: float, over_s: float = 0.0) -> None:
        """So many more were counted at `mono`, in the `over_s` seconds before it.

        Where these are more than the window, as after a line was down, only the window's share of them counts.
        """
        if over_s > WINDOW_S:
            count = ceil(count * WINDOW_S / over_s) if over_s < inf else 0
        if count <= 0:
            return
        self._sum += count
        if self._lately and mono - self._lately[-1][0] < MERGED_S:
            since, before = self._lately.pop()
            self._lately.append((since, before + count))
        else:
            self._lately.append((mono, count))

    def at(self, mono: float) -> int:
        """How many at `mono`; what is older is forgotten."""
        while self._lately and self._lately[0][0] + WINDOW_S <= mono:
            self._sum -= self._lately.popleft()[1]
        return self._sum
