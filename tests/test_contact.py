"""Contacts and relays on pins: the truth tables of their docstrings, and options that cannot be."""

from __future__ import annotations

from typing import Any, Literal, get_args, get_type_hints

import pytest

from drivers.contact import Contact, ContactOptions
from drivers.relay import Relay, RelayOptions
from gateway.driver import Edge, Heard, PinUse, Pull, Seconds
from gateway.errors import LinkDown, Refused
from gateway.model import Bad, Reason


class HeldPins:
    """Pins that keep the level they are driven to, but for those that something holds."""

    def __init__(self, held: dict[int, bool] | None = None) -> None:
        self.levels: dict[int, bool] = {}
        self.held = held or {}

    def read(self, pin: int) -> bool:
        return self.held.get(pin, self.levels[pin])

    def write(self, pin: int, high: bool) -> None:
        self.levels[pin] = high


def word(driver: Contact, high: bool) -> Any:
    (values,) = driver.hear(Heard(Edge(17, high), 0.0))
    ((name, value),) = values.items()
    assert name == driver.points[0].name
    return value


TRUTH = [
    # kind, normally, word with the contact closed, word with it open
    ("smoke", "open", "alarm", "normal"),
    ("smoke", "closed", "normal", "alarm"),
    ("contact", "open", "on", "off"),
    ("contact", "closed", "off", "on"),
    ("door", "closed", "closed", "open"),
    ("door", "open", "open", "closed"),
]


@pytest.mark.parametrize("fault_normally", ["closed", "open"])
@pytest.mark.parametrize(
    ("alarm", "fault", "told"),
    [(False, False, "normal"), (False, True, "fault"), (True, False, "alarm"), (True, True, "alarm")],
)
def test_an_alarm_goes_before_the_detectors_own_fault(
    fault_normally: Literal["open", "closed"], alarm: bool, fault: bool, told: str
) -> None:
    driver = Contact(ContactOptions(17, "smoke", fault_pin=18, fault_normally=fault_normally))
    assert [use.pin for use in driver.pins] == [17, 18]
    edges = [Edge(17, not alarm), Edge(18, fault == (fault_normally == "closed"))]
    for order in (edges, edges[::-1]):
        driver.opened()
        said = [values for edge in order for values in driver.hear(Heard(edge, 0.0))]
        assert said[-1] == {"smoke": told}


