"""`sitewarden journal ...` on journals that the real thread has written, and beside the real daemon."""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import pty
import re
import shlex
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from consumer import Consumer
from daemon import Daemon, write_profile
from journal_scene import MB, NOW, event, group, opened, running, storage, telemetry
from modbus_responder import TcpDevices
from sqlite_utils import Database

from gateway.cli import CANNOT_CREATE, FAILED, OK, TRY_AGAIN, main
from gateway.cli.journal import add_arguments
from gateway.cli.journal_tail import follow
from gateway.clock import SystemClock
from gateway.demo.broker import Broker
from gateway.journal import copies, inspection, migrations
from gateway.journal.ledger import row_id
from gateway.journal.opening import SCHEMA
from gateway.journal.statelock import StateLock
from gateway.model import Acked, Dropped, Lane, Record, Trust
from gateway.records import gateway_fact

USAGE = 2
NOBODY = 65534
WITHIN_S = 20.0
TOP = Path(__file__).parent.parent
ENV = {**os.environ, "PYTHONPATH": str(TOP)}
SITE = """
site: {{id: dc3}}
gateway: {{id: gw1}}
storage: {{commit_every: 100ms}}
uplinks:
  platform: {{url: "mqtt://127.0.0.1:{broker}", linger: 50ms}}
links:
  io: {{type: tcp, host: 127.0.0.1, port: {device}}}
devices:
  meter-1: {{driver: modbus, link: io, unit: 1, profile: four, every: 20ms, zone: hall}}
"""


def reading(seq: int, device: str, values: str, bad: str = "", ts: int = NOW) -> Record:
    more = f',"bad":{bad}' if bad else ""
    return telemetry(seq, ts, f'{{"device":"{device}","values":{values}{more}}}')


