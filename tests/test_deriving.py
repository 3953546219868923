"""Derived points: judged with the reading they follow from, kept over restarts and reloads, told late if need be."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from test_hub import T0, Stepped, plan

from gateway.derive.derivation import Derivation, Outcome, Told
from gateway.driver import point
from gateway.hub.alarm import Target
from gateway.hub.deriving import Deriving
from gateway.hub.plan import Plan, Reconfigured
from gateway.model import (
    Command,
    DeviceAbout,
    Json,
    Moment,
    PreviousRun,
    Priority,
    Reading,
    Reason,
    Recovered,
    Tick,
    Trust,
    Write,
)
from gateway.refine.exception import Limit
from gateway.rules.condition import Above, Equals
from gateway.rules.judge import Rule

BEFORE = PreviousRun("run1", 7, 99)


class Openings(Derivation):
    """How often a point was another word than at rest; a person may set it. Told again after a minute."""

    remembers: ClassVar[bool] = True
    commands: ClassVar[frozenset[str]] = frozenset({"set_openings"})

    def __init__(self, rest: str) -> None:
        self._rest, self._open, self._total = rest, False, 0

    def take(self, reading: Reading, now: Moment) -> Outcome:
        word = next(iter(reading.values.values()), None)
        if word is None:
            return Outcome(bad={"openings": Reason.SILENT})
        opened = word != self._rest and not self._open
        self._open = word != self._rest
        self._total += opened
        self.wake = now.mono + 60
        events = (Told("opened", {"total": self._total}),) if opened and self._total == 3 else ()
        return Outcome({"openings": self._total}, events=events, changed=opened)

    def elapse(self, now: Moment) -> Outcome:
        self.wake = now.mono + 60
        return Outcome({"openings": self._total})

    def act(self, name: str, args: Mapping[str, Json], issuer: str, now: Moment) -> Outcome | str:
        if not isinstance(args.get("to"), int):
            return f"{name} needs a number, {issuer}"
        self._total = int(str(args["to"]))
        return Outcome({"openings": self._total}, changed=True)

    def stored(self) -> Json:
        return {"total": self._total}

    def restore(self, stored: Json, now: Moment) -> Outcome:
        if isinstance(stored, dict) and isinstance(stored.get("total"), int):
            self._total += int(str(stored["total"]))
        return Outcome(changed=True)


class BothSmoke(Derivation):
    """Whether two detectors see smoke: a device that is made of others."""

    def __init__(self) -> None:
        self._seen: dict[str, bool] = {}

    def take(self, reading: Reading, now: Moment) -> Outcome:
        self._seen[reading.device] = reading.values.get("smoke") == "alarm"
        return Outcome({"both": "on" if sum(self._seen.values()) == 2 else "off"})


def site(**changed: Any) -> Plan:
    """The plan of test_hub with openings of smoke-1, and a device `pair` of both detectors that calls the siren."""
    before = plan()
    smoke_1, pair = before.about.devices[1], (point("both", "status"),)
    devices = (
        before.about.devices[0],
        replace(smoke_1, points=(*smoke_1.points, point("openings", "pulses"))),
        *before.about.devices[2:],
        DeviceAbout("pair", "", "pair", "", "sorting", pair, (), derived_from=("smoke-1", "smoke-2")),
    )
    both = Rule("both", Equals("on"), priority=Priority.HIGH, response="evacuate")
    often = Rule("often", Above(2, 2))
    rules = (
        (both, (Target("both", "pair", "both", "sorting"),)),
        (often, (Target("often", "smoke-1", "openings", "sorting"),)),
    )
    whole = replace(
        before,
        about=replace(before.about, devices=devices),
        rules=rules,
        limits={**before.limits, "pair": {"both": Limit()}},
        every_s={**before.every_s, "pair": 2.0},
        derivations={"smoke-1": Openings("normal"), "pair": BothSmoke()},
        sources={"pair": ("smoke-1", "smoke-2")},
    )
    return replace(whole, **changed)


class Site(Stepped):
    """A hub that derives."""

    def __init__(self, state: dict[str, str] | None = None, **kept: Any) -> None:
        whole = site()
        changed = {name: getattr(whole, name) for name in ("about", "rules", "limits", "every_s", "sources")}
        super().__init__(state, derivations=whole.derivations, **changed, **kept)

    def told(self, device: str, name: str) -> list[Any]:
        """All recorded values of a point, in their order."""
        lines = [json.loads(record.text) for record in self.records]
        return [
            line["values"][name] for line in lines if line.get("device") == device and name in line.get("values", {})
        ]


def test_what_follows_from_a_reading_is_in_the_same_record() -> None:
    hub = Site()
    decision = hub.read("smoke-1", smoke="alarm")
    own = [json.loads(record.text) for record in decision.records if '"values"' in record.text]
    assert own[0] == {"device": "smoke-1", "values": {"smoke": "alarm", "openings": 1}}


def test_a_rule_on_a_device_that_is_made_of_others_switches_the_siren_in_the_same_decision() -> None:
    hub = Site()
    hub.read("smoke-1", smoke="alarm")
    decision = hub.read("smoke-2", smoke="alarm")
    assert Write("gpio", "siren", "output", "on") in decision.writes
    assert [event["alarm"] for event in hub.events() if event.get("change") == "raised"] == ["both"]
    assert hub.told("pair", "both") == ["off", "on"]


def test_events_and_state_leave_with_the_reading_that_they_follow_from() -> None:
    hub = Site()
    for _ in range(3):
        hub.read("smoke-1", 1.0, smoke="normal")
        decision = hub.read("smoke-1", 1.0, smoke="alarm")
    assert json.loads(decision.records[-1].text)["event"] == "opened"
    assert {"event": "opened", "device": "smoke-1", "total": 3} in hub.events()
    assert [change.key for change in decision.state if change.key.startswith("derived/")] == ["derived/smoke-1"]
    assert hub.stored["derived/smoke-1"] == '{"total":3}'
    assert "often" in [event.get("alarm") for event in hub.events()]


def test_after_a_restart_it_goes_on_from_what_was_stored() -> None:
    hub = Site({"derived/smoke-1": '{"total":41}'})
    hub.read("smoke-1", smoke="alarm")
    assert hub.told("smoke-1", "openings")[-1] == 42


def test_before_the_journal_has_answered_the_reading_goes_on_and_the_derivation_is_told_later() -> None:
    hub = Site(recovered=False)
    decision = hub.read("smoke-1", smoke="alarm")
    assert json.loads(decision.records[0].text)["values"] == {"smoke": "alarm"}, "without waiting for the total"
    hub.read("smoke-1", 0.1, smoke="normal")
    hub.read("smoke-1", 0.1, smoke="alarm")
    hub.tell(Recovered("kept", BEFORE, {"derived/smoke-1": '{"total":10}'}), 1.0)
    assert hub.told("smoke-1", "openings") == [11, 11, 12]
    late = [record.ts for record in hub.records if '"values":{"openings"' in record.text]
    assert late == [T0 + 1_000_000, T0 + 1_000_100, T0 + 1_000_200], "the times of the readings"


def test_a_journal_that_never_answers_costs_what_was_stored_and_nothing_else() -> None:
    hub = Site(recovered=False)
    hub.read("smoke-1", smoke="alarm")
    hub.tell(Tick(), 5.1)
    assert hub.told("smoke-1", "openings") == [1]
    hub.read("smoke-1", 0.1, smoke="normal")
    hub.tell(Recovered("kept", BEFORE, {"derived/smoke-1": '{"total":10}'}), 60.0)
    hub.read("smoke-1", 0.1, smoke="alarm")
    assert hub.told("smoke-1", "openings")[-1] == 12, "what comes late is added"


def test_what_was_stored_and_makes_no_sense_is_passed_over() -> None:
    for text in ("{", "[[[", '{"total":"x"}', "7", "[" * 100_000):
        hub = Site({"derived/smoke-1": text, "derived/gone": "{}"})
        hub.read("smoke-1", smoke="alarm")
        assert hub.told("smoke-1", "openings")[-1] == 1
        assert "derived/gone" not in hub.stored


def test_time_alone_leads_to_a_reading_too() -> None:
    hub = Site()
    hub.read("smoke-1", smoke="alarm")
    assert hub.hub.wake <= 1060.0
    hub.tell(Tick(), 60.0)
    assert hub.told("smoke-1", "openings") == [1, 1]


def test_a_command_is_about_the_device_that_it_names_and_is_stored_with_its_effect() -> None:
    hub = Site()
    assert hub.command("set_openings", reason="counted", device="smoke-1", to=7).result == "done"
    assert hub.told("smoke-1", "openings") == [7]
    assert hub.stored["derived/smoke-1"] == '{"total":7}'
    assert [event["event"] for event in hub.events()][-2:] == ["alarm", "command"], "7 openings are an alarm, too"
    refused = hub.command("set_openings", reason="counted", device="smoke-1", to="seven")
    assert (refused.result, refused.detail) == ("refused", "set_openings needs a number, Ada")
    for wrong in ({}, {"device": "pair"}, {"device": "attic"}, {"device": 7}):
        reply = hub.command("set_openings", reason="counted", **wrong, to=1)
        assert reply.detail == "set_openings is about a device; args needs its id under 'device', one of smoke-1"
    assert hub.told("smoke-1", "openings") == [7]


def test_a_command_in_the_first_seconds_is_refused_not_lost() -> None:
    hub = Site(recovered=False)
    assert "has just started" in hub.command("set_openings", reason="counted", device="smoke-1", to=7).detail


def reload() -> Command:
    return Command("c1", "reload", {}, "Ada", "local", None, lambda _: None)


def test_a_reload_keeps_what_was_counted_of_a_device_that_stays_and_of_one_that_is_made_anew() -> None:
    hub = Site()
    hub.read("smoke-1", smoke="alarm")
    for number, anew in enumerate((frozenset[str](), frozenset({"smoke-1"}))):
        command = reload()._replace(id=f"c{number}")
        hub.tell(command)
        hub.tell(Reconfigured(site(), command, ("rule x changed",), anew, frozenset({"gpio", "bus1"})))
        hub.read("smoke-1", 1.0, smoke="normal")
        hub.read("smoke-1", 1.0, smoke="alarm")
    assert hub.told("smoke-1", "openings")[-1] == 3


def test_a_device_that_is_gone_after_a_reload_takes_its_state_with_it() -> None:
    hub = Site()
    hub.read("smoke-1", smoke="alarm")
    command = reload()
    hub.tell(command)
    without = site(derivations={}, sources={})
    hub.tell(Reconfigured(without, command, ("device smoke-1 changed",), frozenset(), frozenset({"gpio", "bus1"})))
    assert "derived/smoke-1" not in hub.stored


def test_what_waited_for_the_journal_is_told_in_the_order_in_which_it_came() -> None:
    class Heard(Openings):
        waits = True
        told: ClassVar[list[str]] = []

        def take(self, reading: Reading, now: Moment) -> Outcome:
            self.told.append(reading.device)
            return super().take(reading, now)

    made = Deriving({"smoke-1": Heard("normal"), "smoke-2": Heard("normal")}, {})
    for second, device in enumerate(("smoke-2", "smoke-1", "smoke-2")):
        made.take(
            Reading(device, 1000.0 + second, T0, {"smoke": "normal"}, {}), Moment(1000.0 + second, T0, Trust.SYNCED)
        )
    assert Heard.told == []
    made.restore({}, Moment(1003.0, T0, Trust.SYNCED))
    assert Heard.told == ["smoke-2", "smoke-1", "smoke-2"]
