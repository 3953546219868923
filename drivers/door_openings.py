"""The openings of a door whose contact is on another device, as on a Modbus module or a cold room's controller.

    point       is                                                     unit
    openings    how often it was opened, ever                          openings
    open_time   for how long in all                                    s
    open_for    for how long since it was opened last, 0 while closed  s

Source: the definitions in gateway/derive/openings.py, with a slow model beside its tests. A `contact` or `changeover`
of the kind door has these points of its own.

Not known: openings between two polls of the other device, where its own input does not hold them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Annotated, ClassVar

from drivers.source_point import point_named
from gateway.derive.openings import POINTS, Openings
from gateway.driver import Derived, Doc, Placed, point
from gateway.model import Point

_SOURCE_KIND = "door"


@dataclass(frozen=True, slots=True)
class DoorOpeningsOptions:
    """Which door."""

    of: Annotated[str, Doc("The door, as device.point; or a device that has one alone")]


class DoorOpenings(Derived):
    """The openings of one door."""

    options: ClassVar[type[DoorOpeningsOptions]] = DoorOpeningsOptions

    def __init__(self, options: DoorOpeningsOptions) -> None:
        self._of = options.of
        self._device, self._point = "", ""

    @property
    def points(self) -> tuple[Point, ...]:
        """How often and for how long it was open."""
        return tuple(point(name, name) for name in POINTS)

    def meet(self, zone: str, devices: Sequence[Placed]) -> None:
        """Find the door."""
        del zone
        self._device, door = point_named(self._of, "of", _SOURCE_KIND, "door", "it has no door", devices)
        self._point = door.name

    @property
    def sources(self) -> tuple[str, ...]:
        """The device that has the contact."""
        return (self._device,)

    def derivation(self, timezone: tzinfo) -> Openings:
        """A new one."""
        del timezone
        return Openings(self._point, self._device)
