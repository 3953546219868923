"""Distances, courses, circles and polygons: against the vectors, and against slow models that are obviously right."""

from __future__ import annotations

import json
from itertools import pairwise
from math import atan2, cos, degrees, pi, radians, sin
from pathlib import Path
from typing import Any

import pytest
from examples import examples
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gateway.derive.fence import HYSTERESIS_M, Fence
from gateway.derive.geo import (
    EARTH_M,
    Circle,
    Polygon,
    Position,
    bearing,
    crossing,
    distance,
    goes_round_a_pole,
    turn,
    unwrapped,
)

VECTORS: dict[str, Any] = json.loads((Path(__file__).parent / "vectors" / "geo.json").read_text(encoding="utf-8"))
NOTCHED = tuple((latitude, longitude) for latitude, longitude in VECTORS["point_in_polygon"]["polygon_lat_lon"])


@pytest.mark.parametrize("vector", VECTORS["geo"], ids=lambda vector: vector["id"])
def test_distances_and_courses_are_those_of_the_vectors(vector: dict[str, Any]) -> None:
    a, b = (vector["lat1"], vector["lon1"]), (vector["lat2"], vector["lon2"])
    assert distance(a, b) == pytest.approx(vector["haversine_m"], abs=0.001)
    assert distance(a, b) == pytest.approx(vector["geodesic_wgs84_m"], rel=0.003)
    assert bearing(a, b) == pytest.approx(vector["initial_bearing_deg"], abs=0.2)  # theirs is the ellipsoid's


@pytest.mark.parametrize("vector", VECTORS["heading_difference"], ids=str)
def test_turns_are_those_of_the_vectors(vector: dict[str, Any]) -> None:
    assert turn(vector["a"], vector["b"]) == pytest.approx(vector["diff"])


@pytest.mark.parametrize("vector", VECTORS["point_in_polygon"]["points"], ids=str)
def test_the_polygon_with_a_notch_is_that_of_the_vectors(vector: dict[str, Any]) -> None:
    assert Polygon(NOTCHED).contains((vector["lat"], vector["lon"])) is vector["inside"]


# ---------------------------------------------------------------- slow models

places = st.tuples(st.floats(-80, 80), st.floats(-180, 180))


@given(places, places)
def test_a_distance_is_the_angle_between_two_directions(a: Position, b: Position) -> None:
    def direction(place: Position) -> tuple[float, float, float]:
        north, east = radians(place[0]), radians(place[1])
        return cos(north) * cos(east), cos(north) * sin(east), sin(north)

    (ax, ay, az), (bx, by, bz) = direction(a), direction(b)
    across = (ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx)
    length: float = sum(part * part for part in across) ** 0.5
    assert distance(a, b) == pytest.approx(EARTH_M * atan2(length, ax * bx + ay * by + az * bz), abs=0.5)
    assert distance(a, b) == distance(b, a)


@given(st.floats(0, 360), st.floats(0, 360))
def test_a_turn_leads_from_one_course_to_the_other_on_the_shorter_way(before: float, after: float) -> None:
    found = turn(before, after)
    assert -180 < found <= 180
    assert (before + found - after) % 360 == pytest.approx(0, abs=1e-6) or (before + found - after) % 360 > 359.999999


def winding(corners: tuple[Position, ...], position: Position) -> bool | None:
    """Whether the corners go around the position, by the angles under which it sees the sides; None: on the border."""
    ring = unwrapped((*corners, corners[0]))
    longitude = position[1] - 360 * round((position[1] - ring[0][1]) / 360)
    seen = [(y - position[0], x - longitude) for y, x in ring]
    if any(abs(y) + abs(x) < 1e-9 for y, x in seen):
        return None
    total = 0.0
    for (ay, ax), (by, bx) in pairwise(seen):
        angle = atan2(ax * by - ay * bx, ax * bx + ay * by)
        if abs(abs(angle) - pi) < 1e-3:
            return None
        total += angle
    return abs(total) > pi


@st.composite
def stars(draw: st.DrawFn) -> tuple[Position, ...]:
    """A ring around a centre, as ragged as you like, that does not cross itself."""
    north, east = draw(st.floats(-60, 60)), draw(st.sampled_from([0.0, 100.0, 179.995, -179.999, 180.0]))
    reaches = draw(st.lists(st.floats(0.002, 0.02), min_size=3, max_size=30))
    ring = []
    for number, reach in enumerate(reaches):
        angle = 2 * pi * number / len(reaches)
        longitude = east + reach * sin(angle) * 1.5
        ring.append((north + reach * cos(angle), (longitude + 180) % 360 - 180))
    return tuple(ring)


offsets = st.tuples(st.floats(-0.03, 0.03), st.floats(-0.045, 0.045))


@given(stars(), offsets)
@settings(max_examples=examples(400), deadline=None)
def test_a_polygon_contains_what_its_corners_go_around(
    corners: tuple[Position, ...], offset: tuple[float, float]
) -> None:
    middle = unwrapped(corners)
    north = sum(corner[0] for corner in middle) / len(corners) + offset[0]
    east = sum(corner[1] for corner in middle) / len(corners) + offset[1]
    position = north, (east + 180) % 360 - 180
    expected = winding(corners, position)
    assume(expected is not None)
    assert Polygon(corners).contains(position) is expected


