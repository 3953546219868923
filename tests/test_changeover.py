"""A changeover contact: what its two circuits mean, and faults that one circuit alone cannot tell."""

from __future__ import annotations

import pickle
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.changeover import Changeover, ChangeoverOptions
from gateway.driver import Edge, Heard, PinUse, Pull
from gateway.model import Bad, Reason

REST, ACTIVE = 17, 27
FAULT = Bad(Reason.SENSOR_FAULT)


def contact(**options: Any) -> Changeover:
    driver: Changeover = pickle.loads(pickle.dumps(Changeover(ChangeoverOptions(REST, ACTIVE, **options))))
    return driver


def says(driver: Changeover, mono: float, **closed: bool) -> list[Any]:
    """What it says as its circuits are read: closed means low, with the pull up."""
    pins = {"rest": REST, "active": ACTIVE}
    told = [driver.hear(Heard(Edge(pins[name], not value), mono)) for name, value in closed.items()]
    return [value for readings in told for values in readings for value in values.values()]


@pytest.mark.parametrize(
    ("kind", "at_rest", "active"), [("smoke", "normal", "alarm"), ("contact", "off", "on"), ("door", "closed", "open")]
)
@pytest.mark.parametrize(("pull", "closed_is_high"), [("up", False), ("none", False), ("down", True)])
def test_a_level_means_what_the_wiring_says(
    pull: Literal["up", "down", "none"],
    closed_is_high: bool,
    kind: Literal["contact", "smoke", "door"],
    at_rest: str,
    active: str,
) -> None:
    driver = contact(kind=kind, pull=pull)
    assert driver.pins == (PinUse(REST, pull=Pull(pull), hold_s=0.02), PinUse(ACTIVE, pull=Pull(pull), hold_s=0.02))
    for rest_closed, word in ((True, at_rest), (False, active)):
        driver.opened()
        list(driver.hear(Heard(Edge(REST, rest_closed is closed_is_high), 0.0)))
        (values,) = driver.hear(Heard(Edge(ACTIVE, rest_closed is not closed_is_high), 0.0))
        assert values == {kind: word}


def test_one_circuit_alone_says_nothing_yet() -> None:
    assert says(contact(), 0.0, rest=True) == []


@pytest.mark.parametrize("both", [True, False])
def test_a_cut_and_a_shorted_wire_are_faults_after_the_time_of_travel_and_no_state(both: bool) -> None:
    driver = contact(kind="smoke")
    assert says(driver, 0.0, rest=True, active=False) == ["normal"]
    assert says(driver, 10.0, rest=both, active=both) == []
    assert says(driver, 10.9, rest=both, active=both) == []
    assert says(driver, 11.0, rest=both, active=both) == [FAULT]
    assert says(driver, 12.0, rest=True, active=False)[-1] == "normal"


def test_each_travel_has_its_own_time() -> None:
    driver = contact(kind="smoke")
    says(driver, 0.0, rest=True, active=False)
    assert says(driver, 10.0, rest=False, active=False) == []
    assert says(driver, 10.5, rest=True)[-1] == "normal"
    assert says(driver, 11.2, rest=False) == []
    assert says(driver, 12.2, active=False) == [FAULT]


def test_an_alarm_is_told_as_soon_as_both_circuits_say_so() -> None:
    driver = contact(kind="smoke")
    says(driver, 0.0, rest=True, active=False)
    assert says(driver, 1.0, rest=False) == []
    assert says(driver, 1.004, active=True) == ["alarm"]


def test_a_gate_is_open_while_it_moves_and_a_fault_when_it_never_arrives() -> None:
    gate = contact(kind="door", travel=30.0)
    assert says(gate, 0.0, rest=True, active=False) == ["closed"]
    assert says(gate, 5.0, rest=False) == ["open"]
    assert says(gate, 34.9, active=False) == ["open"]
    assert says(gate, 35.0, active=False) == [FAULT]
    assert says(gate, 40.0, rest=True) == ["closed"]


def test_a_circuit_that_chatters_is_a_fault() -> None:
    driver = contact()
    says(driver, 0.0, rest=True, active=False)
    list(driver.hear(Heard(Edge(REST, high=False, chatters=True), 1.0)))
    assert says(driver, 1.0, active=False) == [FAULT]
    assert says(driver, 3.0, rest=True, active=False) == ["off"]


@given(st.lists(st.tuples(st.floats(0, 5), st.sampled_from([REST, ACTIVE, 4]), st.booleans(), st.booleans())))
def test_whatever_the_pins_do_it_says_a_word_or_a_fault_and_no_word_while_they_contradict(
    edges: list[tuple[float, int, bool, bool]],
) -> None:
    driver, mono = contact(kind="smoke"), 0.0
    levels: dict[int, bool] = {}
    for after_s, pin, high, chatters in edges:
        mono += after_s
        levels[pin] = high
        for values in driver.hear(Heard(Edge(pin, high, chatters), mono)):
            assert values["smoke"] in ("normal", "alarm", FAULT)
            if levels.get(REST) == levels.get(ACTIVE):
                assert values["smoke"] == FAULT


@pytest.mark.parametrize(
    "options",
    [
        {"rest": 28},
        {"active": -1},
        {"active": REST},
        {"hold": 11.0},
        {"travel": 6.0},
        {"travel": 121.0, "kind": "door"},
    ],
)
def test_a_contact_that_cannot_be_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"^{next(iter(options))}: "):
        ChangeoverOptions(**{"rest": REST, "active": ACTIVE, **options})


def test_a_gate_has_openings_and_a_detector_has_none() -> None:
    assert [point.name for point in contact(kind="door").points] == ["door", "openings", "open_time", "open_for"]
    assert [point.name for point in contact(kind="smoke").points] == ["smoke"]
    assert contact().claims == ("pin 17", "pin 27")
