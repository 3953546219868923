"""A lorry whose receiver talks on a serial line, to the daemon: its trip and its odometer go on after a power cut."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from daemon import Daemon
from gps_scene import Line, talking

from gateway.demo.gps_field import fix_at, sentences

CONFIG = """
site: {{id: fleet}}
gateway: {{id: truck-07}}
storage: {{commit_every: 50ms}}
links:
  gps: {{type: serial, port: {port}, baudrate: 115200}}
fences:
  route: {{polygon: [[31.22, 121.63], [31.22, 121.65], [31.24, 121.65], [31.24, 121.63]]}}
devices:
  gps-1: {{driver: gps_nmea, link: gps, zone: truck}}
  truck: {{driver: track, of: gps-1, zone: truck}}
rules:
  off-route: {{point: truck.position, outside: route, priority: high}}
"""
SPEED_M_S = 25.0


def wait_for(daemon: Daemon, that: Callable[[dict[str, Any]], bool], why: str) -> dict[str, Any]:
    """The points of the track, as soon as they are so."""
    deadline, points = time.monotonic() + 30, {}
    while time.monotonic() < deadline:
        status = daemon.status()
        if status is not None:
            points = {it["point"]: it["value"] for it in status["points"] if it["device"] == "truck"}
            if that(points):
                return points
    raise AssertionError(f"{why}: {points}")


def test_a_trip_goes_on_after_a_power_cut(tmp_path: Path) -> None:
    began = time.monotonic()
    with Line() as line, Daemon(tmp_path, CONFIG.format(port=line.port)) as daemon:

        def say(at: datetime) -> None:
            line.send(sentences(fix_at((time.monotonic() - began) * SPEED_M_S, SPEED_M_S), at))

        with talking(say, every_s=0.2):
            before = wait_for(daemon, lambda it: (it["odometer"] or 0) > 300, "it moves")
            assert before["motion"] == "moving"
            assert before["trips"] == 1
            assert before["fence"] == "route"
            daemon.kill()
            daemon.start()
            after = wait_for(daemon, lambda it: (it["odometer"] or 0) > before["odometer"], "it goes on")
        assert after["motion"] == "moving"
        assert after["trips"] == 1, "the same trip"
        daemon.stop()
    journal = sqlite3.connect(f"file:{daemon.state / 'journal.db'}?mode=ro", uri=True)
    events = [json.loads(text) for (text,) in journal.execute("SELECT text FROM events ORDER BY run, seq")]
    journal.close()
    assert [event["trip"] for event in events if event["event"] == "trip_started"] == [1]
    assert not [event for event in events if event["event"] == "alarm" and event["alarm"] == "off-route"]
