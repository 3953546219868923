"""A rule that does not say how long or how far has that by the kind of its point; smoke acts at once, and stays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from config_site import SITE, loaded, written

from gateway.cli.check import summary
from gateway.config.schema import Config
from gateway.hub.plan import plan_of
from gateway.rules.condition import Above, Below, Equals, Outside
from gateway.rules.judge import Rule

DOOR = "  door-1: {driver: switch, link: gpio, pin: 18, kind: door, zone: hall}\n"
HOURS = "hours: {open: {open: [mon-fri]}}\n"


def config(folder: Path, rule: str) -> Config:
    return loaded(written(folder, SITE.partition("rules:")[0] + f"{DOOR}{HOURS}rules:\n  r: {rule}\n"))


def made(folder: Path, rule: str) -> Rule:
    (found,) = (found for found, _ in plan_of(config(folder, rule), "run").rules if found.id == "r")
    return found


def says(rule: Rule) -> tuple[Any, float, float, bool]:
    return rule.condition, rule.on_delay_s, rule.off_delay_s, rule.latch


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("{point: cold-1.temperature, above: 7}", (Above(7, 6.5), 60, 60, False)),
        ("{point: cold-1.temperature, below: -20.1}", (Below(-20.1, -19.6), 60, 60, False)),
        ("{point: cold-1.temperature, above: 7, clear_below: 7}", (Above(7, 7), 60, 60, False)),
        ("{point: cold-1.temperature, above: 7, for: 0s, clear_for: 5m}", (Above(7, 6.5), 0, 300, False)),
        ("{point: cold-1.humidity, outside: [30, 70]}", (Outside(Below(30, 33), Above(70, 67)), 120, 120, False)),
        ("{point: cold-1.temperature, outside: [2, 3]}", (Outside(Below(2, 2.25), Above(3, 2.75)), 60, 60, False)),
        ("{kind: smoke, equals: alarm}", (Equals("alarm", unknown="fault"), 0, 0, True)),
        ("{kind: smoke, equals: alarm, latch: false, for: 3s}", (Equals("alarm", unknown="fault"), 3, 0, False)),
        ("{point: door-1.door, equals: open}", (Equals("open"), 120, 0, False)),
        ("{point: door-1.door, equals: open, for: 0s}", (Equals("open"), 0, 0, False)),
        ("{point: door-1.door, equals: open, not_during: open}", (Equals("open"), 0, 0, False)),
        ("{point: door-1.door, equals: closed}", (Equals("closed"), 0, 0, False)),
    ],
)
def test_what_a_rule_does_not_say_is_that_of_its_kind(tmp_path: Path, rule: str, expected: tuple[Any, ...]) -> None:
    assert says(made(tmp_path, rule)) == expected


@pytest.mark.parametrize(
    "rule",
    [
        "{point: cold-1.temperature, silent_for: 2m}",
        "{point: cold-1.temperature, changes_faster_than: 3/10min}",
        "{all_of: [{point: cold-1.temperature, above: 7}, {kind: smoke, equals: alarm}]}",
    ],
)
def test_silence_changes_and_several_conditions_are_as_they_are_written(tmp_path: Path, rule: str) -> None:
    assert says(made(tmp_path, rule))[1:] == (0, 0, False)


def test_check_tells_what_was_taken(tmp_path: Path) -> None:
    text = "\n".join(summary(config(tmp_path, "{point: cold-1.temperature, above: 7, for: 5m}")))
    assert "above 7 °C (until 6.5 °C) for 5m, until 1m after that has ended" in text
    assert "since they do not say\n  r: clear_for: 1m, clear_below: 6.5\n" in text


def test_check_tells_nothing_of_a_rule_that_says_everything(tmp_path: Path) -> None:
    rule = "{point: cold-1.temperature, above: 7, clear_below: 6, for: 5m, clear_for: 0s}"
    assert "do not say" not in "\n".join(summary(config(tmp_path, rule)))
