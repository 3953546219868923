"""Records that went once go again on request: as backlog, at its rate, answered and on record, whatever is asked."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sender_desk import Desk
from uplink_scene import RUN, TS, event, reading

from gateway.model import Answered, Lane
from gateway.uplink import commands
from gateway.uplink.commands import Span
from gateway.uplink.wire import Down, Landed, Received


def asked(number: int = 1, **args: Any) -> bytes:
    wanted = {"run": RUN, "lane": "telemetry", "from": 1, "to": 1000, **args}
    fields = {"id": f"r-{number}", "name": "resend", "args": wanted, "issuer": "platform", "expires": TS + 60_000}
    return json.dumps(fields).encode()


def seqs(desk: Desk) -> list[tuple[bool, int]]:
    found = []
    for batch in desk.payloads("telemetry"):
        found += [(batch["hist"], record["seq"]) for record in batch["records"]]
    return found


def delivered(readings: int = 10, **options: Any) -> Desk:
    """A desk in peace, with so many readings acknowledged."""
    desk = Desk(linger=0.0, **options)
    desk.connect_in_peace()
    for first in range(1, readings + 1, 1000):
        desk.store(*(reading(seq) for seq in range(first, min(first + 1000, readings + 1))))
        desk.ack_all()
    assert not desk.journal.unacked(Lane.TELEMETRY)
    return desk


@pytest.mark.promise("resend")
def test_what_was_acknowledged_goes_again_as_backlog_and_the_answer_says_how_much() -> None:
    desk = delivered()
    desk.hear("command", asked(**{"from": 3, "to": 5}))
    desk.answer_all()
    desk.tell(later=0.1)
    assert seqs(desk) == [(True, 3), (True, 4), (True, 5)]
    (reply,) = desk.payloads("reply")
    assert (reply["id"], reply["result"]) == ("r-1", "done")
    assert reply["detail"] == f"telemetry 3 to 5 of run {RUN}: 3 records go again, 0 are gone for good"
    assert (reply["again"], reply["gone"]) == (3, 0)
    desk.ack_all()
    assert not desk.journal.unacked(Lane.TELEMETRY)
    assert desk.payloads("telemetry") == [], "once"


@pytest.mark.promise("resend")
def test_events_go_again_too() -> None:
    desk = Desk()
    desk.connect_in_peace()
    desk.store(event(1), event(2))
    desk.ack_all()
    desk.hear("command", asked(lane="event", **{"from": 2, "to": 2}))
    desk.answer_all()
    assert [(payload["hist"], payload["seq"]) for payload in desk.payloads("event")] == [(True, 2)]


def test_it_needs_no_permission_and_is_on_record_with_who_asked_for_what() -> None:
    desk = delivered(commands=())
    desk.hear("command", asked())
    desk.answer_all()
    (told,) = desk.told(Answered)
    assert (told.command.issuer, told.command.name, told.reply.result) == ("platform", "resend", "done")
    assert "1 to 1000" in told.reply.detail


@pytest.mark.parametrize(
    ("args", "why"),
    [
        ({"run": "another"}, "nothing of run another"),
        ({"run": "a/b"}, "id of a run"),
        ({"run": 5}, "id of a run"),
        ({"lane": "status"}, "event or telemetry"),
        ({"lane": ["event"]}, "event or telemetry"),
        ({"from": 0}, "from and to"),
        ({"from": 7, "to": 6}, "from and to"),
        ({"from": True}, "from and to"),
        ({"to": 1.5}, "from and to"),
        ({"more": 1}, "nothing else"),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_reason_and_is_on_record(args: dict[str, Any], why: str) -> None:
    desk = delivered()
    desk.hear("command", asked(**args))
    desk.answer_all()
    (reply,) = desk.payloads("reply")
    assert reply["result"] == "refused"
    assert why in reply["detail"]
    assert [told.reply.result for told in desk.told(Answered)] == ["refused"]
    assert not desk.journal.unacked(Lane.TELEMETRY)


def test_of_a_run_that_the_journal_does_not_know_everything_is_gone_for_good() -> None:
    desk = delivered()
    desk.hear("command", asked(run="another", **{"from": 3, "to": 5}))
    desk.answer_all()
    (reply,) = desk.payloads("reply")
    assert (reply["result"], reply["again"], reply["gone"]) == ("refused", 0, 3)


def test_what_a_failing_disk_refused_is_asked_again_with_the_same_id() -> None:
    desk = delivered()
    desk.journal.fails = "the journal's disk fails; ask again later"
    desk.hear("command", asked(**{"from": 3, "to": 5}))
    desk.answer_all()
    (refused,) = desk.payloads("reply")
    assert refused["result"] == "refused"
    assert "gone" not in refused
    desk.ack_all()
    desk.journal.fails = ""
    desk.hear("command", asked(**{"from": 3, "to": 5}))
    desk.answer_all()
    (reply,) = desk.payloads("reply")
    assert (reply["result"], reply["again"], reply["gone"]) == ("done", 3, 0)


def test_one_that_comes_too_late_is_refused() -> None:
    desk = delivered()
    late = json.loads(asked()) | {"expires": TS - 1}
    desk.hear("command", json.dumps(late).encode())
    assert desk.payloads("reply")[0]["detail"] == "expired"


def test_one_that_is_repeated_is_answered_and_not_done_again() -> None:
    desk = delivered()
    desk.hear("command", asked())
    desk.answer_all()
    desk.ack_all()
    desk.hear("command", asked())
    assert desk.payloads("reply")[0]["result"] == "done"
    assert not desk.journal.unacked(Lane.TELEMETRY)
    assert len(desk.told(Answered)) == 1


def test_what_goes_again_keeps_to_the_rate_of_the_backlog_and_to_bounded_memory() -> None:
    desk = delivered(readings=3000, backlog_rate=400)
    desk.hear("command", asked(to=3000))
    desk.answer_all()
    went = 0
    for _ in range(40):
        desk.tell(later=0.1)
        went += len(seqs(desk))
        desk.ack_all()
        assert len(list(desk.sender._outbox._lanes[Lane.TELEMETRY].chunk)) <= 750
    assert 1600 <= went <= 1900, "four seconds at 400 records a second"


def test_live_telemetry_and_events_overtake_what_goes_again() -> None:
    desk = delivered(readings=1000, backlog_rate=10)
    desk.hear("command", asked())
    desk.answer_all()
    desk.wire.sent.clear()
    desk.store(event(1), reading(1001))
    assert desk.names()[0] == "event"
    assert (False, 1001) in seqs(desk)


def test_what_is_on_its_way_when_it_is_asked_for_arrives_once() -> None:
    desk = Desk(linger=0.0)
    desk.connect_in_peace()
    desk.store(*(reading(seq) for seq in range(1, 6)))
    assert seqs(desk) == [(False, seq) for seq in range(1, 6)]
    desk.hear("command", asked())
    desk.answer_all()
    assert seqs(desk) == [(False, seq) for seq in range(1, 6)]
    desk.ack_all()
    assert not desk.journal.unacked(Lane.TELEMETRY)


def test_what_is_asked_for_right_after_its_acknowledgement_goes_again() -> None:
    desk = Desk(linger=0.0)
    desk.connect_in_peace()
    desk.store(reading(1))
    (sent,) = desk.wire.sent
    desk.wire.sent.clear()
    desk.sender.handle(Landed(sent[0], sent[1], 0, "Success"))
    desk.tell(Received(desk.connection, "sitewarden/v1/dc3/gw1/command", asked(), retain=False))
    desk.answer_all()
    assert seqs(desk) == [(True, 1)]


def test_an_answer_that_comes_after_the_connection_has_ended_loses_nothing() -> None:
    desk = delivered()
    desk.hear("command", asked())
    desk.wire.sent.clear()
    desk.tell(Down(desk.connection, "lost", ""))
    desk.answer_all()
    desk.connect()
    desk.answer_all()
    assert {seq for _, seq in seqs(desk)} == set(range(1, 11))
    assert desk.payloads("reply")[0]["result"] == "done"


@given(
    st.dictionaries(
        st.sampled_from(["run", "lane", "from", "to", "x"]), st.none() | st.integers() | st.text() | st.floats()
    )
)
def test_any_arguments_are_a_span_or_refused(args: dict[str, Any]) -> None:
    found = commands.span(args)
    assert isinstance(found, (Span, str))
