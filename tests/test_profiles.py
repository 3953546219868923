"""The profiles that come along: each whole, sane, as its sources say, and with a transcript; and how users get on."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from one_device import site

import drivers
from drivers.modbus_decode import decoder
from drivers.modbus_plan import Limits, plan
from drivers.modbus_point import RegisterPoint
from drivers.modbus_profile import Profile
from drivers.modbus_writing import Writing
from gateway.config.installed import read_config
from gateway.config.profiles import Profiles
from gateway.links.capture import parse
from gateway.model import Bad
from gateway.units import KINDS

HERE = Path(__file__).parent
PATHS = sorted(drivers.profile_folder().glob("*.yaml"))
NAMES = [path.stem for path in PATHS]
LIST = json.loads((HERE / "vectors" / "devices.json").read_text(encoding="utf-8"))["devices"]
LISTED: dict[str, Any] = {it["id"]: it for it in LIST}
READ_BY = {1: "coil", 2: "discrete", 3: "holding", 4: "input"}
WRITTEN_BY = {5: "coil", 6: "holding"}

NO_PROFILE = {
    "terabee-evo-people-counter": "it talks by itself: the driver people_counter",
    "dry-contact-people-beam": "pulses on pins: no Modbus",
    "ublox-m8": "NMEA: the driver gps_nmea",
    "quectel-l76k": "NMEA: the driver gps_nmea",
    "quectel-eg25": "NMEA: the driver gps_nmea",
    "ds18b20": "1-wire: the driver ds18b20",
    "dht22": "pulses of 26 us on a pin: not to be had with our dependencies",
    "ads1115": "I2C: not to be had with our dependencies",
    "mcp3008": "SPI: the driver mcp3008",
    "smoke-relay-base": "a contact on a pin: the driver contact, or an input of a module",
}
"""Devices of the list without a profile, and why."""

VARIANTS = {"teltonika-rut-abcd": "teltonika-rut"}
"""Profiles of the same device in another guise, and whose entry of the list they share."""
LISTED.update({name: LISTED[listed] for name, listed in VARIANTS.items()})

NOT_READ = {
    "kincony-sht30": {"temperature_f32": "word order unknown", "humidity_f32": "word order unknown"},
    "pta8d08": {"resistance_ch1": "the same measurement again"},
    "waveshare-relay8": {"all_relays": "cannot be read", "flash_on_relay1": "cannot be read"},
    "waveshare-io8": {"out_mode1": "a setting of the device"},
    "wb-mcm8": {"debounce_ms_in1": "a setting of the device"},
    "teltonika-rut": {"speed": "without a unit", "hdop_or_accuracy": "which of the two is not known"},
}
"""Points of the list that a profile leaves out, beside the devices' own settings (cfg_...), and why."""

SERIES = {("mb8art", "connected_ch1"): 8, ("relay4-clone", "relay1"): 4}
"""Points of the list that stand for so many, one after the other."""

COLLIDING = {"wp3066adam", "mb8art"}
"""Profiles whose sentinel is a value that the sensor could measure, too: the sentinel wins, and a quirk says so."""


def profile(name: str) -> Profile:
    profiles = Profiles((drivers.profile_folder(),))
    found = profiles.get(name, Profile)
    assert found is not None, profiles.problems
    return found


def listed_as(point: RegisterPoint, it: Mapping[str, Any]) -> bool:
    """Whether it is of the type that the list has, or of one that says more of the same registers."""
    match point.type, it["type"]:
        case "bool" | "bit", "uint16" | "bool" | "bit":
            return True
        case "lat_lon_float32", "float32":  # the longitude is the list's next point
            return str(it["name"]) == "latitude"
    return bool(point.type == it["type"])


def listed_points(name: str) -> Mapping[tuple[str, int, int | None], Any]:
    """The points of the list by table, address and bit; one that stands for several, several times."""
    places = {}
    for it in LISTED[name]["points"]:
        table = WRITTEN_BY[it["write_fc"]] if it["fc"] is None else READ_BY[it["fc"]]
        for address in range(it["address"], it["address"] + SERIES.get((name, it["name"]), 1)):
            places[table, address, it.get("bit")] = it
    return places


