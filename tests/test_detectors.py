"""Smoke detectors under test, taken out, faulty: each is shown as what it is, and hides no other."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_hub import Stepped, plan
from test_responses import ON, SMOKE, SMOKE_2, restarted

from gateway.hub.alarm import Target
from gateway.hub.plan import Reconfigured
from gateway.model import (
    AlarmState,
    AlarmView,
    Command,
    Lane,
    PreviousRun,
    Priority,
    Reason,
    Recovered,
    Tick,
    Trust,
)
from gateway.rules.condition import Equals
from gateway.rules.judge import Rule

FAULTS = Rule("smoke-fault", Equals("fault"))
SENSED = Rule("any-smoke", Equals("alarm", unknown="fault"), priority=Priority.HIGH, latch=True, response="evacuate")
BOTH = ("smoke-1", "smoke-2")


def on_detectors(*rules: Rule) -> tuple[Any, ...]:
    """These rules on both detectors."""
    return tuple(
        (it, tuple(Target(f"{it.id}@{n}.smoke", n, "smoke", "sorting", "smoke") for n in BOTH)) for it in rules
    )


def detectors(**changed: Any) -> Stepped:
    """A site with two detectors in one zone, both at rest."""
    hub = Stepped(**{"rules": (*on_detectors(SENSED, FAULTS), *plan().rules[:1]), **changed})
    for name in BOTH:
        hub.read(name, smoke="normal")
    return hub


def shown(hub: Stepped) -> dict[str, Any]:
    return {point.device: point.value for point in hub.status().points if point.kind == "smoke"}


def states(hub: Stepped) -> dict[str, AlarmState]:
    return {view.alarm: view.state for view in hub.status().alarms if view.rule}


def own(hub: Stepped) -> dict[str, str]:
    """The gateway's own alarms that stand, and what is wrong."""
    active = {AlarmState.UNACK_ACTIVE, AlarmState.ACK_ACTIVE}
    return {view.alarm: view.text for view in hub.status().alarms if not view.rule and view.state in active}


def siren(hub: Stepped) -> str:
    return hub.status().outputs["siren.output"]


def telemetry(hub: Stepped, device: str) -> list[dict[str, Any]]:
    records = [json.loads(record.text) for record in hub.records if record.lane is Lane.TELEMETRY]
    return [record for record in records if record["device"] == device]


def of(hub: Stepped, name: str) -> list[dict[str, Any]]:
    return [event for event in hub.events() if event["event"] == name]


# -- under test


def test_under_test_a_detector_that_signals_shows_test_and_calls_nobody() -> None:
    hub = detectors()
    assert hub.command("test_mode", zone="sorting", reason="monthly test").result == "done"
    assert hub.read("smoke-1", smoke="alarm").writes == ()
    assert shown(hub) == {"smoke-1": "test", "smoke-2": "normal"}
    assert states(hub) == {}
    assert telemetry(hub, "smoke-1")[-1] == {"device": "smoke-1", "values": {"smoke": "test"}, "test": True}
    assert [(it["change"], it["device"]) for it in of(hub, "detector")] == [("tested", "smoke-1")]


def test_under_test_a_fault_is_a_fault_and_a_detector_at_rest_is_at_rest() -> None:
    hub = detectors()
    hub.command("test_mode", zone="sorting", reason="monthly test")
    hub.read("smoke-1", smoke="fault")
    hub.read("smoke-2", smoke="normal")
    assert shown(hub) == {"smoke-1": "fault", "smoke-2": "normal"}
    hub.read("smoke-2", smoke=Reason.NO_REPLY)
    assert telemetry(hub, "smoke-2")[-1]["bad"] == {"smoke": "no_reply"}


def test_a_detector_that_is_taken_out_proves_nothing_under_test() -> None:
    hub = detectors()
    hub.command("disable", device="smoke-1", for_s=600, reason="painting")
    hub.command("test_mode", zone="sorting", reason="monthly test")
    for name in BOTH:
        hub.read(name, smoke="alarm")
    assert [it["device"] for it in of(hub, "detector") if it["change"] == "tested"] == ["smoke-2"]


