"""A whole gateway whose clock nobody has set, with a GPS receiver on a serial line: the times that a platform gets."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from gps_scene import Line, burst, talking
from test_clock_end_to_end import Board, Platform

from gateway.app import Gateway
from gateway.config.installed import read_config
from gateway.demo.broker import Broker
from gateway.hub.plan import plan_of
from gateway.hub.reportplan import TIME_EVERY_S
from gateway.model import Reading, Trust
from gateway.refine.exception import Reporter

CONFIG = """
site: {{id: truck}}
gateway: {{id: gw1}}
storage: {{commit_every: 50ms}}
uplinks:
  platform: {{url: "mqtt://127.0.0.1:{port}", linger: 20ms}}
links:
  gps: {{type: serial, port: {line}, baudrate: 115200}}
devices:
  gps-1: {{driver: gps_nmea, link: gps, zone: truck, time_source: {time_source}}}
"""


@contextmanager
def driving(folder: Path, line: Line, clock: Board, *, time_source: bool = True) -> Iterator[Platform]:
    """A gateway with this clock, and what a platform hears of it."""
    broker = Broker()
    port = broker.start()
    config = folder / "site.yaml"
    config.write_text(CONFIG.format(port=port, line=line.port, time_source=str(time_source).lower()))
    gateway = Gateway(read_config(config), folder / "state", clock)
    with Platform(port) as platform:
        gateway.start()
        try:
            yield platform
        finally:
            gateway.stop()
            broker.stop()


def trusts(platform: Platform) -> list[str]:
    """Those of the readings, in their order."""
    return [told for (_, lane, _), (told, _) in sorted(platform.times.items()) if lane == "telemetry"]


def test_the_time_that_a_receiver_tells_is_recorded_once_an_hour(tmp_path: Path) -> None:
    config = tmp_path / "site.yaml"
    config.write_text(CONFIG.format(port=1883, line="/dev/ttyACM0", time_source="true"))
    reporter = Reporter(plan_of(read_config(config), "run").limits["gps-1"], 2.0)
    readings = [
        Reading("gps-1", mono, 0, {"time": mono * 1000, "speed": 1.0}, {})
        for mono in range(0, 2 * round(TIME_EVERY_S), 2)
    ]
    recorded = [sent for reading in readings if (sent := reporter.worth(reading).sent) is not None]
    assert len(recorded) == TIME_EVERY_S
    assert sum("time" in reading.values for reading in recorded) == 2


def test_a_receiver_confirms_a_clock_of_which_nobody_else_says_anything(tmp_path: Path) -> None:
    with (
        Line() as line,
        talking(lambda at: line.say(*burst(at))),
        driving(tmp_path, line, Board(0.0, Trust.UNSYNCED)) as platform,
    ):
        platform.wait_for(lambda: trusts(platform)[-3:] == ["gps"] * 3, 10, "readings with the trust of a receiver")
        off = [abs(ts - time.time() * 1000) for told, ts in platform.times.values() if told == "gps"]
    assert off
    assert max(off) < 10_000


def test_a_gateway_that_starts_in_1970_dates_its_records_by_a_receiver(tmp_path: Path) -> None:
    with (
        Line() as line,
        talking(lambda at: line.say(*burst(at))),
        driving(tmp_path, line, Board(-time.time(), Trust.UNSYNCED)) as platform,
    ):
        platform.wait_for(lambda: platform.event(event="clock_corrected") is not None, 10, "the correction")
    told = platform.event(event="clock_corrected")
    assert told is not None
    assert abs(told["by_ms"] - time.time() * 1000) < 60_000


@pytest.mark.parametrize(
    ("quality", "mode", "satellites", "time_source"),
    [(8, "S", 8, True), (6, "E", 8, True), (1, "A", 3, True), (1, "A", 8, False)],
    ids=["simulator", "dead reckoning", "three satellites", "no source"],
)
def test_a_receiver_that_is_not_sure_dates_nothing(
    tmp_path: Path, quality: int, mode: str, satellites: int, time_source: bool
) -> None:
    with (
        Line() as line,
        talking(lambda at: line.say(*burst(at, quality=quality, mode=mode, satellites=satellites))),
        driving(tmp_path, line, Board(0.0, Trust.UNSYNCED), time_source=time_source) as platform,
    ):
        platform.wait_for(lambda: len(trusts(platform)) > 12, 10, "more readings than a sure receiver needs")
    assert set(trusts(platform)) == {"unsynced"}


def test_a_wrong_receiver_leaves_a_synchronised_clock_alone(tmp_path: Path) -> None:
    with (
        Line() as line,
        talking(lambda at: line.say(*burst(at + timedelta(days=1)))),
        driving(tmp_path, line, Board(0.0, Trust.SYNCED)) as platform,
    ):
        platform.wait_for(lambda: len(trusts(platform)) > 12, 10, "readings")
    assert set(trusts(platform)) == {"synced"}
    assert platform.event(event="clock_corrected") is None
