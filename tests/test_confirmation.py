"""Where only the platform's word counts: what it has not confirmed stays, and goes again, in time and within bounds."""

from __future__ import annotations

import json
import tracemalloc
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from journal_scene import NOW, group, opened, telemetry
from sender_desk import Desk
from uplink_scene import ROOT, RUN, TS, event, reading

from gateway.cli.status import _uplink_rows
from gateway.model import Acked, Confirmed, HealthReport, Lane, Row, Trust, UplinkHealth
from gateway.uplink import contract
from gateway.uplink.confirmation import Confirmation, confirmation
from gateway.uplink.lanes import LaneQueue
from gateway.uplink.unconfirmed import BOUNDS, LONGEST_S, Unconfirmed
from gateway.uplink.wire import Down, Received

WITHIN_S = 60.0


def desk(**options: Any) -> Desk:
    made = Desk(
        linger=0.0, **{"acknowledged_by": "platform", "confirm_within": WITHIN_S, "keepalive": 3600.0, **options}
    )
    made.connect_in_peace()
    return made


def confirm(at: Desk, *ranges: tuple[int, int], lane: str = "telemetry", run: str = RUN) -> None:
    at.hear("stored", json.dumps({"run": run, "lane": lane, "ranges": ranges}).encode())


def batches(at: Desk) -> list[tuple[bool, list[int]]]:
    return [(batch["hist"], [record["seq"] for record in batch["records"]]) for batch in at.payloads("telemetry")]


def health(at: Desk) -> UplinkHealth:
    at.tell(later=1.1)
    told: UplinkHealth = at.told(UplinkHealth)[-1]
    return told


@pytest.mark.promise("confirmed")
def test_only_the_word_of_the_platform_acknowledges() -> None:
    at = desk()
    at.store(reading(1), reading(2), event(1))
    at.ack_all()
    assert at.journal.unacked(Lane.TELEMETRY) == [1, 2]
    assert at.journal.unacked(Lane.EVENT) == [1]
    assert health(at).unconfirmed == 3
    confirm(at, (1, 1))
    assert at.journal.unacked(Lane.TELEMETRY) == [2]
    confirm(at, (1, 1), lane="event")
    assert at.journal.unacked(Lane.EVENT) == []
    assert (health(at).unconfirmed, health(at).acked) == (1, 2)


def test_where_a_puback_is_enough_nobody_listens_to_confirmations() -> None:
    at = Desk(linger=0.0)
    at.connect_in_peace()
    assert at.wire.subscribed == [((f"{ROOT}/command", 1),)]
    at.store(reading(1))
    at.ack_all()
    assert at.journal.unacked(Lane.TELEMETRY) == []
    assert health(at).unconfirmed is None
    assert ((f"{ROOT}/command", 1), (f"{ROOT}/stored", 1)) in desk().wire.subscribed


@pytest.mark.promise("confirmed")
def test_what_is_not_confirmed_in_time_goes_again_as_backlog_and_not_before() -> None:
    at = desk()
    at.store(reading(1), reading(2))
    at.ack_all()
    confirm(at, (2, 2))
    at.tell(later=WITHIN_S - 1)
    at.answer_all()
    assert batches(at) == []
    at.tell(later=2)
    at.answer_all()
    assert batches(at) == [(True, [1])]


def test_a_confirmation_may_come_before_the_puback_and_may_come_twice() -> None:
    at = desk()
    at.store(reading(1))
    confirm(at, (1, 1))
    assert at.journal.unacked(Lane.TELEMETRY) == []
    at.ack_all()
    confirm(at, (1, 1))
    at.tell(later=2 * WITHIN_S)
    at.answer_all()
    assert batches(at) == []
    assert at.journal.twice == 0


def test_an_event_that_left_before_it_was_stored_is_confirmed_before_and_after_that() -> None:
    for confirmed_first in (True, False):
        at = desk()
        at.tell(event(1))
        at.tell(later=1.1)
        at.ack_all()
        if confirmed_first:
            confirm(at, (1, 1), lane="event")
        at.store(event(1))
        assert at.journal.unacked(Lane.EVENT) == ([] if confirmed_first else [1])
        confirm(at, (1, 1), lane="event")
        assert at.journal.unacked(Lane.EVENT) == []
        at.tell(later=2 * WITHIN_S)
        at.answer_all()
        assert at.payloads("event") == []


