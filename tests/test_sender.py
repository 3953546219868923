"""The sender's decisions: order, window, backlog, early events, refusals; without threads, on an injected clock."""

from __future__ import annotations

import json
from collections import deque
from typing import Any

import pytest
from examples import examples
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sender_desk import Desk
from uplink_scene import ABOUT, ROOT, RUN, TS, MemoryJournal, alarm, event, reading

from gateway.model import (
    SENT_LANES,
    Acked,
    AlarmsKnown,
    AlarmState,
    Backlog,
    BacklogWanted,
    Command,
    HealthReport,
    JournalRestored,
    Lane,
    Record,
    Reply,
    ResendWanted,
    Stored,
    Trust,
    Unstored,
    UplinkDown,
    UplinkHealth,
    UplinkUp,
)
from gateway.pace import Pace
from gateway.uplink import contract
from gateway.uplink.board import Board
from gateway.uplink.lanes import ASK_AGAIN_S, CHUNK
from gateway.uplink.line import MOST_BYTES
from gateway.uplink.outbox import KEEP_EVENTS, Options, Outbox, Refused
from gateway.uplink.receipts import ranges
from gateway.uplink.standing import HEALTH_EVERY_S
from gateway.uplink.wire import Down, Landed, Received, Up


def test_the_first_thing_on_a_connection_is_the_status_and_nothing_is_sent_without_one() -> None:
    desk = Desk()
    desk.tell(event(1), alarm(AlarmState.UNACK_ACTIVE))
    desk.store(event(1), reading(1))
    assert desk.wire.sent == []
    desk.connect()
    assert desk.names()[:3] == ["status", "alarm/room-1-warm", "event"]
    status = desk.payloads("status")[0]
    assert (status["state"], status["run"]) == ("online", RUN)
    assert desk.told(UplinkUp) == [UplinkUp("platform", "5")]


def test_an_event_goes_out_when_it_is_stored_and_not_twice_for_having_been_handed_over() -> None:
    desk = Desk()
    desk.connect_in_peace()
    desk.tell(event(1))
    assert desk.names() == []
    desk.store(event(1))
    assert desk.names() == ["event"]
    desk.tell(later=5)
    assert desk.names() == ["event"]
    desk.ack()
    assert desk.journal.acked[Lane.EVENT] == {1}


@pytest.mark.promise("event-within-a-second")
def test_an_event_that_the_disk_does_not_store_within_a_second_goes_out_with_its_number_and_never_again() -> None:
    desk = Desk()
    desk.connect_in_peace()
    desk.tell(event(1))
    desk.tell(later=0.99)
    assert desk.names() == []
    desk.tell(later=0.02)
    assert [payload["seq"] for payload in desk.payloads("event")] == [1]
    desk.ack()
    assert desk.journal.acked[Lane.EVENT] == set()
    desk.store(event(1))
    assert desk.names() == []
    assert desk.journal.acked[Lane.EVENT] == {1}, "acknowledged as soon as its row is known"


def test_an_early_event_that_is_stored_while_it_is_on_its_way_is_acknowledged_by_its_row() -> None:
    desk = Desk()
    desk.connect_in_peace()
    desk.tell(event(1))
    desk.tell(later=1.1)
    desk.store(event(1))
    assert len(desk.names()) == 1
    desk.ack()
    assert desk.journal.acked[Lane.EVENT] == {1}
    desk.answer_all()
    assert desk.names() == []


def test_an_early_event_that_is_stored_while_the_journal_is_asked_is_not_sent_again() -> None:
    desk = Desk()
    desk.connect()
    desk.tell(event(1))
    desk.tell(later=1.1)
    desk.store(event(1))
    desk.answer_all()
    assert [payload["seq"] for payload in desk.payloads("event")] == [1]


def test_an_early_event_on_its_way_is_not_read_back_from_the_journal() -> None:
    desk = Desk(window=4, keepalive=3600.0)
    desk.journal.store([event(seq) for seq in range(1, 6)], run="before")
    desk.connect()
    while desk.names() and desk.names()[0] != "event":
        desk.ack()
    desk.tell(event(1))
    desk.tell(later=1.1)
    desk.store(event(1))
    desk.store(*(event(seq) for seq in range(2, 3 * KEEP_EVENTS)))
    held = desk.wire.sent.pop(0)
    assert held[2].topic.endswith("event")
    desk.questions.clear()
    desk.tell(later=ASK_AGAIN_S + 1)
    for _ in range(5):
        desk.answer_all()
        desk.ack_all()
    assert desk.journal.unacked(Lane.EVENT) == [6]
    desk.wire.sent.append(held)
    desk.ack()
    assert not desk.journal.unacked(Lane.EVENT)
    assert desk.journal.twice == 0


def test_an_event_that_is_handed_over_after_it_was_stored_is_not_sent_again() -> None:
    desk = Desk()
    desk.connect_in_peace()
    desk.store(event(1))
    desk.tell(event(1))
    desk.tell(later=2)
    assert desk.names() == ["event"]