def sentinels(listed: Iterable[int | str]) -> set[int]:
    return {it if isinstance(it, int) else int(it, 16) for it in listed}


# ---------------------------------------------------------------- against the list of devices


def test_the_pages_count_them_right() -> None:
    assert f"{len(NAMES)} profiles come along" in (HERE.parent / "README.md").read_text(encoding="utf-8")
    assert f"by profile ({len(NAMES)} profiles)" in (HERE.parent / "CHANGELOG.md").read_text(encoding="utf-8")


def test_every_modbus_device_of_the_list_has_a_profile() -> None:
    modbus = {name for name, it in LISTED.items() if it["bus"]["transport"].startswith("modbus")}
    assert len(modbus - VARIANTS.keys()) == 24
    assert modbus == set(NAMES)
    assert LISTED.keys() - set(NAMES) == NO_PROFILE.keys()


@pytest.mark.parametrize("name", NAMES)
def test_a_profile_is_as_sure_of_itself_as_its_sources_are(name: str) -> None:
    found = profile(name)
    assert found.confidence == LISTED[name]["confidence"]
    assert found.beta == (LISTED[name]["confidence"] != "high")
    assert found.sources
    assert found.verified


@pytest.mark.parametrize("name", NAMES)
def test_a_profile_leaves_the_factory_as_the_list_says(name: str) -> None:
    bus, listed = profile(name).bus, LISTED[name]["bus"]
    assert bus is not None
    assert bus.unit == listed["unit"]
    if listed["transport"] == "modbus_tcp":
        assert bus.tcp_port == listed["port"]
        return
    assert bus.tcp_port is None
    assert bus.baudrate == listed["baud"]
    assert f"8{bus.parity[0].upper()}{bus.stopbits}" == listed["format"]
    assert bus.verified == ("unverified" not in listed.get("note", ""))
    assert bus.verified or "from memory" in " ".join(profile(name).quirks)


@pytest.mark.parametrize("name", NAMES)
def test_every_point_is_read_as_the_list_says(name: str) -> None:
    known = listed_points(name)
    for own, point in profile(name).points.items():
        it = known[point.table, point.address, point.bit]
        assert listed_as(point, it), own
        assert point.order in (it.get("order", "ABCD"), it.get("alt_order")), own
        assert point.width == it.get("count", 1) * (2 if point.kind == "position" else 1), own
        scale = point.scale if point.scale_by is None else point.scale_by.scales[0]
        assert scale == pytest.approx(it["scale"] * {"Wh": 0.001}.get(it.get("unit"), 1)), own
        assert point.inverted == it.get("invert", False), own
        assert point.writable == ("write_fc" in it or it.get("access") == "rw"), own
        assert set(point.sentinels) == sentinels(it.get("sentinel", ())), own
        if "map" in it:
            assert point.write == Writing(it["write_fc"], it["map"]["on"], it["map"]["off"]), own


@pytest.mark.parametrize("name", NAMES)
def test_nothing_of_the_list_is_left_out_unsaid(name: str) -> None:
    points = profile(name).points.values()
    read = {(it.table, it.address, it.bit) for it in points}
    read |= {(it.table, it.address + 2, None) for it in points if it.kind == "position"}  # its longitude
    left_out = {it["name"] for place, it in listed_points(name).items() if place not in read}
    assert {it for it in left_out if not it.startswith("cfg_")} == NOT_READ.get(VARIANTS.get(name, name), {}).keys()


# ---------------------------------------------------------------- by themselves


@pytest.mark.parametrize("name", NAMES)
def test_no_two_points_are_read_from_one_place(name: str) -> None:
    points = profile(name).points.values()
    assert len({(it.table, it.address, it.bit) for it in points}) == len(points)
    for table in {it.table for it in points}:
        ends = sorted((it.address, it.address + it.width) for it in points if it.table == table)
        assert all(end <= begin or begin == before for (before, end), (begin, _) in pairwise(ends))


