"""What a gap says of the records that are gone: which ones, who misses them, and when they were made."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from journal_scene import MB, NOW, backlog, event, group, heavy, opened, telemetry

from gateway import records
from gateway.hub.numbering import MAX_NOT_STORED, Numbering
from gateway.journal import copies, times
from gateway.journal.gaps import is_gap
from gateway.journal.outage import Outage
from gateway.journal.times import Stamp
from gateway.journal.waiting import Waiting
from gateway.model import Decision, Dropped, Lane, Moment, Reading, Record, Trust
from gateway.refine.exception import Worth


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "journal.db"


def at(seq: int, trust: Trust = Trust.SYNCED, text: str = "") -> Record:
    """A reading a second, taken under a clock that is trusted so far."""
    return telemetry(seq, NOW + seq * 1000, text)._replace(trust=trust)


def big(seq: int, trust: Trust = Trust.SYNCED) -> Record:
    return heavy(seq, NOW + seq * 1000)._replace(trust=trust)


def spans(gaps: tuple[Dropped, ...]) -> list[tuple[int, int, Trust | None]]:
    """Each gap's times as the numbers that were taken then."""
    return [((gap.first_ts or 0) - NOW, (gap.last_ts or 0) - NOW, gap.trust) for gap in gaps]


def test_what_the_budget_has_no_room_for_is_told_with_its_times(path: Path) -> None:
    store = opened(path, max_size=MB)
    dropped: tuple[Dropped, ...] = ()
    for first in range(1, 1001, 10):
        trust = Trust.UNSYNCED if first <= 100 else Trust.SYNCED
        store.commit(group(*(big(seq, trust) for seq in range(first, first + 10))), (), NOW)
        dropped += store.upkeep.relieve(NOW)
    assert dropped
    assert spans(dropped) == [
        (gap.first * 1000, gap.last * 1000, Trust.UNSYNCED if gap.first <= 100 else Trust.SYNCED) for gap in dropped
    ]
    store.close()


def test_what_an_uplink_is_moved_past_is_told_with_its_times(path: Path) -> None:
    store = opened(path, max_size=2 * MB, uplinks=("alive", "dead"))
    dropped: tuple[Dropped, ...] = ()
    for first in range(1, 2001, 10):
        rows = store.commit(group(*map(big, range(first, first + 10))), (), NOW)
        store.ledger.acknowledge("alive", Lane.TELEMETRY, ((rows[0].id, rows[-1].id),))
        dropped += store.upkeep.relieve(NOW)
    assert {gap.reason for gap in dropped} == {"uplink_behind"}
    assert spans(dropped) == [(gap.first * 1000, gap.last * 1000, Trust.SYNCED) for gap in dropped]
    store.close()


def test_a_damaged_row_is_told_with_the_time_that_can_still_be_read(path: Path) -> None:
    store = opened(path)
    rows = store.commit(group(at(1), at(2), at(3)), (), NOW)
    store.handle.db.execute("UPDATE telemetry SET text = '{' WHERE id = ?", (rows[1].id,))
    backlog(store, Lane.TELEMETRY)
    with closing(sqlite3.connect(path)) as db:
        (text,) = db.execute("SELECT text FROM gaps").fetchone()
    gap = json.loads(text)
    assert (gap["first"], gap["first_ts"], gap["last_ts"], gap["trust"]) == (2, NOW + 2000, NOW + 2000, "synced")
    store.close()


def test_what_memory_could_not_hold_is_told_with_its_times_piece_by_piece() -> None:
    waiting = Waiting()
    waiting.add(Decision(tuple(at(seq, Trust.RTC if seq < 3 else Trust.SYNCED) for seq in range(1, 11))), 0.0)
    (lost,) = waiting.trim(4, 1_000_000)
    assert lost.stamps == tuple(
        Stamp(seq, NOW + seq * 1000, Trust.RTC if seq < 3 else Trust.SYNCED) for seq in range(1, 7)
    )
    outage = Outage(("platform",))
    for first, last in ((1, 2), (3, 6)):
        gap = Dropped("run-1", Lane.TELEMETRY, first, last, last - first + 1, ("platform",), "journal_failed")
        outage.lose(times.of_stamps(lost.stamps[first - 1 : last]).on(gap))
    assert spans(tuple(outage.lost)) == [(1000, 6000, Trust.RTC)]


def test_a_gap_whose_times_nobody_knows_joins_one_whose_times_are_known() -> None:
    outage = Outage(("platform",))
    unknown = Dropped("run-1", Lane.TELEMETRY, 1, 2, 2, ("platform",), "journal_failed")
    outage.lose(unknown)
    outage.lose(unknown._replace(first=3, last=4, first_ts=NOW, last_ts=NOW + 1, trust=Trust.GPS))
    outage.lose(unknown._replace(first=5, last=6))
    assert [(gap.first, gap.last, gap.first_ts, gap.last_ts, gap.trust) for gap in outage.lost] == [
        (1, 6, NOW, NOW + 1, Trust.GPS)
    ]


def test_what_the_hub_may_not_hand_over_is_told_with_its_times_and_with_who_misses_it() -> None:
    numbering = Numbering("run-1", ("one", "two"))
    numbering.not_stored = MAX_NOT_STORED
    made: list[Record] = []
    for second in range(1, 5):
        if second == 4:
            numbering.not_stored = 0
        now = Moment(float(second), NOW + second * 1000, Trust.SYNCED)
        reading = Reading("cold-1", now.mono, now.ts, {"temperature": 4.0}, {})
        made += numbering.readings(Worth(reading, reading), now)
    gaps = {gap["lane"]: gap for record in made if (gap := json.loads(record.text)).get("event") == "gap"}
    for gap in gaps.values():
        assert (gap["first"], gap["last"], gap["first_ts"] - NOW, gap["last_ts"] - NOW) == (1, 3, 1000, 3000)
        assert gap["trust"] == "synced"
    assert {lane: gap["uplinks"] for lane, gap in gaps.items()} == {"telemetry": ["one", "two"], "local": []}


def test_what_only_a_replaced_journal_had_is_told_with_its_times(path: Path, tmp_path: Path) -> None:
    store = opened(path)
    store.commit(group(event(1), at(1)), (), NOW)
    copies.backup(path, tmp_path / "copy.db", lambda _: None)
    rows = store.commit(group(at(2), at(3), at(4)), (), NOW)
    store.close()
    assert len(rows) == 3
    with closing(sqlite3.connect(path)) as db:  # so that the journal knows of an uplink
        db.execute("INSERT OR IGNORE INTO acked VALUES ('platform', 'telemetry', 0, 0)")
        db.commit()
    done = copies.restore(tmp_path / "copy.db", path.parent, lambda _: None)
    assert [(gap.first, gap.last) for gap in done.dropped] == [(2, 4)]
    assert spans(done.dropped) == [(2000, 4000, Trust.SYNCED)]


def test_a_gap_that_an_older_version_noted_is_announced_in_its_own_words() -> None:
    old = '{"event":"gap","of_run":"a","lane":"telemetry","first":1,"last":2,"records":2,"uplinks":["p"],"reason":"x"}'
    assert is_gap(old)
    gap = Dropped("a", Lane.TELEMETRY, 1, 2, 2, ("p",), "x")
    assert records.gateway_fact(gap) == old
