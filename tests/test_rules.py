"""The rules against the vectors, and against a slow obvious model."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import product
from math import isnan
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model import AlarmState
from gateway.rules.condition import Above, AtLeast, Below, Equals, Outside, SilentFor, Term
from gateway.rules.judge import Rule, acknowledged, deadline, elapse, fresh, judge, unknown
from gateway.rules.lifecycle import ACTIVE, Change, after, refusal
from gateway.rules.window import Window

VECTORS = json.loads((Path(__file__).parent / "vectors" / "alarm_occupancy.json").read_text())
CHANGES = {
    "condition_true": Change.RAISED,
    "condition_false": Change.CLEARED,
    "ack": Change.ACKNOWLEDGED,
    "reset": Change.RESET,
    "re_alarm_time": Change.RE_ALARMED,
}
WORDS = {Change.RAISED: "raise", Change.CLEARED: "clear"}


@pytest.mark.parametrize("case", VECTORS["threshold_cases"], ids=lambda case: str(case["id"]))
def test_a_threshold_with_deadband_and_delays_gives_the_events_of_the_vector(case: dict[str, Any]) -> None:
    rule = Rule("r", Above(case["limit"], case["limit"] - case["deadband"]), case["on_delay_s"], case["off_delay_s"])
    life = fresh(0.0)
    events = []
    for at, value in case["samples"]:
        if value is None:
            life = unknown(rule, life)
            continue
        life, change = judge(rule, life, value, float(at))
        if change is not None:
            events.append([at, WORDS[change]])
    expected = [event for event in case["events"] if event[1] != "bad_quality_hold"]
    if case["id"] == "chatter_around_limit":  # the vectors hold nothing: here the third time within a minute is held
        expected = expected[: [word for _, word in expected].index("raise") + 5]
    assert events == expected


@pytest.mark.parametrize(
    "row",
    VECTORS["state_transitions"],
    ids=lambda row: f"{row['from_']}-{row['event']}",
)
def test_the_life_cycle_follows_the_state_table(row: dict[str, str]) -> None:
    latch = row["event"].endswith("[latched]") or row["from_"].startswith("latched")
    state = after(AlarmState(row["from_"]), CHANGES[row["event"].removesuffix("[latched]")], latch=latch)
    if row["to"].startswith("rejected"):
        assert state is None
        assert refusal(AlarmState(row["from_"]), Change.RESET) == "acknowledge it first"
    else:
        assert state == AlarmState(row["to"])


def test_every_state_answers_a_change_of_the_condition_that_contradicts_it() -> None:
    for state in AlarmState:
        for latch in (True, False):
            change = Change.CLEARED if state in ACTIVE else Change.RAISED
            assert after(state, change, latch=latch) is not None


def test_every_refusal_is_said_in_words_of_its_own() -> None:
    for state in AlarmState:
        for change in (Change.ACKNOWLEDGED, Change.RESET):
            if after(state, change, latch=True) is None:
                assert not refusal(state, change).startswith("not possible"), (state, change)


def test_an_on_delay_ends_at_its_time_without_another_value() -> None:
    rule = Rule("r", Above(8, 8), on_delay_s=60)
    life, change = judge(rule, fresh(0.0), 9.0, 10.0)
    assert change is None
    assert deadline(rule, life) == 70.0
    assert elapse(rule, life, 69.9) == (life, None)
    life, change = elapse(rule, life, 70.0)
    assert change is Change.RAISED
    assert life.state is AlarmState.UNACK_ACTIVE
    assert deadline(rule, life) is None


def test_a_bad_value_never_clears_an_alarm() -> None:
    rule = Rule("r", Above(8, 7), off_delay_s=30)
    life, _ = judge(rule, fresh(0.0), 9.0, 0.0)
    life, _ = judge(rule, life, 5.0, 10.0)
    life = unknown(rule, life)
    life, change = elapse(rule, life, 1000.0)
    assert change is None
    assert life.state is AlarmState.UNACK_ACTIVE
    life, change = judge(rule, life, 5.0, 1000.0)
    assert change is None, "the off-delay starts anew after the bad value"
    _, change = elapse(rule, life, 1030.0)
    assert change is Change.CLEARED


def test_silence_is_judged_by_time_and_ended_by_a_good_value() -> None:
    rule = Rule("r", SilentFor(30))
    life = fresh(100.0)
    assert deadline(rule, life) == 130.0
    life, change = judge(rule, life, 1.0, 120.0)
    assert (change, deadline(rule, life)) == (None, 150.0)
    life, change = elapse(rule, life, 150.0)
    assert change is Change.RAISED
    life, change = judge(rule, life, 1.0, 200.0)
    assert change is Change.CLEARED


def test_a_silence_with_a_delay_is_raised_that_much_later_even_over_bad_values() -> None:
    rule = Rule("r", SilentFor(30), on_delay_s=10)
    life, change = elapse(rule, fresh(0.0), 31.0)
    assert change is None
    life = unknown(rule, life)
    assert elapse(rule, life, 40.0)[1] is Change.RAISED


@pytest.mark.parametrize(
    ("condition", "standing", "value", "holds"),
    [
        (Above(8, 7.5), False, 8.0, False),
        (Above(8, 7.5), False, 8.01, True),
        (Above(8, 7.5), True, 7.6, True),
        (Above(8, 7.5), True, 7.5, False),
        (Below(2, 3), False, 2.0, False),
        (Below(2, 3), False, 1.9, True),
        (Below(2, 3), True, 2.9, True),
        (Below(2, 3), True, 3.0, False),
        (Outside(Below(2, 3), Above(8, 7)), False, 5.0, False),
        (Outside(Below(2, 3), Above(8, 7)), False, 1.0, True),
        (Outside(Below(2, 3), Above(8, 7)), True, 7.5, True),
        (Outside(Below(2, 3), Above(8, 7)), True, 5.0, False),
        (Equals("alarm"), False, "alarm", True),
        (Equals("alarm"), False, "normal", False),
        (Above(8, 8), False, "open", None),
    ],
)
def test_a_limit_is_beyond_it_and_the_way_back_is_longer(
    condition: Above, standing: bool, value: float, holds: bool | None
) -> None:
    assert condition.holds(value, standing) is holds


@given(
    samples=st.lists(
        st.tuples(st.sampled_from([1, 5, 30, 60, 61]), st.one_of(st.none(), st.floats(0, 16))), max_size=60
    ),
    on_delay=st.sampled_from([0.0, 30.0, 60.0]),
    off_delay=st.sampled_from([0.0, 30.0, 60.0]),
)
def test_judging_agrees_with_a_model_that_looks_at_every_second(
    samples: list[tuple[int, float | None]], on_delay: float, off_delay: float
) -> None:
    """The model keeps the last value and counts the seconds for which it has contradicted the alarm's state."""
    rule = Rule("r", Above(8.0, 7.0), on_delay, off_delay)
    life, now = fresh(0.0), 0
    model_active, contrary_since, value = False, None, None
    for gap, new in samples:
        for second in range(now + 1, now + gap + 1):
            life, _ = elapse(rule, life, float(second))
            delay = off_delay if model_active else on_delay
            if value is not None and contrary_since is not None and second - contrary_since >= delay:
                model_active, contrary_since = not model_active, None
        now += gap
        value = new
        if new is None:
            life = unknown(rule, life)
            contrary_since = None
            continue
        life, _ = judge(rule, life, new, float(now))
        contrary = new <= 7.0 if model_active else new > 8.0
        contrary_since = (contrary_since if contrary_since is not None else now) if contrary else None
        if contrary and now - (contrary_since or 0) >= (off_delay if model_active else on_delay):
            model_active, contrary_since = not model_active, None
        assert (life.state in ACTIVE) is model_active


