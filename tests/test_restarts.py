"""What stood when a run ended is neither forgotten nor raised again, whenever the journal tells of it."""

from __future__ import annotations

from typing import Any

import pytest
from test_hub import SIREN, Stepped, plan

from gateway.model import (
    AlarmState,
    Decision,
    Hiding,
    Lane,
    PreviousRun,
    Priority,
    Reason,
    Recovered,
    Stopping,
    Tick,
    Write,
)
from gateway.rules.condition import Equals, Term
from gateway.rules.judge import Rule
from gateway.rules.overlay import Suppression
from gateway.rules.responses import Response, Way

SMOKE = "any-smoke@smoke-1.smoke"
ON, OFF = Write(*SIREN, "on"), Write(*SIREN, "off")


def again(before: Stepped, after_s: float = 10.0, **changed: Any) -> Stepped:
    """The next run, in the same boot, of which the journal has said nothing yet."""
    hub = Stepped(recovered=False, boot="b1", **changed)
    hub.mono, hub.stored = before.mono + after_s, dict(before.stored)
    return hub


def answered(hub: Stepped, before: Stepped, after_s: float = 0.3) -> Decision:
    """The journal answers, so many seconds later."""
    return hub.tell(Recovered("kept", PreviousRun("run1", 7, 99), dict(before.stored)), after_s)


def changes(hub: Stepped, alarm: str = SMOKE) -> list[str]:
    return [event["change"] for event in hub.events() if event.get("alarm") == alarm]


def view(hub: Stepped, alarm: str = SMOKE) -> Any:
    return next((view for view in hub.status().alarms if view.alarm == alarm), None)


def test_the_siren_waits_for_no_journal_and_what_is_told_follows_its_answer() -> None:
    hub = Stepped(recovered=False)
    decision = hub.read("smoke-1", smoke="alarm")
    assert decision.writes == (ON,)
    smoke_ts = hub.now().ts
    hub.tell(Recovered("new", None, {}), 0.8)
    assert [(event["event"], event.get("change")) for event in hub.events()] == [
        ("started", None),
        ("alarm", "raised"),
        ("output", None),
    ]
    events = [record for record in hub.records if record.lane is Lane.EVENT]
    assert [event.seq for event in events] == [1, 2, 3]
    assert events[1].ts == events[2].ts == smoke_ts, "with the time at which it happened"
    assert view(hub).since == smoke_ts


def test_what_happened_is_told_after_five_seconds_without_a_journal() -> None:
    hub = Stepped(recovered=False)
    hub.read("smoke-1", smoke="alarm")
    hub.tell(Tick(), 4.9)
    assert changes(hub) == []
    hub.tell(Tick(), 0.2)
    assert [event["event"] for event in hub.events()] == ["started", "alarm", "output"]
    hub.tell(Recovered("kept", None, {f"alarm/{SMOKE}": '{"state":"rtn_unack"}'}))
    assert view(hub).state is AlarmState.UNACK_ACTIVE, "a late journal undoes nothing"
    assert changes(hub) == ["raised"]


def test_what_happened_is_told_when_a_run_ends_before_the_journal_has_answered() -> None:
    hub = Stepped(recovered=False)
    hub.read("smoke-1", smoke="alarm")
    hub.tell(Stopping("stopped"))
    assert [event["event"] for event in hub.events()] == ["started", "alarm", "output", "stopped"]
    assert f"alarm/{SMOKE}" in hub.stored


@pytest.mark.parametrize("poll_first", [True, False])
def test_an_alarm_that_stands_on_is_not_raised_again(poll_first: bool) -> None:
    before = Stepped(boot="b1")
    before.read("smoke-1", smoke="alarm")
    before.command("acknowledge", alarm=SMOKE)
    since = view(before).since
    hub = again(before)
    writes = hub.read("smoke-1", smoke="alarm").writes if poll_first else ()
    writes += answered(hub, before).writes
    assert writes == (ON,)
    assert (view(hub).state, view(hub).since) == (AlarmState.ACK_ACTIVE, since)
    hub.read("smoke-1", 1.0, smoke="alarm")
    assert changes(hub) == []
    hub.read("smoke-1", 1.0, smoke="normal")
    assert changes(hub) == ["cleared"]


def test_one_that_had_ended_and_comes_again_is_raised() -> None:
    before = Stepped(boot="b1")
    before.read("smoke-1", smoke="alarm")
    before.read("smoke-1", smoke="normal")
    assert view(before).state is AlarmState.LATCHED_UNACK
    hub = again(before)
    hub.read("smoke-1", smoke="alarm")
    assert answered(hub, before).writes == ()
    assert (view(hub).state, changes(hub)) == (AlarmState.UNACK_ACTIVE, ["raised"])


def test_one_that_ended_before_the_answer_is_cleared_with_it() -> None:
    before = Stepped(boot="b1")
    before.read("smoke-1", smoke="alarm")
    hub = again(before)
    hub.read("smoke-1", smoke="normal")
    assert changes(hub) == []
    assert answered(hub, before).writes == (ON,)
    assert (view(hub).state, changes(hub)) == (AlarmState.LATCHED_UNACK, ["cleared"])


def test_a_bad_value_before_the_answer_clears_nothing() -> None:
    before = Stepped(boot="b1")
    before.read("smoke-1", smoke="alarm")
    hub = again(before)
    hub.read("smoke-1", smoke="normal")
    hub.read("smoke-1", 0.1, smoke=Reason.NO_REPLY)
    answered(hub, before)
    assert (view(hub).state, changes(hub)) == (AlarmState.UNACK_ACTIVE, [])


