"""A track thinned: few enough records, none of the places that matter missing, and no place far from what is kept."""

from __future__ import annotations

import json
from itertools import pairwise
from math import cos, hypot, radians, sin, tan
from pathlib import Path
from random import Random
from typing import Any

from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from test_motion import HOME, away
from test_track import SITE, Lorry, site

from gateway.derive.geo import M_PER_DEGREE, Position, distance, turn
from gateway.hub.plan import plan_of
from gateway.model import Lane, Reading, Reason, Value
from gateway.refine.exception import Limit, Thinning
from gateway.refine.thinning import TrackReporter, reporter_of

THINNING = Thinning(speed="speed", course="course")
LIMITS = {
    "position": Limit(0.0, 300.0, thinning=THINNING),
    "speed": Limit(1e9, 300.0, follows=True),
    "course": Limit(1e9, 300.0, follows=True),
    "motion": Limit(1e9, 300.0, follows=True),
}


def told(mono: float, place: Position, speed: float = 20.0, course: float | None = 0.0, **more: Value) -> Reading:
    beside = {} if course is None else {"course": course}
    return Reading("lorry", mono, 0, {"position": place, "speed": speed, **beside, **more}, {})


def kept(reporter: TrackReporter, *readings: Reading) -> list[int]:
    """Which of the readings are recorded."""
    return [number for number, reading in enumerate(readings) if any(reporter.worth(reading))]


def fresh(**limits: Limit) -> TrackReporter:
    made = reporter_of({**LIMITS, **limits}, 1.0)
    assert isinstance(made, TrackReporter)
    return made


def test_on_a_straight_road_a_place_is_kept_each_200_metres() -> None:
    assert kept(fresh(), *(told(second, away(20.0 * second)) for second in range(31))) == [0, 10, 20, 30]


def test_slowly_on_a_straight_road_a_place_is_kept_each_30_seconds() -> None:
    assert kept(fresh(), *(told(second, away(4.0 * second), 4.0) for second in range(91))) == [0, 30, 60, 90]


def test_a_vehicle_that_stands_is_kept_each_five_minutes() -> None:
    stands = (told(second, away(3, second * 70.0), 0.1, None) for second in range(901))
    assert kept(fresh(), *stands) == [0, 300, 600, 900]


def test_a_turn_is_kept_and_a_turn_on_the_spot_is_not() -> None:
    turning = [told(second, away(10.0 * second), 10.0, 4.0 * second) for second in range(10)]
    assert kept(fresh(), *turning) == [0, 3, 6, 9]
    on_the_spot = [told(second, HOME, 1.0, 40.0 * second) for second in range(10)]
    assert kept(fresh(), *on_the_spot) == [0]


def test_a_turn_over_north_is_a_small_one() -> None:
    assert kept(fresh(), told(0, HOME, 10.0, 355.0), told(1, away(10), 10.0, 4.0)) == [0]


def test_where_no_course_is_told_the_positions_tell_it() -> None:
    limits = {"position": Limit(0.0, 300.0, thinning=Thinning())}
    made = reporter_of(limits, 10.0)
    assert isinstance(made, TrackReporter)
    places = [away(0), away(60), away(120), away(60, 90, away(120)), away(120, 90, away(120))]
    readings = [Reading("r", 10.0 * number, 0, {"position": place}, {}) for number, place in enumerate(places)]
    assert kept(made, *readings) == [0, 1, 3], "the first, the first with a course, the turn"


def test_a_start_and_a_stop_are_kept() -> None:
    words = ["parked"] * 5 + ["moving"] * 5 + ["stopped"] * 5
    readings = [told(second, HOME, 0.0, None, motion=word) for second, word in enumerate(words)]
    assert kept(fresh(), *readings) == [0, 5, 10]


def test_where_an_alarm_changed_is_kept() -> None:
    reporter = fresh()
    assert kept(reporter, told(0, HOME), told(1, away(20))) == [0]
    reporter.urge_position()
    assert kept(reporter, told(2, away(40)), told(3, away(60))) == [0]


def test_a_record_of_the_track_is_whole() -> None:
    reporter = fresh()
    reporter.worth(told(0, HOME, motion="moving"))
    sent, local = reporter.worth(told(10, away(200), 21.0, 3.0, motion="moving"))
    assert local is None
    assert sent is not None
    assert sent.values == {"position": away(200), "speed": 21.0, "course": 3.0, "motion": "moving"}


