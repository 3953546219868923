"""Outputs after a daemon that could not switch them off itself: the command that the unit runs then."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from coil_board import COILS, CoilBoard, write_profile
from daemon import Daemon
from gpiozero import Device

from gateway.cli import main
from gateway.cli.made_safe import made_safe
from gateway.config.installed import read_config
from gateway.links.gpio import mock_pin

BUS = """
site: {{id: dc3}}
gateway: {{id: gw1}}
links:
  bus1: {{type: serial, port: {port}, baudrate: 115200}}
devices:
  board: {{driver: modbus, link: bus1, unit: 1, profile: board, outputs: [siren, lamp], every: 1s, zone: hall}}
rules:
  flood: {{point: board.level, above: 10, priority: high, response: evacuate}}
responses:
  evacuate: {{set: {{board.siren: "on", board.lamp: "on"}}}}
"""
PINS = """
site: {id: dc3}
gateway: {id: gw1}
links:
  gpio: {type: gpio, factory: mock}
devices:
  horn: {driver: relay, link: gpio, pin: 22, active: low, zone: hall}
  door: {driver: contact, link: gpio, pin: 17, kind: door, zone: hall}
"""
NO_OUTPUTS = PINS.replace("  horn: {driver: relay, link: gpio, pin: 22, active: low, zone: hall}\n", "")


def wait_for(what: Callable[[], object], why: str, within_s: float = 15.0) -> None:
    until = time.monotonic() + within_s
    while not what():
        assert time.monotonic() < until, f"not within {within_s:g} s: {why}"


def safe_outputs(config: Path, state: Path) -> tuple[int, str]:
    line = [sys.executable, "-m", "gateway", "safe-outputs", str(config), "--state", str(state)]
    done = subprocess.run(
        line, capture_output=True, text=True, check=False, timeout=40, cwd=Path(__file__).parent.parent
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def board(tmp_path: Path) -> Iterator[CoilBoard]:
    write_profile(tmp_path)
    with CoilBoard(tmp_path) as board:
        yield board


@pytest.fixture
def site(tmp_path: Path, board: CoilBoard) -> Path:
    config = tmp_path / "sitewarden.yaml"
    config.write_text(BUS.format(port=board.path))
    return config


def test_after_a_kill_the_outputs_stay_on_until_the_unit_makes_them_safe(tmp_path: Path, board: CoilBoard) -> None:
    with Daemon(tmp_path, BUS.format(port=board.path)) as daemon:
        wait_for(lambda: daemon.status() is not None, "the daemon runs")
        board.level = 99
        wait_for(lambda: board.is_on("siren") and board.is_on("lamp"), "the alarm has switched both")
        daemon.kill()
        assert board.is_on("siren"), "nobody was there to switch it off"
        assert safe_outputs(daemon.config, daemon.state) == (0, "board.siren: off\nboard.lamp: off\n")
        assert not board.is_on("siren")
        assert not board.is_on("lamp")


def test_while_a_daemon_runs_the_outputs_are_its_own(tmp_path: Path, board: CoilBoard) -> None:
    with Daemon(tmp_path, BUS.format(port=board.path)) as daemon:
        wait_for(lambda: daemon.status() is not None, "the daemon runs")
        board.level = 99
        wait_for(lambda: board.is_on("siren"), "the alarm has switched it")
        code, told = safe_outputs(daemon.config, daemon.state)
        assert code == 75
        assert "another Sitewarden already uses" in told
        assert board.is_on("siren")


def test_an_output_that_stays_on_is_named_and_the_others_are_made_safe(
    tmp_path: Path, site: Path, board: CoilBoard
) -> None:
    board.on = {COILS["siren"]: True, COILS["lamp"]: True}
    board.stuck = {COILS["siren"]}
    code, told = safe_outputs(site, tmp_path / "state")
    assert (code, told) == (
        1,
        "board.siren: not known to be off: it reads back as something else\nboard.lamp: off\n",
    )
    assert not board.is_on("lamp")


def test_one_lost_request_does_not_leave_a_siren_on(tmp_path: Path, site: Path, board: CoilBoard) -> None:
    board.on = {COILS["siren"]: True}
    board.then(lambda _, __: [], lambda _, __: [])
    assert safe_outputs(site, tmp_path / "state") == (0, "board.siren: off\nboard.lamp: off\n")
    assert not board.is_on("siren")


def test_a_wire_that_hangs_is_given_up_and_named(site: Path, board: CoilBoard) -> None:
    board.deaf = {1}
    started = time.monotonic()
    told = list(made_safe(read_config(site), longest_s=0.3))
    assert time.monotonic() - started < 2
    assert {each.output for each in told if each.wrong} == {"board.siren", "board.lamp"}


def test_a_port_that_is_gone_is_told_with_what_to_try(tmp_path: Path, site: Path, board: CoilBoard) -> None:
    board.do(board.unplug)
    code, told = safe_outputs(site, tmp_path / "state")
    assert code == 1
    assert "board.siren: not known to be off: " in told
    assert str(board.path) in told


@pytest.fixture
def pins() -> Iterator[None]:
    Device.pin_factory = None
    mock_pin(22)
    yield
    Device.pin_factory.close()
    Device.pin_factory = None


@pytest.mark.usefixtures("pins")
def test_a_pin_is_driven_to_its_safe_level(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pin = mock_pin(22)
    pin.function = "output"
    pin.state = False  # this relay is on while its pin is low
    pin.clear_states()
    config = tmp_path / "sitewarden.yaml"
    config.write_text(PINS)
    assert main(["safe-outputs", str(config), "--state", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "horn.output: off\n"
    assert pin.states[-1].state


@pytest.mark.usefixtures("pins")
def test_without_outputs_there_is_nothing_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "sitewarden.yaml"
    config.write_text(NO_OUTPUTS)
    assert main(["safe-outputs", str(config), "--state", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "there are no outputs\n"


def test_a_wrong_configuration_is_said_and_nothing_is_switched(tmp_path: Path) -> None:
    config = tmp_path / "sitewarden.yaml"
    config.write_text("devices: {}\n")
    assert safe_outputs(config, tmp_path)[0] == 78
