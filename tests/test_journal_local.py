"""Telemetry that is stored and not sent: for people, for no uplink, and gone as if it were acknowledged."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from consumer import Consumer
from journal_scene import MB, NOW, HandClock, backlog, event, group, heavy, local, opened, running, storage, telemetry
from linkless import Linkless, config

from gateway.cli.journal_tail import tail
from gateway.demo.broker import Broker
from gateway.journal import copies, inspection
from gateway.journal.store import Store
from gateway.journal.verify import verify
from gateway.model import Acked, Dropped, JournalFailed, JournalHealth, Lane, Record, Stored, Unstored

DAY_MS = 86_400_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "journal.db"


def query(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as db:
        return db.execute(sql).fetchall()


def heavy_local(seq: int) -> Record:
    return heavy(seq)._replace(lane=Lane.LOCAL)


def test_no_uplink_has_it_in_its_backlog_and_the_hub_is_told_that_it_is_stored(path: Path) -> None:
    clock = HandClock()
    with running(path, clock, storage(0.05)) as scene:
        scene.post(event(1), telemetry(1), local(1), local(2))
        assert len(scene.stored(1).rows) == 4
        assert [row.record.lane for row in scene.sender.wait(Stored).rows] == [Lane.EVENT, Lane.TELEMETRY]
        scene.post(local(3))
        scene.ask(Lane.EVENT)  # by now it waits for its commit
        clock.advance(1.0)
        scene.ask(Lane.EVENT)
        scene.stored(3, Lane.LOCAL)
        assert len(scene.sender.so_far(Stored)) == 1, "of what is local alone no sender is woken"
        clock.advance(2.0)
        scene.post(n="1")
        assert scene.hub.wait(JournalHealth, lambda told: told.rows == 5).backlog == {"platform": 2}


@pytest.mark.promise("numbers-without-holes")
def test_a_platform_gets_what_is_sent_without_holes_and_the_journal_has_all_of_it(tmp_path: Path) -> None:
    """A whole gateway: a step of 1 is recorded, a step of 5 is sent, and the alarm's values with it."""
    broker = Broker()
    text = config(broker.start(), 1, limit=86.5) + "storage: {commit_every: 50ms}\n"
    text += "report: {setting: {deadband: 0.5, max_every: 1h, send: {deadband: 4.5, max_every: 1h}}}\n"
    with Consumer(broker.port) as platform, Linkless(tmp_path / "gw1", text, 1) as gateway:
        for value in range(101):
            gateway.reading("device-00", {"r0": float(value)})
        run = gateway.gateway.run
        platform.wait_for(lambda: len(platform.seqs(run, "telemetry")) >= 21, 20, "what is sent")
        raised = next(event for event in platform.events if event["event"] == "alarm")
        sent = sorted(platform.seqs(run, "telemetry"))
    broker.stop()
    path = gateway.state / "journal.db"
    values = {lane: [] for lane in ("telemetry", "local")}  # type: dict[str, list[object]]
    for lane, stored in query(path, "SELECT lane, value FROM readings ORDER BY lane, seq"):
        values[str(lane)].append(stored)
    assert sent == list(range(1, len(values["telemetry"]) + 1))
    assert sorted(values["telemetry"] + values["local"], key=float) == list(range(101))  # type: ignore[arg-type]
    assert (values["telemetry"][0], raised["value"]) == (0.0, 87.0)
    assert 87.0 in values["telemetry"]
    assert len(values["telemetry"]) < 25


def test_people_see_it_beside_what_is_sent(path: Path) -> None:
    store = opened(path)
    store.commit(group(event(1), telemetry(1), local(1), local(2)), (), NOW)
    store.close()
    seen = query(path, "SELECT lane, seq, point, value FROM readings WHERE bad IS NULL ORDER BY lane, seq, point")
    assert seen == [
        ("local", 1, "humidity", 40),
        ("local", 1, "temperature", 1.5),
        ("local", 2, "humidity", 40),
        ("local", 2, "temperature", 2.5),
        ("telemetry", 1, "humidity", 40),
        ("telemetry", 1, "temperature", 1.5),
    ]
    lines = list(tail(path, (Lane.TELEMETRY, Lane.LOCAL), 3))
    assert [line.endswith("(not sent)") for line in lines] == [False, True, True]
    assert {lane: held.rows for lane, held in inspection.summary(path).lanes.items()} == dict.fromkeys(Lane, 1) | {
        Lane.LOCAL: 2
    }
    assert inspection.summary(path).backlog == {"platform": 2}
    command = [sys.executable, "-m", "gateway", "journal", "export", "--format", "jsonl", "--state", str(path)]
    top = Path(__file__).parent.parent
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, cwd=top)
    exported = [json.loads(line) for line in told.stdout.splitlines()]
    assert [(one["lane"], one["seq"], one["point"]) for one in exported if one["point"] != "door"] == [
        (lane, seq, point)
        for lane, seq in (("telemetry", 1), ("local", 1), ("local", 2))
        for point in ("temperature", "humidity")
    ]


