"""Motion, trips, which positions are believed, and who has crossed a fence: with slow models beside them."""

from __future__ import annotations

from itertools import pairwise
from math import cos, degrees, pi, radians, sin

import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.derive.fence import Fence, accuracy_m
from gateway.derive.fixes import Fix, Fixes
from gateway.derive.geo import EARTH_M, Circle, Polygon, Position, distance
from gateway.derive.motion import Motion, State
from gateway.derive.presence import Crossing, Presence
from gateway.derive.trips import Trips
from gateway.model import Reason

HOME = (52.5, 13.4)


def away(metres: float, course: float = 0.0, start: Position = HOME) -> Position:
    """The place so far away from home."""
    north = degrees(metres / EARTH_M) * cos(radians(course))
    return start[0] + north, start[1] + degrees(metres / EARTH_M) * sin(radians(course)) / cos(radians(start[0]))


# ---------------------------------------------------------------- motion


def driven(*speeds: tuple[float, float]) -> list[str]:
    """Each change of state, with its time, when for so many seconds it is so fast."""
    motion, mono, told = Motion(), 0.0, []
    for seconds, speed in speeds:
        for _ in range(round(seconds)):
            if motion.take(speed, mono):
                told.append(f"{motion.state} at {mono:g} since {motion.since:g}")
            mono += 1.0
    return told


def test_a_stop_at_the_lights_is_none_and_a_long_one_is_parking() -> None:
    assert driven((10, 10.0), (90, 0.0), (20, 10.0), (400, 0.0)) == [
        "moving at 5 since 0",
        "stopped at 240 since 120",
        "parked at 420 since 120",
    ]


def test_a_push_is_no_start() -> None:
    assert driven((310, 0.0), (4, 2.0), (10, 0.1), (6, 1.6)) == ["parked at 300 since 0", "moving at 329 since 324"]


def test_walking_pace_neither_starts_nor_stops() -> None:
    assert driven((600, 1.0)) == []
    assert driven((6, 5.0), (600, 1.0)) == ["moving at 5 since 0"]


def test_the_ignition_starts_at_once_and_ends_at_once() -> None:
    motion = Motion(State.PARKED)
    assert not motion.ignite(on=True, mono=0.0), "how it is at first is no change"
    assert not motion.ignite(on=False, mono=1.0)
    assert motion.ignite(on=True, mono=2.0)
    assert motion.state is State.MOVING
    assert not motion.ignite(on=True, mono=3.0)
    assert motion.ignite(on=False, mono=4.0)
    assert (motion.state, motion.since) == (State.STOPPED, 4.0)


def test_a_vehicle_that_rolls_with_its_ignition_off_moves() -> None:
    motion = Motion()
    motion.ignite(on=True, mono=0.0)
    for second in range(10):
        motion.take(20.0, float(second))
    assert not motion.ignite(on=False, mono=10.0)
    assert motion.state is State.MOVING


speeds = st.lists(
    st.tuples(st.sampled_from([0.5, 1.0, 5.0, 40.0, 130.0]), st.sampled_from([0.0, 0.59, 0.6, 1.0, 1.5, 1.51, 20.0])),
    max_size=60,
)


@given(speeds)
@settings(deadline=None)
def test_the_state_is_that_of_the_slow_model(story: list[tuple[float, float]]) -> None:
    motion, state, mono = Motion(), State.STOPPED, 0.0
    said: list[tuple[float, float]] = []

    def all_of(seconds: float, fast: bool) -> bool:
        """Whether for so long nothing but such speeds was told."""
        return any(
            mono - first >= seconds and all(speed > 1.5 if fast else speed < 0.6 for at, speed in said if at >= first)
            for first, _ in said
        )

    for after, speed in story:
        mono += after
        said.append((mono, speed))
        motion.take(speed, mono)
        if state is not State.MOVING and all_of(5, fast=True):
            state = State.MOVING
        elif state is State.MOVING and all_of(120, fast=False):
            state = State.STOPPED
        elif state is State.STOPPED and all_of(300, fast=False):
            state = State.PARKED
        assert motion.state is state


# ---------------------------------------------------------------- trips


def test_jitter_is_no_way() -> None:
    trips = Trips()
    for second in range(3600):
        trips.follow(away(14.0, second * 77.0), still=True, parked=second > 300)
    assert trips.odometer_m == 0
    assert trips.place == away(14.0, 0.0), "and it stays where it was"


def test_a_vehicle_that_is_towed_away_is_where_it_is_and_has_not_driven() -> None:
    trips = Trips()
    for metres in range(0, 1000, 10):
        trips.follow(away(metres), still=True, parked=True)
    assert trips.odometer_m == 0
    assert distance(trips.place or HOME, away(990)) <= 30


