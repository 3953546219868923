"""One alarm on several points: all of them, any of them, or so many."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from config_site import SITE, loaded, written

from gateway.cli.check import summary
from gateway.config.schema import Config
from gateway.hub.alarms import Alarms
from gateway.hub.plan import plan_of
from gateway.model import Moment, Reading, Reason, Trust, Value

SECOND = "  smoke-2: {driver: switch, link: gpio, pin: 27, kind: smoke, zone: hall}\nrules:\n"


def site(tmp_path: Path, rule: str) -> Config:
    """The site of the tests with a second detector of smoke, and this rule alone."""
    before, _, _ = SITE.partition("rules:")
    return loaded(written(tmp_path, f"{before}{SECOND}  fire: {rule}\n"))


class Judged:
    """The alarms of a site, told of readings second by second."""

    def __init__(self, config: Config) -> None:
        plan = plan_of(config, "run")
        self._alarms = Alarms(plan.rules, plan.responses, Moment(0.0, 0, Trust.SYNCED))
        self._mono = 0.0

    def read(self, device: str, **values: Any) -> list[str]:
        """What changes with this reading."""
        self._mono += 1.0
        good: dict[str, Value] = {name: value for name, value in values.items() if not isinstance(value, Reason)}
        bad = {name: value for name, value in values.items() if isinstance(value, Reason)}
        changes = self._alarms.take(Reading(device, self._mono, 0, good, bad))
        about = [changed for changed in changes if changed.view.alarm == "fire"]  # smoke has rules of its own
        return [f"{changed.view.alarm} {changed.change}" for changed in about]


def test_two_detectors_of_a_zone_that_see_smoke_are_one_alarm(tmp_path: Path) -> None:
    judged = Judged(site(tmp_path, "{at_least: 2, of: [{kind: smoke, zone: hall, equals: alarm}]}"))
    assert judged.read("smoke-1", smoke="alarm") == []
    assert judged.read("smoke-2", smoke="normal") == []
    assert judged.read("smoke-2", smoke="alarm") == ["fire raised"]
    assert judged.read("smoke-1", smoke="normal") == ["fire cleared"]


def test_what_is_unknown_neither_raises_nor_clears(tmp_path: Path) -> None:
    judged = Judged(site(tmp_path, "{all_of: [{kind: smoke, equals: alarm}, {point: cold-1.temperature, above: 60}]}"))
    judged.read("smoke-1", smoke="alarm")
    judged.read("smoke-2", smoke="alarm")
    assert judged.read("cold-1", temperature=Reason.NO_REPLY) == []
    assert judged.read("cold-1", temperature=61.0) == ["fire raised"]
    assert judged.read("smoke-1", smoke=Reason.LINK_DOWN) == []
    assert judged.read("smoke-1", smoke="normal") == ["fire cleared"]


def test_each_condition_keeps_its_own_way_back(tmp_path: Path) -> None:
    rule = "{any_of: [{point: cold-1.temperature, above: 8, clear_below: 7}, {point: cold-1.humidity, above: 90}]}"
    judged = Judged(site(tmp_path, rule))
    assert judged.read("cold-1", temperature=8.1, humidity=50.0) == ["fire raised"]
    assert judged.read("cold-1", temperature=7.5, humidity=50.0) == []
    assert judged.read("cold-1", temperature=7.0, humidity=91.0) == []
    assert judged.read("cold-1", temperature=7.5, humidity=90.0) == ["fire cleared"]


def test_a_bad_value_does_not_forget_the_way_back(tmp_path: Path) -> None:
    judged = Judged(site(tmp_path, "{any_of: [{point: cold-1.temperature, above: 8, clear_below: 7}]}"))
    assert judged.read("cold-1", temperature=8.1) == ["fire raised"]
    assert judged.read("cold-1", temperature=Reason.NO_REPLY) == []
    assert judged.read("cold-1", temperature=7.5) == []
    assert judged.read("cold-1", temperature=7.0) == ["fire cleared"]


def test_nor_does_a_restart(tmp_path: Path) -> None:
    now = Moment(0.0, 0, Trust.SYNCED)
    plan = plan_of(site(tmp_path, "{any_of: [{point: cold-1.temperature, above: 8, clear_below: 7}]}"), "run")
    before = Alarms(plan.rules, plan.responses, now)
    (raised,) = before.take(Reading("cold-1", 1.0, 0, {"temperature": 8.1}, {}))
    kept = before.numbered(replace(raised.view, seq=2, run="run"), now)
    after = Alarms(plan.rules, plan.responses, now)
    assert kept.text is not None
    list(after.restore({kept.key: kept.text}, now))
    assert after.take(Reading("cold-1", 2.0, 0, {"temperature": 7.5}, {})) == []
    (cleared,) = after.take(Reading("cold-1", 3.0, 0, {"temperature": 7.0}, {}))
    assert cleared.change == "cleared"


def test_the_delays_are_those_of_the_whole(tmp_path: Path) -> None:
    judged = Judged(site(tmp_path, "{any_of: [{kind: smoke, equals: alarm}], for: 2s}"))
    assert [judged.read("smoke-1", smoke="alarm") for _ in range(3)] == [[], [], ["fire raised"]]


def test_an_alarm_on_several_points_is_shown_at_the_first_and_smoke_makes_it_one_on_smoke(tmp_path: Path) -> None:
    config = site(tmp_path, "{all_of: [{point: cold-1.temperature, above: 60}, {kind: smoke, equals: alarm}]}")
    plan = plan_of(config, "run")
    ((rule, (target,)),) = [each for each in plan.rules if each[0].id == "fire"]
    assert (target.device, target.point, target.kind) == ("cold-1", "temperature", "smoke")
    assert str(rule.condition) == (
        "all of: cold-1.temperature above 60; smoke-1.smoke equals alarm; smoke-2.smoke equals alarm"
    )
    assert {name: watched.points for name, watched in plan.watched.items()} == {
        "cold-1": ("temperature",),
        "smoke-1": ("smoke",),
        "smoke-2": ("smoke",),
    }
    told = {device.device: [(rule.rule, rule.point) for rule in device.rules] for device in plan.about.devices}
    assert ("fire", "smoke") in told["smoke-2"]


def test_check_says_in_words_what_has_to_hold(tmp_path: Path) -> None:
    said = "\n".join(summary(site(tmp_path, "{at_least: 2, of: [{kind: smoke, equals: alarm}], priority: high}")))
    assert "fire: high alarm when at least 2 of this holds: smoke-1.smoke or smoke-2.smoke is alarm\n" in said


def test_a_rule_on_changes_sees_a_slow_rise_within_its_time_and_ends_when_that_has_passed(tmp_path: Path) -> None:
    judged = Judged(site(tmp_path, "{point: cold-1.temperature, changes_faster_than: 5/min}"))
    changes = [judged.read("cold-1", temperature=second / 10) for second in range(60)]
    assert changes.index(["fire raised"]) == 51
    calm = [judged.read("cold-1", temperature=5.9) for _ in range(62)]
    assert calm.index(["fire cleared"]) in {9, 10, 11}, "its last tenth is a minute old"
