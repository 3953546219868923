"""Two uplinks of one gateway, one of them without a broker: the other's traffic is what it would be alone."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

from linkless import Linkless, config
from test_mqtt_wire import free_port
from uplink_scene import until

from gateway.control import ask
from gateway.demo.broker import Broker
from gateway.uplink.attempts import Pauses

ALARMS = 50
BUSY = Pauses(least_s=0.0, most_s=0.0)
"""No pause between attempts: the worst that an uplink without a broker could do."""


def two_uplinks(healthy: int, dead: int) -> str:
    """A gateway whose second uplink has a port that refuses, a name that nobody has, and a proxy for nothing."""
    urls = f'["mqtt://127.0.0.1:{dead}", "mqtt://no..host:1883", "wss://127.0.0.1:{dead}/mqtt"]'
    backup = f"\n  backup: {{url: {urls}, client_id: other}}"
    return config(healthy, 1, uplink=", linger: 10ms").replace("\nlinks:", f"{backup}\nlinks:", 1)


def state(gateway: Linkless, uplink: str) -> dict[str, Any]:
    health = ask(gateway.state, {"ask": "status"})["health"]
    found: dict[str, Any] = next(one for one in health["uplinks"] if one["uplink"] == uplink)
    return {**found, "backlog": health["journal"]["backlog"][uplink]}


def test_an_uplink_without_a_broker_takes_nothing_from_another(tmp_path: Path) -> None:
    came: list[float] = []

    def tap(topic: str, payload: bytes, _retain: bool) -> None:
        if topic.endswith("/event") and b'"alarm":' in payload:
            came.append(time.monotonic())

    broker = Broker(tap=tap)
    with Linkless(tmp_path, two_uplinks(broker.start(), free_port()), 1, BUSY) as gateway:
        until(broker.connected)
        took = []
        for number in range(ALARMS):
            began = time.monotonic()
            gateway.reading("device-00", {"r0": 60_000 if number % 2 == 0 else 0})
            until(lambda n=number: len(came) > n)  # type: ignore[misc]
            took.append(came[number] - began)
        until(lambda: state(gateway, "platform")["acked"] >= 2 * ALARMS, 20)  # health is told once a second
        until(lambda: state(gateway, "backup")["backlog"] >= 2 * ALARMS, 20)
        healthy, dead = state(gateway, "platform"), state(gateway, "backup")
    broker.stop()
    print(f"an alarm took {statistics.median(took) * 1e3:.1f} ms, {max(took) * 1e3:.1f} ms at most")
    assert statistics.median(took) < 0.1
    assert max(took) < 1.0
    assert healthy["state"] == "online"
    assert "127.0.0.1" in dead["state"] or "no..host" in dead["state"]
    assert dead["acked"] == 0