def test_every_message_of_a_zone_under_test_says_so_and_none_of_another() -> None:
    hub = detectors()
    hub.read("cold-1", temperature=0.0)
    hub.read("cold-1", 61, temperature=0.0)
    hub.read("smoke-2", smoke="fault")
    assert [view.test for view in hub.status().alarms] == [False, False]
    decision = hub.ask("test_mode", zone="sorting", reason="monthly test")
    marked = {it.alarm: it.test for it in decision.notices if isinstance(it, AlarmView)}
    assert marked == {"smoke-fault@smoke-2.smoke": True, "test-mode@gateway": False}
    hub.read("smoke-2", smoke="normal")
    assert hub.events()[-1]["test"] is True
    hub.read("cold-1", temperature=-20.0)
    assert "test" not in hub.events()[-1]
    assert "test" not in telemetry(hub, "cold-1")[-1]
    decision = hub.ask("test_mode", zone="sorting", for_s=0, reason="done")
    marked = {it.alarm: it.test for it in decision.notices if isinstance(it, AlarmView)}
    assert marked["smoke-fault@smoke-2.smoke"] is False


def test_a_test_is_for_half_an_hour_unless_said_for_four_hours_at_most_and_ends_by_itself() -> None:
    hub = detectors()
    assert "14400 at most" in hub.command("test_mode", zone="sorting", for_s=14_401, reason="x").detail
    hub.command("test_mode", zone="sorting", reason="monthly test")
    assert hub.hub.wake <= hub.mono + 1800
    hub.tell(Tick(), 1799)
    assert "sorting until" in own(hub)["test-mode@gateway"]
    hub.tell(Tick(), 1)
    assert own(hub) == {}
    assert [it["change"] for it in of(hub, "test_mode")] == ["begun", "ended"]
    assert (of(hub, "test_mode")[0]["by"], of(hub, "test_mode")[0]["why"]) == ("Ada", "monthly test")
    assert "by" not in of(hub, "test_mode")[1]
    assert [key for key in hub.stored if key.startswith("test/")] == []


@pytest.mark.parametrize("end", ["time", "person"])
def test_what_signals_when_a_test_ends_is_an_alarm_at_once(end: str) -> None:
    hub = detectors()
    hub.command("test_mode", zone="sorting", for_s=60, reason="x")
    hub.read("smoke-1", 58, smoke="alarm")
    decision = hub.ask("test_mode", zone="sorting", for_s=0, reason="y") if end == "person" else hub.tell(Tick(), 2)
    assert ON in decision.writes
    assert states(hub)[SMOKE] is AlarmState.UNACK_ACTIVE


def test_a_word_from_long_ago_is_no_alarm_at_the_end_of_a_test() -> None:
    hub = detectors()
    hub.command("test_mode", zone="sorting", for_s=600, reason="x")
    hub.read("smoke-1", smoke="alarm")
    assert hub.tell(Tick(), 600).writes == ()
    assert hub.read("smoke-1", smoke="alarm").writes == (ON,)


def test_no_test_begins_where_a_detector_signals() -> None:
    hub = detectors()
    hub.read("smoke-1", smoke="alarm")
    assert "smoke-1.smoke signals smoke" in hub.command("test_mode", zone="sorting", reason="x").detail
    assert siren(hub) == "on"


def test_a_test_of_a_zone_leaves_the_detectors_of_others_alone() -> None:
    about = plan().about
    moved = tuple(it if it.device != "smoke-2" else replace(it, zone="sorting-2") for it in about.devices)
    hub = detectors(about=replace(about, devices=moved))
    hub.command("test_mode", zone="sorting", reason="x")
    assert hub.read("smoke-2", smoke="alarm").writes == (ON,)
    assert "test" not in telemetry(hub, "smoke-2")[-1]


