"""Profiles in a configuration: beta ones are accepted or refused, what replaces one of ours is said, unused points."""

from __future__ import annotations

from pathlib import Path

import pytest
from one_device import refusal, site

import drivers
from drivers.modbus_point import RegisterPoint
from drivers.modbus_profile import Profile
from drivers.modbus_table import ModbusOptions, ModbusTable
from gateway.cli import CONFIG, OK, main
from gateway.config.installed import read_config


def test_a_beta_profile_is_refused_until_it_is_accepted(tmp_path: Path) -> None:
    assert refusal(site(tmp_path, "profile: wp8028adam")) == (
        "site.yaml:5:64: devices.dock.profile: the profile of WP8028ADAM is beta: one source for the map;"
        " compare its values with the device, then say `accept_beta: true` at this device"
    )
    assert read_config(site(tmp_path, "profile: wp8028adam, accept_beta: true")).devices.keys() == {"dock"}


def test_check_names_the_beta_profiles_in_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(site(tmp_path, "profile: wp8028adam, accept_beta: true"))]) == OK
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "Worth a look",
        "  device dock: the profile of WP8028ADAM is beta: one source for the map",
    ]


def test_a_stable_profile_needs_no_word_and_gets_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(site(tmp_path, "profile: xy-md02"))]) == OK
    assert "Worth a look" not in capsys.readouterr().out
    assert read_config(site(tmp_path, "profile: xy-md02, accept_beta: true")).notes == ()


def test_a_profile_of_the_user_that_replaces_ours_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = tmp_path / "profiles" / "xy-md02.yaml"
    own.parent.mkdir()
    own.write_text((drivers.profile_folder() / "xy-md02.yaml").read_text().replace("model: XY-MD02", "model: Ours"))
    assert main(["check", str(site(tmp_path, "profile: xy-md02"))]) == OK
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "Worth a look",
        f"  profile xy-md02 is {own}, in place of the one that comes along",
    ]


def test_points_that_are_not_used_are_neither_read_nor_reported(tmp_path: Path) -> None:
    eight = "[" + ", ".join(f"temperature_ch{number}" for number in range(2, 9)) + "]"
    built = read_config(site(tmp_path, f"profile: r4dcb08, unused: {eight}")).devices["dock"].built
    assert [it.name for it in built.points] == ["temperature_ch1"]


@pytest.mark.parametrize(
    ("device", "told"),
    [
        ("profile: r4dcb08, unused: [temperature_ch9]", "unused: R4DCB08 has no 'temperature_ch9' there, but "),
        (
            "profile: wp8028adam, accept_beta: true, unused: [di1], inverted: [di1]",
            "unused: di1 is used: it stands in kinds, inverted, outputs or settings, too",
        ),
        (
            "profile: mb8art, accept_beta: true, unused: [resolution_mode]",
            "unused: resolution_mode is used: it tells the scale of other points",
        ),
        ("profile: novabo-sqr2, unused: [in1]", "unused: nothing is left of ModbusRTU SQR-2; "),
    ],
)
def test_points_that_cannot_be_unused_are_told(tmp_path: Path, device: str, told: str) -> None:
    assert f"devices.dock.{told}" in refusal(site(tmp_path, device))


def test_a_mistake_leads_to_exit_78(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(site(tmp_path, "profile: pta8d08"))]) == CONFIG
    assert "accept_beta: true" in capsys.readouterr().err


def test_what_is_not_used_is_not_asked_for() -> None:
    points = {name: RegisterPoint("temperature", "holding", at, "int16") for name, at in (("a", 0), ("b", 100))}
    found = Profile("m", "n", ("s",), "high", points)
    asked: list[tuple[int, int]] = []

    class Listening:
        def read(self, unit: int, table: object, address: int, count: int) -> list[int]:
            asked.append((address, count))
            return [0] * count

        def write(self, *_: object) -> None:
            raise AssertionError

    assert ModbusTable(ModbusOptions(1, found, unused=("b",))).poll(Listening()) == {"a": 0}
    assert asked == [(0, 1)]
