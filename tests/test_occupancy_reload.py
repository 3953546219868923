"""A running gateway that is told another time zone: days begin by the new clock, and who is inside still is."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import drivers
from gateway.config.difference import difference, marks
from gateway.config.load import load
from gateway.config.schema import Config
from gateway.hub.decide import Hub
from gateway.hub.plan import Reconfigured, plan_of
from gateway.model import Command, Moment, Reading, Recovered, Reply, Status, StatusQuery, Tick, Trust

SITE = """\
site: {id: s, timezone: ZONE}
gateway: {id: g}
links: {gpio: {type: gpio, factory: mock}}
devices:
  door: {driver: beam_pair, link: gpio, outer: 5, inner: 6, zone: shop}
  shop: {driver: occupancy, zone: shop, doors: {door: {}}}
"""
BEGAN = datetime(2026, 3, 10, 9, tzinfo=UTC).timestamp()


def config(folder: Path, zone: str) -> Config:
    file = folder / "site.yaml"
    file.write_text(SITE.replace("ZONE", zone), encoding="utf-8")
    return load(file, find_driver=drivers.find, profile_folders=())


def at(hours: float) -> Moment:
    seconds = hours * 3600
    return Moment(1000 + seconds, round((BEGAN + seconds) * 1000), Trust.SYNCED)


def inside(hub: Hub, now: Moment) -> object:
    answers: list[Status] = []
    hub.handle(StatusQuery(answers.append), now)
    return next(it.value for it in answers[0].points if (it.device, it.point) == ("shop", "occupancy"))


def test_a_new_time_zone_counts_from_the_reload_on(tmp_path: Path) -> None:
    before, now = config(tmp_path, "UTC"), config(tmp_path, "Asia/Shanghai")
    told: list[Reply] = []
    hub = Hub(plan_of(before, "run1", "boot"), at(0))
    hub.handle(Recovered("kept", None, {}), at(0))
    for came in (0, 5):
        reading = Reading("door", at(0).mono, at(0).ts, {"passages_in": came, "passages_out": 0, "beams": "normal"}, {})
        hub.handle(reading, at(0))
    found = difference(before, marks(before), now, marks(now))
    assert found.anew == {"shop"}, "and nothing that has a link"
    command = Command("c1", "reload", {}, "Ada", "local", None, told.append)
    words = found.words, found.anew, frozenset({"gpio"}), frozenset[str]()
    hub.handle(Reconfigured(plan_of(now, "run1", "boot"), command, *words), at(0.01))
    hub.handle(Tick(), at(10.9))
    assert inside(hub, at(10.9)) == 5
    hub.handle(Tick(), at(11.1))  # in Shanghai it is past four
    assert inside(hub, at(11.1)) == 0
