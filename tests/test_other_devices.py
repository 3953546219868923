"""Other devices on an open link: who leaves, who comes, and who does not notice. Over a real wire."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from link_scene import DAY_S, Siren, Thermometer, device, polling, serial_line
from modbus_responder import RtuDevices, rtu

from gateway.model import LinkBack, Reading, Write

WITHIN_S = 5.0
OFF, ON = rtu(20, bytes.fromhex("0500070000")), rtu(20, bytes.fromhex("050007FF00"))


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[RtuDevices]:
    with RtuDevices(tmp_path) as devices:
        yield devices


def test_an_output_that_leaves_is_left_at_its_safe_value(bus: RtuDevices) -> None:
    siren, cold, done = device("siren", Siren(20), DAY_S), device("cold", Thermometer(1), DAY_S), threading.Event()
    with polling(serial_line(bus.path), siren, cold) as told:
        told.good("cold")
        told.poller.post(Write("bus1", "siren", "output", "on"))
        told.first(lambda fact: isinstance(fact, Reading) and fact.values == {"output": "on"})
        told.poller.change([cold], done.set)
        assert done.wait(WITHIN_S)
        assert [frame for _, frame in bus.asked][-2:] == [ON, OFF]
    assert [frame for _, frame in bus.asked].count(OFF) == 2, "as it opened and as it left; not as the poller stopped"


def test_an_output_that_stays_is_not_touched_and_who_comes_is_asked_at_once(bus: RtuDevices) -> None:
    siren, cold = device("siren", Siren(20), DAY_S), device("cold", Thermometer(1), DAY_S)
    with polling(serial_line(bus.path), siren) as told:
        told.next(LinkBack)
        told.poller.post(Write("bus1", "siren", "output", "on"))
        told.first(lambda fact: isinstance(fact, Reading) and fact.values == {"output": "on"})
        told.poller.change([siren, cold], lambda: None)
        told.good("cold")
        assert [frame for _, frame in bus.asked].count(OFF) == 1, "as it opened"
        assert len([fact for fact in told.all() if isinstance(fact, LinkBack)]) == 1, "the link was not opened anew"
