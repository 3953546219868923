"""Fences: places on the map that rules and tracks are about, and on which side of one a position is for certain. Pure.

A receiver's positions scatter, so a border is no line. Inside is who is inside by the accuracy of the position; outside
is who is outside by that and 30 m more. In between it stays as it was: a vehicle that stands at the border does not
come and go.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.derive.geo import Circle, Polygon, Position

HYSTERESIS_M = 30.0
"""Metres beyond the border, and the accuracy, from which on a position is outside."""

M_PER_HDOP = 5.0
"""The accuracy of a position, in metres, for each unit of its dilution (HDOP)."""

USUAL_HDOP = 2.0
"""Where a device does not tell it: the worse end of what is called good."""

MOST_HDOP = 3.0
"""A position with a greater one says nothing on fences."""

LEAST_WIDTH_M = 50.0
"""So wide is the smallest fence: the worst position that counts is good to 15 m on each side."""


def accuracy_m(hdop: float | None) -> float:
    """How far off a position with this dilution may be, in metres; None: nobody knows."""
    return M_PER_HDOP * (USUAL_HDOP if hdop is None else hdop)


@dataclass(frozen=True, slots=True)
class Fence:
    """A place with a border."""

    id: str
    name: str
    shape: Circle | Polygon

    def holds(self, position: Position, accuracy: float, inside: bool | None) -> bool | None:
        """Whether `position`, good to `accuracy` metres, is inside; if it can be either, what it was before.

        Of which nothing is known before (None), nothing is known there.
        """
        if self.shape.contains(position):
            return inside if self.shape.border_within(position, accuracy) else True
        if inside is False:
            return False
        return inside if self.shape.border_within(position, accuracy + HYSTERESIS_M) else False
