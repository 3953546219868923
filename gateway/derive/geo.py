"""Places on the earth: distances, courses, and whether a place is in a circle or a polygon. Pure.

- A position is (latitude, longitude) in degrees WGS 84, north and east positive, as in gateway.model.Value.
- Distances are those on a sphere (haversine), within 0.6 % of the ellipsoid's: enough for fences.
- A polygon is even-odd, its sides straight in latitude and longitude: fine below some 100 km. It may cross the
  antimeridian; its longitudes are unwrapped there. It may not contain a pole, nor come near one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations, pairwise
from math import asin, atan2, cos, degrees, hypot, pi, radians, sin, sqrt
from typing import TypeAlias

Position: TypeAlias = tuple[float, float]

EARTH_M = 6_371_008.8
"""The mean radius of the earth, in metres (IUGG)."""

M_PER_DEGREE = EARTH_M * pi / 180
"""Metres in a degree of latitude."""

MOST_LATITUDE = 85.0
"""North and south of it there are no fences: degrees of longitude are too short there for what is done here."""


def distance(a: Position, b: Position) -> float:
    """Metres from `a` to `b`, along the sphere (haversine)."""
    north_a, north_b = radians(a[0]), radians(b[0])
    rise, run = sin((north_b - north_a) / 2), sin(radians(b[1] - a[1]) / 2)
    return 2 * EARTH_M * asin(min(1.0, sqrt(rise * rise + cos(north_a) * cos(north_b) * run * run)))


def bearing(a: Position, b: Position) -> float:
    """The course from `a` towards `b` at its beginning: degrees from north, clockwise, 0 to 360."""
    north_a, north_b, east = radians(a[0]), radians(b[0]), radians(b[1] - a[1])
    x = sin(east) * cos(north_b)
    y = cos(north_a) * sin(north_b) - sin(north_a) * cos(north_b) * cos(east)
    return degrees(atan2(x, y)) % 360.0


def turn(before: float, after: float) -> float:
    """By how much the course has changed, in degrees: more than -180 (to the left) up to 180."""
    return 180.0 - (180.0 - (after - before)) % 360.0


@dataclass(frozen=True, slots=True)
class Circle:
    """All within `radius_m` metres around `centre`."""

    centre: Position
    radius_m: float

    def contains(self, position: Position) -> bool:
        """Whether `position` is in it."""
        return distance(self.centre, position) <= self.radius_m

    def border_within(self, position: Position, metres: float) -> bool:
        """Whether its border is at most so many `metres` from `position`."""
        return abs(distance(self.centre, position) - self.radius_m) <= metres


_Side: TypeAlias = tuple[float, float, float, float]
"""Of a side of a polygon, in degrees: two latitudes and two longitudes, or latitudes, longitude and slope."""


@dataclass(frozen=True, slots=True)
class Polygon:
    """All within these corners; the last one is joined to the first one."""

    corners: tuple[Position, ...]
    _box: _Side = field(init=False, compare=False, repr=False)  # south, north, west, east
    _rays: tuple[_Side, ...] = field(init=False, compare=False, repr=False)  # south, north, longitude at south, slope
    _sides: tuple[tuple[Position, Position], ...] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        """What is the same for each position."""
        ring = unwrapped(self.corners)
        sides = tuple(pairwise((*ring, ring[0])))
        latitudes, longitudes = [corner[0] for corner in ring], [corner[1] for corner in ring]
        box = min(latitudes), max(latitudes), min(longitudes), max(longitudes)
        object.__setattr__(self, "_box", box)
        object.__setattr__(self, "_sides", sides)
        object.__setattr__(self, "_rays", tuple(_rays(sides)))

    def contains(self, position: Position) -> bool:
        """Whether `position` is in it."""
        south, north, west, east = self._box
        latitude, longitude = position[0], self._beside(position[1])
        if not (south <= latitude <= north and west <= longitude <= east):
            return False
        inside = False
        for low, high, start, slope in self._rays:  # those that a ray to the east crosses
            if low <= latitude < high and longitude < start + (latitude - low) * slope:
                inside = not inside
        return inside

    def border_within(self, position: Position, metres: float) -> bool:
        """Whether its border is at most so many `metres` from `position`."""
        south, north, west, east = self._box
        latitude, longitude = position[0], self._beside(position[1])
        shrink = max(0.01, cos(radians(latitude)))
        high = metres / M_PER_DEGREE * 1.000001
        wide = high / shrink
        if not (
            south - high <= latitude <= north + high and west - wide <= longitude <= east + wide
        ):  # too far from all of it
            return False
        for (lat_a, lon_a), (lat_b, lon_b) in self._sides:
            if (
                (lat_a < latitude - high and lat_b < latitude - high)
                or (lat_a > latitude + high and lat_b > latitude + high)
                or (lon_a < longitude - wide and lon_b < longitude - wide)
                or (lon_a > longitude + wide and lon_b > longitude + wide)
            ):
                continue
            side = (lat_a - latitude, (lon_a - longitude) * shrink, lat_b - latitude, (lon_b - longitude) * shrink)
            if _from_origin(*side) <= high:
                return True
        return False

    def _beside(self, longitude: float) -> float:
        """The longitude on the side of the antimeridian that the ring was unwrapped to."""
        middle = (self._box[2] + self._box[3]) / 2
        return longitude - 360.0 * round((longitude - middle) / 360.0)

    @property
    def size_m(self) -> tuple[float, float]:
        """How far it reaches, the longer way of north-south and east-west (m), and its area (m²)."""
        south, north, west, east = self._box
        shrink = cos(radians((south + north) / 2))
        twice = sum((b[1] - a[1]) * (a[0] + b[0] - 2 * south) for a, b in self._sides)
        longer = max(north - south, (east - west) * shrink) * M_PER_DEGREE
        return longer, abs(twice) / 2 * shrink * M_PER_DEGREE**2


def unwrapped(corners: Sequence[Position]) -> list[Position]:
    """The corners with longitudes that do not jump by more than half the earth from one to the next."""
    ring: list[Position] = []
    for latitude, longitude in corners:
        before = ring[-1][1] if ring else longitude
        ring.append((latitude, longitude - 360.0 * round((longitude - before) / 360.0)))
    return ring


def goes_round_a_pole(corners: Sequence[Position]) -> bool:
    """Whether the ring of these corners goes once around the earth."""
    return len(corners) > 1 and abs(unwrapped((*corners, corners[0]))[-1][1] - corners[0][1]) > 1.0


def crossing(corners: Sequence[Position]) -> tuple[int, int] | None:
    """Two sides of the ring that cross or touch, by the numbers of their first corners (from 0); None: there are none.

    Of neighbours that is so where one goes back on the other.
    """
    ring = unwrapped(corners)
    sides = tuple(pairwise((*ring, ring[0])))
    last = len(sides) - 1
    for (i, (a, b)), (j, (c, d)) in combinations(enumerate(sides), 2):
        if j == i + 1 or (i == 0 and j == last):
            before, corner, after = (a, b, d) if j == i + 1 else (c, d, b)
            if _side_of(before, corner, after) == 0 and _goes_back(before, corner, after):
                return i, j
        elif _meet(a, b, c, d):
            return i, j
    return None


def _rays(sides: Sequence[tuple[Position, Position]]) -> Iterator[_Side]:
    for a, b in sides:
        low, high = (a, b) if a[0] <= b[0] else (b, a)
        if low[0] < high[0]:
            yield low[0], high[0], low[1], (high[1] - low[1]) / (high[0] - low[0])


def _from_origin(ay: float, ax: float, by: float, bx: float) -> float:
    """How far the straight line from a to b is from 0, 0."""
    dy, dx = by - ay, bx - ax
    length = dy * dy + dx * dx
    along = 0.0 if length == 0 else min(1.0, max(0.0, -(ay * dy + ax * dx) / length))
    return hypot(ay + along * dy, ax + along * dx)


def _side_of(a: Position, b: Position, c: Position) -> float:
    """Whether c is to the left of the line from a to b (positive), to its right (negative), or on it."""
    return (b[1] - a[1]) * (c[0] - a[0]) - (b[0] - a[0]) * (c[1] - a[1])


def _goes_back(before: Position, corner: Position, after: Position) -> bool:
    north = (corner[0] - before[0]) * (after[0] - corner[0])
    return north + (corner[1] - before[1]) * (after[1] - corner[1]) <= 0


def _meet(a: Position, b: Position, c: Position, d: Position) -> bool:
    """Whether the line from a to b and the line from c to d have a place in common."""
    if max(a[0], b[0]) < min(c[0], d[0]) or max(c[0], d[0]) < min(a[0], b[0]):
        return False
    if max(a[1], b[1]) < min(c[1], d[1]) or max(c[1], d[1]) < min(a[1], b[1]):
        return False
    return _side_of(a, b, c) * _side_of(a, b, d) <= 0 and _side_of(c, d, a) * _side_of(c, d, b) <= 0
