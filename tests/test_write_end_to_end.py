"""A setting is written through the whole daemon: from the command line and over MQTT, and across a power cut."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from consumer import Consumer
from daemon import Daemon
from modbus_responder import Fault, Script, TcpDevices, silent, value_of

from gateway.demo.broker import Broker

ROOT = "sitewarden/v1/dc3/gw1"
SETPOINT = value_of(1, 3, 10)  # what the device's register 10 reads, whatever is written
PROFILE = """\
model: Thermostat
maker: tests
sources: [made up]
confidence: high
points:
  setpoint: {kind: setting, table: holding, address: 10, type: uint16, minimum: 0, maximum: 65535, writable: true}
  delay: {kind: setting, table: holding, address: 11, type: uint16, minimum: 0, maximum: 60, writable: true}
"""
CONFIG = """
site: {{id: dc3}}
gateway: {{id: gw1}}
uplinks:
  platform: {{url: "mqtt://127.0.0.1:{broker}", linger: 50ms, commands: [write_point]}}
links:
  io: {{type: tcp, host: 127.0.0.1, port: {device}, timeout: 10s}}
devices:
  cold-1: {{driver: modbus, link: io, unit: 1, profile: thermostat, settings: [setpoint], every: 1s, zone: hall}}
"""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[Daemon, Consumer, TcpDevices]]:
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "thermostat.yaml").write_text(PROFILE)
    broker = Broker()
    broker.start()
    try:
        with TcpDevices() as devices, Consumer(broker.port) as consumer:
            config = CONFIG.format(broker=broker.port, device=devices.port)
            with Daemon(tmp_path, config) as daemon:
                consumer.wait_for(lambda: bool(consumer.counts), 10, "the first record")
                wait_for(
                    lambda: (daemon.status() or {"points": [{}]})["points"][0].get("quality") == "good", "it reads"
                )
                yield daemon, consumer, devices
    finally:
        broker.stop()


def wait_for(what: Callable[[], object], why: str, within_s: float = 10.0) -> None:
    until = time.monotonic() + within_s
    while not what():
        assert time.monotonic() < until, f"not within {within_s:g} s: {why}"


def sitewarden(daemon: Daemon, *args: str) -> tuple[int, str]:
    top = Path(__file__).parent.parent
    line = [sys.executable, "-m", "gateway", *args, "--state", str(daemon.state)]
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=30, cwd=top)
    return done.returncode, done.stdout + done.stderr


def written(devices: TcpDevices) -> list[bytes]:
    """What function 6 was asked to write."""
    return [frame[7:] for _, frame in devices.asked if frame[7] == 6]


def outcomes(consumer: Consumer) -> list[tuple[str, str, str]]:
    return [(it["by"], it["reason"], it["result"]) for it in consumer.events if it["event"] == "write"]


def ask(consumer: Consumer, id_: str, value: float) -> None:
    args = {"device": "cold-1", "point": "setpoint", "value": value, "reason": "new goods"}
    expires = int(time.time() * 1000) + 60_000
    command = {"id": id_, "name": "write_point", "args": args, "issuer": "ada", "expires": expires}
    consumer.publish(f"{ROOT}/command", command)


def reply(consumer: Consumer, id_: str) -> dict[str, Any]:
    def answer() -> dict[str, Any]:
        found: dict[str, Any] = json.loads(consumer.latest.get(f"{ROOT}/reply", b"{}"))
        return found

    consumer.wait_for(lambda: answer().get("id") == id_, 10, f"the reply to {id_}")
    return answer()


def test_a_setting_is_written_from_the_command_line_and_recorded(site: tuple[Daemon, Consumer, TcpDevices]) -> None:
    daemon, consumer, devices = site
    who = ("--by", "Ada", "--reason", "new goods")
    right, other = str(SETPOINT), str(SETPOINT + 1)
    assert sitewarden(daemon, "write", "cold-1.setpoint", right, *who) == (0, f"write cold-1.setpoint {right}: done\n")
    failed = f"write cold-1.setpoint {other}: failed (it reads back {right})\n"
    assert sitewarden(daemon, "write", "cold-1.setpoint", other, *who) == (1, failed)
    assert len(written(devices)) == 2
    consumer.wait_for(lambda: len(outcomes(consumer)) == 4, 10, "the events")
    ada = f"Ada (user {pwd.getpwuid(os.getuid()).pw_name})"
    assert outcomes(consumer) == [(ada, "new goods", it) for it in ("requested", "done", "requested", "failed")]
    first = consumer.event(event="write")
    assert first is not None
    assert (first["was"], first["value"], first["source"]) == (SETPOINT, SETPOINT, "local")


def test_what_the_configuration_does_not_allow_is_refused(site: tuple[Daemon, Consumer, TcpDevices]) -> None:
    daemon, _, devices = site
    code, said = sitewarden(daemon, "write", "cold-1.delay", "5", "--by", "Ada", "--reason", "x")
    assert code == 1
    assert "refused (cold-1.delay = 5: it is not among the settings that the configuration of its device names)" in said
    assert sitewarden(daemon, "write", "cold-1", "5", "--reason", "x")[0] == 2
    assert "--reason" in sitewarden(daemon, "write", "cold-1.setpoint", "5")[1]
    assert not written(devices)


def test_a_number_beyond_all_floats_is_refused_and_the_gateway_stays(
    site: tuple[Daemon, Consumer, TcpDevices],
) -> None:
    daemon, consumer, devices = site
    ask(consumer, "c-9", 10**400)
    refused = {"id": "c-9", "result": "refused", "detail": "not a command: a number is too big"}
    assert reply(consumer, "c-9") == refused
    code, said = sitewarden(daemon, "write", "cold-1.setpoint", "9" * 400, "--reason", "x")
    assert (code != 0, "a number is too big" in said) == (True, True)
    assert "a number, as in -18.5" in sitewarden(daemon, "write", "cold-1.setpoint", "1e999", "--reason", "x")[1]
    assert not written(devices)
    assert daemon.status() is not None


def deaf_to(function: int, otherwise: Fault) -> Fault:
    def fault(request: bytes, reply: bytes) -> Script:
        return silent(request, reply) if request[7] == function else otherwise(request, reply)

    return fault


def test_a_power_cut_in_the_middle_of_a_write_is_told_and_the_write_is_not_repeated(
    site: tuple[Daemon, Consumer, TcpDevices],
) -> None:
    daemon, consumer, devices = site
    devices.always[1] = deaf_to(6, lambda _, right: [(0.0, right)])
    ask(consumer, "c-1", 7)
    wait_for(lambda: written(devices), "it is written, and not confirmed")
    daemon.kill()
    daemon.start()
    unknown = ("ada", "new goods", "outcome_unknown")
    consumer.wait_for(lambda: unknown in outcomes(consumer), 15, "the outcome is told to be unknown")
    ask(consumer, "c-1", 7)
    assert reply(consumer, "c-1")["result"] == "outcome_unknown"
    assert len(written(devices)) == 1
    assert sitewarden(daemon, "journal", "verify")[0] == 0
