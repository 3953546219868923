"""A journal on a disk that is full, read-only, broken, damaged, or whose process is killed."""

from __future__ import annotations

import errno
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from journal_scene import (
    MB,
    NOW,
    HandClock,
    Scene,
    backlog,
    event,
    group,
    heavy,
    numbers,
    opened,
    running,
    storage,
    telemetry,
)

from gateway import records
from gateway.errors import JournalDown
from gateway.journal import enrolment, migrations, setaside
from gateway.journal.ledger import row_id
from gateway.journal.space import pragma
from gateway.journal.store import Store
from gateway.journal.thread import MAX_WAITING
from gateway.journal.verify import verify
from gateway.model import (
    Acked,
    Dropped,
    JournalFailed,
    JournalHealth,
    JournalRestored,
    JournalSetAside,
    Lane,
    Recovered,
    Stored,
    Trust,
    Unstored,
)

ROOT = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "journal.db"


def bad_files(path: Path) -> list[str]:
    return sorted(name.name for name in path.parent.iterdir() if ".bad-" in name.name)


# ---------------------------------------------------------------- a disk that refuses


@contextmanager
def no_file_may_grow_beyond(size: int) -> Iterator[None]:
    """Writes past `size` bytes of any file fail, as on a broken disk: SQLite reports an I/O error."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def tmpfs(folder: Path, size: str) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=True, capture_output=True
    )
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def may_mount() -> bool:
    """Mounting needs root, and a container may forbid it."""
    with TemporaryDirectory() as folder, suppress(OSError, subprocess.CalledProcessError), tmpfs(Path(folder), "64k"):
        return True
    return False


MOUNTS = may_mount()


def on_mounted_disks(test: Callable[[Path], None]) -> Callable[[Path], None] | None:
    """Where nothing can be mounted, the test does not exist; the budget and the limit of a file's size stand in."""
    return test if MOUNTS else None


