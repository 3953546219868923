"""A router with texts, an address and a position in its registers: from a socket to a platform and a CSV file."""

from __future__ import annotations

import csv
import json
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from consumer import Consumer
from daemon import Daemon
from field_scene import served

from gateway.cli import main
from gateway.demo.broker import Broker
from gateway.demo.modbus_field import ModbusTcpModule, Slave
from gateway.demo.wiring import Wiring

CONFIG = """
site: {{id: truck}}
gateway: {{id: gw1}}
storage: {{commit_every: 100ms}}
uplinks:
  platform: {{url: "mqtt://127.0.0.1:{broker}", linger: 50ms}}
links:
  router: {{type: tcp, host: 127.0.0.1, port: {device}}}
devices:
  router-1: {{driver: modbus, link: router, unit: 1, profile: teltonika-rut, every: 50ms, zone: truck}}
rules:
  slow: {{point: router-1.network_type, equals: "3G", text: The truck has a slow network}}
"""


def text(words: str) -> dict[int, int]:
    """Sixteen registers, from 0 on, with two characters in each."""
    return dict(enumerate(struct.unpack(">16H", words.encode().ljust(32, b"\0"))))


class Router:
    """What a RUT955 holds; `network` and `place` are the test's."""

    def __init__(self, wiring: Wiring) -> None:
        self.network = "4G"
        self.place = (0.0, 0.0)
        self._module = ModbusTcpModule(wiring, Slave(1, self._contents))
        self.port = self._module.open()
        self.close = self._module.close

    def _contents(self, _now: float) -> Mapping[int, Mapping[int, int]]:
        little_endian = struct.unpack(">4H", b"".join(struct.pack("<f", degrees) for degrees in self.place))
        held = {23: text("=N1 Mobil"), 119: text(self.network), 139: {0: 0xC0A8, 1: 0x0101}}
        return {
            3: {
                **dict.fromkeys(range(1, 190), 0),
                **{start + at: word for start, words in held.items() for at, word in words.items()},
                **dict(enumerate(little_endian, 143)),
            }
        }


@pytest.fixture
def router() -> Iterator[Router]:
    with served(Router) as device:
        yield device


def test_a_text_is_recorded_when_it_changes_judged_sent_and_exported(tmp_path: Path, router: Router) -> None:
    broker = Broker()
    broker.start()
    config = CONFIG.format(broker=broker.port, device=router.port)
    with Consumer(broker.port) as consumer, Daemon(tmp_path, config) as daemon:
        consumer.wait_for(lambda: len(consumer.counts) > 10, 20, "readings")
        router.place = (31.2304, 121.4737)
        router.network = "3G"
        consumer.wait_for(lambda: consumer.event(event="alarm", alarm="slow") is not None, 10, "the alarm")
        alarm = consumer.event(event="alarm", alarm="slow")
        assert alarm is not None
        assert alarm["value"] == "3G"
        about = json.loads(consumer.latest["sitewarden/v1/truck/gw1/about/router-1"])
        assert {point["form"] for point in about["points"]} == {"gauge", "text", "position"}
        assert daemon.stop() == 0
    broker.stop()
    assert main(["journal", "export", "--state", str(daemon.state), "-o", str(tmp_path / "all.csv")]) == 0
    with (tmp_path / "all.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    points = ("operator", "network_type", "wan_ip", "position")
    told = {point: [row["value"] or row["bad"] for row in rows if row["point"] == point] for point in points}
    assert told["network_type"] == ["4G", "3G"], "recorded when it changes"
    assert told["operator"] == ["'=N1 Mobil"], "no cell can be taken for a formula"
    assert told["wan_ip"] == ["192.168.1.1"]
    assert {told["position"][0], told["position"][-1]} == {"no_fix", "[31.2304, 121.4737]"}