def test_what_came_and_went_before_the_answer_is_told_in_its_order() -> None:
    hub = Stepped(recovered=False)
    assert hub.read("smoke-1", smoke="alarm").writes == (ON,)
    hub.read("smoke-1", 0.1, smoke="normal")
    hub.command("acknowledge", alarm=SMOKE)
    assert hub.command("reset", alarm=SMOKE, reason="looked").result == "done"
    assert hub.tell(Recovered("new", None, {})).writes == ()
    assert changes(hub) == ["raised", "cleared", "acknowledged", "reset"]
    assert view(hub) is None
    assert hub.status().outputs == {"siren.output": "off"}
    assert not hub.stored_alarms()


def test_what_is_out_of_service_is_so_although_its_detector_came_first() -> None:
    before = Stepped(boot="b1")
    before.command("out_of_service", alarm=SMOKE, reason="new head")
    hub = again(before)
    assert hub.read("smoke-1", smoke="alarm").writes == (ON,), "nobody knows that yet"
    assert answered(hub, before).writes == (OFF,)
    assert (view(hub).state, view(hub).hidden.how) == (AlarmState.UNACK_ACTIVE, Hiding.OUT_OF_SERVICE)
    assert changes(hub) == ["raised"]


def test_a_journal_that_answers_late_tells_what_is_out_of_service() -> None:
    before = Stepped(boot="b1")
    before.command("out_of_service", alarm=SMOKE, reason="new head")
    hub = again(before, run="run3")
    hub.read("smoke-1", smoke="alarm")
    hub.tell(Tick(), 6.0)
    assert changes(hub) == ["raised"]
    assert answered(hub, before).writes == (OFF,)
    assert changes(hub) == ["raised", "out_of_service"]
    hub.read("smoke-1", 1.0, smoke="alarm")
    assert changes(hub) == ["raised", "out_of_service"]


def test_a_shelf_of_before_and_an_act_of_now_both_count() -> None:
    before = Stepped(boot="b1")
    before.read("cold-1", temperature=-10.0)
    before.tell(Tick(), 61.0)
    before.command("shelve", alarm="warm", for_s=600, reason="door")
    hub = again(before)
    hub.command("out_of_service", alarm="warm", reason="repair")
    answered(hub, before)
    hub.command("in_service", alarm="warm")
    assert changes(hub, "warm") == ["out_of_service", "in_service"]
    assert view(hub, "warm").hidden.how is Hiding.SHELVED
    assert view(hub, "warm").state is AlarmState.UNACK_ACTIVE


def test_a_silenced_siren_is_silent_again_when_the_journal_has_answered() -> None:
    site: dict[str, Any] = {"responses": {"evacuate": Response("evacuate", {SIREN: Way("on", audible=True)}, "Leave")}}
    before = Stepped(boot="b1", **site)
    before.read("smoke-1", smoke="alarm")
    before.command("silence")
    hub = again(before, **site)
    assert hub.read("smoke-1", smoke="alarm").writes == (ON,)
    assert answered(hub, before).writes == (OFF,)
    assert view(hub).silenced


def defrosted() -> dict[str, Any]:
    """The plan's rules, of which `warm` is explained by a defrost of smoke-2 for half an hour at most."""
    warm, targets = plan().rules[0]
    defrost = Suppression(Term("smoke-2", "smoke", Equals("alarm")), 1800.0)
    rule = Rule("warm", warm.condition, priority=Priority.LOW, suppression=defrost)
    return {"rules": ((rule, targets),)}


def test_what_the_plant_explains_is_explained_over_a_restart_for_the_rest_of_its_time() -> None:
    before = Stepped(boot="b1", **defrosted())
    before.read("smoke-2", smoke="alarm")
    before.read("cold-1", temperature=-10.0)
    hub = again(before, 1000.0, **defrosted())
    hub.read("smoke-2", smoke="alarm")
    answered(hub, before)
    assert view(hub, "warm").hidden.how is Hiding.SUPPRESSED
    hub.tell(Tick(), 790.0)
    assert changes(hub, "warm") == []
    hub.tell(Tick(), 20.0)
    assert changes(hub, "warm") == ["unsuppressed"]


def test_what_has_explained_for_too_long_does_not_begin_anew_by_a_restart() -> None:
    before = Stepped(boot="b1", **defrosted())
    before.read("smoke-2", smoke="alarm")
    before.tell(Tick(), 1801.0)
    assert changes(before, "warm") == ["suppressed", "unsuppressed"]
    hub = again(before, **defrosted())
    hub.read("smoke-2", smoke="alarm")
    answered(hub, before)
    hub.read("cold-1", temperature=-10.0)
    assert (changes(hub, "warm"), view(hub, "warm").hidden) == (["raised"], None)
    hub.read("smoke-2", 1.0, smoke="normal")
    hub.read("smoke-2", 1.0, smoke="alarm")
    assert changes(hub, "warm") == ["raised", "suppressed"], "the next defrost explains it again"


def test_a_defrost_that_ended_unseen_is_forgotten_by_the_journal_too() -> None:
    before = Stepped(boot="b1", **defrosted())
    before.read("smoke-2", smoke="alarm")
    before.tell(Tick(), 1801.0)
    assert "alarm/warm" in before.stored
    before.read("smoke-2", 1.0, smoke="normal")
    assert "alarm/warm" not in before.stored