def test_an_early_event_that_was_not_acknowledged_goes_again_over_the_next_connection() -> None:
    desk = Desk()
    desk.connect_in_peace()
    desk.tell(event(1))
    desk.tell(later=1.1)
    desk.tell(Down(1, "lost", ""))
    desk.wire.sent.clear()
    desk.connect()
    assert [payload["seq"] for payload in desk.payloads("event")] == [1]


@pytest.mark.promise("event-first")
def test_an_event_overtakes_the_backlog_and_the_live_telemetry() -> None:
    desk = Desk(linger=0.0)
    desk.journal.store([reading(seq) for seq in range(1, 5001)])
    desk.connect()
    desk.answer_all()
    full = len(desk.wire.sent)
    assert 0 < full < 20, "bulk never fills the window"
    desk.store(*(reading(seq) for seq in range(5001, 5301)), event(1))
    assert desk.names()[full] == "event", "before 300 readings that came with it, and 5,000 that came before"
    assert [p["hist"] for p in desk.payloads("event")] == [False]


@pytest.mark.promise("hist")
def test_after_an_outage_events_go_first_and_then_live_and_stored_telemetry_take_turns() -> None:
    desk = Desk(linger=0.0)
    desk.journal.store([*(reading(seq) for seq in range(1, 3001)), *(event(seq) for seq in range(1, 4))])
    desk.connect()
    desk.store(*(reading(seq) for seq in range(3001, 3300)))
    desk.answer_all()
    order: list[Any] = []
    while desk.wire.sent:
        name = desk.names()[0]
        payload = json.loads(desk.wire.sent[0][2].payload)
        if name == "event":
            order.append("event")
        elif name == "telemetry":
            order.append("hist" if payload["hist"] else "live")
        desk.ack()
        desk.answer_all()
        if not desk.wire.sent:
            desk.tell(later=0.3)
    assert {"event", "hist", "live"} == set(order)
    assert order.index("hist") > max(index for index, kind in enumerate(order) if kind == "event")
    assert not any(desk.journal.unacked(lane) for lane in Lane)
    assert desk.journal.twice == 0


def test_the_backlog_keeps_to_its_rate() -> None:
    desk = Desk(linger=0.0, backlog_rate=400)
    desk.journal.store([reading(seq) for seq in range(1, 4001)])
    desk.connect()
    began = desk.clock.at
    while desk.journal.unacked(Lane.TELEMETRY):
        desk.answer_all()
        desk.ack_all()
        if desk.clock.at - began > 1:
            sent = len(desk.journal.acked[Lane.TELEMETRY])
            assert sent <= 400 * (desk.clock.at - began) + 400, "a burst, and the rate"
        desk.tell(later=0.05)
        assert desk.clock.at - began < 15
    assert desk.clock.at - began > 8


def test_telemetry_waits_for_more_but_not_longer_than_linger() -> None:
    desk = Desk(linger=0.2)
    desk.connect_in_peace()
    desk.store(reading(1)._replace(mono_ms=round(desk.clock.at * 1000)))
    desk.tell(later=0.1)
    desk.store(reading(2)._replace(mono_ms=round(desk.clock.at * 1000)))
    assert desk.names() == []
    desk.tell(later=0.11)
    assert [[r["seq"] for r in p["records"]] for p in desk.payloads("telemetry")] == [[1, 2]]


def test_what_has_waited_for_its_commit_does_not_wait_once_more() -> None:
    desk = Desk()
    desk.connect_in_peace()
    made_ms = round((desk.clock.at - 1.0) * 1000)
    desk.store(reading(1)._replace(mono_ms=made_ms), reading(2)._replace(mono_ms=made_ms + 900))
    assert [[r["seq"] for r in p["records"]] for p in desk.payloads("telemetry")] == [[1, 2]]


def test_a_batch_holds_one_run_and_one_trust_and_keeps_within_its_limits() -> None:
    desk = Desk(linger=0.0)
    desk.connect_in_peace()
    desk.on_a_fast_line()
    wide = '{"device":"cold-1","values":{"a":"' + "x" * 6000 + '"}}'
    huge = '{"device":"cold-1","values":{"a":"' + "x" * 30000 + '"}}'
    rows = desk.journal.store(
        [reading(1), reading(2, trust=Trust.RTC), reading(3, text=wide), reading(4, text=wide)]
    ).rows
    rows += desk.journal.store([reading(1, text=wide), reading(2, text=huge), reading(3)], run="another").rows
    desk.tell(Stored(rows))
    batches = [(p["run"], p["tq"], [r["seq"] for r in p["records"]]) for p in desk.payloads("telemetry")]
    assert batches == [
        (RUN, "synced", [1]),
        (RUN, "rtc", [2]),
        (RUN, "synced", [3, 4]),
        ("another", "synced", [1]),
        ("another", "synced", [2]),
        ("another", "synced", [3]),
    ]
    desk.ack_all()
    desk.store(*(reading(seq) for seq in range(5, 255)))
    assert [len(p["records"]) for p in desk.payloads("telemetry")] == [100, 100, 50]


