"""`sitewarden replay --file`: what an export says is judged as the journal itself is; a damaged line costs no other."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from past_scene import run_of, written

from gateway.cli import FAILED, OK, journal_export, main
from gateway.model import Lane, Reading, Reason
from gateway.replaying import exported
from gateway.replaying.exported import Export
from gateway.units import Form

WORDS = """
rules:
  fridge-warm: {point: fridge.temperature, above: 7, clear_below: 6, for: 1m, clear_for: 0s, priority: high}
  freezer-silent: {point: freezer.temperature, silent_for: 2m}
report: {humidity: {max_every: 5m}, temperature: {deadband: 0, max_every: 1m, send: {deadband: 3, max_every: 10m}}}
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return written(tmp_path, WORDS)


@pytest.fixture
def state(tmp_path: Path, site: Path) -> Path:
    """Two runs; the second one begins half an hour later. Part of what is recorded is not sent."""
    for name, mono in (("a" * 16, 100.0), ("b" * 16, 4000.0)):
        with run_of(tmp_path / "state", site, name, mono) as past:
            for number in range(200):
                past.say("fridge", temperature=4.0 + (number % 60) / 10, humidity=40.0)
                if 50 <= number < 80:
                    past.say("freezer", {"temperature": Reason.NO_REPLY, "humidity": Reason.NO_REPLY})
                else:
                    past.say("freezer", temperature=-18.0, humidity=40.0)
                past.wait(10)
    return tmp_path / "state"


def export(state: Path, lane: str, form: str) -> Path:
    path = state.parent / f"{lane}.{form}"
    given = ("--state", state, "--lane", lane, "--format", form, "-o", path)
    assert main(["journal", "export", *map(str, given)]) == OK
    return path


def told(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    capsys.readouterr()
    assert main(["replay", *map(str, arguments), "--json"]) == OK
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_an_export_comes_to_the_same_as_its_journal(
    state: Path, site: Path, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    files = ("--file", export(state, "telemetry", form), "--file", export(state, "event", form))
    of_file = told(capsys, *files, "--config", site)
    of_journal = told(capsys, "--state", state, "--since", "2026-01-01", "--config", site)
    assert of_file["alarms"][0]["comings"] == of_journal["alarms"][0]["comings"]
    silent = [it["tried"] for it in of_journal["alarms"][1]["comings"]]
    assert [it["tried"] for it in of_file["alarms"][1]["comings"]] == silent
    assert [len(it["comings"]) for it in of_journal["alarms"]] == [6, 2]
    assert {coming["verdict"] for it in of_file["alarms"] for coming in it["comings"]} == {"same"}
    for key in ("values", "readings", "runs", "recorded_under"):
        assert of_file[key] == of_journal[key]


def test_readings_alone_are_judged_and_it_is_said_that_nothing_is_known_of_what_happened(
    state: Path, site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = export(state, "telemetry", "csv")
    capsys.readouterr()
    assert main(["replay", "--file", str(path), "--config", str(site)]) == OK
    out = capsys.readouterr().out
    assert "; what happened is not known, for no events were given." in out
    assert "An export has wall times alone" in out


DAMAGE: list[tuple[str, bytes]] = [
    ("csv", b"\n"),
    ("csv", b'aaaa,1,179530,"\n'),
    ("csv", b"\xff\xfe\x00,,,,\n"),
    ("csv", b"a,1,yesterday,x,synced,fridge,temperature,4.0,,telemetry\n"),
    ("csv", b"a,1,1795300100000,x,synced,fridge,temperature,,,telemetry\n"),
    ("csv", b"a,1,1795300100000,x,synced,fridge,temperature,,no_such_reason,telemetry\n"),
    ("csv", b"x" * 3_000_000 + b"\n"),
    ("jsonl", b"{\n"),
    ("jsonl", b"[]\n"),
    ("jsonl", b'{"run":"a","seq":1,"ts":1795300100000,"trust":"synced","device":"fridge","point":"t"}\n'),
    ("jsonl", b'{"run":"a","ts":1,"trust":"synced","device":"fridge","point":"t","value":{"a":1}}\n'),
    ("jsonl", b"[" * 100_000 + b"\n"),
]


@pytest.mark.parametrize(("form", "line"), DAMAGE)
def test_a_damaged_line_costs_no_other(
    state: Path, site: Path, form: str, line: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    path = export(state, "telemetry", form)
    whole = told(capsys, "--file", path, "--config", site)
    there = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*there[:20], line, *there[20:]]))
    found = told(capsys, "--file", path, "--config", site)
    assert found["damaged"] >= 1
    assert any(f"the first of the readings is line 21 of telemetry.{form}" in note for note in found["notes"])
    assert found["alarms"] == whole["alarms"]
    assert found["values"] == whole["values"]


def test_an_export_that_was_cut_is_judged_as_far_as_it_goes(
    state: Path, site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = export(state, "telemetry", "jsonl")
    path.write_bytes(path.read_bytes()[:20_000])
    found = told(capsys, "--file", path, "--config", site)
    assert found["damaged"] == 1
    assert 0 < found["readings"] < 200


def test_what_is_no_export_is_refused(state: Path, site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    events = export(state, "event", "csv")
    for path, message in (
        (state / "journal.db", "is no export of a journal"),
        (state / "none.csv", "cannot be read"),
        (events, "events alone"),
    ):
        capsys.readouterr()
        assert main(["replay", "--file", str(path), "--config", str(site)]) == FAILED
        assert message in capsys.readouterr().err


def test_the_columns_are_those_that_an_export_has() -> None:
    assert journal_export.COLUMNS == {Lane.TELEMETRY: exported.READINGS, Lane.EVENT: exported.EVENTS}


def readings(path: Path, lines: Iterable[str], forms: dict[tuple[str, str], Form]) -> list[Reading]:
    path.write_text("\n".join((",".join(exported.READINGS), *lines, "")))
    source = Export([path], forms, 0, 1 << 62)
    source.look()
    return [reading for heard in source.readings() for reading in heard.readings]


def test_a_cell_is_what_its_point_is(tmp_path: Path) -> None:
    forms = {("d", "door"): Form.STATE, ("d", "name"): Form.TEXT, ("d", "t"): Form.GAUGE, ("d", "at"): Form.POSITION}
    cells = {"door": "open", "name": "true", "t": "-18.5", "at": '"[52.5, 13.4]"', "on": "true", "word": "'=1+1"}
    lines = [f"a,1,1000,x,synced,d,{name},{cell},,telemetry" for name, cell in cells.items()]
    (reading,) = readings(tmp_path / "readings.csv", lines, forms)
    assert reading.values == {
        "door": "open", "name": "true", "t": -18.5, "at": (52.5, 13.4), "on": True, "word": "=1+1",
    }  # fmt: skip


def test_time_goes_on_where_a_clock_was_put_back(tmp_path: Path) -> None:
    times = (100_000, 110_000, 50_000, 60_000, 70_500)
    lines = [f"a,{n},{ts},x,synced,d,t,1,,telemetry" for n, ts in enumerate(times)]
    found = readings(tmp_path / "readings.csv", lines, {})
    assert [it.mono for it in found] == [100.0, 110.0, 110.0, 120.0, 130.5]
