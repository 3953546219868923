"""Quantities of the simulated site that live: they wander a little, and move where the story aims them."""

from __future__ import annotations

import math

_QUIET_S = 1.5  # between two passages while the number inside is as it should be


class Drift:
    """A measured quantity: a straight ramp towards its aim, with a small slow wander so that it looks alive."""

    def __init__(self, value: float, wander: float, phase: float = 0.0) -> None:
        self._wander = wander
        self._phase = phase
        self._from, self._to = value, value
        self._begin, self._lasts = 0.0, 0.0

    def aim(self, target: float, within_s: float, now: float) -> None:
        """Be at `target` in `within_s` seconds from the monotonic time `now`."""
        self._from, self._to = self._ramp(now), target
        self._begin, self._lasts = now, within_s

    def at(self, now: float) -> float:
        """The value at the monotonic time `now`."""
        sway = math.sin(now / 1.7 + self._phase) + math.sin(now / 0.61 + 2 * self._phase)
        return self._ramp(now) + self._wander * sway / 2

    def _ramp(self, now: float) -> float:
        done = 1.0 if self._lasts <= 0 else min(1.0, max(0.0, (now - self._begin) / self._lasts))
        return self._from + (self._to - self._from) * done


class Crowd:
    """People who pass an entrance: two totals that only grow, steered towards a number inside."""

    def __init__(self, inside: int) -> None:
        self.came, self.left = inside, 0
        self._to = inside
        self._pause_s, self._due = _QUIET_S, 0.0

    @property
    def inside(self) -> int:
        """How many have come and not left."""
        return self.came - self.left

    def aim(self, inside: int, within_s: float, now: float) -> None:
        """Have `inside` people in there `within_s` seconds after the monotonic time `now`."""
        self._to = inside
        self._pause_s = within_s / max(1, abs(inside - self.inside))
        self._due = now

    def step(self, now: float) -> bool:
        """Let those pass whose time has come; whether anybody did. At rest somebody leaves now and then and returns."""
        passed = False
        while self._due <= now:
            passed = True
            if self.inside == self._to:
                self._pause_s = _QUIET_S
                self._due = max(self._due, now - _QUIET_S)
            if self.inside < self._to or self.inside == 0:
                self.came += 1
            else:
                self.left += 1
            self._due += self._pause_s
        return passed
