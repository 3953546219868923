"""Pulses and what they stand for: counted on a pin and in another device, over restarts, against a slow model."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path
from typing import Any, Literal

import pytest
from gpiozero import Device
from hypothesis import given
from hypothesis import strategies as st

import drivers
from drivers.meter import Meter, MeterOptions
from drivers.pulses import Pulses, PulsesOptions
from gateway.config import schema
from gateway.config.load import load
from gateway.config.schema import Config
from gateway.derive.counter import Range
from gateway.derive.metering import Metering
from gateway.driver import Edge, Heard, Placed, Pull, point
from gateway.errors import ConfigError
from gateway.links.choice import link as chosen
from gateway.links.gpio import mock_pin
from gateway.model import Moment, Reading, Reason, Trust

T0 = 1_900_000_000_000


def at(mono: float) -> Moment:
    return Moment(mono, T0 + round(mono * 1000), Trust.SYNCED)


def says(metering: Metering, mono: float, pulses: int, device: str = "m", name: str = "pulses") -> dict[str, Any]:
    reading = Reading(device, mono, at(mono).ts, {name: pulses}, {})
    return dict(metering.take(reading, at(mono)).values)


def on_pin(scale: float = 1.0, start: float = 0.0, kind: Literal["pulses", "energy", "volume"] = "pulses") -> Metering:
    metering = Pulses(PulsesOptions(5, kind, scale, start)).derivation(UTC)
    metering.restore(None, at(0.0))
    return metering


def restarted(metering: Metering, anew: Metering, mono: float) -> Metering:
    anew.restore(json.loads(json.dumps(metering.stored())), at(mono))
    return anew


# -- a pin


@pytest.mark.parametrize(
    ("pull", "normally", "high_in_pulse"),
    [
        ("up", "open", False),
        ("none", "open", False),
        ("down", "open", True),
        ("up", "closed", True),
        ("down", "closed", False),
    ],
)
def test_a_pulse_is_what_the_wiring_says(
    pull: Literal["up", "down", "none"], normally: Literal["open", "closed"], high_in_pulse: bool
) -> None:
    driver = Pulses(PulsesOptions(5, pull=pull, normally=normally))
    assert driver.pins[0].pull is Pull(pull)
    levels = [not high_in_pulse, high_in_pulse, not high_in_pulse, high_in_pulse, high_in_pulse]
    told = [dict(values) for high in levels for values in driver.hear(Heard(Edge(5, high), 0.0))]
    assert told == [{"pulses": 0}, {"pulses": 2}]


@given(st.lists(st.booleans(), max_size=200))
def test_each_beginning_of_a_pulse_is_counted_once(levels: list[bool]) -> None:
    driver = Pulses(PulsesOptions(5, pull="down"))
    for high in levels:
        list(driver.hear(Heard(Edge(5, high), 0.0)))
    begins = "".join("1" if high else "0" for high in levels).count("01")
    (values,) = driver.hear(Heard(Edge(5, levels[-1] if levels else False), 0.0))
    assert values == {"pulses": begins}


def test_many_pulses_are_no_fault_of_the_wiring() -> None:
    driver = Pulses(PulsesOptions(5))
    assert list(driver.hear(Heard(Edge(5, high=True, chatters=True), 0.0))) == [{"pulses": 0}]


@pytest.fixture
def pins() -> Iterator[None]:
    Device.pin_factory = None
    mock_pin(5)
    yield
    Device.pin_factory.close()
    Device.pin_factory = None


@pytest.mark.usefixtures("pins")
def test_two_thousand_pulses_on_a_pin_are_two_thousand() -> None:
    driver, pin = Pulses(PulsesOptions(5, hold=0.0)), mock_pin(5)
    link = chosen("gpio", schema.GpioLink(type="gpio", factory="mock"), [(use, 0.1) for use in driver.pins], Path())
    link.open()
    for _ in range(2000):
        pin.wire(high=False)
        pin.wire(high=True)
    until, told = time.monotonic() + 5, 0
    while told < 2000 and time.monotonic() < until:
        for heard in link.wait(time.monotonic() + 0.2):
            for values in driver.hear(heard):
                told = int(str(values["pulses"]))
    link.close()
    assert told == 2000


@pytest.mark.parametrize(
    "options", [{"pin": 28}, {"hold": 1.1}, {"scale": 0}, {"scale": float("nan")}, {"scale": -1}, {"start": -1}]
)
def test_pulses_that_cannot_be_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"^{next(iter(options))}: "):
        PulsesOptions(**{"pin": 5, **options})


# -- totals and rates


def test_pulses_stand_for_energy_volume_or_themselves() -> None:
    energy = on_pin(0.001, 12345.6, "energy")
    assert says(energy, 0.0, 0) == {"total": 12345.6, "rate": 0.0}
    assert says(energy, 30.0, 40) == {"total": 12345.64, "rate": 2400.0}, "40 Wh in a minute are 2.4 kW"
    water = on_pin(10.0, kind="volume")
    says(water, 0.0, 0)
    assert says(water, 30.0, 3) == {"total": 30.0, "rate": 30.0}


def test_the_rate_falls_while_nothing_comes() -> None:
    metering = on_pin()
    says(metering, 0.0, 0)
    assert says(metering, 5.0, 7)["rate"] == 7.0
    assert metering.wake == 65.0
    assert dict(metering.elapse(at(65.0)).values) == {"rate": 0.0}


RUNS = st.lists(st.lists(st.integers(min_value=0, max_value=50), max_size=8), min_size=1, max_size=6)


@given(RUNS)
def test_a_total_is_the_sum_of_all_pulses_of_all_runs(runs: list[list[int]]) -> None:
    metering, mono, ever = on_pin(0.5, 100.0), 0.0, 0
    for run in runs:
        counted = 0
        for more in (0, *run):
            counted, ever, mono = counted + more, ever + more, mono + 5.0
            assert says(metering, mono, counted)["total"] == pytest.approx(100 + 0.5 * ever)
        mono += 100.0
        metering = restarted(metering, Pulses(PulsesOptions(5, "pulses", 0.5, 100.0)).derivation(UTC), mono)


def test_a_counter_of_another_device_rolls_over_and_restarts_and_is_told_so() -> None:
    meter = Metering("c1", "volume", 10.0, 0.0, Range(65536, 5.0), source="module")
    meter.restore(None, at(0.0))
    says(meter, 0.0, 65530, "module", "c1")
    assert says(meter, 60.0, 4, "other", "c1") == {}
    outcome = meter.take(Reading("module", 60.0, at(60.0).ts, {"c1": 4}, {}), at(60.0))
    assert outcome.values["total"] == 100.0
    assert [(it.name, it.fields["counted"]) for it in outcome.events] == [("counter_rolled_over", 10)]
    outcome = meter.take(Reading("module", 120.0, at(120.0).ts, {"c1": 3}, {}), at(120.0))
    assert outcome.values["total"] == 130.0
    assert [it.name for it in outcome.events] == ["counter_restarted"]
    outcome = meter.take(Reading("module", 180.0, at(180.0).ts, {"c1": 30_000}, {}), at(180.0))
    assert outcome.values["total"] == 130.0
    assert [it.name for it in outcome.events] == ["counter_jumped"]


def test_what_a_module_counts_while_the_gateway_is_off_counts() -> None:
    def anew() -> Metering:
        return Metering("c1", "pulses", 1.0, 0.0, Range(1 << 32), source="module")

    meter = anew()
    meter.restore(None, at(0.0))
    says(meter, 0.0, 1000, "module", "c1")
    says(meter, 10.0, 1010, "module", "c1")
    after = restarted(meter, anew(), 500.0)
    assert says(after, 500.0, 1400, "module", "c1")["total"] == 400.0


def test_a_bad_counter_has_a_bad_total() -> None:
    metering = on_pin()
    outcome = metering.take(Reading("m", 0.0, T0, {}, {"pulses": Reason.SILENT}), at(0.0))
    assert outcome.bad == {"total": Reason.SILENT, "rate": Reason.SILENT}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)
COUNTS = st.fixed_dictionaries(dict.fromkeys(("total", "raw", "ts"), JSON | st.just(10**400)))


@given(JSON | st.fixed_dictionaries({"pulses": COUNTS}), st.booleans())
def test_whatever_was_stored_nothing_raises(content: Any, ours: bool) -> None:
    metering = Metering("pulses", "energy", 0.001, 0.0, Range(65536, 5.0), ours=ours)
    metering.restore(content, at(0.0))
    values = says(metering, 1.0, 7)
    assert values["total"] >= 0
    json.dumps(metering.stored())


# -- the configuration

SITE = """\
site: {id: s, timezone: UTC}
gateway: {id: g}
links:
  bus1: {type: serial, port: /dev/ttyUSB0, baudrate: 9600}
