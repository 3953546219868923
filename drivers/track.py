"""The track of a vehicle, made of a device that tells its position: a GPS receiver, gpsd, a router over Modbus.

    point           is                                                                              unit
    position        where it is, as far as that is believed; held where it is parked                °
    speed           as the device tells it, else by its positions over 10 s and more                m/s
    course          as the device tells it                                                          °
    motion          moving, stopped or parked                                                       -
    trip_distance   of the present trip, or the last one                                            m
    odometer        of all that was counted here, over restarts                                     m
    trips           how many were begun: the number of the present trip, or the last one            trips
    fence           the ids of the fences that it is in, joined by commas; - if it is in none       -
    positioning     at fault where there is no believed position for 30 s (300 s if it stands)      -

A position is not believed of fewer than 4 satellites, of an HDOP above 5 or told to be none, or farther from the last
one than 70 m/s allow, until three more agree with it. At the start nothing is told of `positioning` before there is
a position, or there was none for 300 s.

Source: numbers as trackers for vehicles have them in use (a manual of Galileosky), and our own where there are none.

Not known: the way is that of the positions, in straight lines: on a road of bends it is shorter than the road.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Annotated, ClassVar

from drivers.source_point import device_named
from gateway.derive.fence import Fence
from gateway.derive.track import Ignition, Receiver, Track
from gateway.driver import Doc, Fenced, Placed, UsualRule, point
from gateway.model import Point, Priority

_BESIDE = ("speed", "course", "satellites", "hdop")
_SWITCHES = frozenset({"contact", "status"})


@dataclass(frozen=True, slots=True)
class TrackOptions:
    """What it is made of."""

    of: Annotated[str, Doc("The device that tells the position")]
    ignition: Annotated[str, Doc("A contact that is on while the ignition is, device.point: begins a trip")] = ""


class TrackOf(Fenced):
    """The track of one vehicle."""

    options: ClassVar[type[TrackOptions]] = TrackOptions

    def __init__(self, options: TrackOptions) -> None:
        self._options = options
        self._receiver = Receiver(options.of, "")
        self._ignition: Ignition | None = None
        self._fences: tuple[Fence, ...] = ()

    @property
    def points(self) -> tuple[Point, ...]:
        """What it derives; a course only where the device tells one, fences only where there are some."""
        course = (point("course", "course"),) if self._receiver.course else ()
        fence = (point("fence", "text"),) if self._fences else ()
        return (
            point("position", "position"),
            point("speed", "speed"),
            *course,
            point("motion", "motion"),
            point("trip_distance", "distance"),
            point("odometer", "odometer"),
            point("trips", "trips"),
            *fence,
            point("positioning", "fault"),
        )

    @property
    def usual_rules(self) -> tuple[UsualRule, ...]:
        """No fix for too long."""
        text = "No position: the receiver has no fix, or says nothing; the last one is old"
        return (UsualRule("no-fix", "positioning", Priority.MEDIUM, text, equals="fault"),)

    def surround(self, fences: Sequence[Fence]) -> None:
        """Told the fences of the site."""
        self._fences = tuple(fences)

    def meet(self, zone: str, devices: Sequence[Placed]) -> None:
        """Find the points that it is made of."""
        del zone
        said = self._options
        at = device_named(said.of, "of", devices)
        positions = [each.name for each in at.points if each.kind == "position"]
        if len(positions) != 1:
            there = [it.device for it in devices if any(each.kind == "position" for each in it.points)]
            raise ValueError(f"of: {said.of} tells no position; {_known(there)}")
        beside = {kind: next((each.name for each in at.points if each.kind == kind), "") for kind in _BESIDE}
        self._receiver = Receiver(said.of, positions[0], **beside)
        if said.ignition:
            name, _, contact = said.ignition.partition(".")
            switches = [it.name for it in device_named(name, "ignition", devices).points if it.kind in _SWITCHES]
            if contact not in switches:
                right = f"write {name}.{switches[0]}" if switches else "it needs a point that is on or off"
                raise ValueError(f"ignition: {name} has no contact {contact!r}; {right}")
            self._ignition = Ignition(name, contact)

    @property
    def sources(self) -> tuple[str, ...]:
        """The device that tells the position, and that of the ignition."""
        ignition = () if self._ignition is None else (self._ignition.device,)
        return tuple(dict.fromkeys((self._receiver.device, *ignition)))

    def derivation(self, timezone: tzinfo) -> Track:
        """A new one."""
        del timezone
        return Track(self._receiver, self._fences, self._ignition)


def _known(devices: Sequence[str]) -> str:
    return f"there are {', '.join(devices)}" if devices else "there is none that does"