def test_a_test_goes_on_after_a_restart_and_ends_in_time() -> None:
    hub = detectors()
    hub.command("test_mode", zone="sorting", for_s=600, reason="x")
    later = restarted(hub, 300, rules=on_detectors(SENSED))
    assert later.read("smoke-1", smoke="alarm").writes == ()
    assert shown(later)["smoke-1"] == "test"
    assert own(later)
    assert later.tell(Tick(), 299).writes == ()
    later.read("smoke-1", smoke="alarm")
    assert ON in later.tell(Tick(), 1).writes


def test_a_test_whose_time_nobody_knows_has_ended() -> None:
    hub = detectors()
    hub.command("test_mode", zone="sorting", for_s=600, reason="x")
    later = restarted(hub, 10, Trust.UNSYNCED, rules=on_detectors(SENSED))
    assert later.read("smoke-1", smoke="alarm").writes == (ON,)
    assert own(later) == {}
    assert [it["change"] for it in of(later, "test_mode")] == ["ended"]


def test_a_test_has_ended_where_a_clock_that_was_put_back_leaves_more_time_than_that() -> None:
    hub = detectors()
    hub.command("test_mode", zone="sorting", for_s=600, reason="x")
    later = restarted(hub, -10 * 3600, rules=on_detectors(SENSED))
    assert later.read("smoke-1", smoke="alarm").writes == (ON,)


def test_a_test_ends_with_the_detectors_of_its_zone() -> None:
    hub = detectors()
    hub.command("test_mode", zone="sorting", reason="x")
    others = tuple(it for it in plan().about.devices if not it.device.startswith("smoke"))
    other = replace(plan(), about=replace(plan().about, devices=others), rules=())
    asked = Command("r", "reload", {}, "Ada", "local", None, print)
    hub.tell(Reconfigured(other, asked, (), frozenset(), frozenset()))
    assert [it["change"] for it in of(hub, "test_mode")] == ["begun", "ended"]


@pytest.mark.parametrize(
    ("args", "why"),
    [
        ({"zone": "sorting"}, "needs a reason"),
        ({"zone": "sorting", "reason": " "}, "needs a reason"),
        ({"zone": "sorting", "reason": "x\n"}, "needs a reason"),
        ({"zone": "sortin", "reason": "x"}, "a zone with smoke detectors; there are: sorting"),
        ({"zone": "cold-store", "reason": "x"}, "a zone with smoke detectors; there are: sorting"),
        ({"reason": "x"}, "a zone with smoke detectors; there are: sorting"),
        ({"zone": "sorting", "reason": "x", "for_s": "1h"}, "for_s must be how many seconds"),
        ({"zone": "sorting", "reason": "x", "for_s": True}, "for_s must be how many seconds"),
        ({"zone": "sorting", "reason": "x", "for_s": float("nan")}, "for_s must be how many seconds"),
        ({"zone": "sorting", "reason": "x", "for_s": 0}, "zone sorting is not under test"),
    ],
)
def test_a_test_that_makes_no_sense_is_refused_in_words(args: dict[str, Any], why: str) -> None:
    reply = detectors().command("test_mode", **args)
    assert (reply.result, why in reply.detail) == ("refused", True), reply.detail


# -- taken out


def test_a_detector_that_is_taken_out_is_shown_as_that_until_it_is_put_back() -> None:
    hub = detectors()
    assert hub.command("disable", device="smoke-1", for_s=3600, reason="painting").result == "done"
    assert shown(hub)["smoke-1"] == "disabled"
    assert "by Ada: painting" in own(hub)["detector-disabled@smoke-1"]
    assert hub.read("smoke-1", smoke="alarm").writes == ()
    assert hub.read("smoke-2", smoke="alarm").writes == (ON,)
    assert ON not in hub.ask("enable", device="smoke-1", reason="painted").writes  # it is on
    assert states(hub)[SMOKE] is AlarmState.UNACK_ACTIVE
    assert own(hub) == {}
    told = [(it["change"], it["by"], it["why"]) for it in of(hub, "detector")]
    assert told == [("disabled", "Ada", "painting"), ("enabled", "Ada", "painted")]


