"""A whole gateway that starts in 1970 without a network, and what a platform gets of it later."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from typing import Any

from consumer import Consumer
from paho.mqtt.client import MQTTMessage

from gateway.app import Gateway
from gateway.config.installed import read_config
from gateway.demo.broker import Broker
from gateway.links.gpio import mock_pin
from gateway.model import Moment, Trust

CONFIG = """
site: {{id: dc3}}
gateway: {{id: gw1}}
storage: {{commit_every: 50ms}}
uplinks:
  platform: {{url: "mqtt://127.0.0.1:{port}", linger: 20ms}}
links:
  gpio: {{type: gpio, factory: mock}}
devices:
  door-1: {{driver: contact, link: gpio, pin: 5, kind: door, hold: 0s, zone: hall}}
rules:
  door-open: {{point: door-1.door, equals: open, for: 0s}}
"""


class Board:
    """A machine's clock: `off_s` from the true time."""

    def __init__(self, off_s: float, trust: Trust) -> None:
        self._off_s = off_s
        self._trust = trust

    def mono(self) -> float:
        return time.monotonic()

    def now(self) -> Moment:
        return Moment(time.monotonic(), round((time.time() + self._off_s) * 1000), self._trust)


class Platform(Consumer):
    """Keeps the trust and the time of every record."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.times: dict[tuple[str, str, int], tuple[str, int]] = {}

    def _take_payload(self, name: str, message: MQTTMessage) -> None:
        payload: dict[str, Any] = json.loads(message.payload)
        for record in payload.get("records", [payload] if name == "event" else []):
            self.times[payload["run"], name, record["seq"]] = payload["tq"], record["ts"]
        super()._take_payload(name, message)


def dead_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def started(folder: Path, port: int, clock: Board) -> Gateway:
    config = folder / "site.yaml"
    config.write_text(CONFIG.format(port=port))
    gateway = Gateway(read_config(config), folder / "state", clock)
    gateway.start()
    return gateway


def test_what_was_recorded_in_1970_reaches_the_platform_with_its_real_time_after_a_restart(tmp_path: Path) -> None:
    mock_pin(5).wire(high=True)
    before = round(time.time() * 1000)
    lost = started(tmp_path, dead_port(), Board(-time.time(), Trust.UNSYNCED))
    until = time.monotonic() + 10
    while not lost.status().alarms and time.monotonic() < until:
        mock_pin(5).wire(high=time.monotonic() % 0.2 < 0.1)
    lost.stop()
    broker = Broker()
    port = broker.start()
    with Platform(port) as platform:
        found = started(tmp_path, port, Board(0.0, Trust.SYNCED))
        platform.wait_for(
            lambda: (
                platform.event(event="clock_corrected", of_run=lost.run) is not None
                and platform.event(event="stopped", run=lost.run) is not None
                and bool(platform.seqs(lost.run, "telemetry"))
            ),
            20,
            "the backlog and the correction",
        )
        after = round(time.time() * 1000)
        found.stop()
        early = [told for (run, _, _), told in platform.times.items() if run == lost.run]
    broker.stop()
    assert {trust for trust, _ in early} == {"estimated"}
    assert all(before - 50 <= ts <= after for _, ts in early)
    told = platform.event(event="clock_corrected", of_run=lost.run)
    assert told is not None
    assert abs(told["by_ms"] - before) < 60_000
