"""The journal's thread: when it commits, what it tells, how often it wakes."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing, suppress
from pathlib import Path

import pytest
from journal_scene import LONG_S, Ear, HandClock, Scene, event, running, storage, telemetry

from gateway.clock import SystemClock
from gateway.correction import stored
from gateway.journal.inbox import Rearranged
from gateway.model import Acked, Correction, JournalHealth, Lane, Recovered, Stored


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "journal.db"


def count(path: Path, table: str) -> int:
    with closing(sqlite3.connect(path)) as db:
        return int(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def acked_upto(path: Path) -> int:
    with closing(sqlite3.connect(path)) as db:
        sql = "SELECT max(last), count(*) FROM acked WHERE uplink = 'platform' AND lane = 'event'"
        last, ranges = db.execute(sql).fetchone()
    assert ranges == 1
    return int(last)


def test_an_event_is_stored_at_once_with_what_waits(path: Path) -> None:
    with running(path, HandClock()) as scene:  # time stands still: nothing is ever due
        scene.hub.wait(Recovered)
        scene.post(telemetry(1))
        scene.post(telemetry(2), total="5")
        scene.post(event(1), alarm="raised")
        told = scene.stored(1)
        assert [(row.record.lane, row.record.seq) for row in told.rows] == [
            (Lane.EVENT, 1),
            (Lane.TELEMETRY, 1),
            (Lane.TELEMETRY, 2),
        ]
        assert {row.run for row in told.rows} == {"run-1"}
        assert scene.sender.wait(Stored) == told
        assert (count(path, "telemetry"), count(path, "event"), count(path, "state")) == (2, 1, 2)


def test_telemetry_is_stored_in_one_group_when_it_is_due_not_before(path: Path) -> None:
    clock = HandClock()
    with running(path, clock, storage(1.0)) as scene:
        scene.hub.wait(Recovered)
        for seq in range(1, 51):
            scene.post(telemetry(seq))
        scene.ask(Lane.TELEMETRY)  # wakes it: everything has been taken in
        assert scene.hub.so_far(Stored) == []
        assert count(path, "telemetry") == 0
        clock.advance(1.0)
        scene.ask(Lane.TELEMETRY)
        assert len(scene.stored(50, Lane.TELEMETRY).rows) == 50


def test_telemetry_is_stored_without_anything_else_happening(path: Path) -> None:
    with running(path, SystemClock(), storage(0.05)) as scene:
        scene.hub.wait(Recovered)
        for seq in range(1, 4):
            scene.post(telemetry(seq))
            scene.stored(seq, Lane.TELEMETRY)


@pytest.mark.promise("stored-before-sent")
def test_stored_is_told_only_when_the_rows_can_be_read_by_others(path: Path) -> None:
    seen: list[int] = []

    with running(path, HandClock()) as scene:
        listen = scene.hub.tell

        def look(fact: object) -> None:
            if isinstance(fact, Stored):
                seen.append(count(path, "event"))
            listen(fact)

        scene.hub.tell = look
        for seq in range(1, 6):
            scene.post(event(seq))
            scene.stored(seq)
    assert seen == [1, 2, 3, 4, 5]


def test_the_hub_is_told_first_what_became_of_the_journal(path: Path) -> None:
    with running(path, HandClock()) as scene:
        scene.post(event(1), alarm="raised")
        scene.stored(1)
        assert scene.hub.kept[0] == Recovered("new", None, {})
    with running(path, HandClock(), run="run-2") as scene:
        found = scene.hub.wait(Recovered)
        assert (found.fate, found.state) == ("kept", {"alarm": "raised"})
        assert found.previous == ("run-1", 1, 0)


def test_everything_is_stored_when_stopping_acknowledgements_too(path: Path) -> None:
    with running(path, HandClock(), storage(60.0)) as scene:
        scene.post(event(1))
        row = scene.stored(1).rows[0]
        scene.post(*map(telemetry, range(1, 101)), total="7")
        scene.journal.post(Acked("platform", Lane.EVENT, ((row.id, row.id),)))
    assert not Path(f"{path}-wal").exists()  # played into the database, which is whole on its own
    with running(path, HandClock(), run="run-2") as scene:
        assert scene.hub.wait(Recovered).state == {"total": "7"}
        assert len(scene.ask(Lane.TELEMETRY).rows) == 100
        assert scene.ask(Lane.EVENT).rows == ()


def test_ten_seconds_after_an_acknowledgement_came_it_is_on_the_disk_though_the_thread_slept(path: Path) -> None:
    clock = HandClock()
    with running(path, clock) as scene:
        scene.post(event(1))
        row = scene.stored(1).rows[0]
        scene.ask(Lane.EVENT)  # the thread sleeps again after this, and acknowledgements do not wake it
        scene.journal.post(Acked("platform", Lane.EVENT, ((row.id, row.id),)))
        clock.advance(10.0)
        scene.ask(Lane.EVENT)
        scene.ask(Lane.EVENT)  # the turn before is over
        assert acked_upto(path) == row.id


def test_acknowledgements_cost_no_commit_of_their_own_for_ten_seconds(path: Path) -> None:
    clock = HandClock()
    with running(path, clock) as scene:
        scene.post(*(event(seq) for seq in range(1, 11)))
        rows = scene.stored(10).rows
        before = acked_upto(path)
        for row in rows:
            scene.journal.post(Acked("platform", Lane.EVENT, ((row.id, row.id),)))
        assert scene.ask(Lane.EVENT).rows == ()  # known at once
        clock.advance(9.0)
        scene.ask(Lane.EVENT)
        assert acked_upto(path) == before
        for _ in range(2):
            clock.advance(5.0)
            scene.ask(Lane.EVENT)
        assert scene.hub.wait(JournalHealth, lambda health: health.commits == 2).backlog == {"platform": 0}
        assert acked_upto(path) == rows[-1].id


def test_what_was_acknowledged_is_stored_with_the_next_group_soon_after_the_start_and_each_five_seconds_later(
    path: Path,
) -> None:
    clock = HandClock()
    stored_at = []
    with running(path, clock) as scene:
        began = clock.mono()
        for seq in range(1, 25):
            scene.post(event(seq))
            (row,) = scene.stored(seq).rows
            before = acked_upto(path)
            if before == row.id - 1:
                stored_at.append(clock.mono() - began)
            scene.journal.post(Acked("platform", Lane.EVENT, ((row.id, row.id),)))
            clock.advance(1.0)
    assert stored_at == [0.0, 1.0, 2.0, 4.0, 8.0, 13.0, 18.0, 23.0]


def test_the_backlog_goes_up_to_what_is_stored_and_what_waits_comes_by_itself(path: Path) -> None:
    with running(path, HandClock()) as scene:
        scene.post(event(1), telemetry(1), telemetry(2))
        rows = scene.stored(1).rows
        scene.post(telemetry(3))
        answer = scene.ask(Lane.TELEMETRY)
        assert ([row.record.seq for row in answer.rows], answer.upto, answer.done) == ([1, 2], rows[-1].id, True)
        scene.post(event(2))
        assert [row.record.seq for row in scene.stored(2).rows if row.record.lane is Lane.TELEMETRY] == [3]


def test_health_counts_rows_waiting_and_backlog(path: Path) -> None:
    clock = HandClock()
    with running(path, clock, uplinks=("platform", "other")) as scene:
        scene.post(event(1), telemetry(1))
        row = scene.stored(1).rows[0]
        scene.journal.post(Acked("other", Lane.EVENT, ((row.id, row.id),)))
        scene.post(telemetry(2))
        clock.advance(5.5)
        scene.post(event(2))
        scene.stored(2)
        clock.advance(5.5)
        scene.ask(Lane.EVENT)
        health = scene.hub.wait(JournalHealth, lambda health: health.commits == 2)
        assert (health.state, health.rows, health.waiting, health.dropped) == ("ok", 4, 0, 0)
        assert health.backlog == {"platform": 4, "other": 3}
        assert health.bytes > 4096


def test_old_rows_are_forgotten_in_passing(path: Path) -> None:
    clock = HandClock()
    with running(path, clock, storage(keep_acknowledged=60.0, keep_events=0.0)) as scene:
        scene.post(event(1, clock.now().ts), event(2, clock.now().ts + 30_000))
        rows = scene.stored(2).rows
        scene.journal.post(Acked("platform", Lane.EVENT, ((rows[0].id, rows[1].id),)))
        clock.advance(70.0)
        scene.ask(Lane.EVENT)
        scene.ask(Lane.EVENT)
        assert count(path, "event") == 1


DAY_S = 86_400.0
AGES = [  # lane, keep_acknowledged, keep_telemetry, keep_events, and whether a row of ten days stays
    (Lane.TELEMETRY, 7, 7, 400, False),
    (Lane.TELEMETRY, 30, 7, 400, True),
    (Lane.TELEMETRY, 7, 14, 7, True),
    (Lane.EVENT, 7, 14, 7, False),
    (Lane.EVENT, 7, 7, 14, True),
    (Lane.EVENT, 14, 7, 7, True),
]


@pytest.mark.parametrize(("lane", "acknowledged", "of_telemetry", "of_events", "stays"), AGES)
def test_each_lane_has_its_age_and_the_replay_window_is_the_least_for_both(
    path: Path, lane: Lane, acknowledged: int, of_telemetry: int, of_events: int, stays: bool
) -> None:
    clock = HandClock()
    options = storage(
        keep_acknowledged=acknowledged * DAY_S, keep_telemetry=of_telemetry * DAY_S, keep_events=of_events * DAY_S
    )
    with running(path, clock, options) as scene:
        old = clock.now().ts - int(10 * DAY_S) * 1000
        scene.post(event(1, old), telemetry(1, old), event(2, old - int(1000 * DAY_S) * 1000))
        for row in scene.stored(2).rows:
            if row.record != event(2, old - int(1000 * DAY_S) * 1000):
                scene.journal.post(Acked("platform", row.record.lane, ((row.id, row.id),)))
        clock.advance(20.0)
        scene.ask(lane)
        scene.ask(lane)
        assert count(path, lane) == stays + (lane is Lane.EVENT)  # what is not acknowledged stays, however old


class OurBugError(Exception):
    pass


def test_a_thread_that_is_started_again_goes_on_with_what_waited(path: Path) -> None:
    scene = Scene(path, HandClock(), storage(), ("platform",), "run-1")
    listen, broken = scene.hub.tell, True

    def fail_once(fact: object) -> None:
        nonlocal broken
        if isinstance(fact, Recovered) and broken:
            broken = False
            raise OurBugError
        listen(fact)

    def run_twice() -> None:
        with suppress(OurBugError):
            scene.journal.run()
        scene.journal.run()

    scene.hub.tell = fail_once
    scene.post(event(1), telemetry(1))
    thread = threading.Thread(target=run_twice)
    thread.start()
    assert len(scene.stored(1).rows) == 2
    scene.journal.stop()
    thread.join(LONG_S)
    assert not broken


def test_a_burst_of_telemetry_and_acknowledgements_wakes_nobody(path: Path) -> None:
    with running(path, HandClock(), storage(60.0)) as scene:
        scene.post(telemetry(1))
        scene.ask(Lane.TELEMETRY)
        scene.ask(Lane.TELEMETRY)  # by now the thread has gone to sleep once, knowing when the group is due
        for seq in range(2, 402):
            scene.post(telemetry(seq))
            scene.journal.post(Acked("platform", Lane.EVENT, ((seq, seq),)))
        assert len(scene.journal._inbox) == 800
        scene.post(event(1))
        assert len(scene.stored(1).rows) == 402


def test_an_uplink_that_joins_is_told_which_records_of_before_have_a_wrong_time(path: Path) -> None:
    correction, newcomer = Correction("run-0", 5000, 123), Ear()
    with running(path, HandClock()) as scene:
        scene.post(event(1), **dict([stored(correction)]))
        scene.stored(1)
        tell = (scene.sender.tell, newcomer.tell)
        scene.journal.post(Rearranged(storage(), ("platform", "second"), tell, (newcomer.tell,)))
        assert newcomer.wait(Correction) == correction
        scene.post(event(2))
        assert [row.record.seq for row in newcomer.wait(Stored).rows] == [2]
        assert not scene.sender.so_far(Correction)
