"""Profiles of the user's own: the walk-through as it is printed, the check of one alone, and the schema for editors."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from pathlib import Path
from textwrap import dedent
from typing import Any

import jsonschema
import pytest
from daemon import Daemon
from uplink_scene import until

import drivers
from drivers.frame_checksum import Checksum
from drivers.frame_point import FramePoint, GroupScale
from drivers.frame_profile import Frame, FrameProfile, SerialSettings
from drivers.modbus_point import RegisterPoint, ScaleBy
from drivers.modbus_profile import Bus, Profile
from drivers.modbus_writing import Writing
from gateway.cli import CONFIG, OK, main
from gateway.cli.check_profile import PROFILES
from gateway.config.editor import profile_schema
from gateway.config.installed import read_config
from gateway.config.schema import ReplayLink
from gateway.config.yaml_marks import parsed
from gateway.driver import Family, Polled
from gateway.links.replay import Replay
from gateway.model import Bad, Reason
from gateway.units import KINDS

TOP = Path(__file__).parent.parent
PAGE = (TOP / "drivers" / "README.md").read_text(encoding="utf-8")
EXAMPLE = TOP / "config" / "own-profile"
OWN = EXAMPLE / "profiles" / "co2-sensor.yaml"
OURS = sorted(drivers.profile_folder().rglob("*.yaml"))
FOLDERS = {"modbus": drivers.profile_folder(), "serial_frames": drivers.profile_folder() / "frames"}
SCHEMA = "profile.schema.json"


# ---------------------------------------------------------------- the walk-through


def test_the_walk_through_shows_the_profile_of_the_example() -> None:
    shown = PAGE.split("## A device that has no profile")[1].split("```yaml\n")[1].split("   ```")[0]
    assert dedent(shown) == OWN.read_text(encoding="utf-8")


def test_the_profile_of_the_walk_through_is_told_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--profile", str(OWN)]) == OK
    assert capsys.readouterr().out.splitlines() == [
        f"{OWN}: all right",
        "AIR-3 by Example, beta",
        "  From the factory: 9600 baud, parity none, 1 stop bit, unit 1",
        "",
        "Points",
        "  co2: concentration, input register 0, uint16, 0 to 10000 ppm",
        "  temperature: temperature, input register 1, int16 times 0.1, -20 to 60 °C",
        "  humidity: humidity, input register 2, uint16 times 0.1, 0 to 100 %RH",
        "",
        "A device with it, in a configuration beside the folder of the profile",
        "  my-device: {driver: modbus, link: my-link, unit: 1, profile: co2-sensor, accept_beta: true, zone: my-zone}",
    ]


def test_the_example_reads_what_its_recording_holds() -> None:
    config = read_config(EXAMPLE / "sitewarden.yaml")
    link, device = config.links["bus1"], config.devices["office-air"].built
    assert isinstance(link, ReplayLink)
    assert isinstance(device, Polled)
    replay = Replay(EXAMPLE / link.capture, loop=link.loop)
    replay.open()
    registers = replay.offer(Family.REGISTERS)
    assert device.poll(registers) == {"co2": 612, "temperature": 22.4, "humidity": 41.5}
    assert device.poll(registers) == {"co2": 618, "temperature": 22.4, "humidity": 41.3}
    assert device.poll(registers) == {"co2": Bad(Reason.SENSOR_FAULT), "temperature": -0.5, "humidity": 42.0}


def test_the_example_is_read_by_the_command_that_the_page_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(TOP)
    (shown,) = re.findall(r"`sitewarden (read office-air [^`]+)`", PAGE)
    assert main([*shown.split(), "--state", str(tmp_path)]) == OK
    assert [line.split() for line in capsys.readouterr().out.splitlines()[-3:]] == [
        ["co2", "612", "ppm", "good"],
        ["temperature", "22.4", "°C", "good"],
        ["humidity", "41.5", "%RH", "good"],
    ]


def read(daemon: Daemon) -> dict[str, object]:
    """The good values that the daemon has of the walk-through's device, by point."""
    points = (daemon.status() or {"points": []})["points"]
    return {it["point"]: it["value"] for it in points if it["quality"] == "good"}


@pytest.mark.slow
def test_the_example_runs_as_it_stands(tmp_path: Path) -> None:
    shutil.copytree(EXAMPLE, tmp_path, dirs_exist_ok=True)
    with Daemon(tmp_path, (EXAMPLE / "sitewarden.yaml").read_text(encoding="utf-8")) as daemon:
        values = until(lambda: read(daemon), why="until the device was read")
    assert values.keys() == {"co2", "temperature", "humidity"}
    assert values["temperature"] in (22.4, -0.5)


