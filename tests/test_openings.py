"""How often a door was opened and for how long: against a slow obvious model, over restarts and unknown times."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.contact import Contact, ContactOptions
from gateway.config.installed import read_config
from gateway.config.schema import Config
from gateway.derive.openings import KEEP_S, STEP_S, Openings
from gateway.errors import ConfigError
from gateway.model import Json, Moment, Reading, Reason, Trust

DAYS = [0.0, 2.0, 7.0, 61.0, 4000.0]


def at(mono: float) -> Moment:
    return Moment(mono, round(mono * 1000), Trust.SYNCED)


def says(door: Openings, mono: float, word: str) -> dict[str, Any]:
    outcome = door.take(Reading("dock", mono, round(mono * 1000), {"door": word}, {}), at(mono))
    return dict(outcome.values)


def is_lost(door: Openings, mono: float) -> dict[str, Any]:
    outcome = door.take(Reading("dock", mono, round(mono * 1000), {}, {"door": Reason.SILENT}), at(mono))
    return dict(outcome.bad)


def stored(door: Openings) -> Json:
    found: Json = json.loads(json.dumps(door.stored()))
    return found


def restarted(door: Openings, mono: float) -> Openings:
    after = Openings()
    after.restore(stored(door), at(mono))
    return after


@dataclass
class SlowModel:
    """Every moment at which the door was looked at, in words; counted from the beginning each time."""

    looks: list[tuple[float, str]] = field(default_factory=list)  # open, closed, or unknown from here on

    def openings(self) -> int:
        known = [word for _, word in self.looks if word != "unknown"]
        return sum(before == "closed" and after == "open" for before, after in pairwise(known))

    def open_s(self, looks: list[tuple[float, str]]) -> float:
        return sum(after - before for (before, word), (after, _) in pairwise(looks) if word == "open")

    def expected(self) -> dict[str, float]:
        closed = [number for number, (_, word) in enumerate(self.looks) if word == "closed"]
        for_s = self.open_s(self.looks[closed[-1] if closed else 0 :])
        total = self.open_s(self.looks)
        steps = for_s // STEP_S * STEP_S
        return {"openings": self.openings(), "open_time": round(total - for_s + steps, 1), "open_for": steps}


ACTS = st.lists(st.tuples(st.sampled_from(DAYS), st.sampled_from(["open", "closed", "lost", "restart"])), max_size=60)


@given(ACTS)
def test_openings_and_times_are_those_of_the_slow_model(acts: list[tuple[float, str]]) -> None:
    door, model, mono = Openings(), SlowModel(), 0.0
    for after_s, act in acts:
        mono += after_s
        if act in {"lost", "restart"}:
            model.looks.append((model.looks[-1][0] if model.looks else mono, "unknown"))  # nobody has looked since
            if act == "lost":
                assert set(is_lost(door, mono)) == {"openings", "open_time", "open_for"}
            else:
                door = restarted(door, mono)
        else:
            model.looks.append((mono, act))
            assert says(door, mono, act) == pytest.approx(model.expected())


@given(ACTS)
def test_totals_never_go_back(acts: list[tuple[float, str]]) -> None:
    door, mono, before = Openings(), 0.0, {"openings": 0, "open_time": 0.0}
    for after_s, act in acts:
        mono += after_s
        if act in {"open", "closed"}:
            values = says(door, mono, act)
            assert all(values[name] >= least for name, least in before.items())
            before = {name: values[name] for name in before}
        elif act == "restart":
            door = restarted(door, mono)
        else:
            is_lost(door, mono)


def test_a_door_that_opens_and_closes_is_counted_and_timed_exactly() -> None:
    door = Openings()
    assert says(door, 0.0, "closed") == {"openings": 0, "open_time": 0.0, "open_for": 0.0}
    assert says(door, 100.0, "open") == {"openings": 1, "open_time": 0.0, "open_for": 0.0}
    assert says(door, 119.0, "open") == {"openings": 1, "open_time": 10.0, "open_for": 10.0}
    assert says(door, 123.4, "closed") == {"openings": 1, "open_time": 23.4, "open_for": 0.0}


def test_a_door_that_was_closed_before_a_restart_and_is_open_after_it_was_opened_once() -> None:
    door = Openings()
    says(door, 0.0, "closed")
    door = restarted(door, 50.0)
    assert says(door, 60.0, "open") == {"openings": 1, "open_time": 0.0, "open_for": 0.0}


def test_a_door_that_was_open_before_a_restart_is_open_still_and_nobody_counts_the_time_between() -> None:
    door = Openings()
    says(door, 0.0, "closed")
    says(door, 10.0, "open")
    says(door, 40.0, "open")
    door = restarted(door, 1000.0)
    assert says(door, 1000.0, "open") == {"openings": 1, "open_time": 30.0, "open_for": 30.0}


def test_a_door_that_was_open_before_and_is_open_still_when_it_is_known_was_opened_once() -> None:
    before = Openings()
    says(before, 0.0, "closed")
    says(before, 10.0, "open")
    says(before, 40.0, "open")
    door = Openings()
    says(door, 100.0, "open")
    says(door, 110.0, "open")
    assert dict(door.restore(stored(before), at(115.0)).values) == {"openings": 1, "open_time": 40.0, "open_for": 40.0}


def test_what_was_stored_may_come_late_and_is_added() -> None:
    before = Openings()
    says(before, 0.0, "closed")
    says(before, 10.0, "open")
    says(before, 40.0, "closed")
    door = Openings()
    door.restore(None, at(100.0))
    says(door, 100.0, "open")
    says(door, 120.0, "closed")
    says(door, 122.0, "open")
    says(door, 123.5, "closed")
    outcome = door.restore(stored(before), at(130.0))
    assert dict(outcome.values) == {"openings": 3, "open_time": 51.5, "open_for": 0.0}
    assert outcome.changed
    assert not door.restore(stored(before), at(131.0)).values, "once is enough"


def test_it_is_stored_at_each_turn_and_each_minute_of_an_opening_and_not_at_every_reading() -> None:
    door, kept = Openings(), []
    for second in range(0, 400, 2):
        word = "open" if 100 <= second < 300 else "closed"
        reading = Reading("dock", float(second), second * 1000, {"door": word}, {})
        if door.take(reading, at(float(second))).changed:
            kept.append(second)
    assert kept == [0, 100, 160, 220, 280, 300]
    assert KEEP_S == 60


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)
FIELDS = st.fixed_dictionaries(dict.fromkeys(("openings", "before_s", "for_s", "is_open"), JSON))


@given(JSON | FIELDS)
def test_whatever_was_stored_nothing_raises_and_what_makes_no_sense_is_passed_over(content: Any) -> None:
    door = Openings()
    door.restore(content, at(0.0))
    values = says(door, 1.0, "closed")
    assert all(value >= 0 for value in values.values())


def test_the_driver_of_a_door_says_these_points_and_that_of_another_contact_does_not() -> None:
    door, button = Contact(ContactOptions(17, "door")), Contact(ContactOptions(18))
    assert [point.name for point in door.points] == ["door", "openings", "open_time", "open_for"]
    assert isinstance(door.derivation(UTC), Openings)
    assert [point.name for point in button.points] == ["contact"]
    assert button.derivation(UTC) is None


# -- a door on another device

SITE = """\
site: {id: s, timezone: UTC}
gateway: {id: g}
links: {bus1: {type: serial, port: /dev/ttyUSB0, baudrate: 9600}}
devices:
  io: {driver: modbus, link: bus1, unit: 2, profile: waveshare-io8, accept_beta: true,
       kinds: {in1: door, in2: door}, every: 2s, zone: z}
  air: {driver: modbus, link: bus1, unit: 3, profile: xy-md02, zone: z}
  dock: {driver: door_openings, zone: z, of: DOOR}
