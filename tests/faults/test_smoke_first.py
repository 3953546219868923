"""Smoke waits for nobody: not for a disk that hangs or refuses, nor behind telemetry on a slow line to the broker."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
from consumer import Consumer
from daemon import write_profile
from modbus_responder import TcpDevices
from smoke_scene import CONFIG, DISKS, PinnedDaemon, SlowLine, failing_syncs
from uplink_scene import until

from gateway.demo.broker import Broker

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="syncs are made to fail by strace")

UNITS, REGISTERS = 8, 30
BYTES_PER_S = 12_000  # half of what the units give
SIREN_WITHIN_S, EVENT_WITHIN_S = 0.25, 3.0
"""On a machine that is shared; tests/bench/smoke.py has the figures of a quiet one: 20 ms and 1.5 s."""


def config(broker: int, port: int) -> str:
    """Many values a second beside the smoke detector."""
    units = "".join(
        f"  d{unit}: {{driver: modbus, link: io, unit: {unit}, profile: wide, every: 100ms, zone: hall}}\n"
        for unit in range(1, UNITS + 1)
    )
    link = f"  io: {{type: tcp, host: 127.0.0.1, port: {port}}}"
    rules = "  too-much: {kind: setting, above: 70000}"
    return CONFIG.format(broker=broker, links=link, devices=units, rules=rules)


@pytest.mark.parametrize("disk", sorted(DISKS))
def test_smoke_waits_for_neither_disk_nor_broker(disk: str, tmp_path: Path) -> None:
    events: SimpleQueue[tuple[float, str]] = SimpleQueue()
    broker = Broker()
    broker.start()
    line = SlowLine(broker.port, BYTES_PER_S)
    write_profile(tmp_path, "wide", REGISTERS)

    def came(event: dict[str, Any]) -> None:
        if event["event"] == "alarm" and event["alarm"] == "smoke":
            events.put((time.monotonic(), event["change"]))

    with TcpDevices() as devices, Consumer(broker.port, on_event=came) as platform:
        text = config(line.port, devices.port)
        with PinnedDaemon(tmp_path, text) as daemon:
            until(lambda: sum(lane == "telemetry" for _, lane, _ in platform.counts) > 40, 30, "it flows")
            trace = tmp_path / "trace"
            with failing_syncs(daemon.pid, disk, trace):
                until(lambda: trace.stat().st_size > 0, 20, "a sync is met")
                for _ in range(3):
                    edge_at = daemon.smoke(alarm=True)
                    event_at, change = events.get(timeout=30)
                    switched = daemon.siren()
                    assert switched is not None
                    assert switched[1], "the siren is on"
                    assert switched[0] < SIREN_WITHIN_S
                    assert change == "raised"
                    assert event_at - edge_at < EVENT_WITHIN_S
                    daemon.smoke(alarm=False)
                    assert events.get(timeout=30)[1] == "cleared"
    line.close()
    broker.stop()
