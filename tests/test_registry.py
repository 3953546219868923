"""The registry of drivers: found by name, imported late, extended by others, at home in a wheel; and its page."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from dataclasses import Field, fields
from pathlib import Path
from textwrap import indent
from typing import get_args

import pytest

import drivers
from drivers.frame_checksum import Checksum
from drivers.frame_point import FramePoint
from drivers.frame_profile import Frame, FrameProfile, SerialSettings
from drivers.modbus_point import Order, RegisterPoint, TableName, TypeName
from drivers.modbus_profile import Bus, Profile
from drivers.template import Template
from gateway.config.load import load
from gateway.config.profiles import Profiles
from gateway.driver import Driver
from gateway.links.capture import parse

TOP = Path(__file__).parent.parent


def installed(folder: Path, name: str, value: str) -> None:
    """A distribution in `folder` that registers the driver `name`."""
    info = folder / "others-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: others\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(f"[{drivers.GROUP}]\n{name} = {value}\n", encoding="utf-8")


@pytest.mark.parametrize("name", drivers.OURS)
def test_each_driver_is_found_under_its_name(name: str) -> None:
    assert issubclass(drivers.find(name), Driver)
    assert name in drivers.names()


def test_a_name_that_is_none_is_answered_with_those_that_are() -> None:
    with pytest.raises(LookupError, match=r"there is no driver 'modbuss'; there are .*, modbus, "):
        drivers.find("modbuss")


def test_another_package_can_add_a_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(tmp_path, "example", "drivers.template:Template")
    monkeypatch.syspath_prepend(tmp_path)
    assert drivers.find("example") is Template
    assert "example" in drivers.names()


def test_another_package_cannot_replace_a_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(tmp_path, "modbus", "drivers.template:Template")
    monkeypatch.syspath_prepend(tmp_path)
    assert drivers.find("modbus") is not Template
    assert drivers.names().count("modbus") == 1


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("no_such_package.here:Driver", "cannot be imported"),
        ("drivers.template:Missing", "cannot be imported"),
        ("drivers.template:TemplateOptions", "no subclass"),
    ],
)
def test_a_broken_driver_of_others_is_explained(
    value: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(tmp_path, "broken", value)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(LookupError, match=f"driver 'broken'.*{why}"):
        drivers.find("broken")


def test_a_driver_is_imported_when_it_is_asked_for() -> None:
    code = (
        "import sys, drivers; before = set(sys.modules); drivers.find('contact'); "
        "print(sorted(m for m in set(sys.modules) - before if m.startswith('drivers.')), 'importlib.metadata' in "
        "sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=TOP, capture_output=True, text=True, timeout=20, check=True)
    assert run.stdout.strip() == "['drivers.contact', 'drivers.header_pin'] False"


def test_the_profiles_are_where_the_package_is(tmp_path: Path) -> None:
    """As from an installed wheel: another folder, nothing of the source tree."""
    archive = tmp_path / "drivers.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for path in sorted((TOP / "drivers").rglob("*")):
            if path.suffix in (".py", ".yaml"):
                packed.write(path, path.relative_to(TOP))
        for path in (*sorted((TOP / "gateway").glob("*.py")), *sorted((TOP / "gateway" / "derive").glob("*.py"))):
            packed.write(path, path.relative_to(TOP))
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(tmp_path / "site")
    code = "import drivers; print(len(list(drivers.profile_folder().glob('*.yaml'))), drivers.profile_folder())"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path / "site", capture_output=True, text=True, timeout=20, check=True
    )
    count, folder = run.stdout.split()
    assert int(count) == len(list((TOP / "drivers" / "profiles").glob("*.yaml")))
    assert Path(folder) == tmp_path / "site" / "drivers" / "profiles"


# ---------------------------------------------------------------- drivers/README.md


README = (TOP / "drivers" / "README.md").read_text(encoding="utf-8")


def row(first: str) -> list[str]:
    """The cells of the table row that begins with `first`."""
    rows = [line for line in README.splitlines() if line.startswith(f"| `{first}` |")]
    assert len(rows) == 1, f"{first} has {len(rows)} rows"
    return [cell.strip() for cell in rows[0].strip("|").split("|")]


@pytest.mark.parametrize("name", drivers.OURS)
def test_the_page_lists_each_driver_with_its_options(name: str) -> None:
    told = row(name)[3]
    options = [f"`{field.name}`" for field in fields(drivers.find(name).options)]
    assert told == (", ".join(options) or "none")


@pytest.mark.parametrize("path", sorted(drivers.profile_folder().glob("*.yaml")), ids=lambda path: path.stem)
def test_the_page_lists_each_profile_with_its_confidence(path: Path) -> None:
    profile = Profiles((path.parent,)).get(path.stem, Profile)
    assert profile is not None
    assert row(path.stem)[3] == ("beta" if profile.beta else "stable")
    assert all(row(path.stem))


@pytest.mark.parametrize("field", [*fields(Profile), *fields(Bus), *fields(RegisterPoint)], ids=lambda it: it.name)
def test_the_page_explains_each_key_of_a_profile(field: Field[object]) -> None:
    explained = README.partition("## The keys of a profile")[2]
    assert f"`{field.name}`" in explained


@pytest.mark.parametrize(
    "field",
    [*fields(FrameProfile), *fields(Frame), *fields(Checksum), *fields(FramePoint), *fields(SerialSettings)],
    ids=lambda it: it.name,
)
def test_the_page_explains_each_key_of_a_profile_of_frames(field: Field[object]) -> None:
    explained = README.partition("## Add a device that says lines or frames")[2].partition("\n## ")[0]
    assert re.search(rf"`{field.name}(: [a-z]+)?`", explained)


@pytest.mark.parametrize("written", [*get_args(TypeName), *get_args(Order), *get_args(TableName)])
def test_the_page_explains_each_word_of_a_profile(written: str) -> None:
    assert f"`{written}`" in README


def test_the_examples_of_the_page_are_right(tmp_path: Path) -> None:
    meters, profile, device, frames = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    (tmp_path / "frames").mkdir()
    (tmp_path / "frames" / "example.yaml").write_text(frames, encoding="utf-8")
    (tmp_path / "example.yaml").write_text(profile, encoding="utf-8")
    profiles = Profiles((tmp_path,))
    assert profiles.get("example", Profile), profiles.problems
    assert profiles.get("example", FrameProfile), profiles.problems
    (tmp_path / "site.yaml").write_text(
        "site: {id: a}\ngateway: {id: b}\nuplinks: {p: {url: 'mqtt://localhost:1883'}}\n"
        "links: {bus1: {type: serial, port: /dev/ttyUSB0}, gpio: {type: gpio}}\ndevices:\n"
        + indent(device, "  ")
        + "    zone: dock\n"
        + indent(meters, "  "),
        encoding="utf-8",
    )
    config = load(tmp_path / "site.yaml", find_driver=drivers.find, profile_folders=(drivers.profile_folder(),))
    points = config.devices["dock-doors"].built.points
    assert {it.name for it in points if it.kind == "door"} == {"di1", "di2"}
    assert [it.name for it in points if it.writable] == ["do1"]
    assert [it.unit for it in config.devices["water"].built.points] == ["L", "L/min"]
    capture = parse(re.findall(r"```\n(# device.*?)```", README, re.DOTALL)[0])
    assert capture.items == parse((TOP / "tests/drivers/modbus/normal-xy-md02.capture").read_text()).items[:3]