"""


def config(folder: Path, door: str) -> Config:
    file = folder / "site.yaml"
    file.write_text(SITE.replace("DOOR", door), encoding="utf-8")
    return read_config(file)


def test_a_door_on_another_device_is_counted_with_the_pace_of_that_device(tmp_path: Path) -> None:
    device = config(tmp_path, "io.in2").devices["dock"]
    assert device.every == 2.0
    door = device.built.derivation(UTC)
    assert isinstance(door, Openings)
    words = [("io", "closed"), ("io", "open"), ("other", "closed"), ("io", "open")]
    told = [
        door.take(Reading(name, float(second), second, {"in2": word}, {}), at(float(second))).values
        for second, (name, word) in enumerate(words)
    ]
    assert [dict(values).get("openings") for values in told] == [0, 1, None, 1]


@pytest.mark.parametrize(
    ("door", "told"),
    [
        ("i", "of: there is no device 'i'; there are io, air"),
        ("io", "of: write one of in1, in2 as device.point"),
        ("io.in3", "of: io has no door 'in3'; write one of in1, in2 as device.point"),
        ("air.temperature", "of: air has no door 'temperature'; it has no door"),
    ],
)
def test_what_is_no_door_is_told_with_its_place(tmp_path: Path, door: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config(tmp_path, door)
    assert list(caught.value.problems) == [f"{tmp_path}/site.yaml:8:46: devices.dock.{told}"]
