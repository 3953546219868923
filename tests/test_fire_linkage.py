"""Outputs that could act on a certified fire system are refused, unless the configuration says so twice."""

from __future__ import annotations

from pathlib import Path

import pytest

import drivers
from gateway.config.load import load
from gateway.config.schema import Config
from gateway.errors import ConfigError

SITE = """\
site: {id: s, name: S}
gateway: {id: g GATEWAY}
links: {gpio: {type: gpio}}
devices:
  DEVICE: {driver: relay, link: gpio, pin: 22, zone: hall MORE}
"""


def config(tmp_path: Path, gateway: str = "", more: str = "", device: str = "valve") -> Config:
    file = tmp_path / "site.yaml"
    text = SITE.replace(" GATEWAY", gateway).replace(" MORE", more).replace("DEVICE", device)
    file.write_text(text, encoding="utf-8")
    return load(file, find_driver=drivers.find, profile_folders=())


ALLOWED = ", allow_fire_linkage: true"


@pytest.mark.parametrize(
    ("gateway", "device", "missing"),
    [
        ("", "", "below gateway and at this device"),
        (ALLOWED, "", "at this device"),
        ("", ALLOWED, "below gateway"),
    ],
)
def test_it_has_to_be_allowed_at_the_gateway_and_at_the_device(
    tmp_path: Path, gateway: str, device: str, missing: str
) -> None:
    with pytest.raises(ConfigError, match=rf"allowed twice; add `allow_fire_linkage: true` {missing}$"):
        config(tmp_path, gateway, ", acts_on: fire_system" + device)


def test_allowed_twice_it_is_told_by_the_check(tmp_path: Path) -> None:
    found = config(tmp_path, ALLOWED, ", acts_on: fire_system" + ALLOWED)
    assert (
        "device valve acts on a fire system: who is responsible for that has to have agreed, in writing" in found.notes
    )


@pytest.mark.parametrize(
    "name", ["sprinkler-1", "extinguishing", "fire-panel", "facp", "smoke-vent", "fire-door-2", "firepump", "deluge_1"]
)
def test_what_looks_like_a_fire_system_has_to_say_what_it_is(tmp_path: Path, name: str) -> None:
    with pytest.raises(
        ConfigError, match=r"as if its outputs acted on a fire system; write `acts_on: site` if they do"
    ):
        config(tmp_path, device=name)
    assert config(tmp_path, device=name, more=", acts_on: site").devices[name].acts_on == "site"


@pytest.mark.parametrize("name", ["siren", "lamp-1", "dock-door", "freezer-fan", "fireplace-lamp"])
def test_other_outputs_are_not_asked(tmp_path: Path, name: str) -> None:
    assert list(config(tmp_path, device=name).devices) == [name]