def test_the_window_is_the_brokers_where_that_is_smaller() -> None:
    desk = Desk(linger=0.0)
    desk.connect(receive_maximum=5)
    desk.store(*(event(seq) for seq in range(1, 30)))
    assert len(desk.wire.sent) == 5
    desk.ack()
    assert len(desk.wire.sent) == 5


def test_the_window_is_ours_where_that_is_smaller() -> None:
    desk = Desk(window=3)
    desk.connect_in_peace()
    desk.store(*(event(seq) for seq in range(1, 30)))
    assert len(desk.wire.sent) == 3


def test_little_telemetry_is_on_its_way_at_a_time_so_that_an_event_is_not_behind_it_on_a_slow_line() -> None:
    desk = Desk(linger=0.0, window=1000)
    desk.connect_in_peace()
    desk.on_a_fast_line()
    wide = '{"device":"cold-1","values":{"a":"' + "x" * 10_000 + '"}}'
    desk.store(*(reading(seq, text=wide) for seq in range(1, 100)))
    assert sum(len(p.payload) for _, _, p in desk.wire.sent) < MOST_BYTES + 20_000


def test_an_uplink_that_is_offline_keeps_no_telemetry_and_asks_for_it_later() -> None:
    desk = Desk()
    for seq in range(1, 4000, 100):
        desk.store(*(reading(number) for number in range(seq, seq + 100)))
    assert all(not list(queue.live) for lane, queue in desk.sender._outbox._lanes.items() if lane is Lane.TELEMETRY)
    desk.connect()
    for _ in range(200):
        desk.answer_all()
        desk.ack_all()
        desk.tell(later=0.1)
    assert not desk.journal.unacked(Lane.TELEMETRY)
    assert desk.journal.twice == 0


def test_events_of_an_outage_are_kept_in_memory_but_not_without_bound() -> None:
    desk = Desk()
    desk.store(*(event(seq) for seq in range(1, KEEP_EVENTS + 101)))
    assert len(list(desk.sender._outbox._lanes[Lane.EVENT].live)) == KEEP_EVENTS
    desk.connect()
    for _ in range(100):
        desk.answer_all()
        desk.ack_all()
    assert not desk.journal.unacked(Lane.EVENT)
    assert desk.journal.twice == 0


def test_what_was_on_its_way_when_texts_were_dropped_behind_it_is_not_forgotten_with_the_connection() -> None:
    desk = Desk(window=4)
    desk.connect_in_peace()
    desk.store(*(event(seq) for seq in range(1, 5)))
    desk.store(*(event(seq) for seq in range(5, 5 + 2 * KEEP_EVENTS)))
    desk.tell(Down(1, "lost", ""))
    desk.wire.sent.clear()
    desk.connect()
    for _ in range(10):
        desk.answer_all()
        desk.ack_all()
    assert not desk.journal.unacked(Lane.EVENT)
    assert desk.journal.twice == 0


def test_events_that_did_not_fit_into_memory_while_the_disk_hung_follow_as_backlog() -> None:
    desk = Desk()
    desk.connect_in_peace()
    made = [event(seq) for seq in range(1, KEEP_EVENTS + 51)]
    desk.tell(*made)
    desk.tell(later=1.1)
    desk.ack_all()
    desk.store(*made)
    desk.answer_all()
    late = desk.payloads("event")
    desk.ack_all()
    assert [payload["seq"] for payload in late][:3] == [1, 2, 3]
    assert all(payload["hist"] for payload in late)
    assert not desk.journal.unacked(Lane.EVENT)
    assert desk.journal.twice == 0


def test_a_slow_uplink_drops_texts_catches_up_and_is_live_again() -> None:
    desk = Desk(linger=0.0, window=2)
    desk.connect_in_peace()
    seq = 0
    for _ in range(60):
        desk.store(*(reading(seq + number) for number in range(1, 101)))
        seq += 100
        assert len(list(desk.sender._outbox._lanes[Lane.TELEMETRY].live)) <= 2000
    for _ in range(400):
        desk.ack_all()
        desk.answer_all()
        desk.tell(later=0.05)
    assert not desk.journal.unacked(Lane.TELEMETRY)
    assert desk.journal.twice == 0
    asked = desk.journal.asked
    desk.wire.sent.clear()
    desk.store(reading(seq + 1))
    desk.ack_all()
    assert desk.journal.asked == asked
    assert not desk.journal.unacked(Lane.TELEMETRY)