def test_a_silent_detector_that_is_taken_out_is_no_fault() -> None:
    hub = detectors()
    hub.read("smoke-1", smoke=Reason.NO_REPLY)
    hub.command("disable", device="smoke-1", for_s=3600, reason="head removed")
    hub.read("smoke-1", smoke=Reason.NO_REPLY)
    (status,) = (it for it in hub.status().points if it.device == "smoke-1")
    assert (status.value, status.quality) == ("disabled", "good")


def test_a_detector_comes_back_by_itself_and_survives_a_restart_until_then() -> None:
    hub = detectors()
    hub.command("disable", device="smoke-1", for_s=3600, reason="painting")
    later = restarted(hub, 1800, rules=on_detectors(SENSED))
    assert later.read("smoke-1", smoke="alarm").writes == ()
    later.tell(Tick(), 1795)
    later.read("smoke-1", smoke="alarm")
    assert ON in later.tell(Tick(), 5).writes
    assert of(later, "detector")[-1]["change"] == "enabled"


@pytest.mark.parametrize(
    ("name", "args", "why"),
    [
        ("disable", {"device": "smoke-1", "for_s": 60}, "needs a reason"),
        ("disable", {"device": "smoke-1", "reason": "x"}, "disable needs for_s"),
        ("disable", {"device": "smoke-1", "reason": "x", "for_s": 8 * 86_400}, "604800 at most"),
        ("disable", {"device": "siren", "reason": "x", "for_s": 9}, "siren is no smoke detector; there are: smoke-1"),
        ("disable", {"device": ["x"], "reason": "x", "for_s": 9}, "is no smoke detector"),
        ("enable", {"device": "smoke-1", "reason": "x"}, "smoke-1.smoke is not disabled"),
    ],
)
def test_a_detector_is_taken_out_by_name_with_a_reason_and_an_end(name: str, args: dict[str, Any], why: str) -> None:
    reply = detectors().command(name, **args)
    assert (reply.result, why in reply.detail) == ("refused", True), reply.detail


# -- faults


def test_a_fault_is_no_absence_of_smoke() -> None:
    hub = detectors()
    hub.read("smoke-1", smoke="alarm")
    hub.read("smoke-1", smoke="fault")
    assert states(hub)[SMOKE] is AlarmState.UNACK_ACTIVE
    assert siren(hub) == "on"
    hub.read("smoke-1", smoke="normal")
    assert states(hub)[SMOKE] is AlarmState.LATCHED_UNACK


def test_what_a_driver_calls_a_sensor_fault_is_a_word_and_nothing_bad() -> None:
    hub = detectors()
    hub.read("smoke-1", smoke=Reason.SENSOR_FAULT)
    assert telemetry(hub, "smoke-1")[-1] == {"device": "smoke-1", "values": {"smoke": "fault"}}


def test_a_fault_masks_no_alarm_of_its_zone() -> None:
    hub = detectors()
    hub.read("smoke-1", smoke="fault")
    assert states(hub) == {"smoke-fault@smoke-1.smoke": AlarmState.UNACK_ACTIVE}
    assert hub.read("smoke-2", smoke="alarm").writes == (ON,)
    assert hub.read("smoke-1", smoke="alarm").writes == ()
    assert {SMOKE, SMOKE_2} <= states(hub).keys()


def test_a_detector_that_does_not_answer_is_shown_as_a_fault() -> None:
    hub = detectors()
    hub.read("smoke-1", smoke=Reason.NO_REPLY)
    (status,) = (it for it in hub.status().points if it.device == "smoke-1")
    assert (status.value, status.quality) == ("fault", "no_reply")


def test_a_detector_of_which_nothing_comes_is_shown_as_a_fault_and_one_that_is_taken_out_as_that() -> None:
    hub = detectors()
    hub.command("disable", device="smoke-2", for_s=3600, reason="painting")
    hub.tell(Tick(), after_s=3 * 2.0 + 1)
    assert shown(hub) == {"smoke-1": "fault", "smoke-2": "disabled"}


# -- reset


