"""A high alarm is reported within ten minutes: what did not happen by its time is an event, and can be a response."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_hub import SIREN, Stepped, plan

from gateway.hub.alarm import Target
from gateway.hub.plan import Reconfigured
from gateway.model import AlarmView, Command, PreviousRun, Priority, Recovered, Tick, Trust, Write
from gateway.rules.condition import Above
from gateway.rules.following import Times
from gateway.rules.judge import Rule
from gateway.rules.lifecycle import Change
from gateway.rules.responses import Response, Way

SMOKE = "any-smoke@smoke-1.smoke"
CONFIRMED: dict[str, Any] = {"times": Times()}
LAMP = SIREN._replace(device="lamp")


def steps(hub: Stepped) -> list[str]:
    """What became of the report, after the alarm was raised."""
    changes = [event["change"] for event in hub.events() if event.get("alarm") == SMOKE]
    return [change for change in changes if change not in {"raised", "cleared", "acknowledged", "reset"}]


def pass_s(hub: Stepped, seconds: float) -> None:
    """Time passes; the hub is woken when it wants to be."""
    end = hub.mono + seconds
    while hub.hub.wake <= end:
        hub.tell(Tick(), max(0.0, hub.hub.wake - hub.mono))
    hub.mono = end
    hub.tell(Tick())


def test_what_nobody_confirms_or_sees_is_told_step_by_step() -> None:
    hub = Stepped(**CONFIRMED)
    hub.read("smoke-1", smoke="alarm")
    told: list[list[str]] = []
    for seconds in (99, 2, 198, 2, 178, 2, 118, 2, 3600):
        pass_s(hub, seconds)
        told.append(steps(hub)[sum(map(len, told)) :])
    assert told == [[], ["unconfirmed"], [], ["re_alarmed"], [], ["escalated"], [], ["report_overdue"], []]


def test_a_platform_that_confirms_in_time_leaves_only_people_to_be_waited_for() -> None:
    hub = Stepped(**CONFIRMED)
    hub.read("smoke-1", smoke="alarm")
    pass_s(hub, 50)
    assert hub.command("confirm", alarm=SMOKE).result == "done"
    pass_s(hub, 300)
    assert steps(hub) == ["confirmed", "re_alarmed"]
    hub.command("acknowledge", alarm=SMOKE)
    pass_s(hub, 3600)
    assert steps(hub) == ["confirmed", "re_alarmed"]
    assert hub.command("confirm", alarm=SMOKE).detail == "this alarm waits for no confirmation"


def test_where_no_platform_confirms_nothing_is_unconfirmed() -> None:
    hub = Stepped()
    hub.read("smoke-1", smoke="alarm")
    pass_s(hub, 200)
    assert steps(hub) == []
    hub.command("acknowledge", alarm=SMOKE)
    assert not [key for key in hub.stored if key.startswith("follow/")]


def test_an_alarm_that_has_ended_is_still_to_be_seen_by_somebody() -> None:
    hub = Stepped(**CONFIRMED)
    hub.read("smoke-1", smoke="alarm")
    hub.read("smoke-1", 10.0, smoke="normal")
    pass_s(hub, 700)
    assert steps(hub) == ["unconfirmed", "re_alarmed", "escalated", "report_overdue"]


def test_an_alarm_that_is_not_high_is_not_followed() -> None:
    hub = Stepped(**CONFIRMED)
    hub.read("cold-1", temperature=0.0)
    hub.read("cold-1", 61.0, temperature=0.0)
    pass_s(hub, 200)
    assert "unconfirmed" not in [event.get("change") for event in hub.events()]


def test_what_is_unconfirmed_can_be_said_on_the_spot_until_it_is_confirmed() -> None:
    hub = Stepped(
        **CONFIRMED,
        outputs={SIREN: "off", LAMP: "off"},
        responses={**plan().responses, "call": Response("call", {LAMP: Way("on")})},
        at_step={Change.UNCONFIRMED: "call"},
    )
    hub.read("smoke-1", smoke="alarm")
    pass_s(hub, 99)
    assert Write(*LAMP, "on") in hub.tell(Tick(), 2.0).writes
    assert hub.ask("confirm", alarm=SMOKE).writes == (Write(*LAMP, "off"),)


HOT: dict[str, Any] = {
    "rules": ((Rule("hot", Above(8, 7), priority=Priority.HIGH), (Target("hot", "cold-1", "temperature", "cold"),)),),
    "boot": "b1",
    **CONFIRMED,
}


def times_of(hub: Stepped, alarm: str, since: float) -> dict[str, int]:
    """When each step came, in seconds after `since`, while an hour passes."""
    found: dict[str, int] = {}
    for _ in range(12 * 60):
        pass_s(hub, 5)
        for event in hub.events():
            if event.get("alarm") == alarm:
                found.setdefault(event["change"], round(hub.mono - since))
    return found


@pytest.mark.parametrize("raised_first", [True, False])
@pytest.mark.parametrize("over_a_restart", [False, True])
def test_a_high_alarm_that_comes_back_from_its_shelf_has_to_be_seen_within_ten_minutes(
    raised_first: bool, over_a_restart: bool
) -> None:
    hub = Stepped(**HOT)
    if raised_first:
        hub.read("cold-1", temperature=20.0)
    hub.command("shelve", alarm="hot", for_s=1200, reason="a leaf of the door is open")
    hub.read("cold-1", temperature=20.0)
    hub.command("confirm", alarm="hot")
    if over_a_restart:
        before, hub = hub, Stepped(recovered=False, **HOT)
        hub.mono = before.mono
        hub.tell(Recovered("kept", PreviousRun("run1", 7, 99), dict(before.stored)))
    pass_s(hub, 1199)
    assert not {"re_alarmed", "escalated"} & {event.get("change") for event in hub.events()}
    pass_s(hub, 2)
    found = times_of(hub, "hot", hub.mono)
    assert {step: found[step] for step in ("re_alarmed", "escalated", "report_overdue")} == {
        "re_alarmed": 300,
        "escalated": 480,
        "report_overdue": 600,
    }
    assert "unconfirmed" not in found, "the platform has confirmed it"


def called(**changed: Any) -> Stepped:
    """A high alarm that nobody has confirmed, which calls with a siren of its own and with a lamp that sounds."""
    hub = Stepped(
        **HOT,
        outputs={SIREN: "off", LAMP: "off"},
        responses={"call": Response("call", {LAMP: Way("on", audible=True)}), **plan().responses},
        at_step={Change.UNCONFIRMED: "call"},
        **changed,
    )
    hub.read("cold-1", temperature=20.0)
    pass_s(hub, 101)
    assert hub.status().outputs["lamp.output"] == "on"
    return hub


def test_what_is_hidden_calls_nobody_for_its_report() -> None:
    hub = called()
    hub.command("out_of_service", alarm="hot", reason="repair")
    assert hub.status().outputs["lamp.output"] == "off"


def test_a_step_that_was_silenced_is_silent_when_the_alarm_is_told_again() -> None:
    hub = called()
    hub.command("silence", alarm="hot")
    pass_s(hub, 200)
    assert [event["change"] for event in hub.events() if event.get("alarm") == "hot"][-1] == "re_alarmed"
    assert hub.status().outputs["lamp.output"] == "off"


def test_an_alarm_that_becomes_high_while_it_stands_is_followed_from_then_on() -> None:
    (rule, targets), *_ = HOT["rules"]
    usual = {**HOT, "rules": ((replace(rule, priority=Priority.MEDIUM), targets),)}
    command = Command("r1", "reload", {}, "ada", "local", None, lambda _: None)
    hub = Stepped(**usual)
    hub.read("cold-1", temperature=20.0)
    pass_s(hub, 900)
    hub.tell(Reconfigured(replace(plan(), **HOT), command, (), frozenset(), frozenset({"gpio", "bus1"})))
    found = times_of(hub, "hot", hub.mono)
    assert {step: found[step] for step in TIMES} == TIMES
    hub.tell(Reconfigured(replace(plan(), **usual), command, (), frozenset(), frozenset({"gpio", "bus1"})))
    assert not [key for key in hub.stored if key.startswith("follow/")], "nor is it followed as a medium one"


def test_what_is_told_again_hours_after_it_was_seen_has_to_be_seen_again() -> None:
    (rule, targets), *_ = HOT["rules"]
    hub = Stepped(**{**HOT, "rules": ((replace(rule, re_alarm_s=7200), targets),)})
    hub.read("cold-1", temperature=20.0)
    hub.command("confirm", alarm="hot")
    hub.command("acknowledge", alarm="hot")
    pass_s(hub, 7199)
    hub.command("acknowledge", alarm="hot")
    found = times_of(hub, "hot", hub.mono)
    assert {"re_alarmed", "escalated", "report_overdue"} <= found.keys()
    assert "unconfirmed" not in found


@pytest.mark.parametrize(
    ("later_boot", "trust", "wait_s"),
    [
        ("b1", Trust.UNSYNCED, 40.0),  # one boot: monotonic time runs on
        ("b2", Trust.SYNCED, 40.0),  # by wall time
        ("b2", Trust.UNSYNCED, 100.0),  # nobody knows: it begins anew
    ],
)
def test_a_restart_goes_on_where_it_was(later_boot: str, trust: Trust, wait_s: float) -> None:
    before = Stepped(boot="b1", **CONFIRMED)
    before.read("smoke-1", smoke="alarm")
    pass_s(before, 50)
    after = Stepped(recovered=False, trust=trust, boot=later_boot, **CONFIRMED)
    after.mono = before.mono + 10.0
    after.tell(Recovered("kept", PreviousRun("run1", 7, 99), before.stored))
    pass_s(after, wait_s - 1)
    assert steps(after) == []
    pass_s(after, 2)
    assert steps(after) == ["unconfirmed"]


def test_what_was_told_before_a_restart_is_not_told_again() -> None:
    before = Stepped(boot="b1", **CONFIRMED)
    before.read("smoke-1", smoke="alarm")
    pass_s(before, 310)
    after = Stepped(recovered=False, boot="b1", **CONFIRMED)
    after.mono = before.mono + 1.0
    decision = after.tell(Recovered("kept", PreviousRun("run1", 7, 99), before.stored))
    views = [notice for notice in decision.notices if isinstance(notice, AlarmView) and notice.alarm == SMOKE]
    assert [view.report for view in views] == ["re_alarmed"]
    pass_s(after, 400)
    assert steps(after) == ["escalated", "report_overdue"]


def test_what_came_due_while_it_was_down_is_told_at_once_and_in_order() -> None:
    before = Stepped(boot="b1", **CONFIRMED)
    before.read("smoke-1", smoke="alarm")
    pass_s(before, 50)
    after = Stepped(recovered=False, boot="b1", **CONFIRMED)
    after.mono = before.mono + 440.0
    after.tell(Recovered("kept", PreviousRun("run1", 7, 99), before.stored))
    pass_s(after, 0.1)
    assert steps(after) == ["unconfirmed", "re_alarmed", "escalated"]
    pass_s(after, 108)
    assert "report_overdue" not in steps(after)
    pass_s(after, 2)
    assert steps(after)[3:] == ["report_overdue"]


@pytest.mark.parametrize("reload_s", [50, 150, 310, 500])
def test_a_reload_in_between_moves_no_step_and_repeats_none(reload_s: float) -> None:
    hub = Stepped(**CONFIRMED)
    hub.read("smoke-1", smoke="alarm")
    command = Command("r1", "reload", {}, "ada", "local", None, lambda _: None)
    site = replace(plan(), times=Times())
    links = frozenset(device.link for device in site.about.devices)
    seen: dict[str, int] = {}
    for second in range(10, 700, 10):
        pass_s(hub, 10)
        if second == reload_s:
            hub.tell(Reconfigured(site, command, ("something changed",), frozenset(), links))
        seen |= {step: second for step in steps(hub) if step not in seen}
    assert seen == TIMES
    assert steps(hub) == list(TIMES)


TIMES = {"unconfirmed": 100, "re_alarmed": 300, "escalated": 480, "report_overdue": 600}


@given(st.one_of(st.none(), st.integers(1, 700)), st.one_of(st.none(), st.integers(1, 700)))
def test_every_step_is_made_exactly_if_nobody_was_there_before(confirmed: int | None, seen: int | None) -> None:
    hub = Stepped(**CONFIRMED)
    hub.read("smoke-1", smoke="alarm")
    acts: list[tuple[float, str]] = sorted(
        (at + 0.5, name) for at, name in ((confirmed, "confirm"), (seen, "acknowledge")) if at is not None
    )
    passed = 0.0
    for at, name in acts:
        pass_s(hub, at - passed)
        passed = at
        hub.command(name, alarm=SMOKE)
    pass_s(hub, 800 - passed)
    by: dict[str, Any] = {
        "unconfirmed": confirmed,
        **dict.fromkeys(("re_alarmed", "escalated", "report_overdue"), seen),
    }
    expected = {step for step, at in TIMES.items() if by[step] is None or by[step] + 0.5 > at}
    assert set(steps(hub)) - {"confirmed"} == expected