def test_an_early_event_that_nobody_confirms_goes_again_once_it_has_a_row() -> None:
    at = desk()
    at.tell(event(1))
    at.tell(later=1.1)
    at.ack_all()
    at.tell(later=1.5 * WITHIN_S)
    at.store(event(1))
    assert at.payloads("event") == []
    at.tell(later=WITHIN_S + 1)
    at.answer_all()
    assert [payload["seq"] for payload in at.payloads("event")] == [1]


def test_what_was_sent_before_a_restart_is_confirmed_by_way_of_the_journal() -> None:
    before = desk()
    before.store(reading(1), reading(2))
    before.ack_all()
    after = Desk(run="next", journal=before.journal, linger=0.0, acknowledged_by="platform")
    after.connect()
    confirm(after, (1, 2))
    assert after.journal.unacked(Lane.TELEMETRY) == []


def test_the_journal_clips_a_confirmation_to_rows_that_exist(tmp_path: Path) -> None:
    store = opened(tmp_path / "journal.db")
    store.commit(group(*(telemetry(seq) for seq in range(1, 6))), (), NOW)
    assert store.confirm(Confirmed("platform", "run-1", Lane.TELEMETRY, ((2, 2**53),), print))
    store.commit(group(telemetry(6)), (), NOW)
    assert store.ledger.backlog("platform", Lane.TELEMETRY) == 2, "the first, and the one that came later"
    assert store.confirm(Confirmed("platform", "run-1", Lane.EVENT, ((1, 9),), print))
    assert not store.confirm(Confirmed("platform", "run-9", Lane.TELEMETRY, ((1, 9),), print))
    store.close()


def test_confirmations_in_countless_pieces_do_not_grow_the_journal_without_bound(tmp_path: Path) -> None:
    store = opened(tmp_path / "journal.db")
    store.commit(group(*(telemetry(seq) for seq in range(1, 15_001))), (), NOW)
    store.confirm(Confirmed("platform", "run-1", Lane.TELEMETRY, tuple((n, n) for n in range(1, 15_001, 2)), print))
    assert len(store.ledger.kept()) <= 5_010
    store.confirm(Confirmed("platform", "run-1", Lane.TELEMETRY, ((1, 15_000),), print))
    assert store.ledger.backlog("platform") == 0, "one that makes it simpler is always welcome"
    store.close()


def test_what_is_kept_for_the_platform_outlives_the_replay_window(tmp_path: Path) -> None:
    store = opened(tmp_path / "journal.db")
    rows = store.commit(group(*(telemetry(seq, NOW - 10_000_000) for seq in range(1, 6))), (), NOW)
    store.acknowledge(Acked("platform", Lane.TELEMETRY, ((rows[0].id, rows[2].id),)))
    store.upkeep.forget_old(NOW, 5_000)
    assert store.ledger.rows() == 2
    store.close()


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xff",
        b"[]",
        b'{"run":"r","lane":"telemetry"}',
        b'{"run":"r","lane":"telemetry","ranges":[]}',
        b'{"run":"r","lane":"telemetry","ranges":[[1]]}',
        b'{"run":"r","lane":"telemetry","ranges":[[0,1]]}',
        b'{"run":"r","lane":"telemetry","ranges":[[5,4]]}',
        b'{"run":"r","lane":"telemetry","ranges":[[1,true]]}',
        b'{"run":"r","lane":"telemetry","ranges":{"a":1}}',
        b'{"run":"r","lane":"status","ranges":[[1,2]]}',
        b'{"run":"a b","lane":"event","ranges":[[1,2]]}',
        b'{"run":"r","lane":"event","ranges":[[1,2]],"more":1}',
        json.dumps({"run": "r", "lane": "event", "ranges": [[n, n] for n in range(1, 1500)]}).encode(),
        b'{"run":"r","lane":"event","ranges":' + b"[" * 9000 + b"]" * 9000 + b"}",
        json.dumps({"run": "another", "lane": "event", "ranges": [[1, 2]]}).encode(),
    ],
)
def test_a_confirmation_that_means_nothing_is_harmless_and_counted(payload: bytes) -> None:
    at = desk()
    at.store(reading(1))
    at.ack_all()
    at.hear("stored", payload)
    at.answer_all()
    assert at.journal.unacked(Lane.TELEMETRY) == [1]
    assert health(at).bad_confirmations == 1