def test_a_vehicle_that_creeps_in_a_queue_has_driven() -> None:
    trips = Trips()
    for tenth in range(0, 1000, 5):
        trips.follow(away(tenth / 10), still=True, parked=False)
    assert 60 < trips.odometer_m <= 100


legs = st.lists(st.tuples(st.floats(0, 100), st.floats(0, 360), st.booleans()), min_size=1, max_size=40)


@given(legs)
def test_what_is_counted_is_the_way_that_it_moved_and_never_more(story: list[tuple[float, float, bool]]) -> None:
    trips, place, places = Trips(), HOME, []
    for metres, course, still in story:
        place = away(metres, course, place)
        places.append(place)
        trips.follow(place, still=still, parked=False)
    way = sum(distance(a, b) for a, b in pairwise(places))
    assert trips.odometer_m <= way + 0.001
    if not any(still for _, _, still in story):
        assert trips.odometer_m == pytest.approx(way, abs=0.001)
    assert distance(trips.place or HOME, place) <= 30.001, "never farther from it than the dead band"


def test_a_trip_has_a_number_and_a_way_of_its_own() -> None:
    trips = Trips()
    trips.follow(away(0), still=False, parked=False)
    first = trips.begin(1000)
    assert first is not None
    assert first.number == 1
    assert trips.begin(2000) is None, "it goes on after a stop"
    trips.follow(away(500), still=False, parked=False)
    assert trips.end() == first
    assert trips.end() is None
    trips.follow(away(800), still=False, parked=False)
    assert round(trips.trip_m) == 500, "that of the last trip"
    second = trips.begin(3000)
    assert second is not None
    assert second.number == 2
    assert (round(trips.trip_m), round(trips.odometer_m)) == (0, 800)


# ---------------------------------------------------------------- which positions are believed


def judged(*fixes: tuple[Position, float]) -> list[str]:
    gate = Fixes()
    return [found.name if (found := gate.doubt(Fix(place, mono))) is not None else "" for place, mono in fixes]


def test_a_jump_is_not_believed_until_three_more_agree() -> None:
    far = [(away(9000 + 20 * number), 2.0 + number) for number in range(5)]
    assert judged((HOME, 0.0), (away(20), 1.0), *far) == ["", "", "speed", "speed", "speed", "", ""]


def test_one_position_that_jumps_leaves_nothing_behind() -> None:
    back = [(away(20 * number), float(number)) for number in range(3, 6)]
    assert judged((HOME, 0.0), (away(500), 1.0), (away(40), 2.0), *back) == ["", "speed", "", "", "", ""]


def test_a_position_that_jumps_again_and_again_is_never_believed() -> None:
    reflected = [(away(9000 if number % 2 else 0), float(number)) for number in range(20)]
    assert judged((HOME, 0.0), *reflected).count("speed") == 10


def test_positions_all_over_the_place_are_never_believed() -> None:
    wild = [(away(9000 * number, 90.0 * number), 1.0 + number) for number in range(1, 30)]
    assert set(judged((HOME, 0.0), *wild)) == {"", "speed"}
    assert judged((HOME, 0.0), *wild).count("") == 1


def test_at_the_end_of_a_long_tunnel_nothing_is_a_jump() -> None:
    assert judged((HOME, 0.0), (away(8000), 300.0)) == ["", ""]


@pytest.mark.parametrize(
    ("satellites", "hdop", "name"),
    [(4, 5.0, ""), (3, 1.0, "satellites"), (None, None, ""), (9, 5.01, "hdop"), (9, None, ""), (None, 99.0, "hdop")],
)
def test_few_satellites_or_a_wide_dilution_are_counted(satellites: float | None, hdop: float | None, name: str) -> None:
    gate = Fixes()
    doubt = gate.doubt(Fix(HOME, 0.0, satellites, hdop))
    assert (doubt.name if doubt else "") == name
    assert doubt is None or doubt.reason is Reason.POOR_FIX
    assert gate.doubted == ({name: 1} if name else {})


steps = st.lists(
    st.tuples(st.sampled_from([0.2, 1.0, 10.0]), st.sampled_from([0, 30, 71, 400, 3000, 3050]), st.integers(0, 4)),
    max_size=30,
)


