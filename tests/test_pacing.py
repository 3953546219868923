"""Outputs that stay on and off for a least time; what does not wait for that: high alarms, silence, safe values."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_following import pass_s
from test_hub import SIREN, Stepped, plan
from test_responses import HORN, LAMP, OFF, ON, low, site, written_over

from gateway.config.installed import read_config
from gateway.errors import ConfigError
from gateway.hub.outputs import Outputs
from gateway.hub.plan import plan_of
from gateway.model import LinkBack, Value, Write
from gateway.rules.responses import PERSON, Claim, OutputPoint, Pace, Response, Way

FAN = OutputPoint("gpio", "fan", "output")
PACES = {FAN: Pace(min_on_s=10.0, min_off_s=30.0)}
SLOW = {SIREN: Pace(min_on_s=10.0, min_off_s=30.0)}


def settled(**changed: Any) -> Stepped:
    """A hub long after its start."""
    hub = Stepped(**{**site({SIREN: HORN}), **changed})
    pass_s(hub, 60.0)
    return hub


# -- the least times, in the hub


def test_an_output_stays_on_for_its_least_time_and_then_off_for_its_least_time() -> None:
    outputs = Outputs({FAN: "off"}, paces=PACES, mono=-1000.0)
    begin = 100.0

    def want(on: bool, mono: float) -> list[Value]:
        claims = {FAN: Claim("x", Way("on"), PERSON, mono)} if on else {}
        return [switch.write.value for switch in outputs.claim("x", claims, mono)]

    assert want(True, begin) == ["on"]
    assert want(False, begin + 1) == []
    assert outputs.wake == begin + 10
    assert [switch.write.value for switch in outputs.elapse(begin + 10)] == ["off"]
    assert want(True, begin + 11) == []
    assert outputs.wake == begin + 40
    assert want(False, begin + 12) == [], "and nobody wants it any more: nothing happens at all"
    assert outputs.elapse(begin + 40) == []
    assert want(True, begin + 41) == ["on"]


def test_what_waits_is_told_when_it_is_done_with_who_wanted_it() -> None:
    outputs = Outputs({FAN: "off"}, paces=PACES, mono=0.0)
    assert outputs.claim("warm", {FAN: Claim("warm", Way("on"), PERSON, 5.0)}, 5.0) == []
    assert outputs.wanted() == {"fan.output": "off"}
    (switch,) = outputs.elapse(30.0)
    assert (switch.write, switch.why) == (Write(*FAN, "on"), "warm")
    assert switch.level is not None
    assert outputs.wanted() == {"fan.output": "on"}


@given(st.lists(st.tuples(st.integers(min_value=1, max_value=20), st.booleans()), max_size=40))
def test_whatever_is_wanted_no_level_is_shorter_than_its_least_time(wishes: list[tuple[int, bool]]) -> None:
    outputs, mono, last, level = Outputs({FAN: "off"}, paces=PACES, mono=0.0), 0.0, 0.0, "off"
    wanted = "off"

    def note(values: list[Value]) -> None:
        nonlocal last, level
        for value in values:
            assert value != level
            assert mono - last >= (10.0 if level == "on" else 30.0)
            last, level = mono, str(value)

    for after_s, on in wishes:
        until = mono + after_s
        while outputs.wake < until:
            mono = outputs.wake
            note([switch.write.value for switch in outputs.elapse(mono)])
        mono, wanted = until, "on" if on else "off"
        claims = {FAN: Claim("x", Way("on"), PERSON, mono)} if on else {}
        note([switch.write.value for switch in outputs.claim("x", claims, mono)])
    mono += 30.0
    note([switch.write.value for switch in outputs.elapse(mono)])
    assert level == wanted, "in the end it is what is wanted"


def test_after_a_start_an_output_has_just_been_switched_to_its_safe_value() -> None:
    outputs = Outputs({FAN: "off"}, paces=PACES, mono=500.0)
    assert outputs.claim("x", {FAN: Claim("x", Way("on"), PERSON, 501.0)}, 501.0) == []
    assert outputs.wake == 530.0


def test_an_output_that_is_new_with_a_reload_has_just_been_switched_to_its_safe_value() -> None:
    outputs = Outputs({LAMP: "off"}, mono=0.0)
    outputs.change({LAMP: "off", FAN: "off"}, (), PACES, 500.0)
    assert outputs.claim("x", {FAN: Claim("x", Way("on"), PERSON, 501.0)}, 501.0) == []
    assert outputs.wake == 530.0


# -- what does not wait


def test_a_high_alarm_waits_for_no_pace() -> None:
    hub = Stepped(**site({SIREN: HORN}), paces=SLOW)
    assert hub.read("smoke-1", smoke="alarm").writes == (ON,), "a second after the start"


def test_a_low_alarm_waits_and_a_high_one_that_comes_meanwhile_does_not() -> None:
    response = Response("evacuate", {SIREN: HORN})
    hub = settled(paces=SLOW, **low(response))
    assert hub.read("cold-1", temperature=-5.0).writes == (ON,)
    assert hub.read("cold-1", after_s=1.0, temperature=-20.0).writes == ()
    assert written_over(hub, 20.0) == [(9.0, OFF)]
    assert hub.read("cold-1", temperature=-5.0).writes == (), "it is off for 11 s now"
    assert hub.read("smoke-1", after_s=1.0, smoke="alarm").writes == (ON,)


def test_a_siren_that_is_silenced_is_off_at_once() -> None:
    hub = Stepped(**site({SIREN: HORN}), paces={SIREN: Pace(min_on_s=600.0)})
    hub.read("smoke-1", smoke="alarm")
    assert OFF in hub.ask("silence").writes


def test_a_link_that_opens_has_switched_its_outputs_so_that_their_least_time_begins_anew() -> None:
    hub = settled(paces={LAMP: Pace(min_off_s=30.0)})
    assert hub.ask("set_output", output="lamp", value="on", for_s=600, reason="night").writes == (Write(*LAMP, "on"),)
    assert hub.tell(LinkBack(LAMP.link, 3.0), after_s=5.0).writes == ()
    assert written_over(hub, 60.0) == [(30.0, Write(*LAMP, "on"))]


def test_a_link_that_opens_gets_what_a_high_alarm_wants_at_once() -> None:
    hub = Stepped(**site({SIREN: HORN}), paces=SLOW)
    hub.read("smoke-1", smoke="alarm")
    assert hub.tell(LinkBack(SIREN.link, 3.0), after_s=5.0).writes == (ON,)


# -- the configuration

SITE = """\
site: {{id: s, timezone: UTC}}
gateway: {{id: g}}
links: {{gpio: {{type: gpio, factory: mock}}}}
devices:
  door: {{driver: contact, link: gpio, pin: 17, kind: door, zone: z, points: {{door: {{{door}}}}}}}
  fan: {{driver: relay, link: gpio, pin: 22, zone: z, points: {{output: {{{fan}}}}}}}