@given(
    st.binary(max_size=200) | st.recursive(st.integers() | st.text(), st.lists).map(lambda x: json.dumps(x).encode())
)
def test_any_bytes_are_refused_in_words(payload: bytes) -> None:
    with pytest.raises(ValueError, match=r"confirmation|run|lane|range|number"):
        confirmation(payload)


def test_a_flood_of_confirmations_is_dropped_and_counted() -> None:
    at = desk()
    for _ in range(1000):
        confirm(at, (1, 2), run="another")
    at.answer_all()
    assert health(at).bad_confirmations == 1000


def test_huge_and_many_ranges_cost_no_more_than_what_waits() -> None:
    said = {"run": RUN, "lane": "telemetry", "ranges": [[n * 10**9 + 1, (n + 1) * 10**9] for n in range(500)]}
    assert confirmation(json.dumps(said).encode()).ranges == ((1, 500 * 10**9),)
    at = desk()
    at.store(*(reading(seq) for seq in range(1, 101)))
    at.ack_all()
    said["ranges"] = [[n * 10**9 + 2, (n + 1) * 10**9] for n in range(500)]
    at.hear("stored", json.dumps(said).encode())
    assert at.journal.unacked(Lane.TELEMETRY) == [1]


def fill(at: Desk, first: int, count: int) -> None:
    for start in range(first, first + count, 100):
        at.store(*(reading(seq) for seq in range(start, start + 100)))
        at.ack_all()


def test_one_record_that_is_never_confirmed_keeps_nothing_of_the_others_in_memory() -> None:
    waits = Unconfirmed(3600.0)
    rows = [Row(seq, RUN, reading(seq, text="{}")) for seq in range(1, 20_001)]
    tracemalloc.start()
    try:
        for row in rows:
            waits.left(Lane.TELEMETRY, [row])
            waits.taken(Lane.TELEMETRY, row, row.id, float(row.id))
            if row.id > 1:
                waits.confirmed(Confirmation(RUN, Lane.TELEMETRY, ((row.id, row.id),)), float(row.id))
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (len(waits), waits.due_at) == (1, 3601.0)
    assert taken < 200_000


def test_what_is_on_its_way_is_looked_up_only_for_a_question() -> None:
    looked_up = []

    def held() -> list[int]:
        looked_up.append(now)
        return [1]

    queue = LaneQueue(keep=100)
    for now in (0.0, 0.1, 0.2):
        queue.question(held, now)
    assert looked_up == [0.0]


def test_what_waits_is_bounded_events_pass_and_all_arrives_when_the_platform_is_back() -> None:
    at = desk(backlog_rate=100_000)
    bound = BOUNDS[Lane.TELEMETRY][1]
    fill(at, 1, bound + 3000)
    waits = health(at).unconfirmed
    assert waits is not None
    assert bound <= waits <= bound + 100
    at.store(event(1))
    assert at.names() == ["event"], "an event is not held up by telemetry"
    at.ack_all()
    confirm(at, (1, 2**50))
    for _ in range(200):
        at.tell(later=0.1)
        at.answer_all()
        at.ack_all()
        confirm(at, (1, 2**50))
    assert at.journal.unacked(Lane.TELEMETRY) == []


def test_the_backlog_pauses_before_live_telemetry_does() -> None:
    at = Desk(linger=0.0, acknowledged_by="platform", keepalive=3600.0, backlog_rate=100_000)
    pause = BOUNDS[Lane.TELEMETRY][0]
    at.journal.store(reading(seq) for seq in range(1, pause + 2000))
    at.connect()
    for _ in range(300):
        at.tell(later=0.1)
        at.answer_all()
        at.ack_all()
    waits = health(at).unconfirmed
    assert waits is not None
    assert pause <= waits <= pause + 100
    at.store(reading(pause + 2000))
    assert batches(at) == [(False, [pause + 2000])]


def test_a_platform_that_is_silent_is_asked_ever_less_often_and_as_before_when_it_is_back() -> None:
    at = desk()
    at.store(reading(1))
    at.ack_all()
    went: list[float] = []
    for _ in range(20_000):
        at.tell(later=1.0)
        at.answer_all()
        if batches(at):
            went.append(at.clock.at)
            at.ack_all()
    gaps = [round(later - before) for before, later in pairwise(went)]
    assert gaps[:4] == [120, 240, 480, 960]
    assert set(gaps[6:]) == {LONGEST_S}
    confirm(at, (1, 1))
    at.store(reading(2))
    at.ack_all()
    at.tell(later=WITHIN_S + 1)
    at.answer_all()
    assert batches(at) == [(True, [2])]