@given(steps)
@settings(deadline=None)
def test_what_is_believed_is_what_the_slow_model_believes(story: list[tuple[float, int, int]]) -> None:
    gate, mono = Fixes(), 0.0
    believed: list[Fix] = []
    doubted: list[Fix] = []  # since then, those with satellites enough

    def can_follow(one: Fix, two: Fix) -> bool:
        return distance(one.position, two.position) / max(1.0, two.mono - one.mono) <= 70.0

    for after, metres, satellites in story:
        mono += after
        fix = Fix(away(metres), mono, satellites + 2, 1.0)
        found = gate.doubt(fix)
        if satellites + 2 < 4:
            assert found is not None
            assert found.name == "satellites"
            continue
        run = [*doubted, fix][-4:]
        agree = len(run) == 4 and all(can_follow(one, two) for one, two in pairwise(run))
        expected = not believed or can_follow(believed[-1], fix) or agree
        assert (found is None) is expected
        believed += [fix] if expected else []
        doubted = [] if expected else [*doubted, fix]


# ---------------------------------------------------------------- crossings

DEPOT = Fence("depot", "Depot", Circle(HOME, 100.0))
YARD = Fence("yard", "Yard", Polygon((away(150, 225), away(150, 315), away(150, 45), away(150, 135))))


def crossed(*fixes: tuple[float, float]) -> list[str]:
    """The crossings of who is so many metres from the middle, so much later each."""
    presence, mono, told = Presence((DEPOT,)), 0.0, []
    for seconds, metres in fixes:
        mono += seconds
        found = presence.take(Fix(away(metres), mono, 9, 1.0))
        told += [f"{'in' if it.entered else 'out'} at {mono:g} since {it.mono:g}" for it in found]
    return told


def test_a_vehicle_has_come_after_two_positions_and_half_a_minute() -> None:
    assert crossed((1, 500), (1, 500), *[(10, 0)] * 5) == ["in at 42 since 12"]
    assert crossed((1, 500), (1, 500), (10, 0), (40, 0)) == ["in at 52 since 12"]


def test_a_vehicle_that_passes_by_has_not_come() -> None:
    assert crossed((1, 500), (1, 500), (10, 0), (15, 50), (10, 500), *[(10, 500)] * 5) == []


def test_where_it_is_at_first_is_no_crossing() -> None:
    assert crossed(*[(10, 0)] * 10) == []
    assert crossed(*[(10, 500)] * 10) == []


def test_a_vague_position_says_nothing_of_fences() -> None:
    presence = Presence((DEPOT,))
    for second in range(100):
        assert presence.take(Fix(HOME, float(second), 9, 3.1)) == []
    assert presence.inside is None
    for second in range(100, 102):
        presence.take(Fix(HOME, float(second), 9, 3.0))
    assert presence.inside == ("depot",)


def test_what_was_known_before_a_restart_makes_a_crossing_of_what_is_other_now() -> None:
    presence = Presence((DEPOT, YARD))
    presence.recall({"depot": False, "yard": True, "gone": True, "odd": 3})
    found = [presence.take(Fix(HOME, float(second), 9, 1.0)) for second in range(0, 40, 10)]
    assert [[(it.fence.id, it.entered) for it in each] for each in found] == [[], [], [], [("depot", True)]]
    presence.recall({"depot": False})
    assert presence.inside == ("depot", "yard"), "what is known is known better"


places = st.tuples(
    st.sampled_from([1.0, 14.0, 31.0]), st.floats(0, 300), st.floats(0, 2 * pi), st.sampled_from([None, 1.0, 3.0, 3.5])
)


@given(st.lists(places, max_size=40))
@settings(max_examples=examples(200), deadline=None)
def test_crossings_are_those_of_the_slow_model(story: list[tuple[float, float, float, float | None]]) -> None:
    for fence in (DEPOT, YARD):
        presence, mono, inside = Presence((fence,)), 0.0, None
        usable: list[Fix] = []
        for seconds, metres, angle, hdop in story:
            mono += seconds
            fix = Fix(away(metres, degrees(angle)), mono, 9, hdop)
            found = presence.take(fix)
            expected: list[Crossing] = []
            if hdop is None or hdop <= 3:
                usable.append(fix)
                for other in [True, False] if inside is None else [not inside]:
                    since = usable[:]
                    while since and not all(
                        fence.holds(it.position, accuracy_m(it.hdop), inside) is other for it in since
                    ):
                        since.pop(0)
                    long_enough = inside is None or (len(since) > 0 and mono - since[0].mono >= 30)
                    if len(since) >= 2 and long_enough:
                        expected = [] if inside is None else [Crossing(fence, other, since[0].position, since[0].mono)]
                        inside, usable = other, []
                        break
            assert found == expected
            assert presence.known == ({} if inside is None else {fence.id: inside})
