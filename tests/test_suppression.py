"""A warning that what the plant does explains is recorded and calls nobody: a defrost, for so long at most."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from config_site import SITE, loaded, written

from gateway.hub.decide import Hub
from gateway.hub.plan import plan_of
from gateway.model import AlarmView, Hiding, Lane, Moment, Reading, Reason, Recovered, Tick, Trust, Value

RULES = """rules:
  warm:
    point: cold-1.temperature
    above: -15
    for: 0s
    clear_for: 0s
    response: horn
    suppressed_while: {point: cold-1.humidity, above: 90, for_at_most: 30m}
responses:
  horn: {set: {siren: on}}
"""


class ColdRoom:
    """A hub with one rule, told of temperature and of humidity, by which a defrost is known here."""

    def __init__(self, folder: Path) -> None:
        self.mono = 0.0
        self.changes: list[str] = []
        self.siren: list[Value] = []
        self.view: AlarmView | None = None
        self._hub = Hub(plan_of(loaded(written(folder, SITE.partition("rules:")[0] + RULES)), "run"), self._now())
        self._hub.handle(Recovered("kept", None, {}), self._now())

    def _now(self) -> Moment:
        return Moment(self.mono, 1_800_000_000_000 + round(self.mono * 1000), Trust.SYNCED)

    def read(self, seconds: float, temperature: float, humidity: float | Reason) -> None:
        """After so many seconds, in which time passes."""
        self.mono += seconds
        good: dict[str, Value] = {"temperature": temperature}
        bad = {"humidity": humidity} if isinstance(humidity, Reason) else {}
        good |= {} if isinstance(humidity, Reason) else {"humidity": humidity}
        for fact in (Tick(), Reading("cold-1", self.mono, self._now().ts, good, bad)):
            decision = self._hub.handle(fact, self._now())
            self.siren += [write.value for write in decision.writes]
            self.view = next((it for it in decision.notices if isinstance(it, AlarmView)), self.view)
            events = (json.loads(record.text) for record in decision.records if record.lane is Lane.EVENT)
            self.changes += [event["change"] for event in events if event.get("alarm") == "warm"]


def test_while_a_defrost_runs_the_alarm_is_recorded_and_calls_nobody(tmp_path: Path) -> None:
    room = ColdRoom(tmp_path)
    room.read(10, -20.0, 95.0)
    room.read(60, -10.0, 95.0)
    assert room.changes == ["suppressed", "raised"]
    assert room.view is not None
    assert room.view.hidden is not None
    assert (room.view.hidden.how, room.view.hidden.by) == (Hiding.SUPPRESSED, "cold-1.humidity")
    assert room.siren == []
    room.read(60, -20.0, 95.0)
    room.read(60, -20.0, 50.0)
    assert room.changes[2:] == ["cleared", "unsuppressed"]
    assert room.siren == []


def test_an_alarm_that_stands_when_the_defrost_is_over_calls(tmp_path: Path) -> None:
    room = ColdRoom(tmp_path)
    room.read(10, -10.0, 95.0)
    room.read(60, -10.0, 50.0)
    assert room.changes == ["suppressed", "raised", "unsuppressed"]
    assert room.siren == ["on"]


def test_a_defrost_that_does_not_end_explains_nothing_any_more_until_the_next(tmp_path: Path) -> None:
    room = ColdRoom(tmp_path)
    room.read(10, -10.0, 95.0)
    room.read(1799, -10.0, 95.0)
    assert room.siren == []
    room.read(2, -10.0, 95.0)
    room.read(600, -10.0, 95.0)
    assert room.changes == ["suppressed", "raised", "unsuppressed"]
    assert room.siren == ["on"]
    room.read(10, -10.0, 50.0)
    room.read(10, -10.0, 95.0)
    assert room.changes[3:] == ["suppressed"]
    assert room.siren == ["on", "off"]


def test_what_is_unknown_explains_nothing(tmp_path: Path) -> None:
    room = ColdRoom(tmp_path)
    room.read(10, -10.0, 95.0)
    room.read(10, -10.0, Reason.NO_REPLY)
    assert room.changes == ["suppressed", "raised", "unsuppressed"]
    assert room.siren == ["on"]


@pytest.mark.parametrize("seconds", [1.0, 3600.0])
def test_a_rule_without_anything_that_explains_it_is_as_ever(tmp_path: Path, seconds: float) -> None:
    room = ColdRoom(tmp_path)
    room.read(seconds, -10.0, 50.0)
    assert (room.changes, room.siren) == (["raised"], ["on"])
