"""One budget over all files of the journal: those that were set aside count, and give way to the one in use."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from journal_scene import MB, NOW, backlog, event, group, heavy, opened

from gateway.cli.journal import status_lines
from gateway.journal import copies, inspection, setaside
from gateway.journal.statelock import JOURNAL_FILE
from gateway.journal.store import Store
from gateway.model import Acked, Dropped, Lane

SIZE = 8 * MB


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / JOURNAL_FILE


def quiet(_: float) -> None:
    """Progress that nobody looks at."""


def on_disk(path: Path) -> int:
    """Bytes of everything beside the journal, whatever it is."""
    return sum(name.stat().st_size for name in path.parent.iterdir())


def filled(store: Store, first: int, last: int) -> tuple[list[Dropped], int]:
    """Telemetry, acknowledged at once, tidied up as the thread does it; the gaps, and the most bytes on the disk."""
    dropped: list[Dropped] = []
    most = 0
    for seq in range(first, last, 20):
        rows = store.commit(group(*(heavy(n) for n in range(seq, seq + 20))), (), NOW)
        store.acknowledge(Acked("platform", Lane.TELEMETRY, ((rows[0].id, rows[-1].id),)))
        dropped += store.upkeep.relieve(NOW)
        store.upkeep.tend()
        most = max(most, on_disk(store.handle.path))
    return dropped, most


def spoil(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        (root,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'gaps'").fetchone()
    with path.open("r+b") as file:
        file.seek((root - 1) * 4096)
        file.write(b"\xff" * 4096)


def test_a_full_journal_that_is_damaged_again_and_again_stays_within_the_budget(path: Path) -> None:
    most = []
    for life in range(5):
        store = opened(path, f"run-{life}", max_size=SIZE, now_ts=NOW + life)
        dropped, peak = filled(store, 1, 8001)
        assert dropped == [], "not one record is given up for the sake of a file that was set aside"
        most.append(peak)
        store.close()
        spoil(path)
    assert max(most) <= SIZE
    assert most[0] > SIZE * 0.7, "and it is used"


def test_a_damaged_journal_is_kept_until_the_new_one_needs_its_room(path: Path) -> None:
    store = opened(path, max_size=SIZE)
    filled(store, 1, 8001)
    store.close()
    spoil(path)
    store = opened(path, "run-2", max_size=SIZE)
    (aside,) = setaside.of_kind(path, ".bad-")
    filled(store, 1, 101)
    assert aside.exists()
    assert on_disk(path) <= SIZE
    filled(store, 101, 3001)
    assert not aside.exists()
    store.close()


def test_a_replaced_journal_counts_too_and_goes_when_its_room_is_needed(path: Path, tmp_path: Path) -> None:
    store = opened(path, max_size=SIZE)
    filled(store, 1, 1001)
    copies.backup(path, tmp_path / "copy.db", quiet)
    store.close()
    replaced = copies.restore(tmp_path / "copy.db", path.parent, quiet).replaced
    assert replaced is not None
    assert replaced.exists()
    store = opened(path, "run-2", max_size=SIZE)
    assert replaced.exists(), "there is room for both"
    assert store.upkeep.size_bytes() == on_disk(path)
    dropped, most = filled(store, 1, 8001)
    assert (dropped, replaced.exists()) == ([], False)
    assert most <= SIZE
    store.close()


@pytest.mark.parametrize("kind", ["bad", "replaced"])
def test_a_few_of_each_kind_are_kept(path: Path, kind: str) -> None:
    opened(path).close()
    for hour in (15, 11, 13, 10, 14, 12):
        Path(f"{path}.{kind}-20261121T{hour}0000.000").write_bytes(b"x")
    other = Path(f"{path}.{'bad' if kind == 'replaced' else 'replaced'}-20251121T000000.000")
    other.write_bytes(b"x")
    store = opened(path, "run-2")
    kept = [name.name[-10:-8] for name in setaside.files(path) if name != other]
    assert kept == ["13", "14", "15"]
    assert other.exists()
    store.close()


def test_a_budget_that_was_lowered_far_below_what_is_there_starts_all_the_same(path: Path) -> None:
    store = opened(path, max_size=SIZE)
    store.commit(group(event(1)), (), NOW)
    filled(store, 1, 4001)
    store.close()
    Path(f"{path}.replaced-20261121T000000.000").write_bytes(b"x" * 3 * MB)
    store = Store(path, "run-2", "boot-2", ("platform",), MB)
    assert store.open(NOW)[0].fate == "kept"
    store.commit(group(event(1)), (), NOW)
    assert len(backlog(store, Lane.EVENT).rows) == 2
    assert setaside.files(path) == []
    store.close()


def test_half_a_copy_of_a_restore_that_was_killed_is_swept_away(path: Path) -> None:
    opened(path).close()
    half = Path(f"{path}.part-abc")
    half.write_bytes(b"x" * MB)
    opened(path, "run-2").close()
    assert not half.exists()


def test_a_file_that_cannot_be_deleted_does_not_keep_the_journal_from_starting(path: Path) -> None:
    opened(path).close()
    for hour in range(10, 16):
        Path(f"{path}.bad-20261121T{hour}0000.000").mkdir()  # what unlink refuses
    store = opened(path, "run-2")
    assert store.commit(group(event(1)), (), NOW)
    store.close()


def test_status_shows_every_file_and_what_they_take_together(path: Path) -> None:
    store = opened(path)
    Path(f"{path}.bad-20261121T000000.000").write_bytes(b"x" * 2 * MB)
    text = "\n".join(status_lines(path, inspection.summary(path), None))
    assert "journal.db.bad-20261121T000000.000" in text
    together = next(line for line in text.splitlines() if line.startswith("together"))
    assert float(together.split()[1]) == pytest.approx(on_disk(path) / 1e6, abs=0.1)
    store.close()
