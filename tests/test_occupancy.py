"""How many are in a zone: the decided sequence, days, silences, restarts, people who put it right."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.derive.capacity import capacity, door_flow
from gateway.derive.day import Days, opening
from gateway.derive.derivation import Outcome
from gateway.derive.occupancy import AGAIN_S, DOORS_KNOWN_S, QUIET_S, Door, Occupancy, Setup
from gateway.model import Json, Moment, Reading, Reason, Trust, Value

VECTORS = json.loads((Path(__file__).parent / "vectors" / "alarm_occupancy.json").read_text())
BERLIN = ZoneInfo("Europe/Berlin")
FOUR = Days(time(4), BERLIN)
MORNING = round(datetime(2026, 3, 10, 9, 0, tzinfo=BERLIN).timestamp() * 1000)
DAY_S = 86_400.0
KEPT = ["inside", "told", "entries", "exits", "clamped", "most", "silent", "day", "doubts", "doors"]
AB = (Door("a", "in_total", "out_total", width=1.8), Door("b", "in_total", "out_total"))


class Zone:
    """A zone with its doors, stepped; time is seconds since nine in the morning, by the clock of Berlin."""

    def __init__(
        self, doors: Sequence[Door] = AB, people: int = 100, days: Days | None = FOUR, hours: str = ""
    ) -> None:
        self.setup = Setup(tuple(doors), people, days, opening([hours] if hours else [], BERLIN))
        self.totals = {door.device: [1000, 2000] for door in doors}
        self.now = 0.0
        self.began_at = MORNING
        self.trust = Trust.SYNCED
        self.said: dict[str, Value] = {}
        self.events: list[dict[str, Json]] = []
        self.kept: Json = None  # as the journal has it
        self.derivation = Occupancy(self.setup)
        self.start(None)

    @property
    def moment(self) -> Moment:
        return Moment(self.now, self.began_at + round(self.now * 1000), self.trust)

    def start(self, stored: Json, *, off_s: float = 0.0) -> None:
        """A new run, `off_s` after the last, which is told what was `stored`."""
        self.now += off_s
        self.derivation = Occupancy(self.setup)
        self.note(self.derivation.restore(stored, self.moment))

    def restart(self, *, off_s: float = 60.0) -> None:
        self.start(self.kept, off_s=off_s)

    def note(self, outcome: Outcome | str) -> None:
        assert isinstance(outcome, Outcome), outcome
        self.said |= outcome.values
        if outcome.changed:
            self.kept = json.loads(json.dumps(self.derivation.stored()))
        self.events += [{"event": each.name, **each.fields} for each in outcome.events]

    def wait(self, for_s: float) -> None:
        """Time passes; what is due happens."""
        until = self.now + for_s
        while self.derivation.wake <= until:
            self.now = max(self.now, self.derivation.wake)
            self.note(self.derivation.elapse(self.moment))
        self.now = until

    def passed(self, door: str, came: int = 0, left: int = 0) -> None:
        """So many pass, and nobody has heard of it yet."""
        self.totals[door][0] += came
        self.totals[door][1] += left

    def hear(self, door: str, bad: Reason | None = None) -> None:
        came, left = self.totals[door]
        values: Mapping[str, Value] = {} if bad else {"in_total": came, "out_total": left}
        reasons = dict.fromkeys(("in_total", "out_total"), bad) if bad else {}
        reading = Reading(door, self.now, self.moment.ts, values, reasons)
        self.note(self.derivation.take(reading, self.moment))

    def people(self, door: str, came: int = 0, left: int = 0) -> None:
        self.passed(door, came, left)
        self.hear(door)
        self.wait(2)

    def open_doors(self) -> None:
        for door in self.totals:
            self.hear(door)
        self.wait(2)

    def set(self, people: int) -> None:
        self.note(self.derivation.act("set_occupancy", {"value": people, "reason": "counted"}, "maria", self.moment))

    @property
    def counted(self) -> tuple[Value, Value, Value]:
        return self.said["occupancy"], self.said["drift_clamped_today"], self.said["quality"]


@pytest.fixture
def zone() -> Zone:
    """A zone whose doors are heard, and in which nobody is."""
    zone = Zone()
    zone.open_doors()
    zone.set(0)
    zone.events.clear()
    return zone


def test_the_decided_sequence_of_two_doors(zone: Zone) -> None:
    for door in ("a", "b"):
        zone.hear(door)
    found = []
    sequence = VECTORS["occupancy_sequence"]
    for step in sequence["steps"]:
        before = zone.said["drift_clamped_today"]
        for door in sequence["doors"]:
            zone.people(door.lower(), step["in_"][door], step["out"][door])
        clamped = int(str(zone.said["drift_clamped_today"])) - int(str(before))
        found.append((zone.said["occupancy"], zone.said["fullness"], clamped))
        zone.wait(1500)
    assert found == [(it["occupancy"], it["percent"], it["clamped"]) for it in sequence["steps"]]
    assert zone.said["drift_clamped_today"] == sequence["drift_total"]


@pytest.mark.parametrize("example", VECTORS["door_throughput"]["examples"], ids=lambda it: str(it["clear_width_m"]))
def test_what_a_door_lets_through(example: Mapping[str, float]) -> None:
    assert door_flow(example["clear_width_m"]) == pytest.approx(example["persons_per_min"])


def test_the_capacity_is_the_lesser_of_floor_and_exits() -> None:
    assert capacity(600, 0.6, (), 150) == 360
    assert capacity(None, None, (1.8, 1.8), 150) == 738
    assert capacity(600, 0.6, (1.8, 1.8), 150) == 360
    assert capacity(600, 0.6, (0.9,), 150) == 184


# ---------------------------------------------------------------- putting right


def test_who_was_missed_is_put_right_and_told(zone: Zone) -> None:
    zone.people("a", 3)
    zone.people("b", 0, 5)
    assert zone.counted == (0, 2, "drifting")
    assert zone.events == [{"event": "occupancy_corrected", "why": "below_zero", "was": -2, "now": 0}]


def test_many_corrections_are_told_once_a_minute_with_their_sum(zone: Zone) -> None:
    for _ in range(20):
        zone.people("a", 0, 1)
    zone.wait(AGAIN_S * 2)
    assert [event["was"] for event in zone.events] == [-1, -19]


def test_a_person_sets_how_many_there_are(zone: Zone) -> None:
    zone.people("a", 30)
    zone.set(25)
    assert zone.said["occupancy"] == 25
    told = {"event": "occupancy_corrected", "why": "set", "was": 30, "now": 25, "issuer": "maria", "reason": "counted"}
    assert zone.events == [told]
    zone.people("b", 0, 5)
    assert zone.said["occupancy"] == 20


@pytest.mark.parametrize(
    ("args", "why"),
    [
        ({"value": -1, "reason": "x"}, "0 to 1000000"),
        ({"value": True, "reason": "x"}, "number of people"),
        ({"value": 2.5, "reason": "x"}, "number of people"),
        ({"reason": "x"}, "number of people"),
        ({"value": 5}, "needs a reason"),
        ({"value": 5, "reason": "  "}, "needs a reason"),
    ],
)
def test_a_count_without_number_or_reason_is_refused(zone: Zone, args: dict[str, Json], why: str) -> None:
    refusal = zone.derivation.act("set_occupancy", args, "maria", zone.moment)
    assert isinstance(refusal, str)
    assert why in refusal


def test_a_closed_zone_with_hardly_anybody_left_is_empty() -> None:
    zone = Zone(hours="mon-fri 08:00-20:00")
    zone.open_doors()
    zone.people("a", 100)
    zone.people("b", 0, 96)
    zone.wait(11 * 3600 - 60)
    assert zone.said["occupancy"] == 4
    zone.wait(120)
    assert zone.said["occupancy"] == 0
    assert zone.events[-1] == {"event": "occupancy_corrected", "why": "closed", "was": 4, "now": 0}


def test_who_comes_at_night_is_there_until_nobody_has_passed_for_a_while() -> None:
    zone = Zone(hours="mon-fri 08:00-20:00")
    zone.open_doors()
    zone.people("a", 100)
    zone.people("a", 0, 100)
    zone.wait(12 * 3600)
    zone.people("a", 1)
    zone.wait(QUIET_S - 60)
    assert zone.said["occupancy"] == 1
    zone.wait(120)
    assert zone.said["occupancy"] == 0


def test_a_closed_zone_with_many_left_is_not_empty() -> None:
    zone = Zone(hours="mon-fri 08:00-20:00")
    zone.open_doors()
    zone.people("a", 100, 90)
    zone.wait(14 * 3600)
    assert zone.said["occupancy"] == 10


# ---------------------------------------------------------------- days


def test_a_day_begins_at_its_time_with_nobody_inside(zone: Zone) -> None:
    zone.people("a", 50, 47)
    zone.wait(18 * 3600 + 59 * 60)
    assert zone.said["occupancy"] == 3
    zone.wait(120)
    assert (zone.said["occupancy"], zone.said["entries_today"], zone.said["exits_today"]) == (0, 0, 0)
    assert zone.events == [{"event": "occupancy_corrected", "why": "daily_reset", "was": 3, "now": 0, "late": False}]


def test_who_comes_right_after_the_day_began_is_of_that_day(zone: Zone) -> None:
    zone.people("a", 50, 47)
    zone.wait(19 * 3600 - zone.now + 1)
    zone.people("b", 2)
    assert (zone.said["occupancy"], zone.said["entries_today"]) == (2, 2)


def test_a_day_that_never_begins_goes_on() -> None:
    zone = Zone(days=None)
    zone.open_doors()
    zone.people("a", 50, 47)
    zone.wait(2 * DAY_S)
    assert zone.said["occupancy"] == 3


@given(st.integers(0, 400 * 24 * 60), st.sampled_from([time(4), time(2, 30), time(0), time(23, 59)]))
def test_every_date_has_one_day_and_days_follow_each_other(minutes: int, begin: time) -> None:
    """Also when the clock is put forward over that time, or back over it."""
    days = Days(begin, BERLIN)
    ts = MORNING + minutes * 60_000
    day = days.day(ts)
    assert days.begins(day) <= ts < days.begins(day + 1)
    assert 22 * 3600 <= (days.begins(day + 1) - days.begins(day)) / 1000 <= 26 * 3600


@pytest.mark.parametrize(
    ("date", "begin", "utc"),
    [
        ((2026, 3, 29), time(4), "02:00"),  # the clock was put forward at two: summer time
        ((2026, 3, 28), time(4), "03:00"),
        ((2026, 3, 29), time(2, 30), "01:30"),  # which does not come that day: it is three when it would be
        ((2026, 10, 25), time(2, 30), "00:30"),  # which comes twice
        ((2026, 10, 25), time(4), "03:00"),
    ],
)
def test_days_begin_by_the_clock_on_the_wall(date: tuple[int, int, int], begin: time, utc: str) -> None:
    begins = Days(begin, BERLIN).begins(datetime(*date, tzinfo=BERLIN).toordinal())
    assert datetime.fromtimestamp(begins / 1000, UTC).strftime("%H:%M") == utc


def test_a_clock_that_is_not_set_begins_no_day(zone: Zone) -> None:
    zone.people("a", 5)
    zone.trust = Trust.UNSYNCED
    zone.wait(2 * DAY_S)
    assert zone.said["occupancy"] == 5
    zone.trust = Trust.SYNCED
    zone.wait(AGAIN_S)
    assert zone.said["occupancy"] == 0


@pytest.mark.parametrize("days", [1, 2, 365])
@pytest.mark.parametrize("restarts", [False, True])
def test_a_clock_that_was_wrong_for_a_while_costs_no_day_its_beginning(zone: Zone, days: int, restarts: bool) -> None:
    zone.began_at += round(days * DAY_S * 1000)
    zone.wait(120)
    zone.began_at -= round(days * DAY_S * 1000)
    if restarts:
        zone.restart()
        zone.open_doors()
    zone.people("a", 5)
    zone.events.clear()
    zone.wait(DAY_S)
    assert [(it["was"], it["now"]) for it in zone.events] == [(5, 0)]


def test_a_clock_that_is_put_back_a_little_begins_no_day_twice(zone: Zone) -> None:
    zone.wait(19 * 3600 + 60)
    zone.people("a", 5)
    zone.began_at -= 1_800_000
    zone.wait(7200)
    assert zone.said["occupancy"] == 5


# ---------------------------------------------------------------- silence


def test_a_silent_door_makes_the_zone_uncertain_never_smaller(zone: Zone) -> None:
    zone.people("a", 80)
    zone.hear("b", Reason.NO_REPLY)
    zone.wait(2)
    assert zone.counted == (80, 0, "uncertain")
    assert zone.said["quality_reason"] == "b is silent"
    zone.people("a", 0, 30)
    assert zone.counted == (80, 0, "uncertain")
    zone.people("a", 50)
    assert zone.said["occupancy"] == 100


def test_a_door_that_is_back_makes_it_exact_again(zone: Zone) -> None:
    """Its counter went on: nobody is missed, and nothing had to be put right meanwhile."""
    zone.people("a", 10)
    zone.hear("b", Reason.SILENT)
    zone.people("a", 0, 30)
    zone.people("b", 25)
    assert zone.counted == (5, 0, "good")


def test_beams_that_were_silent_leave_a_doubt_until_it_is_put_right() -> None:
    zone = Zone(doors=(AB[0], Door("b", "in_total", "out_total", ours=True)))
    zone.open_doors()
    zone.set(0)
    zone.hear("b", Reason.SENSOR_FAULT)
    zone.people("b", 1)
    assert (zone.said["quality"], zone.said["quality_reason"]) == ("uncertain", "b was silent for a time")
    zone.set(1)
    assert zone.said["quality"] == "good"


def test_a_day_that_begins_while_a_door_is_silent_is_uncertain(zone: Zone) -> None:
    zone.people("a", 9)
    zone.hear("b", Reason.NO_REPLY)
    zone.wait(DAY_S)
    assert zone.said["occupancy"] == 0
    zone.people("b", 1)
    assert (zone.said["quality"], zone.said["quality_reason"]) == ("uncertain", "b was silent when it was put right")


def test_many_silent_doors_are_told_in_few_words() -> None:
    zone = Zone(doors=[Door(f"d{n:02}", "in_total", "out_total") for n in range(20)])
    assert zone.said["quality_reason"] == (
        "d00 was not heard yet; d01 was not heard yet; d02 was not heard yet; and 18 more"
    )


# ---------------------------------------------------------------- restarts


def test_a_restart_keeps_the_count_with_those_who_passed_meanwhile(zone: Zone) -> None:
    zone.people("a", 40)
    zone.passed("a", 3, 1)
    zone.passed("b", 0, 2)
    zone.restart()
    assert zone.counted[:2] == (40, 0)
    assert zone.said["quality_reason"] == "a was not heard yet; b was not heard yet"
    zone.open_doors()
    assert zone.counted == (40, 0, "good")
    assert (zone.said["entries_today"], zone.said["exits_today"], zone.said["entries_1min"]) == (43, 3, 0)


def test_a_kill_in_the_second_of_a_correction_keeps_it(zone: Zone) -> None:
    """Nobody is told it in that second, but what follows from it is stored."""
    zone.people("a", 0, 1)
    zone.passed("a", 1)
    zone.hear("a")
    zone.passed("a", 0, 4)
    zone.hear("a")
    zone.passed("a", 5)
    zone.restart()
    zone.open_doors()
    assert zone.counted == (5, 4, "drifting")


def test_a_kill_right_after_a_door_was_heard_first_knows_where_it_began() -> None:
    zone = Zone()
    zone.hear("a")
    zone.passed("a", 3)
    zone.restart()
    zone.hear("a")
    zone.wait(2)
    assert zone.said["occupancy"] == 3


def test_a_kill_while_a_door_is_silent_makes_the_zone_no_smaller(zone: Zone) -> None:
    zone.people("a", 80)
    zone.hear("b", Reason.NO_REPLY)
    zone.wait(2)
    zone.people("a", 0, 30)
    zone.restart()
    assert zone.counted == (80, 0, "uncertain")
    zone.hear("a")
    zone.people("b", 1)
    assert zone.counted == (51, 0, "good")


def test_what_was_stored_may_come_late(zone: Zone) -> None:
    """What was counted since is added; what was put right meanwhile is counted again."""
    zone.people("a", 40)
    stored = zone.derivation.stored()
    zone.start(None, off_s=60)
    zone.open_doors()
    zone.people("b", 0, 5)
    assert zone.counted == (0, 5, "uncertain")
    zone.note(zone.derivation.restore(stored, zone.moment))
    zone.open_doors()
    assert zone.counted == (35, 0, "good")
    assert (zone.said["entries_today"], zone.said["exits_today"]) == (40, 5)


def test_what_was_set_since_is_not_undone_by_what_comes_late(zone: Zone) -> None:
    zone.people("a", 40)
    stored = zone.derivation.stored()
    zone.start(None, off_s=60)
    zone.open_doors()
    zone.set(7)
    zone.note(zone.derivation.restore(stored, zone.moment))
    zone.open_doors()
    assert zone.said["occupancy"] == 7


def test_a_gateway_that_was_off_when_the_day_began_begins_it_late(zone: Zone) -> None:
    zone.people("a", 50, 47)
    zone.restart(off_s=20 * 3600)
    zone.open_doors()
    assert (zone.said["occupancy"], zone.said["entries_today"], zone.said["quality"]) == (0, 0, "good")
    assert zone.events == [{"event": "occupancy_corrected", "why": "daily_reset", "was": 3, "now": 0, "late": True}]


def test_people_who_came_while_it_was_off_over_the_beginning_of_the_day_are_not_sent_home(zone: Zone) -> None:
    zone.people("a", 50, 47)
    zone.passed("a", 30)
    zone.restart(off_s=24 * 3600)
    zone.open_doors()
    assert zone.said["occupancy"] == 33
    assert (zone.said["quality"], zone.said["quality_reason"]) == (
        "uncertain",
        "the gateway was off when the day began",
    )
    assert zone.said["entries_today"] == 30
    zone.wait(DAY_S)
    assert zone.counted == (0, 0, "good")


def test_a_door_that_is_not_heard_keeps_no_day_from_beginning(zone: Zone) -> None:
    """A counter that only speaks when somebody passes."""
    zone.people("a", 50, 47)
    zone.restart(off_s=20 * 3600)
    zone.hear("a")
    zone.wait(DOORS_KNOWN_S + AGAIN_S)
    assert zone.said["occupancy"] == 0


def test_a_clock_that_is_set_later_begins_the_day_that_was_missed(zone: Zone) -> None:
    zone.people("a", 50, 47)
    zone.trust = Trust.UNSYNCED
    zone.restart(off_s=20 * 3600)
    zone.people("a", 2)
    assert (zone.said["occupancy"], zone.said["entries_today"]) == (5, 52)
    zone.trust = Trust.SYNCED
    zone.people("b", 1)
    assert (zone.said["entries_today"], zone.said["quality"]) == (3, "uncertain")


def test_doors_that_count_only_while_the_gateway_runs_leave_a_doubt_after_a_restart() -> None:
    zone = Zone(doors=(Door("b", "in_total", "out_total", ours=True),))
    zone.open_doors()
    zone.set(5)
    zone.restart()
    zone.open_doors()
    assert (zone.said["occupancy"], zone.said["quality"]) == (5, "uncertain")
    assert zone.said["quality_reason"] == "b did not count while the gateway was off"


def test_nobody_knows_how_many_are_inside_when_the_first_run_begins() -> None:
    zone = Zone()
    zone.open_doors()
    assert (zone.said["quality"], zone.said["quality_reason"]) == (
        "uncertain",
        "nobody knows how many were inside at the start",
    )


JUNK = st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.lists(st.integers() | st.text(max_size=3))


@given(JUNK | st.dictionaries(st.sampled_from(KEPT), JUNK | st.dictionaries(st.sampled_from(["a", "b"]), JUNK)))
def test_what_cannot_have_been_stored_is_passed_over(stored: Any) -> None:
    zone = Zone()
    zone.start(stored)
    zone.open_doors()
    zone.set(3)
    zone.people("a", 1)
    assert zone.said["occupancy"] == 4


# ---------------------------------------------------------------- telling


def test_a_rush_is_told_once_a_second(zone: Zone) -> None:
    zone.wait(10)
    told = 0
    for _ in range(100):
        zone.passed("a", 1)
        came, left = zone.totals["a"]
        values = {"in_total": came, "out_total": left}
        outcome = zone.derivation.take(Reading("a", zone.now, zone.moment.ts, values, {}), zone.moment)
        told += outcome.has_points
        zone.note(outcome)
        zone.now += 0.02
    zone.wait(1)
    assert told <= 3
    assert zone.said["occupancy"] == 100


def test_a_zone_in_which_nobody_moves_is_told_once_a_minute(zone: Zone) -> None:
    zone.wait(300)
    wakes = 0
    until = zone.now + 3600
    while zone.derivation.wake <= until:
        zone.now = zone.derivation.wake
        zone.note(zone.derivation.elapse(zone.moment))
        wakes += 1
    assert 58 <= wakes <= 61


def test_a_door_is_crowded_by_those_who_pass_it_both_ways(zone: Zone) -> None:
    """82 people a metre and minute: one of 1.8 m is full at 147.6."""
    for _ in range(30):
        zone.people("a", 2, 1)
    assert zone.said["a_crowding"] == pytest.approx(100 * 90 / 147.6, abs=0.1)
    assert "b_crowding" not in zone.said
    zone.wait(90)
    assert zone.said["a_crowding"] == 0
