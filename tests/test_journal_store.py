"""The journal's file: identity, decisions stored whole, acknowledgements, backlog, retention, what people see."""

from __future__ import annotations

import json
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest
from journal_scene import MB, NOW, backlog, event, group, heavy, numbers, opened, telemetry

from gateway import records
from gateway.errors import AlreadyRunning, JournalDown
from gateway.journal import enrolment
from gateway.journal.ledger import row_id
from gateway.journal.space import pragma
from gateway.journal.statelock import StateLock
from gateway.journal.store import Store
from gateway.model import Acked, Dropped, Lane, PreviousRun, Record, Trust

DAY_MS = 86_400_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "journal.db"


def query(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as db:
        return db.execute(sql).fetchall()


def test_a_record_stored_twice_is_stored_once(path: Path) -> None:
    store = opened(path)
    store.commit(group(event(1), telemetry(1)), (), NOW)
    rows = store.commit(group(event(1), telemetry(1), telemetry(2)), (), NOW)
    assert [row.record.seq for row in rows] == [1, 1, 2]
    assert numbers(backlog(store, Lane.TELEMETRY)) == [("run-1", 1), ("run-1", 2)]
    assert store.ledger.rows() == 3
    store.close()


def test_rows_come_back_as_they_were_given(path: Path) -> None:
    store = opened(path)
    odd = telemetry(1, text='{"device":"kühl-1","values":{"note":"µ°\\u0000"}}')
    rows = store.commit(group(odd, event(1)), (), NOW)
    assert backlog(store, Lane.TELEMETRY).rows + backlog(store, Lane.EVENT).rows == rows[::-1]
    store.close()


def test_half_a_surrogate_pair_from_a_wire_is_stored_as_a_question_mark(path: Path) -> None:
    store = opened(path)
    rows = store.commit(group(telemetry(1, text='{"device":"a","values":{"x":"\ud800"}}')), (), NOW)
    assert json.loads(rows[0].record.text)["values"] == {"x": "?"}
    assert backlog(store, Lane.TELEMETRY).rows == rows
    store.close()


def test_records_and_state_of_a_decision_are_there_after_reopening(path: Path) -> None:
    store = opened(path)
    store.commit(group(event(1), alarm="raised", total="5"), (), NOW)
    store.commit(group(event(2), alarm=None), (), NOW)
    store.close()
    again = Store(path, "run-2", "boot-2", ("platform",), MB)
    found, _ = again.open(NOW)
    assert (found.fate, found.state) == ("kept", {"total": "5"})
    assert found.previous == PreviousRun("run-1", 2, 0)
    assert numbers(backlog(again, Lane.EVENT)) == [("run-1", 1), ("run-1", 2)]
    again.close()


def test_a_new_journal_says_that_it_is_new_and_only_its_owner_reads_it(path: Path) -> None:
    store = Store(path, "run-1", "boot-1", (), MB)
    assert store.open(NOW)[0] == ("new", None, {}, "")
    store.commit(group(event(1)), (), NOW)
    modes = {name.name: stat.S_IMODE(name.stat().st_mode) for name in path.parent.iterdir()}
    assert modes == dict.fromkeys(["journal.db", "journal.db-wal", "journal.db-shm", "journal.db-ballast"], 0o600)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    store.close()
    assert sorted(name.name for name in path.parent.iterdir()) == ["journal.db", "journal.db-ballast"]


def test_a_commit_is_synced_to_the_wal(path: Path) -> None:
    store = opened(path)
    assert [pragma(store.handle.db, name) for name in ("journal_mode", "synchronous", "auto_vacuum")] == ["wal", 2, 0]
    store.close()


@pytest.mark.promise("identity-once")
def test_ids_rise_over_runs_and_no_number_is_used_twice(path: Path) -> None:
    ids = []
    for run in range(1, 5):
        store = opened(path, f"run-{run}")
        ids += [row.id for row in store.commit(group(telemetry(1), telemetry(2)), (), NOW)]
        store.close()
    assert ids == sorted(set(ids))
    assert query(path, "SELECT count(*), count(DISTINCT id) FROM telemetry") == [(8, 8)]


def test_what_is_acknowledged_is_no_backlog_not_even_after_reopening(path: Path) -> None:
    store = opened(path)
    rows = store.commit(group(*map(telemetry, range(1, 11))), (), NOW)
    store.acknowledge(Acked("platform", Lane.TELEMETRY, ((rows[1].id, rows[3].id), (rows[6].id, rows[6].id))))
    left = [1, 5, 6, 8, 9, 10]
    assert [seq for _, seq in numbers(backlog(store, Lane.TELEMETRY))] == left
    assert store.ledger.backlog("platform") == len(left)
    store.commit(group(), (), NOW)
    store.close()
    again = opened(path, "run-2")
    assert [seq for _, seq in numbers(backlog(again, Lane.TELEMETRY))] == left
    assert again.ledger.backlog("platform") == len(left)
    again.close()


def test_a_chunk_of_backlog_says_exactly_whether_there_is_more(path: Path) -> None:
    store = opened(path)
    rows = store.commit(group(*map(telemetry, range(1, 7))), (), NOW)
    first = backlog(store, Lane.TELEMETRY, limit=3)
    assert ([seq for _, seq in numbers(first)], first.upto, first.done) == ([1, 2, 3], rows[-1].id, False)
    rest = backlog(store, Lane.TELEMETRY, after=rows[2].id, upto=first.upto, limit=3)
    assert ([seq for _, seq in numbers(rest)], rest.done) == ([4, 5, 6], True)
    inner = backlog(store, Lane.TELEMETRY, after=rows[0].id, upto=rows[2].id)
    assert ([seq for _, seq in numbers(inner)], inner.done) == ([2, 3], True)
    assert backlog(store, Lane.EVENT)[1:] == ((), 0, True)
    store.close()


def test_acknowledged_rows_are_jumped_over_not_read(path: Path) -> None:
    store = opened(path)
    rows = store.commit(group(*map(telemetry, range(1, 20_001))), (), NOW)
    store.acknowledge(Acked("platform", Lane.TELEMETRY, ((rows[1].id, rows[-2].id),)))
    steps = []
    store.handle.db.set_progress_handler(lambda: steps.append(1), 100)
    assert [seq for _, seq in numbers(backlog(store, Lane.TELEMETRY))] == [1, 20_000]
    assert len(steps) < 5
    store.close()


def test_in_peace_an_uplink_is_one_range_over_all_runs(path: Path) -> None:
    for run in range(1, 6):
        store = opened(path, f"run-{run}")
        rows = store.commit(group(event(1), telemetry(1), telemetry(2)), (), NOW)
        for row in rows:
            store.acknowledge(Acked("platform", row.record.lane, ((row.id, row.id),)))
        store.commit(group(), (), NOW)
        store.close()
    assert query(path, "SELECT lane, count(*) FROM acked WHERE uplink = 'platform' GROUP BY lane ORDER BY lane") == [
        ("event", 1),
        ("telemetry", 1),
    ]


def test_an_uplink_that_is_no_longer_configured_is_forgotten(path: Path) -> None:
    store = opened(path, "run-1", ("one", "two"))
    rows = store.commit(group(telemetry(1)), (), NOW)
    store.acknowledge(Acked("one", Lane.TELEMETRY, ((rows[0].id, rows[0].id),)))
    store.commit(group(), (), NOW)
    assert list(store.ledger.sent(Lane.TELEMETRY)) == []  # "two" does not have it
    store.close()
    again = opened(path, "run-2", ("one",))
    assert list(again.ledger.sent(Lane.TELEMETRY)) == [(rows[0].id, rows[0].id)]
    assert query(path, "SELECT DISTINCT uplink FROM acked WHERE uplink > '' ORDER BY 1") == [("one",)]
    assert not again.acknowledge(Acked("two", Lane.TELEMETRY, ((rows[0].id, rows[0].id),)))
    again.close()


def test_a_new_uplink_gets_what_is_there_and_counts_nothing_that_has_gone(path: Path) -> None:
    store = opened(path, uplinks=("one",))
    rows = store.commit(group(*(telemetry(n, NOW - (10 - n) * DAY_MS) for n in range(1, 10))), (), NOW)
    store.acknowledge(Acked("one", Lane.TELEMETRY, ((rows[0].id, rows[-1].id),)))
    store.upkeep.forget_old(NOW, 7 * 86400.0)
    store.close()
    again = opened(path, "run-2", uplinks=("one", "two"))
    assert (again.ledger.backlog("one"), again.ledger.backlog("two")) == (0, 7)
    assert [seq for _, seq in numbers(backlog(again, Lane.TELEMETRY, uplink="two"))] == [3, 4, 5, 6, 7, 8, 9]
    again.close()


def test_a_number_the_hub_has_skipped_is_no_backlog(path: Path) -> None:
    store = opened(path)
    store.commit(group(telemetry(1), telemetry(2), telemetry(10)), (), NOW)
    assert (store.ledger.rows(), store.ledger.backlog("platform")) == (3, 3)
    store.close()


def test_a_started_event_that_comes_late_is_sent_and_counted(path: Path) -> None:
    store = opened(path)
    store.commit(group(event(2)), (), NOW)
    store.commit(group(event(1)), (), NOW)
    assert numbers(backlog(store, Lane.EVENT)) == [("run-1", 1), ("run-1", 2)]
    assert store.ledger.backlog("platform") == 2
    store.close()


def test_a_started_event_that_never_came_is_no_backlog_of_the_next_run(path: Path) -> None:
    store = opened(path)
    store.commit(group(event(2)), (), NOW)
    store.close()
    again = opened(path, "run-2")
    assert again.ledger.backlog("platform") == 1
    again.close()


# ---------------------------------------------------------------- space and age


def test_old_rows_go_when_every_uplink_has_them_and_others_stay(path: Path) -> None:
    store = opened(path, uplinks=("one", "two"))
    rows = store.commit(group(*(telemetry(n, NOW - (10 - n) * DAY_MS) for n in range(1, 10))), (), NOW)
    store.acknowledge(Acked("one", Lane.TELEMETRY, ((rows[0].id, rows[-1].id),)))
    store.acknowledge(Acked("two", Lane.TELEMETRY, ((rows[0].id, rows[3].id),)))
    assert not store.upkeep.forget_old(NOW, 7 * 86400.0)
    assert [seq for (seq,) in query(path, "SELECT id & 0xFFFFFFFFFF FROM telemetry")] == [3, 4, 5, 6, 7, 8, 9]
    assert (store.ledger.rows(), store.ledger.backlog("two")) == (7, 5)
    store.close()


def test_without_uplinks_rows_go_by_age_alone(path: Path) -> None:
    store = opened(path, uplinks=())
    store.commit(group(event(1, NOW - 8 * DAY_MS), event(2), telemetry(1, NOW - 8 * DAY_MS), telemetry(2)), (), NOW)
    store.upkeep.forget_old(NOW, 7 * 86400.0)
    assert query(path, "SELECT id & 255 FROM event UNION ALL SELECT id & 255 FROM telemetry") == [(2,), (2,)]
    store.close()


def fill(store: Store, first: int, last: int) -> list[Dropped]:
    """Heavy telemetry in groups of 50, each followed by what the journal's thread does after a commit."""
    dropped: list[Dropped] = []
    for start in range(first, last, 50):
        store.commit(group(*map(heavy, range(start, min(start + 50, last)))), (), NOW)
        dropped += store.upkeep.relieve(NOW)
    return dropped


def test_a_full_budget_drops_acknowledged_telemetry_first_and_says_nothing(path: Path) -> None:
    store = opened(path, max_size=2 * MB)
    dropped = fill(store, 1, 801)
    store.acknowledge(Acked("platform", Lane.TELEMETRY, ((row_id(1, 1), row_id(1, 800)),)))
    dropped += fill(store, 801, 1301)
    assert dropped == []
    assert [seq for _, seq in numbers(backlog(store, Lane.TELEMETRY))] == list(range(801, 1301))
    assert store.ledger.rows() < 1300
    store.close()


@pytest.mark.promise("gap-named")
def test_unacknowledged_telemetry_that_must_go_is_a_gap_with_its_exact_range_and_events_stay(path: Path) -> None:
    store = opened(path, max_size=2 * MB, uplinks=("one",))
    store.commit(group(*map(event, range(1, 101))), (), NOW)
    dropped = fill(store, 1, 4001)
    assert dropped[0][:3] == ("run-1", Lane.TELEMETRY, 1)
    assert {gap.uplinks for gap in dropped} == {("one",)}
    assert all(one.last + 1 == two.first for one, two in pairwise(dropped))
    assert all(gap.records == gap.last - gap.first + 1 and gap.reason == "storage_full" for gap in dropped)
    left = [seq for _, seq in numbers(backlog(store, Lane.TELEMETRY, limit=5000, uplink="one"))]
    assert left == list(range(dropped[-1].last + 1, 4001))
    assert len(backlog(store, Lane.EVENT, uplink="one").rows) == 100
    assert path.stat().st_size <= 2 * MB
    assert store.ledger.backlog("one") == len(left) + 100
    store.close()


def test_a_dead_uplink_is_moved_on_alone_when_it_holds_back_more_than_its_share(path: Path) -> None:
    store = opened(path, max_size=4 * MB, uplinks=("alive", "dead"))
    dropped: list[Dropped] = []
    for start in range(1, 4001, 50):
        dropped += fill(store, start, start + 50)
        if start not in range(601, 1001):  # a short outage of the other one
            store.acknowledge(
                Acked("alive", Lane.TELEMETRY, ((row_id(1, max(1, start - 450)), row_id(1, start + 49)),))
            )
    assert {(gap.uplinks, gap.reason) for gap in dropped} == {(("dead",), "uplink_behind")}
    assert dropped[0].first == 1
    assert all(one.last + 1 == two.first for one, two in pairwise(dropped))
    left = [seq for _, seq in numbers(backlog(store, Lane.TELEMETRY, limit=5000, uplink="dead"))]
    assert left == list(range(dropped[-1].last + 1, 4001))
    assert 800 < len(left) < 1000  # at 1.4 kB: half of what the budget leaves to telemetry
    assert store.ledger.rows() > len(left) + 500  # the other half keeps what both have had
    store.close()


@pytest.mark.parametrize("share", [0.1, 0.4])
def test_events_have_their_share_of_the_budget(path: Path, share: float) -> None:
    store = Store(path, "run-1", "boot-1", ("platform",), 2 * MB, share)
    store.open(NOW)
    fill(store, 1, 4001)
    pages = store.handle.space.live_pages(store.handle.db) / store.handle.space._max_pages
    assert 1 - share - 0.05 < pages <= 1 - share
    store.close()


def test_events_have_the_last_tenth_of_the_budget_and_then_drop_their_oldest(path: Path) -> None:
    store = opened(path, max_size=MB)
    fill(store, 1, 2001)
    text = json.dumps({"event": "test", "text": "y" * 1000})
    dropped: list[Dropped] = []
    for start in range(1, 2001, 10):
        store.commit(group(*(event(n, text=text) for n in range(start, start + 10))), (), NOW)
        dropped += store.upkeep.relieve(NOW)
    lanes = [gap.lane for gap in dropped]
    assert lanes == sorted(lanes, key=lambda lane: lane is Lane.EVENT)  # telemetry first, then events
    assert dropped[-1].lane is Lane.EVENT
    left = [seq for _, seq in numbers(backlog(store, Lane.EVENT, limit=5000))]
    assert left == list(range(dropped[-1].last + 1, 2001))
    assert len(left) > 320
    store.close()


@pytest.mark.promise("gap-named")
def test_a_gap_is_told_again_at_the_next_start_until_its_event_is_stored(path: Path) -> None:
    store = opened(path, max_size=MB)
    dropped = fill(store, 1, 2001)
    announcing = event(1, text=records.gateway_fact(dropped[0]))
    store.commit(group(announcing), (), NOW)
    store.close()
    again = Store(path, "run-2", "boot-1", ("platform",), MB)
    _, untold = again.open(NOW)
    assert sorted(untold) == sorted(dropped[1:])
    again.commit(group(*(event(n, text=records.gateway_fact(gap)) for n, gap in enumerate(untold, 2))), (), NOW)
    again.close()
    last = Store(path, "run-3", "boot-1", ("platform",), MB)
    assert last.open(NOW)[1] == ()
    last.close()


def test_a_lower_budget_makes_an_old_file_smaller_inside_not_unusable(path: Path) -> None:
    store = opened(path, max_size=20 * MB)
    fill(store, 1, 8001)
    store.close()
    again = opened(path, "run-2", max_size=MB)
    dropped: tuple[Dropped, ...] = ()
    while more := again.upkeep.relieve(NOW):
        dropped += more
    again.commit(group(event(1), telemetry(1)), (), NOW)
    assert sum(gap.records for gap in dropped) + again.ledger.rows() == 8002
    assert again.handle.space.live_pages(again.handle.db) * 4096 < MB
    again.close()


def test_the_wal_is_cut_when_a_reader_that_held_it_has_gone(path: Path) -> None:
    store = opened(path, max_size=8 * MB)
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM runs").fetchall()
        fill(store, 1, 2001)
        store.upkeep.tend()
        wal = Path(f"{path}-wal")
        assert wal.stat().st_size > 2 * MB
        reader.execute("ROLLBACK")
    store.upkeep.tend()
    assert wal.stat().st_size == 0
    store.close()


# ---------------------------------------------------------------- what people see


def test_people_see_one_row_per_point_and_one_per_event(path: Path) -> None:
    store = opened(path)
    store.commit(group(event(1), telemetry(1)), (), NOW)
    columns = "run, seq, ts, time, device, point, value, bad"
    time = "2026-11-21T22:26:40.000Z"
    assert query(path, f"SELECT {columns} FROM readings ORDER BY point") == [
        ("run-1", 1, NOW, time, "cold-1", "door", None, "no_reply"),
        ("run-1", 1, NOW, time, "cold-1", "humidity", 40, None),
        ("run-1", 1, NOW, time, "cold-1", "temperature", 1.5, None),
    ]
    assert query(path, "SELECT run, seq, time, event FROM events") == [("run-1", 1, time, "test")]
    store.close()


def test_sqlite_utils_reads_the_file_on_its_own(path: Path) -> None:
    store = opened(path)
    store.commit(group(telemetry(1)), (), NOW)
    command = [sys.executable, "-m", "sqlite_utils", "rows", str(path), "readings", "-c", "point", "--nl"]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    assert sorted(json.loads(line)["point"] for line in told.stdout.splitlines()) == ["door", "humidity", "temperature"]
    store.close()


def test_a_second_start_needs_no_sqlite_utils(path: Path) -> None:
    opened(path).close()
    code = (
        "import sys; from pathlib import Path; from gateway.journal.store import Store\n"
        f"store = Store(Path({str(path)!r}), 'run-2', 'boot', (), 1000000); store.open({NOW}); store.close()\n"
        "sys.exit('sqlite_utils' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=30).returncode == 0


def test_a_second_daemon_is_told_before_it_opens_anything(tmp_path: Path) -> None:
    lock, second = StateLock(tmp_path / "state"), StateLock(tmp_path / "state")
    lock.take()
    with pytest.raises(AlreadyRunning, match="another Sitewarden already uses"):
        second.take()
    lock.release()
    second.take()
    second.release()


def test_a_state_directory_that_cannot_be_made_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(JournalDown, match="cannot be used") as caught:
        StateLock(tmp_path / "file" / "state").take()
    assert "create it" in caught.value.hint


def test_the_number_of_a_run_survives_the_loss_of_the_file(path: Path) -> None:
    for run in range(1, 4):
        opened(path, f"run-{run}").close()
    store = opened(path, "run-4")
    before = store.commit(group(telemetry(1)), (), NOW)
    path.unlink()
    with pytest.raises(JournalDown, match="moved or deleted"):
        store.commit(group(telemetry(2)), (), NOW)
    _, dropped = store.open(NOW)
    assert dropped == (Dropped("run-4", Lane.TELEMETRY, 1, 1, 1, ("platform",), "journal_deleted"),)
    rows = store.commit(group(telemetry(2)), (), NOW)
    assert rows[0].id == before[0].id + 1
    assert store.ledger.backlog("platform") == 1
    store.close()


def test_runs_without_a_row_are_forgotten(path: Path) -> None:
    for run in range(1, 10):
        opened(path, f"run-{run}").close()
    assert query(path, "SELECT run FROM runs") == [("run-8",), ("run-9",)]


def test_a_run_may_hold_more_records_than_fit_in_32_bits(path: Path) -> None:
    store = opened(path)
    far = Record(Lane.EVENT, 2**33, NOW, Trust.RTC, 0, "{}")
    store.commit(group(far), (), NOW)
    assert backlog(store, Lane.EVENT).rows[0].record.seq == 2**33
    assert enrolment.recall(store.handle.db, store.ledger)[0].last_seq(Lane.EVENT, 1) == 2**33
    store.close()