@pytest.mark.parametrize("name", NAMES)
def test_what_is_measured_has_limits_that_make_sense(name: str) -> None:
    widest = {"temperature": (-273.15, 1820), "humidity": (0, 105), "temperature_setpoint": (-50, 200)}
    for own, point in profile(name).points.items():
        assert point.kind in KINDS
        if point.minimum is not None and point.maximum is not None:
            assert point.minimum < point.maximum, own
        if point.kind in widest:
            least, most = widest[point.kind]
            assert point.minimum is not None, own
            assert point.maximum is not None, own
            assert least <= point.minimum < point.maximum <= most, own


@pytest.mark.parametrize("name", NAMES)
def test_what_means_no_sensor_is_no_value_that_could_be_measured(name: str) -> None:
    for own, point in profile(name).points.items():
        for sentinel in point.sentinels:
            plain = decoder(replace(point, sentinels=()))([sentinel & 0xFFFF], 0)
            assert isinstance(plain, Bad) or name in COLLIDING, f"{own}: {sentinel} could be {plain}"


@pytest.mark.parametrize("name", NAMES)
def test_a_profile_is_read_in_few_requests_within_its_limits(name: str) -> None:
    found = profile(name)
    readable = {own: it for own, it in found.points.items() if it.readable}
    blocks = plan(readable, Limits(found.max_registers, found.max_gap))
    assert sorted(own for block in blocks for own, _ in block.points) == sorted(readable)
    for block in blocks:
        bits = 16 if block.table in ("coil", "discrete") else 1
        assert 1 <= block.size <= found.max_registers * bits
    assert len(blocks) <= 9


@pytest.mark.parametrize("name", NAMES)
def test_the_settings_of_a_profile_can_be_those_of_a_link(name: str, tmp_path: Path) -> None:
    bus = profile(name).bus
    assert bus is not None
    assert 1 <= bus.unit <= 255
    link = f"{{type: tcp, host: 192.0.2.1, port: {bus.tcp_port}}}"
    if bus.tcp_port is None:
        serial = f"baudrate: {bus.baudrate}, parity: {bus.parity}, stopbits: {bus.stopbits}"
        link = f"{{type: serial, port: /dev/ttyUSB0, {serial}}}"
    outputs = ", ".join(own for own, it in profile(name).points.items() if not it.readable)
    device = f"profile: {name}, accept_beta: true, outputs: [{outputs}]"
    built = read_config(site(tmp_path, device, link=link, unit=bus.unit)).devices["dock"].built
    assert {it.name for it in built.points} == set(profile(name).points)


@pytest.mark.parametrize("name", NAMES)
def test_a_profile_has_a_transcript_and_the_page_says_where_it_is_from(name: str) -> None:
    captures = [parse(path.read_text(encoding="utf-8")) for path in (HERE / "drivers" / "modbus").glob("*.capture")]
    own = [it.header["origin"] for it in captures if json.loads(it.header["options"])["profile"] == name]
    assert own
    page = (drivers.profile_folder().parent / "README.md").read_text(encoding="utf-8")
    (row,) = [line for line in page.splitlines() if line.startswith(f"| `{name}` |")]
    made_by_us = all(origin.startswith("synthetic") for origin in own)
    assert row.endswith("| synthetic |") == made_by_us


GENERAL = {"modbus", "modbusrtu", "rs-485", "rs485", "0x0100"}
"""Words in the names of models that belong to the trade, not to a device."""


def test_the_code_knows_no_device() -> None:
    """What is particular to a model stands in its profile."""
    words = set(NAMES)
    for name in NAMES:
        found = profile(name)
        words |= set(re.findall(r"[a-z-]*\d[\w-]*", found.model.lower())) | set(re.findall(r"[A-Z]\w{3,}", found.maker))
    words = {word.lower() for word in words} - GENERAL
    assert {"sdm120", "eastron", "r4d8a08", "rutx11"} <= words
    for path in drivers.profile_folder().parent.glob("modbus_*.py"):
        assert not words & set(re.findall(r"[\w-]+", path.read_text(encoding="utf-8").lower())), path.name
