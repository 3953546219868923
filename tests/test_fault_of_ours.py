"""An error of ours in the hub: the daemon ends in order, and no output stays on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import tzinfo
from pathlib import Path
from queue import SimpleQueue

import pytest
from coil_board import CoilBoard, write_profile
from gpiozero import Device

import drivers
from drivers.contact import Contact
from gateway.app import Gateway
from gateway.config.installed import read_config
from gateway.config.load import load
from gateway.derive.derivation import Derivation, Outcome
from gateway.driver import Driver
from gateway.links.gpio import mock_pin
from gateway.model import Moment, Reading

CONFIG = """
site: {{id: dc3}}
gateway: {{id: gw1}}
links:
  bus1: {{type: serial, port: {port}, baudrate: 115200}}
  gpio: {{type: gpio, factory: mock}}
devices:
  board: {{driver: modbus, link: bus1, unit: 1, profile: board, outputs: [siren, lamp], every: 1s, zone: hall}}
  horn: {{driver: relay, link: gpio, pin: 22, zone: hall}}
  flood: {{driver: contact, link: gpio, pin: 17, hold: 0s, zone: hall}}
  buggy: {{driver: buggy, link: gpio, pin: 27, hold: 0s, zone: hall}}
rules:
  flood: {{point: flood.contact, equals: "on", priority: high, response: evacuate}}
responses:
  evacuate: {{set: {{board.siren: "on", horn: "on"}}}}
"""


class Bug(Derivation):
    """A mistake in our own code, which shows when a contact closes."""

    def take(self, reading: Reading, now: Moment) -> Outcome:
        if reading.values.get("contact") == "on":
            raise RuntimeError("a mistake of ours")
        return Outcome()


class Buggy(Contact):
    def derivation(self, timezone: tzinfo) -> Bug:  # type: ignore[override]  # a contact has none or counts openings
        return Bug()


def find(name: str) -> type[Driver]:
    return Buggy if name == "buggy" else drivers.find(name)


def wait_for(what: Callable[[], object], why: str, within_s: float = 15.0) -> None:
    until = time.monotonic() + within_s
    while not what():
        assert time.monotonic() < until, f"not within {within_s:g} s: {why}"


@pytest.fixture
def pins() -> Iterator[None]:
    Device.pin_factory = None
    for number in (17, 27):
        mock_pin(number).wire(high=True)
    yield
    Device.pin_factory.close()
    Device.pin_factory = None


@pytest.mark.usefixtures("pins")
def test_an_error_of_ours_leaves_no_output_on(tmp_path: Path) -> None:
    write_profile(tmp_path)
    with CoilBoard(tmp_path) as board:
        path = tmp_path / "sitewarden.yaml"
        path.write_text(CONFIG.format(port=board.path))
        gateway = Gateway(load(path, find_driver=find, profile_folders=(drivers.profile_folder(),)), tmp_path / "state")
        failed = SimpleQueue[str]()
        gateway.start(failed.put)
        try:
            wait_for(lambda: mock_pin(22).function == "output", "the link is open")
            mock_pin(17).wire(high=False)
            wait_for(lambda: board.is_on("siren") and mock_pin(22).state, "the alarm has switched both")
            mock_pin(27).wire(high=False)
            assert "hub" in failed.get(timeout=10), "what ends the daemon"
            mock_pin(22).clear_states()
        finally:
            gateway.stop()
        assert not board.is_on("siren")
        assert not mock_pin(22).states[-1].state


def test_a_link_that_has_left_costs_the_hub_nothing_that_wants_to_write_to_it(tmp_path: Path) -> None:
    """Between the moment at which a link leaves by a reload and the one at which the hub hears of that."""
    write_profile(tmp_path)
    path = tmp_path / "sitewarden.yaml"
    path.write_text(CONFIG.format(port="/dev/null").replace("driver: buggy", "driver: contact"))
    gateway = Gateway(replace(read_config(path), links={}), tmp_path / "state")
    failed = SimpleQueue[str]()
    gateway.start(failed.put)
    try:
        now = gateway._clock.now()
        gateway._hub.post(Reading("flood", now.mono, now.ts, {"contact": "on"}, {}))
        wait_for(lambda: gateway.status().outputs["board.siren"] == "on", "the hub goes on")
        assert failed.empty()
    finally:
        gateway.stop()