@pytest.mark.promise("stored-before-sent")
def test_telemetry_is_sent_from_memory_while_the_disk_fails_and_the_rest_is_read_when_it_is_back() -> None:
    desk = Desk(linger=0.0)
    on_disk = desk.journal.store([reading(1), reading(2)])
    desk.connect()
    out_of_reach = desk.questions.popleft() if desk.questions[0].lane is Lane.TELEMETRY else desk.questions.pop()
    unstored = desk.journal.store([reading(3), reading(4)]).rows
    out_of_reach.answer(Backlog(Lane.TELEMETRY, (), unstored[-1].id, done=True))  # what memory knows
    desk.tell(desk.inbox.get(), Unstored(unstored))
    assert [record["seq"] for batch in desk.payloads("telemetry") for record in batch["records"]] == [3, 4]
    desk.ack_all()
    desk.tell(JournalRestored(60.0))
    desk.answer_all()
    assert [record["seq"] for batch in desk.payloads("telemetry") for record in batch["records"]] == [1, 2]
    desk.ack_all()
    assert not desk.journal.unacked(Lane.TELEMETRY)
    assert desk.journal.twice == 0
    assert on_disk.rows


def test_no_acknowledgement_for_a_keepalive_breaks_the_connection() -> None:
    desk = Desk(keepalive=30.0)
    desk.connect_in_peace()
    desk.store(event(1))
    desk.tell(later=29)
    assert desk.wire.broken == []
    desk.tell(later=1.5)
    assert len(desk.wire.broken) == 1
    desk.tell(later=60)
    assert len(desk.wire.broken) == 1
    desk.tell(Down(1, desk.wire.broken[0], ""))
    desk.wire.sent.clear()
    desk.connect()
    assert "event" in desk.names()


def test_progress_keeps_a_slow_connection_but_not_over_a_message_left_out() -> None:
    desk = Desk(keepalive=30.0)
    desk.connect_in_peace()
    desk.store(*(event(seq) for seq in range(1, 6)))
    for _ in range(3):
        desk.tell(later=25)
        desk.ack()
    assert desk.wire.broken == [], "each PUBACK is progress"
    left_out = desk.wire.sent.pop(0)
    desk.tell(later=4)
    desk.ack()
    desk.tell(later=4)
    assert desk.wire.broken != [], "the oldest was overtaken"
    assert left_out[2].topic.endswith("event")


def test_unknown_late_and_doubled_acknowledgements_are_harmless() -> None:
    desk = Desk()
    desk.connect_in_peace()
    desk.store(event(1))
    connection, token, _ = desk.wire.sent[0]
    desk.tell(Landed(connection, 999_999, 0, ""), Landed(connection - 1, token, 0, ""))
    assert desk.journal.acked[Lane.EVENT] == set()
    desk.tell(Landed(connection, token, 0, ""), Landed(connection, token, 0, ""))
    assert desk.journal.acked[Lane.EVENT] == {1}
    assert desk.journal.twice == 0
    desk.tell(Down(connection, "lost", ""), Landed(connection, token, 0, ""))
    assert desk.journal.twice == 0


def test_a_quota_slows_the_lane_down_and_loses_nothing() -> None:
    desk = Desk()
    desk.connect_in_peace()
    desk.store(event(1), event(2))
    desk.ack(2, code=0x97)
    sent = 0
    for _ in range(100):
        sent += len(desk.wire.sent)
        desk.ack(len(desk.wire.sent), code=0x97)
        desk.tell(later=0.5)
    assert 4 <= sent <= 20, "slowly, for ever"
    desk.tell(later=60)
    desk.ack_all()
    desk.tell(later=60)
    desk.ack_all()
    assert not desk.journal.unacked(Lane.EVENT)