def test_it_goes_with_age_and_holds_nothing_back(path: Path) -> None:
    store = opened(path)
    old = NOW - 8 * DAY_MS
    store.commit(group(telemetry(1, old), local(1, old), local(2, NOW)), (), NOW)
    store.upkeep.forget_old(NOW, 7 * 86400.0)
    left = query(path, "SELECT id & 255 FROM local"), query(path, "SELECT id & 255 FROM telemetry")
    assert left == ([(2,)], [(1,)]), "the telemetry is not acknowledged"
    store.close()


def test_a_full_budget_drops_it_in_turn_with_what_is_acknowledged_and_says_nothing(path: Path) -> None:
    store = opened(path, max_size=4 * MB)
    dropped: tuple[Dropped, ...] = ()
    for first in range(1, 4001, 10):
        some = range(first, first + 10)
        rows = store.commit(group(*map(heavy, some), *map(heavy_local, some)), (), NOW)
        store.acknowledge(Acked("platform", Lane.TELEMETRY, ((rows[0].id, rows[9].id),)))
        dropped += store.upkeep.relieve(NOW)
    oldest = [query(path, f"SELECT min(id & 0xFFFF) FROM {lane}")[0][0] for lane in ("telemetry", "local")]
    assert dropped == ()
    assert all(isinstance(seq, int) and seq > 1500 for seq in oldest)
    assert abs(int(str(oldest[0])) - int(str(oldest[1]))) < 600, "the older of both goes first"
    store.close()


def test_it_goes_before_anything_that_an_uplink_does_not_have(path: Path) -> None:
    store = opened(path, max_size=4 * MB)
    dropped: tuple[Dropped, ...] = ()
    store.commit(group(*(heavy(seq) for seq in range(1, 501))), (), NOW)
    for first in range(1, 6001, 10):
        store.commit(group(*map(heavy_local, range(first, first + 10))), (), NOW)
        dropped += store.upkeep.relieve(NOW)
    assert dropped == ()
    assert len(backlog(store, Lane.TELEMETRY).rows) == 500
    store.close()


def test_while_the_disk_fails_it_waits_for_the_hub_alone_and_is_given_up_first(path: Path) -> None:
    path.mkdir(parents=True)  # no file can be made there
    with running(path, HandClock(), storage(0.05)) as scene:
        scene.hub.wait(JournalFailed)
        scene.post(event(1), telemetry(1), local(1))
        assert [row.record.lane for row in scene.sender.wait(Unstored).rows] == [Lane.TELEMETRY]
        assert len(scene.hub.wait(Unstored).rows) == 3
        for start in range(2, 24_002, 1000):
            scene.post(*(local(seq) for seq in range(start, start + 1000)))
        scene.post(*(telemetry(seq) for seq in range(2, 1002)))
        scene.hub.wait(Unstored, lambda told: any(row.record.lane is Lane.TELEMETRY for row in told.rows))
        assert len(scene.ask(Lane.TELEMETRY, limit=2000).rows) == 1001
        path.rmdir()


def test_what_can_be_read_of_a_damaged_file_is_carried_over(path: Path) -> None:
    store = opened(path)
    store.commit(group(event(1), telemetry(1), local(1), local(2)), (), NOW)
    store.close()
    (root,) = query(path, "SELECT rootpage FROM sqlite_master WHERE name = 'acked'")[0]
    with path.open("r+b") as file:
        file.seek((int(str(root)) - 1) * 4096)
        file.write(b"\xff" * 4096)
    again = Store(path, "run-2", "boot-2", ("platform",), MB)
    found, gaps = again.open(NOW)
    assert (found.fate, gaps) == ("salvaged", ())
    assert query(path, "SELECT id & 255 FROM local") == [(1,), (2,)]
    again.commit(group(event(1), local(1)), (), NOW)
    again.close()
    assert len(query(path, "SELECT 1 FROM local")) == 3
    assert verify(path).is_sound


def test_it_is_in_a_copy_and_in_what_is_restored(path: Path, tmp_path: Path) -> None:
    store = opened(path)
    store.commit(group(event(1), local(1), local(2)), (), NOW)
    store.close()
    copies.backup(path, tmp_path / "copy.db", lambda _: None)
    path.unlink()
    done = copies.restore(tmp_path / "copy.db", path.parent, lambda _: None)
    assert done.dropped == ()
    assert [line.seq for lines in inspection.slices(path, Lane.LOCAL) for line in lines] == [1, 2]
