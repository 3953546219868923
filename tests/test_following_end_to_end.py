"""A high alarm that nobody confirms or sees: told step by step at two real brokers, over a reload and a kill -9."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from consumer import Consumer
from daemon import Daemon, write_profile
from modbus_responder import TcpDevices
from mosquitto import mosquitto
from test_reload import wait_for

pytestmark = pytest.mark.mosquitto

CONFIG = """
site: {{id: dc3, name: {name}}}
gateway: {{id: gw1}}
uplinks:
  first: {{url: "mqtt://127.0.0.1:{first}", commands: [confirm, acknowledge]}}
  second: {{url: "mqtt://127.0.0.1:{second}"}}
links:
  io: {{type: tcp, host: 127.0.0.1, port: {device}}}
  gpio: {{type: gpio, factory: mock}}
devices:
  meter-1: {{driver: modbus, link: io, unit: 1, profile: four, every: 100ms, zone: hall}}
  lamp: {{driver: relay, link: gpio, pin: 22, zone: hall}}
rules:
  hot: {{point: meter-1.r0, above: -1, priority: high}}
responses:
  call: {{set: {{lamp: "on"}}}}
reporting: {{confirm_within: 3s, re_alarm_after: 6s, escalate_after: 9s, report_within: 12s, unconfirmed: call}}
"""
DUE_MS = [3000, 6000, 9000, 12000]
STEPS = ["unconfirmed", "re_alarmed", "escalated", "report_overdue"]
WITHIN_S = 30.0


def steps(platform: Consumer) -> list[str]:
    """What became of the report, as one platform was told, repetitions left out."""
    told = {(event["run"], event["seq"]): event["change"] for event in platform.events if event["event"] == "alarm"}
    return [change for change in told.values() if change in {*STEPS, "confirmed"}]


def is_lit(daemon: Daemon) -> bool:
    status = daemon.status()
    return status is not None and "on" in status["outputs"].values()


def test_each_step_is_told_once_on_both_uplinks_and_a_late_confirmation_ends_the_call(tmp_path: Path) -> None:
    write_profile(tmp_path, "four", 4)
    with (
        mosquitto(tmp_path / "one", "allow_anonymous true") as one,
        mosquitto(tmp_path / "two", "allow_anonymous true") as two,
        Consumer(one.port) as first,
        Consumer(two.port) as second,
        TcpDevices() as devices,
    ):
        given = {"name": "Hall", "first": one.port, "second": two.port, "device": devices.port}
        with Daemon(tmp_path, CONFIG.format(**given)) as daemon:
            second.wait_for(lambda: second.event(alarm="hot", change="raised") is not None, WITHIN_S, "raised")
            daemon.config.write_text(CONFIG.format(**given | {"name": "Great hall"}))
            os.kill(daemon.pid, signal.SIGHUP)
            second.wait_for(lambda: "unconfirmed" in steps(second), WITHIN_S, "told on the other uplink")
            assert is_lit(daemon), "and on the spot"
            daemon.kill()
            daemon.start()
            wait_for(lambda: is_lit(daemon), "as before")
            for platform in (first, second):
                platform.wait_for(lambda told=platform: "report_overdue" in steps(told), WITHIN_S, "all steps")  # type: ignore[misc]
                assert steps(platform) == STEPS
            expires = int(time.time() * 1000) + 60_000
            late = {"id": "c-1", "name": "confirm", "issuer": "ada", "expires": expires, "args": {"alarm": "hot"}}
            first.publish("sitewarden/v1/dc3/gw1/command", late)
            second.wait_for(lambda: "confirmed" in steps(second), WITHIN_S, "the late word")
            wait_for(lambda: not is_lit(daemon), "it calls nobody any more")
        raised, *told = [second.event(alarm="hot", change=change) for change in ("raised", *STEPS)]
        assert raised is not None
        after_ms = [event["ts"] - raised["ts"] for event in told if event is not None]
        assert all(at >= due - 50 for at, due in zip(after_ms, DUE_MS, strict=True)), "none before its time"
