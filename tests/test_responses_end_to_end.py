"""Responses through the whole daemon, on a relay module at the end of a wire, across power cuts."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from daemon import Daemon
from modbus_responder import TcpDevices

PROFILE = """\
model: Relay module with an input
maker: tests
sources: [made up]
confidence: high
points:
  level: {kind: setting, table: holding, address: 0, type: uint16}
  siren: {kind: output, table: coil, address: 1, type: bool, writable: true, readable: false}
  lamp: {kind: output, table: coil, address: 2, type: bool, writable: true, readable: false}
"""
CONFIG = """
site: {{id: dc3}}
gateway: {{id: gw1}}
storage: {{commit_every: 100ms}}
links:
  io: {{type: tcp, host: 127.0.0.1, port: {port}}}
devices:
  board: {{driver: modbus, link: io, unit: 1, profile: board, outputs: [siren, lamp], every: 1h, zone: hall}}
rules:
  flood: {{point: board.level, above: {above}, priority: high}}
responses_by_priority: {{high: evacuate}}
responses:
  evacuate:
    set: {{board.siren: on, board.lamp: on}}
    pulse: {{board.siren: [300ms, 200ms]}}
    audible: [board.siren]
    say: Leave
    tell: [fire warden]
"""
COILS = {1: "siren", 2: "lamp"}


def wait_for(what: Callable[[], Any], why: str, within_s: float = 15.0) -> Any:
    until = time.monotonic() + within_s
    while not (found := what()):
        assert time.monotonic() < until, f"not within {within_s:g} s: {why}"
    return found


def sitewarden(daemon: Daemon, *args: str) -> tuple[int, str]:
    top = Path(__file__).parent.parent
    line = [sys.executable, "-m", "gateway", *args, "--by", "Ada", "--state", str(daemon.state)]
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=30, cwd=top)
    return done.returncode, done.stdout + done.stderr


def switched(devices: TcpDevices, since: int = 0) -> list[tuple[str, str]]:
    """What was written to the coils, in order."""
    frames = [frame for _, frame in list(devices.asked)[since:] if frame[7] == 5]
    return [(COILS[int.from_bytes(frame[8:10])], "on" if frame[10] == 0xFF else "off") for frame in frames]


def events(daemon: Daemon) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(daemon.state / "journal.db")) as db:
        return [json.loads(text) for (text,) in db.execute("SELECT text FROM event ORDER BY id")]


def site(folder: Path, port: int, above: int) -> Daemon:
    (folder / "profiles").mkdir()
    (folder / "profiles" / "board.yaml").write_text(PROFILE)
    return Daemon(folder, CONFIG.format(port=port, above=above))


@pytest.fixture
def devices() -> Iterator[TcpDevices]:
    with TcpDevices() as devices:
        yield devices


def test_a_siren_wails_is_silenced_and_stays_silent_over_a_power_cut(tmp_path: Path, devices: TcpDevices) -> None:
    with site(tmp_path, devices.port, above=0) as daemon:
        pulses = [("siren", "on"), ("siren", "off")]
        wait_for(lambda: switched(devices)[-4:] == pulses * 2, "it wails")
        assert ("lamp", "on") in switched(devices)
        assert sitewarden(daemon, "silence") == (0, "silence all: done\n")
        assert sitewarden(daemon, "silence", "flood") == (
            1,
            "silence flood: refused (nothing sounds for this alarm)\n",
        )
        top = Path(__file__).parent.parent
        line = [sys.executable, "-m", "gateway", "alarms", "--state", str(daemon.state)]
        shown = subprocess.run(line, capture_output=True, text=True, check=True, timeout=30, cwd=top).stdout
        assert "[silenced]\n" in shown
        assert "-> Leave (tell fire warden)\n" in shown
        before = len(devices.asked)
        wait_for(lambda: any(event.get("change") == "silenced" for event in events(daemon)), "it is stored")
        daemon.kill()
        daemon.start()
        wait_for(lambda: ("lamp", "on") in switched(devices, before), "the alarm stands")
        status = wait_for(daemon.status, "it runs")
        assert [alarm["silenced"] for alarm in status["alarms"]] == [True]
        assert ("siren", "on") not in switched(devices, before)


def test_a_response_is_tried_and_a_power_cut_ends_the_trial(tmp_path: Path, devices: TcpDevices) -> None:
    with site(tmp_path, devices.port, above=65535) as daemon:
        wait_for(lambda: (daemon.status() or {"points": [{}]})["points"][0].get("quality") == "good", "it reads")
        done = sitewarden(daemon, "test", "response", "evacuate", "--for", "700ms")
        assert done == (0, "test_response evacuate: done\n")
        wait_for(lambda: switched(devices)[-1] == ("lamp", "off"), "it is undone by itself")
        assert switched(devices).count(("siren", "on")) == 2
        assert sitewarden(daemon, "test", "response", "evacuate", "--for", "10m")[0] == 0
        wait_for(lambda: events(daemon)[-1].get("name") == "test_response", "it is stored")
        wait_for(lambda: switched(devices)[-1] == ("siren", "on"), "it wails")
        before = len(devices.asked)
        daemon.kill()
        daemon.start()
        wait_for(lambda: events(daemon)[-1].get("result") == "let_go", "the new run says that it has ended")
        status = wait_for(daemon.status, "it runs")
        assert status["outputs"] == {"board.siren": "off", "board.lamp": "off"}
        both_off = {("siren", "off"), ("lamp", "off")}
        wait_for(lambda: both_off <= set(switched(devices, before)), "the link is open")
        assert set(switched(devices, before)) == both_off
        assert all(event["test"] for event in events(daemon) if event["event"] == "output")


def test_an_output_is_set_for_a_time_and_again_after_a_power_cut(tmp_path: Path, devices: TcpDevices) -> None:
    with site(tmp_path, devices.port, above=65535) as daemon:
        wait_for(daemon.status, "it runs")
        why = ("--reason", "loading at night")
        assert sitewarden(daemon, "set", "board", "on", "--for", "1m", *why) == (
            1,
            "set_output board on: refused (board is several outputs; there are: board.siren, board.lamp)\n",
        )
        assert sitewarden(daemon, "set", "board.lamp", "on", *why)[1].startswith("sitewarden: for how long?")
        assert sitewarden(daemon, "set", "board.lamp", "on", "--for", "10m", *why)[0] == 0
        wait_for(lambda: switched(devices)[-1] == ("lamp", "on"), "it is switched")
        wait_for(lambda: events(daemon)[-1].get("name") == "set_output", "it is stored")
        before = len(devices.asked)
        daemon.kill()
        daemon.start()
        wait_for(lambda: ("lamp", "on") in switched(devices, before), "it goes on")
        assert sitewarden(daemon, "set", "board.lamp", "auto", *why)[0] == 0
        wait_for(lambda: switched(devices)[-1] == ("lamp", "off"), "it is let go")
        held = next(event for event in events(daemon) if event.get("result") == "held")
        assert held["by"].startswith("Ada")
        assert held["why"] == "loading at night"
