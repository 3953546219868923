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

from gateway.derive.openings import OPEN_FOR, OPEN_TIME, OPENINGS, Openings
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
        return tuple(point(name, name) for name in (OPENINGS, OPEN_TIME, OPEN_FOR))

    def meet(self, zone: str, devices: Sequence[Placed]) -> None:
        """Find the door."""
        del zone
        self._device, _, name = self._of.partition(".")
        at = next((each for each in devices if each.device == self._device), None)
        if at is None:
            known = ", ".join(each.device for each in devices)
            raise ValueError(f"of: there is no device {self._device!r}; there are {known}")
        doors = [each.name for each in at.points if each.kind == _SOURCE_KIND]
        if not name and len(doors) == 1:
            (name,) = doors
        if name not in doors:
            right = f"write one of {', '.join(doors)} as device.point" if doors else "it has no door"
            raise ValueError(f"of: {self._device} has no door {name!r}; {right}" if name else f"of: {right}")
        self._point = name

    @property
    def sources(self) -> tuple[str, ...]:
        """The device that has the contact."""
        return (self._device,)

    def derivation(self, timezone: tzinfo) -> Openings:
        """A new one."""
        del timezone
        return Openings(self._point, self._device)
