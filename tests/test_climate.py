"""The dew point and absolute humidity of a place, against computed vectors and a slow model of condensing water."""

from __future__ import annotations

from itertools import pairwise
from math import exp
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import drivers
from gateway.config.load import load
from gateway.config.schema import Config
from gateway.derive.climate import Climate, Place
from gateway.derive.humid_air import absolute_humidity, dew_point
from gateway.errors import ConfigError
from gateway.model import Moment, Reading, Reason, Trust

VECTORS = [  # °C, %RH, dew point °C, g/m³: the formula computed; above 0 °C within 0.1 K of psychrolib 2.5
    (25, 50, 13.85, 11.48),
    (20, 60, 12.0, 10.34),
    (30, 80, 26.17, 24.21),
    (40, 50, 27.6, 25.49),
    (5, 85, 2.69, 5.77),
    (2, 95, 1.28, 5.28),
    (20, 80, 16.44, 13.79),
    (10, 40, -3.0, 3.75),
    (0, 90, -1.45, 4.36),
    (-10, 80, -12.8, 1.89),
    (-18, 75, -21.35, 0.95),
    (22.5, 45, 9.97, 8.97),
    (35, 20, 8.69, 7.89),
]


@pytest.mark.parametrize(("temperature", "humidity", "dew", "absolute"), VECTORS)
def test_the_vectors(temperature: float, humidity: float, dew: float, absolute: float) -> None:
    assert dew_point(temperature, humidity) == pytest.approx(dew, abs=0.006)
    assert absolute_humidity(temperature, humidity) == pytest.approx(absolute, abs=0.006)


@given(st.floats(-45, 60), st.floats(1, 100))
def test_cooled_to_its_dew_point_air_is_just_saturated(temperature: float, humidity: float) -> None:
    """The slow way: cool the air step by step until it cannot hold its water any more."""

    def most(celsius: float) -> float:
        return 6.112 * exp(17.62 * celsius / (243.12 + celsius))

    vapour, cooled, step = humidity / 100 * most(temperature), temperature, 8.0
    while step > 0.0001:
        while most(cooled - step) > vapour:
            cooled -= step
        step /= 2
    assert dew_point(temperature, humidity) == pytest.approx(cooled, abs=0.001)


def test_more_humidity_means_a_higher_dew_point() -> None:
    dews = [dew_point(20, humidity) for humidity in range(1, 101)]
    assert all(a < b for a, b in pairwise(dews))
    assert dews[-1] == pytest.approx(20)


NOW = Moment(100.0, 0, Trust.SYNCED)


def reading(device: str, mono: float, bad: dict[str, Reason] | None = None, **values: float) -> Reading:
    return Reading(device, mono, 0, values, bad or {})


def of_two(surface: Place | None = None) -> Climate:
    return Climate(Place("air", "t"), Place("hygro", "rh"), surface, 60.0)


def test_two_devices_make_one_climate_once_both_have_spoken() -> None:
    climate = of_two()
    assert climate.take(reading("air", 1.0, t=25.0), NOW).bad == {
        "dew_point": Reason.SILENT,
        "absolute_humidity": Reason.SILENT,
    }
    assert climate.take(reading("hygro", 2.0, rh=50.0), NOW).values == {"dew_point": 13.85, "absolute_humidity": 11.48}
    assert not climate.take(reading("air", 3.0, other=1.0), NOW).has_points


def test_a_value_that_is_too_old_makes_no_dew_point() -> None:
    climate = of_two()
    climate.take(reading("air", 1.0, t=25.0), NOW)
    assert climate.take(reading("hygro", 61.0, rh=50.0), NOW).values
    assert set(climate.take(reading("hygro", 61.1, rh=50.0), NOW).bad.values()) == {Reason.SILENT}


@pytest.mark.parametrize(("temperature", "humidity"), [(25, 0), (25, -1), (25, 100.1), (-45.1, 50), (60.1, 50)])
def test_where_the_formula_does_not_hold_nothing_is_guessed(temperature: float, humidity: float) -> None:
    climate = Climate(Place("air", "t"), Place("air", "rh"), None, 60.0)
    outcome = climate.take(reading("air", 1.0, t=temperature, rh=humidity), NOW)
    assert outcome.bad == {"dew_point": Reason.OUT_OF_RANGE, "absolute_humidity": Reason.OUT_OF_RANGE}


def test_a_bad_source_makes_a_bad_climate_for_the_same_reason() -> None:
    climate = of_two(Place("wall", "t"))
    climate.take(reading("air", 1.0, t=25.0), NOW)
    climate.take(reading("wall", 1.0, t=14.0), NOW)
    assert climate.take(reading("hygro", 1.0, rh=50.0), NOW).values["condensation_margin"] == 0.15
    assert set(climate.take(reading("air", 2.0, {"t": Reason.NO_REPLY}), NOW).bad.values()) == {Reason.NO_REPLY}
    climate.take(reading("air", 3.0, t=25.0), NOW)
    outcome = climate.take(reading("wall", 3.0, {"t": Reason.SENSOR_FAULT}), NOW)
    assert outcome.bad == {"condensation_margin": Reason.SENSOR_FAULT}, "the air is as it was"
    assert outcome.values.keys() == {"dew_point", "absolute_humidity"}


