"""In which fences a vehicle is, and when it has come or gone. Pure.

It has come, or gone, when two positions at least say so, over half a minute; one that says otherwise begins that anew.
Told is then the place where, and the time at which, that began. Positions of a dilution above 3 say nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from gateway.derive.fence import MOST_HDOP, Fence, accuracy_m
from gateway.derive.fixes import Fix
from gateway.derive.geo import Position

CONFIRMING_S, CONFIRMING = 30.0, 2
"""Over so many seconds so many positions, at least, have to say that a vehicle has come or gone."""


class Crossing(NamedTuple):
    """A vehicle has come into a fence (`entered`) or gone out of it, at `mono` (monotonic s)."""

    fence: Fence
    entered: bool
    position: Position
    mono: float


class _At:
    """One fence: on which side of it a vehicle is, and since when its positions say otherwise."""

    def __init__(self, fence: Fence) -> None:
        self.fence = fence
        self.inside: bool | None = None
        self.first: Fix | None = None  # of those that say otherwise
        self.other = False  # what they say
        self.count = 0

    def take(self, fix: Fix) -> Crossing | None:
        found = self.fence.holds(fix.position, accuracy_m(fix.hdop), self.inside)
        if found is None or found is self.inside:
            self.first = None
            return None
        if self.first is None or found is not self.other:
            self.first, self.other, self.count = fix, found, 0
        self.count += 1
        is_known = self.inside is not None
        if self.count < CONFIRMING or (is_known and fix.mono - self.first.mono < CONFIRMING_S):
            return None
        first, self.first, self.inside = self.first, None, found
        return Crossing(self.fence, found, first.position, first.mono) if is_known else None


class Presence:
    """One vehicle and all fences."""

    def __init__(self, fences: Iterable[Fence]) -> None:
        self._at = {fence.id: _At(fence) for fence in fences}

    @property
    def inside(self) -> tuple[str, ...] | None:
        """The ids of the fences that it is in, in order; None: of some that is not known yet."""
        if any(at.inside is None for at in self._at.values()):
            return None
        return tuple(sorted(name for name, at in self._at.items() if at.inside))

    @property
    def known(self) -> dict[str, bool]:
        """By fence whether it is inside, as far as that is known."""
        return {name: at.inside for name, at in self._at.items() if at.inside is not None}

    def take(self, fix: Fix) -> list[Crossing]:
        """A position that is believed, and where it has come or gone."""
        if fix.hdop is not None and fix.hdop > MOST_HDOP:
            return []
        found = [at.take(fix) for at in self._at.values()]
        return [crossing for crossing in found if crossing is not None]

    def recall(self, known: Mapping[str, object]) -> None:
        """What was known before, of the fences of which nothing is known now."""
        for name, inside in known.items():
            at = self._at.get(name)
            if at is not None and at.inside is None and isinstance(inside, bool):
                at.inside = inside