def far_from(corners: tuple[Position, ...], position: Position) -> float:
    """How far the border is: the nearest of very many places on it."""
    ring = unwrapped((*corners, corners[0]))
    steps = [number / 400 for number in range(401)]
    return min(
        distance(position, (a[0] + (b[0] - a[0]) * step, a[1] + (b[1] - a[1]) * step))
        for a, b in pairwise(ring)
        for step in steps
    )


@given(stars(), offsets, st.floats(5, 2000))
@settings(max_examples=examples(100), deadline=None)
def test_the_border_of_a_polygon_is_as_near_as_the_nearest_place_on_it(
    corners: tuple[Position, ...], offset: tuple[float, float], metres: float
) -> None:
    position = corners[0][0] + offset[0], corners[0][1] + offset[1]
    far = far_from(corners, position)
    assume(abs(far - metres) > 10 + 0.005 * metres)  # as far as the steps go
    assert Polygon(corners).border_within(position, metres) is (far < metres)


@given(st.floats(-60, 60), st.floats(-180, 180), st.floats(25, 50_000), places)
def test_a_circle_contains_what_is_near_its_centre(north: float, east: float, radius_m: float, place: Position) -> None:
    circle = Circle((north, east), radius_m)
    inside = north + degrees(radius_m / EARTH_M) * 0.999
    outside = north + degrees(radius_m / EARTH_M) * 1.001
    assert circle.contains((inside, east))
    assert not circle.contains((outside, east))
    assert circle.contains(place) is (distance((north, east), place) <= radius_m)
    assert circle.border_within((outside, east), radius_m * 0.0011)
    assert not circle.border_within((outside, east), radius_m * 0.0009)


def test_a_polygon_across_the_antimeridian_is_one_piece() -> None:
    fiji = Polygon(((-17.0, 179.9), (-17.0, -179.9), (-17.2, -179.9), (-17.2, 179.9)))
    for longitude in (179.95, 180.0, -180.0, -179.95):
        assert fiji.contains((-17.1, longitude))
    for longitude in (179.8, -179.8, 0.0, 90.0):
        assert not fiji.contains((-17.1, longitude))
    assert fiji.border_within((-17.1, -179.8995), 60)
    assert not goes_round_a_pole(fiji.corners)


def test_a_ring_around_a_pole_is_known_as_one() -> None:
    assert goes_round_a_pole(((80.0, 0.0), (80.0, 120.0), (80.0, -120.0)))


@pytest.mark.parametrize(
    ("corners", "found"),
    [
        (((0, 0), (1, 1), (1, 0), (0, 1)), (0, 2)),  # a bow tie
        (((0, 0), (0, 1), (1, 1), (1, 0)), None),
        (NOTCHED, None),
        (((0, 0), (0, 2), (0, 1), (1, 1)), (0, 1)),  # goes back on itself
        (((0, 179), (1, -179), (1, 179), (0, -179)), (0, 2)),  # a bow tie across the antimeridian
    ],
)
def test_a_ring_that_crosses_itself_is_found(corners: tuple[Position, ...], found: tuple[int, int] | None) -> None:
    assert crossing(corners) == found


@given(stars())
def test_a_ring_around_its_centre_does_not_cross_itself(corners: tuple[Position, ...]) -> None:
    assert crossing(corners) is None


def test_the_size_of_a_polygon() -> None:
    longer, area = Polygon(((0.0, 10.0), (0.0, 10.01), (0.02, 10.01), (0.02, 10.0))).size_m
    assert longer == pytest.approx(2223.9, abs=0.1)
    assert area == pytest.approx(2223.9 * 1111.95, rel=0.001)


# ---------------------------------------------------------------- which side of a fence

DEPOT = Fence("depot", "Depot", Circle((50.0, 8.0), 100.0))
SQUARE = Fence("square", "Square", Polygon(((50.0, 8.0), (50.0, 8.01), (50.01, 8.01), (50.01, 8.0))))


@pytest.mark.parametrize(
    ("metres", "before", "after"),
    [
        (80, None, True),
        (95, None, None),  # good to 10 m: it can be either
        (95, False, False),
        (95, True, True),
        (135, True, True),  # outside by less than 30 m and what it is good to
        (135, None, None),
        (135, False, False),
        (145, True, False),
    ],
)
def test_a_vehicle_at_the_border_is_where_it_was(metres: float, before: bool | None, after: bool | None) -> None:
    position = 50.0 + degrees(metres / EARTH_M), 8.0
    assert DEPOT.holds(position, 10.0, before) is after


@given(st.floats(49.998, 50.012), st.floats(7.997, 8.013), st.floats(0, 15), st.sampled_from([None, True, False]))
@settings(deadline=None)
def test_a_fence_is_left_only_by_who_is_away_from_it(
    north: float, east: float, accuracy: float, before: bool | None
) -> None:
    """The slow model: how far in or out it is, and two limits."""
    corners, position = SQUARE.shape.corners, (north, east)  # type: ignore[union-attr] # it is a polygon
    far = far_from(corners, position) if winding(corners, position) else -far_from(corners, position)
    assume(abs(far - accuracy) > 2 and abs(far + accuracy + HYSTERESIS_M) > 2 and abs(far) > 2)
    expected = True if far > accuracy else False if far < -accuracy - HYSTERESIS_M else before
    assert SQUARE.holds(position, accuracy, before) is expected
