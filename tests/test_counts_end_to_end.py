"""What doors and pulse outputs have counted, through the whole daemon, over kills and an orderly stop."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from daemon import Daemon

ROUND = """\
= 17 low
= 5 high
. 0.05
= 17 high
= 5 low
. 0.05
= 17 low
= 5 high
= 5 high
"""
CAPTURE = (
    "# device: a door that opens and closes, and a meter that gives a pulse meanwhile\n# origin: synthetic\n"
    + 5 * ROUND
)
CONFIG = """
site: {id: dc3}
gateway: {id: gw1}
storage: {commit_every: 100ms}
links:
  header: {type: replay, capture: header.capture, loop: true}
devices:
  dock: {driver: contact, link: header, pin: 17, kind: door, zone: hall}
  mains: {driver: pulses, link: header, pin: 5, kind: energy, scale: 0.001, start: 100, zone: hall}
"""
WATCHED = {("dock", "openings"), ("dock", "open_time"), ("mains", "total")}


def wait_for(what: Callable[[], Any], why: str, within_s: float = 20.0) -> Any:
    until = time.monotonic() + within_s
    while not (found := what()):
        assert time.monotonic() < until, f"not within {within_s:g} s: {why}"
    return found


def counts(daemon: Daemon) -> dict[str, float]:
    """What is counted by now; empty before the daemon knows all of it."""
    status = daemon.status()
    points = status["points"] if status is not None else ()
    found = {it["point"]: it["value"] for it in points if (it["device"], it["point"]) in WATCHED}
    return found if None not in found.values() else {}


def stored(daemon: Daemon, device: str) -> dict[str, Any]:
    with closing(sqlite3.connect(daemon.state / "journal.db")) as db:
        rows = db.execute("SELECT text FROM state WHERE key = ?", (f"derived/{device}",)).fetchall()
    return json.loads(rows[0][0]) if rows else {}


def opened_again(daemon: Daemon, least: float) -> dict[str, float]:
    """What is counted when the door has been opened so often, and the disk has that as well."""

    def counted() -> dict[str, float]:
        now = counts(daemon)
        return now if now and now["openings"] >= least else {}

    found: dict[str, float] = wait_for(counted, "it opens again")
    wait_for(lambda: stored(daemon, "dock")["openings"] >= found["openings"], "the disk has it")
    wait_for(lambda: 100 + stored(daemon, "mains")["pulses"]["total"] / 1000 >= found["total"], "that, too")
    return found


def test_counts_go_on_over_a_kill_and_a_stop(tmp_path: Path) -> None:
    (tmp_path / "header.capture").write_text(CAPTURE)
    before = {"openings": 0.0, "open_time": 0.0, "total": 100.0}
    with Daemon(tmp_path, CONFIG) as daemon:
        for end in (daemon.kill, daemon.stop, None):
            first = wait_for(lambda: counts(daemon), "the counts are known")
            assert all(first[name] >= least for name, least in before.items()), "nothing that was stored is gone"
            before = opened_again(daemon, first["openings"] + 3)
            if end is not None:
                end()
                daemon.start()
    assert before["openings"] >= 9
    assert before["total"] >= 100.006
