"""An old copy in the place of a journal whose later records the platform has: nothing means two things afterwards."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from journal_scene import MB, NOW, event, group, numbers, opened, telemetry
from journal_scene import backlog as asked

from gateway.journal import copies, setaside
from gateway.journal.store import Store
from gateway.journal.verify import verify
from gateway.model import Acked, Lane, PreviousRun, Row


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "journal.db"


def quiet(_: float) -> None:
    """Progress that nobody looks at."""


def told(store: Store, rows: tuple[Row, ...]) -> None:
    """The platform has these rows."""
    for row in rows:
        store.acknowledge(Acked("platform", row.record.lane, ((row.id, row.id),)))


def test_after_an_old_copy_no_number_of_a_run_and_no_id_of_a_row_is_given_twice(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    known: list[Row] = []
    for run in ("run-1", "run-2", "run-3"):
        store = opened(path, run)
        known += store.commit(group(event(1), telemetry(1), telemetry(2)), (), NOW)
        if run == "run-1":
            told(store, tuple(known))
            store.commit(group(), (), NOW)
            copies.backup(path, copy, quiet)
        told(store, tuple(known))
        known += store.commit(group(event(2), telemetry(3)), (), NOW)
        told(store, tuple(known))
        head = store.head
        store.commit(group(), (), NOW)
        store.close()
    assert copies.restore(copy, path.parent, quiet).dropped == (), "the platform has all of it"
    again = Store(path, "run-4", "boot-4", ("platform",), MB)
    found, gaps = again.open(NOW)
    assert (found.fate, found.previous, gaps) == ("restored", PreviousRun("run-1", 1, 2), ())
    assert found.state == {}, "the mark is nobody's state"
    assert numbers(asked(again, Lane.TELEMETRY)) == []
    rows = again.commit(group(event(1), telemetry(1)), (), NOW)
    told(again, rows[:1])
    before = {row.id for row in known}
    assert before.isdisjoint(row.id for row in rows)
    assert min(row.id for row in rows) > max(before)
    names = [(row.run, row.record.lane, row.record.seq) for row in (*known, *rows)]
    assert len(names) == len(set(names))
    assert numbers(asked(again, Lane.TELEMETRY)) == [("run-4", 1)]
    again.close()
    assert verify(path).is_sound
    assert not verify(path, head).is_sound, "a head told after the copy was made shows that the end is another one"


def test_only_the_first_run_after_it_says_that_the_journal_was_restored(path: Path, tmp_path: Path) -> None:
    store = opened(path)
    store.commit(group(event(1)), (), NOW)
    copies.backup(path, tmp_path / "copy.db", quiet)
    store.close()
    copies.restore(tmp_path / "copy.db", path.parent, quiet)
    fates = []
    for run in ("run-2", "run-3"):
        again = Store(path, run, "boot", ("platform",), MB)
        fates.append(again.open(NOW)[0].fate)
        again.close()
    assert fates == ["restored", "kept"]


def test_a_start_that_fails_leaves_the_mark_to_the_next_one(path: Path, tmp_path: Path) -> None:
    store = opened(path)
    store.commit(group(event(1)), (), NOW)
    copies.backup(path, tmp_path / "copy.db", quiet)
    store.close()
    copies.restore(tmp_path / "copy.db", path.parent, quiet)
    with closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")  # somebody keeps it locked
        again = Store(path, "run-2", "boot", ("platform",), MB)
        with pytest.raises(Exception, match="locked"):
            again.open(NOW)
        other.rollback()
    assert again.open(NOW)[0].fate == "restored"
    again.close()


def test_a_restored_journal_that_is_damaged_before_it_is_used_is_salvaged(path: Path, tmp_path: Path) -> None:
    store = opened(path)
    store.commit(group(event(1), telemetry(1)), (), NOW)
    copies.backup(path, tmp_path / "copy.db", quiet)
    store.close()
    copies.restore(tmp_path / "copy.db", path.parent, quiet)
    with closing(sqlite3.connect(path)) as db:
        (root,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'acked'").fetchone()
    with path.open("r+b") as file:
        file.seek((root - 1) * 4096)
        file.write(b"\xff" * 4096)
    again = Store(path, "run-2", "boot", ("platform",), MB)
    assert again.open(NOW)[0].fate == "salvaged"
    again.close()
    assert len(setaside.of_kind(path, ".bad-")) == 1
    third = Store(path, "run-3", "boot", ("platform",), MB)
    assert third.open(NOW)[0].fate == "kept"
    third.close()
