"""How far a vehicle has come: the odometer, and trips from the first move until it is parked. Pure.

- What is counted is the way from one believed position to the next. Of a vehicle that has stopped, or whose speed is
  that of one that stands, it counts only when it has come 30 m, and while it is parked not at all: positions scatter,
  and speeds do, and that is no way.
- A believed jump is no way, nor is what happened while the gateway was off.
"""

from __future__ import annotations

from typing import NamedTuple

from gateway.derive.geo import Position, distance

DEAD_BAND_M = 30.0
"""A vehicle that stands has not moved until it is so far away."""


class Trip(NamedTuple):
    """One that goes on: its number, and when it began (UTC ms, a label)."""

    number: int
    begin: int


class Trips:
    """The odometer (m) of one vehicle, its trips, and the place up to which its way is counted."""

    def __init__(self) -> None:
        self.odometer_m = 0.0
        self.number = 0  # of the last trip that was begun
        self.trip: Trip | None = None
        self.trip_m = 0.0  # of the present trip, or of the last one
        self.place: Position | None = None

    def follow(self, position: Position, *, still: bool, parked: bool) -> None:
        """A believed position of a vehicle that stands `still`, or is `parked`."""
        if self.place is None:
            self.place = position
            return
        way = distance(self.place, position)
        if way <= DEAD_BAND_M and (still or parked):
            return
        self.place = position
        if not parked:
            self.odometer_m += way
            self.trip_m += way if self.trip is not None else 0.0

    def jump(self, position: Position) -> None:
        """It goes on from here, whatever way led there."""
        self.place = position

    def begin(self, ts: int) -> Trip | None:
        """It moves, since `ts` (UTC ms): the trip that this begins; None: one goes on."""
        if self.trip is not None:
            return None
        self.number += 1
        self.trip_m = 0.0
        self.trip = Trip(self.number, ts)
        return self.trip

    def end(self) -> Trip | None:
        """It is parked: the trip that this ends, if one went on."""
        ended, self.trip = self.trip, None
        return ended