def test_what_a_platform_asks_for_while_it_waits_for_its_word_goes_at_once() -> None:
    at = desk()
    at.store(reading(1), reading(2))
    at.ack_all()
    wanted = {"run": RUN, "lane": "telemetry", "from": 1, "to": 2}
    fields = {"id": "r", "name": "resend", "args": wanted, "issuer": "p", "expires": 2**50}
    at.hear("command", json.dumps(fields).encode())
    at.answer_all()
    at.tell(later=0.1)
    assert batches(at) == [(True, [1, 2])]


def test_what_is_asked_for_while_it_is_on_its_way_still_waits_for_its_confirmation() -> None:
    at = desk()
    at.store(reading(1))
    wanted = {"run": RUN, "lane": "telemetry", "from": 1, "to": 1}
    fields = {"id": "r", "name": "resend", "args": wanted, "issuer": "p", "expires": 2**50}
    at.hear("command", json.dumps(fields).encode())
    at.answer_all()
    at.ack_all()
    at.tell(later=WITHIN_S + 1)
    at.answer_all()
    assert batches(at) == [(True, [1])]


def test_a_retained_confirmation_counts_for_nothing() -> None:
    at = desk()
    at.store(reading(1))
    at.ack_all()
    said = json.dumps({"run": RUN, "lane": "telemetry", "ranges": [[1, 1]]}).encode()
    at.tell(Received(at.connection, f"{ROOT}/stored", said, retain=True))
    assert at.journal.unacked(Lane.TELEMETRY) == [1]
    assert health(at).bad_confirmations == 1


def test_a_connection_that_ends_forgets_nothing_that_waits() -> None:
    at = desk()
    at.store(reading(1))
    at.ack_all()
    at.store(reading(2))
    at.tell(Down(at.connection, "lost", ""))
    at.wire.sent.clear()
    at.connect()
    at.answer_all()
    assert batches(at) == [(True, [2])], "the first one waits for its confirmation"
    at.ack_all()
    confirm(at, (1, 2))
    assert at.journal.unacked(Lane.TELEMETRY) == []


def test_a_platform_that_confirms_nothing_is_told_of_in_the_state_and_once_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    at = desk()
    at.store(*(reading(seq) for seq in range(1, 11)))
    at.ack_all()
    at.tell(later=WITHIN_S - 1)
    assert health(at).state == "the platform has confirmed nothing for 1 min"
    at.tell(later=600.0)
    assert health(at).state == "the platform has confirmed nothing for 11 min"
    fill(at, 11, BOUNDS[Lane.TELEMETRY][1] + 3000)
    assert health(at).state == "the platform has confirmed nothing for 11 min; telemetry waits"
    confirm(at, (1, 50))
    assert health(at).state == "online"
    told = [record.getMessage() for record in caplog.records if "confirm" in record.getMessage()]
    assert len(told) == 2
    assert "publish to the topic `stored`" in told[0]
    assert told[1].endswith("the platform confirms again, after 11 min")


def test_a_platform_that_has_little_to_confirm_or_was_out_of_reach_is_not_called_silent() -> None:
    at = desk()
    for seq in range(1, 4):
        at.store(reading(seq))
        at.ack_all()
        confirm(at, (seq, seq))
        at.tell(later=3600.0)
        assert health(at).state == "online"
    at.store(reading(4))
    at.ack_all()
    at.tell(Down(at.connection, "lost", ""))
    at.tell(later=3600.0)
    assert health(at).state == "lost"
    at.connect()
    assert health(at).state == "online"


def test_health_and_status_say_how_many_wait() -> None:
    told = UplinkHealth("platform", "online", "5", 1, 10, 9, None, 0, 7, 2)
    report = json.loads(contract.health(HealthReport(TS, Trust.SYNCED, RUN, 1.0, (), None, (told,), {})))
    assert (report["uplinks"][0]["unconfirmed"], report["uplinks"][0]["bad_confirmations"]) == (7, 2)
    (row,) = _uplink_rows({"uplinks": [asdict(told)], "journal": None}, TS)
    assert "online, 7 records wait for the platform's word, 2 confirmations meant nothing" in row
