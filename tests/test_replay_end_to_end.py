"""`sitewarden replay` as a person runs it: beside a real daemon, and ended with Ctrl-C."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from daemon import Daemon
from journal_scene import MB, NOW, opened
from modbus_responder import Fault, TcpDevices
from past_scene import RULES, written

from gateway.cli import FAILED, OK
from gateway.cli.replay import Replay
from gateway.config.installed import read_config
from gateway.journal.past import Past
from gateway.journal.waiting import Waiting
from gateway.model import Decision, Lane, Reading, Record, Trust
from gateway.records import telemetry

WITHIN_S = 20.0
TOP = Path(__file__).parent.parent
ENV = {**os.environ, "PYTHONPATH": str(TOP)}
SITE = """
site: {{id: dc3}}
gateway: {{id: gw1}}
storage: {{commit_every: 100ms}}
links:
  io: {{type: tcp, host: 127.0.0.1, port: {device}}}
devices:
  meter-1: {{driver: modbus, link: io, unit: 1, profile: four, every: 50ms, zone: hall}}
rules:
  much: {{point: meter-1.r0, above: 100, clear_below: 50, for: 0s, clear_for: 0s}}
"""
PROFILE = "model: M\nmaker: tests\nsources: [made up]\nconfidence: high\npoints:\n"
POINT = "  r0: {kind: temperature, table: holding, address: 0, type: int16}\n"


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "gateway", "replay", *map(str, arguments)]


def told(*arguments: object) -> dict[str, Any]:
    said = subprocess.run(
        command(*arguments, "--json"), capture_output=True, text=True, timeout=60, check=False, env=ENV
    )
    assert said.returncode == OK, said.stderr
    found: dict[str, Any] = json.loads(said.stdout)
    return found


@pytest.fixture
def days_of_readings(tmp_path: Path) -> tuple[Path, Path]:
    """60,000 readings of a fridge and a freezer, which is three days and a half at ten seconds."""
    store = opened(tmp_path / "state" / "journal.db", max_size=500 * MB)
    for first in range(1, 60_001, 5_000):
        waiting = Waiting()
        waiting._newest[Lane.TELEMETRY] = first - 1
        waiting.add(Decision(tuple(record(seq) for seq in range(first, first + 5_000))), 0.0)
        store.commit(waiting, (), NOW)
    store.close()
    return tmp_path / "state", written(tmp_path, RULES)


def record(seq: int) -> Record:
    at_ms = seq * 5_000
    values = {"temperature": 4.0 + (seq // 100 % 50) / 10, "humidity": 40}
    reading = Reading("fridge" if seq % 2 else "freezer", at_ms / 1000, NOW + at_ms, values, {})
    return Record(Lane.TELEMETRY, seq, reading.ts, Trust.SYNCED, at_ms, telemetry(reading))


def test_beside_a_daemon_what_it_did_is_done_again_and_another_limit_tried(tmp_path: Path) -> None:
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "four.yaml").write_text(PROFILE + POINT)
    with TcpDevices() as devices, Daemon(tmp_path, SITE.format(device=devices.port)) as daemon:
        for value in (200, 10, 120, 10):
            devices.always[1] = holding(value)
            until = time.monotonic() + WITHIN_S
            pause = threading.Event()
            while alarms(daemon) != ({"much"} if value > 100 else set()):
                assert time.monotonic() < until, f"no change of the alarm at {value}"
                pause.wait(0.05)
            pause.wait(0.3)
        same = told("--state", daemon.state, "--config", daemon.config)
        other = told("--state", daemon.state, "--config", daemon.config, "--set", "rules.much.above=150")
    assert [it["verdict"] for it in same["alarms"][0]["comings"]] == ["same", "same"]
    assert [it["verdict"] for it in other["alarms"][0]["comings"]] == ["same", "gone"]
    assert same["recorded_under"] == [same["config"]]


def holding(value: int) -> Fault:
    """The device holds this value in its one register."""
    return lambda _, reply: [(0.0, reply[:-2] + value.to_bytes(2))]


def alarms(daemon: Daemon) -> set[str]:
    status = daemon.status() or {"alarms": []}
    return {it["alarm"] for it in status["alarms"] if it["alarm"] == "much" and it["state"].endswith("_active")}


def test_ctrl_c_ends_it_with_what_was_judged_and_leaves_no_page(
    days_of_readings: tuple[Path, Path], tmp_path: Path
) -> None:
    state, config = days_of_readings
    terminal, errors = pty.openpty()
    page = tmp_path / "page.html"
    wanted = command("--state", state, "--config", config, "--since", "2026-01-01", "--html", page)
    with subprocess.Popen(wanted, stdout=subprocess.PIPE, stderr=errors, text=True, env=ENV) as running:
        os.close(errors)
        drawn = b""
        while b"replaying [" not in drawn:
            drawn += os.read(terminal, 1000)
        running.send_signal(signal.SIGINT)
        out = "".join(read(running))
    os.close(terminal)
    assert running.returncode == FAILED
    assert "It was interrupted: everything here is of the time until then." in out
    assert not page.exists()
    assert not list(tmp_path.glob("page.html.part*"))


def read(running: subprocess.Popen[str]) -> Iterator[str]:
    assert running.stdout is not None
    yield from running.stdout


def test_memory_stays_as_it_is_however_long_the_past_is(days_of_readings: tuple[Path, Path]) -> None:
    state, config = days_of_readings
    peaks = []
    for hours in (24, 72):
        past = Past(state / "journal.db", NOW, NOW + hours * 3_600_000)
        past.look()
        tracemalloc.start()
        report = Replay(past, read_config(config), None, plots=True).run()
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert report.tried.readings > 720 * hours - 10
    assert peaks[1] < peaks[0] + 1_000_000
    assert peaks[1] < 10_000_000
