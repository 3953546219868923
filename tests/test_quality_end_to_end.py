"""A thermometer on a socket, the daemon in a process of its own: what is stored is calibrated, and no wild value is."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from consumer import VALIDATORS, Consumer
from daemon import Daemon
from field_scene import served

from gateway.demo.broker import Broker
from gateway.demo.modbus_field import ModbusTcpModule, xy_md02
from gateway.demo.wiring import Wiring

CONFIG = """
site: {{id: dc3}}
gateway: {{id: gw1}}
storage: {{commit_every: 100ms}}
uplinks:
  platform: {{url: "mqtt://127.0.0.1:{broker}", linger: 50ms}}
links:
  io: {{type: tcp, host: 127.0.0.1, port: {device}}}
devices:
  room-1:
    driver: modbus
    link: io
    unit: 1
    profile: xy-md02
    every: 50ms
    zone: hall
    points:
      temperature:
        range: [-40, 90]
        max_rate: 5/min
        calibration: {{offset: -0.5, certificate: DKD-1, date: 2026-03-14, due: 2100-03-14}}
rules:
  fire: {{point: room-1.temperature, above: 60, for: 0s, priority: high}}
"""


class Thermometer:
    """An XY-MD02 that shows what the test says: `once` for one reading, then `steady`."""

    def __init__(self, wiring: Wiring) -> None:
        self.steady = 20.5
        self.once: list[float] = []
        self._module = ModbusTcpModule(wiring, xy_md02(1, self._temperature, lambda _: 50.0))
        self.port = self._module.open()
        self.close = self._module.close

    def _temperature(self, _now: float) -> float:
        return self.once.pop() if self.once else self.steady


@pytest.fixture
def thermometer() -> Iterator[Thermometer]:
    with served(Thermometer) as device:
        yield device


def stored(daemon: Daemon) -> list[Any]:
    """Of the thermometer's temperature what is in the journal: values, and why there is none."""
    with closing(sqlite3.connect(daemon.state / "journal.db")) as db:
        rows = db.execute("SELECT value, bad FROM readings WHERE point = 'temperature' ORDER BY seq")
        return [value if bad is None else bad for value, bad in rows]


def test_a_wild_value_is_not_stored_and_a_fire_is_an_alarm(tmp_path: Path, thermometer: Thermometer) -> None:
    broker = Broker()
    broker.start()
    config = CONFIG.format(broker=broker.port, device=thermometer.port)
    with Consumer(broker.port) as consumer, Daemon(tmp_path, config) as daemon:
        consumer.wait_for(lambda: len(consumer.counts) > 10, 20, "readings")
        thermometer.once = [85.0]
        consumer.wait_for(lambda: not thermometer.once and len(consumer.counts) > 20, 10, "readings after it")
        thermometer.steady = 70.5
        consumer.wait_for(lambda: consumer.event(event="alarm", alarm="fire") is not None, 10, "the alarm")
        fire = consumer.event(event="alarm", alarm="fire")
        assert fire is not None
        assert fire["value"] == 70.0
        about = json.loads(consumer.latest["sitewarden/v1/dc3/gw1/about/room-1"])
        VALIDATORS["about-device"].validate(about)
        assert about["points"][0]["calibration"]["certificate"] == "DKD-1"
        assert daemon.stop() == 0
        told = stored(daemon)
    broker.stop()
    steps = [one for n, one in enumerate(told) if n == 0 or one != told[n - 1]]
    assert steps == [20.0, "too_fast", 20.0, "too_fast", 70.0]
    assert told.count("too_fast") == 2, "once for the wild value, once for the fire"