def test_one_message_refused_for_good_does_not_hold_up_its_lane(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk()
    desk.connect_in_peace()
    desk.store(event(1))
    desk.ack(code=0x99)
    desk.store(event(2))
    desk.ack()
    assert desk.journal.unacked(Lane.EVENT) == [1]
    sent = 0
    for _ in range(600):
        sent += len(desk.wire.sent)
        desk.ack(len(desk.wire.sent), code=0x99)
        desk.tell(later=1)
    assert 2 <= sent <= 5, "tried again, less and less often"
    assert len([record for record in caplog.records if "refuses" in record.message]) <= 2
    assert desk.told(UplinkHealth)[-1].state.startswith("the broker refuses")


def test_a_lane_whose_every_message_is_refused_stands_and_does_not_spin() -> None:
    desk = Desk()
    desk.connect_in_peace()
    desk.store(*(event(seq) for seq in range(1, 200)))
    sent = 0
    for _ in range(59):
        sent += len(desk.wire.sent)
        desk.ack(len(desk.wire.sent), code=0x87)
        desk.tell(later=1)
    assert sent <= 40
    told = desk.told(UplinkHealth)[-1].refused
    assert told == ("event (the broker's access list does not let this user publish here)",)
    for _ in range(3):
        desk.tell(later=61)
        desk.ack(len(desk.wire.sent))
    assert desk.told(UplinkHealth)[-1].refused == ()


def test_a_broker_that_takes_only_small_packets_gets_small_batches() -> None:
    desk = Desk(linger=0.0)
    desk.connect(max_packet=1000)
    desk.answer_all()
    desk.ack_all()
    desk.store(*(reading(seq) for seq in range(1, 40)))
    sizes = [len(p.payload) + len(p.topic) + 16 for _, _, p in desk.wire.sent]
    assert len(sizes) > 3
    assert max(sizes) <= 1000
    desk.store(reading(40, text='{"device":"cold-1","values":{"a":"' + "x" * 2000 + '"}}'), reading(41))
    desk.ack_all()
    assert desk.journal.unacked(Lane.TELEMETRY) == [40]


@pytest.mark.promise("alarms-retained")
def test_all_alarms_that_stand_are_told_again_on_each_connection_and_those_that_ended_are_removed() -> None:
    desk = Desk()
    desk.connect_in_peace()
    first, second = alarm(AlarmState.UNACK_ACTIVE), alarm(AlarmState.ACK_ACTIVE, "any-smoke@smoke-1.smoke")
    desk.tell(first, second)
    desk.ack_all()
    desk.tell(Down(1, "lost", ""))
    desk.tell(alarm(AlarmState.NORMAL))
    desk.connect()
    shown = {
        p.topic.removeprefix(ROOT + "/alarm/"): (p.payload, p.retain)
        for _, _, p in desk.wire.sent
        if "/alarm/" in p.topic
    }
    assert shown["room-1-warm"] == (b"", True)
    assert json.loads(shown["any-smoke@smoke-1.smoke"][0])["state"] == "ack_active"


@pytest.mark.parametrize("on_its_way", [True, False])
def test_that_an_alarm_is_over_outlives_the_connection(on_its_way: bool) -> None:
    desk = Desk(window=1)
    desk.connect_in_peace()
    desk.tell(alarm(AlarmState.UNACK_ACTIVE))
    desk.ack_all()
    if not on_its_way:
        desk.store(event(1))
    desk.tell(alarm(AlarmState.NORMAL))
    assert desk.names() == ["alarm/room-1-warm" if on_its_way else "event"]
    desk.tell(Down(1, "lost", ""))
    desk.wire.sent.clear()
    desk.connect(receive_maximum=20)
    desk.ack()
    assert "alarm/room-1-warm" in desk.names()


def test_retained_topics_of_what_is_gone_are_cleared_once_the_alarms_are_known() -> None:
    desk = Desk()
    desk.connect_in_peace()
    desk.tell(event(1), later=5)
    assert desk.wire.subscribed == [((f"{ROOT}/command", 1),)], "with a late journal it does not know its alarms yet"
    desk.ack_all()
    desk.wire.sent.clear()
    desk.tell(alarm(AlarmState.UNACK_ACTIVE), AlarmsKnown())
    assert desk.wire.subscribed[-1] == ((f"{ROOT}/alarm/+", 0), (f"{ROOT}/about/+", 0))
    desk.ack_all()
    for topic in ("alarm/room-1-warm", "alarm/old", "about/cold-1", "about/gone"):
        desk.tell(Received(1, f"{ROOT}/{topic}", b"{}", retain=True))
    desk.tell(Received(1, f"{ROOT}/alarm/live", b"{}", retain=False))
    cleared = [(p.topic.removeprefix(ROOT + "/"), p.payload) for _, _, p in desk.wire.sent]
    assert cleared == [("alarm/old", b""), ("about/gone", b"")]
    desk.tell(later=4)
    assert desk.wire.unsubscribed == [(f"{ROOT}/alarm/+", f"{ROOT}/about/+")]
    desk.tell(Received(1, f"{ROOT}/alarm/older", b"{}", retain=True))
    assert "alarm/older" not in desk.names()


COMMAND = {"id": "c-1", "name": "reset", "args": {"alarm": "x"}, "issuer": "maria", "expires": TS}


def test_a_flood_of_commands_is_said_once_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk(commands=("reset",))
    desk.connect_in_peace()
    for number in range(130):
        command = {**COMMAND, "id": f"c-{number}"}
        desk.tell(Received(1, f"{ROOT}/command", json.dumps(command).encode(), retain=False))
    assert len(desk.told(Command)) == 100
    assert caplog.text.count("dropped unread") == 1
    desk.tell(later=2)
    assert desk.told(UplinkHealth)[-1].dropped_commands == 30


def test_a_command_reaches_the_hub_and_its_answer_goes_out_with_its_id() -> None:
    desk = Desk(commands=("reset",))
    desk.connect_in_peace()
    desk.tell(Received(1, f"{ROOT}/command", json.dumps(COMMAND).encode(), retain=False))
    (asked,) = desk.told(Command)
    assert (asked.name, asked.source) == ("reset", "platform")
    asked.answer(Reply("c-1", "done", "reset"))
    desk.tell(desk.inbox.get_nowait())
    assert desk.payloads("reply") == [{"id": "c-1", "result": "done", "detail": "reset"}]


def test_a_command_that_is_refused_is_answered_if_its_id_can_be_read() -> None:
    desk = Desk()
    desk.connect_in_peace()
    desk.tell(Received(1, f"{ROOT}/command", json.dumps(COMMAND).encode(), retain=False))
    desk.tell(Received(1, f"{ROOT}/command", b'{"id":"c-2",', retain=False))
    desk.tell(Received(1, f"{ROOT}/command", b"\xff", retain=False))
    desk.tell(Received(1, f"{ROOT}/command", json.dumps({**COMMAND, "id": "c-3"}).encode(), retain=True))
    assert desk.told(Command) == []
    assert [(p["id"], p["result"]) for p in desk.payloads("reply")] == [(f"c-{n}", "refused") for n in (1, 2, 3)]


def test_a_flood_of_commands_is_dropped() -> None:
    desk = Desk(commands=("reset",))
    desk.connect_in_peace()
    for number in range(1000):
        payload = json.dumps({**COMMAND, "id": f"c-{number}"}).encode()
        desk.tell(Received(1, f"{ROOT}/command", payload, retain=False))
    assert len(desk.told(Command)) <= 105
    desk.tell(Received(1, f"{ROOT}/command", json.dumps(COMMAND).encode(), retain=False), later=5)
    assert desk.told(Command)[-1].id == "c-1"


def test_the_hub_is_told_once_per_reason_that_the_uplink_is_down() -> None:
    desk = Desk()
    for connection in range(1, 6):
        desk.tell(Down(connection, "refused", "is it running?"))
    desk.tell(Down(6, "no such host", ""), Down(7, "refused", ""))
    assert [down.what for down in desk.told(UplinkDown)] == ["refused", "no such host"]
    assert desk.told(UplinkHealth)[-1].state == "no such host"


def test_health_counts_records_and_is_told_when_the_sender_is_awake_anyway() -> None:
    desk = Desk(linger=0.0)
    desk.connect_in_peace()
    desk.store(*(reading(seq) for seq in range(1, 11)))
    desk.ack_all()
    before = len(desk.told(UplinkHealth))
    desk.tell(later=HEALTH_EVERY_S / 2)
    assert len(desk.told(UplinkHealth)) == before
    desk.tell(later=HEALTH_EVERY_S)
    health = desk.told(UplinkHealth)[-1]
    assert (health.state, health.version, health.sent, health.acked, health.last_ack) == ("online", "5", 10, 10, TS)
    desk.tell(HealthReport(TS, Trust.SYNCED, RUN, 1.0, (), None, (health,), {}))
    assert desk.payloads("health")[0]["uplinks"][0]["sent"] == 10


def test_stopping_flushes_events_says_so_and_leaves_telemetry() -> None:
    desk = Desk()
    desk.connect_in_peace()
    desk.tell(event(1), event(2))
    desk.sender.stop()
    desk.tell(desk.inbox.get_nowait())
    assert desk.names() == ["event", "event"], "stored or not, they leave"
    desk.store(reading(1), event(1), event(2))
    desk.ack(2)
    assert desk.names() == ["status"]
    assert desk.payloads("status")[0]["state"] == "stopped"
    assert desk.wire.finishes == 0
    desk.ack()
    assert desk.wire.finishes == 1
    assert not desk.wire.leaves_will
    assert desk.journal.unacked(Lane.EVENT) == []
    assert desk.journal.unacked(Lane.TELEMETRY) == [1]


def test_stopping_does_not_wait_for_a_broker_that_does_not_answer() -> None:
    desk = Desk()
    desk.connect_in_peace()
    desk.store(event(1))
    desk.sender.stop()
    desk.tell(desk.inbox.get_nowait())
    desk.tell(later=2.1)
    assert desk.names() == ["event", "status"]
    desk.tell(later=0.6)
    assert desk.wire.finishes == 1
    assert desk.wire.leaves_will, "or the last word of it would be that we are online"


def test_what_may_not_be_published_keeps_no_alarm_and_no_reply_from_leaving() -> None:
    desk = Desk()
    desk.connect()
    desk.answer_all()
    for _ in range(30):
        while desk.wire.sent:
            topic = desk.wire.sent[0][2].topic
            desk.ack(code=0x87 if "/about" in topic or "/health" in topic else 0)
        desk.tell(HealthReport(TS, Trust.SYNCED, RUN, 1.0, (), None, (), {}), later=60)
    desk.ack_all()
    desk.tell(alarm(AlarmState.UNACK_ACTIVE), Reply("c-1", "done", ""))
    assert {"alarm", "reply"} <= {name.split("/")[0] for name in desk.names()}


def test_the_backlog_of_events_keeps_to_its_rate_too() -> None:
    journal = MemoryJournal()
    journal.store([event(seq) for seq in range(1, 101)])
    desk = Desk(run="run-2", journal=journal, backlog_rate=10)
    desk.connect()
    desk.answer_all()
    sent = 0
    for _ in range(30):
        desk.tell(later=0.1)
        sent += sum(publication.topic.endswith("/event") for _, _, publication in desk.wire.sent)
        desk.ack_all()
    assert 20 <= sent <= 45


def test_ranges_join_neighbours() -> None:
    assert ranges([5, 1, 2, 3, 9, 8]) == ((1, 3), (5, 5), (8, 9))
    assert ranges([]) == ()


def test_a_pace_allows_its_rate_and_a_short_burst() -> None:
    pace = Pace(100)
    spent, now = 0, 0.0
    while now < 10:
        while pace.allows(now):
            pace.spend(1)
            spent += 1
        now += 0.01
    assert 1000 <= spent <= 1030
    due = pace.due_at()
    assert due is not None
    assert due <= now


# ---------------------------------------------------------------- against a slow obvious model


class UplinkMachine(RuleBasedStateMachine):
    """Anything may happen between journal, sender and broker; nothing is lost, doubled or out of order.

    Journal and sender talk through queues, in order, as on their threads; either may lag behind.
    """

    @initialize(window=st.integers(1, 8), rate=st.sampled_from([50, 5000]))
    def begin(self, window: int, rate: int) -> None:
        self.window = window
        self.rate = rate
        topics = contract.Topics.of(ABOUT)
        self.outbox = Outbox(RUN, topics, Board(ABOUT, "platform"), Options(window, 0.2, rate))
        self.journal = MemoryJournal()
        self.to_journal: deque[Acked | ResendWanted | tuple[Record, ...] | tuple[Lane, Any]] = deque()
        self.to_sender: deque[Stored | tuple[int, Backlog] | Lane] = deque()
        self.now = 0.0
        self.up = False
        self.seqs = dict.fromkeys(Lane, 0)
        self.flying: dict[int, Any] = {}
        self.sent_now: set[tuple[Lane, str, int]] = set()
        self.seen: dict[tuple[Lane, bool], set[int]] = {}
        self.newest: dict[tuple[Lane, bool], int] = {}
        self.refused = False
        self.floods = 0

    def pump(self) -> None:
        while True:
            message = self.outbox.next(self.now)
            if message is None:
                break
            assert not isinstance(message, Refused)
            assert self.up
            token = self.outbox.launch(message, self.now)
            self.flying[token] = message
            assert len(self.flying) <= self.window
            for row in message.rows:
                name = (row.record.lane, row.run, row.record.seq)
                if not self.refused:
                    assert name not in self.sent_now, f"{name} went twice over one connection"
                self.sent_now.add(name)
                self.note(row.record.lane, message.hist, row.record.seq)
        for lane, acked in self.outbox.acknowledged():
            self.to_journal.append(Acked("platform", lane, acked))
        for lane, question in self.outbox.questions(self.now):
            self.to_journal.append((lane, question))

    def note(self, lane: Lane, hist: bool, seq: int) -> None:
        """At its first coming a number is the greatest of its stream so far."""
        seen = self.seen.setdefault((lane, hist), {0})
        if seq not in seen and not self.refused:
            assert seq == max(seq, self.newest.get((lane, hist), 0)), f"{lane} {seq} out of order"
            self.newest[lane, hist] = seq
        seen.add(seq)

    @rule(telemetry=st.integers(0, 40), events=st.integers(0, 3), early=st.booleans())
    def make(self, telemetry: int, events: int, early: bool) -> None:
        made = []
        for lane, count in ((Lane.TELEMETRY, telemetry), (Lane.EVENT, events)):
            for _ in range(count):
                self.seqs[lane] += 1
                made.append((reading if lane is Lane.TELEMETRY else event)(self.seqs[lane]))
        self.to_journal.append(tuple(made))
        for record in made:
            if early and record.lane is Lane.EVENT:
                self.outbox.handed_over(record, self.now)
        self.pump()

    @precondition(lambda self: self.floods < 4)
    @rule()
    def flood(self) -> None:
        self.floods += 1
        first = self.seqs[Lane.TELEMETRY] + 1
        self.seqs[Lane.TELEMETRY] += 2500
        self.to_journal.append(tuple(reading(seq) for seq in range(first, first + 2500)))

    @precondition(lambda self: self.floods < 4)
    @rule()
    def many_events(self) -> None:
        self.floods += 1
        first = self.seqs[Lane.EVENT] + 1
        self.seqs[Lane.EVENT] += KEEP_EVENTS + 20
        made = tuple(event(seq) for seq in range(first, self.seqs[Lane.EVENT] + 1))
        self.to_journal.append(made)
        for record in made:
            self.outbox.handed_over(record, self.now)

    @rule(steps=st.integers(1, 5))
    def journal_works(self, steps: int) -> None:
        for _ in range(min(steps, len(self.to_journal))):
            message = self.to_journal.popleft()
            if isinstance(message, Acked):
                self.journal.tell(message)
            elif isinstance(message, ResendWanted):
                self.journal.tell(message)
                self.to_sender.append(message.lane)
            elif message and isinstance(message[0], Lane):
                lane, question = message
                wanted = BacklogWanted("platform", lane, question.after, question.upto, CHUNK, print)
                self.to_sender.append((question.number, self.journal.answer(wanted)))
            else:
                self.to_sender.append(self.journal.store(message))

    @rule(steps=st.integers(1, 5))
    def sender_works(self, steps: int) -> None:
        for _ in range(min(steps, len(self.to_sender))):
            message = self.to_sender.popleft()
            if isinstance(message, Stored):
                self.outbox.stored(message.rows, self.now)
            elif isinstance(message, Lane):
                self.outbox.start_over(message, RUN, 1, 2**40)
                self.seen[message, True] = {0}
                self.newest[message, True] = 0
                self.sent_now = {name for name in self.sent_now if name[0] is not message}
            else:
                self.outbox.answered(*message)
        self.pump()

    @rule(lane=st.sampled_from(SENT_LANES), first=st.integers(1, 60), count=st.integers(1, 3000))
    def a_platform_wants_some_once_more(self, lane: Lane, first: int, count: int) -> None:
        self.to_journal.append(ResendWanted("platform", RUN, lane, first, first + count, lambda _: None))

    @rule(seconds=st.sampled_from([0.05, 0.3, 1.1, 40.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.pump()

    @precondition(lambda self: not self.up)
    @rule()
    def connect(self) -> None:
        self.up = True
        self.sent_now.clear()
        self.outbox.connected(Up(1, "5"))
        self.outbox.board.connected(b"{}")
        self.pump()

    @precondition(lambda self: self.up)
    @rule()
    def disconnect(self) -> None:
        self.up = False
        self.flying.clear()
        self.outbox.disconnected()
        self.pump()

    @precondition(lambda self: self.flying)
    @rule(count=st.integers(1, 8), last=st.booleans())
    def acks(self, count: int, last: bool) -> None:
        for _ in range(min(count, len(self.flying))):
            token = (max if last else min)(self.flying)
            del self.flying[token]
            self.outbox.landed(token, 0, self.now)
        self.pump()

    @precondition(lambda self: self.flying)
    @rule(code=st.sampled_from([0x80, 0x97, 0x99, 0x95, 0x87]))
    def refuses(self, code: int) -> None:
        self.refused = True
        token = min(self.flying)
        del self.flying[token]
        self.outbox.landed(token, code, self.now)
        self.pump()

    @invariant()
    def memory_is_bounded(self) -> None:
        if hasattr(self, "outbox"):
            for queue in self.outbox._lanes.values():
                assert len(list(queue.live)) <= 2000
                assert len(list(queue.chunk)) <= CHUNK // 2 + CHUNK

    @invariant()
    def the_sender_never_waits_for_a_time_that_has_passed(self) -> None:
        if hasattr(self, "outbox"):
            due = self.outbox.due_at(self.now, 3600.0)
            assert due is None or due > self.now

    def teardown(self) -> None:
        if not hasattr(self, "outbox"):
            return
        if not self.up:
            self.connect()
        for _ in range(20_000):
            self.journal_works(5)
            self.sender_works(5)
            if self.flying:
                self.acks(8, last=False)
            self.time_passes(40.0 if self.refused else 0.3 if self.rate > 50 else 3.0)
            if not (self.to_journal or self.to_sender or self.flying) and not any(map(self.journal.unacked, Lane)):
                break
        assert not any(map(self.journal.unacked, Lane)), "something was lost"
        assert self.journal.twice == 0, "something was acknowledged twice"
        assert all(not queue.is_behind() for queue in self.outbox._lanes.values()), "not live again"


TestUplinkMachine = UplinkMachine.TestCase
TestUplinkMachine.settings = settings(
    max_examples=examples(30), stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)


def test_what_the_broker_takes_for_nobody_is_said_once_until_somebody_subscribes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    desk = Desk(linger=0.0)
    desk.connect_in_peace()
    for seq, code in enumerate((0, 0x10, 0x10, 0, 0, 0x10), 1):
        desk.store(reading(seq))
        desk.ack(code=code)
    told = [record.getMessage() for record in caplog.records if "subscribed" in record.getMessage()]
    assert ["nobody" in line for line in told] == [True, False, True]
    assert f"{ROOT}/telemetry" in told[0]
    assert not desk.journal.unacked(Lane.TELEMETRY), "the broker has acknowledged it"
