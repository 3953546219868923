"""A device that is made of others falls silent with them: one alarm, of what is really missing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from test_hub import T0

import drivers
from gateway.config.load import load
from gateway.hub.decide import Hub
from gateway.hub.plan import plan_of
from gateway.model import Lane, LinkBack, LinkLost, Moment, Reading, Reason, Recovered, Tick, Trust

SITE = """\
site: {id: s, name: S}
gateway: {id: g}
links: {bus1: {type: serial, port: /dev/ttyUSB0}}
devices:
  fridge: {driver: modbus, link: bus1, unit: 1, profile: xy-md02, every: 10s, zone: shop}
  wall: {driver: modbus, link: bus1, unit: 2, profile: xy-md02, every: 10s, zone: shop}
  air: {driver: climate, zone: shop, of: fridge, surface: wall.temperature}
rules:
  dew: {point: air.dew_point, above: 8}
"""
OF_FRIDGE = "  warm: {point: fridge.temperature, above: 8}\n"
OF_WALL = "  cold: {point: wall.temperature, above: 8}\n"


class Site:
    """The hub of that site; each device that is heard says the same every ten seconds."""

    def __init__(self, tmp_path: Path, more: str) -> None:
        file = tmp_path / "site.yaml"
        file.write_text(SITE + more, encoding="utf-8")
        found = load(file, find_driver=drivers.find, profile_folders=(drivers.profile_folder(),))
        self.mono, self.raised = 1000.0, list[str]()
        self.hub = Hub(plan_of(found, "run1", "boot"), self.now)
        for fact in (Recovered("kept", None, {}), LinkBack("bus1", 0.0)):
            self.tell(fact)

    @property
    def now(self) -> Moment:
        return Moment(self.mono, T0 + round(self.mono * 1000), Trust.SYNCED)

    def tell(self, fact: Recovered | LinkBack | LinkLost | Reading | Tick) -> None:
        for record in self.hub.handle(fact, self.now).records:
            said = json.loads(record.text) if record.lane is Lane.EVENT else {}
            if said.get("change") == "raised":
                self.raised.append(said["alarm"])

    def live(self, seconds: int, *heard: str, bad: Reason | None = None) -> None:
        for _ in range(seconds // 10):
            self.mono += 10
            for name in ("fridge", "wall"):
                values = {"temperature": 4.0, "humidity": 50.0} if name in heard else {}
                reasons = {} if values or bad is None else {"temperature": bad, "humidity": bad}
                self.tell(Reading(name, self.mono, self.now.ts, values, reasons))
            self.tell(Tick())


def test_a_line_that_is_down_is_one_alarm_of_all_that_is_made_of_it(tmp_path: Path) -> None:
    site = Site(tmp_path, OF_FRIDGE)
    site.live(60, "fridge", "wall")
    site.tell(LinkLost("bus1", "gone", "look"))
    site.live(300, bad=Reason.LINK_DOWN)
    assert site.raised == ["link-down@bus1"]


@pytest.mark.parametrize("bad", [Reason.NO_REPLY, None])
def test_a_device_that_is_silent_is_one_alarm_with_what_is_made_of_it(tmp_path: Path, bad: Reason | None) -> None:
    site = Site(tmp_path, OF_FRIDGE)
    site.live(60, "fridge", "wall")
    site.live(300, "wall", bad=bad)
    assert site.raised == ["no-data@fridge"]


@pytest.mark.parametrize("more", ["", OF_WALL])
def test_where_no_rule_is_on_the_source_what_is_made_of_it_tells(tmp_path: Path, more: str) -> None:
    site = Site(tmp_path, more)
    site.live(60, "fridge", "wall")
    site.live(300, "wall", bad=Reason.NO_REPLY)
    assert site.raised == ["no-data@air"]
