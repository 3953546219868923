"""`sitewarden run` as the service manager and a person at a shell meet it."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from consumer import Consumer
from daemon import Daemon, write_profile
from modbus_responder import RtuDevices, TcpDevices

from gateway.cli import COMMANDS, CONFIG, FAILED, OK, TRY_AGAIN, main
from gateway.demo.broker import Broker

WITHIN_S = 15.0
SITE = """
site: {{id: dc3}}
gateway: {{id: gw1}}
storage: {{commit_every: 100ms}}
uplinks:
  platform: {{url: "mqtt://127.0.0.1:{broker}"}}
links:
  io: {{type: tcp, host: 127.0.0.1, port: {device}}}
  bus1: {{type: serial, port: {port}, baudrate: 115200}}
devices:
  meter-1: {{driver: modbus, link: io, unit: 1, profile: four, every: 100ms, zone: hall}}
  meter-2: {{driver: modbus, link: bus1, unit: 2, profile: four, every: 100ms, zone: hall}}
rules:
  always: {{point: meter-1.r0, above: -1}}
"""


def sitewarden(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gateway", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
    )


def wait_for(what: Callable[[], Any], why: str) -> Any:
    """What `what` gives, as soon as it gives something."""
    until = time.monotonic() + WITHIN_S
    while not (found := what()):
        assert time.monotonic() < until, why
    return found


def points(daemon: Daemon) -> dict[str, str]:
    """device -> quality of its first point."""
    status = daemon.status()
    return {} if status is None else {p["device"]: p["quality"] for p in status["points"] if p["point"] == "r0"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "sitewarden.yaml: "),
        ("site: {id: dc3", "sitewarden.yaml:1:15: "),
        ("site: {id: dc3}\ngateway: {id: gw1}\nlinks: {io: {type: tcp, hosst: a}}", "sitewarden.yaml:3:25: "),
    ],
    ids=["missing", "no YAML", "unknown key"],
)
def test_a_wrong_configuration_is_refused_with_its_place(tmp_path: Path, text: str | None, said: str) -> None:
    config = tmp_path / "sitewarden.yaml"
    if text is not None:
        config.write_text(text)
    done = sitewarden("run", config, "--state", tmp_path / "state")
    assert done.returncode == CONFIG
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "state").exists(), "nothing is begun with a wrong configuration"


@pytest.fixture
def site(tmp_path: Path) -> Any:
    write_profile(tmp_path, "four", 4)
    with TcpDevices() as devices:
        broker = Broker()
        broker_port = broker.start()
        broker.stop()
        port = tmp_path / "ttyUSB0"
        with Daemon(tmp_path, SITE.format(broker=broker_port, device=devices.port, port=port)) as daemon:
            yield daemon, broker_port


def test_what_is_absent_at_the_start_is_tried_for_ever_while_the_rest_works(
    site: tuple[Daemon, int], tmp_path: Path
) -> None:
    daemon, broker_port = site
    wait_for(lambda: points(daemon).get("meter-1") == "good", "the device that is there is read")
    assert points(daemon)["meter-2"] == "link_down"
    status = daemon.status()
    assert status is not None
    assert [alarm["alarm"] for alarm in status["alarms"]] == ["always"]
    assert "link bus1 is down" in daemon.log.read_text()
    assert "refuses connections" in daemon.log.read_text()
    broker = Broker()
    broker.start(broker_port)
    try:
        with Consumer(broker_port) as consumer, RtuDevices(tmp_path):
            wait_for(lambda: points(daemon).get("meter-2") == "good", "the port that came is read")
            consumer.wait_for(lambda: consumer.event(event="link_back", link="bus1") is not None, WITHIN_S, "said")
            lost = consumer.event(event="link_lost", link="bus1")
            assert lost is not None
            assert lost["hint"]
    finally:
        broker.stop()
    assert daemon.stop() == OK


def test_a_second_daemon_is_told_so_and_harms_nothing(site: tuple[Daemon, int]) -> None:
    daemon, _ = site
    wait_for(lambda: points(daemon).get("meter-1") == "good", "the first one runs")
    done = sitewarden("run", daemon.config, "--state", daemon.state)
    assert done.returncode == TRY_AGAIN
    assert "another Sitewarden already uses" in done.stderr
    assert points(daemon)["meter-1"] == "good"


def test_status_is_a_table_for_people_and_json_for_programs(site: tuple[Daemon, int]) -> None:
    daemon, _ = site
    wait_for(lambda: points(daemon).get("meter-1") == "good", "it runs")
    table = sitewarden("status", "--state", daemon.state)
    assert table.returncode == OK
    assert "meter-1.r0" in table.stdout
    assert "always" in table.stdout
    assert "refuses connections" in table.stdout
    as_json = sitewarden("status", "--state", daemon.state, "--json")
    assert json.loads(as_json.stdout)["about"]["gateway"] == "gw1"


def test_ack_says_what_became_of_it(site: tuple[Daemon, int]) -> None:
    daemon, _ = site
    wait_for(lambda: (daemon.status() or {"alarms": []})["alarms"], "the alarm stands")
    done = sitewarden("ack", "always", "--by", "Ada", "--state", daemon.state)
    assert (done.returncode, done.stdout) == (OK, "acknowledge always: done\n")
    again = sitewarden("ack", "always", "--by", "Ada", "--state", daemon.state)
    assert (again.returncode, again.stdout) == (FAILED, "acknowledge always: refused (already acknowledged)\n")
    reset = sitewarden("reset", "always", "--state", daemon.state)
    assert (reset.returncode, reset.stdout) == (FAILED, "reset always: refused (its condition still holds)\n")


def test_an_alarm_is_shelved_with_a_reason_and_shown_as_that(site: tuple[Daemon, int]) -> None:
    daemon, _ = site
    wait_for(lambda: (daemon.status() or {"alarms": []})["alarms"], "the alarm stands")
    who = ("--by", "Ada", "--reason", "the door is being mended", "--state", daemon.state)
    shelved = sitewarden("shelve", "always", "--for", "30m", *who)
    assert (shelved.returncode, shelved.stdout) == (OK, "shelve always: done\n")
    shown = sitewarden("alarms", "--state", daemon.state)
    assert re.search(r"\[shelved until [0-9: -]+ by Ada \(user [^)]+\): the door is being mended\]", shown.stdout), (
        shown.stdout
    )
    ended = sitewarden("unshelve", "always", "--state", daemon.state)
    assert (ended.returncode, ended.stdout) == (OK, "unshelve always: done\n")
    alarms = json.loads(sitewarden("alarms", "--json", "--state", daemon.state).stdout)
    assert [(alarm["alarm"], alarm["hidden"]) for alarm in alarms] == [("always", None)]
    assert sitewarden("out-of-service", "always", *who).stdout == "out_of_service always: done\n"
    status = sitewarden("status", "--state", daemon.state).stdout
    assert re.search(r"\[out of service by Ada \(user [^)]+\): the door is being mended\]", status), status
    assert sitewarden("in-service", "always", "--state", daemon.state).returncode == OK


def test_a_shelf_needs_a_time(site: tuple[Daemon, int]) -> None:
    daemon, _ = site
    wrong = sitewarden("shelve", "always", "--for", "soon", "--reason", "x", "--state", daemon.state)
    assert wrong.returncode == 2
    assert "argument --for: a duration needs a number and a unit" in wrong.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_a_clean_stop(site: tuple[Daemon, int], number: signal.Signals) -> None:
    daemon, _ = site
    wait_for(lambda: points(daemon).get("meter-1") == "good", "it runs")
    assert daemon._end(number) == OK
    with closing(sqlite3.connect(daemon.state / "journal.db")) as db:
        last = db.execute("SELECT text FROM event ORDER BY id DESC LIMIT 1").fetchone()[0]
    assert json.loads(last)["event"] == "stopped"


def test_without_a_daemon_status_says_how_to_start_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--state", str(tmp_path)]) == FAILED
    assert "sitewarden run" in capsys.readouterr().err


def test_every_command_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    for command in COMMANDS:
        with pytest.raises(SystemExit) as ended:
            main([command, "--help"])
        assert ended.value.code == 0
        assert f"sitewarden {command}" in capsys.readouterr().out


def test_an_unknown_command_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["explode"])
    assert ended.value.code == 2
    assert "explode" in capsys.readouterr().err