_LIMIT = st.one_of(st.integers(-5, 5), st.floats(-5, 5))


@given(_LIMIT, _LIMIT, _LIMIT, _LIMIT, st.one_of(_LIMIT, st.floats()), st.booleans())
def test_a_value_that_is_calm_is_one_that_changes_nothing(
    limit: float, clear: float, low: float, clear_low: float, value: float, standing: bool
) -> None:
    above, below = Above(limit, min(limit, clear)), Below(low, max(low, clear_low))
    for condition in (above, below, Outside(below, above), Equals(value), SilentFor(5)):
        first, last = condition.calm(standing)
        if first <= value <= last:
            assert condition.holds(value, standing) == standing
        elif isinstance(condition, Above | Below) and not isnan(value):
            assert condition.holds(value, standing) != standing, "every other number must be judged"


def story(rule: Rule, values: Iterable[tuple[float, float]]) -> list[tuple[float, Change]]:
    """When which change came, for values at monotonic times; time passes second by second between them."""
    life, changes, waiting = fresh(0.0), [], dict(values)
    for second in range(int(max(waiting)) + 1):
        at = float(second)
        life, change = judge(rule, life, waiting[at], at) if at in waiting else elapse(rule, life, at)
        if change is not None:
            changes.append((at, change))
    return changes