rules:
  open: {{point: door.door, equals: open, for: 0s, response: air}}
responses:
  air: {{set: {{fan: "on"}}, {air}}}
"""


def written(folder: Path, fan: str = "", door: str = "", air: str = "") -> Path:
    path = folder / "site.yaml"
    path.write_text(SITE.format(fan=fan, door=door, air=air), encoding="utf-8")
    return path


def refusal(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        read_config(path)
    (told,) = caught.value.problems
    return told.removeprefix(f"{path}:")


def test_the_pace_of_an_output_stands_in_its_points(tmp_path: Path) -> None:
    config = read_config(written(tmp_path, fan="min_on: 10s, min_off: 30s"))
    assert plan_of(config, "run1").paces == PACES
    assert plan_of(read_config(written(tmp_path)), "run1").paces == {}


def test_what_is_no_output_has_no_pace(tmp_path: Path) -> None:
    told = refusal(written(tmp_path, door="min_on: 10s"))
    assert (
        told == "5:85: devices.door.points.door.min_on: door is no output that this gateway switches; leave min_on out"
    )


@pytest.mark.parametrize(
    ("pulse", "key", "lasts", "least"), [("[3s, 40s]", "min_on", "3s", "10s"), ("[20s, 2s]", "min_off", "2s", "30s")]
)
def test_a_pulse_is_not_shorter_than_the_pace(tmp_path: Path, pulse: str, key: str, lasts: str, least: str) -> None:
    told = refusal(written(tmp_path, fan="min_on: 10s, min_off: 30s", air=f"pulse: {{fan: {pulse}}}"))
    what = f"{lasts} is less than {key} of fan.output, {least}; pulse more slowly, or leave {key} out"
    assert told == f"10:40: responses.air.pulse.fan: {what}"


def test_a_plan_without_paces_is_as_before() -> None:
    assert replace(plan(), paces={}) == plan()
