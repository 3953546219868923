"""A warning and an alarm on one point tell one story: while the greater stands, the lesser calls nobody."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from test_hub import SIREN, Stepped, plan

from gateway.hub.alarm import Target
from gateway.hub.plan import Reconfigured
from gateway.model import AlarmState, Command, Hiding, PreviousRun, Priority, Recovered, Write
from gateway.rules.condition import Above, Below, Condition
from gateway.rules.judge import Rule
from gateway.rules.responses import OutputPoint, Response, Way

LAMP = OutputPoint("gpio", "lamp", "output")
AT = Target("", "cold-1", "temperature", "cold-store")


def limit(name: str, condition: Condition, priority: Priority, response: str | None = None) -> Any:
    return Rule(name, condition, priority=priority, response=response), (AT._replace(alarm=name),)


WARM = limit("warm", Above(8, 7), Priority.MEDIUM, "light")
HOT = limit("hot", Above(12, 11), Priority.HIGH, "evacuate")


def site(*rules: Any, **changed: Any) -> dict[str, Any]:
    responses = {"light": Response("light", {LAMP: Way("on")}), "evacuate": Response("evacuate", {SIREN: Way("on")})}
    return {"rules": rules, "responses": responses, "outputs": {SIREN: "off", LAMP: "off"}, "boot": "b1", **changed}


def read(hub: Stepped, value: float) -> tuple[Any, ...]:
    return hub.read("cold-1", 1.0, temperature=value).writes


def changes(hub: Stepped) -> list[tuple[str, str]]:
    return [(it["alarm"], it["change"]) for it in hub.events() if it["event"] == "alarm"]


def hidden(hub: Stepped) -> dict[str, Any]:
    return {view.alarm: view.hidden for view in hub.status().alarms}


def test_a_warning_is_explained_while_the_alarm_stands_and_calls_again_after_it() -> None:
    hub = Stepped(**site(WARM, HOT))
    assert read(hub, 9.0) == (Write(*LAMP, "on"),)
    assert set(read(hub, 13.0)) == {Write(*SIREN, "on")}, "what the warning has switched stays: it has got worse"
    found = hidden(hub)["warm"]
    assert (found.how, found.by, found.why) == (Hiding.SUPPRESSED, "hot", "above 12 (ends at 11)")
    assert hidden(hub)["hot"] is None
    assert set(read(hub, 10.0)) == {Write(*SIREN, "off")}
    assert changes(hub) == [
        ("warm", "raised"),
        ("hot", "raised"),
        ("warm", "suppressed"),
        ("hot", "cleared"),
        ("warm", "unsuppressed"),
    ]


def test_both_at_once_are_the_greater_alone() -> None:
    hub = Stepped(**site(WARM, HOT))
    assert set(read(hub, 13.0)) == {Write(*SIREN, "on"), Write(*LAMP, "on")}
    load = hub.status().health.alarms
    assert load is not None
    assert (load.active, load.last_10_min) == (1, 1)
    assert {view.alarm: view.state for view in hub.status().alarms} == dict.fromkeys(
        ("warm", "hot"), AlarmState.UNACK_ACTIVE
    )
    assert set(read(hub, 5.0)) == {Write(*SIREN, "off"), Write(*LAMP, "off")}
    assert changes(hub) == [
        ("warm", "raised"),
        ("warm", "suppressed"),
        ("hot", "raised"),
        ("warm", "cleared"),
        ("warm", "unsuppressed"),
        ("hot", "cleared"),
    ]


def test_what_is_hidden_itself_explains_nothing() -> None:
    hub = Stepped(**site(WARM, HOT))
    read(hub, 13.0)
    hub.command("out_of_service", alarm="hot", reason="repair")
    assert hidden(hub)["warm"] is None
    assert hub.status().outputs == {"siren.output": "off", "lamp.output": "on"}
    hub.command("in_service", alarm="hot")
    assert hidden(hub)["warm"] is not None
    assert hub.status().outputs == {"siren.output": "on", "lamp.output": "on"}


@pytest.mark.parametrize(
    "other",
    [
        limit("cold", Below(20, 20), Priority.HIGH),
        limit("same", Above(12, 11), Priority.MEDIUM),
        limit("sooner", Above(6, 5), Priority.HIGH),
    ],
)
def test_another_side_an_equal_priority_or_a_nearer_limit_is_another_story(other: Any) -> None:
    hub = Stepped(**site(WARM, other))
    read(hub, 13.0)
    assert hidden(hub)["warm"] is None


def test_three_limits_below_are_one_story_too() -> None:
    low = limit("low", Below(2, 3), Priority.LOW)
    lower = limit("lower", Below(0, 1), Priority.MEDIUM)
    lowest = limit("lowest", Below(-5, -4), Priority.HIGH)
    hub = Stepped(**site(lowest, low, lower))
    read(hub, -9.0)
    assert {alarm for alarm, how in hidden(hub).items() if how is None} == {"lowest"}
    read(hub, -3.0)
    assert {alarm for alarm, how in hidden(hub).items() if how is None} == {"lowest", "lower"}


@pytest.mark.parametrize("poll_first", [True, False])
def test_a_restart_tells_nothing_of_it_again(poll_first: bool) -> None:
    before = Stepped(**site(WARM, HOT))
    read(before, 13.0)
    hub = Stepped(recovered=False, **site(WARM, HOT))
    hub.mono, hub.stored = before.mono + 1.0, dict(before.stored)
    if poll_first:
        read(hub, 13.0)
    hub.tell(Recovered("kept", PreviousRun("run1", 7, 99), dict(before.stored)))
    read(hub, 13.0)
    assert changes(hub) == []
    assert hidden(hub)["warm"] is not None
    assert hub.status().outputs == {"siren.output": "on", "lamp.output": "on"}


def test_a_configuration_without_the_greater_explains_nothing_any_more() -> None:
    hub = Stepped(**site(WARM, HOT))
    read(hub, 13.0)
    asked = Command("r1", "reload", {}, "Ada", "local", None, lambda _: None)
    other = replace(plan(), **site(WARM))
    hub.tell(Reconfigured(other, asked, (), frozenset(), frozenset({"gpio", "bus1"})))
    assert hidden(hub) == {"warm": None}
    assert hub.status().outputs == {"siren.output": "off", "lamp.output": "on"}


def test_who_silences_an_alarm_silences_what_it_explains_with_it() -> None:
    sounds = {
        name: Response(name, {at: Way("on", audible=True)}) for name, at in (("light", LAMP), ("evacuate", SIREN))
    }
    hub = Stepped(**site(WARM, HOT, responses=sounds))
    read(hub, 13.0)
    assert hub.command("silence", alarm="hot").result == "done"
    assert hub.status().outputs == {"siren.output": "off", "lamp.output": "off"}