def test_a_fault_contact_that_says_nothing_is_wrong_does_not_say_that_there_is_no_smoke() -> None:
    driver = Contact(ContactOptions(17, "smoke", fault_pin=18))
    assert list(driver.hear(Heard(Edge(18, False), 0.0))) == []
    assert list(driver.hear(Heard(Edge(18, True), 0.0))) == [{"smoke": "fault"}]
    driver.hear(Heard(Edge(17, True), 0.0))
    assert list(driver.hear(Heard(Edge(17, True, chatters=True), 0.0))) == [{"smoke": Bad(Reason.SENSOR_FAULT)}]
    assert list(driver.hear(Heard(Edge(18, False), 0.0))) == []


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"kind": "door", "fault_pin": 18}, "fault_pin: is of smoke detectors"),
        ({"kind": "smoke", "fault_pin": 28}, "fault_pin: a BCM number from 2 to 27, not 28"),
        ({"kind": "smoke", "fault_pin": 17}, "fault_pin: must be another pin than pin"),
    ],
)
def test_a_fault_contact_that_cannot_be_is_refused(options: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        ContactOptions(17, **options)


@pytest.mark.parametrize(("kind", "normally", "closed", "opened"), TRUTH)
@pytest.mark.parametrize(("pull", "closed_is_high"), [("up", False), ("none", False), ("down", True)])
def test_a_level_means_what_the_wiring_says(
    pull: Literal["up", "down", "none"],
    closed_is_high: bool,
    kind: Literal["contact", "smoke", "door"],
    normally: Literal["open", "closed"],
    closed: str,
    opened: str,
) -> None:
    driver = Contact(ContactOptions(pin=17, kind=kind, pull=pull, normally=normally))
    assert word(driver, closed_is_high) == closed
    assert word(driver, not closed_is_high) == opened


@pytest.mark.parametrize("kind", ["smoke", "contact", "door"])
def test_an_input_that_chatters_is_a_fault_and_no_state(kind: Literal["contact", "smoke", "door"]) -> None:
    (values,) = Contact(ContactOptions(17, kind)).hear(Heard(Edge(17, high=True, chatters=True), 0.0))
    assert values == {kind: Bad(Reason.SENSOR_FAULT)}


@pytest.mark.parametrize(("kind", "same_as"), [("smoke", "open"), ("contact", "open"), ("door", "closed")])
def test_the_resting_state_follows_from_the_kind(
    kind: Literal["contact", "smoke", "door"], same_as: Literal["open", "closed"]
) -> None:
    left_out, written = Contact(ContactOptions(17, kind)), Contact(ContactOptions(17, kind, normally=same_as))
    assert [word(left_out, high) for high in (True, False)] == [word(written, high) for high in (True, False)]


def test_a_cut_wire_of_a_closed_smoke_loop_is_an_alarm() -> None:
    pulled_up = True  # nothing holds the pin down any more
    assert word(Contact(ContactOptions(17, "smoke", normally="closed")), pulled_up) == "alarm"


def test_a_contact_uses_one_pin_with_its_pull_and_hold() -> None:
    driver = Contact(ContactOptions(pin=17, pull="down", hold=0.2))
    assert driver.pins == (PinUse(17, pull=Pull.DOWN, hold_s=0.2),)
    assert driver.claims == ("pin 17",)


def test_hold_is_written_as_a_duration() -> None:
    assert get_args(get_type_hints(ContactOptions, include_extras=True)["hold"])[:2] == get_args(Seconds)


@pytest.mark.parametrize("options", [{"pin": 28}, {"pin": -1}, {"pin": 4, "hold": 11.0}, {"pin": 4, "hold": -0.1}])
def test_a_contact_that_cannot_be_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^(pin|hold): "):
        ContactOptions(**options)


@pytest.mark.parametrize(("active", "on_is_high"), [("high", True), ("low", False)])
def test_a_relay_drives_and_reads_back_its_level(active: Literal["high", "low"], on_is_high: bool) -> None:
    driver, pins = Relay(RelayOptions(21, active)), HeldPins()
    assert driver.write(pins, "output", "on") == {"output": "on"}
    assert pins.levels == {21: on_is_high}
    assert driver.write(pins, "output", "off") == {"output": "off"}
    assert pins.levels == {21: not on_is_high}


@pytest.mark.parametrize("active", ["high", "low"])
def test_a_relay_is_off_when_its_link_opens(active: Literal["high", "low"]) -> None:
    driver, pins = Relay(RelayOptions(21, active)), HeldPins()
    (use,) = driver.pins
    pins.write(use.pin, use.initial_high)
    assert use.output
    driver.write(pins, "output", driver.safe["output"])
    assert pins.levels == {21: use.initial_high}


def test_a_shorted_output_is_reported_as_it_is() -> None:
    assert Relay(RelayOptions(21)).write(HeldPins(held={21: False}), "output", "on") == {"output": "off"}


@pytest.mark.parametrize(("point", "value"), [("output", "maybe"), ("output", True), ("siren", "on")])
def test_a_relay_refuses_what_it_cannot_do_and_drives_nothing(point: str, value: Any) -> None:
    pins = HeldPins()
    with pytest.raises(Refused, match="pin 21"):
        Relay(RelayOptions(21)).write(pins, point, value)
    assert not pins.levels


def test_a_relay_on_a_dead_header_says_so() -> None:
    class DeadPins(HeldPins):
        def write(self, pin: int, high: bool) -> None:
            raise LinkDown("the header is gone")

    with pytest.raises(LinkDown):
        Relay(RelayOptions(21)).write(DeadPins(), "output", "on")


def test_a_relay_beyond_the_header_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^pin: "):
        RelayOptions(40)
