"""Responses: outputs by rank, in pulses and for a time, undone as configured, silenced, set and tried by people."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from test_following import pass_s
from test_hub import SIREN, T0, Stepped, plan

from gateway.hub.alarm import Target
from gateway.hub.plan import Reconfigured
from gateway.model import (
    AlarmView,
    Command,
    Decision,
    LinkBack,
    PreviousRun,
    Priority,
    Reason,
    Recovered,
    Tick,
    Trust,
    Write,
)
from gateway.rules.condition import Above, AtLeast, Equals, Term
from gateway.rules.following import Times
from gateway.rules.judge import Rule
from gateway.rules.responses import Pulse, Response, Until, Way

SMOKE, SMOKE_2 = "any-smoke@smoke-1.smoke", "any-smoke@smoke-2.smoke"
LAMP = SIREN._replace(device="lamp")
ON, OFF = Write(*SIREN, "on"), Write(*SIREN, "off")
HORN = Way("on", audible=True)
WAILING = Way("on", Pulse(3.0, 1.0), audible=True)


def site(outputs: dict[Any, Way], until: Until = Until.CLEARED, **changed: Any) -> dict[str, Any]:
    """The plan's site with a lamp, and these outputs in the response to smoke."""
    responses = {"evacuate": Response("evacuate", outputs, "Leave", until=until)}
    return {"outputs": {SIREN: "off", LAMP: "off"}, "responses": responses, **changed}


def low(response: Response) -> dict[str, Any]:
    """The plan's rules, of which `warm` is low, at once, and has this response."""
    warm = Rule("warm", Above(-15, -16), priority=Priority.LOW, response=response.id)
    of_point = (Target("warm", "cold-1", "temperature", "cold-store"),)
    return {"rules": ((warm, of_point), *plan().rules[1:])}


def restarted(before: Stepped, after_s: float = 10.0, trust: Trust = Trust.SYNCED, **changed: Any) -> Stepped:
    """The same gateway after a crash."""
    hub = Stepped(recovered=False, trust=trust, **changed)
    hub.mono = before.mono + after_s
    hub.stored = dict(before.stored)
    hub.tell(Recovered("kept", PreviousRun("run1", 7, 99), before.stored))
    return hub


def switched(hub: Stepped) -> list[Any]:
    return [(it["value"], it["why"]) for it in hub.events() if it["event"] == "output" and it["result"] == "switched"]


def changes(hub: Stepped, alarm: str = SMOKE) -> list[str]:
    return [event["change"] for event in hub.events() if event.get("alarm") == alarm]


def written_over(hub: Stepped, seconds: float) -> list[tuple[float, Write]]:
    """What is written, and when, while time passes and the hub is woken when it wants to be."""
    begin, end, found = hub.mono, hub.mono + seconds, []
    while hub.hub.wake <= end:
        hub.mono = max(hub.mono, hub.hub.wake)
        found += [(round(hub.mono - begin, 6), write) for write in hub.tell(Tick()).writes]
    hub.mono = end
    return found  # type: ignore[return-value]


# -- pulses and times


def test_a_siren_wails_three_seconds_on_and_one_off_for_as_long_as_the_alarm_stands() -> None:
    hub = Stepped(**site({SIREN: WAILING}))
    assert hub.read("smoke-1", smoke="alarm").writes == (ON,)
    assert written_over(hub, 9.0) == [(3.0, OFF), (4.0, ON), (7.0, OFF), (8.0, ON)]
    assert hub.command("acknowledge", alarm=SMOKE).result == "done"
    hub.read("smoke-1", smoke="normal")
    assert OFF in hub.ask("reset", alarm=SMOKE, reason="dust").writes
    assert written_over(hub, 60.0) == []