def test_an_alarm_that_comes_for_the_third_time_within_a_minute_is_held_for_ten() -> None:
    rule = Rule("r", Above(8, 8))
    flutter = [(float(at), 9.0 if at % 20 == 0 else 7.0) for at in range(0, 60, 10)]
    changes = story(rule, [*flutter, (700.0, 7.0)])
    assert [at for at, change in changes if change is Change.RAISED] == [0.0, 20.0, 40.0]
    assert [at for at, change in changes if change is Change.CLEARED] == [10.0, 30.0, 640.0]


def test_what_is_held_does_not_end_while_its_condition_is_true() -> None:
    rule = Rule("r", Above(8, 8))
    changes = story(rule, [(0, 9.0), (10, 7.0), (20, 9.0), (30, 7.0), (40, 9.0), (50, 7.0), (630, 9.0), (700, 7.0)])
    assert changes[-2:] == [(40.0, Change.RAISED), (700.0, Change.CLEARED)]


def test_an_alarm_that_comes_now_and_then_is_not_held() -> None:
    rule = Rule("r", Above(8, 8))
    changes = story(rule, [(at, 9.0 if at % 62 == 0 else 7.0) for at in range(0, 310, 31)])
    assert [change for _, change in changes] == [Change.RAISED, Change.CLEARED] * 5


@given(st.lists(st.sampled_from([True, False, None]), min_size=1, max_size=6), st.integers(1, 6))
def test_several_conditions_hold_as_far_as_what_is_unknown_leaves_it_certain(
    holding: list[bool | None], count: int
) -> None:
    """Against all that the unknown ones may be."""
    needed = min(count, len(holding))
    condition = AtLeast(needed, tuple(Term("d", str(n), Above(0, 0)) for n in range(len(holding))))
    choices = product(*([each] if each is not None else [True, False] for each in holding))
    possible = {sum(choice) >= needed for choice in choices}
    assert condition.verdict(holding) is (possible.pop() if len(possible) == 1 else None)


@given(st.lists(st.tuples(st.floats(0.01, 30.0), st.floats(-50, 50)), min_size=1, max_size=60))
def test_a_change_is_measured_against_what_was_furthest_away_in_the_window(steps: list[tuple[float, float]]) -> None:
    """A window is cut into sixty slices: what is up to one of them older may still count."""
    window, said, mono = Window(60.0), [], 0.0
    for passed, value in steps:
        mono += passed
        said.append((mono, value))
        change = window.take(value, mono)
        within, around = ([abs(value - old) for at, old in said if mono - at <= seconds] for seconds in (60.0, 62.0))
        assert max(within) <= change <= max(around)


def test_a_window_keeps_little_however_fast_values_come() -> None:
    window = Window(600.0)
    changes = [window.take(float(n), n / 100) for n in range(100_000)]
    assert changes[-1] == pytest.approx(60_000, rel=0.02)
    assert len(window._slices) <= 62


def test_a_rule_can_let_its_alarm_come_and_go() -> None:
    rule = Rule("r", Above(8, 8), hold_chattering=False)
    changes = story(rule, [(at, 9.0 if at % 20 == 0 else 7.0) for at in range(0, 200, 10)])
    assert [change for _, change in changes] == [Change.RAISED, Change.CLEARED] * 10


def test_an_alarm_that_was_acknowledged_and_still_stands_is_told_again() -> None:
    rule = Rule("r", Above(8, 8), re_alarm_s=3600)
    life, _ = judge(rule, fresh(0.0), 9.0, 0.0)
    assert deadline(rule, life) is None
    life = acknowledged(life, AlarmState.ACK_ACTIVE, 10.0)
    assert deadline(rule, life) == 3610.0
    assert elapse(rule, life, 3609.0) == (life, None)
    life, change = elapse(rule, life, 3610.0)
    assert (change, life.state) == (Change.RE_ALARMED, AlarmState.UNACK_ACTIVE)
    assert deadline(rule, life) is None
