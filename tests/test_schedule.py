"""Who is asked when: the laws of the schedule, and of silence and hold times."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.links.debounce import Change, Debounce
from gateway.links.schedule import BACK_OFF_S, MISSES, Schedule, Turn
from gateway.links.silence import AGAIN_S, LEAST_PATIENCE_S, Silence

EVERY = st.sampled_from([0.1, 0.25, 0.3, 1.0, 7.0, 60.0])
START = st.floats(0, 1e6)
TURNS = st.lists(st.tuples(EVERY, st.booleans()), min_size=1, max_size=6)


def turns(kinds: list[tuple[float, bool]]) -> list[Turn]:
    return [Turn(f"d{i}", every, safety) for i, (every, safety) in enumerate(kinds)]


def is_tick(due: float, every: float) -> bool:
    return math.isclose(due / every, round(due / every), abs_tol=1e-6)


@given(every=EVERY, start=START, lengths=st.lists(st.floats(0, 5), min_size=1, max_size=40))
def test_polls_are_at_multiples_of_the_interval_and_every_tick_is_polled_or_counted(
    every: float, start: float, lengths: list[float]
) -> None:
    schedule = Schedule([Turn("d", every, safety=False)], start)
    first = schedule.next_due()
    assert first <= start < first + every * 1.000001
    now = start
    for polls, length in enumerate(lengths, start=1):
        due = schedule.next_due()
        assert is_tick(due, every)
        now = max(now, due)
        assert schedule.due(now) is not None
        now += length * every
        schedule.answered("d", now)
        assert schedule.next_due() > now
        assert schedule.next_due() <= now + every * 1.000001
        ticks = round((schedule.next_due() - first) / every)
        assert polls + schedule.late == ticks


@given(kinds=TURNS, start=START, lengths=st.lists(st.floats(0, 3), min_size=1, max_size=40))
def test_safety_goes_first_and_then_who_has_been_due_longest(
    kinds: list[tuple[float, bool]], start: float, lengths: list[float]
) -> None:
    everyone = turns(kinds)
    schedule = Schedule(everyone, start)
    dues = {turn.device: math.floor(start / turn.every) * turn.every for turn in everyone}
    now = start
    for length in lengths:
        turn = schedule.due(now)
        if turn is None:
            now = schedule.next_due()
            continue
        waiting = [each for each in everyone if dues[each.device] <= now]
        if not turn.safety:
            assert not any(each.safety and dues[each.device] <= now - 1e-6 for each in waiting)
        rivals = [each for each in waiting if each.safety == turn.safety]
        assert dues[turn.device] <= min(dues[each.device] for each in rivals) + 1e-6
        now += length
        schedule.answered(turn.device, now)
        dues[turn.device] = (math.floor(now / turn.every) + 1) * turn.every
    assert schedule.next_due() <= now + max(turn.every for turn in everyone) + 1e-6


@given(every=EVERY, start=START, answers=st.lists(st.booleans(), max_size=60))
def test_three_misses_lose_a_device_and_one_answer_restores_it(every: float, start: float, answers: list[bool]) -> None:
    schedule = Schedule([Turn("d", every, safety=False)], start)
    now, in_a_row = start, 0
    for good in answers:
        now = max(now, schedule.next_due())
        was_lost = schedule.lost("d")
        if good:
            lost_s = schedule.answered("d", now)
            assert (lost_s is not None) == was_lost
            in_a_row = 0
            assert not schedule.lost("d")
            assert schedule.next_due() <= now + every * 1.000001
            continue
        newly = schedule.missed("d", now)
        in_a_row += 1
        assert schedule.lost("d") == (in_a_row >= MISSES)
        assert newly == (in_a_row == MISSES)
        assert is_tick(schedule.next_due(), every)
        if in_a_row >= MISSES:
            pause = BACK_OFF_S[min(in_a_row - MISSES, len(BACK_OFF_S) - 1)]
            assert now + pause - 1e-6 <= schedule.next_due() <= now + pause + every + 1e-6


def test_a_lost_device_does_not_delay_the_others() -> None:
    schedule = Schedule([Turn("dead", 1.0, safety=True), Turn("well", 1.0, safety=False)], 100.0)
    asked: list[tuple[float, str]] = []
    now = 100.0
    while now < 160.0:
        now = max(now, schedule.next_due())
        turn = schedule.due(now)
        assert turn is not None
        asked.append((now, turn.device))
        if turn.device == "dead":
            now += 0.6
            schedule.missed("dead", now)
        else:
            now += 0.02
            schedule.answered("well", now)
    wells = [at for at, device in asked if device == "well" and at < 160.0]
    assert len(wells) == 60
    assert schedule.late == 0
    assert sum(device == "dead" for _, device in asked) <= MISSES + 5


def test_a_grave_failure_loses_a_device_at_once() -> None:
    schedule = Schedule([Turn("d", 1.0, safety=False)], 0.0)
    assert schedule.missed("d", 0.0, grave=True)
    assert schedule.next_due() == BACK_OFF_S[0]
    assert not schedule.missed("d", 2.0, grave=True)
    assert schedule.answered("d", 7.0) == 7.0


def test_after_a_restart_everyone_is_due_at_once() -> None:
    schedule = Schedule([Turn("d", 60.0, safety=False), Turn("lost", 1.0, safety=False)], 0.0)
    schedule.answered("d", 1.0)
    schedule.missed("lost", 1.0, grave=True)
    schedule.restart(31.0)
    assert schedule.next_due() <= 31.0
    assert schedule.lost("lost")
    assert schedule.late == 0


def test_a_skipped_turn_comes_again_at_the_next_tick() -> None:
    schedule = Schedule([Turn("d", 2.0, safety=False)], 10.0)
    schedule.skip("d", 10.1)
    assert schedule.next_due() == 12.0
    assert schedule.late == 0


def test_a_schedule_without_devices_is_never_due() -> None:
    schedule = Schedule([], 0.0)
    assert schedule.next_due() == math.inf
    assert schedule.due(1e9) is None


# ---------------------------------------------------------------- silence


@pytest.mark.parametrize(("every", "patience"), [(1.0, LEAST_PATIENCE_S), (10.0, 30.0)])
def test_silence_is_said_once_and_then_each_minute(every: float, patience: float) -> None:
    silence = Silence(every, 100.0)
    assert not silence.elapse(100.0 + patience - 0.01)
    assert silence.elapse(100.0 + patience)
    assert not silence.elapse(100.0 + patience + AGAIN_S - 0.01)
    assert silence.elapse(100.0 + patience + AGAIN_S)
    assert silence.spoke(200.0 + patience) == 100.0
    assert silence.spoke(201.0 + patience) is None
    assert silence.due == 201.0 + 2 * patience


# ---------------------------------------------------------------- hold times


@given(
    hold_s=st.sampled_from([0.0, 0.05, 0.5]),
    steps=st.lists(st.tuples(st.floats(0.001, 1.0), st.booleans()), max_size=40),
)
def test_a_level_counts_exactly_if_it_lasted(hold_s: float, steps: list[tuple[float, bool]]) -> None:
    debounce, now, found = Debounce(hold_s, high=False), 0.0, list[Change]()
    edges: list[tuple[float, bool]] = []
    for pause, high in steps:
        now += pause
        found += debounce.edge(high, now)
        edges.append((now, high))
    found += debounce.settle(now + 10)

    expected: list[Change] = []
    level, raw, since = False, False, 0.0
    for at, high in [*edges, (now + 10, not edges[-1][1] if edges else True)]:
        if raw != level and at >= since + hold_s:
            level = raw
            expected.append(Change(level, since + hold_s))
        if high != raw:
            raw, since = high, at
    if hold_s == 0 and edges:
        assert [change.high for change in found] == [change.high for change in expected]
    else:
        assert found == expected
