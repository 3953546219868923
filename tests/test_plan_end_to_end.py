"""What a running daemon has learned of a device, in `sitewarden plan --state`."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from daemon import PROFILE, Daemon
from modbus_responder import RtuDevices, about, exception

from gateway.cli import FAILED, OK, main

POINTS = """\
  a: {kind: setting, table: holding, address: 0, type: uint16}
  b: {kind: setting, table: holding, address: 9, type: uint16}"""
CONFIG = """
site: {{id: dc3}}
gateway: {{id: gw1}}
links:
  bus1: {{type: serial, port: {port}}}
devices:
  one: {{driver: modbus, link: bus1, unit: 1, profile: test, every: 100ms, zone: hall}}
  two: {{driver: modbus, link: bus1, unit: 2, profile: test, every: 100ms, zone: hall}}
"""


def good(daemon: Daemon) -> bool:
    points: list[dict[str, Any]] = (daemon.status() or {"points": []})["points"]
    return len(points) == 4 and all(point["quality"] == "good" for point in points)


def test_a_busy_line_is_logged_at_start_and_the_plan_has_the_ranges_that_the_daemon_has_split(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "test.yaml").write_text(PROFILE.format(points=POINTS))
    with RtuDevices(tmp_path) as devices:
        devices.always[2] = about({5}, exception(2))
        with Daemon(tmp_path, CONFIG.format(port=devices.path)) as daemon:
            deadline = time.monotonic() + 15
            learned: list[dict[str, Any]] = []
            while not (learned and learned[1]["learned"]):
                assert time.monotonic() < deadline, "the daemon has learned nothing"
                if good(daemon):
                    assert main(["plan", str(daemon.config), "--state", str(daemon.state), "--json"]) == OK
                    learned = json.loads(capsys.readouterr().out)["links"][0]["devices"]
            assert [(it["address"], it["count"], it["unit"]) for it in learned[0]["reads"]] == [(0, 10, 1)]
            assert [(it["address"], it["count"], it["unit"]) for it in learned[1]["reads"]] == [(0, 1, 2), (9, 1, 2)]
            assert not learned[0]["learned"]
            assert main(["plan", str(daemon.config), "--state", str(daemon.state)]) == OK
            failures = [it["failures"] for it in (daemon.status() or {})["health"]["links"][0]["devices"]]
            assert all("refused" not in counted for counted in failures)
            other = tmp_path / "other.yaml"
            other.write_text(daemon.config.read_text().replace("hall", "yard"))
            assert main(["plan", str(other), "--state", str(daemon.state)]) == FAILED
            assert daemon.stop() == OK
    told = capsys.readouterr()
    assert "runs with another configuration" in told.err
    lines = told.out.splitlines()
    assert lines[5:8] == [
        "  one     1     3 holding  0        10     8       43.4 ms  a, b",
        "  two     2     3 holding  0        1      0       24.6 ms  a",
        "  two     2     3 holding  9        1      0       24.6 ms  b",
    ]
    assert lines[-1] == "  two     100ms  2      49.3 ms  49%   learned from its answers"
    (learned_line,) = [line for line in daemon.log.read_text().splitlines() if "requests now" in line]
    assert learned_line.endswith(
        "device two is read in 2 requests now, 1 before: holding 0 (a) and holding 9 (b) instead of holding 0 to 9"
        " (a, b), by what it refuses or leaves out"
    )
    (note,) = [line for line in daemon.log.read_text().splitlines() if "of its time" in line]
    assert note.startswith(
        f"WARNING sitewarden: {daemon.config}:5:3: links.bus1: reading its devices takes at least 87% of its"
    )
