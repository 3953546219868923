"""Two uplinks of one gateway, one of them without a broker: the other's traffic is what it would be alone."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

from linkless import Linkless, config
from uplink_scene import until

from gateway.control import ask
from gateway.demo.broker import Broker
from gateway.uplink.attempts import Pauses

ALARMS = 50
BUSY = Pauses(least_s=0.0, most_s=0.0)
"""No pause between attempts: the worst that an uplink without a broker could do."""


def two_uplinks(healthy: int, dead: int) -> str:
    """A gateway whose second uplink has a name that nobody has, a port without a websocket, and one that refuses."""
    urls = f'["mqtt://no..host:1883", "wss://127.0.0.1:{dead}/mqtt", "mqtt://127.0.0.1:{dead}"]'
    backup = f"\n  backup: {{url: {urls}, client_id: other}}"
    return config(healthy, 1, uplink=", linger: 10ms").replace("\nlinks:", f"{backup}\nlinks:", 1)


def state(gateway: Linkless, uplink: str) -> dict[str, Any]:
    health = ask(gateway.state, {"ask": "status"})["health"]
    found: dict[str, Any] = next(one for one in health["uplinks"] if one["uplink"] == uplink)
    return found


class Alarms:
    """What came about alarms, and when."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def tap(self, topic: str, payload: bytes, _retain: bool) -> None:
        if topic.endswith("/event") and b'"alarm":' in payload:
            self.times.append(time.monotonic())


def test_an_uplink_without_a_broker_takes_nothing_from_another_and_gets_everything_later(tmp_path: Path) -> None:
    here, there = Alarms(), Alarms()
    healthy, dead = Broker(tap=here.tap), Broker(tap=there.tap)
    port = dead.start()
    dead.pause()
    with Linkless(tmp_path, two_uplinks(healthy.start(), port), 1, BUSY) as gateway:
        until(healthy.connected)
        took = []
        for number in range(ALARMS):
            began = time.monotonic()
            gateway.reading("device-00", {"r0": 60_000 if number % 2 == 0 else 0})
            until(lambda n=number: len(here.times) > n)  # type: ignore[misc]
            took.append(here.times[number] - began)
        assert state(gateway, "platform")["state"] == "online"
        assert state(gateway, "backup")["acked"] == 0
        dead.resume()
        until(lambda: len(there.times) >= ALARMS)
    healthy.stop()
    dead.stop()
    print(f"an alarm took {statistics.median(took) * 1e3:.1f} ms, {max(took) * 1e3:.1f} ms at most")
    assert statistics.median(took) < 0.1
    assert max(took) < 1.0
