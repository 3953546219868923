"""What lies over an alarm: shelved for a time or out of service, it is judged and recorded, and calls nobody."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from test_hub import SIREN, T0, Stepped, plan

from gateway.model import (
    AlarmState,
    AlarmView,
    Decision,
    Hidden,
    Hiding,
    Moment,
    PreviousRun,
    Priority,
    Recovered,
    Tick,
    Trust,
    Write,
)
from gateway.rules.lifecycle import Change
from gateway.rules.overlay import LONGEST_S, NOTHING, Act, Note, covered

SMOKE = "any-smoke@smoke-1.smoke"
NOW = Moment(1000.0, T0, Trust.SYNCED)


def warm(hub: Stepped) -> Decision:
    """Room 1 has been too warm for the minute that the rule waits."""
    hub.read("cold-1", temperature=-10.0)
    return hub.read("cold-1", 61.0, temperature=-10.0)


def view(decision: Decision) -> AlarmView:
    return next(notice for notice in decision.notices if isinstance(notice, AlarmView))


def alarm_events(hub: Stepped, alarm: str = "warm") -> list[dict[str, Any]]:
    return [event for event in hub.events() if event.get("alarm") == alarm]


def test_a_shelved_alarm_is_raised_and_recorded_and_shown_as_shelved() -> None:
    hub = Stepped()
    assert hub.command("shelve", alarm="warm", for_s=1800, reason="door is being mended").result == "done"
    raised = view(warm(hub))
    until = T0 + 1_000_000 + 1_800_000
    assert raised.state is AlarmState.UNACK_ACTIVE
    assert raised.hidden == Hidden(Hiding.SHELVED, "Ada", "door is being mended", until)
    assert [event["change"] for event in alarm_events(hub)] == ["shelved", "raised"]
    told = alarm_events(hub)[0]
    assert (told["by"], told["why"], told["hidden"]["until"]) == ("Ada", "door is being mended", until)


def test_a_shelf_ends_by_itself_and_the_alarm_is_what_its_condition_made_of_it() -> None:
    hub = Stepped()
    hub.command("shelve", alarm="warm", for_s=600, reason="defrosting")
    warm(hub)
    assert hub.hub.wake <= 1600.0, "the end of the shelf wakes the hub"
    hub.tell(Tick(), 538.9)
    assert [event["change"] for event in alarm_events(hub)] == ["shelved", "raised"]
    ended = view(hub.tell(Tick(), 0.2))
    assert (ended.state, ended.hidden) == (AlarmState.UNACK_ACTIVE, None)
    assert alarm_events(hub)[-1]["change"] == "unshelved"


def test_smoke_is_never_shelved() -> None:
    hub = Stepped()
    reply = hub.command("shelve", alarm=SMOKE, for_s=60, reason="frying fish")
    assert reply.result == "refused"
    assert reply.detail.startswith("an alarm on smoke is never shelved")


def test_out_of_service_the_siren_stays_off_and_back_in_service_it_calls_for_what_stands() -> None:
    hub = Stepped()
    hub.command("out_of_service", alarm=SMOKE, reason="detector is being cleaned")
    assert hub.read("smoke-1", smoke="alarm").writes == ()
    decision = hub.ask("in_service", alarm=SMOKE)
    assert decision.writes == (Write(*SIREN, "on"),)
    assert view(decision).hidden is None


def test_taking_an_alarm_that_calls_out_of_service_switches_its_outputs_off() -> None:
    hub = Stepped()
    assert hub.read("smoke-1", smoke="alarm").writes == (Write(*SIREN, "on"),)
    assert hub.ask("out_of_service", alarm=SMOKE, reason="steam from the kitchen").writes == (Write(*SIREN, "off"),)


def test_an_alarm_at_rest_that_is_hidden_is_shown_and_stored_until_it_is_not() -> None:
    hub = Stepped()
    hub.command("out_of_service", alarm="warm", reason="room is empty")
    assert "alarm/warm" in hub.stored
    hub.command("in_service", alarm="warm")
    assert "alarm/warm" not in hub.stored


@pytest.mark.parametrize(
    ("boot", "later_boot", "trust", "left_s"),
    [
        ("b1", "b1", Trust.UNSYNCED, 1200.0),  # one boot: monotonic time runs on
        ("b1", "b2", Trust.SYNCED, 1200.0),  # by wall time
        ("b1", "b2", Trust.UNSYNCED, 0.0),  # nobody knows: it calls
    ],
)
def test_a_shelf_survives_a_restart_as_far_as_its_end_is_known(
    boot: str, later_boot: str, trust: Trust, left_s: float
) -> None:
    before = Stepped(boot=boot)
    before.command("shelve", alarm="warm", for_s=1800, reason="door")
    warm(before)
    after = Stepped(before.stored, recovered=False, trust=trust, boot=later_boot)
    after.mono = before.mono - 61.0 + 600.0
    after.tell(Recovered("kept", PreviousRun("run1", 7, 99), before.stored))
    after.tell(Tick(), left_s - 0.1 if left_s else 0.0)
    assert (alarm_events(after) == []) is bool(left_s)
    after.tell(Tick(), 0.2)
    assert [event["change"] for event in alarm_events(after)] == ["unshelved"]


def test_a_restart_keeps_what_is_out_of_service_and_who_wanted_it() -> None:
    before = Stepped()
    before.command("out_of_service", alarm=SMOKE, reason="cleaning")
    before.read("smoke-1", smoke="alarm")
    after = Stepped(before.stored)
    assert after.read("smoke-1", smoke="alarm").writes == ()
    assert [(alarm.state, alarm.hidden) for alarm in after.status().alarms] == [
        (AlarmState.UNACK_ACTIVE, Hidden(Hiding.OUT_OF_SERVICE, "Ada", "cleaning"))
    ]


@pytest.mark.parametrize(
    ("name", "args", "why"),
    [
        ("shelve", {"alarm": "warm", "reason": "x"}, "shelve needs for_s"),
        ("shelve", {"alarm": "warm", "reason": "x", "for_s": "60"}, "shelve needs for_s"),
        ("shelve", {"alarm": "warm", "reason": "x", "for_s": float("nan")}, "shelve needs for_s"),
        ("shelve", {"alarm": "warm", "reason": "x", "for_s": 10**400}, "shelve needs for_s"),
        ("shelve", {"alarm": "warm", "reason": "x", "for_s": 1e8}, "a medium alarm can be shelved for at most 480"),
        ("shelve", {"alarm": "warm", "for_s": 60}, "shelve needs a reason"),
        ("shelve", {"alarm": "nix", "for_s": 60, "reason": "x"}, "there is no alarm 'nix'"),
        ("unshelve", {"alarm": "warm"}, "this alarm is not shelved"),
        ("out_of_service", {"alarm": "warm", "reason": "\n"}, "reason must be at most 256 printable characters"),
        ("out_of_service", {"alarm": "warm", "reason": " "}, "out_of_service needs a reason"),
        ("in_service", {"alarm": "warm"}, "this alarm is in service"),
    ],
)
def test_what_cannot_be_hidden_is_refused_in_words(name: str, args: dict[str, Any], why: str) -> None:
    hub = Stepped()
    reply = hub.command(name, **args)
    assert reply.result == "refused"
    assert reply.detail.startswith(why)
    assert alarm_events(hub) == []


def test_an_hour_for_a_high_alarm_eight_for_others_and_never_one_on_fire() -> None:
    assert {str(priority): hours * 3600.0 for priority, hours in (("high", 1), ("medium", 8), ("low", 8))} == LONGEST_S
    for kind in ("smoke", "fire"):
        refused = covered(NOTHING, Act(Change.SHELVED, Note("Ada", "x"), 60.0), kind, Priority.LOW, NOW)
        assert (
            refused == f"an alarm on {kind} is never shelved; while its detector is worked on, take it out of service"
        )


def test_a_clock_that_was_put_back_while_it_was_off_makes_no_shelf_longer_than_one_may_be() -> None:
    before = Stepped(boot="b1")
    warm(before)
    before.command("shelve", alarm="warm", for_s=600, reason="door")
    after = Stepped(before.stored, recovered=False, boot="b2")
    after.mono, after.wall_shift_ms = before.mono, -30 * 86_400_000
    after.tell(Recovered("kept", PreviousRun("run1", 7, 99), before.stored))
    after.tell(Tick(), LONGEST_S[Priority.MEDIUM] + 1)
    assert alarm_events(after)[-1]["change"] == "unshelved"


@pytest.mark.parametrize("priority", list(Priority))
def test_how_long_a_shelf_may_be_depends_on_the_priority(priority: Priority) -> None:
    for for_s, possible in ((LONGEST_S[priority], True), (LONGEST_S[priority] + 1, False), (0, False), (-1, False)):
        found = covered(NOTHING, Act(Change.SHELVED, Note("Ada", "x"), for_s), "temperature", priority, NOW)
        assert isinstance(found, str) is not possible, for_s


def test_a_chattering_alarm_says_so_and_is_held_across_a_restart() -> None:
    before = Stepped(boot="b1")
    for _ in range(3):
        before.read("smoke-1", 1.0, smoke="alarm")
        before.command("acknowledge", alarm=SMOKE)
        before.read("smoke-1", 1.0, smoke="normal")
        before.command("reset", alarm=SMOKE, reason="dust")
    assert [event.get("chattering") for event in alarm_events(before, SMOKE) if event["change"] == "raised"] == [
        None,
        None,
        True,
    ]
    after = Stepped(before.stored, recovered=False, boot="b1")
    after.mono = before.mono + 10.0
    after.tell(Recovered("kept", PreviousRun("run1", 7, 99), before.stored))
    after.read("smoke-1", smoke="normal")
    (alarm,) = after.status().alarms
    assert (alarm.state, alarm.chattering) == (AlarmState.ACK_ACTIVE, True)
    after.tell(Tick(), 600.0)
    assert alarm_events(after, SMOKE)[-1]["state"] == "latched_ack"


def test_one_that_is_held_does_not_end_before_the_journal_has_said_so() -> None:
    before = Stepped(boot="b1")
    for _ in range(3):
        before.read("smoke-1", 1.0, smoke="normal")
        before.read("smoke-1", 1.0, smoke="alarm")
    after = Stepped(before.stored, recovered=False, boot="b1")
    after.mono = before.mono + 10.0
    after.read("smoke-1", smoke="alarm")
    after.read("smoke-1", 1.0, smoke="normal")
    after.tell(Recovered("kept", PreviousRun("run1", 7, 99), before.stored))
    (alarm,) = after.status().alarms
    assert (alarm.state, alarm.chattering) == (AlarmState.UNACK_ACTIVE, True)


def test_an_alarm_that_is_raised_at_the_moment_its_shelf_ends_stands_and_calls() -> None:
    hub = Stepped()
    hub.command("shelve", alarm="warm", for_s=60, reason="door")
    hub.read("cold-1", temperature=-10.0)
    hub.tell(Tick(), 61.0)
    (alarm,) = hub.status().alarms
    assert (alarm.alarm, alarm.state, alarm.hidden) == ("warm", AlarmState.UNACK_ACTIVE, None)
    assert [event["change"] for event in alarm_events(hub)] == ["shelved", "raised", "unshelved"]


def test_what_was_acknowledged_before_a_restart_is_told_again_in_its_time() -> None:
    again = tuple((replace(rule, re_alarm_s=3600.0), targets) for rule, targets in plan().rules)
    before = Stepped(boot="b1", rules=again)
    before.read("smoke-1", smoke="alarm")
    before.command("acknowledge", alarm=SMOKE)
    after = Stepped(before.stored, recovered=False, boot="b1", rules=again)
    after.mono = before.mono + 3000.0
    after.tell(Recovered("kept", PreviousRun("run1", 7, 99), before.stored))
    after.tell(Tick(), 599.0)
    assert alarm_events(after, SMOKE) == []
    after.tell(Tick(), 2.0)
    assert [event["change"] for event in alarm_events(after, SMOKE)] == ["re_alarmed"]