SITE = """\
site: {id: s, name: S}
gateway: {id: g}
links:
  bus1: {type: serial, port: /dev/ttyUSB0}
devices:
  fridge: {driver: modbus, link: bus1, unit: 1, profile: xy-md02, zone: shop}
  wall: {driver: modbus, link: bus1, unit: 2, profile: r4dcb08, zone: shop}
  air: {driver: climate, zone: shop, CLIMATE}
"""


def config(tmp_path: Path, climate: str) -> Config:
    file = tmp_path / "site.yaml"
    file.write_text(SITE.replace("CLIMATE", climate), encoding="utf-8")
    return load(file, find_driver=drivers.find, profile_folders=(drivers.profile_folder(),))


def test_a_climate_of_a_device_has_its_pace_and_its_name_in_what_it_is_made_of(tmp_path: Path) -> None:
    device = config(tmp_path, "of: fridge").devices["air"]
    assert (device.link, device.every) == ("", 10.0)
    assert config(tmp_path, "of: fridge").rules == {}
    both = config(tmp_path, "of: fridge, surface: wall.temperature_ch3")
    rule = both.rules["air-condensation"]
    assert (rule.point, rule.below, rule.priority) == ("air.condensation_margin", 1.0, "low")
    assert [it.name for it in both.devices["air"].built.points][-1] == "condensation_margin"


@pytest.mark.parametrize(
    ("climate", "told"),
    [
        (
            "of: fridge, link: bus1",
            "8:50: devices.air.link: climate is made of other devices and has no link; leave it out",
        ),
        ("of: fidge", "8:42: devices.air.of: there is no device 'fidge'; there are fridge, wall"),
        ("of: air", "8:42: devices.air.of: there is no device 'air'; there are fridge, wall"),
        (
            "of: wall",
            "8:42: devices.air.of: wall has 8 points of the kind temperature; write temperature as device.point",
        ),
        (
            "temperature: fridge.temperature, humidity: wall.humidity",
            "8:81: devices.air.humidity: wall has no humidity 'humidity'; it has no humidity",
        ),
        (
            "temperature: fridge.temperature",
            "8:3: devices.air: needs `of:` with a device, or temperature and humidity as",
        ),
        (
            "of: fridge, humidity: fridge.humidity",
            "8:42: devices.air.of: goes without temperature and humidity; keep one or the other",
        ),
    ],
)
def test_what_is_wrong_with_it_is_told_with_its_place(tmp_path: Path, climate: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config(tmp_path, climate)
    assert any(told in problem for problem in caught.value.problems), caught.value.problems


def test_a_device_that_needs_a_link_is_told_so(tmp_path: Path) -> None:
    file = tmp_path / "site.yaml"
    file.write_text(SITE.replace("modbus, link: bus1, unit: 1", "modbus, unit: 1").replace("CLIMATE", "of: fridge"))
    with pytest.raises(
        ConfigError, match=r"devices\.fridge\.link: is missing; add `link: \.\.\.` \(the link that it is"
    ):
        load(file, find_driver=drivers.find, profile_folders=(drivers.profile_folder(),))


def test_what_is_made_of_a_disabled_device_is_off_as_well(tmp_path: Path) -> None:
    file = tmp_path / "site.yaml"
    file.write_text(SITE.replace("unit: 1,", "unit: 1, enabled: false,").replace("CLIMATE", "of: fridge"))
    found = load(file, find_driver=drivers.find, profile_folders=(drivers.profile_folder(),))
    assert found.off == ("device fridge", "device air (what it is made of is off)")


def test_two_that_are_made_of_each_other_are_refused(tmp_path: Path) -> None:
    second = "  b: {driver: climate, zone: shop, temperature: air.t, humidity: fridge.humidity}\n"
    file = tmp_path / "site.yaml"
    file.write_text(SITE.replace("CLIMATE", "of: fridge") + second)
    with pytest.raises(ConfigError, match=r"temperature: air has no temperature 't'; it has no temperature"):
        load(file, find_driver=drivers.find, profile_folders=(drivers.profile_folder(),))


def test_what_is_made_of_a_wrong_device_is_not_blamed_for_that(tmp_path: Path) -> None:
    air = "  b: {driver: track, zone: shop, of: lost}\n  lost: {driver: track, zone: shop, of: nowhere}\n"
    file = tmp_path / "site.yaml"
    file.write_text(SITE.replace("CLIMATE", "of: fridge") + air)
    with pytest.raises(ConfigError) as caught:
        load(file, find_driver=drivers.find, profile_folders=(drivers.profile_folder(),))
    told = "\n".join(caught.value.problems)
    assert "devices.lost.of: there is no device 'nowhere'" in told
    assert "devices.b" not in told
