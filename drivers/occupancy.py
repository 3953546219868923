"""How many people are in a zone, from the devices that count them at its doors.

    point                 is                                                                            unit
    occupancy             how many are inside; while a door is silent, no fewer than before             people
    capacity              how many it may hold, if that is configured                                   people
    fullness              occupancy, of the capacity                                                    %
    entries_today         who came in since the day began; exits_today: who left                        people
    entries_1min          who came in during the last minute; exits_1min: who left                      people/min
    drift_clamped_today   how many left without having come, as far as was noticed                      people
    quality               good, drifting (more than 3 % of the entries were put right), uncertain       -
    quality_reason        why no better: the doors that are silent, what was missed                     -
    DOOR_crowding         of each door with a `width`: the flow both ways, of what it lets through      %

Source: 82 people a minute and metre, the limit of level of service E for walking crowds, and the same figure in the
Green Guide for level exits. Capacity: the lesser of area * density and what the exits let out in `evacuation`.

Not known: how far the counters are off. Those of 2 to 5 % drift by tens of people a day; hence the daily beginning.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, time, tzinfo
from typing import Annotated, ClassVar

from drivers.profile_rules import CHECKED
from gateway.derive.capacity import capacity
from gateway.derive.day import Days, opening
from gateway.derive.occupancy import Door, Occupancy, Setup, crowding_of
from gateway.driver import Derived, Doc, Placed, Seconds, point
from gateway.model import Point

NEVER = "never"
_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")
_POINTS = (
    ("occupancy", "occupancy"),
    ("entries_today", "passed_today"),
    ("exits_today", "passed_today"),
    ("entries_1min", "people_flow"),
    ("exits_1min", "people_flow"),
    ("drift_clamped_today", "miscounted"),
    ("quality", "text"),
    ("quality_reason", "text"),
)


@dataclass(frozen=True, slots=True)
class DoorOptions:
    """One door of the zone."""

    __pydantic_config__ = CHECKED

    reversed: Annotated[bool, Doc("true: what its device counts as in leaves this zone")] = False
    width: Annotated[float | None, Doc("Clear width, in metres; for how crowded it is")] = None

    def __post_init__(self) -> None:
        """Refuse what nobody can pass."""
        if self.width is not None and not 0.4 <= self.width <= 50:
            raise ValueError(f"width: from 0.4 to 50 metres, not {self.width}")


@dataclass(frozen=True, slots=True)
class OccupancyOptions:
    """Which doors, how many people, and the hours of the place."""

    doors: Annotated[Mapping[str, DoorOptions], Doc("The devices that count at its doors, all of them")]
    capacity: Annotated[int | None, Doc("How many people it may hold; or left out, see area")] = None
    area: Annotated[float | None, Doc("In place of capacity: the floor, in square metres")] = None
    density: Annotated[float | None, Doc("With area: people a square metre")] = None
    exits: Annotated[tuple[float, ...], Doc("With area: clear widths of all ways out, in metres")] = ()
    evacuation: Annotated[Seconds, Doc("With exits: within which they let everybody out")] = 150.0
    day_begins: Annotated[str, Doc('By the clock of the site: nobody is inside then; or "never"')] = "04:00"
    open: Annotated[tuple[str, ...], Doc("When people may be inside, as mon-fri 06:00-22:00; left out: always")] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if not self.doors:
            raise ValueError("doors: name one device at least that counts people")
        _refuse_capacity(self)
        if self.day_begins != NEVER and not _CLOCK.fullmatch(self.day_begins):
            raise ValueError(f'day_begins: a time as 04:00, or "never", not {self.day_begins!r}')
        try:
            opening(self.open, UTC)
        except ValueError as error:
            raise ValueError(f"open: {error}") from error

    @property
    def holds(self) -> int:
        """How many people it may hold; 0: not known."""
        if self.capacity is not None:
            return self.capacity
        if self.area is None and not self.exits:
            return 0
        return capacity(self.area, self.density, self.exits, self.evacuation)


class OccupancyOf(Derived):
    """The people in one zone."""

    options: ClassVar[type[OccupancyOptions]] = OccupancyOptions
    every_default_s: ClassVar[float] = 60.0  # it tells the flow of each minute, also while nobody passes
    by_clock: ClassVar[bool] = True

    def __init__(self, options: OccupancyOptions) -> None:
        self._options = options
        self._doors: tuple[Door, ...] = ()

    @property
    def points(self) -> tuple[Point, ...]:
        """How many, how full, how sure."""
        holds = (point("capacity", "capacity"), point("fullness", "fullness")) if self._options.holds else ()
        crowded = [name for name, door in self._options.doors.items() if door.width is not None]
        crowding = tuple(point(crowding_of(name), "crowding") for name in crowded)
        return (*(point(name, kind) for name, kind in _POINTS), *holds, *crowding)

    def meet(self, zone: str, devices: Sequence[Placed]) -> None:
        """Find the totals of its doors."""
        del zone
        self._doors = tuple(_door(name, it, devices) for name, it in self._options.doors.items())

    @property
    def sources(self) -> tuple[str, ...]:
        """Its doors."""
        return tuple(door.device for door in self._doors)

    def derivation(self, timezone: tzinfo) -> Occupancy:
        """A new one."""
        said = self._options
        days = None if said.day_begins == NEVER else Days(time.fromisoformat(said.day_begins), timezone)
        return Occupancy(Setup(self._doors, said.holds, days, opening(said.open, timezone)))


def _refuse_capacity(said: OccupancyOptions) -> None:
    if said.capacity is not None and (said.area is not None or said.density is not None or said.exits):
        raise ValueError("capacity: goes without area, density and exits; keep one or the other")
    if (said.area is None) != (said.density is None):
        raise ValueError("density: people a square metre go with an area, and an area with them")
    for name, value in (("capacity", said.capacity), ("area", said.area), ("density", said.density)):
        if value is not None and not 0 < value <= 1_000_000:
            raise ValueError(f"{name}: more than 0, 1000000 at most, not {value}")
    if any(not 0.4 <= width <= 50 for width in said.exits):
        raise ValueError("exits: each from 0.4 to 50 metres")
    if not 10 <= said.evacuation <= 3600:
        raise ValueError(f"evacuation: from 10s to 1h, not {said.evacuation}s")
    if said.holds < 1 and (said.area is not None or said.exits):
        raise ValueError("area: nobody has room there")


def _door(name: str, said: DoorOptions, devices: Sequence[Placed]) -> Door:
    """The totals of the device `name`; ValueError, in words."""
    counting = [it.device for it in devices if _of_kind(it, "entries") and _of_kind(it, "exits")]
    at = next((it for it in devices if it.device == name), None)
    if at is None:
        known = ", ".join(counting) or "none that counts people; add its people_counter, beam_pair or modbus device"
        raise ValueError(f"doors: there is no device {name!r}; there is {known}")
    came, left = _of_kind(at, "entries"), _of_kind(at, "exits")
    if len(came) != 1 or len(left) != 1:
        number = "no" if not came or not left else "more than one"
        raise ValueError(
            f"doors: {name} has {number} total of people in and people out; it takes a device with one each"
        )
    ours = bool(_of_kind(at, "passages_in"))
    entries, exits = (left[0], came[0]) if said.reversed else (came[0], left[0])
    return Door(name, entries, exits, said.width or 0.0, ours)


def _of_kind(device: Placed, kind: str) -> list[str]:
    return [it.name for it in device.points if it.kind == kind]