def test_the_first_place_after_a_bad_one_is_kept_and_a_bad_one_is_told_at_once() -> None:
    reporter = fresh()
    reporter.worth(told(0, HOME))
    lost = Reading("lorry", 1.0, 0, {}, {"position": Reason.NO_FIX, "speed": Reason.NO_FIX})
    assert reporter.worth(lost).sent == lost
    assert not any(reporter.worth(lost._replace(mono=2.0)))
    assert kept(reporter, told(3, HOME, 0.0, None), told(4, HOME, 0.0, None)) == [0]


def test_what_follows_a_position_is_told_now_and_then_without_one() -> None:
    reporter = fresh(satellites=Limit(1e9, 300.0, follows=True))
    alone = [Reading("lorry", float(second), 0, {"satellites": 3}, {}) for second in range(100)]
    assert kept(reporter, *alone) == [0, 30, 60, 90]


def test_more_can_be_recorded_than_is_sent() -> None:
    finely = Thinning(distance_m=50.0, moving_every_s=5.0, speed="speed", course="course")
    reporter = fresh(position=Limit(0.0, 300.0, thinning=finely, sent_thinning=THINNING))
    worth = [reporter.worth(told(second, away(20.0 * second))) for second in range(21)]
    assert [number for number, (sent, _) in enumerate(worth) if sent] == [0, 10, 20]
    assert [number for number, (_, local) in enumerate(worth) if local] == [3, 6, 9, 13, 16, 19]


# ---------------------------------------------------------------- slow models

steps = st.tuples(
    st.sampled_from([1.0, 7.0, 40.0]),
    st.sampled_from([0.0, 5.0, 29.0, 31.0, 120.0, 210.0]),
    st.sampled_from([0.0, 5.0, 9.0, 11.0, 180.0, 355.0, None]),
    st.sampled_from([0.0, 3.0, 3.1, 25.0]),
    st.sampled_from(["moving", "moving", "moving", "stopped"]),
    st.sampled_from([False, False, False, True]),
)


@given(st.lists(steps, max_size=40))
@settings(deadline=None)
def test_what_is_kept_is_what_the_slow_model_keeps(story: list[tuple[Any, ...]]) -> None:
    reporter, mono, place = fresh(), 0.0, HOME
    records: list[tuple[float, Position, float | None]] = []
    words: list[str] = []
    for after, metres, course, speed, word, alarm in story:
        mono += after
        place = away(metres, course or 0.0, place)
        if alarm:
            reporter.urge_position()
        is_kept = any(reporter.worth(told(mono, place, speed, course, motion=word)))
        steers = course if speed > 3.0 else None
        is_new_word = words[-1:] != [word]
        if records:
            last, where, before = records[-1]
            way = distance(where, place)
            reasons = (
                way >= 200,
                steers is not None and (before is None or abs(turn(before, steers)) >= 10),
                mono - last >= (29.5 if way > 30 else 299.5),
            )
        else:
            reasons = (True, True, True)
        expected = alarm or is_new_word or any(reasons)
        assert is_kept is expected
        if expected:
            records.append((mono, place, steers))
            words.append(word)


def flat(place: Position) -> tuple[float, float]:
    return (place[0] - HOME[0]) * M_PER_DEGREE, (place[1] - HOME[1]) * M_PER_DEGREE * cos(radians(HOME[0]))


def off(place: Position, a: Position, b: Position) -> float:
    """How far a place is from the straight line between two others, in metres."""
    (py, px), (ay, ax), (by, bx) = flat(place), flat(a), flat(b)
    length = (by - ay) ** 2 + (bx - ax) ** 2
    along = 0.0 if length == 0 else max(0.0, min(1.0, ((py - ay) * (by - ay) + (px - ax) * (bx - ax)) / length))
    return hypot(ay + along * (by - ay) - py, ax + along * (bx - ax) - px)


@given(st.integers(0, 10**9), st.sampled_from([4.0, 14.0, 25.0]), st.sampled_from([3.0, 15.0, 90.0]))
@settings(max_examples=examples(150), deadline=None)
def test_no_place_is_farther_from_the_kept_track_than_is_promised(seed: int, most_m_s: float, wild: float) -> None:
    """The whole track beside the thinned one: the course of each place is the direction in which it was reached."""
    chance, place, course = Random(seed), HOME, 0.0
    reporter, line, records = fresh(), [], []
    for second in range(400):
        speed = chance.uniform(3.1, most_m_s)
        course = (course + chance.gauss(0.0, wild)) % 360
        north, east = speed * cos(radians(course)), speed * sin(radians(course))
        place = place[0] + north / M_PER_DEGREE, place[1] + east / M_PER_DEGREE / cos(radians(HOME[0]))
        line.append(place)
        if any(reporter.worth(told(second, place, speed, course))):
            records.append(second)
    promised = THINNING.distance_m / 2 * tan(radians(THINNING.turn)) + most_m_s
    for first, last in pairwise(records):
        worst = max(off(line[number], line[first], line[last]) for number in range(first, last + 1))
        assert worst <= promised * 1.01


