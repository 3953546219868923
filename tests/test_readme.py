"""What the READMEs say is so: commands, exit codes, drivers, files, and an example that passes the check."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import drivers
from gateway import cli
from gateway.config.installed import read_config
from gateway.control import ask
from gateway.demo.bus import SimulatedBus
from gateway.errors import SitewardenError

TOP = Path(__file__).parent.parent
README = (TOP / "README.md").read_text()
MANUAL = "".join((TOP / page).read_text() for page in ("README.md", "config/README.md", "systemd/README.md"))
PAGES = sorted(path for path in TOP.rglob("README.md") if not any(part.startswith(".") for part in path.parts))
LINK = re.compile(r"\]\(([^)#]+)\)")


EXAMPLES: list[str] = re.findall(r"```yaml\n(.*?)```", MANUAL, re.DOTALL)


def test_the_first_configuration_passes_the_check(tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text(EXAMPLES[0])
    config = read_config(tmp_path / "my.yaml")
    assert config.devices.keys() == {"fridge"}
    assert config.rules.keys() == {"fridge-warm", "fridge-silent"}


def test_the_first_configuration_is_explained_line_by_line() -> None:
    example, explained = README.split("```yaml")[1].split("```")
    assert re.findall(r"# (\d)$", example, re.MULTILINE) == re.findall(r"^(\d)\. ", explained, re.MULTILINE)[:6]


def example(key: str) -> str:
    """The first example with this key in it."""
    return next(it for it in EXAMPLES if key in it)


def test_what_is_believed_of_a_value_passes_the_check(tmp_path: Path) -> None:
    devices, count = re.subn(r"devices:\n.*\n", example("calibration:"), EXAMPLES[0])
    assert count == 1
    (tmp_path / "my.yaml").write_text(devices)
    part = read_config(tmp_path / "my.yaml").devices["fridge"].points["temperature"]
    assert part.range == (-40.0, 60.0)
    assert part.calibration is not None
    assert part.calibration.certificate == "DKD-1"


def test_the_alarms_pass_the_check(tmp_path: Path) -> None:
    first, rules = EXAMPLES[0], example("suppressed_while:")
    (tmp_path / "my.yaml").write_text(first[first.index("gateway:") : first.index("rules:")] + rules)
    config = read_config(tmp_path / "my.yaml")
    assert len(config.rules) == 4
    assert config.rules["too-humid"].suppressed_while is not None


def test_the_uplink_with_several_addresses_and_a_proxy_passes_the_check(tmp_path: Path) -> None:
    uplinks, count = re.subn(r"uplinks:\n.*\n", example("proxy:"), EXAMPLES[0])
    assert count == 1
    (tmp_path / "my.yaml").write_text(uplinks)
    for name in ("mqtt-password", "proxy-password"):
        (tmp_path / name).write_text("s3cret")
        (tmp_path / name).chmod(0o600)
    platform = read_config(tmp_path / "my.yaml").uplinks["platform"]
    assert len(platform.url) == 3
    assert platform.proxy_username == "site"


def test_what_happens_on_the_spot_passes_the_check(tmp_path: Path) -> None:
    relays = "".join(f"  {name}: {{driver: relay, link: io, pin: {pin}, zone: shop}}\n" for name, pin in RELAYS.items())
    text = (
        EXAMPLES[0].replace("\nlinks:\n", "\nlinks:\n  io: {type: gpio}\n").replace("devices:\n", "devices:\n" + relays)
    )
    text, count = re.subn(r"(site: \{)", r"\1languages: [zh, en], ", text)
    assert count == 1
    (tmp_path / "my.yaml").write_text(text + example("responses_by_priority:"))
    config = read_config(tmp_path / "my.yaml")
    assert config.responses["evacuate"].pulse == {"siren": (3.0, 1.0)}
    assert config.responses_by_priority.high == "evacuate"


SITE = "site: {id: a}\ngateway: {id: gw1}\nlinks:\n"
GPIO = "  gpio: {type: gpio, factory: mock}\n"


def test_on_the_road_passes_the_check(tmp_path: Path) -> None:
    links = SITE + "  gps: {type: serial, port: /dev/ttyUSB0}\n"
    receiver = "devices:\n  gps-1: {driver: gps_nmea, link: gps, zone: truck}\n"
    (tmp_path / "my.yaml").write_text(links + example("driver: track").replace("devices:\n", receiver, 1))
    assert read_config(tmp_path / "my.yaml").fences.keys() == {"depot", "yard"}


def test_how_many_people_are_inside_passes_the_check(tmp_path: Path) -> None:
    links = SITE + GPIO + "  counter: {type: serial, port: /dev/ttyUSB0}\n"
    (tmp_path / "my.yaml").write_text(links + example("driver: occupancy") + "responses: {pause-entry: {say: Wait}}\n")
    assert read_config(tmp_path / "my.yaml").rules.keys() == {"full", "door-crowded"}


def test_several_detectors_as_one_passes_the_check(tmp_path: Path) -> None:
    detectors = "".join(
        f"  smoke-{pin}: {{driver: contact, link: gpio, pin: {pin}, kind: smoke, zone: storage}}\n" for pin in (5, 6)
    )
    text = SITE + GPIO + example("driver: fire_zone").replace("devices:\n", "devices:\n" + detectors)
    (tmp_path / "my.yaml").write_text(text)
    assert "storage-fire" in read_config(tmp_path / "my.yaml").devices


RELAYS = {"siren": 17, "lamp": 18, "fan": 27}
WALK = README.partition("## From a box of sensors")[2].partition("\n## ")[0]


@pytest.mark.slow
def test_what_an_installer_does_shows_what_he_sees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each command of the walk-through, on the bus that it names; numbers vary, and `...` leaves lines out."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "none"))
    bus, daemons = SimulatedBus(Path("bus1")), []
    bus.open()
    try:
        for command, told in walk():
            if command.endswith(" &"):
                daemons.append(subprocess.Popen(as_typed(command[:-2]), env=ENVIRONMENT, stderr=subprocess.DEVNULL))
                wait_for_daemon(tmp_path / "state")
                continue
            said = subprocess.run(as_typed(command), env=ENVIRONMENT, capture_output=True, text=True, check=True).stdout
            lines = iter(map(varying, said.splitlines()))
            for line in map(varying, told):
                assert line == "..." or line in lines, f"{command} does not say {line!r} there, but:\n{said}"
    finally:
        for daemon in daemons:
            daemon.terminate()
            daemon.wait(30)
        bus.close()


ENVIRONMENT = {**os.environ, "PYTHONPATH": str(TOP), "STATE_DIRECTORY": "none"}


def walk() -> Iterator[tuple[str, list[str]]]:
    """Each command, with the lines that are shown below it."""
    shown = [line.removeprefix("    ") for line in WALK.splitlines() if line.startswith("    ")]
    starts = [number for number, line in enumerate(shown) if line.startswith("$ ")]
    assert len(starts) >= 5
    for start, end in zip(starts, [*starts[1:], len(shown)], strict=True):
        yield shown[start].removeprefix("$ "), shown[start + 1 : end]


def as_typed(command: str) -> list[str]:
    program, *arguments = command.split()
    assert program == "sitewarden"
    return [sys.executable, "-m", "gateway", *arguments]


def varying(line: str) -> str:
    """The line without what varies: numbers, hashes, registers in hex, and the width of columns."""
    words = re.sub(r"bcd16 \d+", "-", re.sub(r" +", " ", line))
    return re.sub(r"\b[0-9a-f]{16}\b|\b[0-9A-F]{2,4}\b|\d+(\.\d+)?", "N", words).strip()


def wait_for_daemon(state: Path) -> None:
    until = time.monotonic() + 15
    while True:
        try:
            points = ask(state, {"ask": "status"})["points"]
        except SitewardenError:
            points = []
        if points and all(point["quality"] == "good" for point in points):
            return
        assert time.monotonic() < until


def test_every_command_that_is_shown_exists() -> None:
    shown = set(re.findall(r"\bsitewarden ([a-z][\w-]*)", MANUAL)) | set(re.findall(r"\./dev run (\w+)", MANUAL))
    assert shown <= cli.COMMANDS.keys()


def test_every_exit_code_is_in_the_table() -> None:
    table = {int(code) for code in re.findall(r"^\| (\d+) \|", README, re.MULTILINE)}
    assert table == {cli.OK, cli.FAILED, 2, cli.SOFTWARE, cli.CANNOT_CREATE, cli.TRY_AGAIN, cli.CONFIG}


def test_every_driver_of_ours_is_named() -> None:
    assert all(f"`{name}`" in README for name in drivers.OURS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(TOP).as_posix())
def test_every_link_leads_to_a_file(page: Path) -> None:
    missing = [
        link for link in LINK.findall(page.read_text()) if "://" not in link and not (page.parent / link).exists()
    ]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(TOP).as_posix())
def test_every_link_into_a_page_leads_to_a_heading(page: Path) -> None:
    links = re.findall(r"\]\(([^):#]*)#([^)]+)\)", page.read_text())
    missing = [(link, place) for link, place in links if place not in places(page.parent / link if link else page)]
    assert not missing


def places(page: Path) -> set[str]:
    """What links can lead to, as the pages' viewers make them of headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_first_page_stays_one_that_people_read() -> None:
    assert len(README.splitlines()) <= 350


def test_the_map_of_the_rooms_names_every_file_and_no_other() -> None:
    told = (TOP / "gateway" / "README.md").read_text()
    named = set(re.findall(r"`([a-z_/]+\.py)`", told))
    there = {path.relative_to(TOP / "gateway").as_posix() for path in (TOP / "gateway").rglob("*.py")}
    assert named - there == set(), "named and not there"
    assert {path for path in there if not path.endswith("__init__.py")} - named == set(), "there and not named"


def test_the_safety_notice_is_plain() -> None:
    assert "no certified fire alarm system" in README.split("## Try it")[0]
