"""People through the whole daemon: frames on a real port, a kill while people pass, a person who puts it right."""

from __future__ import annotations

import os
import subprocess
import sys
import tty
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from daemon import Daemon
from test_counts_end_to_end import stored, wait_for

from gateway.demo.counter_field import counts_frame, distances_frame

CONFIG = """
site: {{id: dc3}}
gateway: {{id: gw1}}
storage: {{commit_every: 100ms}}
links:
  counter: {{type: serial, port: {port}, baudrate: 115200}}
devices:
  door-1: {{driver: people_counter, link: counter, every: 1m, zone: shop}}
  shop: {{driver: occupancy, doors: {{door-1: {{}}}}, capacity: 10, zone: shop}}
rules:
  full: {{point: shop.fullness, above: 99.9, priority: high}}
"""


class Entrance:
    """A counter above a door, on a pseudo-terminal."""

    def __init__(self) -> None:
        self.line, self._end = os.openpty()
        tty.setraw(self.line)
        tty.setraw(self._end)
        self.port = os.ttyname(self._end)
        self.came, self.left = 65_530, 0

    def pass_through(self, came: int = 0, left: int = 0, *, heard: bool = True) -> None:
        self.came += came
        self.left += left
        if heard:
            frame = counts_frame(self.came % 65_536 - self.left, self.came, self.left)
            os.write(self.line, distances_frame(2200, 2215) + frame + distances_frame(2200, 2215))

    def close(self) -> None:
        os.close(self.line)
        os.close(self._end)


@pytest.fixture
def entrance() -> Iterator[Entrance]:
    entrance = Entrance()
    yield entrance
    entrance.close()


def points(daemon: Daemon) -> dict[str, Any]:
    status = daemon.status()
    return {f"{it['device']}.{it['point']}": it["value"] for it in (status["points"] if status is not None else ())}


def alarms(daemon: Daemon) -> set[str]:
    status = daemon.status()
    return {it["alarm"] for it in (status["alarms"] if status is not None else ())}


def until(daemon: Daemon, entrance: Entrance, right: Callable[[dict[str, Any]], bool], why: str) -> dict[str, Any]:
    """The points once they are right; the counter says the same again and again, as after each passage."""

    def found() -> dict[str, Any]:
        entrance.pass_through()
        now = points(daemon)
        return now if now and right(now) else {}

    known: dict[str, Any] = wait_for(found, why)
    return known


def test_people_are_counted_over_a_kill_and_a_roll_over_and_a_person_puts_it_right(
    tmp_path: Path, entrance: Entrance
) -> None:
    with Daemon(tmp_path, CONFIG.format(port=entrance.port)) as daemon:
        until(daemon, entrance, lambda now: now.get("door-1.in_total") == 0, "the door is heard")
        wait_for(lambda: stored(daemon, "shop").get("doors") == {"door-1": [0, 0]}, "the disk knows where it begins")
        entrance.pass_through(4)
        until(daemon, entrance, lambda now: now["shop.occupancy"] == 4, "four are inside")
        wait_for(lambda: stored(daemon, "door-1").get("people_in", {}).get("total") == 4, "the disk has it")
        daemon.kill()
        entrance.pass_through(8, 2, heard=False)
        daemon.start()
        now = until(daemon, entrance, lambda now: now.get("shop.occupancy") == 10, "who passed meanwhile")
        assert (now["door-1.in_total"], now["door-1.out_total"], now["shop.fullness"]) == (12, 2, 100.0)
        wait_for(lambda: "full" in alarms(daemon), "the shop is full")

        words = ["set-occupancy", "shop", "3", "--reason", "counted", "--by", "Ada", "--state", str(daemon.state)]
        subprocess.run([sys.executable, "-m", "gateway", *words], check=True, capture_output=True, timeout=30)
        now = until(daemon, entrance, lambda now: now["shop.occupancy"] == 3, "what a person has counted")
        assert now["shop.quality"] == "good"