def latched(**changed: Any) -> Stepped:
    hub = detectors(**changed)
    hub.read("smoke-1", smoke="alarm")
    hub.command("acknowledge", alarm=SMOKE)
    hub.read("smoke-1", smoke="normal")
    return hub


def test_an_alarm_on_smoke_is_reset_with_a_reason_alone() -> None:
    hub = latched()
    assert "with a reason alone" in hub.command("reset", alarm=SMOKE).detail
    assert hub.command("reset", alarm=SMOKE, reason="burnt toast").result == "done"
    assert (hub.events()[-3]["by"], hub.events()[-3]["why"]) == ("Ada", "burnt toast")


@pytest.mark.parametrize(("word", "why"), [("fault", "says fault"), (Reason.NO_REPLY, "has not been heard lately")])
def test_no_alarm_is_reset_whose_detector_cannot_be_seen_at_rest(word: str | Reason, why: str) -> None:
    hub = latched()
    hub.read("smoke-1", 21, smoke=word)
    assert why in hub.command("reset", alarm=SMOKE, reason="x").detail
    hub.command("disable", device="smoke-1", for_s=3600, reason="burnt")
    assert hub.command("reset", alarm=SMOKE, reason="x").result == "done"


def test_what_signals_after_a_reset_is_a_new_alarm() -> None:
    hub = latched()
    hub.command("reset", alarm=SMOKE, reason="x")
    assert hub.read("smoke-1", 2, smoke="alarm").writes == (ON,)


# -- whatever people do


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                ["alarm", "normal", "fault", "bad", "test_mode", "end", "disable", "enable", "wait", "restart"]
            ),
            st.sampled_from(BOTH),
        ),
        max_size=30,
    )
)
def test_smoke_is_an_alarm_unless_a_person_has_said_otherwise(steps: list[tuple[str, str]]) -> None:
    rules = on_detectors(SENSED)
    hub = detectors(rules=rules)
    tested, out = -1.0, dict.fromkeys(BOTH, -1.0)
    for what, device in steps:
        match what:
            case "alarm" | "normal" | "fault" | "bad":
                hub.read(device, 1, smoke=Reason.NO_REPLY if what == "bad" else what)
                if what == "alarm":
                    expected = "disabled" if out[device] > hub.mono else "test" if tested > hub.mono else "alarm"
                    assert shown(hub)[device] == expected
                    active = states(hub).get(f"any-smoke@{device}.smoke") in {
                        AlarmState.UNACK_ACTIVE,
                        AlarmState.ACK_ACTIVE,
                    }
                    assert active == (expected == "alarm")
            case "test_mode":
                if hub.command("test_mode", zone="sorting", for_s=40, reason="x").result == "done":
                    tested = hub.mono + 40
            case "end":
                if hub.command("test_mode", zone="sorting", for_s=0, reason="x").result == "done":
                    tested = -1.0
            case "disable":
                hub.command("disable", device=device, for_s=50, reason="x")
                out[device] = hub.mono + 50
            case "enable":
                hub.command("enable", device=device, reason="x")
                out[device] = -1.0
            case "wait":
                hub.tell(Tick(), 15)
            case "restart":
                hub = restarted(hub, 3, rules=rules)


@given(st.dictionaries(st.sampled_from(["test/sorting", "test/", "disabled/smoke-1.smoke", "disabled/x"]), st.text()))
def test_whatever_was_stored_smoke_is_heard(stored: dict[str, str]) -> None:
    hub = Stepped(recovered=False)
    hub.tell(Recovered("kept", PreviousRun("run1", 7, 99), stored))
    assert hub.read("smoke-1", smoke="alarm").writes == (ON,)


def test_a_rule_may_call_for_something_of_its_own_under_test() -> None:
    walk = Rule("walk-test", Equals("test"), priority=Priority.LOW, response="evacuate")
    hub = detectors(rules=on_detectors(walk))
    hub.command("test_mode", zone="sorting", reason="x")
    assert hub.read("smoke-1", smoke="alarm").writes == (ON,)
    assert hub.status().alarms[0].test
