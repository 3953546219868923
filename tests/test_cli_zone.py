"""What a person says of a zone from the command line, to a real daemon: how many are there, and that it is tested."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest
from daemon import Daemon

from gateway.cli import FAILED, OK

WITHIN_S = 15.0
CONFIG = """
site: {id: dc3}
gateway: {id: gw1}
links:
  usb: {type: serial, port: /dev/there-is-none}
  pins: {type: gpio, factory: mock}
devices:
  smoke-1: {driver: contact, link: pins, pin: 17, kind: smoke, zone: shop/store}
  door-1: {driver: people_counter, link: usb, zone: shop/door}
  people: {driver: occupancy, doors: {door-1: {}}, capacity: 100, zone: shop}
"""


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    with Daemon(tmp_path, CONFIG) as daemon:
        until, pause = time.monotonic() + WITHIN_S, Event()
        while daemon.status() is None:
            assert time.monotonic() < until, "it runs"
            pause.wait(0.05)
        yield daemon


def sitewarden(daemon: Daemon, *args: str) -> tuple[int, str]:
    line = [sys.executable, "-m", "gateway", *args, "--by", "Ada", "--state", str(daemon.state)]
    top = Path(__file__).parent.parent
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=30, cwd=top)
    return done.returncode, done.stdout + done.stderr


def value(daemon: Daemon, device: str, point: str) -> object:
    status = daemon.status()
    assert status is not None
    return next(it["value"] for it in status["points"] if (it["device"], it["point"]) == (device, point))


def test_somebody_has_counted(daemon: Daemon) -> None:
    why = ("--reason", "counted at closing")
    assert sitewarden(daemon, "set-occupancy", "shop", "12", *why) == (OK, "set_occupancy shop 12: done\n")
    assert value(daemon, "people", "occupancy") == 12
    assert sitewarden(daemon, "set-occupancy", "people", "13", *why) == (OK, "set_occupancy people 13: done\n")
    assert value(daemon, "people", "occupancy") == 13
    code, said = sitewarden(daemon, "set-occupancy", "attic", "1", *why)
    assert (code, said) == (
        FAILED,
        "set_occupancy attic 1: refused (in the zone attic no device takes set_occupancy; there are: shop)\n",
    )
    assert sitewarden(daemon, "set-occupancy", "shop", "a few", *why)[0] == 2
    assert "--reason" in sitewarden(daemon, "set-occupancy", "shop", "12")[1]


def test_a_zone_is_tested_for_a_time(daemon: Daemon) -> None:
    why = ("--reason", "yearly test")
    assert sitewarden(daemon, "test-mode", "shop", "--for", "1m", *why) == (OK, "test_mode shop: done\n")
    status = daemon.status()
    assert status is not None
    assert [alarm["alarm"] for alarm in status["alarms"] if alarm["alarm"].startswith("test-mode")]
    assert sitewarden(daemon, "test-mode", "shop", "--for", "0s", *why) == (OK, "test_mode shop: done\n")
    code, said = sitewarden(daemon, "test-mode", "shop", "--for", "0s", *why)
    assert (code, said) == (FAILED, "test_mode shop: refused (zone shop is not under test)\n")
    assert "--reason" in sitewarden(daemon, "test-mode", "shop", "--for", "1m")[1]
