"""What an uplink has acknowledged can be taken back: on the disk at once, as far as it is still there."""

from __future__ import annotations

import shutil
from pathlib import Path
from queue import SimpleQueue

import pytest
from journal_scene import LONG_S, NOW, HandClock, backlog, event, group, numbers, opened, running, telemetry

from gateway.model import Acked, Lane, Resend, ResendWanted


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


def wanted(
    first: int, last: int, *, run: str = "run-1", lane: Lane = Lane.TELEMETRY, uplink: str = "platform"
) -> ResendWanted:
    return ResendWanted(uplink, run, lane, first, last, print)


def test_what_is_taken_back_is_backlog_of_that_uplink_alone_and_survives_a_power_cut(path: Path) -> None:
    store = opened(path, uplinks=("platform", "other"))
    rows = store.commit(group(*(telemetry(seq) for seq in range(1, 11)), event(1)), (), NOW)
    ids = ((rows[1].id, rows[-1].id),)
    for name in ("platform", "other"):
        store.acknowledge(Acked(name, Lane.TELEMETRY, ids))
    assert store.resend(wanted(3, 5), NOW) == Resend(3, 0)
    left = path.parent / "left"
    left.mkdir()
    for name in ("journal.db", "journal.db-wal"):
        shutil.copy(path.parent / name, left)
    store.close()
    again = opened(left / "journal.db", "run-2", ("platform", "other"))
    assert numbers(backlog(again, Lane.TELEMETRY)) == [("run-1", 3), ("run-1", 4), ("run-1", 5)]
    assert numbers(backlog(again, Lane.TELEMETRY, uplink="other")) == []
    again.close()


def test_more_than_there_is_gives_what_there_is_and_says_what_is_gone(path: Path) -> None:
    store = opened(path)
    old = NOW - 10_000_000
    rows = store.commit(group(*(telemetry(seq, old if seq <= 4 else NOW) for seq in range(1, 11))), (), NOW)
    store.acknowledge(Acked("platform", Lane.TELEMETRY, ((rows[0].id, rows[-1].id),)))
    store.upkeep.forget_old(NOW, 5_000)
    assert store.resend(wanted(1, 2**53), NOW) == Resend(6, 4)
    assert store.resend(wanted(2**41, 2**53), NOW) == Resend(0, 0)
    assert store.resend(wanted(1, 5, lane=Lane.EVENT), NOW) == Resend(0, 0)
    assert [seq for _, seq in numbers(backlog(store, Lane.TELEMETRY))] == list(range(5, 11))
    store.commit(group(telemetry(11)), (), NOW)
    assert store.ledger.backlog("platform") == 7, "what comes later was not meant"
    store.close()


def test_a_run_that_the_journal_does_not_know_is_named(path: Path) -> None:
    store = opened(path)
    assert store.resend(wanted(1, 5, run="run-9"), NOW) == Resend(0, 5, "the journal has nothing of run run-9")
    store.close()


def test_the_thread_answers_when_it_is_on_the_disk(path: Path) -> None:
    answers: SimpleQueue[Resend] = SimpleQueue()
    with running(path, HandClock()) as scene:
        scene.post(event(1))
        rows = scene.stored(1).rows
        scene.journal.post(Acked("platform", Lane.EVENT, ((rows[0].id, rows[0].id),)))
        scene.journal.post(ResendWanted("platform", "run-1", Lane.EVENT, 1, 1, answers.put))
        assert answers.get(timeout=LONG_S) == Resend(1, 0)
        assert [row.record.seq for row in scene.ask(Lane.EVENT).rows] == [1]


def test_a_journal_without_a_disk_refuses_rather_than_let_anyone_wait(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    answers: SimpleQueue[Resend] = SimpleQueue()
    with running(tmp_path / "file" / "journal.db", HandClock()) as scene:
        scene.journal.post(ResendWanted("platform", "run-1", Lane.EVENT, 1, 1, answers.put))
        assert "disk fails" in answers.get(timeout=LONG_S).refusal
