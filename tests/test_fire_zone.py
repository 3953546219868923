"""A fire zone from its configuration to the siren: every signal in one decision, faults told within half a minute."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from test_hub import T0

import drivers
from gateway.config.load import load
from gateway.config.schema import Config
from gateway.errors import ConfigError
from gateway.hub.decide import Hub
from gateway.hub.plan import Reconfigured, is_safety, plan_of
from gateway.model import (
    AlarmState,
    Command,
    Decision,
    Lane,
    LinkBack,
    LinkLost,
    Moment,
    Reading,
    Reason,
    Recovered,
    Reply,
    Status,
    StatusQuery,
    Tick,
    Trust,
    Write,
)

SITE = """\
site: {id: s, name: S}
gateway: {id: g}
links: {gpio: {type: gpio}}
devices:
  smoke-1: {driver: contact, link: gpio, pin: 17, kind: smoke, zone: storage/aisle-1}
  smoke-2: {driver: contact, link: gpio, pin: 27, kind: smoke, zone: storage/aisle-2}
  smoke-3: {driver: contact, link: gpio, pin: 23, kind: smoke, zone: loading}
  siren: {driver: relay, link: gpio, pin: 22, zone: loading}
  storage: {driver: fire_zone, zone: storage, OPTIONS}
responses:
  evacuate: {set: {siren: on}, audible: [siren]}