def sitewarden(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gateway", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=ENV)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Two runs of the journal's thread: three events, four readings; the platform has the first event and reading."""
    folder = tmp_path / "state"
    with running(folder / "journal.db", SystemClock(), storage(0.05), run="a" * 16) as scene:
        scene.post(
            event(1),
            reading(1, "cold-1", '{"temperature":-18.5,"humidity":40}', '{"door":"no_reply"}'),
            reading(2, "truck", '{"position":[52.5,13.4],"open":true}', ts=NOW + 1000),
        )
        scene.post(event(2, NOW + 1500, '{"event":"alarm","alarm":"warm","device":"cold-1","point":"temperature"}'))
        scene.stored(2)
        scene.journal.post(Acked("platform", Lane.EVENT, ((row_id(1, 1), row_id(1, 1)),)))
        scene.journal.post(Acked("platform", Lane.TELEMETRY, ((row_id(1, 1), row_id(1, 1)),)))
    with running(folder / "journal.db", SystemClock(), storage(0.05), run="b" * 16) as scene:
        scene.post(event(1, NOW + 60_000), reading(1, "cold-1", '{"temperature":-17}', ts=NOW + 61_000))
        scene.post(reading(2, "cold-1", '{"temperature":-16.25}', ts=NOW + 62_000))
        scene.stored(2, Lane.TELEMETRY)
    return folder


@pytest.fixture
def path(state: Path) -> Path:
    return state / "journal.db"


def journal(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Exit code, output and errors of one command."""
    try:
        code = main(["journal", *map(str, arguments)])
    except SystemExit as ended:
        code = int(ended.code or 0)
    out, err = capsys.readouterr()
    return code, out, err


def edited(path: Path, statement: str, *parameters: object) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute(statement, parameters)


# ---------------------------------------------------------------- status


def test_status_tells_what_is_there_without_a_daemon(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = journal(capsys, "status", "--state", path.parent)
    assert code == OK
    cells = [line.split() for line in out.splitlines()]
    assert ["event", "3", "2026-11-21T22:26:40.000Z", "2026-11-21T22:27:40.000Z"] in cells
    assert ["telemetry", "4", "2026-11-21T22:26:40.000Z", "2026-11-21T22:27:42.000Z"] in cells
    assert ["platform", "5", "not", "known", "without", "the", "daemon"] in cells
    assert any(line[:1] == ["journal.db"] for line in cells)
    assert "no daemon is running" in out
    assert "chain: 3 events, head 3:" in out
    assert "loses the telemetry of the last 1 s (commit_every, the default" in out


def test_the_backlog_that_is_told_is_what_the_journal_gives_to_its_sender(path: Path) -> None:
    store = opened(path, run="c" * 16)
    assert inspection.summary(path).backlog == {"platform": store.ledger.backlog("platform")}
    store.close()


@pytest.fixture
def broker() -> Iterator[Broker]:
    broker = Broker()
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def site(tmp_path: Path, broker: Broker) -> Iterator[tuple[Daemon, Consumer]]:
    write_profile(tmp_path, "four", 4)
    with (
        TcpDevices() as devices,
        Consumer(broker.port) as consumer,
        Daemon(tmp_path, SITE.format(broker=broker.port, device=devices.port)) as daemon,
    ):
        yield daemon, consumer


def test_beside_a_daemon_status_knows_its_promise_and_its_last_acknowledgement(site: tuple[Daemon, Consumer]) -> None:
    daemon, consumer = site
    consumer.wait_for(lambda: len(consumer.counts) > 20, WITHIN_S, "records")
    wait_for(lambda: ((daemon.status() or {}).get("health") or {}).get("journal"), "the journal's health")
    wait_for(lambda: daemon.status()["health"]["uplinks"][0]["last_ack"], "an acknowledgement")  # type: ignore[index]
    said = sitewarden("journal", "status", "--state", daemon.state)
    assert said.returncode == OK, said.stderr
    status = daemon.status()
    assert status is not None
    assert f"written by run {status['run']}" in said.stdout
    assert "loses the telemetry of the last 0.1 s (commit_every, as configured)" in said.stdout
    assert " s ago" in said.stdout
    assert "journal.db-wal" in said.stdout
    copy = daemon.state / "copy.db"
    assert sitewarden("journal", "backup", copy, "--state", daemon.state).returncode == OK
    assert "no daemon is running with it" in sitewarden("journal", "status", "--state", copy).stdout
    checked = sitewarden("journal", "verify", "--state", daemon.state)
    assert checked.returncode == OK, checked.stdout


def wait_for(what: Callable[[], Any], why: str) -> Any:
    until = time.monotonic() + WITHIN_S
    pause = threading.Event()
    while not (found := what()):
        assert time.monotonic() < until, why
        pause.wait(0.05)
    return found


# ---------------------------------------------------------------- tail


def test_tail_shows_the_last_records_of_both_lanes_in_their_order(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = journal(capsys, "tail", "-n", "3", "--state", path.parent)
    assert code == OK
    assert [line.split(maxsplit=2)[1:] for line in out.splitlines()] == [
        ["bbbbbb/1", "EVENT test  n=1"],
        ["bbbbbb/1", "cold-1  temperature=-17"],
        ["bbbbbb/2", "cold-1  temperature=-16.25"],
    ]
    code, out, _ = journal(capsys, "tail", "--lane", "event", "--state", path.parent)
    assert [line.split()[1] for line in out.splitlines()] == ["aaaaaa/1", "aaaaaa/2", "bbbbbb/1"]
    code, out, _ = journal(capsys, "tail", "--lane", "telemetry", "--state", path.parent)
    assert out.splitlines()[0].endswith("cold-1  temperature=-18.5, humidity=40, door: no_reply")
    assert "2026-11-21T22:26:41.000Z  aaaaaa/2       truck  position=[52.5, 13.4], open=true" in out


def test_what_a_stranger_wrote_cannot_steer_the_terminal(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = opened(path, run="c" * 16)
    store.commit(group(event(1, text='{"event":"command","issuer":"\\u001b[2Jgone\\u202e"}')), (), NOW)
    store.close()
    _, out, _ = journal(capsys, "tail", "-n", "1", "--state", path.parent)
    assert out.endswith("EVENT command  issuer=\\x1b[2Jgone\\u202e\n")


def test_a_damaged_row_is_shown_as_one_and_hides_no_other(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edited(path, "UPDATE telemetry SET text = CAST(x'7bff1b' AS TEXT) WHERE id = ?", row_id(1, 2))
    code, out, _ = journal(capsys, "tail", "--lane", "telemetry", "--state", path.parent)
    assert code == OK
    assert len(out.splitlines()) == 4
    assert "damaged row: {�\\x1b" in out


def test_tail_follows_across_runs_and_a_journal_that_was_replaced(path: Path) -> None:
    end = threading.Event()
    lines = follow(path, tuple(Lane), 1, end)
    assert "bbbbbb/2" in next(lines)
    with running(path, SystemClock(), storage(0.05), run="c" * 16) as scene:
        scene.post(event(1), reading(1, "cold-1", '{"temperature":1}'))
        assert sorted(next(lines).split()[1] for _ in range(2)) == ["cccccc/1", "cccccc/1"]
    path.rename(path.with_name("away"))
    shutil.copy(path.with_name("away"), path)
    with running(path, SystemClock(), storage(0.05), run="d" * 16) as scene:
        scene.post(event(1))
        assert next(lines).split()[1] == "dddddd/1"
    end.set()
    assert list(lines) == []


def test_tail_f_ends_with_ctrl_c_and_says_nothing_of_it(path: Path) -> None:
    command = [sys.executable, "-m", "gateway", "journal", "tail", "-f", "--state", str(path.parent)]
    with subprocess.Popen(command, env=ENV, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as tail:
        assert tail.stdout is not None
        assert [tail.stdout.readline().split()[1] for _ in range(7)][-1] == "bbbbbb/2"
        tail.send_signal(signal.SIGINT)
        _, errors = tail.communicate(timeout=10)
    assert (tail.returncode, errors) == (OK, "")


# ---------------------------------------------------------------- gaps


def test_gaps_are_a_table_with_those_that_nobody_has_been_told_of(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert journal(capsys, "gaps", "--state", path.parent)[1].startswith("no gaps")
    gap = Dropped("a" * 16, Lane.TELEMETRY, 7, 9, 3, ("platform", "other"), "storage_full", NOW, NOW + 2000, Trust.RTC)
    told = gateway_fact(gap)
    untold = gateway_fact(Dropped("b" * 16, Lane.EVENT, 4, 4, 1, (), "row_damaged"))
    store = opened(path, run="c" * 16)
    store.commit(group(event(1, text=told)), (), NOW)
    store.close()
    edited(path, "INSERT INTO gaps (ts, text) VALUES (?, ?)", NOW, untold)
    code, out, _ = journal(capsys, "gaps", "--state", path.parent)
    assert code == OK
    rows = [line.split() for line in out.splitlines()]
    times = ["2026-11-21T22:26:40.000Z", "(rtc)", "2026-11-21T22:26:42.000Z", "(rtc)"]
    known = ["platform,", "other", "a" * 16, "telemetry", "7", "9", "3", *times, "storage_full", "yes"]
    assert known in [row[1:] for row in rows]
    assert ["-", "b" * 16, "event", "4", "4", "1", "-", "-", "row_damaged", "not", "yet"] in [row[1:] for row in rows]


# ---------------------------------------------------------------- verify


def test_verify_finds_the_first_event_that_is_not_what_was_stored(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = journal(capsys, "verify", "--state", path.parent)
    assert (code, "3 events are as they were stored" in out) == (OK, True)
    edited(path, "UPDATE event SET text = replace(text, 'warm', 'cold') WHERE id = ?", row_id(1, 2))
    code, out, _ = journal(capsys, "verify", "--state", path.parent)
    assert code == FAILED
    assert f"event 2 of run {'a' * 16}" in out


def test_a_head_from_status_shows_an_end_that_was_cut(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = journal(capsys, "status", "--state", path.parent)
    head = out.split("head ")[1].split()[0]
    assert journal(capsys, "verify", "--head", head, "--state", path.parent)[0] == OK
    edited(path, "DELETE FROM event WHERE id = ?", row_id(2, 1))
    edited(path, "DELETE FROM chain WHERE id = ?", row_id(2, 1))
    assert journal(capsys, "verify", "--state", path.parent)[0] == OK, "only the head can show it"
    code, out, _ = journal(capsys, "verify", "--head", head, "--state", path.parent)
    assert (code, "cut" in out) == (FAILED, True)
    assert journal(capsys, "verify", "--head", "12", "--state", path.parent)[0] == USAGE


# ---------------------------------------------------------------- export


def test_export_writes_what_the_view_readings_shows(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with closing(sqlite3.connect(path)) as db:
        names = "run, seq, ts, time, device, point, bad"
        view = {
            tuple("" if cell is None else str(cell) for cell in row)
            for row in db.execute(f"SELECT {names} FROM readings")
        }
    code, out, err = journal(capsys, "export", "--state", path.parent)
    rows = list(csv.DictReader(io.StringIO(out)))
    assert (code, err) == (OK, f"{len(rows)} lines\n")
    assert list(rows[0]) == ["run", "seq", "ts", "time", "trust", "device", "point", "value", "bad", "lane"]
    assert {tuple(row[name] for name in names.split(", ")) for row in rows} == view
    assert [row["value"] for row in rows] == ["-18.5", "40", "", "[52.5, 13.4]", "true", "-17", "-16.25"]
    _, out, _ = journal(capsys, "export", "--format", "jsonl", "--state", path.parent)
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line.get("value") for line in lines] == [-18.5, 40, None, [52.5, 13.4], True, -17, -16.25]
    assert lines[2] == {
        "run": "a" * 16, "seq": 1, "ts": NOW, "time": "2026-11-21T22:26:40.000Z", "trust": "synced",
        "device": "cold-1", "point": "door", "bad": "no_reply", "lane": "telemetry",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "values"),
    [
        (["--device", "cold-1", "--point", "temperature"], ["-18.5", "-17", "-16.25"]),
        (["--point", "humidity"], ["40"]),
        (["--from", "2026-11-21T22:27:00"], ["-17", "-16.25"]),
        (["--from", "2026-11-22T06:27:00+08:00", "--to", "2026-11-21T22:27:42Z"], ["-17"]),
        (["--to", "2026-11-21"], []),
        (["--device", "cold-1", "--from", "2026-11-23"], []),
    ],
)
def test_export_takes_times_devices_and_points(
    path: Path, capsys: pytest.CaptureFixture[str], asked: list[str], values: list[str]
) -> None:
    code, out, _ = journal(capsys, "export", *asked, "--state", path.parent)
    assert code == OK
    assert [row["value"] for row in csv.DictReader(io.StringIO(out))] == values


def test_a_time_may_be_so_long_ago(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = opened(path, run="c" * 16)
    for seq, hours in enumerate((50, 30, 1), 1):
        ts = round((time.time() - hours * 3600) * 1000)
        store.commit(group(reading(seq, "cold-1", f'{{"temperature":{hours}}}', ts=ts)), (), NOW)
    store.close()
    _, out, _ = journal(capsys, "export", "--from", "2d", "--to", "24h", "--state", path.parent)
    assert "30" in [row["value"] for row in csv.DictReader(io.StringIO(out))]
    assert not {"50", "1"} & {row["value"] for row in csv.DictReader(io.StringIO(out))}


def test_events_can_be_exported_too(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = journal(capsys, "export", "--lane", "event", "--device", "cold-1", "--state", path.parent)
    (row,) = csv.DictReader(io.StringIO(out))
    assert (row["event"], row["seq"], json.loads(row["text"])["alarm"]) == ("alarm", "2", "warm")


def test_an_exported_cell_is_never_a_formula(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = opened(path, run="c" * 16)
    store.commit(group(reading(1, "odd", '{"word":"=1+1","number":-1}')), (), NOW)
    store.close()
    _, out, _ = journal(capsys, "export", "--device", "odd", "--state", path.parent)
    assert [row["value"] for row in csv.DictReader(io.StringIO(out))] == ["'=1+1", "-1"]


@pytest.mark.parametrize(
    ("asked", "code", "said"),
    [
        (["export", "--from", "yesterday"], USAGE, "'yesterday' is no time"),
        (["export", "--from", "5 parsecs"], USAGE, "is no time"),
        (["export", "--from", "1h", "--to", "2h"], FAILED, "--from is not before --to"),
        (["export", "--device", "cold-9"], FAILED, "no telemetry of cold-9 (it has: cold-1, truck)"),
        (["export", "--device", "truck", "--point", "speed"], FAILED, "with a point speed (it has: open, position)"),
        (["export", "--format", "xml"], USAGE, "invalid choice"),
        (["tail", "-n", "-3"], USAGE, "no number of records"),
        ([], USAGE, "required"),
    ],
)
def test_what_is_wrong_on_the_command_line_is_said(
    path: Path, capsys: pytest.CaptureFixture[str], asked: list[str], code: int, said: str
) -> None:
    where = ["--state", path.parent] if asked else []
    ended, _, err = journal(capsys, *asked, *where)
    assert (ended, said in err) == (code, True), err


def test_an_exported_file_is_there_whole_or_not_at_all(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = path.parent.parent / "readings.csv"
    assert journal(capsys, "export", "-o", target, "--state", path.parent)[0] == OK
    whole = target.read_text()
    assert whole.count("\n") == 8
    assert journal(capsys, "export", "-o", target, "--device", "cold-9", "--state", path.parent)[0] == FAILED
    assert target.read_text() == whole, "a failed export leaves the last one alone"
    for wrong in (target.parent / "missing" / "a.csv", target.parent, path, path.with_name("journal.db-wal")):
        code, _, err = journal(capsys, "export", "-o", wrong, "--state", path.parent)
        assert code == CANNOT_CREATE, wrong
        assert "(" in err, "with a hint"
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT count(*) FROM telemetry").fetchone() == (4,)
    assert not list(target.parent.glob("**/*.part-*"))


def test_a_long_export_needs_no_more_memory_and_never_keeps_the_wal_from_being_cut(tmp_path: Path) -> None:
    small, large = tmp_path / "small", tmp_path / "large"
    for folder, rows in ((small, 2_000), (large, 100_000)):
        store = opened(folder / "journal.db", max_size=500 * MB)
        for first in range(1, rows, 10_000):
            store.commit(group(*(telemetry(seq) for seq in range(first, min(first + 10_000, rows + 1)))), (), NOW)
        store.close()
    peak = {folder: peak_kib(folder, tmp_path / f"{folder.name}.csv") for folder in (small, large)}
    with (tmp_path / "large.csv").open() as lines:
        assert sum(1 for _ in lines) == 1 + 5 * 100_000 // 2
    assert peak[large] - peak[small] < 8 * 1024, peak

    store = opened(large / "journal.db", run="run-2", max_size=500 * MB)
    slices = inspection.slices(large / "journal.db", Lane.TELEMETRY)
    next(slices)
    store.commit(group(telemetry(1)), (), NOW)
    with closing(sqlite3.connect(large / "journal.db")) as other:
        assert other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone() == (0, 0, 0)
    assert 2_000 + sum(map(len, slices)) == 100_000, "what came meanwhile is not in it"
    store.close()


def peak_kib(state: Path, target: Path) -> int:
    """The most memory that an export took."""
    command = [sys.executable, "-m", "gateway", "journal", "export", "-o", str(target), "--state", str(state)]
    with subprocess.Popen(command, env=ENV, stderr=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == OK
    return usage.ru_maxrss


def test_progress_is_shown_on_a_terminal_only(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "gateway", "journal", "export", "-o", str(target), "--state", str(path.parent)]
    subprocess.run(command, env=ENV, stderr=theirs, check=True, timeout=30)
    shown = os.read(ours, 65536).decode()
    os.close(ours)
    os.close(theirs)
    assert "100%" in shown
    assert shown.endswith(f"7 lines to {target}\r\n")
    assert sitewarden("journal", "export", "-o", target, "--state", path.parent).stderr == f"7 lines to {target}\n"


# ---------------------------------------------------------------- plain SQL


def test_plain_sql_needs_nothing_of_ours(path: Path) -> None:
    query = "SELECT device, point, value FROM readings WHERE run = 'bbbbbbbbbbbbbbbb'"
    with closing(sqlite3.connect(path)) as db:
        rows = db.execute(query).fetchall()
    assert rows == [("cold-1", "temperature", -17), ("cold-1", "temperature", -16.25)]
    assert (
        sqlite_utils("query", path, query, "--csv")
        == "device,point,value\ncold-1,temperature,-17\ncold-1,temperature,-16.25\n"
    )
    events = list(csv.DictReader(io.StringIO(sqlite_utils("rows", path, "events", "--csv"))))
    assert [(row["run"][0], row["seq"], row["event"]) for row in events] == [
        ("a", "1", "test"), ("a", "2", "alarm"), ("b", "1", "test"),
    ]  # fmt: skip
    assert json.loads(sqlite_utils("rows", path, "readings", "--limit", "1"))[0]["time"] == "2026-11-21T22:26:40.000Z"


def sqlite_utils(*arguments: object) -> str:
    command = [sys.executable, "-m", "sqlite_utils", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    return done.stdout.replace("\r\n", "\n")


def test_what_the_readme_shows_works(path: Path) -> None:
    readme = (TOP / "systemd" / "README.md").read_text()
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    shown = [
        shlex.split(line, comments=True)[2:]
        for line in re.findall(r"^    (sitewarden journal .*)$", readme, re.MULTILINE)
    ]
    assert {parser.parse_args(words).action for words in shown} >= {
        "status",
        "tail",
        "gaps",
        "verify",
        "export",
        "backup",
    }
    queries = [shlex.split(line) for line in re.findall(r"^    (sqlite.*)$", readme, re.MULTILINE)]
    assert len(queries) == 3
    for program, *words in queries:
        if program == "sqlite3":
            with closing(sqlite3.connect(path)) as db:
                db.execute(words[-1])
        else:
            assert sqlite_utils(*(path if word == "journal.db" else word for word in words))


# ---------------------------------------------------------------- backup


def test_a_backup_is_one_moment_of_a_journal_that_is_being_written(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    written: list[int] = []
    store = opened(path, run="c" * 16, max_size=200 * MB)
    store.commit(group(*(telemetry(seq) for seq in range(1, 50_001))), (), NOW)

    def meanwhile(_: float) -> None:
        assert len(written) < 1000, "it begins anew with every commit"
        written.append(50_001 + len(written))
        store.commit(group(telemetry(written[-1])), (), NOW)

    copies.backup(path, copy, meanwhile)
    store.close()
    assert len(written) >= 4, "the daemon was not kept from writing"
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    with closing(sqlite3.connect(f"file:{copy}?mode=ro&immutable=1", uri=True)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert db.execute("SELECT count(*), max(id) FROM telemetry WHERE id > ?", (row_id(3, 0),)).fetchone() == (
            50_000,
            row_id(3, 50_000),
        )
    assert sorted(name.name for name in tmp_path.iterdir()) == ["copy.db", "state"], "one file, and no trace"


def test_a_backup_that_would_let_the_wal_grow_for_ever_is_given_up(path: Path, tmp_path: Path) -> None:
    store = opened(path, run="c" * 16, max_size=500 * MB)
    store.commit(group(*(telemetry(seq) for seq in range(1, 60_001))), (), NOW)
    seqs = iter(range(1_000_000, 9_000_000))

    def flood(_: float) -> None:
        text = json.dumps({"device": "loud", "values": {"word": "x" * 16_000_000}})
        store.commit(group(telemetry(next(seqs), text=text)), (), NOW)

    with pytest.raises(Exception, match="faster than its journal can be copied"):
        copies.backup(path, tmp_path / "copy.db", flood)
    store.close()
    assert [name.name for name in tmp_path.iterdir()] == ["state"]


def test_a_backup_replaces_a_file_only_when_told_to_and_only_by_a_sound_one(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "copy.db"
    code, out, _ = journal(capsys, "backup", copy, "--state", path.parent)
    assert (code, "7 records" in out) == (OK, True)
    first = copy.read_bytes()
    code, _, err = journal(capsys, "backup", copy, "--state", path.parent)
    assert (code, "--force" in err) == (CANNOT_CREATE, True)
    assert journal(capsys, "backup", copy, "--force", "--state", path.parent)[0] == OK
    for wrong in (path, path.with_name("journal.db-wal"), tmp_path, tmp_path / "missing" / "copy.db"):
        assert journal(capsys, "backup", wrong, "--force", "--state", path.parent)[0] == CANNOT_CREATE, wrong
    damage(path)
    code, _, err = journal(capsys, "backup", copy, "--force", "--state", path.parent)
    assert (code, f"{path} is damaged" in err) == (FAILED, True), err
    assert copy.read_bytes() == first, "the good copy is still there"


def damage(path: Path) -> None:
    """Flip what the root page of the telemetry says of its cells."""
    with closing(sqlite3.connect(path)) as db:
        (page,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'telemetry'").fetchone()
        size = db.execute("PRAGMA page_size").fetchone()[0]
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\x0d\xff\xff\xff\xff\xff\xff\xff")


# ---------------------------------------------------------------- restore


def test_a_restored_daemon_numbers_nothing_twice_and_the_platform_gets_the_rest(
    site: tuple[Daemon, Consumer], broker: Broker, tmp_path: Path
) -> None:
    daemon, consumer = site
    copy = tmp_path / "copy.db"
    consumer.wait_for(lambda: len(consumer.counts) > 20, WITHIN_S, "records before the copy")
    done = sitewarden("journal", "backup", copy, "--state", daemon.state)
    assert done.returncode == OK, done.stderr
    assert sitewarden("journal", "restore", copy, "--state", daemon.state).returncode == TRY_AGAIN
    have = len(consumer.counts)
    consumer.wait_for(lambda: len(consumer.counts) > have + 20, WITHIN_S, "records after the copy")
    broker.stop()
    wait_for(lambda: backlog(daemon) > 30, "records that only the journal has")
    assert daemon.stop() == OK
    daemon.start()  # one run more that the copy does not know
    wait_for(daemon.status, "the second run")
    wait_for(lambda: backlog(daemon) > 60, "records of the second run")
    assert daemon.stop() == OK
    before = everything(daemon.state / "journal.db")

    done = sitewarden("journal", "restore", copy, "--state", daemon.state)
    assert done.returncode == OK, done.stderr
    (replaced,) = daemon.state.glob("journal.db.replaced-*")
    assert everything(replaced) == before, "what was there is kept"
    assert everything(daemon.state / "journal.db") == everything(copy)
    consumer._subscribed.clear()
    broker.start(broker.port)
    assert consumer._subscribed.wait(WITHIN_S), "the platform is back before the daemon"
    daemon.start()
    consumer.wait_for(
        lambda: len({e["run"] for e in consumer.events if e["event"] == "started"}) >= 2, WITHIN_S, "start"
    )
    starts = [e for e in consumer.events if e["event"] == "started"]
    third = starts[-1]["run"]
    assert (starts[-1]["journal"], starts[-1]["previous"]["run"]) == ("restored", starts[0]["run"])
    consumer.wait_for(lambda: len(consumer.seqs(third, "telemetry")) > 20, WITHIN_S, "live records")

    def told() -> set[tuple[str, str, int]]:
        return {
            (gap["of_run"], gap["lane"], seq)
            for gap in consumer.events
            if gap["event"] == "gap" and gap["reason"] == "journal_replaced"
            for seq in range(gap["first"], gap["last"] + 1)
        }

    lost = {identity for identity, _ in before} - set(consumer.counts)
    consumer.wait_for(
        lambda: {identity for identity, _ in before} - set(consumer.counts) <= told(), WITHIN_S, "sent, or a gap"
    )
    assert lost, "the copy was older than what was sent"
    wait_for(lambda: backlog(daemon) == 0 or backlog(daemon) < 20, "nothing is left behind")
    assert daemon.stop() == OK
    after = dict(everything(daemon.state / "journal.db"))
    assert all(after[identity] == text for identity, text in before if identity in after), (
        "no identity has two meanings"
    )
    with closing(sqlite3.connect(daemon.state / "journal.db")) as db:
        runs = dict(db.execute("SELECT run, no FROM runs"))
    with closing(sqlite3.connect(replaced)) as db:
        old = dict(db.execute("SELECT run, no FROM runs"))
    assert runs[third] > max(old.values()), "no row's id is used twice"
    assert sitewarden("journal", "verify", "--state", daemon.state).returncode == OK


def backlog(daemon: Daemon) -> int:
    status = daemon.status()
    journal = status["health"]["journal"] if status is not None else None
    return sum(journal["backlog"].values()) if journal is not None else 0


def everything(path: Path) -> set[tuple[tuple[str, str, int], str]]:
    """Each record's identity and text."""
    with closing(sqlite3.connect(path)) as db:
        return {
            ((str(run), lane, int(id_) & (1 << 40) - 1), str(text))
            for lane in ("event", "telemetry")
            for run, id_, text in db.execute(f"SELECT run, id, text FROM {lane} JOIN runs ON no = id >> 40")
        }


def test_restore_fills_an_empty_state_directory(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy, fresh = tmp_path / "copy.db", tmp_path / "fresh"
    assert journal(capsys, "backup", copy, "--state", path.parent)[0] == OK
    assert journal(capsys, "restore", copy, "--state", fresh)[0] == OK
    assert everything(fresh / "journal.db") == everything(path)
    assert stat.S_IMODE((fresh / "journal.db").stat().st_mode) == 0o600
    assert [name.name for name in fresh.iterdir()] == ["journal.db"]
    store = opened(fresh / "journal.db", run="c" * 16)
    assert store.ledger.backlog("platform") == 5, "what nobody had got is sent from the copy"
    store.close()


def test_restore_takes_only_a_sound_journal_and_changes_nothing_otherwise(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    present = everything(path)
    copies_of = {name: tmp_path / f"{name}.db" for name in ("text", "other", "newer", "damaged", "altered")}
    for name in ("newer", "damaged", "altered"):
        assert journal(capsys, "backup", copies_of[name], "--state", path.parent)[0] == OK
    copies_of["text"].write_text("no database at all, but long enough to be looked at" * 100)
    edited(copies_of["other"], "CREATE TABLE music (title TEXT)")
    edited(copies_of["newer"], f"PRAGMA user_version = {SCHEMA + 1}")
    damage(copies_of["damaged"])
    edited(copies_of["altered"], "UPDATE event SET ts = ts + 1 WHERE id = ?", row_id(1, 2))
    words = {
        "text": "no journal", "other": "no journal", "newer": "newer version", "damaged": "damaged",
        "altered": "number 2 of run",
    }  # fmt: skip
    for name, copy in copies_of.items():
        code, _, err = journal(capsys, "restore", copy, "--state", path.parent)
        assert (code, words[name] in err, "part-" in err) == (FAILED, True, False), err
    assert journal(capsys, "restore", tmp_path / "missing", "--state", path.parent)[0] == FAILED
    assert journal(capsys, "restore", path, "--state", path.parent)[0] == FAILED
    assert everything(path) == present
    assert sorted(name.name for name in path.parent.iterdir() if "-ballast" not in name.name) == ["journal.db"]
    assert journal(capsys, "restore", copies_of["altered"], "--force", "--state", path.parent)[0] == OK


def test_restore_over_a_journal_that_cannot_be_read_says_so_and_uses_no_id_twice(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "copy.db"
    assert journal(capsys, "backup", copy, "--state", path.parent)[0] == OK
    path.write_bytes(b"not a database any more" * 1000)
    path.with_name("journal.db.part-killed").touch()
    code, out, err = journal(capsys, "restore", copy, "--state", path.parent)
    assert (code, "cannot be read" in err, ".replaced-" in out) == (OK, True, True)
    (replaced,) = (
        name for name in path.parent.glob("journal.db.replaced-*") if not name.name.endswith(("-wal", "-shm"))
    )
    assert not list(path.parent.glob("*.part-*")), "what an attempt left that was killed"
    assert replaced.read_bytes().startswith(b"not a database any more")
    store = opened(path, run="c" * 16)
    store.close()
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT no FROM runs WHERE run = ?", ("c" * 16,)).fetchone()[0] > 1000


def test_restore_brings_a_copy_of_an_older_version_up_to_date(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    older = tmp_path / "older.db"
    with closing(sqlite3.connect(older, isolation_level=None)) as db:
        migrations.steps.apply(Database(db), stop_before="event_chain")
        db.execute("INSERT INTO runs VALUES (1, 'old', 'boot', ?)", (NOW,))
        db.execute("INSERT INTO event VALUES (?, ?, 'synced', 5, ?)", (row_id(1, 1), NOW, '{"event":"test"}'))
        db.execute("PRAGMA user_version = 1")
    code, _, err = journal(capsys, "tail", "--state", older)
    assert (code, "has the older schema 1" in err) == (FAILED, True)
    assert journal(capsys, "restore", older, "--state", path.parent)[0] == OK
    code, out, _ = journal(capsys, "tail", "--state", path.parent)
    assert (code, out.split()[1]) == (OK, "old/1")
    assert journal(capsys, "verify", "--state", path.parent)[0] == OK
    store = opened(path, run="c" * 16)
    assert store.ledger.runs == {1: "old", 3: "c" * 16}, "number 2 was used by the journal before"
    store.close()


def test_what_belongs_to_somebody_else_is_said_so(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path.parent.chmod(0)
    own = os.geteuid()
    os.seteuid(own or NOBODY)  # root may look into everything
    try:
        code, _, err = journal(capsys, "status", "--state", path)
        assert (code, "try it with sudo" in err) == (FAILED, True), err
        code, _, err = journal(capsys, "backup", path.parent / "copy.db", "--state", path.parent)
        assert (code, "try it with sudo" in err) == (FAILED, True), err
    finally:
        os.seteuid(own)
        path.parent.chmod(0o700)


def test_restore_stays_away_while_somebody_holds_the_state_directory(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "copy.db"
    assert journal(capsys, "backup", copy, "--state", path.parent)[0] == OK
    lock = StateLock(path.parent)
    lock.take()
    assert journal(capsys, "restore", copy, "--state", path.parent)[0] == TRY_AGAIN
    lock.release()
    owner = os.geteuid() or NOBODY
    os.chown(path, owner, -1)
    assert journal(capsys, "restore", copy, "--state", path.parent)[0] == OK
    assert path.stat().st_uid == owner, "the daemon can write it, whoever has restored it"


# ---------------------------------------------------------------- what is no journal


@pytest.mark.parametrize("command", ["status", "tail", "gaps", "verify", "export"])
def test_what_is_no_journal_is_named_with_a_hint(
    command: str, path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, other = tmp_path / "text.db", tmp_path / "other.db"
    text.write_text("no database at all, but long enough to be looked at" * 100)
    edited(other, "CREATE TABLE music (title TEXT)")
    edited(path, f"PRAGMA user_version = {SCHEMA + 1}")
    for wrong, said in (
        (tmp_path / "nowhere", "there is no journal at"),
        (text, "is no journal: it is no SQLite database"),
        (other, "is no journal of Sitewarden"),
        (path, f"has schema {SCHEMA + 1}, this version knows {SCHEMA}"),
    ):
        code, _, err = journal(capsys, command, "--state", wrong)
        assert (code, said in err, "(" in err) == (FAILED, True, True), err


def test_a_copy_and_a_file_set_aside_can_be_looked_into(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "copy.db"
    assert journal(capsys, "backup", copy, "--state", path.parent)[0] == OK
    copy.chmod(0o400)
    code, out, _ = journal(capsys, "tail", "--lane", "event", "--state", copy)
    assert (code, len(out.splitlines())) == (OK, 3)
    assert [name.name for name in tmp_path.iterdir() if name.name.startswith("copy")] == ["copy.db"]
