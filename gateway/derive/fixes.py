"""Which positions of a receiver are believed, and why the others are not, counted. Pure.

Not believed is one of fewer than 4 satellites, of a dilution (HDOP) above 5, or one that is farther away from the last
believed one than 70 m/s allow. Three more that agree with a far one make it believed: a receiver that comes out of a
tunnel, or was wrong before, is believed in the end.
"""

from __future__ import annotations

from typing import NamedTuple

from gateway.derive.geo import Position, distance
from gateway.model import Reason

LEAST_SATELLITES, MOST_HDOP, MOST_SPEED_M_S = 4, 5.0, 70.0

CONFIRMATIONS = 3
"""So many positions that agree with one far away make it believed."""

_LEAST_S = 1.0  # a receiver's times are no better: two that come at once are no jump


class Fix(NamedTuple):
    """A position at a monotonic time (s), with what the receiver says of it, as far as it does."""

    position: Position
    mono: float
    satellites: float | None = None
    hdop: float | None = None


class Doubt(NamedTuple):
    """Why a position is not believed: as a point's reason, and more exactly, for counting."""

    reason: Reason
    name: str


FEW_SATELLITES = Doubt(Reason.POOR_FIX, "satellites")
WIDE = Doubt(Reason.POOR_FIX, "hdop")
JUMP = Doubt(Reason.TOO_FAST, "speed")
NONE = Doubt(Reason.NO_FIX, "no_fix")


class Fixes:
    """The positions of one receiver. `doubted`: how many were not believed, by the name of the doubt."""

    def __init__(self) -> None:
        self.doubted: dict[str, int] = {}
        self.last: Fix | None = None  # that was believed
        self.jumped = False  # whether that was one far away, which others have confirmed
        self._far: Fix | None = None
        self._agreeing = 0

    def doubt(self, fix: Fix) -> Doubt | None:
        """Why `fix` is not believed; None: it is, and is the last one now."""
        found = self._doubt(fix)
        if found is None:
            self.last, self._far = fix, None
        else:
            self.missed(found)
        return found

    def missed(self, doubt: Doubt) -> None:
        """One more that there was not, or that was not believed."""
        self.doubted[doubt.name] = self.doubted.get(doubt.name, 0) + 1

    def _doubt(self, fix: Fix) -> Doubt | None:
        self.jumped = False
        if fix.satellites is not None and fix.satellites < LEAST_SATELLITES:
            return FEW_SATELLITES
        if fix.hdop is not None and fix.hdop > MOST_HDOP:
            return WIDE
        if self.last is None or _can_follow(fix, self.last):
            return None
        agrees = self._far is not None and _can_follow(fix, self._far)
        self._agreeing = self._agreeing + 1 if agrees else 0
        self._far = fix
        self.jumped = self._agreeing >= CONFIRMATIONS
        return None if self.jumped else JUMP


def _can_follow(fix: Fix, before: Fix) -> bool:
    seconds = max(_LEAST_S, fix.mono - before.mono)
    return distance(before.position, fix.position) <= MOST_SPEED_M_S * seconds
