"""The example of a shop's entrance, as it stands: levels, signs, a silent door, a person who has counted, mistakes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from test_hub import T0

import drivers
from gateway.config.load import load
from gateway.config.schema import Config
from gateway.errors import ConfigError
from gateway.hub.decide import Hub
from gateway.hub.plan import plan_of
from gateway.model import (
    Adjust,
    Command,
    Decision,
    Fact,
    Json,
    Moment,
    Reading,
    Reason,
    Recovered,
    Reply,
    Row,
    Status,
    StatusQuery,
    Stored,
    Tick,
    Trust,
)

EXAMPLE = Path(__file__).parent.parent / "config" / "store-entrance.yaml"
CAPACITY = 150


def config(text: str, folder: Path) -> Config:
    file = folder / "store.yaml"
    file.write_text(text, encoding="utf-8")
    return load(file, find_driver=drivers.find, profile_folders=(drivers.profile_folder(),))


class Shop:
    """The hub of the example, stepped; the doors say what a real counter and real beams would."""

    def __init__(self, folder: Path, stored: dict[str, str] | None = None, at: float = 1000.0) -> None:
        self.mono = at
        self.hub = Hub(plan_of(config(EXAMPLE.read_text(encoding="utf-8"), folder), "run1"), self.now)
        self.stored = dict(stored or {})
        self.outputs: dict[str, Any] = {}
        self.came, self.left = 60_000, 40
        self.tell(Recovered("kept", None, self.stored))

    @property
    def now(self) -> Moment:
        return Moment(self.mono, T0 + int(self.mono * 1000), Trust.SYNCED)

    def tell(self, fact: Fact) -> Decision:
        decision = self.hub.handle(fact, self.now)
        self.outputs |= {it.device: it.value for it in decision.writes if not isinstance(it, Adjust)}
        self.stored |= {change.key: change.text for change in decision.state if change.text is not None}
        return decision

    def say(self, device: str, **values: Any) -> None:
        self.tell(Reading(device, self.mono, self.now.ts, values, {}))

    def people(self, came: int = 0, left: int = 0) -> None:
        """So many pass the main entrance, one after the other, each two seconds; the side door is quiet."""
        for way in "+" * came + "-" * left:
            self.came = (self.came + (way == "+")) % 65_536
            self.left += way == "-"
            self.wait(2)
            self.say("door-1", people_in=self.came, people_out=self.left, people=0)

    def doors(self) -> None:
        self.say("door-1", people_in=self.came, people_out=self.left, people=0)
        self.say("door-2", passages_in=0, passages_out=0, beams="normal")

    def wait(self, for_s: float) -> None:
        until = self.mono + for_s
        while self.hub.wake <= until:
            self.mono = max(self.mono, self.hub.wake)
            self.tell(Tick())
        self.mono = until

    def count(self, people: int) -> Reply:
        args: dict[str, Json] = {"device": "shop", "value": people, "reason": "counted"}
        command = Command(f"c{self.mono}", "set_occupancy", args, "Ada", "platform", None, lambda _: None)
        asked = self.tell(command)
        stored = self.tell(Stored(tuple(Row(0, "run1", record) for record in asked.records)))
        ((_, reply),) = asked.then(stored).replies
        return reply

    def status(self) -> Status:
        answers: list[Status] = []
        self.tell(StatusQuery(answers.append))
        return answers[0]

    def point(self, name: str) -> Any:
        return next(it.value for it in self.status().points if (it.device, it.point) == ("shop", name))

    @property
    def alarms(self) -> set[str]:
        """Those of the rules: nobody says anything of the other devices here."""
        return {it.alarm for it in self.status().alarms if it.rule and it.state.value.endswith("active")}


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A shop that is open, with both doors heard, in which nobody is."""
    shop = Shop(tmp_path)
    shop.doors()
    assert shop.count(0).result == "done"
    return shop


def test_the_signs_go_on_as_the_shop_fills_and_off_when_there_is_room(shop: Shop) -> None:
    assert shop.point("capacity") == CAPACITY
    shop.people(106)
    shop.wait(10)
    assert shop.alarms == {"busy"}
    shop.people(22)
    shop.wait(10)
    assert shop.alarms == {"busy", "crowded"}
    assert shop.outputs == {"way-sign": "on"}
    shop.people(22)
    shop.wait(10)
    assert shop.alarms == {"busy", "crowded", "full"}
    assert shop.outputs["wait-sign"] == "on"
    shop.people(0, 8)
    shop.wait(70)
    assert "full" not in shop.alarms
    assert (shop.outputs["way-sign"], shop.outputs["wait-sign"]) == ("on", "off")