responses_by_priority: {high: evacuate}
"""
ON = Write("gpio", "siren", "output", "on")
ALARM, PREALARM = "storage-alarm", "storage-prealarm"


def config(tmp_path: Path, options: str = "mode: coincidence", more: str = "") -> Config:
    file = tmp_path / "site.yaml"
    file.write_text(SITE.replace("OPTIONS", options) + more, encoding="utf-8")
    return load(file, find_driver=drivers.find, profile_folders=())


class Site:
    """The hub of that site, stepped; it is told what detectors say, and wakes when it wants to."""

    def __init__(self, config: Config, stored: dict[str, str] | None = None, mono: float = 1000) -> None:
        self.mono, self.config = mono, config
        self.hub = Hub(plan_of(config, "run1", "boot"), self.now)
        self.stored = dict(stored or {})
        self.events: list[dict[str, Any]] = []
        self.tell(Recovered("kept", None, self.stored))
        for name in ("smoke-1", "smoke-2", "smoke-3"):
            self.says(name, "normal")

    @property
    def now(self) -> Moment:
        return Moment(self.mono, T0 + round(self.mono * 1000), Trust.SYNCED)

    def tell(self, fact: Any) -> Decision:
        decision = self.hub.handle(fact, self.now)
        self.events += [json.loads(it.text) for it in decision.records if it.lane is Lane.EVENT]
        for change in decision.state:
            self.stored.pop(change.key, None)
            self.stored |= {} if change.text is None else {change.key: change.text}
        return decision

    def says(self, device: str, word: str | Reason, after_s: float = 0.0) -> Decision:
        self.mono += after_s
        good, bad = ({}, {"smoke": word}) if isinstance(word, Reason) else ({"smoke": word}, {})
        return self.tell(Reading(device, self.mono, self.now.ts, good, bad))

    def passes(self, seconds: float) -> list[Any]:
        """Time passes; what is written meanwhile."""
        written: list[Any] = []
        end = self.mono + seconds
        while self.hub.wake <= end:
            self.mono = max(self.mono, self.hub.wake)
            written += self.tell(Tick()).writes
        self.mono = end
        return written

    def asks(self, name: str, **args: Any) -> str:
        answers: list[Reply] = []
        decision = self.tell(Command(f"c{len(self.events)}", name, args, "Ada", "local", None, answers.append))
        refused = [reply for _, reply in decision.replies if reply.result == "refused"]
        return refused[0].detail if refused else "done"

    def status(self) -> Status:
        answers: list[Status] = []
        self.tell(StatusQuery(answers.append))
        return answers[0]

    def shown(self, point: str = "storage.fire") -> Any:
        return next(it.value for it in self.status().points if f"{it.device}.{it.point}" == point)

    def alarms(self) -> dict[str, AlarmState]:
        return {view.alarm: view.state for view in self.status().alarms}


def test_a_zone_is_made_of_all_smoke_detectors_in_it_and_brings_its_rules(tmp_path: Path) -> None:
    found = config(tmp_path)
    assert found.devices["storage"].built.sources == ("smoke-1", "smoke-2")  # type: ignore[attr-defined]
    assert is_safety(found.devices["storage"])
    assert {name: (rule.equals, str(rule.priority), rule.latch) for name, rule in found.rules.items()} == {
        "smoke-1-smoke-fault": ("fault", "medium", False),
        "smoke-2-smoke-fault": ("fault", "medium", False),
        "smoke-3-smoke-fault": ("fault", "medium", False),
        "smoke-3-smoke-alarm": ("alarm", "high", True),
        "storage-alarm": ("alarm", "high", True),
        "storage-prealarm": ("prealarm", "medium", False),
    }


def test_a_zone_whose_name_only_begins_alike_is_another_one(tmp_path: Path) -> None:
    outer = "  smoke-4: {driver: contact, link: gpio, pin: 5, kind: smoke, zone: storage-yard}\nresponses:\n"
    file = tmp_path / "site.yaml"
    file.write_text(SITE.replace("OPTIONS", "mode: single").replace("responses:\n", outer), encoding="utf-8")
    found = load(file, find_driver=drivers.find, profile_folders=())
    assert found.devices["storage"].built.sources == ("smoke-1", "smoke-2")  # type: ignore[attr-defined]


def test_a_rule_of_the_site_takes_the_place_of_the_one_on_the_same_word_alone(tmp_path: Path) -> None:
    rules = "rules:\n  mine: {kind: fire, equals: alarm, priority: high}\n  every: {kind: smoke, equals: fault}\n"
    found = config(tmp_path, more=rules).rules
    assert sorted(found) == ["every", "mine", "smoke-3-smoke-alarm", "storage-prealarm"]
    hours = "hours: {closed: {open: sun}}\nrules:\n  mine: {kind: smoke, equals: alarm, during: closed}\n"
    assert "smoke-3-smoke-alarm" in config(tmp_path, more=hours).rules


def test_two_detectors_switch_the_siren_on_in_the_decision_of_the_second(tmp_path: Path) -> None:
    site = Site(config(tmp_path))
    first = site.says("smoke-1", "alarm")
    assert first.writes == ()
    assert site.alarms() == {PREALARM: AlarmState.UNACK_ACTIVE}
    assert [it.lane for it in first.records if it.lane is Lane.EVENT], "told at once"
    assert site.says("smoke-2", "alarm", 60).writes == (ON,)
    assert site.shown("storage.detectors") == "smoke-1 alarm, smoke-2 alarm"
    assert site.alarms()[ALARM] is AlarmState.UNACK_ACTIVE


def test_one_detector_is_enough_in_a_single_zone_and_where_the_other_cannot_signal(tmp_path: Path) -> None:
    assert Site(config(tmp_path, "mode: single")).says("smoke-1", "alarm").writes == (ON,)
    site = Site(config(tmp_path))
    site.says("smoke-2", Reason.SENSOR_FAULT)
    assert site.shown() == "fault"
    assert site.says("smoke-1", "alarm").writes == (ON,)
    site = Site(config(tmp_path))
    assert site.asks("disable", device="smoke-2", for_s=3600, reason="painting") == "done"
    assert site.says("smoke-1", "alarm").writes == (ON,)


def test_one_detector_is_enough_where_nothing_comes_from_the_other(tmp_path: Path) -> None:
    site = Site(config(tmp_path))
    for _ in range(8):
        site.says("smoke-1", "normal", 2)
        site.passes(0)
    assert (site.shown(), site.shown("storage.detectors")) == ("fault", "smoke-2 fault")
    assert site.says("smoke-1", "alarm").writes == (ON,)


def test_a_detector_that_is_taken_out_is_shown_as_that_though_nothing_comes_and_as_faulty_when_it_is_put_back(
    tmp_path: Path,
) -> None:
    site = Site(config(tmp_path))
    site.asks("disable", device="smoke-2", for_s=3600, reason="painting")
    for _ in range(10):
        site.says("smoke-1", "normal", 2)
        site.passes(0)
    assert (site.shown(), site.shown("storage.detectors")) == ("normal", "smoke-2 disabled")
    assert site.asks("enable", device="smoke-2", reason="painted") == "done"
    assert (site.shown(), site.shown("storage.detectors")) == ("fault", "smoke-2 fault")
    site.says("smoke-2", "normal")
    assert site.shown() == "normal"


def test_a_signal_that_lasts_is_verified_without_another_reading(tmp_path: Path) -> None:
    site = Site(config(tmp_path, "mode: verify, within: 30s"))
    assert site.says("smoke-1", "alarm").writes == ()
    assert site.passes(9) == []
    assert site.passes(1) == [ON]


def test_a_new_detector_sounds_again_after_silencing(tmp_path: Path) -> None:
    site = Site(config(tmp_path, "mode: single"))
    site.says("smoke-1", "alarm")
    assert site.asks("silence") == "done"
    assert site.status().outputs == {"siren.output": "off"}
    assert site.says("smoke-1", "alarm", 2).writes == ()
    assert site.says("smoke-3", "normal", 2).writes == ()
    assert site.says("smoke-2", "alarm", 2).writes == (ON,)
    assert [it["change"] for it in site.events if it.get("alarm") == ALARM] == ["raised", "silenced", "resounded"]


def test_the_same_detector_sounds_again_when_it_signals_anew(tmp_path: Path) -> None:
    site = Site(config(tmp_path, "mode: single"))
    site.says("smoke-1", "alarm")
    site.says("smoke-2", "alarm")
    site.asks("silence")
    assert site.says("smoke-1", "normal", 2).writes == ()
    assert site.says("smoke-1", "alarm", 2).writes == (ON,)


def test_it_stands_until_a_person_resets_it_with_a_reason_and_all_detectors_are_at_rest(tmp_path: Path) -> None:
    site = Site(config(tmp_path, "mode: single"))
    site.says("smoke-1", "alarm")
    site.asks("acknowledge", alarm=ALARM)
    site.says("smoke-1", Reason.NO_REPLY, 2)
    site.passes(60)
    assert site.asks("reset", alarm=ALARM, reason="x") == "its condition still holds"
    for name in ("smoke-1", "smoke-2"):
        site.says(name, "normal")
    assert site.status().outputs == {"siren.output": "on"}
    assert "with a reason alone" in site.asks("reset", alarm=ALARM)
    assert site.asks("reset", alarm=ALARM, reason="put out") == "done"
    assert site.status().outputs == {"siren.output": "off"}
    assert site.says("smoke-1", "alarm", 2).writes == (ON,)


def test_it_is_not_reset_when_nothing_was_heard_lately(tmp_path: Path) -> None:
    site = Site(config(tmp_path, "mode: single"))
    site.says("smoke-1", "alarm")
    site.asks("acknowledge", alarm=ALARM)
    site.says("smoke-1", "normal")
    site.passes(21)
    refused = site.asks("reset", alarm=ALARM, reason="x")
    assert "storage.fire says fault; see to its detectors (smoke-1 fault, smoke-2 fault), or disable them," in refused
    for name in ("smoke-1", "smoke-2"):
        site.says(name, "normal")
    assert site.asks("reset", alarm=ALARM, reason="x") == "done"


@pytest.mark.parametrize("says", ["fault", Reason.SENSOR_FAULT, Reason.NO_REPLY])
def test_it_is_not_reset_while_a_detector_of_the_zone_is_faulty_unless_a_person_takes_that_out(
    tmp_path: Path, says: str | Reason
) -> None:
    site = Site(config(tmp_path, "mode: single"))
    site.says("smoke-1", "alarm")
    site.asks("acknowledge", alarm=ALARM)
    site.says("smoke-1", "normal")
    site.says("smoke-1", says, 1)
    for _ in range(6):
        site.says("smoke-2", "normal", 2)
        site.passes(0)
    assert "see to its detectors (smoke-1 fault)" in site.asks("reset", alarm=ALARM, reason="x")
    assert site.asks("disable", device="smoke-1", for_s=3600, reason="burnt") == "done"
    assert site.asks("reset", alarm=ALARM, reason="x") == "done"


def test_a_zone_under_test_is_test_and_another_is_not(tmp_path: Path) -> None:
    site = Site(config(tmp_path))
    assert site.asks("test_mode", zone="storage", reason="monthly test") == "done"
    assert site.says("smoke-1", "alarm").writes == ()
    decision = site.says("smoke-2", "alarm")
    assert decision.writes == ()
    assert site.shown() == "test"
    assert all('"test":true' in record.text for record in decision.records if record.lane is Lane.TELEMETRY)
    assert site.says("smoke-3", "alarm").writes == (ON,)
    assert ALARM not in site.alarms()


def test_a_test_of_a_part_of_a_zone_leaves_the_rest_of_it_alone(tmp_path: Path) -> None:
    site = Site(config(tmp_path, "mode: single"))
    site.asks("test_mode", zone="storage/aisle-1", reason="x")
    assert site.says("smoke-1", "alarm").writes == ()
    assert site.says("smoke-2", "alarm").writes == (ON,)
    assert not next(view.test for view in site.status().alarms if view.alarm == ALARM)


def test_what_was_heard_before_a_restart_counts_after_it(tmp_path: Path) -> None:
    found = config(tmp_path)
    before = Site(found)
    before.says("smoke-1", "alarm")
    before.says("smoke-1", "normal", 2)
    after = Site(found, before.stored, before.mono + 20)
    assert after.shown() == "prealarm"
    assert after.says("smoke-2", "alarm").writes == (ON,)


def test_a_signal_does_not_wait_for_the_journal(tmp_path: Path) -> None:
    found = config(tmp_path, "mode: single")
    hub = Hub(plan_of(found, "run1", "boot"), Moment(1000, T0, Trust.SYNCED))
    now = Moment(1001, T0 + 1000, Trust.SYNCED)
    assert ON in hub.handle(Reading("smoke-1", 1001, now.ts, {"smoke": "alarm"}, {}), now).writes


def test_a_signal_does_not_wait_for_the_journal_after_a_reload_either(tmp_path: Path) -> None:
    before = config(tmp_path, "mode: single")
    hub = Hub(plan_of(before, "run1", "boot"), Moment(1000, T0, Trust.SYNCED))
    now = Moment(1001, T0 + 1000, Trust.SYNCED)
    asked = Command("r", "reload", {}, "Ada", "local", None, lambda _: None)
    plan = plan_of(config(tmp_path, "mode: verify"), "run1", "boot")
    hub.handle(Reconfigured(plan, asked, (), frozenset({"storage"}), frozenset({"gpio"}), frozenset()), now)
    for name in ("smoke-1", "smoke-2"):
        written = hub.handle(Reading(name, 1001, now.ts, {"smoke": "alarm"}, {}), now).writes
    assert ON in written


# -- faults, without any rule written


def test_a_detectors_own_fault_is_told_at_once(tmp_path: Path) -> None:
    site = Site(config(tmp_path))
    site.says("smoke-3", Reason.SENSOR_FAULT)
    assert site.shown("smoke-3.smoke") == "fault"
    assert site.alarms() == {"smoke-3-smoke-fault": AlarmState.UNACK_ACTIVE}


@pytest.mark.parametrize("bad", [Reason.NO_REPLY, Reason.LINK_DOWN, Reason.SILENT, None])
def test_a_detector_that_says_nothing_is_an_alarm_within_half_a_minute(tmp_path: Path, bad: Reason | None) -> None:
    site = Site(config(tmp_path))
    for _ in range(15):
        site.passes(2)
        for name in ("smoke-1", "smoke-2"):
            site.says(name, "normal")
        if bad is not None:
            site.says("smoke-3", bad)
    assert "no-data@smoke-3" in site.alarms()


def test_a_line_with_smoke_that_is_down_is_an_alarm_within_half_a_minute(tmp_path: Path) -> None:
    site = Site(config(tmp_path))
    site.tell(LinkBack("gpio", 0.0))
    site.tell(LinkLost("gpio", "gone", "look"))
    site.passes(29)
    assert "link-down@gpio" in site.alarms()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("mode: two", "must be single, verify or coincidence"),
        ("within: 30s", "within: single needs no second signal"),
        ("mode: verify, within: 5s", "within: from 10s to 60s with verify, not 5s"),
        ("mode: coincidence, within: 1h", "within: from 10s to 600s with coincidence, not 3600s"),
        ("mode: coincidence, detectors: 1", "detectors: from 2 to 64, not 1"),
        ("mode: coincidence, detectors: 3", "there are 2 smoke detectors in storage, and coincidence wants 3"),
        ("mode: verify, detectors: 3", "detectors: goes with mode: coincidence only"),
    ],
)
def test_a_zone_that_makes_no_sense_is_told_with_its_place(tmp_path: Path, options: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config(tmp_path, options)
    assert any(told in problem and problem.split(":")[1] == "9" for problem in caught.value.problems), caught.value


def test_a_zone_without_detectors_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "site.yaml"
    file.write_text(SITE.replace("OPTIONS", "mode: single").replace("zone: storage,", "zone: office,"))
    with pytest.raises(ConfigError, match=r"site\.yaml:9:\d+: devices\.storage\.zone: there is no smoke detector in"):
        load(file, find_driver=drivers.find, profile_folders=())