devices:
  module: {driver: modbus, link: bus1, unit: 7, profile: wb-mcm8, accept_beta: true, zone: z}
  single: {driver: modbus, link: bus1, unit: 8, profile: vmu-mc, accept_beta: true, zone: z}
  air: {driver: modbus, link: bus1, unit: 9, profile: xy-md02, zone: z}
  m: {driver: meter, zone: z, METER}
"""


def config(folder: Path, meter: str) -> Config:
    file = folder / "site.yaml"
    file.write_text(SITE.replace("METER", meter), encoding="utf-8")
    return load(file, find_driver=drivers.find, profile_folders=(drivers.profile_folder(),))


@pytest.mark.parametrize("of", ["module.counter8", "single", "single.in1_total"])
def test_a_meter_finds_its_counter_and_the_pace_of_its_module(tmp_path: Path, of: str) -> None:
    device = config(tmp_path, f"of: {of}, kind: energy, scale: 0.001").devices["m"]
    assert device.every == 10.0
    assert [(it.name, it.kind, it.unit) for it in device.built.points] == [
        ("total", "energy", "kWh"),
        ("rate", "power", "W"),
    ]


@pytest.mark.parametrize(
    ("meter", "told"),
    [
        ("of: modul", "9:35: devices.m.of: there is no device 'modul'; there are module, single, air"),
        ("of: module", "9:35: devices.m.of: write one of counter1, counter2, "),
        ("of: module.c1", "9:35: devices.m.of: module has no counter 'c1'; write one of counter1, counter2, "),
        ("of: air.temperature", "9:35: devices.m.of: air has no counter 'temperature'; it counts no pulses"),
        ("of: single, scale: 0", "9:50: devices.m.scale: how much one pulse is, more than 0, not 0"),
        ("of: single, start: -1", "9:50: devices.m.start: what the display said, 0 or more, not -1"),
        ("of: single, wraps: 2", "9:50: devices.m.wraps: 65536 for a register of 16 bits, 4294967296 for two, not 2"),
        ("of: single, max_per_s: 0", "9:54: devices.m.max_per_s: pulses a second, more than 0, not 0"),
    ],
)
def test_what_is_wrong_with_a_meter_is_told_with_its_place(tmp_path: Path, meter: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config(tmp_path, meter)
    assert any(told in problem for problem in caught.value.problems), caught.value.problems


def test_where_a_counter_rolls_over_is_known_from_its_profile() -> None:
    driver = Meter(MeterOptions("module.c1"))
    driver.meet("z", [Placed("module", "z", (point("c1", "pulses", most=65535),))])
    metering = driver.derivation(UTC)
    metering.restore(None, at(0.0))
    says(metering, 0.0, 65530, "module", "c1")
    assert says(metering, 60.0, 4, "module", "c1")["total"] == 10.0
