"""An output that does not take its value is an alarm of the gateway's own, until it has taken it."""

from __future__ import annotations

from typing import Any

from test_hub import SIREN, Stepped
from test_responses import HORN, LAMP, ON, restarted, site

from gateway.hub.outputcare import PATIENCE_S, output_failed
from gateway.model import Priority, Reason, Tick

ALARM = output_failed("siren")
OWN: dict[str, Any] = {"own": (ALARM, output_failed("lamp"))}


def gateway(**changed: Any) -> Stepped:
    return Stepped(**site({SIREN: HORN}), **OWN, **changed)


def changes(hub: Stepped, alarm: str = ALARM) -> list[tuple[str, str]]:
    events = [event for event in hub.events() if event.get("alarm") == alarm]
    return [(event["change"], event["priority"]) for event in events]


def wait(hub: Stepped, seconds: float) -> None:
    """Time passes, and the hub is woken when it wants to be."""
    end = hub.mono + seconds
    while hub.hub.wake <= end:
        hub.mono = max(hub.mono, hub.hub.wake)
        hub.tell(Tick())
    hub.mono = end


def test_a_siren_that_does_not_switch_on_is_a_high_alarm_after_five_seconds_and_ends_when_it_has() -> None:
    hub = gateway()
    assert hub.read("smoke-1", smoke="alarm").writes == (ON,)
    hub.read("siren", output=Reason.WRITE_FAILED)
    wait(hub, PATIENCE_S - 0.5)
    assert changes(hub) == []
    wait(hub, 1.0)
    assert changes(hub) == [("raised", Priority.HIGH)]
    (raised,) = [event for event in hub.events() if event.get("alarm") == ALARM]
    assert raised["text"] == "an output does not take its value: output should be on, and does not say so"
    hub.read("siren", output="on")
    assert changes(hub) == [("raised", "high"), ("cleared", "high")]


def test_one_that_takes_its_value_at_the_second_attempt_is_none() -> None:
    hub = gateway()
    hub.read("smoke-1", smoke="alarm")
    hub.read("siren", output=Reason.WRITE_FAILED)
    wait(hub, 1.5)
    hub.read("siren", output="on")
    wait(hub, 20.0)
    assert changes(hub) == []


def test_an_output_that_somebody_has_switched_by_hand_is_written_again_and_if_that_is_in_vain_an_alarm() -> None:
    hub = gateway()
    hub.read("lamp", output="off")
    hub.read("lamp", 5.0, output="on")
    wait(hub, PATIENCE_S + 1)
    assert changes(hub, output_failed("lamp")) == [("raised", Priority.MEDIUM)]
    assert [write for write in hub.tell(Tick(), after_s=1.0).writes if write.device == LAMP.device]


def test_an_alarm_of_the_run_before_ends_when_the_device_says_that_all_is_well() -> None:
    before = gateway()
    before.read("smoke-1", smoke="alarm")
    before.read("siren", output=Reason.WRITE_FAILED)
    wait(before, PATIENCE_S + 1)
    hub = restarted(before, **site({SIREN: HORN}), **OWN)
    assert ALARM in {view.alarm for view in hub.status().alarms}
    hub.read("siren", output="on")
    assert changes(hub) == [("cleared", "high")]
