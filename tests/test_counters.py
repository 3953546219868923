"""What a counting device has counted: the decided cases, every step against walking it one by one, whole lives."""

from __future__ import annotations

import json
from math import inf
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.derive.counter import LEEWAY_S, Counted, Counter, Range, Step, counted

CASES = json.loads((Path(__file__).parent / "vectors" / "alarm_occupancy.json").read_text())["counter_delta"]
CALLED = {"reset": Step.RESTART}
"""What the vectors call otherwise: to reset is what a person does."""

DOOR = Range(65536, 5)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_the_decided_cases_are_decided_so(case: dict[str, Any]) -> None:
    of = Range(case["modulus"], case["max_rate_per_s"])
    step = CALLED.get(case["kind"], case["kind"])
    assert counted(case["old"], case["new"], case["dt_s"], of) == (case["delta"], step, case["old"], case["new"])


def walked(old: int, new: int, most: int, modulus: int) -> tuple[int, Step]:
    """The obvious slow model: count on from `old` one by one, at most `most` times, and see where `new` is met."""
    at = old
    for steps in range(most + 1):
        if at == new:
            rolled = old + steps >= modulus
            if not rolled:
                return steps, Step.NORMAL
            if old >= modulus * 3 / 4 and new < modulus / 4:
                return steps, Step.ROLLOVER
            break
        at = (at + 1) % modulus
    if new > old:
        return 0, Step.IMPLAUSIBLE
    return (new if new <= most else 0), Step.RESTART


@given(
    modulus=st.integers(1, 300),
    old=st.integers(0, 299),
    new=st.integers(0, 299),
    most=st.integers(1, 400),
    data=st.data(),
)
def test_each_step_is_what_walking_it_shows(modulus: int, old: int, new: int, most: int, data: st.DataObject) -> None:
    old, new = old % modulus, new % modulus
    dt_s = data.draw(st.floats(0, 100))
    of = Range(modulus, (most + 0.5) / (dt_s + LEEWAY_S))
    found = counted(old, new, dt_s, of)
    assert (found.delta, found.step) == walked(old, new, most, modulus)


@given(st.integers(), st.integers(), st.floats(), st.integers(1) | st.none(), st.floats(0, allow_nan=False))
def test_no_step_counts_backwards_or_more_than_can_be(
    old: int, new: int, dt_s: float, modulus: int | None, max_per_s: float
) -> None:
    of = Range(modulus, max_per_s)
    found = counted(old, new, dt_s, of)
    assert 0 <= found.delta <= of.most(dt_s)


class Turnstile:
    """The truth: a device that counts people one by one, and can lose its power."""

    def __init__(self, modulus: int) -> None:
        self.passed = 0
        self.raw = 0
        self._modulus = modulus

    def turn(self, times: int) -> None:
        for _ in range(times):
            self.passed += 1
            self.raw = (self.raw + 1) % self._modulus

    def lose_power(self) -> None:
        self.raw = 0


LIVES = st.lists(
    st.tuples(st.sampled_from(["pass", "pass", "pass", "noise", "restart", "ours", "late"]), st.integers(0, 100)),
    max_size=60,
)


@given(LIVES, st.sampled_from([4096, 10_000, 65_536]))
def test_nobody_is_missed_or_counted_twice_over_a_whole_life(life: list[tuple[str, int]], modulus: int) -> None:
    """Read each 10 s; what is misread once, restarts of the device (read before it counts on) and of ours."""
    device, now = Turnstile(modulus), 0.0
    device.raw = modulus - 500  # so that it rolls over soon
    counter = Counter(Range(modulus, 20))
    late: Any = None  # what the run before has stored, while its journal has not come yet

    def read(raw: int) -> Counted | None:
        return counter.take(raw, now, round(now * 1000))

    read(device.raw)
    for what, times in life:
        now += 10
        if what == "pass":
            device.turn(times)
        elif what == "noise":
            read((device.raw + modulus // 2) % modulus if device.raw < modulus // 2 else modulus + times)
        elif what == "restart":
            read(device.raw)
            device.lose_power()
        elif late is None:
            stored = json.loads(json.dumps(counter.stored()))
            device.turn(times)  # while the gateway is off
            counter = Counter(Range(modulus, 20))
            if what == "late":
                late = stored
            else:
                counter.restore(stored)
        elif late is not None:
            counter.restore(late)
            late = None
        read(device.raw)
    if late is not None:
        counter.restore(late)
    assert counter.total == device.passed


def test_what_was_misread_once_costs_nobody() -> None:
    counter = Counter(DOOR)
    said = [counter.take(raw, 60.0 * n, None) for n, raw in enumerate([1000, 9000, 1003, 1004])]
    assert said == [
        None,
        (0, Step.IMPLAUSIBLE, 1000, 9000),
        (3, Step.NORMAL, 1000, 1003),
        (1, Step.NORMAL, 1003, 1004),
    ]


def test_a_jump_is_believed_when_the_next_value_goes_on_from_it() -> None:
    counter = Counter(DOOR)
    for n, raw in enumerate([1000, 9000, 9002, 9003]):
        counter.take(raw, 60.0 * n, None)
    assert counter.total == 3


def test_people_at_once_are_no_jump() -> None:
    """Frames come as people pass: five may stand within one reading of the port."""
    counter = Counter(DOOR)
    assert [counter.take(raw, 1.0, None) for raw in (7, 12)] == [None, (5, Step.NORMAL, 7, 12)]


def test_what_passed_while_the_gateway_was_off_counts() -> None:
    before = Counter(DOOR)
    before.take(65_530, 5.0, 1_000_000)
    before.take(65_532, 6.0, 1_001_000)
    after = Counter(DOOR)
    assert after.restore(before.stored()) is None
    assert after.take(40, 2.0, 1_061_000) == (44, Step.ROLLOVER, 65_532, 40)
    assert after.total == 46


def test_a_device_that_was_exchanged_while_the_gateway_was_off_is_told() -> None:
    after = Counter(DOOR)
    after.restore({"total": 500, "raw": 500, "ts": 1_000_000})
    assert after.take(20_000, 2.0, 1_061_000) == (0, Step.IMPLAUSIBLE, 500, 20_000)
    after.take(20_001, 3.0, 1_062_000)
    assert after.total == 501


def test_without_a_clock_nobody_knows_how_long_it_was_off_and_the_device_is_believed() -> None:
    after = Counter(DOOR)
    after.restore({"total": 500, "raw": 500, "ts": None})
    assert after.take(20_000, 2.0, 1_061_000) == (19_500, Step.NORMAL, 500, 20_000)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["total", "raw", "ts"]), inner),
    )
)
def test_what_cannot_have_been_stored_changes_nothing(stored: Any) -> None:
    counter = Counter(Range(100, inf))
    counter.take(10, 0.0, None)
    counter.take(12, 1.0, None)
    counter.restore(stored)
    assert counter.total >= 2
