"""In a flood alarms of low priority are told together; none is lost, and no other waits."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from test_hub import SIREN, Stepped

from gateway.hub.alarm import Target
from gateway.hub.flooding import MOST_NAMED
from gateway.model import Decision, PreviousRun, Priority, Recovered, Stopping, Tick, Write
from gateway.rules.condition import Above
from gateway.rules.judge import Rule
from gateway.rules.responses import Response, Way


def site(count: int = 40) -> dict[str, Any]:
    """So many points with a low limit each, one with a medium and one with a high one."""
    names = [f"p{number}" for number in range(count)]
    low = Rule("low", Above(0, 0), priority=Priority.LOW, response="light", hold_chattering=False)
    targets = tuple(Target(f"low@cold-1.{name}", "cold-1", name, "hall") for name in names)
    others = (
        (Rule("medium", Above(0, 0)), (Target("medium", "cold-1", "m", "hall"),)),
        (Rule("high", Above(0, 0), priority=Priority.HIGH), (Target("high", "cold-1", "h", "hall"),)),
    )
    return {"rules": ((low, targets), *others), "responses": {"light": Response("light", {SIREN: Way("on")})}}


def raised(hub: Stepped, first: int, last: int, **also: float) -> Decision:
    return hub.read("cold-1", 1.0, **{f"p{number}": 1.0 for number in range(first, last)}, **also)


def told(hub: Stepped, event: str) -> list[dict[str, Any]]:
    return [it for it in hub.events() if it["event"] == event]


def singly(hub: Stepped) -> list[str]:
    """The alarms that people were told of one by one."""
    return [it["alarm"] for it in told(hub, "alarm") if it["change"] == "raised" and "batched" not in it]


def summed(hub: Stepped) -> list[str]:
    return [alarm for it in told(hub, "alarms_batched") for alarm in it["alarms"]]


def test_the_eleventh_alarm_begins_a_flood_and_those_of_low_priority_after_it_wait_for_a_summary() -> None:
    hub = Stepped(**site())
    raised(hub, 0, 10)
    assert told(hub, "flood") == []
    raised(hub, 10, 15, m=1.0, h=1.0)
    assert told(hub, "flood") == [{"event": "flood", "change": "began", "last_10_min": 11}]
    assert singly(hub) == [f"low@cold-1.p{n}" for n in range(11)] + ["medium", "high"]
    hub.tell(Tick(), 59.0)
    assert summed(hub) == []
    hub.tell(Tick(), 1.1)
    assert told(hub, "alarms_batched") == [
        {"event": "alarms_batched", "alarms": [f"low@cold-1.p{n}" for n in range(11, 15)], "events": 4}
    ]


def test_every_change_has_its_event_and_its_state_all_the_same() -> None:
    hub = Stepped(**site())
    raised(hub, 0, 20)
    hub.read("cold-1", 1.0, p19=0.0)
    changes = [(it["change"], it.get("batched")) for it in told(hub, "alarm") if it["alarm"] == "low@cold-1.p19"]
    assert changes == [("raised", True), ("cleared", True)]
    assert len(hub.status().alarms) == 20
    assert "alarm/low@cold-1.p19" in hub.stored


def test_outputs_and_acts_of_people_wait_for_nothing() -> None:
    hub = Stepped(**site())
    raised(hub, 0, 11, m=1.0)
    for number in range(11):
        hub.read("cold-1", **{f"p{number}": 0.0})
    assert raised(hub, 12, 13).writes == (Write(*SIREN, "on"),)
    hub.command("acknowledge", alarm="low@cold-1.p12")
    assert "batched" not in told(hub, "alarm")[-1]


def test_the_end_of_a_flood_is_told_after_its_last_summary() -> None:
    hub = Stepped(**site())
    raised(hub, 0, 11)
    hub.tell(Tick(), 590.0)
    raised(hub, 11, 14)
    assert hub.hub.wake <= hub.mono + 60.0
    while hub.mono < 1000.0 + 660.0:
        hub.tell(Tick(), 1.0)
    assert [it["event"] for it in hub.events() if it["event"] in {"flood", "alarms_batched"}] == [
        "flood", "alarms_batched", "flood",
    ]  # fmt: skip
    assert told(hub, "flood")[-1]["change"] == "ended"
    raised(hub, 20, 21)
    assert singly(hub)[-1] == "low@cold-1.p20"


def test_a_summary_that_a_crash_prevented_is_told_by_the_next_run() -> None:
    before = Stepped(**site())
    raised(before, 0, 14)
    hub = Stepped(recovered=False, **site())
    hub.mono, hub.stored = before.mono + 5.0, dict(before.stored)
    hub.tell(Recovered("kept", PreviousRun("run1", 7, 99), dict(before.stored)))
    assert summed(hub) == [f"low@cold-1.p{n}" for n in range(11, 14)]
    assert not [key for key in hub.stored if key.startswith("batched/")]


def test_a_run_that_is_stopped_tells_what_waits() -> None:
    hub = Stepped(**site())
    raised(hub, 0, 14)
    hub.tell(Stopping("stopped"))
    assert [it["event"] for it in hub.events()][-2:] == ["alarms_batched", "stopped"]


def test_a_summary_names_so_many_and_no_more() -> None:
    hub = Stepped(**site(250))
    raised(hub, 0, 250)
    hub.tell(Tick(), 61.0)
    sizes = [len(it["alarms"]) for it in told(hub, "alarms_batched")]
    assert sizes == [MOST_NAMED, MOST_NAMED, 39]


@given(st.lists(st.tuples(st.sampled_from([0.5, 20.0, 100.0, 300.0]), st.integers(0, 39), st.booleans()), max_size=80))
def test_whoever_hears_single_events_and_summaries_hears_of_every_alarm(steps: list[tuple[float, int, bool]]) -> None:
    hub = Stepped(**site())
    for seconds, number, up in steps:
        hub.tell(Tick(), seconds)
        hub.read("cold-1", **{f"p{number}": 1.0 if up else 0.0})
    hub.tell(Stopping("stopped"))
    alarms = [it for it in told(hub, "alarm") if it["change"] in {"raised", "cleared"}]
    waiting = {it["alarm"] for it in alarms if "batched" in it}
    assert set(summed(hub)) == waiting
    assert sum(it["events"] for it in told(hub, "alarms_batched")) == sum("batched" in it for it in alarms)
    assert {key for key in hub.stored if key.startswith("batched/")} == set()