def test_pulses_do_not_drift_and_one_that_is_late_delays_no_other() -> None:
    hub = Stepped(**site({SIREN: Way("on", Pulse(0.7, 0.4))}))
    hub.read("smoke-1", smoke="alarm")
    begin = hub.mono
    edges: list[float] = []
    hub.command("acknowledge", alarm=SMOKE)  # else it would re-alarm, and begin anew
    while len(edges) < 5000:
        hub.mono = max(hub.mono, hub.hub.wake) + 0.003  # the hub is always a little late
        if hub.tell(Tick()).writes:
            edges.append(hub.mono - begin)
    right = [1.1 * (number // 2) + (0.7 if number % 2 == 0 else 1.1) for number in range(len(edges))]
    assert all(0 <= at - wanted < 0.007 for at, wanted in zip(edges, right, strict=True))


def test_a_pulse_that_ends_as_somebodys_time_is_over_ends() -> None:
    hub = Stepped(**site({SIREN: WAILING}))
    hub.read("smoke-1", smoke="alarm")
    hub.ask("set_output", output="lamp", value="on", for_s=3, reason="night")
    assert written_over(hub, 3.0) == [(3.0, OFF), (3.0, Write(*LAMP, "off"))]


def test_pulses_are_no_events_and_wake_nobody_while_no_output_is_on() -> None:
    hub = Stepped(**site({SIREN: WAILING}))
    calm = hub.hub.wake
    hub.read("smoke-1", smoke="alarm")
    pass_s(hub, 20.0)
    outputs = [event for event in hub.events() if event["event"] == "output"]
    assert [(event["value"], event["pulse_s"]) for event in outputs] == [("on", [3.0, 1.0])]
    hub.read("smoke-1", smoke="normal")
    hub.command("acknowledge", alarm=SMOKE)
    hub.command("reset", alarm=SMOKE, reason="dust")
    hub.tell(Tick())
    assert hub.hub.wake >= calm


def test_a_siren_that_sounds_for_a_minute_at_most_is_off_after_it_and_sounds_for_the_next_alarm() -> None:
    hub = Stepped(**site({SIREN: Way("on", at_most_s=60.0)}))
    hub.read("smoke-1", smoke="alarm")
    assert written_over(hub, 120.0) == [(60.0, OFF)]
    assert switched(hub) == [("on", SMOKE), ("off", SMOKE)]
    assert hub.read("smoke-2", smoke="alarm").writes == (ON,)
    hub.read("smoke-1", smoke="normal")
    assert hub.read("smoke-1", smoke="alarm").writes == ()
    pass_s(hub, 61.0)
    assert hub.status().outputs == {"siren.output": "off", "lamp.output": "off"}


@pytest.mark.parametrize(
    ("boot", "trust", "left_s"),
    [("b1", Trust.UNSYNCED, 20.0), ("b2", Trust.SYNCED, 20.0), ("b2", Trust.UNSYNCED, 60.0)],
)
def test_the_longest_time_goes_on_over_a_restart(boot: str, trust: Trust, left_s: float) -> None:
    plan_of_both = site({SIREN: Way("on", at_most_s=60.0)})
    before = Stepped(boot="b1", **plan_of_both)
    before.read("smoke-1", smoke="alarm")
    pass_s(before, 30.0)
    hub = restarted(before, 10.0, trust, boot=boot, **plan_of_both)
    assert hub.status().outputs["siren.output"] == "on"
    assert written_over(hub, 100.0) == [(left_s, OFF)]
    again = restarted(hub, 0.0, trust, boot=boot, **plan_of_both)
    if boot == "b1":
        assert again.status().outputs["siren.output"] == "off"


def test_a_pulsing_siren_that_fails_is_said_once_and_tried_until_it_is_right() -> None:
    hub = Stepped(**site({SIREN: WAILING}))
    hub.read("smoke-1", smoke="alarm")
    for _ in range(4):
        hub.read("siren", 0.5, output=Reason.WRITE_FAILED)
        hub.tell(Tick(), 0.6)
    assert len([event for event in hub.events() if event.get("result") == "failed"]) == 1
    hub.tell(LinkBack("gpio", 3.0))
    assert (0.0, OFF) not in written_over(hub, 0.1)


# -- when it is undone


@pytest.mark.parametrize(
    ("until", "seen", "cleared", "acknowledged", "reset"),
    [
        (Until.CLEARED, True, True, True, False),  # one that latches is over with the reset
        (Until.ACKNOWLEDGED, True, True, False, False),
        (Until.RESET, True, True, True, False),
    ],
)
def test_a_response_to_a_latching_alarm_is_undone_as_configured(
    until: Until, seen: bool, cleared: bool, acknowledged: bool, reset: bool
) -> None:
    hub = Stepped(**site({SIREN: HORN}, until))
    found = []
    hub.read("smoke-1", smoke="alarm")
    found.append(hub.status().outputs["siren.output"] == "on")
    hub.read("smoke-1", smoke="normal")
    found.append(hub.status().outputs["siren.output"] == "on")
    for act in ("acknowledge", "reset"):
        hub.command(act, alarm=SMOKE, reason="dust")
        found.append(hub.status().outputs["siren.output"] == "on")
    assert found == [seen, cleared, acknowledged, reset]


@pytest.mark.parametrize(
    ("until", "after_the_end", "after_the_acknowledgement"),
    [(Until.CLEARED, False, False), (Until.ACKNOWLEDGED, True, False), (Until.RESET, True, False)],
)
def test_a_response_to_an_alarm_that_ends_by_itself_is_undone_as_configured(
    until: Until, after_the_end: bool, after_the_acknowledgement: bool
) -> None:
    lamp = Response("show", {LAMP: Way("on")}, until=until)
    hub = Stepped(outputs={SIREN: "off", LAMP: "off"}, responses={**plan().responses, "show": lamp}, **low(lamp))
    hub.read("cold-1", temperature=0.0)
    hub.read("cold-1", 1.0, temperature=-20.0)
    assert (hub.status().outputs["lamp.output"] == "on") is after_the_end
    hub.command("acknowledge", alarm="warm")
    assert (hub.status().outputs["lamp.output"] == "on") is after_the_acknowledgement


# -- whose output it is


def test_a_high_alarm_has_the_output_before_a_low_one_which_gets_it_back() -> None:
    quiet = Response("quiet", {SIREN: Way("on", Pulse(1.0, 9.0))})
    responses = {"evacuate": Response("evacuate", {SIREN: HORN}), "quiet": quiet}
    hub = Stepped(responses=responses, **low(quiet))
    hub.read("cold-1", temperature=0.0)
    assert written_over(hub, 1.5) == [(1.0, OFF)]
    assert hub.read("smoke-1", smoke="alarm").writes == (ON,)
    assert written_over(hub, 30.0) == []
    hub.read("smoke-1", smoke="normal")
    hub.command("acknowledge", alarm=SMOKE)
    hub.command("reset", alarm=SMOKE, reason="dust")
    assert len(written_over(hub, 20.0)) >= 3
    assert hub.status().outputs == {"siren.output": "on"}


def test_among_equals_the_first_stays() -> None:
    rules = (
        (Rule("one", Equals("alarm"), response="on"), (Target("one", "smoke-1", "smoke", ""),)),
        (Rule("two", Equals("alarm"), response="off"), (Target("two", "smoke-2", "smoke", ""),)),
    )
    responses = {"on": Response("on", {SIREN: Way("on")}), "off": Response("off", {SIREN: Way("off")})}
    hub = Stepped(rules=rules, responses=responses)
    assert hub.read("smoke-1", smoke="alarm").writes == (ON,)
    assert hub.read("smoke-2", smoke="alarm").writes == ()
    assert hub.read("smoke-1", smoke="normal").writes == (OFF,)
    assert hub.read("smoke-1", smoke="alarm").writes == (), "it comes after the other now"


# -- silence


def test_silence_switches_off_what_sounds_and_leaves_the_lamp() -> None:
    hub = Stepped(**site({SIREN: WAILING, LAMP: Way("on")}))
    hub.read("smoke-1", smoke="alarm")
    decision = hub.ask("silence", alarm=SMOKE, reason="on the telephone")
    assert decision.writes == (OFF,)
    assert hub.status().outputs == {"siren.output": "off", "lamp.output": "on"}
    told = next(event for event in hub.events() if event.get("change") == "silenced")
    assert (told["by"], told["why"], told["silenced"]) == ("Ada", "on the telephone", True)
    assert next(view for view in decision.notices if isinstance(view, AlarmView)).silenced
    assert written_over(hub, 60.0) == []


def test_a_new_detector_sounds_again_and_only_for_itself() -> None:
    hub = Stepped(**site({SIREN: HORN}))
    hub.read("smoke-1", smoke="alarm")
    assert hub.ask("silence").writes == (OFF,)
    assert hub.read("smoke-1", 2.0, smoke="alarm").writes == ()
    assert hub.read("smoke-2", smoke="alarm").writes == (ON,)
    assert hub.ask("silence", alarm=SMOKE_2).writes == (OFF,)
    assert [view.silenced for view in hub.status().alarms] == [True, True]


def test_an_alarm_that_comes_again_sounds_again() -> None:
    hub = Stepped(**site({SIREN: HORN}))
    hub.read("smoke-1", smoke="alarm")
    hub.command("silence", alarm=SMOKE)
    hub.read("smoke-1", 1.0, smoke="normal")
    assert hub.read("smoke-1", 1.0, smoke="alarm").writes == (ON,)
    assert not hub.status().alarms[0].silenced


def test_a_high_alarm_that_nobody_has_seen_sounds_again_when_it_re_alarms() -> None:
    hub = Stepped(times=Times(), **site({SIREN: HORN}))
    hub.read("smoke-1", smoke="alarm")
    hub.command("silence")
    assert written_over(hub, 299.0) == []
    assert written_over(hub, 2.0) == [(1.0, ON)]


def test_the_next_detector_of_an_alarm_made_of_several_sounds_again() -> None:
    two = AtLeast(1, tuple(Term(name, "smoke", Equals("alarm")) for name in ("smoke-1", "smoke-2")))
    rule = Rule("fire", two, priority=Priority.HIGH, response="evacuate")
    hub = Stepped(rules=((rule, (Target("fire", "smoke-1", "smoke", "", "smoke"),)),), **site({SIREN: HORN}))
    hub.read("smoke-1", smoke="alarm")
    hub.command("silence", alarm="fire")
    assert hub.read("smoke-1", 1.0, smoke="alarm").writes == ()
    assert hub.read("smoke-2", smoke="alarm").writes == (ON,)
    assert changes(hub, "fire") == ["raised", "silenced", "resounded"]
    hub.read("smoke-2", smoke="normal")
    hub.read("smoke-2", smoke="alarm")
    assert changes(hub, "fire") == ["raised", "silenced", "resounded"]


def test_silence_survives_a_restart() -> None:
    before = Stepped(**site({SIREN: HORN, LAMP: Way("on")}))
    before.read("smoke-1", smoke="alarm")
    before.command("silence")
    hub = restarted(before, **site({SIREN: HORN, LAMP: Way("on")}))
    assert hub.status().outputs == {"siren.output": "off", "lamp.output": "on"}
    assert hub.status().alarms[0].silenced
    assert hub.read("smoke-2", smoke="alarm").writes == (ON,)


def test_what_does_not_sound_cannot_be_silenced() -> None:
    hub = Stepped(**site({SIREN: Way("on")}))
    assert hub.command("silence").detail == "nothing sounds"
    hub.read("smoke-1", smoke="alarm")
    assert hub.command("silence", alarm=SMOKE).detail == "nothing sounds for this alarm"
    assert hub.command("silence", alarm="nix").detail == "there is no alarm 'nix'"
    assert hub.command("silence", alarm=5).result == "refused"
    assert hub.command("silence", reason="\n").result == "refused"


# -- a response that is tried


def test_a_response_is_tried_without_an_alarm_and_undone_by_itself() -> None:
    hub = Stepped(**site({SIREN: WAILING, LAMP: Way("on")}))
    decision = hub.ask("test_response", response="evacuate", for_s=5)
    assert decision.writes == (ON, Write(*LAMP, "on"))
    assert [write for _, write in written_over(hub, 60.0)] == [OFF, ON, OFF, Write(*LAMP, "off")]
    told = [event for event in hub.events() if event["event"] == "output"]
    assert all(event["test"] for event in told)
    assert [event["result"] for event in told] == ["held"] * 2 + ["switched"] * 2 + ["let_go"] * 2 + ["switched"] * 2
    assert (told[0]["by"], told[0]["response"], told[0]["until"]) == ("Ada", "evacuate", T0 + 1_005_000)
    assert told[2]["why"] == "test of evacuate by Ada"
    assert not [key for key in hub.stored if key.startswith("claim/")]
    assert changes(hub) == []


def test_an_alarm_goes_before_a_trial_and_goes_on_after_it() -> None:
    hub = Stepped(**site({SIREN: WAILING}))
    hub.command("test_response", response="evacuate", for_s=5)
    hub.read("smoke-1", 1.0, smoke="alarm")
    assert written_over(hub, 8.0)[:2] == [(3.0, OFF), (4.0, ON)], "the alarm's own pulses"
    assert hub.status().outputs["siren.output"] == "on"


def test_a_trial_does_not_outlive_its_run() -> None:
    before = Stepped(**site({SIREN: HORN}))
    before.command("test_response", response="evacuate", for_s=600)
    hub = restarted(before, 1.0, **site({SIREN: HORN}))
    assert hub.status().outputs["siren.output"] == "off"
    ended = hub.events()[-1]
    assert (ended["result"], ended["response"], ended["by"]) == ("let_go", "evacuate", "Ada")
    assert not [key for key in hub.stored if key.startswith("claim/")]


@pytest.mark.parametrize(
    ("args", "why"),
    [
        ({"response": "nix", "for_s": 5}, "there is no response 'nix'; there are: evacuate"),
        ({"for_s": 5}, "there is no response 'None'"),
        ({"response": "evacuate"}, "test_response needs for_s, for how many seconds, 600 at most"),
        ({"response": "evacuate", "for_s": 601}, "test_response needs for_s"),
        ({"response": "evacuate", "for_s": 0}, "test_response needs for_s"),
        ({"response": "evacuate", "for_s": True}, "test_response needs for_s"),
        ({"response": "evacuate", "for_s": float("nan")}, "test_response needs for_s"),
    ],
)
def test_a_trial_that_cannot_be_is_refused(args: dict[str, Any], why: str) -> None:
    reply = Stepped().command("test_response", **args)
    assert reply.result == "refused"
    assert reply.detail.startswith(why)


# -- an output that a person sets


def test_a_person_sets_an_output_for_a_time_with_a_reason() -> None:
    hub = Stepped(**site({SIREN: HORN}))
    decision = hub.ask("set_output", output="lamp", value="on", for_s=60, reason="loading")
    assert decision.writes == (Write(*LAMP, "on"),)
    held = next(event for event in hub.events() if event.get("result") == "held")
    assert (held["by"], held["why"], held["value"], held["until"]) == ("Ada", "loading", "on", T0 + 1_060_000)
    assert written_over(hub, 100.0) == [(60.0, Write(*LAMP, "off"))]
    assert "let_go" in [event.get("result") for event in hub.events()]
    assert [why for _, why in switched(hub)] == ["set by Ada: loading"] * 2


def test_what_a_high_alarm_wants_on_nobody_sets_off() -> None:
    hub = Stepped(**site({SIREN: HORN}))
    hub.command("set_output", output="siren", value="off", for_s=3600, reason="painting it")
    assert hub.read("smoke-1", smoke="alarm").writes == (ON,), "set before"
    reply = hub.command("set_output", output="siren", value="off", for_s=60, reason="too loud")
    assert reply.detail == f"the high alarm {SMOKE} wants it on"


def test_a_person_goes_before_an_alarm_that_is_not_high() -> None:
    show = Response("show", {LAMP: Way("on")})
    hub = Stepped(outputs={SIREN: "off", LAMP: "off"}, responses={**plan().responses, "show": show}, **low(show))
    hub.read("cold-1", temperature=0.0)
    off = hub.ask("set_output", output="lamp.output", value="off", for_s=60, reason="dazzles")
    assert off.writes == (Write(*LAMP, "off"),)
    assert hub.ask("set_output", output="lamp", value="auto", reason="done").writes == (Write(*LAMP, "on"),)
    assert hub.command("set_output", output="lamp", value="auto", reason="x").detail == "nobody has set lamp.output"


@pytest.mark.parametrize(
    ("boot", "trust", "goes_on"),
    [("b1", Trust.UNSYNCED, True), ("b2", Trust.SYNCED, True), ("b2", Trust.UNSYNCED, False)],
)
def test_what_a_person_set_goes_on_over_a_restart_for_the_rest_of_its_time(
    boot: str, trust: Trust, goes_on: bool
) -> None:
    before = Stepped(boot="b1", **site({SIREN: HORN}))
    before.command("set_output", output="lamp", value="on", for_s=60, reason="loading")
    hub = restarted(before, 20.0, trust, boot=boot, **site({SIREN: HORN}))
    assert (hub.status().outputs["lamp.output"] == "on") is goes_on
    assert written_over(hub, 100.0) == ([(40.0, Write(*LAMP, "off"))] if goes_on else [])
    assert hub.events()[-1]["result"] in {"switched", "let_go"}
    assert not [key for key in hub.stored if key.startswith("claim/")]


def test_what_is_set_and_no_longer_configured_is_let_go() -> None:
    before = Stepped(**site({SIREN: HORN}))
    before.command("set_output", output="lamp", value="on", for_s=60, reason="loading")
    hub = restarted(before)
    assert not [key for key in hub.stored if key.startswith("claim/")]


@pytest.mark.parametrize(
    ("args", "why"),
    [
        ({"value": "on", "for_s": 5, "reason": "x"}, "set_output needs output"),
        ({"output": "nix", "value": "on", "for_s": 5, "reason": "x"}, "nix is no such output; there are: siren.output"),
        ({"output": "siren", "value": "loud", "for_s": 5, "reason": "x"}, "set_output needs value"),
        ({"output": "siren", "value": "on", "reason": "x"}, "set_output needs for_s"),
        ({"output": "siren", "value": "on", "for_s": 86401, "reason": "x"}, "set_output needs for_s"),
        ({"output": "siren", "value": "on", "for_s": 5}, "set_output needs a reason"),
        ({"output": "siren", "value": "on", "for_s": 5, "reason": "x" * 300}, "reason must be"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(args: dict[str, Any], why: str) -> None:
    reply = Stepped().command("set_output", **args)
    assert reply.result == "refused"
    assert reply.detail.startswith(why)


def test_of_a_board_with_several_outputs_one_has_to_be_named() -> None:
    outputs = {SIREN._replace(point=name): "off" for name in ("do1", "do2")}
    hub = Stepped(outputs=outputs, responses={}, rules=())
    reply = hub.command("set_output", output="siren", value="on", for_s=5, reason="x")
    assert reply.detail == "siren is several outputs; there are: siren.do1, siren.do2"
    assert hub.command("set_output", output="siren.do2", value="on", for_s=5, reason="x").result == "done"


# -- another configuration


def reload(hub: Stepped, anew: frozenset[str] = frozenset(), **changed: Any) -> Decision:
    """Goes on by another configuration."""
    asked = Command(f"r{len(hub.records)}", "reload", {}, "Ada", "local", None, lambda _: None)
    return hub.tell(Reconfigured(replace(plan(), **changed), asked, (), anew, frozenset({"gpio"})))


def test_a_reload_keeps_silence_times_and_what_people_hold() -> None:
    long = {SIREN: Way("on", at_most_s=60.0, audible=True), LAMP: Way("off")}
    hub = Stepped(**site(long))
    hub.read("smoke-1", smoke="alarm")
    hub.command("set_output", output="lamp", value="on", for_s=100, reason="loading")
    assert hub.status().outputs["lamp.output"] == "off", "a high alarm wants it off"
    pass_s(hub, 20.0)
    hub.command("silence")
    assert reload(hub, **site(long)).writes == ()
    assert hub.status().alarms[0].silenced
    hub.read("smoke-2", smoke="alarm")
    assert written_over(hub, 59.0) == []
    assert [write for _, write in written_over(hub, 2.0)] == [OFF]


def test_what_a_reload_changes_of_a_response_holds_at_once() -> None:
    hub = Stepped(**site({SIREN: HORN, LAMP: Way("on")}))
    hub.read("smoke-1", smoke="alarm")
    assert reload(hub, **site({LAMP: WAILING})).writes == (OFF, Write(*LAMP, "on"))
    assert written_over(hub, 4.0) == [(3.0, Write(*LAMP, "off")), (4.0, Write(*LAMP, "on"))]
    assert reload(hub, **site({})).writes == (Write(*LAMP, "off"),)
    assert written_over(hub, 30.0) == []


def test_a_trial_of_what_a_reload_changes_ends_and_others_go_on() -> None:
    hub = Stepped(**site({SIREN: HORN}))
    hub.command("test_response", response="evacuate", for_s=60)
    assert reload(hub, **site({SIREN: HORN})).writes == ()
    assert reload(hub, **site({SIREN: HORN, LAMP: HORN})).writes == (OFF,)
    assert not [key for key in hub.stored if key.startswith("claim/")]


def test_an_output_that_a_reload_takes_away_has_no_owner_any_more() -> None:
    hub = Stepped(**site({SIREN: HORN}))
    hub.command("set_output", output="lamp", value="on", for_s=60, reason="loading")
    reload(hub, **{**site({SIREN: HORN}), "outputs": {SIREN: "off"}})
    assert hub.events()[-1]["event"] != "switched"
    assert not [key for key in hub.stored if key.startswith("claim/")]
    reload(hub, **site({SIREN: HORN}))
    assert hub.status().outputs["lamp.output"] == "off"


def test_an_output_on_a_device_that_is_polled_anew_is_written_again() -> None:
    hub = Stepped(**site({SIREN: HORN}))
    hub.read("smoke-1", smoke="alarm")
    assert reload(hub, frozenset({"siren"}), **site({SIREN: HORN})).writes == (ON,)


# -- what people are told


def test_who_is_to_be_told_and_the_other_languages_stand_in_alarm_and_event() -> None:
    told = Response("evacuate", {SIREN: HORN}, "Leave", {"zh": "请离开"}, ("shift leader", "fire warden"))
    hub = Stepped(responses={"evacuate": told})
    decision = hub.read("smoke-1", smoke="alarm")
    view = next(notice for notice in decision.notices if isinstance(notice, AlarmView))
    assert (view.say, view.say_in, view.tell) == ("Leave", {"zh": "请离开"}, ("shift leader", "fire warden"))
    event = next(event for event in hub.events() if event["event"] == "alarm")
    assert (event["say"], event["say_in"], event["tell"]) == (
        "Leave",
        {"zh": "请离开"},
        ["shift leader", "fire warden"],
    )


def test_switching_needs_no_journal_and_leaves_at_once() -> None:
    hub = Stepped(recovered=False, **site({SIREN: WAILING, LAMP: Way("on", at_most_s=60.0)}))
    assert hub.read("smoke-1", smoke="alarm").writes == (ON, Write(*LAMP, "on"))
    hub.tell(Recovered("new", None, {}), 0.5)
    assert [event["event"] for event in hub.events()] == ["started", "alarm", "output", "output"]
    assert f"claim/{SMOKE}" in hub.stored