# ---------------------------------------------------------------- one profile alone


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.stem)
def test_what_check_says_can_be_written(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--profile", str(path)]) == OK
    device = capsys.readouterr().out.splitlines()[-1]
    site = "site: {id: s, timezone: UTC}\ngateway: {id: g}\nlinks: {my-link: {type: tcp, host: h}}\ndevices:\n"
    (tmp_path / "site.yaml").write_text(site + device, encoding="utf-8")
    assert read_config(tmp_path / "site.yaml").devices.keys() == {"my-device"}


def test_one_of_ours_can_be_looked_at_by_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--profile", "xy-md02"]) == OK
    assert capsys.readouterr().out.startswith(f"{drivers.profile_folder()}/xy-md02.yaml: all right\nXY-MD02 by ")


def test_one_of_ours_for_frames_can_be_looked_at_by_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--profile", "mh-z19"]) == OK
    assert capsys.readouterr().out.startswith(f"{drivers.profile_folder()}/frames/mh-z19.yaml: all right\nMH-Z19")


def test_a_profile_of_frames_that_no_device_would_find_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "profiles").mkdir()
    ours = (drivers.profile_folder() / "frames" / "mh-z19.yaml").read_text(encoding="utf-8")
    path = tmp_path / "profiles" / "my-gas.yaml"
    path.write_text(ours.replace("length: 9", "lenght: 9"), encoding="utf-8")
    assert main(["check", "--profile", str(path)]) == CONFIG
    told = [line.removeprefix(f"{path}:") for line in capsys.readouterr().err.splitlines()]
    assert told == [
        "2:1: put it into the folder profiles/frames: a device finds such a profile there alone",
        "14:28: frame.lenght: unknown key; did you mean length?",
    ]
    site = "site: {id: s}\ngateway: {id: g}\nlinks: {l: {type: tcp, host: h, port: 4001}}\n"
    device = "devices: {d: {driver: serial_frames, link: l, profile: my-gas, zone: z}}\n"
    (tmp_path / "site.yaml").write_text(site + device, encoding="utf-8")
    assert main(["check", str(tmp_path / "site.yaml")]) == CONFIG
    assert f"there is no profile my-gas in the folder profiles/frames; {path} belongs there" in capsys.readouterr().err


def test_a_profile_whose_name_no_device_could_write_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = shutil.copy(OWN, tmp_path / "My sensor.yml")
    assert main(["check", "--profile", str(path)]) == CONFIG
    (told,) = capsys.readouterr().err.splitlines()
    assert told.endswith("has to be an id and .yaml, as in my-sensor.yaml")


def test_all_mistakes_of_a_profile_are_told_with_their_places(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.yaml"
    text = OWN.read_text(encoding="utf-8").replace("unit: 1", "unit: 256").replace("scale: 0.1, minimum: 0", "scael: 1")
    path.write_text(text.replace("concentration", "co2"), encoding="utf-8")
    assert main(["check", "--profile", str(path)]) == CONFIG
    told = [line.removeprefix(f"{path}:") for line in capsys.readouterr().err.splitlines()]
    assert told == [
        "6:56: bus.unit: from 1 to 255, not 256",
        "8:15: points.co2.kind: there is no kind 'co2'; the kinds are listed in drivers/README.md",
        "10:70: points.humidity.scael: unknown key; did you mean scale?",
    ]


def test_a_profile_that_is_not_there_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--profile", str(tmp_path / "none.yaml")]) == CONFIG
    assert "there is no such file; copy one of those in drivers/profiles" in capsys.readouterr().err


# ---------------------------------------------------------------- for editors


@pytest.mark.parametrize("driver", PROFILES)
def test_the_schema_that_is_shipped_is_the_one_that_check_prints(
    driver: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """After a change of keys: sitewarden check --profile-schema DRIVER > the file of that folder."""
    assert main(["check", "--profile-schema", driver]) == OK
    assert capsys.readouterr().out == (FOLDERS[driver] / SCHEMA).read_text(encoding="utf-8")


@pytest.mark.parametrize("path", [*OURS, OWN], ids=lambda path: path.stem)
def test_an_editor_finds_nothing_wrong_with_a_profile_and_knows_its_schema(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith(f"# yaml-language-server: $schema={SCHEMA}\n")
    kind = PROFILES["serial_frames" if path.parent.name == "frames" else "modbus"]
    jsonschema.Draft202012Validator(profile_schema(kind)).validate(parsed(text.encode(), path.name, "").value)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("maker: Example", "makr: Example"),
        ("maker: Example", "maker: 5"),
        ("medium", "low"),
        ("parity: none", "parity: mark"),
        ("stopbits: 1", "stopbits: 3"),
        ("kind: concentration", "kind: co2"),
        ("uint16, sentinels", "word, sentinels"),
        ("address: 1", "adress: 1"),
        ("address: 1", "address: '1'"),
        ("[0xFFFF]", "0xFFFF"),
        ("  co2:", "  CO2:"),
        ("minimum: -20", "minimum: low"),
    ],
)
def test_an_editor_finds_what_one_key_can_tell(right: str, wrong: str) -> None:
    text = OWN.read_text(encoding="utf-8")
    assert text.count(right) == 1
    validator = jsonschema.Draft202012Validator(profile_schema(Profile))
    assert not validator.is_valid(parsed(text.replace(right, wrong).encode(), "f", "").value)


def described(part: Any) -> list[str]:
    """The names of the keys in a schema that say what they are for."""
    parts = [part, *part["$defs"].values()]
    return [name for it in parts for name, key in it["properties"].items() if key.get("description")]


CLASSES = {
    "modbus": (Profile, Bus, RegisterPoint, ScaleBy, Writing),
    "serial_frames": (FrameProfile, SerialSettings, Frame, Checksum, FramePoint, GroupScale),
}


@pytest.mark.parametrize("driver", CLASSES)
def test_every_key_says_to_editors_what_it_is_for(driver: str) -> None:
    schema = json.loads((FOLDERS[driver] / SCHEMA).read_text(encoding="utf-8"))
    keys = [it.name for kind in CLASSES[driver] for it in dataclasses.fields(kind)]
    assert sorted(described(schema)) == sorted(keys)


def test_every_kind_is_listed_with_its_unit() -> None:
    rows = re.findall(r"^\| (\w+) \| (\S+) \|", PAGE.split("### The kinds")[1].split("\n## ")[0], re.MULTILINE)
    assert dict(rows[1:]) == {name: kind.unit or "-" for name, kind in KINDS.items()}
