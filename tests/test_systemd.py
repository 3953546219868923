"""The unit of the daemon: systemd finds nothing to object to, and the sandbox leaves open what the daemon needs."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

UNIT = Path(__file__).parent.parent / "systemd" / "sitewarden.service"
INSTALLED = "/opt/sitewarden"


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """A copy of the unit beside a binary to start: systemd looks whether there is one."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed: sudo apt install systemd")
    binary = tmp_path / "bin" / "sitewarden"
    binary.parent.mkdir()
    binary.write_text("#!/bin/sh\n")
    binary.chmod(0o755)
    copy = tmp_path / UNIT.name
    copy.write_text(UNIT.read_text().replace(INSTALLED, str(tmp_path)))
    return copy


def analyze(verb: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", verb, *arguments], capture_output=True, text=True, check=False, timeout=60
    )


def settings() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in UNIT.read_text().splitlines():
        if match := re.fullmatch(r"(\w+)=(.*)", line):
            found.setdefault(match[1], []).append(match[2])
    return found


def test_systemd_verifies_the_unit(unit: Path) -> None:
    verified = analyze("verify", "--man=no", str(unit))
    assert verified.returncode == 0, verified.stderr
    assert UNIT.name not in verified.stderr  # it also speaks of other units of the machine


def test_systemd_would_object_to_a_broken_unit(unit: Path) -> None:
    unit.write_text(unit.read_text().replace("WatchdogSec=", "WachtdogSec="))
    assert "WachtdogSec" in analyze("verify", "--man=no", str(unit)).stderr


def test_the_sandbox_is_at_most_at_exposure_2(unit: Path) -> None:
    judged = analyze("security", "--offline=yes", "--threshold=20", "--no-pager", str(unit))
    assert judged.returncode == 0, judged.stdout + judged.stderr


def test_serial_ports_and_gpio_pass_the_sandbox() -> None:
    unit = settings()
    assert "PrivateDevices" not in unit
    assert {"char-ttyUSB rw", "char-ttyACM rw", "char-ttyAMA rw", "char-ttyS rw", "char-gpiochip rw"} == set(
        unit["DeviceAllow"]
    )
    assert unit["SupplementaryGroups"] == ["dialout gpio"]


def test_the_trust_of_the_kernels_clock_can_be_read() -> None:
    """adjtimex(2) only reads here, but systemd counts it among those that set the clock: see gateway/clock.py."""
    unit = settings()
    assert "ProtectClock" not in unit
    assert "adjtimex clock_adjtime clock_adjtime64" in unit["SystemCallFilter"]
    assert unit["CapabilityBoundingSet"] == [""]


def test_the_daemon_is_watched_and_never_given_up() -> None:
    unit = settings()
    assert unit["Type"] == ["notify"]
    assert unit["WatchdogSec"] == ["30"]
    assert unit["Restart"] == ["always"]
    assert unit["StartLimitIntervalSec"] == ["0"]


def test_outputs_are_made_safe_after_a_daemon_however_it_ended() -> None:
    """With `-`: what comes of it changes nothing about the daemon being started again."""
    (command,) = settings()["ExecStopPost"]
    assert command == f"-{INSTALLED}/bin/sitewarden safe-outputs /etc/sitewarden/sitewarden.yaml"
