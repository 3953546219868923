"""Totals and flow of a door: what survives, what is an event, and that a minute is a minute."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.modbus_counts import countings
from drivers.modbus_point import RegisterPoint
from gateway.derive.counter import Range
from gateway.derive.derivation import Outcome
from gateway.derive.doors import EACH_WAY_PER_S, counting
from gateway.derive.flow import MERGED_S, WINDOW_S, Flow
from gateway.derive.metering import Metering
from gateway.derive.totals import FLOW_EVERY_S, TOLD_EVERY_S, Counting, Totals
from gateway.model import Json, Moment, Reading, Reason, Trust, Value

DOOR = (counting("people_in", "people_in", 65_536), counting("people_out", "people_out", 65_536))
BEAMS = (counting("passages_in", "passages_in"),)


def at(mono: float) -> Moment:
    return Moment(mono, 1_700_000_000_000 + round(mono * 1000), Trust.SYNCED)


def said(totals: Totals, mono: float, bad: Mapping[str, Reason] | None = None, **values: Value) -> Outcome:
    return totals.take(Reading("door-1", mono, at(mono).ts, values, bad or {}), at(mono))


def fresh(stored: Json = None, countings: tuple[Counting, ...] = DOOR) -> Totals:
    totals = Totals(countings)
    totals.restore(stored, at(0))
    return totals


def test_a_door_has_totals_and_a_flow_for_each_way() -> None:
    totals = fresh()
    assert said(totals, 0, people_in=40, people_out=38, people=2).values == {
        "in_total": 0,
        "in_1min": 0,
        "out_total": 0,
        "out_1min": 0,
    }
    said(totals, 10, people_in=42, people_out=38)
    assert said(totals, 20, people_in=43, people_out=39).values == {
        "in_total": 3,
        "in_1min": 3,
        "out_total": 1,
        "out_1min": 1,
    }


def test_totals_survive_a_restart_with_those_who_passed_meanwhile() -> None:
    totals = fresh()
    said(totals, 0, people_in=40)
    said(totals, 10, people_in=45)
    again = fresh(json.loads(json.dumps(totals.stored())))
    assert said(again, 500, people_in=52).values == {"in_total": 12, "in_1min": 0}


def test_what_was_stored_may_come_late() -> None:
    totals = fresh()
    said(totals, 0, people_in=40)
    said(totals, 10, people_in=45)
    again = fresh()
    assert said(again, 500, people_in=52).values["in_total"] == 0
    assert said(again, 510, people_in=54).values["in_total"] == 2
    assert again.restore(totals.stored(), at(520)).changed
    assert said(again, 530, people_in=54).values["in_total"] == 14


def test_a_counter_that_cannot_be_read_has_no_total() -> None:
    totals = fresh()
    said(totals, 0, people_in=40, people_out=10)
    outcome = said(totals, 10, {"people_in": Reason.NO_REPLY}, people_out=11)
    assert outcome.bad == {"in_total": Reason.NO_REPLY, "in_1min": Reason.NO_REPLY}
    assert outcome.values["out_total"] == 1
    assert said(totals, 20, people_in=47).values["in_total"] == 7


def test_a_restart_of_the_device_is_told_and_its_people_count() -> None:
    totals = fresh()
    said(totals, 0, people_in=1200)
    (told,) = said(totals, 60, people_in=3).events
    assert told.name == "counter_restarted"
    assert told.fields == {"point": "people_in", "before": 1200, "value": 3, "counted": 3, "untold": 0}


def test_a_roll_over_and_a_jump_are_told_by_their_names() -> None:
    totals = fresh()
    said(totals, 0, people_in=65_530, people_out=1000)
    names = [each.name for each in said(totals, 60, people_in=4, people_out=9000).events]
    assert names == ["counter_rolled_over", "counter_jumped"]


def test_what_happens_again_and_again_is_told_with_how_often() -> None:
    totals = fresh()
    said(totals, 0, people_in=1000)
    told = [each for n in range(1, 5) for each in said(totals, n * 1.0, people_in=9000 * (n % 2) + 1000).events]
    assert [each.name for each in told] == ["counter_jumped"]
    later = said(totals, TOLD_EVERY_S + 2, people_in=60_000).events
    assert [each.fields["untold"] for each in later] == [1]


def test_what_we_count_ourselves_begins_at_nothing_with_each_run_and_that_is_no_event() -> None:
    totals = fresh(countings=BEAMS)
    for n in range(5):
        said(totals, n * 1.0, passages_in=n)
    again = fresh(totals.stored(), BEAMS)
    first = said(again, 100, passages_in=1)
    assert first.values["in_total"] == 5
    assert not first.events


def test_what_we_count_ourselves_begins_at_nothing_where_a_reload_opens_its_link_anew_and_that_is_no_event() -> None:
    totals = fresh(countings=BEAMS)
    said(totals, 0.0, passages_in=0)
    said(totals, 1.0, passages_in=4)
    anew = said(totals, 2.0, passages_in=0)
    assert (anew.values["in_total"], anew.events) == (4, ())
    assert said(totals, 3.0, passages_in=2).values["in_total"] == 6


def test_a_flow_ends_without_anybody() -> None:
    """The flow is told again while nobody comes, and no more once it is 0."""
    totals = fresh()
    said(totals, 0, people_in=0)
    said(totals, 10, people_in=4)
    flows = []
    while totals.wake < 1000:
        assert totals.wake - 10 >= FLOW_EVERY_S
        flows.append((totals.wake, totals.elapse(at(totals.wake)).values["in_1min"]))
    assert flows == [(70.0, 0)]


def test_a_line_that_was_down_brings_no_rush() -> None:
    """200 people in half an hour are 7 a minute, whenever they are heard of."""
    totals = fresh()
    said(totals, 0, people_in=0)
    assert said(totals, 1800, people_in=200).values == {"in_total": 200, "in_1min": 7}


@given(st.lists(st.tuples(st.floats(0, 30), st.integers(1, 9)), max_size=40), st.floats(0, 200))
def test_a_flow_is_who_came_in_the_last_minute(gaps: list[tuple[float, int]], rest_s: float) -> None:
    """Against all moments kept for ever, to within the half second that is merged."""
    flow, now, came = Flow(), 0.0, list[tuple[float, int]]()
    for gap_s, count in gaps:
        now += gap_s
        flow.add(count, now)
        came.append((now, count))
    now += rest_s
    surely = sum(count for when, count in came if when > now - WINDOW_S + MERGED_S)
    at_most = sum(count for when, count in came if when > now - WINDOW_S)
    assert surely <= flow.at(now) <= at_most


@given(
    st.recursive(
        st.none() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["people_in", "total", "raw", "ts"]), inner),
    )
)
def test_what_cannot_have_been_stored_is_passed_over(stored: Json) -> None:
    totals = fresh(stored)
    said(totals, 0, people_in=1)
    assert isinstance(said(totals, 1, people_in=2).values["in_total"], int)


def test_a_counter_without_limits_counts_any_step() -> None:
    totals = fresh(countings=(Counting("pulses", "pulses_total", of=Range(65_536)),))
    said(totals, 0, pulses=10)
    assert said(totals, 0.1, pulses=40_000).values == {"pulses_total": 39_990}


@pytest.mark.parametrize("garbage", [1e308, -1e308, 10**15, -(10**400), 10**400])
def test_garbage_that_no_counter_can_say_is_bad_and_costs_nothing_of_what_was_counted(garbage: float) -> None:
    """A float64 in a profile without limits can be anything; the hub must not end by it."""
    totals = fresh(countings=(Counting("pulses", "total", "rate"),))
    said(totals, 0, pulses=10)
    meter = Metering("pulses", "energy", 0.001, 0.0, Range())
    meter.restore(None, at(0))
    for each in (totals, meter):
        for second in (1, 2):
            told = each.take(Reading("door-1", second, at(second).ts, {"pulses": garbage}, {}), at(second))
            assert told.bad == {"total": Reason.OUT_OF_RANGE, "rate": Reason.OUT_OF_RANGE}
            each.elapse(at(second + 0.5))
    assert said(totals, 3, pulses=12).values["total"] == 2


@pytest.mark.parametrize(
    ("written", "modulus"),
    [
        ({"type": "uint16"}, 65_536),
        ({"type": "uint32"}, 1 << 32),
        ({"type": "bcd16"}, 10_000),
        ({"type": "uint16", "maximum": 9999}, 10_000),
        ({"type": "int32"}, None),
    ],
)
def test_a_modbus_counter_rolls_over_where_its_register_does(written: dict[str, Any], modulus: int | None) -> None:
    register = RegisterPoint(kind="people_in", table="input", address=0, **written)
    ((found, kind),) = countings({"line1_in": register})
    assert (found.point, found.total, found.flow) == ("line1_in", "line1_in_total", "line1_in_1min")
    assert (kind, found.of) == ("people_in", Range(modulus, EACH_WAY_PER_S))


def test_what_counts_no_people_has_no_totals() -> None:
    assert countings({"t": RegisterPoint(kind="temperature", table="input", address=0, type="int16")}) == ()
