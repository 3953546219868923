"""Light beams on pins: through the real link on simulated pins, and options that cannot be."""

from __future__ import annotations

import time
from collections.abc import Iterator
from threading import Event
from typing import Any

import pytest

from drivers.beam_pair import BeamPair, BeamPairOptions
from gateway.config.schema import GpioLink
from gateway.derive.beams import ORDER_S
from gateway.driver import Edge, Heard
from gateway.links.gpio import GpioHeader, mock_pin
from gateway.model import Bad, Reason

OUTER, INNER = 5, 6
HOLD_S = 0.02
FAULT = {**dict.fromkeys(("passages_in", "passages_out"), Bad(Reason.SENSOR_FAULT)), "beams": "fault"}


class Door:
    """Two beams on a header; the circuits are closed while the beams are free."""

    def __init__(self) -> None:
        self.driver = BeamPair(BeamPairOptions(OUTER, INNER, hold=HOLD_S))
        for pin in (OUTER, INNER):
            mock_pin(pin).wire(high=False)
        self.header = GpioHeader(
            "gpio", GpioLink(type="gpio", factory="mock"), [(use, 60.0) for use in self.driver.pins]
        )
        self.header.open()
        self.counts = dict[str, Any]()
        self.look()

    def look(self, for_s: float = 0.0) -> None:
        """What the link hears in that time, told to the driver."""
        until = time.monotonic() + for_s
        while True:
            for heard in self.header.wait(until):
                for values in self.driver.hear(heard):
                    self.counts = dict(values)
            if time.monotonic() >= until:
                return

    def breaks(self, pin: int, *, broken: bool) -> None:
        mock_pin(pin).wire(high=broken)


def busy(for_s: float) -> None:
    """The link's thread does not come to hear anything."""
    Event().wait(for_s)


@pytest.fixture
def door() -> Iterator[Door]:
    door = Door()
    yield door
    door.header.close()


def test_somebody_walks_through_real_pins_and_back(door: Door) -> None:
    for first, second in ((OUTER, INNER), (INNER, OUTER)):
        for pin, broken in ((first, True), (second, True), (first, False), (second, False)):
            door.breaks(pin, broken=broken)
            door.look(HOLD_S * 1.5)
        door.look(HOLD_S * 2)
    assert door.counts == {"passages_in": 1, "passages_out": 1, "beams": "normal"}


def test_the_order_of_the_beams_is_kept_when_the_link_was_busy(door: Door) -> None:
    """Both beams are heard of at once, after the link did something else for a while."""
    for first, second, broken in ((INNER, OUTER, True), (INNER, OUTER, False)):
        door.breaks(first, broken=broken)
        busy(ORDER_S * 2)
        door.breaks(second, broken=broken)
        busy(HOLD_S * 1.5)
        door.look()
    assert door.counts == {"passages_in": 0, "passages_out": 1, "beams": "normal"}


def test_an_insect_is_nobody(door: Door) -> None:
    """A beam that is broken for less than `hold` was not broken."""
    for pin in (OUTER, INNER):
        door.breaks(pin, broken=True)
    for pin in (OUTER, INNER):
        door.breaks(pin, broken=False)
    door.look(HOLD_S * 3)
    assert door.counts == {"passages_in": 0, "passages_out": 0, "beams": "normal"}


def said(driver: BeamPair, pin: int, mono: float, *, high: bool, chatters: bool = False) -> list[Any]:
    return list(driver.hear(Heard(Edge(pin, high, chatters), mono)))


def test_a_cut_wire_is_a_fault_and_nobody() -> None:
    """Circuits are closed at rest: an open one is a beam that stays broken."""
    driver = BeamPair(BeamPairOptions(OUTER, INNER))
    said(driver, OUTER, 0.0, high=False)
    said(driver, INNER, 0.0, high=False)
    assert said(driver, OUTER, 1.0, high=True) == []
    assert said(driver, OUTER, 35.0, high=True) == [FAULT]


def test_a_receiver_that_flutters_is_a_fault() -> None:
    driver = BeamPair(BeamPairOptions(OUTER, INNER))
    said(driver, OUTER, 0.0, high=False)
    said(driver, INNER, 0.0, high=False)
    assert said(driver, INNER, 1.0, high=True, chatters=True) == [FAULT]
    assert said(driver, INNER, 9.0, high=False)[-1]["beams"] == "normal"


def test_nobody_is_counted_while_a_receiver_flutters() -> None:
    driver = BeamPair(BeamPairOptions(OUTER, INNER))
    for pin in (OUTER, INNER):
        said(driver, pin, 0.0, high=False)
    for pin, mono, high in ((OUTER, 1.0, True), (INNER, 1.1, True), (OUTER, 1.2, False), (INNER, 1.3, False)):
        said(driver, pin, mono, high=high, chatters=pin == INNER)
    assert said(driver, INNER, 9.0, high=False)[-1] == {"passages_in": 0, "passages_out": 0, "beams": "normal"}


def test_who_stands_between_the_beams_at_the_start_was_not_seen_coming() -> None:
    driver = BeamPair(BeamPairOptions(OUTER, INNER))
    for pin, mono, high in ((OUTER, 0.0, True), (INNER, 0.0, True), (OUTER, 1.0, False), (INNER, 1.2, False)):
        last = said(driver, pin, mono, high=high)
    assert last == []
    assert said(driver, INNER, 5.0, high=False) == [{"passages_in": 0, "passages_out": 0, "beams": "normal"}]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"outer": 28, "inner": 6}, "outer: a BCM number from 2 to 27, not 28"),
        ({"outer": 5, "inner": -1}, "inner: a BCM number from 2 to 27, not -1"),
        ({"outer": 5, "inner": 5}, "inner: each beam has a pin of its own, and 5 is the outer one's"),
        ({"outer": 5, "inner": 6, "hold": 0.5}, "hold: from 0s to 100ms"),
        ({"outer": 5, "inner": 6, "gap": 3.0}, "gap: from 0s to 2s"),
        ({"outer": 5, "inner": 6, "blocked": 1.0}, "blocked: from 2s to 1h"),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        BeamPairOptions(**options)
