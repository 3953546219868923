"""Rules that a device brings along: there without being written, and gone where the site has its own."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest

import drivers
from drivers.contact import Contact, ContactOptions
from gateway.config.load import load
from gateway.config.schema import Config
from gateway.config.written import is_id
from gateway.driver import Driver, UsualRule
from gateway.model import Priority

SITE = """\
site: {id: s, name: S}
gateway: {id: g}
links: {gpio: {type: gpio}}
devices:
  door-1: {driver: freezer_door, link: gpio, pin: 17, zone: shop MORE}
"""


class FreezerDoor(Contact):
    """A door that must not stand open."""

    options: ClassVar[type[ContactOptions]] = ContactOptions

    @property
    def usual_rules(self) -> tuple[UsualRule, ...]:
        return (UsualRule("open", "contact", Priority.LOW, "the freezer is open", equals="on", for_s=60),)


def config(tmp_path: Path, more: str = "", rules: str = "") -> Config:
    def find(name: str) -> type[Driver]:
        return FreezerDoor if name == "freezer_door" else drivers.find(name)

    file = tmp_path / "site.yaml"
    file.write_text(SITE.replace(" MORE", more) + rules, encoding="utf-8")
    return load(file, find_driver=find, profile_folders=())


def test_a_device_brings_its_usual_rules(tmp_path: Path) -> None:
    rule = config(tmp_path).rules["door-1-open"]
    assert (rule.point, rule.equals, rule.for_, rule.priority) == ("door-1.contact", "on", 60, Priority.LOW)


@pytest.mark.parametrize(
    "rules",
    [
        "rules: {mine: {point: door-1.contact, equals: on, priority: high}}",
        "rules: {mine: {kind: contact, zone: shop, silent_for: 1h}}",
        "rules: {mine: {any_of: [{point: door-1.contact, equals: on}]}}",
        "rules: {door-1-open: {point: door-1.contact, equals: off}}",
        "rules: {door-1-open: {point: door-1.contact, equals: on, enabled: false}}",
    ],
)
def test_a_rule_of_the_site_on_the_same_point_or_with_the_same_id_takes_its_place(tmp_path: Path, rules: str) -> None:
    found = config(tmp_path, rules=rules).rules
    assert [rule.for_ for rule in found.values()] in ([None], [])


def test_a_device_can_be_had_without_them(tmp_path: Path) -> None:
    assert config(tmp_path, more=", usual_rules: false").rules == {}


def test_the_id_of_a_rule_is_an_id_however_long_that_of_its_device_is(tmp_path: Path) -> None:
    long = "d" * 64
    file = tmp_path / "site.yaml"
    file.write_text(SITE.replace(" MORE", "").replace("door-1", long), encoding="utf-8")
    found = load(file, find_driver=lambda _: FreezerDoor, profile_folders=())
    assert [rule for rule in found.rules if is_id(rule)] == ["d" * 59 + "-open"]


def test_two_devices_whose_long_ids_begin_alike_have_a_rule_each(tmp_path: Path) -> None:
    first, second = "d" * 63 + "1", "d" * 63 + "2"
    device = f"  {second}: {{driver: freezer_door, link: gpio, pin: 18, zone: shop}}\n"
    file = tmp_path / "site.yaml"
    file.write_text(SITE.replace(" MORE", "").replace("door-1", first) + device, encoding="utf-8")
    found = load(file, find_driver=lambda _: FreezerDoor, profile_folders=())
    assert [rule.point for rule in found.rules.values()] == [f"{first}.contact", f"{second}.contact"]
    assert all(map(is_id, found.rules))
