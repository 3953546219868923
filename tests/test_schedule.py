"""Who is asked when: the laws of the schedule, and of silence and hold times."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.links.debounce import Change, Debounce
from gateway.links.schedule import BACK_OFF_S, LOST_SHARE, MISSES, Schedule, Turn, Urgency, urgency
from gateway.links.silence import AGAIN_S, LEAST_PATIENCE_S, Silence

SMOKE, CONTACT, MEASUREMENT, METER = Urgency
URGENCY = st.sampled_from(Urgency)
EVERY = st.sampled_from([0.1, 0.25, 0.3, 1.0, 7.0, 60.0])
START = st.floats(0, 1e6)
TURNS = st.lists(st.tuples(EVERY, URGENCY), min_size=1, max_size=6)


def turns(kinds: list[tuple[float, Urgency]]) -> list[Turn]:
    return [Turn(f"d{i}", every, it) for i, (every, it) in enumerate(kinds)]


def is_tick(due: float, every: float) -> bool:
    return math.isclose(due / every, round(due / every), abs_tol=1e-6)


@given(every=EVERY, start=START, lengths=st.lists(st.floats(0, 5), min_size=1, max_size=40))
def test_polls_are_at_multiples_of_the_interval_and_every_tick_is_polled_or_counted(
    every: float, start: float, lengths: list[float]
) -> None:
    schedule = Schedule([Turn("d", every, MEASUREMENT)], start)
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
        assert polls + schedule.late(now) == ticks


@given(kinds=TURNS, start=START, lengths=st.lists(st.floats(0, 3), min_size=1, max_size=40))
def test_the_most_urgent_goes_first_and_then_who_has_been_due_longest(
    kinds: list[tuple[float, Urgency]], start: float, lengths: list[float]
) -> None:
    everyone = turns(kinds)
    schedule = Schedule(everyone, start)
    dues = {turn.device: math.floor(start / turn.every) * turn.every for turn in everyone}

    def ranks(turn: Turn, now: float) -> set[Urgency]:
        """Who has waited for a whole interval goes as a contact does; both at a close call."""
        waited, patient = now - dues[turn.device] - turn.every, min(turn.urgency, CONTACT)
        if waited < -1e-6:
            return {turn.urgency}
        return {patient} if waited > 1e-6 else {patient, turn.urgency}

    now = start
    for length in lengths:
        turn = schedule.due(now)
        if turn is None:
            now = schedule.next_due()
            continue
        waiting = [each for each in everyone if dues[each.device] <= now - 1e-6]
        mine = ranks(turn, now)
        for each in waiting:
            assert min(mine) <= max(ranks(each, now))
            if ranks(each, now) == mine and len(mine) == 1:
                assert dues[turn.device] <= dues[each.device] + 1e-6
        now += length
        schedule.answered(turn.device, now)
        dues[turn.device] = (math.floor(now / turn.every) + 1) * turn.every
    assert schedule.next_due() <= now + max(turn.every for turn in everyone) + 1e-6


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        ({"contact", "smoke", "energy"}, SMOKE),
        ({"door", "temperature"}, CONTACT),
        ({"output"}, CONTACT),
        ({"temperature", "voltage"}, MEASUREMENT),
        ({"pressure"}, MEASUREMENT),
        ({"voltage", "energy"}, METER),
    ],
)
def test_a_device_is_as_urgent_as_its_most_urgent_point(kinds: set[str], expected: Urgency) -> None:
    assert urgency(kinds) is expected


def run(schedule: Schedule, takes_s: dict[str, float], dead: set[str], until: float) -> list[tuple[float, str]]:
    """Ask whoever is due, each taking so long, from 0 on: who was asked when."""
    asked, now = [], 0.0
    while (now := max(now, schedule.next_due())) < until:
        turn = schedule.due(now)
        assert turn is not None
        asked.append((now, turn.device))
        took_s = takes_s[turn.device]
        now += took_s
        if turn.device in dead:
            schedule.missed(turn.device, now, took_s=took_s)
        else:
            schedule.answered(turn.device, now)
    return asked


def count(asked: list[tuple[float, str]], device: str, since: float = 0.0) -> int:
    return sum(name == device and at >= since for at, name in asked)


def test_a_bus_that_is_too_busy_keeps_smoke_and_starves_nobody() -> None:
    order = (("smoke", SMOKE), ("door", CONTACT), ("room", MEASUREMENT), ("meter", METER))
    schedule = Schedule([Turn(name, 1.0, it) for name, it in order], 0.0)
    asked = run(schedule, dict.fromkeys(("smoke", "door", "room", "meter"), 0.4), set(), 100.0)
    assert count(asked, "smoke") >= 80
    assert count(asked, "room") >= 15
    assert abs(count(asked, "room") - count(asked, "meter")) <= 2


def test_contacts_that_ask_for_more_than_the_bus_has_starve_no_measurement() -> None:
    contacts = [f"contact{number}" for number in range(8)]
    turns = [Turn(name, 0.2, CONTACT) for name in contacts] + [
        Turn("room", 10.0, MEASUREMENT),
        Turn("meter", 10.0, METER),
    ]
    schedule = Schedule(turns, 0.0)
    asked = run(schedule, dict.fromkeys((*contacts, "room", "meter"), 0.03), set(), 600.0)
    assert count(asked, "room") >= 29
    assert count(asked, "meter") >= 29


def test_ticks_missed_by_one_that_is_never_asked_are_counted_while_it_waits() -> None:
    schedule = Schedule([Turn("smoke", 1.0, SMOKE), Turn("room", 2.0, MEASUREMENT)], 0.0)
    for now in range(10):
        turn = schedule.due(float(now))
        assert turn is not None
        assert turn.device == "smoke"
        schedule.answered("smoke", now + 0.99)
    assert schedule.late(9.99) == 4
    schedule.answered("room", 9.99)
    assert schedule.late(9.99) == 4


def test_when_most_of_a_segment_loses_power_the_others_are_asked_again_after_everyone_was_missed_once() -> None:
    dead, well = {f"dead{number}" for number in range(25)}, {f"well{number}" for number in range(5)}
    schedule = Schedule([Turn(name, 5.0, MEASUREMENT) for name in (*sorted(dead), *sorted(well))], 0.0)
    takes_s = {**dict.fromkeys(dead, 0.69), **dict.fromkeys(well, 0.03)}
    asked = run(schedule, takes_s, dead, 300.0)
    first_pass_s = 25 * 0.69 + 5 * 0.03
    for name in well:
        times = [at for at, asked_of in asked if asked_of == name]
        assert times[0] < first_pass_s
        assert max(b - a for a, b in itertools.pairwise(times)) <= 5.0 + 2 * 0.69


def test_on_a_busy_bus_one_that_has_just_missed_holds_nobody_up() -> None:
    well = [Turn(name, 0.2, MEASUREMENT) for name in ("a", "b", "c")]
    asked = run(
        Schedule([Turn("dead", 1.0, CONTACT), *well], 0.0),
        {"dead": 0.7, "a": 0.12, "b": 0.12, "c": 0.12},
        {"dead"},
        60.0,
    )
    probes = [at for at, name in asked if name == "dead"]
    assert len(probes) > 2, "it is asked all the same"
    assert min(b - a for a, b in itertools.pairwise(probes)) >= 0.7 / LOST_SHARE


def test_a_smoke_detector_that_has_just_missed_is_asked_first_all_the_same() -> None:
    schedule = Schedule([Turn("smoke", 1.0, SMOKE), Turn("door", 1.0, CONTACT)], 0.0)
    schedule.missed("smoke", 0.5, took_s=0.5)
    schedule.answered("door", 0.6)
    turn = schedule.due(1.0)
    assert turn is not None
    assert turn.device == "smoke"


def test_on_a_busy_bus_the_lost_ones_take_a_twentieth_of_the_time_at_most() -> None:
    names = [f"dead{number}" for number in range(20)]  # each 30 s, 0.3 s each, would be a fifth
    well = ["a", "b", "c"]  # together they take longer than their interval: there is always somebody waiting
    turns = [Turn(name, 0.2, MEASUREMENT) for name in well] + [Turn(name, 1.0, CONTACT) for name in names]
    takes_s = {**dict.fromkeys(well, 0.12), **dict.fromkeys(names, 0.3)}
    asked = run(Schedule(turns, 0.0), takes_s, set(names), 3600.0)
    lost = sum(count(asked, name, 60.0) for name in names)
    assert all(count(asked, name, 60.0) > 5 for name in names), "each is asked all the same"
    assert 0.3 * lost / 3540 <= LOST_SHARE * 1.05
    assert 0.12 * sum(count(asked, name, 60.0) for name in well) >= 3540 * (1 - LOST_SHARE) * 0.99


def test_a_lost_device_is_asked_when_nobody_else_waits() -> None:
    schedule = Schedule([Turn("dead", 1.0, SMOKE), Turn("meter", 1.0, METER)], 0.0)
    asked = run(schedule, {"dead": 0.4, "meter": 0.3}, {"dead"}, 120.0)
    before_it_was_lost = [("dead", at) for at in (0.0, 1.0, 2.0)]
    assert [(name, at) for at, name in asked if name == "dead"][:MISSES] == before_it_was_lost
    assert count(asked, "meter") == 120
    probes = [at for at, name in asked if name == "dead"][MISSES:]
    assert len(probes) > 4
    assert all(at % 1 == pytest.approx(0.3) for at in probes), "after the meter, though it tells of smoke"


def test_the_schedule_never_drifts() -> None:
    schedule = Schedule([Turn("d", 1.0, MEASUREMENT)], 0.0)
    asked = run(schedule, {"d": 0.0371}, set(), 3600.0)
    assert [at for at, _ in asked] == [float(second) for second in range(3600)]


@given(every=EVERY, start=START, answers=st.lists(st.booleans(), max_size=60))
def test_three_misses_lose_a_device_and_one_answer_restores_it(every: float, start: float, answers: list[bool]) -> None:
    schedule = Schedule([Turn("d", every, MEASUREMENT)], start)
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
    schedule = Schedule([Turn("dead", 1.0, CONTACT), Turn("well", 1.0, MEASUREMENT)], 100.0)
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
    assert schedule.late(160.0) == 0
    assert sum(device == "dead" for _, device in asked) <= MISSES + 5


def test_a_grave_failure_loses_a_device_at_once() -> None:
    schedule = Schedule([Turn("d", 1.0, MEASUREMENT)], 0.0)
    assert schedule.missed("d", 0.0, grave=True)
    assert schedule.next_due() == BACK_OFF_S[0]
    assert not schedule.missed("d", 2.0, grave=True)
    assert schedule.answered("d", 7.0) == 7.0


def test_after_a_restart_everyone_is_due_at_once() -> None:
    schedule = Schedule([Turn("d", 60.0, MEASUREMENT), Turn("lost", 1.0, MEASUREMENT)], 0.0)
    schedule.answered("d", 1.0)
    schedule.missed("lost", 0.5, grave=True)
    schedule.restart(31.0)
    assert schedule.next_due() <= 31.0
    assert schedule.lost("lost")
    assert schedule.late(31.0) == 0


def test_a_skipped_turn_comes_again_at_the_next_tick() -> None:
    schedule = Schedule([Turn("d", 2.0, MEASUREMENT)], 10.0)
    schedule.skip("d", 10.1)
    assert schedule.next_due() == 12.0
    assert schedule.late(10.1) == 0


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
            expected.append(Change(level, since))
        if high != raw:
            raw, since = high, at
    if hold_s == 0 and edges:
        assert [change.high for change in found] == [change.high for change in expected]
    else:
        assert found == expected
