"""The chain of events: a journal whose file was tampered with by plain SQL, and what may be missing without that."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest
from journal_scene import MB, NOW, event, group, opened, telemetry
from sqlite_utils import Database

from gateway import records
from gateway.errors import JournalDown
from gateway.journal import migrations
from gateway.journal.chain import START, BadRow, Finding, Head, Verdict
from gateway.journal.ledger import row_id
from gateway.journal.store import Store
from gateway.journal.verify import verify
from gateway.model import Acked, BacklogWanted, Dropped, Lane

DAY_MS = 86_400_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "journal.db"


def two_runs(path: Path) -> Head:
    """Ten events of run-1 and ten of run-2; the head of their chain."""
    for run in (1, 2):
        store = opened(path, f"run-{run}")
        store.commit(group(*map(event, range(1, 6)), telemetry(1)), (), NOW)
        store.commit(group(*map(event, range(6, 11))), (), NOW)
        head = store.head
        store.close()
    return head


def tamper(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for statement in statements:
            assert db.execute(statement).rowcount, statement


def bad(verdict: Verdict) -> tuple[Finding, str, int]:
    assert verdict.bad is not None
    return verdict.bad.finding, verdict.bad.run, verdict.bad.seq


def test_the_chain_goes_on_over_runs_and_can_be_made_anew_from_the_rows_alone(path: Path) -> None:
    head = two_runs(path)
    with closing(sqlite3.connect(path)) as db:
        rows = db.execute(
            "SELECT run, e.id & 0xFFFFFFFFFF, ts, trust, mono_ms, text FROM event e JOIN runs ON no = e.id >> 40"
        ).fetchall()
    digest = bytes(32)
    for row in rows:
        digest = sha256(digest + "\n".join(map(str, row)).encode()).digest()
    assert head == Head(20, digest)
    assert verify(path, head) == Verdict(None, 20, 0, START, ("", 0), head, met=True)


FIFTH = "id & 0xFFFFFFFFFF = 5 AND id >> 40 = 1"
SIXTH = "id & 0xFFFFFFFFFF = 6 AND id >> 40 = 1"

TAMPERED = {
    "a flipped bit": (
        [f"UPDATE event SET text = replace(text, 'test', 'tesu') WHERE {FIFTH}"],
        (Finding.FLIPPED, "run-1", 5),
    ),
    "bytes that are no JSON": (
        [f"UPDATE event SET text = CAST(X'7b2200ff' AS TEXT) WHERE {FIFTH}"],
        (Finding.FLIPPED, "run-1", 5),
    ),
    "another time": ([f"UPDATE event SET ts = ts + 123456 WHERE {FIFTH}"], (Finding.REPLACED, "run-1", 5)),
    "another text": (
        [f"""UPDATE event SET text = '{{"event":"nothing happened"}}' WHERE {FIFTH}"""],
        (Finding.REPLACED, "run-1", 5),
    ),
    "a row missing": ([f"DELETE FROM event WHERE {FIFTH}"], (Finding.CUT, "run-1", 5)),
    "a row and its link missing": (
        [f"DELETE FROM event WHERE {FIFTH}", f"DELETE FROM chain WHERE {FIFTH}"],
        (Finding.CUT, "run-1", 5),
    ),
    "a row and its link missing, renumbered": (
        [
            f"DELETE FROM event WHERE {FIFTH}",
            f"DELETE FROM chain WHERE {FIFTH}",
            "UPDATE chain SET link = -link + 1 WHERE link > 5",
            "UPDATE chain SET link = -link WHERE link < 0",
        ],
        (Finding.CUT, "run-1", 5),
    ),
    "two rows swapped": (
        [
            f"UPDATE event SET id = 1 WHERE {FIFTH}",
            f"UPDATE event SET id = id - 1 WHERE {SIXTH}",
            f"UPDATE event SET id = {row_id(1, 6)} WHERE id = 1",
        ],
        (Finding.REORDERED, "run-1", 5),
    ),
    "two links swapped": (
        [
            f"UPDATE chain SET link = 1000 WHERE {FIFTH}",
            f"UPDATE chain SET link = 5 WHERE {SIXTH}",
            "UPDATE chain SET link = 6 WHERE link = 1000",
        ],
        (Finding.REORDERED, "run-1", 5),
    ),
    "a row in the middle that nobody chained": (
        [f"""INSERT INTO event VALUES ({row_id(1, 99)}, {NOW}, 'synced', 0, '{{"event":"test"}}')"""],
        (Finding.ADDED, "run-1", 99),
    ),
    "all rows missing": (["DELETE FROM event"], (Finding.CUT, "run-1", 1)),
}


@pytest.mark.parametrize(("statements", "found"), TAMPERED.values(), ids=TAMPERED)
def test_a_row_that_was_tampered_with_is_named(
    path: Path, statements: list[str], found: tuple[Finding, str, int]
) -> None:
    two_runs(path)
    tamper(path, *statements)
    assert bad(verify(path)) == found


def without_the_last_three(path: Path) -> None:
    tamper(path, f"DELETE FROM event WHERE id > {row_id(2, 7)}", f"DELETE FROM chain WHERE id > {row_id(2, 7)}")


def with_another_end(path: Path) -> None:
    """Somebody who knows how makes text and hash of the last event anew."""
    text = '{"event":"nothing happened"}'
    with closing(sqlite3.connect(path)) as db:
        (before,) = db.execute("SELECT hash FROM chain WHERE link = 19").fetchone()
        digest = sha256(before + f"run-2\n10\n{NOW}\nsynced\n100\n{text}".encode()).digest()
        db.execute("UPDATE event SET text = ? WHERE id = ?", (text, row_id(2, 10)))
        db.execute("UPDATE chain SET hash = ? WHERE link = 20", (digest,))
        db.commit()


@pytest.mark.parametrize(
    ("change", "found"),
    [(without_the_last_three, (Finding.CUT, "run-2", 8)), (with_another_end, (Finding.REPLACED, "run-2", 10))],
)
def test_an_end_that_was_cut_or_made_anew_is_found_with_the_head_that_was_reported(
    path: Path, change: Callable[[Path], None], found: tuple[Finding, str, int]
) -> None:
    head = two_runs(path)
    change(path)
    assert verify(path).is_sound
    verdict = verify(path, head)
    assert (bad(verdict), verdict.met) == (found, True)


def test_an_older_head_proves_what_was_there_when_it_was_reported(path: Path) -> None:
    store = opened(path)
    store.commit(group(*map(event, range(1, 6))), (), NOW)
    head = store.head
    store.commit(group(*map(event, range(6, 11))), (), NOW)
    assert verify(path, head).is_sound  # beside the one who writes
    store.close()
    assert verify(path, head).met
    wrong = Head(head.length, bytes(32))
    assert bad(verify(path, wrong)) == (Finding.REPLACED, "run-1", 5)


def test_what_is_stored_twice_is_chained_once(path: Path) -> None:
    store = opened(path)
    store.commit(group(event(1), event(2)), (), NOW)
    head = store.head
    store.commit(group(event(1), event(2)), (), NOW)
    assert store.head == head
    store.handle.abandon()
    store.open(NOW)
    store.commit(group(event(1), event(2), event(3)), (), NOW)
    assert store.head.length == 3
    store.close()
    assert verify(path).checked == 3


def test_a_started_event_that_comes_late_is_in_order(path: Path) -> None:
    store = opened(path)
    store.commit(group(event(2)), (), NOW)
    store.commit(group(event(1)), (), NOW)
    store.commit(group(event(3)), (), NOW)
    store.close()
    assert verify(path).is_sound


def test_retention_leaves_an_anchor_and_the_rest_is_verified_from_there(path: Path) -> None:
    store = opened(path)
    store.commit(group(*(event(n, NOW - (10 - n) * DAY_MS) for n in range(1, 10))), (), NOW)
    store.acknowledge(Acked("platform", Lane.EVENT, ((row_id(1, 1), row_id(1, 9)),)))
    store.upkeep.forget_old(NOW, 5 * 86400.0)
    head = store.head
    verdict = verify(path, head)
    assert (verdict.is_sound, verdict.checked, verdict.anchor.length, verdict.anchor_name) == (True, 5, 4, ("run-1", 4))
    store.upkeep.forget_old(NOW, 0.0)
    store.close()
    again = opened(path, "run-2")
    assert again.head == head
    again.commit(group(event(1)), (), NOW)
    again.close()
    verdict = verify(path, head)
    assert (verdict.is_sound, verdict.checked, verdict.anchor, verdict.met) == (True, 1, head, True)
    assert not verify(path, Head(1, bytes(32))).met


def test_an_acknowledged_event_stays_while_an_older_one_is_not(path: Path) -> None:
    """The chain loses nothing but its beginning, unless a gap names it."""
    store = opened(path)
    store.commit(group(*(event(n, NOW - 10 * DAY_MS) for n in range(1, 10))), (), NOW)
    store.acknowledge(Acked("platform", Lane.EVENT, ((row_id(1, 1), row_id(1, 3)), (row_id(1, 5), row_id(1, 9)))))
    store.upkeep.forget_old(NOW, 5 * 86400.0)
    assert store.ledger.rows() == 6
    store.close()
    assert verify(path).is_sound


def test_a_hole_is_sound_when_a_gap_of_the_chain_names_it_and_only_then(path: Path) -> None:
    store = opened(path)
    store.commit(group(*map(event, range(1, 6))), (), NOW)
    with closing(sqlite3.connect(path)) as other:
        other.execute("UPDATE event SET text = '{half' WHERE id = ?", (row_id(1, 3),))
        other.commit()
    assert bad(verify(path)) == (Finding.FLIPPED, "run-1", 3)
    rows, dropped = store.backlog(BacklogWanted("platform", Lane.EVENT, 0, None, 1000, lambda _: None), NOW)
    assert ([row.record.seq for row in rows.rows], dropped[0].first) == ([1, 2, 4, 5], 3)
    assert bad(verify(path)) == (Finding.CUT, "run-1", 3)
    store.commit(group(event(6, text=records.gateway_fact(dropped[0]))), (), NOW)
    store.close()
    assert verify(path).is_sound


def test_events_that_never_reached_the_disk_are_named_by_their_gap(path: Path) -> None:
    store = opened(path)
    store.commit(group(event(1), event(2)), (), NOW)
    store.commit(group(event(6)), (), NOW)
    assert bad(verify(path)) == (Finding.CUT, "run-1", 3)
    gap = Dropped("run-1", Lane.EVENT, 3, 5, 3, ("platform",), "journal_failed")
    store.commit(group(event(7, text=records.gateway_fact(gap))), (gap,), NOW)
    store.close()
    assert verify(path).is_sound


def test_the_chain_goes_on_in_a_new_file_when_the_old_one_is_lost(path: Path) -> None:
    store = opened(path)
    store.commit(group(event(1), event(2)), (), NOW)
    head = store.head
    path.unlink()
    with pytest.raises(JournalDown):
        store.commit(group(event(3)), (), NOW)
    store.open(NOW)
    assert store.head == head
    store.commit(group(event(3)), (), NOW)
    store.close()
    verdict = verify(path)
    assert (verdict.is_sound, verdict.anchor, verdict.head.length) == (True, head, 3)


def test_a_file_of_schema_1_is_migrated_and_its_chain_begins_there(path: Path) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as db:
        migrations.steps.apply(Database(db, recursive_triggers=False, execute_plugins=False), stop_before="event_chain")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("INSERT INTO runs VALUES (1, 'run-1', 'boot-1', ?)", (NOW,))
        for seq in (1, 2, 3):
            db.execute("INSERT INTO event VALUES (?, ?, 'synced', 0, '{}')", (row_id(1, seq), NOW))
        db.execute("PRAGMA user_version = 1")
        db.commit()
    store = Store(path, "run-2", "boot-1", ("platform",), MB)
    found, _ = store.open(NOW)
    assert found.fate == "kept"
    assert found.previous == ("run-1", 3, 0)
    store.commit(group(event(1), event(2)), (), NOW)
    store.close()
    verdict = verify(path)
    assert (verdict.is_sound, verdict.checked, verdict.uncovered) == (True, 2, 3)


def test_a_file_that_is_no_journal_is_told(path: Path) -> None:
    with pytest.raises(JournalDown):
        verify(path)
    path.parent.mkdir()
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(JournalDown, match="damaged"):
        verify(path)


def test_progress_is_told(path: Path) -> None:
    store = opened(path)
    store.commit(group(*map(event, range(1, 10_002))), (), NOW)
    store.close()
    told: list[int] = []
    verify(path, None, told.append)
    assert told == [10_000]


def test_the_bad_row_says_what_is_wrong_in_words(path: Path) -> None:
    two_runs(path)
    tamper(path, f"UPDATE event SET text = '{{}}' WHERE {FIFTH}")
    what = "is not what was stored, or the one before it is not"
    assert verify(path).bad == BadRow(Finding.REPLACED, 5, "run-1", 5, what)