@contextmanager
def refusing_to_grow(path: Path) -> Iterator[None]:
    with no_file_may_grow_beyond(path.stat().st_size // 4096 * 4096):
        yield


@contextmanager
def taken_away(path: Path) -> Iterator[None]:
    """The folder is replaced by a file: nothing can be opened there."""
    away = path.parent.with_name("away")
    path.parent.rename(away)
    path.parent.touch()
    try:
        yield
    finally:
        path.parent.unlink()
        away.rename(path.parent)


def retry(scene: Scene, clock: HandClock) -> None:
    clock.advance(5.0)
    scene.post(total="1")


@pytest.mark.parametrize("fault", [refusing_to_grow, taken_away])
def test_records_wait_while_the_disk_fails_and_are_stored_when_it_is_back(
    path: Path, fault: Callable[[Path], object]
) -> None:
    clock = HandClock()
    with running(path, clock) as scene:
        scene.post(event(1), alarm="raised")
        scene.stored(1)
        with fault(path):  # type: ignore[attr-defined]
            scene.post(event(2), *map(heavy, range(1, 101)), alarm="acknowledged")
            failed = scene.hub.wait(JournalFailed)
            assert failed.what
            assert failed.hint
            scene.post(event(3))
            for _ in range(3):
                retry(scene, clock)
            scene.hub.wait(JournalHealth, lambda health: health.state != "ok" and health.waiting == 102)
        retry(scene, clock)
        told = scene.stored(3)
        assert [row.record.seq for row in told.rows] == [2, 3, *range(1, 101)]
        scene.hub.wait(JournalRestored, lambda fact: fact.down_s >= 15.0)
        assert len(scene.hub.so_far(JournalFailed)) == 1
        assert scene.hub.so_far(Dropped) == []
    with running(path, clock, run="run-2") as scene:
        assert scene.hub.wait(Recovered).state["alarm"] == "acknowledged"
        assert len(scene.ask(Lane.TELEMETRY).rows) == 100
        assert [row.record.seq for row in scene.ask(Lane.EVENT).rows] == [1, 2, 3]


def test_a_journal_that_cannot_be_opened_at_start_is_tried_for_ever_and_told_late(tmp_path: Path) -> None:
    clock = HandClock()
    (tmp_path / "state").touch()
    path = tmp_path / "state" / "journal.db"
    with running(path, clock) as scene:
        failed = scene.hub.wait(JournalFailed)
        assert "state" in failed.what + failed.hint
        scene.post(event(1), telemetry(1))
        retry(scene, clock)
        (tmp_path / "state").unlink()
        retry(scene, clock)
        assert scene.hub.wait(Recovered).fate == "new"
        assert len(scene.stored(1).rows) == 2


def test_memory_is_bounded_events_stay_and_the_gap_is_exact(path: Path) -> None:
    clock = HandClock()
    with running(path, clock) as scene:
        scene.post(event(1))
        scene.stored(1)
        with taken_away(path):
            scene.post(event(2))
            scene.hub.wait(JournalFailed)
            for start in range(1, MAX_WAITING + 5001, 500):
                scene.post(*map(telemetry, range(start, start + 500)))
                scene.post(event(2 + (start + 499) // 500))
            retry(scene, clock)
            scene.hub.wait(JournalHealth, lambda health: health.dropped > 0 and health.waiting == MAX_WAITING)
        retry(scene, clock)
        rows = scene.stored(52).rows
        events = [row.record.seq for row in rows if row.record.lane is Lane.EVENT]
        kept = [row.record.seq for row in rows if row.record.lane is Lane.TELEMETRY]
        gap = scene.hub.wait(Dropped)
        assert events == list(range(2, 53))
        assert kept == list(range(gap.last + 1, MAX_WAITING + 5001))
        whole = Dropped("run-1", Lane.TELEMETRY, 1, gap.last, gap.last, ("platform",), "journal_failed")
        assert gap == whole._replace(first_ts=NOW, last_ts=NOW, trust=Trust.SYNCED)
        assert len(rows) == MAX_WAITING
        scene.post(event(53, text=records.gateway_fact(gap)))
        scene.stored(53)
        health = scene.hub.so_far(JournalHealth)[-1]
        assert health.dropped == gap.records


def test_telemetry_goes_to_the_senders_from_memory_while_the_disk_fails_and_not_again_when_it_is_stored(
    path: Path,
) -> None:
    clock = HandClock()
    with running(path, clock) as scene:
        scene.post(event(1))
        scene.stored(1)
        with taken_away(path):
            scene.post(event(2), telemetry(1), telemetry(2))
            told = scene.sender.wait(Unstored).rows
            assert [row.record.seq for row in told] == [1, 2]
            scene.journal.post(Acked("platform", Lane.TELEMETRY, ((told[0].id, told[0].id),)))
            assert [row.record.seq for row in scene.ask(Lane.TELEMETRY).rows] == [2]
            scene.post(telemetry(3))
            clock.advance(1.0)
            assert scene.ask(Lane.TELEMETRY).rows[-1].record.seq == 3
            assert [row.record.seq for row in scene.sender.wait(Unstored).rows] == [3]
            assert [len(fact.rows) for fact in scene.hub.so_far(Unstored)] == [3, 1]  # its event, too
        scene.post(telemetry(4))
        retry(scene, clock)
        stored = scene.stored(2)
        assert (len(stored.rows), stored.told) == (5, 4)
        assert {row.id for row in told} < {row.id for row in stored.rows}  # the ids that they were told with
        fresh = scene.sender.wait(Stored, lambda message: len(message.rows) == 2).rows
        assert [(row.record.lane, row.record.seq) for row in fresh] == [(Lane.EVENT, 2), (Lane.TELEMETRY, 4)]
        scene.sender.wait(JournalRestored)
        assert [row.record.seq for row in scene.ask(Lane.TELEMETRY).rows] == [2, 3, 4]
    with running(path, clock, run="run-2") as scene:
        assert [row.record.seq for row in scene.ask(Lane.TELEMETRY).rows] == [2, 3, 4]


def test_a_run_whose_journal_cannot_be_opened_sends_telemetry_under_the_ids_that_are_stored_later(path: Path) -> None:
    clock = HandClock()
    opened(path).close()
    with taken_away(path), running(path, clock, run="run-2") as scene:
        scene.post(telemetry(1), telemetry(2))
        scene.hub.wait(JournalFailed)
        told = scene.sender.wait(Unstored).rows
        scene.journal.post(Acked("platform", Lane.TELEMETRY, ((told[0].id, told[0].id),)))
        assert [row.record.seq for row in scene.ask(Lane.TELEMETRY).rows] == [2]
        path.parent.unlink()
        path.parent.with_name("away").rename(path.parent)
        retry(scene, clock)
        assert scene.stored(2, Lane.TELEMETRY).rows == told
        assert [row.record.seq for row in scene.ask(Lane.TELEMETRY).rows] == [2]
        path.parent.rename(path.parent.with_name("away"))
        path.parent.touch()


def test_an_id_that_was_taken_before_the_journal_could_be_opened_costs_doubles_and_nothing_else(path: Path) -> None:
    """The clock was wrong at boot: the number that the run took for itself is another run's."""
    for _ in range(2):
        store = Store(path, "run-1", "boot-1", ("platform",), 50 * MB)
        store.rows_of([telemetry(1)], 0)  # no clock: the first number of all
        store.open(NOW)
        store.commit(group(telemetry(1)), (), NOW)
        store.close()
    store = Store(path, "run-2", "boot-1", ("platform",), 50 * MB)
    told = store.rows_of([telemetry(1), telemetry(2)], 0)
    store.acknowledge(Acked("platform", Lane.TELEMETRY, ((told[0].id, told[-1].id),)))
    store.open(NOW)
    store.acknowledge(Acked("platform", Lane.TELEMETRY, ((told[0].id, told[-1].id),)))
    store.commit(group(telemetry(1), telemetry(2)), (), NOW)
    assert numbers(backlog(store, Lane.TELEMETRY)) == [("run-1", 1), ("run-2", 1), ("run-2", 2)]
    store.close()


def test_what_memory_could_not_keep_but_every_uplink_had_is_missed_by_nobody(path: Path) -> None:
    clock = HandClock()
    with running(path, clock, uplinks=("one", "two")) as scene:
        scene.post(event(1))
        scene.stored(1)
        with taken_away(path):
            scene.post(event(2))
            scene.hub.wait(JournalFailed)
            scene.post(*map(telemetry, range(1, 1001)))
            clock.advance(1.0)
            scene.ask(Lane.TELEMETRY, uplink="one")
            told = scene.sender.wait(Unstored, lambda message: len(message.rows) > 0).rows
            for name, last in (("one", 1000), ("two", 400)):
                scene.journal.post(Acked(name, Lane.TELEMETRY, ((told[0].id, told[last - 1].id),)))
            scene.post(*map(telemetry, range(1001, MAX_WAITING + 1000)))
            retry(scene, clock)
            scene.hub.wait(JournalHealth, lambda health: health.dropped > 0)
        retry(scene, clock)
        scene.hub.wait(JournalRestored)
        gaps = [(gap.first, gap.last, gap.records, gap.uplinks) for gap in scene.hub.so_far(Dropped)]
        assert gaps == [(1, 400, 400, ()), (401, 1000, 600, ("two",))]
        assert scene.hub.so_far(Stored)[-1].told == MAX_WAITING


def check_that_only_the_oldest_telemetry_went(scene: Scene, groups: int) -> None:
    left = [row.record.seq for row in scene.ask(Lane.TELEMETRY, limit=50_000).rows]
    dropped = scene.hub.so_far(Dropped)
    assert scene.hub.so_far(JournalFailed) == []
    assert dropped[0].first == 1
    assert {gap.lane for gap in dropped} == {Lane.TELEMETRY}
    assert left == list(range(dropped[-1].last + 1, groups * 100 + 1))
    assert len(left) > 2000
    assert len(scene.ask(Lane.EVENT).rows) == groups


def store_groups(scene: Scene, first: int, last: int) -> None:
    for seq in range(first, last + 1):
        scene.post(event(seq), *map(heavy, range(seq * 100 - 99, seq * 100 + 1)))
        scene.stored(seq)


def test_a_full_budget_takes_alarms_at_the_cost_of_the_oldest_telemetry(path: Path) -> None:
    with running(path, HandClock(), storage(max_size=10 * MB)) as scene:
        store_groups(scene, 1, 150)
        check_that_only_the_oldest_telemetry_went(scene, 150)


@on_mounted_disks
def test_a_small_disk_is_full_before_it_is(path: Path) -> None:
    with tmpfs(path.parent, "24m"), running(path, HandClock(), storage(max_size=1000 * MB)) as scene:
        store_groups(scene, 1, 300)
        check_that_only_the_oldest_telemetry_went(scene, 300)


@on_mounted_disks
def test_a_disk_that_others_have_filled_takes_alarms_at_the_cost_of_the_oldest_telemetry(path: Path) -> None:
    with tmpfs(path.parent, "32m"), running(path, HandClock(), storage(max_size=1000 * MB)) as scene:
        store_groups(scene, 1, 60)
        fill_up(path.parent)
        store_groups(scene, 61, 200)
        check_that_only_the_oldest_telemetry_went(scene, 200)


def fill_up(folder: Path) -> None:
    with (folder / "somebody's.log").open("wb", buffering=0) as junk, suppress(OSError):
        while True:
            junk.write(bytes(4096))


@on_mounted_disks
def test_a_read_only_disk_is_named_and_overcome(path: Path) -> None:
    clock = HandClock()
    with tmpfs(path.parent, "8m"):
        opened(path).close()
        subprocess.run(["mount", "-o", "remount,ro", str(path.parent)], check=True)
        with running(path, clock, run="run-2") as scene:
            failed = scene.hub.wait(JournalFailed)
            assert "cannot be written" in failed.what
            assert "read-only" in failed.hint
            scene.post(event(1))
            subprocess.run(["mount", "-o", "remount,rw", str(path.parent)], check=True)
            retry(scene, clock)
            scene.stored(1)
            assert scene.hub.wait(JournalRestored).down_s == 5.0


def test_another_program_that_locks_the_file_is_named(path: Path) -> None:
    clock = HandClock()
    with running(path, clock) as scene:
        scene.post(event(1))
        scene.stored(1)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            scene.post(event(2))
            assert "another program" in scene.hub.wait(JournalFailed).what
            other.execute("ROLLBACK")
        retry(scene, clock)
        scene.stored(2)


def test_a_reader_that_never_ends_stops_the_journal_before_its_wal_takes_the_disk(path: Path) -> None:
    clock = HandClock()
    with running(path, clock, storage(max_size=8 * MB)) as scene:
        scene.post(event(1))
        scene.stored(1)
        wal, seq = Path(f"{path}-wal"), 0
        with closing(sqlite3.connect(path, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM runs").fetchall()
            while not scene.hub.so_far(JournalFailed):
                scene.post(*map(heavy, range(seq + 1, seq + 51)))
                seq += 50
                clock.advance(1.0)
                scene.ask(Lane.EVENT if seq < 500 else Lane.TELEMETRY, limit=1)
                assert wal.stat().st_size < 5 * MB
            failed = scene.hub.so_far(JournalFailed)[0]
            assert "another program has been reading" in failed.what
            assert "fuser" in failed.hint
            size = wal.stat().st_size
            for _ in range(5):
                retry(scene, clock)
                scene.ask(Lane.TELEMETRY, limit=1)
            assert wal.stat().st_size == size
            assert scene.sender.so_far(Unstored)
            reader.execute("ROLLBACK")
        retry(scene, clock)
        scene.hub.wait(JournalRestored)
        assert wal.stat().st_size < 2 * MB
        left = [row.record.seq for row in scene.ask(Lane.TELEMETRY, limit=100_000).rows]
        dropped = max((gap.last for gap in scene.hub.so_far(Dropped)), default=0)  # the WAL counts in the budget
        assert left == list(range(dropped + 1, seq + 1))
        assert len(left) > 1500


# ---------------------------------------------------------------- a damaged file


def query(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as db:
        return db.execute(sql).fetchall()


def no_database(path: Path) -> None:
    path.write_bytes(b"this is no database at all" * 1000)


def flipped_bytes(path: Path) -> None:
    data = bytearray(path.read_bytes())
    for at in range(len(data) // 3, len(data), 5000):
        data[at : at + 40] = bytes(byte ^ 0xFF for byte in data[at : at + 40])
    path.write_bytes(data)


def cut_in_half(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2 // 4096 * 4096 + 100])


def of_a_later_version(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 99")


@pytest.mark.parametrize(
    ("spoil", "fate"),
    [(no_database, "new"), (flipped_bytes, "salvaged"), (cut_in_half, "new"), (of_a_later_version, "salvaged")],
)
def test_a_damaged_file_is_set_aside_unchanged_and_a_new_one_begun(
    path: Path, spoil: Callable[[Path], None], fate: str
) -> None:
    store = opened(path)
    store.commit(group(*map(heavy, range(1, 500))), (), NOW)
    store.close()
    spoil(path)
    before = path.read_bytes()
    again = Store(path, "run-2", "boot-1", ("platform",), 50_000_000)
    found, lost = again.open(NOW)
    assert (found.fate, found.aside) == (fate, "journal.db.bad-20261121T222640.000")
    assert all(gap.of_run and gap.first for gap in lost), "what is not known to have been there is no gap"
    assert bad_files(path) == [found.aside]
    assert (path.parent / bad_files(path)[0]).read_bytes() == before
    again.commit(group(event(1)), (), NOW)
    again.close()


def wreck(path: Path, *shares: float) -> None:
    """Overwrite the pages at these places of the file, as a card does that has lost its cells."""
    with path.open("r+b") as file:
        for share in shares:
            file.seek(int(path.stat().st_size * share) // 4096 * 4096)
            file.write(b"\xa5" * 8192)


def test_what_can_be_read_of_a_damaged_file_is_carried_over_and_the_rest_is_a_gap(path: Path) -> None:
    store = opened(path)
    store.commit(group(*map(event, range(1, 21)), alarm='"raised"'), (), NOW)
    store.commit(group(*map(heavy, range(1, 1001))), (), NOW)
    store.acknowledge(Acked("platform", Lane.TELEMETRY, ((row_id(1, 1), row_id(1, 100)),)))
    store.acknowledge(Acked("platform", Lane.EVENT, ((row_id(1, 1), row_id(1, 19)),)))
    store.commit(group(), (), NOW)
    head = store.head
    store.close()
    wreck(path, 0.4, 0.7)
    again = Store(path, "run-2", "boot-1", ("platform",), 50_000_000)
    found, dropped = again.open(NOW)
    assert (found.fate, found.state, found.previous) == ("salvaged", {"alarm": '"raised"'}, ("run-1", 20, 1000))
    assert numbers(backlog(again, Lane.EVENT)) == [("run-1", 20)]
    assert query(path, "SELECT count(*) FROM event") == [(20,)]
    left = {seq for _, seq in numbers(backlog(again, Lane.TELEMETRY))}
    lost = {seq for gap in dropped for seq in range(gap.first, gap.last + 1)}
    assert 900 > len(left) > 850
    assert left | lost == set(range(101, 1001))
    assert {(gap.of_run, gap.lane, gap.reason) for gap in dropped} == {("run-1", Lane.TELEMETRY, "journal_damaged")}
    assert query(path, "SELECT min(id & 0xFFFF) FROM telemetry") == [(101,)]  # what is acknowledged stays behind
    assert again.head == head
    again.commit(group(event(1)), (), NOW)
    verdict = verify(path)
    assert (verdict.is_sound, verdict.checked, verdict.uncovered, verdict.anchor) == (True, 1, 20, head)
    assert again.ledger.rows() == 20 + len(left) + 1
    again.close()


def test_a_running_daemon_carries_over_what_can_be_read_and_knows_exactly_what_is_lost(path: Path) -> None:
    store = opened(path, uplinks=("one", "two"))
    store.commit(group(*map(event, range(1, 6)), *map(heavy, range(1, 1001)), alarm='"raised"'), (), NOW)
    store.acknowledge(Acked("one", Lane.TELEMETRY, ((row_id(1, 1), row_id(1, 1000)),)))
    pragma(store.handle.db, "wal_checkpoint(TRUNCATE)")
    store.handle.abandon()
    wreck(path, 0.5)
    dropped = store.open(NOW)[1]
    left = {seq for _, seq in numbers(backlog(store, Lane.TELEMETRY, uplink="two"))}
    lost = {seq for gap in dropped for seq in range(gap.first, gap.last + 1)}
    assert left | lost == set(range(1, 1001))
    assert not left & lost
    assert 0 < len(lost) < 100
    assert {gap.uplinks for gap in dropped} == {("two",)}
    assert store.ledger.backlog("one") == 5
    assert backlog(store, Lane.TELEMETRY, uplink="one").rows == ()
    store.close()
    again = Store(path, "run-2", "boot-1", ("one", "two"), 50_000_000)
    found, untold = again.open(NOW)
    assert (found.fate, found.state) == ("kept", {"alarm": '"raised"'})
    assert sorted(untold) == sorted(dropped)
    again.close()


def cut_off_copy(path: Path) -> Path:
    folder = path.parent.with_name("after-power-cut")
    folder.mkdir()
    for part in ("", "-wal"):
        shutil.copy(f"{path}{part}", folder)
    return folder / path.name


def half_moved(path: Path) -> None:
    """The WAL has its new name already, the database not."""
    aside = setaside.move(path, NOW)
    aside.rename(path)


def moved(path: Path) -> None:
    setaside.move(path, NOW)


def moved_and_an_empty_file_made(path: Path) -> None:
    moved(path)
    path.touch()


def moved_and_the_new_file_begun(path: Path) -> None:
    moved(path)
    with closing(sqlite3.connect(path)) as db:
        migrations.bring_up_to_date(db)


@pytest.mark.parametrize(
    "cut_off",
    [half_moved, moved, moved_and_an_empty_file_made, moved_and_the_new_file_begun],
    ids=lambda cut: cut.__name__,
)
def test_a_start_that_was_cut_off_between_the_old_and_the_new_file_is_made_up_for(
    path: Path, cut_off: Callable[[Path], None]
) -> None:
    store = opened(path)
    store.commit(group(*map(event, range(1, 11))), (), NOW)
    store.handle.db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    store.commit(group(*map(event, range(11, 21)), alarm='"raised"'), (), NOW)
    path = cut_off_copy(path)  # while it is open: the last of it is in the WAL alone
    store.close()
    cut_off(path)
    again = Store(path, "run-2", "boot-1", ("platform",), 50_000_000)
    found, dropped = again.open(NOW)
    assert (found.fate, found.state, dropped) == ("salvaged", {"alarm": '"raised"'}, ())
    assert len(backlog(again, Lane.EVENT).rows) == 20
    again.close()
    once_more = Store(path, "run-3", "boot-1", ("platform",), 50_000_000)
    assert once_more.open(NOW)[0].fate == "kept"
    once_more.close()


def test_a_clock_that_is_behind_costs_no_damaged_file_that_was_not_read_yet(path: Path) -> None:
    store = opened(path)
    store.commit(group(*map(event, range(1, 21)), alarm='"raised"'), (), NOW)
    store.commit(group(*map(heavy, range(1, 1001))), (), NOW)
    store.close()
    for hour in (11, 12, 13):
        Path(f"{path}.bad-20991121T{hour}0000.000").write_bytes(b"x")
    wreck(path, 0.5)
    found, _ = Store(path, "run-2", "boot-1", ("platform",), 50_000_000).open(NOW)
    assert found.fate == "salvaged"
    assert found.state == {"alarm": '"raised"'}
    assert len(bad_files(path)) == 3
    assert found.aside == max(bad_files(path))


def damage_found(*_: object) -> None:
    error = sqlite3.DatabaseError("database disk image is malformed")
    error.sqlite_errorname = "SQLITE_CORRUPT"
    raise error


def disk_error(*_: object) -> None:
    raise OSError(errno.EIO, "Input/output error")


@pytest.mark.parametrize("fails", [disk_error, damage_found], ids=["the disk", "the new file, too"])
def test_what_fails_in_the_middle_of_salvage_costs_nothing_of_it(
    path: Path, fails: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened(path)
    store.commit(group(*map(event, range(1, 21)), alarm='"raised"'), (), NOW)
    store.close()
    setaside.move(path, NOW)
    again = Store(path, "run-2", "boot-1", ("platform",), 50_000_000)
    with monkeypatch.context() as failing:
        failing.setattr(enrolment, "enrol", fails)
        for _ in range(5):
            with pytest.raises(JournalDown):
                again.open(NOW)
    found, dropped = again.open(NOW)
    assert (found.fate, found.state, dropped) == ("salvaged", {"alarm": '"raised"'}, ())
    assert len(backlog(again, Lane.EVENT).rows) == 20
    assert len(bad_files(path)) == 1
    again.close()


def test_a_number_of_a_run_that_no_run_can_have_keeps_nothing_from_being_carried_over(path: Path) -> None:
    store = opened(path)
    store.commit(group(*map(event, range(1, 21)), alarm='"raised"'), (), NOW)
    store.handle.db.execute("INSERT INTO runs VALUES (?, 'run-x', 'boot', 1)", (1 << 30,))
    store.close()
    setaside.move(path, NOW)
    again = Store(path, "run-2", "boot-1", ("platform",), 50_000_000)
    found, dropped = again.open(NOW)
    assert (found.fate, found.state, dropped) == ("salvaged", {"alarm": '"raised"'}, ())
    again.close()


def test_all_events_of_a_full_journal_are_carried_over(path: Path) -> None:
    store = opened(path, max_size=4 * MB)
    for first in range(1, 1501, 100):
        texts = (
            event(seq)._replace(text=records.event("uplink_up", uplink="u" * 1000)) for seq in range(first, first + 100)
        )
        store.commit(group(*texts), (), NOW)
    store.close()
    setaside.move(path, NOW)
    again = Store(path, "run-2", "boot-1", ("platform",), 4 * MB)
    found, dropped = again.open(NOW)
    assert (found.fate, dropped) == ("salvaged", ())
    assert again.ledger.rows_in(Lane.EVENT) == 1500
    assert found.aside == "" or (path.parent / found.aside).exists()
    again.close()


def test_an_old_damaged_file_is_not_read_again_when_somebody_begins_anew(path: Path) -> None:
    store = opened(path)
    store.commit(group(event(1)), (), NOW)
    store.close()
    wreck(path, 0.0)
    opened(path, "run-2").close()
    path.unlink()
    again = Store(path, "run-3", "boot-1", ("platform",), 50_000_000)
    assert again.open(NOW)[0] == Recovered("new", None, {})
    again.close()


def test_a_large_file_is_opened_in_time_and_damage_among_its_newest_rows_is_found(path: Path) -> None:
    store = opened(path, max_size=120_000_000)
    for start in range(1, 40_001, 5000):
        store.commit(group(*map(heavy, range(start, start + 5000))), (), NOW)
    store.close()
    assert path.stat().st_size > 40_000_000
    began = time.monotonic()
    again = Store(path, "run-2", "boot-1", ("platform",), 120_000_000)
    assert again.open(NOW)[0].fate == "kept"
    assert time.monotonic() - began < 5.0
    again.close()
    with path.open("r+b") as file:
        file.seek(path.stat().st_size - 4096 * 40)
        file.write(b"\xa5" * 4096 * 20)
    damaged = Store(path, "run-3", "boot-1", ("platform",), 120_000_000)
    began = time.monotonic()
    assert damaged.open(NOW)[0].fate == "salvaged"
    assert time.monotonic() - began < 10.0
    assert len(bad_files(path)) == 1
    assert damaged.ledger.rows() > 20_000
    damaged.close()


def test_only_the_newest_three_damaged_files_are_kept_and_none_overwrites_another(path: Path) -> None:
    for number in range(1, 6):
        opened(path, f"run-{number}", now_ts=NOW + number * 1000).close()
        path.write_bytes(b"damage number %d" % number * 1000)
    opened(path, "run-6", now_ts=NOW + 6000).close()
    kept = [(path.parent / name).read_bytes()[:15] for name in bad_files(path)]
    assert sorted(kept) == [b"damage number 3", b"damage number 4", b"damage number 5"]


def test_a_wal_that_was_cut_loses_its_tail_and_no_number_is_used_again(path: Path, tmp_path: Path) -> None:
    store = opened(path)
    ids = {row.id for seq in range(1, 21) for row in store.commit(group(event(seq)), (), NOW)}
    left = tmp_path / "left"
    left.mkdir()
    shutil.copy(path, left)
    wal = Path(f"{path}-wal").read_bytes()
    (left / "journal.db-wal").write_bytes(wal[: len(wal) - 10_000])  # a card that lied about its last syncs
    store.close()
    again = Store(left / "journal.db", "run-2", "boot-1", ("platform",), 50_000_000)
    found, _ = again.open(NOW)
    assert found.fate == "kept"
    assert found.previous is not None
    assert 0 < found.previous.last_event < 20
    assert len(backlog(again, Lane.EVENT).rows) == found.previous.last_event
    assert again.commit(group(event(1)), (), NOW)[0].id not in ids
    again.close()


def test_damage_while_running_costs_no_state_and_what_is_lost_is_a_gap(path: Path) -> None:
    clock = HandClock()
    with running(path, clock) as scene:
        scene.post(*map(event, range(1, 301)), *map(heavy, range(1, 301)), alarm="raised")
        rows = scene.stored(300).rows
        scene.journal.post(Acked("platform", Lane.EVENT, ((rows[0].id, rows[99].id),)))
        scene.ask(Lane.EVENT)
        with closing(sqlite3.connect(path)) as other:  # into the database itself, past the WAL
            other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        no_database(path)
        scene.post(event(301))
        if not scene.hub.so_far(JournalFailed):  # SQLite may go on with pages that it holds
            with closing(sqlite3.connect(path)) as other, pytest.raises(sqlite3.DatabaseError):
                other.execute("SELECT * FROM runs")
        scene.post(event(302))
        scene.hub.wait(JournalFailed)
        retry(scene, clock)
        scene.hub.wait(JournalRestored)
        gaps = {gap.lane: gap for gap in scene.hub.so_far(Dropped)}
        assert gaps[Lane.EVENT][:5] == ("run-1", Lane.EVENT, 101, gaps[Lane.EVENT].last, gaps[Lane.EVENT].last - 100)
        assert gaps[Lane.TELEMETRY][:5] == ("run-1", Lane.TELEMETRY, 1, 300, 300)
        assert [fact.aside for fact in scene.hub.so_far(JournalSetAside)] == bad_files(path)
        assert [row.record.seq for row in scene.ask(Lane.EVENT).rows] == list(range(gaps[Lane.EVENT].last + 1, 303))
    with running(path, clock, run="run-2") as scene:
        assert scene.hub.wait(Recovered).state["alarm"] == "raised"


def test_a_damaged_row_is_a_gap_and_does_not_hold_up_the_others(path: Path) -> None:
    with running(path, HandClock()) as scene:
        scene.post(event(1), *map(telemetry, range(1, 11)))
        rows = {row.record.seq: row.id for row in scene.stored(1).rows if row.record.lane is Lane.TELEMETRY}
        with closing(sqlite3.connect(path)) as other:
            other.execute("UPDATE telemetry SET text = '{half' WHERE id = ?", (rows[3],))
            other.execute("UPDATE telemetry SET text = CAST(X'7b22ff' AS TEXT) WHERE id = ?", (rows[4],))
            other.execute("UPDATE telemetry SET trust = 'sinced' WHERE id = ?", (rows[8],))
            other.commit()
        assert [row.record.seq for row in scene.ask(Lane.TELEMETRY).rows] == [1, 2, 5, 6, 7, 9, 10]
        scene.ask(Lane.TELEMETRY)
        gaps = [(gap.first, gap.last, gap.reason) for gap in scene.hub.so_far(Dropped)]
        assert gaps == [(3, 4, "row_damaged"), (8, 8, "row_damaged")]


# ---------------------------------------------------------------- a killed process

CHILD = """
import sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from tempfile import TemporaryDirectory
from journal_scene import event, group, telemetry, NOW
from gateway.journal.store import Store
from gateway.model import Acked
store = Store(Path(sys.argv[1]), sys.argv[2], "boot-1", ("platform",), 50_000_000)
store.open(NOW)
for seq in range(1, 1_000_000):
    rows = store.commit(group(event(seq), *(telemetry(seq * 5 - n) for n in (4, 3, 2, 1, 0)), seq=str(seq)), (), NOW)
    store.acknowledge(Acked("platform", rows[1].record.lane, ((rows[1].id, rows[3].id),)))
    print(seq, flush=True)
"""


def test_every_commit_that_a_killed_process_reported_is_there(path: Path) -> None:
    last = 0
    for life in range(1, 6):
        command = [sys.executable, "-c", CHILD.format(tests=str(ROOT / "tests")), str(path), f"run-{life}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as child:
            assert child.stdout is not None
            for line in child.stdout:
                last = int(line)
                if last == 7 * life:
                    child.send_signal(signal.SIGKILL)
        store = Store(path, f"check-{life}", "boot-1", ("platform",), 50_000_000)
        found, _ = store.open(NOW)
        assert found.fate == "kept"
        assert found.previous is not None
        assert found.previous.run == f"run-{life}"
        stored = found.previous.last_event
        assert stored >= last >= 7 * life
        assert (found.previous.last_telemetry, found.state) == (stored * 5, {"seq": str(stored)})  # decisions are whole
        own = [seq for run, seq in numbers(backlog(store, Lane.EVENT, limit=10_000)) if run == f"run-{life}"]
        assert own == list(range(1, stored + 1))
        left = [seq for run, seq in numbers(backlog(store, Lane.TELEMETRY, limit=50_000)) if run == f"run-{life}"]
        assert len(left) == 2 * (stored - 1) + 5  # three of five were acknowledged, the last three not yet on the disk
        store.close()


def test_stored_is_told_before_the_process_can_be_killed_without_it(path: Path) -> None:
    """What was told as stored is read from the very files that a kill would leave."""
    with running(path, HandClock()) as scene:
        for seq in range(1, 6):
            scene.post(event(seq))
            scene.hub.wait(Stored)
            left = path.parent.with_name(f"left-{seq}")
            left.mkdir()
            for name in ("journal.db", "journal.db-wal"):
                shutil.copy(path.parent / name, left)
            with closing(sqlite3.connect(left / "journal.db")) as db:
                assert db.execute("SELECT count(*) FROM event").fetchone() == (seq,)
