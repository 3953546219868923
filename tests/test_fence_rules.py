"""Rules on fences: a vehicle that leaves, comes, or stands at the border; delays, groups, reload and replay."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from math import degrees
from pathlib import Path

from config_site import SITE, loaded, written

from gateway.cli.check import summary
from gateway.config.schema import Config
from gateway.derive.geo import EARTH_M, Position
from gateway.hub.alarms import Alarms
from gateway.hub.decide import Hub
from gateway.hub.plan import Reconfigured, plan_of
from gateway.model import Command, Json, Moment, Reading, Reason, Recovered, Trust
from gateway.replaying.heard import Heard, reading_of
from gateway.replaying.trial import Before, Trial

DEPOT = "  depot: {name: Our depot, centre: [52.5, 13.4], radius: 100}"
YARD = "  yard: {polygon: [[52.5, 13.4], [52.51, 13.4], [52.51, 13.42], [52.5, 13.42]]}"


def site(folder: Path, *rules: str, fences: Iterable[str] = (DEPOT, YARD)) -> Config:
    """The site of the tests with these fences and rules."""
    before, _, _ = SITE.partition("rules:")
    lines = ["fences:", *fences, "rules:", *(f"  rule-{number}: {rule}" for number, rule in enumerate(rules, 1))]
    return loaded(written(folder, before + "\n".join(lines) + "\n"))


def north(metres: float) -> Position:
    """The place so far to the north of the middle of the depot."""
    return 52.5 + degrees(metres / EARTH_M), 13.4


class Driven:
    """The alarms of a site, told where its lorry is."""

    def __init__(self, config: Config) -> None:
        plan = plan_of(config, "run")
        self.alarms = Alarms(plan.rules, plan.responses, Moment(0.0, 0, Trust.SYNCED))
        self.mono = 0.0

    def at(self, position: Position | Reason, seconds: float = 1.0, **more: float) -> list[str]:
        """What changes when so much later it is there."""
        self.mono += seconds
        bad = {"position": position} if isinstance(position, Reason) else {}
        good = {"position": position} if isinstance(position, tuple) else {}
        reading = Reading("gps-1", self.mono, 0, {**good, **more}, bad)
        elapsed = self.alarms.elapse(Moment(self.mono, 0, Trust.SYNCED))
        return [f"{it.view.alarm} {it.change}" for it in (*elapsed, *self.alarms.take(reading))]


LEFT = "{point: gps-1.position, outside: depot, for: 0s, clear_for: 0s}"
CAME = "{point: gps-1.position, inside: depot, for: 0s, clear_for: 0s}"


def test_a_vehicle_has_left_when_it_is_well_outside_and_is_back_when_it_is_well_inside(tmp_path: Path) -> None:
    lorry = Driven(site(tmp_path, LEFT))
    told = [lorry.at(north(metres)) for metres in (0, 105, 135, 145, 120, 95, 85)]
    assert told == [[], [], [], ["rule-1 raised"], [], [], ["rule-1 cleared"]]


def test_a_vehicle_has_come_when_it_is_well_inside_and_is_gone_when_it_is_well_outside(tmp_path: Path) -> None:
    lorry = Driven(site(tmp_path, CAME))
    told = [lorry.at(north(metres)) for metres in (200, 95, 85, 105, 135, 145)]
    assert told == [[], [], ["rule-1 raised"], [], [], ["rule-1 cleared"]]


def test_a_rule_on_a_fence_waits_for_half_a_minute_unless_it_says_otherwise(tmp_path: Path) -> None:
    lorry = Driven(site(tmp_path, "{point: gps-1.position, outside: depot}"))
    assert [lorry.at(north(200)) for _ in range(31)] == [[]] * 30 + [["rule-1 raised"]]
    assert lorry.at(north(0)) == [], "one position that jumps is no return"
    assert [lorry.at(north(200)), *(lorry.at(north(0)) for _ in range(31))] == [[]] * 31 + [["rule-1 cleared"]]


def test_without_a_position_a_vehicle_is_where_it_was(tmp_path: Path) -> None:
    lorry = Driven(site(tmp_path, LEFT))
    assert lorry.at(north(500)) == ["rule-1 raised"]
    assert [lorry.at(Reason.NO_FIX, 100.0) for _ in range(3)] == [[], [], []]
    assert lorry.at(north(0)) == ["rule-1 cleared"]


def test_a_stop_in_the_wrong_place_is_one_alarm_of_several_conditions(tmp_path: Path) -> None:
    rule = (
        "{all_of: [{point: gps-1.speed, below: 0.6}, {point: gps-1.position, outside: depot},"
        " {point: gps-1.position, outside: yard}], for: 0s, clear_for: 0s}"
    )
    lorry = Driven(site(tmp_path, rule))
    assert lorry.at(north(0), speed=0.0) == []
    assert lorry.at((52.505, 13.41), speed=0.0) == [], "in the yard"
    assert lorry.at((52.0, 13.41), speed=20.0) == []
    assert lorry.at((52.0, 13.41), speed=0.1) == ["rule-1 raised"]
    assert lorry.at((52.505, 13.41), speed=0.1) == ["rule-1 cleared"]


def test_all_positions_of_a_zone_can_be_meant(tmp_path: Path) -> None:
    lorry = Driven(site(tmp_path, "{kind: position, zone: truck, outside: depot, for: 0s}"))
    assert lorry.at(north(500)) == ["rule-1@gps-1.position raised"]


def test_it_is_told_in_words(tmp_path: Path) -> None:
    config = site(tmp_path, LEFT, "{point: gps-1.position, inside: yard, priority: low}")
    text = "\n".join(summary(config))
    assert "medium alarm when gps-1.position is outside of depot" in text
    assert "low alarm when gps-1.position is inside of yard for 30s, until 30s after that has ended" in text
    rules = next(it for it in plan_of(config, "run").about.devices if it.device == "gps-1").rules
    assert [rule.condition for rule in rules] == ["outside of Our depot", "inside of yard"]


def hub_events(config: Config, *places: Position) -> tuple[Hub, list[str]]:
    hub = Hub(plan_of(config, "run"), Moment(0.0, 0, Trust.SYNCED))
    hub.handle(Recovered("kept", None, {}), Moment(0.0, 0, Trust.SYNCED))
    told = []
    for number, place in enumerate(places, 1):
        reading = Reading("gps-1", float(number), 0, {"position": place, "speed": 3.0}, {})
        decision = hub.handle(reading, Moment(float(number), number * 1000, Trust.SYNCED))
        told += [record.text for record in decision.records]
    return hub, told


def test_a_fence_that_was_moved_is_judged_anew_after_a_reload(tmp_path: Path) -> None:
    before = site(tmp_path, LEFT)
    hub, told = hub_events(before, north(500))
    assert any('"change":"raised"' in text and '"value":[52.50' in text for text in told)
    moved = site(tmp_path, LEFT, fences=("  depot: {centre: [52.5045, 13.4], radius: 100}",))
    command = Command("1", "reload", {}, "maria", "local", None, print)
    now = Moment(10.0, 10_000, Trust.SYNCED)
    hub.handle(Reconfigured(plan_of(moved, "run"), command, (), frozenset(), frozenset()), now)
    reading = Reading("gps-1", 11.0, 0, {"position": north(500), "speed": 3.0}, {})
    decision = hub.handle(reading, now._replace(mono=11.0))
    assert any('"change":"cleared"' in record.text for record in decision.records)


def test_the_past_is_judged_by_another_fence_as_by_the_first(tmp_path: Path) -> None:
    records: list[Json] = [
        {"device": "gps-1", "values": {"position": list(north(metres)), "speed": 3.0}}
        for metres in (0, 50, 145, 600, 600, 0)
    ]
    readings = [reading_of(record, 10.0 * number, 10_000 * number) for number, record in enumerate(records, 1)]
    found = []
    for radius in (100, 300):
        fence = f"  depot: {{centre: [52.5, 13.4], radius: {radius}}}"
        config = site(tmp_path, LEFT, fences=(fence,))
        trial = Trial(config, Before(0))
        trial.take(Heard(1, "aa11", Trust.SYNCED, [reading for reading in readings if reading is not None]))
        trial.end()
        found += [(it.began, it.ended) for it in trial.history.courses["rule-1"].all()]
    assert found == [(30_000, 60_000), (40_000, 60_000)]


def test_disabled_devices_leave_nothing_of_a_fence(tmp_path: Path) -> None:
    config = site(tmp_path, LEFT)
    assert replace(config, hash="") != replace(site(tmp_path, LEFT, fences=(DEPOT,)), hash=""), "fences are contents"
    assert config.hash != site(tmp_path, LEFT, fences=(DEPOT,)).hash