@given(st.integers(0, 10**9), st.sampled_from([0.5, 1.5, 3.0]))
@settings(max_examples=examples(60), deadline=None)
def test_a_slow_vehicle_is_never_farther_than_it_goes_in_half_a_minute(seed: int, most_m_s: float) -> None:
    chance, place, course = Random(seed), HOME, 0.0
    reporter, last = fresh(), HOME
    for second in range(600):
        speed = chance.uniform(0, most_m_s)
        course += chance.gauss(0.0, 20.0)
        place = away(speed, course, place)
        if any(reporter.worth(told(second, place, speed, course))):
            last = place
        assert distance(last, place) <= 90.0


# ---------------------------------------------------------------- through the hub


def records_of(lorry: Lorry, device: str, lane: Lane) -> list[dict[str, Any]]:
    return [record for of, record in lorry.telemetry if of is lane and record["device"] == device]


def test_the_track_of_a_trip_is_some_records_and_each_of_them_whole(tmp_path: Path) -> None:
    lorry = Lorry(site(tmp_path))
    lorry.stand(0, 301)
    lorry.drive(0, 4000)
    lorry.stand(4000, 301)
    track = records_of(lorry, "lorry", Lane.TELEMETRY)
    assert len(records_of(lorry, "gps-1", Lane.TELEMETRY)) == 802, "nothing is said of the receiver itself"
    assert len(track) < 40
    assert all({"position", "speed", "odometer"} <= record["values"].keys() for record in track)
    words = [record["values"]["motion"] for record in track if "motion" in record["values"]]
    assert [word for number, word in enumerate(words) if words[:number][-1:] != [word]] == [
        "stopped", "parked", "moving", "stopped", "parked",
    ]  # fmt: skip


def test_where_a_door_was_opened_too_long_is_a_record(tmp_path: Path) -> None:
    rules = "rules:\n  key-on: {point: key.contact, equals: 'on'}\n"
    lorry = Lorry(site(tmp_path, SITE + rules))
    lorry.drive(0, 2010)
    before = len(records_of(lorry, "lorry", Lane.TELEMETRY))
    lorry.tell(Reading("key", lorry.mono, lorry.now.ts, {"contact": "on"}, {}))
    lorry.at(away(2020), 20.0)
    found = records_of(lorry, "lorry", Lane.TELEMETRY)[before:]
    assert [record["values"]["position"] for record in found] == [list(away(2020))]


def test_a_receiver_is_thinned_where_its_report_says_so(tmp_path: Path) -> None:
    report = "report:\n  position: {distance: 500, max_every: 10s, send: {max_every: 1m}}\n"
    limits = plan_of(site(tmp_path, SITE + report), "run").limits["gps-1"]
    assert limits["position"].thinning == Thinning(500.0, 10.0, 10.0, 300.0, "speed", "course")
    assert limits["position"].sent_thinning == Thinning(500.0, 10.0, 60.0, 300.0, "speed", "course")
    assert {name for name, limit in limits.items() if limit.follows} >= {"speed", "course", "altitude", "hdop"}
    assert limits["fix"].follows


def test_what_has_a_report_of_its_own_does_not_follow_the_position(tmp_path: Path) -> None:
    limits = plan_of(site(tmp_path, SITE + "report: {speed: {deadband: 2, max_every: 1m}}\n"), "run").limits["lorry"]
    assert limits["speed"] == Limit(2.0, 60.0)
    assert limits["odometer"].follows


def test_an_hour_of_standing_and_driving_is_a_hundred_records(tmp_path: Path) -> None:
    """What a platform gets of an hour, of which it drives a quarter."""
    lorry = Lorry(site(tmp_path))
    lorry.stand(0, 2700)
    lorry.drive(0, 9000)
    lorry.drive(9000, 0)
    track = records_of(lorry, "lorry", Lane.TELEMETRY)
    assert len(track) < (2700 / 300 + 18_000 / 200) * 1.1
    assert len(json.dumps(track)) < 25_000