def test_who_comes_and_goes_at_the_limit_makes_one_alarm(shop: Shop) -> None:
    shop.people(150)
    shop.wait(10)
    for _ in range(20):
        shop.people(0, 3)
        shop.people(3)
        assert "full" in shop.alarms


def test_a_door_that_is_crowded_for_a_minute_is_an_alarm_though_the_shop_is_not_full(shop: Shop) -> None:
    """The side door is 0.9 m wide: 80 % of 73.8 people a minute."""
    for second in range(125):
        shop.wait(1)
        shop.say("door-2", passages_in=second, passages_out=second // 2, beams="normal")
    assert shop.alarms == {"door-crowded@shop.door-2_crowding"}
    assert shop.outputs["way-sign"] == "on"


def test_a_full_shop_stays_full_while_a_door_is_silent(shop: Shop) -> None:
    shop.people(150)
    shop.wait(10)
    names = ("passages_in", "passages_out", "in_total", "out_total", "in_1min", "out_1min", "beams")
    shop.tell(Reading("door-2", shop.mono, shop.now.ts, {}, dict.fromkeys(names, Reason.LINK_DOWN)))
    shop.people(0, 100)
    shop.wait(601)
    assert {"full", "not-sure"} <= shop.alarms
    assert shop.outputs["wait-sign"] == "on"
    assert shop.count(50).result == "done"
    shop.wait(70)
    assert "full" not in shop.alarms


def test_a_restart_keeps_who_is_inside_over_the_roll_over_of_the_counter(shop: Shop, tmp_path: Path) -> None:
    shop.came = 65_500
    shop.doors()
    shop.doors()
    assert shop.count(0).result == "done"
    shop.people(120)
    again = Shop(tmp_path, shop.stored, shop.mono + 60)
    again.came, again.left = (shop.came + 4) % 65_536, shop.left + 1
    again.doors()
    again.wait(2)
    assert again.point("occupancy") == 123
    assert again.point("quality") == "uncertain"
    assert again.point("quality_reason") == "door-2 did not count while the gateway was off"


def leaves(stored: Any) -> list[Any]:
    """All values in there."""
    if isinstance(stored, dict):
        return [leaf for each in stored.values() for leaf in leaves(each)]
    return [leaf for each in stored for leaf in leaves(each)] if isinstance(stored, list) else [stored]


def test_nothing_but_counts_is_stored_of_anybody(shop: Shop) -> None:
    """However many have passed: a few whole numbers for each door and the zone, and no list that grows with people."""
    shop.people(5, 2)
    kept = {name: json.loads(shop.stored[f"derived/{name}"]) for name in ("door-1", "door-2", "shop")}
    few = {name: len(leaves(each)) for name, each in kept.items()}
    assert all(leaf is None or type(leaf) is int for leaf in leaves(kept))
    shop.people(60, 30)
    again = {name: len(leaves(json.loads(shop.stored[f"derived/{name}"]))) for name in kept}
    assert again == few


@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        ("door-2: {width: 0.9}", "door-3: {width: 0.9}", "doors: there is no device 'door-3'; there is door-1, door-2"),
        ("door-2: {width: 0.9}", "bell: {width: 0.9}", "doors: bell has no total of people in and people out"),
        ("door-2: {width: 0.9}", "door-2: {widht: 0.9}", "widht"),
        ("door-2: {width: 0.9}", "door-2: {width: 90}", "width: from 0.4 to 50 metres, not 90"),
        ("    density: 0.6 # people per m²\n", "", "density: people a square metre go with an area"),
        ("    area: 250 # m²", "    capacity: 100\n    area: 250", "capacity: goes without area, density and exits"),
        ("exits: [1.8, 0.9, 0.9]", "exits: [180]", "exits: each from 0.4 to 50 metres"),
        ("evacuation: 150s", "evacuation: 1s", "evacuation: from 10s to 1h, not 1"),
        ("day_begins: 04:00", "day_begins: 4 am", "day_begins: a time as 04:00, or \"never\", not '4 am'"),
        ("open: [mon-sat 08:00-21:00]", "open: [workdays]", "open: write days and times as in mon-fri 06:00-22:00"),
    ],
)
def test_a_mistake_is_told_in_words(tmp_path: Path, right: str, wrong: str, told: str) -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    assert right in text
    with pytest.raises(ConfigError) as caught:
        config(text.replace(right, wrong), tmp_path)
    assert any(told in problem for problem in caught.value.problems), caught.value.problems
