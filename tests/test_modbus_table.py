"""Modbus by profile: what registers spell, how few requests it takes, what becomes of faults, and what is written."""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

import drivers
from drivers.modbus_decode import block_decoder, decoder
from drivers.modbus_number import shortest
from drivers.modbus_point import WIDE, Order, RegisterPoint, ScaleBy, TypeName
from drivers.modbus_profile import Profile
from drivers.modbus_table import ModbusOptions, ModbusTable
from drivers.modbus_writing import Writing
from gateway.config.profiles import Profiles
from gateway.driver import Table
from gateway.errors import LinkDown, NoReply, Refused, SitewardenError
from gateway.model import Bad, Reason, Values

VECTORS = Path(__file__).parent / "vectors"
REGISTERS = json.loads((VECTORS / "modbus.json").read_text(encoding="utf-8"))
DEVICES = {it["id"]: it for it in json.loads((VECTORS / "devices.json").read_text(encoding="utf-8"))["devices"]}
PROFILES = sorted(drivers.profile_folder().glob("*.yaml"))
READ_BY = {1: "coil", 2: "discrete", 3: "holding", 4: "input"}
FAULT, RANGE = Bad(Reason.SENSOR_FAULT), Bad(Reason.OUT_OF_RANGE)
NUMBERS: tuple[TypeName, ...] = (
    *("int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64"),
    *("bcd16", "offset10000", "sign_magnitude16"),
)
ORDERS: tuple[Order, ...] = ("ABCD", "CDAB", "BADC", "DCBA")


def gauge(kind: TypeName = "int16", address: int = 0, **more: Any) -> RegisterPoint:
    return RegisterPoint("temperature", "holding", address, kind, **more)


def profile_of(points: dict[str, RegisterPoint], **more: Any) -> Profile:
    return Profile("test", "nobody", ("none",), "high", points, **more)


def table(points: dict[str, RegisterPoint], max_gap: int = 16, max_registers: int = 60, **more: Any) -> ModbusTable:
    profile = profile_of(points, max_gap=max_gap, max_registers=max_registers)
    return ModbusTable(ModbusOptions(1, profile, **more))


TEXT = RegisterPoint("text", "holding", 0, "ascii", registers=3)
PLACE = RegisterPoint("position", "holding", 0, "lat_lon_float32")


class Device:
    """A device at unit 1: registers of its own, addresses it refuses or is silent about, and a log of requests."""

    def __init__(self, registers: dict[int, int] | None = None) -> None:
        self.registers = registers or {}
        self.refuses: set[int] = set()
        self.mute: set[int] = set()
        self.stuck: set[int] = set()
        self.asked: list[tuple[str, int, int]] = []
        self.functions: list[int | None] = []

    def read(self, unit: int, table: Table, address: int, count: int) -> Sequence[int]:
        assert unit == 1
        self.asked.append((table, address, count))
        addresses = range(address, address + count)
        if self.mute & set(addresses):
            raise NoReply("silent", "no reply within 300 ms")
        if self.refuses & set(addresses):
            raise Refused(2, "exception 2")
        return [self.registers.get(it, 0) for it in addresses]

    def write(self, unit: int, table: Table, address: int, values: Sequence[int], function: int | None = None) -> None:
        assert unit == 1
        self.asked.append((f"write {table}", address, len(values)))
        self.functions.append(function)
        if address in self.refuses:
            raise Refused(2, "exception 2")
        self.registers.update((at, it) for at, it in enumerate(values, address) if at not in self.stuck)


# ---------------------------------------------------------------- what registers spell


@pytest.mark.parametrize("vector", REGISTERS["word_orders"]["vectors"], ids=lambda it: f"{it['type']}-{it['value']}")
@pytest.mark.parametrize("order", ORDERS)
def test_a_value_is_read_in_each_word_order(vector: dict[str, Any], order: Order) -> None:
    raw = [int(word, 16) for word in vector["registers"][order]]
    assert decoder(gauge(vector["type"], order=order))(raw, 0) == pytest.approx(vector["value"], rel=1e-7)


def test_a_float64_is_read_in_both_word_orders() -> None:
    vector = REGISTERS["float64"]
    for order, words in (("ABCD", vector["big"]), ("CDAB", vector["word_swapped"])):
        assert decoder(gauge("float64", order=order))([int(word, 16) for word in words], 0) == vector["value"]


@pytest.mark.parametrize("vector", REGISTERS["int16_decode"], ids=lambda it: f"{it['type']}-{it['raw']}")
def test_a_short_value_is_read_as_its_device_means_it(vector: dict[str, Any]) -> None:
    raw = vector["raw"] if isinstance(vector["raw"], int) else int(vector["raw"], 16)
    missing = vector["value"] is None
    point = gauge(vector["type"], scale=0.1, sentinels=(raw,) if missing else ())
    assert decoder(point)([raw & 0xFFFF], 0) == (FAULT if missing else vector["value"])


@pytest.mark.parametrize(
    ("point", "raw", "value"),
    [
        (gauge(scale=0.1), [245], 24.5),
        (gauge(scale=0.1), [3], 0.3),
        (gauge(scale=0.1), [0], 0.0),
        (gauge(scale=0.0625), [0xFFF8], -0.5),
        (gauge(scale=0.01, offset=-40), [4005], 0.05),
        (gauge(scale=10), [7], 70),
        (gauge(scale=0.5, decimals=0), [3], 2),
        (gauge("uint16", scale=0.001), [65535], 65.535),
        (gauge("uint64"), [0xFFFF] * 4, 2**64 - 1),
        (gauge("bcd16", scale=0.1), [0x0245], 24.5),
        (gauge("bcd16"), [0x024A], FAULT),
        (gauge("float32"), [0x4366, 0x3333], 230.2),
        (gauge("float32", scale=0.1), [0x4366, 0x3333], 23.02),
        (gauge("float32", decimals=1), [0x4366, 0x3333], 230.2),
        (gauge("float32"), [0x8000, 0x0000], 0.0),
        (gauge("float32"), [0x7FC0, 0x0000], FAULT),
        (gauge("float32"), [0xFF80, 0x0000], FAULT),
        (gauge("float64", scale=1e9), [0x7FE0, 0, 0, 0], RANGE),
        (gauge("float32", sentinels=(0xC61C4000,)), [0xC61C, 0x4000], FAULT),
        (gauge(scale=0.1, minimum=-40, maximum=80), [0xFE6F], RANGE),
        (gauge(scale=0.1, minimum=-40, maximum=80), [0xFE70], -40.0),
        (gauge(scale=0.1, minimum=-40, maximum=80), [801], RANGE),
        (gauge("bits", bit=4, bits=3, scale=0.1), [0b1010_0101_0000], 0.5),
        (gauge("bits", bit=0, bits=16), [0xFFFF], 65535),
        (gauge("bits", bit=8, bits=8, sentinels=(0xFF,)), [0xFF12], FAULT),
        (TEXT, [0x4C54, 0x4500, 0xFFFF], "LTE"),
        (TEXT, [0x2054, 0x656C, 0x2020], "Tel"),
        (TEXT, [0, 0, 0], ""),
        (TEXT, [0x4C1B, 0x5B31, 0x6D00], FAULT),  # what would colour a terminal is no text
        (TEXT, [0xC3BC, 0, 0], FAULT),
        (replace(TEXT, order="BADC"), [0x544C, 0x0045, 0], "LTE"),
        (RegisterPoint("text", "holding", 0, "ipv4"), [0xC0A8, 0x0101], "192.168.1.1"),
        (RegisterPoint("text", "holding", 0, "ipv4", order="CDAB"), [0x0101, 0xC0A8], "192.168.1.1"),
        (RegisterPoint("text", "holding", 0, "ipv4", sentinels=(0,)), [0, 0], FAULT),
        (PLACE, [0x41F9, 0xD7DC, 0x42F2, 0xF289], (31.2304, 121.4737)),
        (replace(PLACE, order="DCBA"), [0xDCD7, 0xF941, 0x89F2, 0xF242], (31.2304, 121.4737)),
        (replace(PLACE, order="DCBA"), [0x41F9, 0xD7DC, 0x42F2, 0xF289], RANGE),  # the order of another firmware
        (PLACE, [0, 0, 0, 0], Bad(Reason.NO_FIX)),
        (PLACE, [0x7FC0, 0, 0x42F2, 0xF289], FAULT),
        (PLACE, [0x42B4, 0x0001, 0x42F2, 0xF289], RANGE),  # beyond the pole
        (PLACE, [0x0000, 0x0001, 0x42F2, 0xF289], RANGE),
        (PLACE, [0x0000, 0x0000, 0x42F2, 0xF289], (0.0, 121.4737)),
        (RegisterPoint("fault", "holding", 0, "bit", bit=2), [0b100], "fault"),
        (RegisterPoint("status", "input", 0, "bool"), [0], "off"),
        (RegisterPoint("contact", "holding", 0, "bool"), [0x0100], "on"),
        (RegisterPoint("contact", "holding", 0, "bit", bit=3), [0b1000], "on"),
        (RegisterPoint("contact", "holding", 0, "bit", bit=3), [0b0111], "off"),
        (RegisterPoint("smoke", "discrete", 0, "bool", inverted=True), [0], "alarm"),
        (RegisterPoint("door", "discrete", 0, "bool"), [1], "open"),
        (RegisterPoint("output", "coil", 0, "bool"), [0], "off"),
    ],
)
def test_a_value_is_exactly_what_the_device_means(point: RegisterPoint, raw: list[int], value: Any) -> None:
    decoded = decoder(point)(raw, 0)
    assert decoded == value
    assert type(decoded) is type(value)
    assert not (isinstance(decoded, float) and str(decoded) == "-0.0")


@st.composite
def any_point(draw: st.DrawFn) -> RegisterPoint:
    return gauge(
        draw(st.sampled_from(NUMBERS)),
        order=draw(st.sampled_from(ORDERS)),
        scale=draw(st.sampled_from([1, 0.1, 0.001, -0.5, 10, 1e9, 1e-9, 1 / 3])),
        offset=draw(st.sampled_from([0, -40, 0.05, 1e9])),
        decimals=draw(st.sampled_from([None, 0, 1, 9])),
        sentinels=draw(st.sampled_from([(), (0x8000,), (-1, 0)])),
        minimum=draw(st.sampled_from([None, -1e6])),
    )


@given(any_point(), st.data())
def test_any_registers_are_a_finite_number_or_bad(point: RegisterPoint, data: st.DataObject) -> None:
    raw = data.draw(st.lists(st.integers(0, 0xFFFF), min_size=point.width, max_size=point.width))
    value = decoder(point)(raw, 0)
    assert isinstance(value, Bad) or (isinstance(value, int | float) and math.isfinite(value))


@given(st.sampled_from([TEXT, replace(TEXT, order="BADC"), PLACE, replace(PLACE, order="CDAB")]), st.data())
def test_any_registers_are_a_text_to_print_a_place_on_earth_or_bad(point: RegisterPoint, data: st.DataObject) -> None:
    raw = data.draw(st.lists(st.integers(0, 0xFFFF), min_size=point.width, max_size=point.width))
    match decoder(point)(raw, 0):
        case str() as text:
            assert not text or (text.isascii() and text.isprintable())
        case (latitude, longitude):
            assert abs(latitude) <= 90
            assert abs(longitude) <= 180
        case value:
            assert isinstance(value, Bad)


@pytest.mark.parametrize(
    ("raw", "values"),
    [
        ((245, 0xFFFE, 3, 800), (24.5, -0.2, 0.3, 80.0)),
        ((245, 0xFFFF, 3, 800), (24.5, FAULT, 0.3, 80.0)),
        ((245, 0xFFFE, 3, 801), (24.5, -0.2, 0.3, RANGE)),
        ((0xFE6F, 0xFFFE, 3, 800), (RANGE, -0.2, 0.3, 80.0)),
        ((0xFE6F, 0xFFFF, 3, 801), (RANGE, FAULT, 0.3, RANGE)),
    ],
)
def test_one_of_several_alike_is_bad_by_itself(raw: tuple[int, ...], values: tuple[Any, ...]) -> None:
    point = gauge(scale=0.1, sentinels=(-1,), minimum=-40, maximum=80)
    read = block_decoder((name, at, point) for at, name in enumerate("abcd"))
    assert tuple(read(raw).values()) == values


def test_points_that_share_a_register_are_not_taken_for_neighbours() -> None:
    read = block_decoder((name, at, gauge()) for name, at in [("a", 0), ("b", 0), ("c", 2)])
    assert read((111, 222, 333)) == {"a": 111, "b": 111, "c": 333}


COMMON = (
    gauge("uint16"),
    gauge(scale=0.1, offset=-40),
    gauge(scale=0.1, sentinels=(0x7FFF, -1), minimum=-40, maximum=125),
    gauge(scale=10, maximum=1000),
    gauge("float32"),
    RegisterPoint("contact", "holding", 0, "bit", bit=3),
)
"""Of few kinds, so that some in a block are alike."""


@given(st.lists(st.one_of(st.sampled_from(COMMON), any_point()), min_size=1, max_size=4), st.data())
def test_a_block_is_read_as_its_points_are_one_by_one(kinds: list[RegisterPoint], data: st.DataObject) -> None:
    points = data.draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=12))
    gaps = data.draw(st.lists(st.integers(-1, 1), min_size=len(points), max_size=len(points)))  # -1: they share one
    ends = list(accumulate(point.width + gap for point, gap in zip(points, gaps, strict=True)))
    starts = [max(0, end - point.width) for end, point in zip(ends, points, strict=True)]
    placed = [(f"p{number}", at, point) for number, (at, point) in enumerate(zip(starts, points, strict=True))]
    words = st.one_of(st.sampled_from([0, 1, 0x7FFF, 0x8000, 0xFFFF]), st.integers(0, 0xFFFF), st.integers(0, 999))
    raw = tuple(data.draw(st.lists(words, min_size=60, max_size=60)))
    one_by_one = {name: decoder(point)(raw, at) for name, at, point in placed}
    found = block_decoder(placed)(raw)
    assert found == one_by_one
    assert {name: type(value) for name, value in found.items()} == {n: type(it) for n, it in one_by_one.items()}


@given(st.integers(-0x8000, 0x7FFF), st.sampled_from([1, 2, 3, 4]))
def test_a_scaled_integer_is_the_nearest_decimal(number: int, places: int) -> None:
    assert decoder(gauge(scale=10**-places))([number & 0xFFFF], 0) == float(f"{number}e-{places}")


@given(st.integers(-(1 << 63), (1 << 63) - 1), st.sampled_from([1, 2, 3, 4]))
def test_a_long_scaled_integer_is_the_nearest_decimal(number: int, places: int) -> None:
    raw = struct.unpack(">4H", number.to_bytes(8, "big", signed=True))
    assert decoder(gauge("int64", scale=10**-places))(raw, 0) == float(f"{number}e-{places}")


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_the_shortest_decimal_is_the_same_float32(single: float) -> None:
    assert struct.pack(">f", shortest(single)) == struct.pack(">f", single + 0.0)
    assert len(f"{shortest(single):.9g}") <= len(f"{single:.9g}")


# ---------------------------------------------------------------- a scale that another register tells


def two_scales(**more: Any) -> dict[str, RegisterPoint]:
    """Thermometers that count tenths or hundredths, as register 76 of the same device says."""
    warm = gauge(sentinels=(30000,), minimum=-50, maximum=200, scale_by=ScaleBy("mode", {0: 0.1, 1: 0.01}), **more)
    return {"a": warm, "b": replace(warm, address=1), "mode": RegisterPoint("setting", "holding", 76, "uint16")}


@pytest.mark.parametrize(
    ("mode", "raw", "values"),
    [
        (0, (245, 0xFFFF), (24.5, -0.1)),
        (1, (245, 0xFFFF), (2.45, -0.01)),
        (0, (30000, 245), (FAULT, 24.5)),
        (1, (30000, 19999), (FAULT, 199.99)),
        (0, (2001, -501 & 0xFFFF), (RANGE, RANGE)),
        (2, (245, 30000), (RANGE, FAULT)),  # a scale that the profile does not know
    ],
)
def test_a_value_has_the_scale_that_the_device_tells(mode: int, raw: tuple[int, int], values: tuple[Any, Any]) -> None:
    found = table(two_scales()).poll(Device({0: raw[0], 1: raw[1], 76: mode}))
    assert found == {"a": values[0], "b": values[1], "mode": mode}
    assert [type(it) for it in found.values()] == [*(type(it) for it in values), int]


def test_a_scale_that_changes_holds_for_the_values_of_the_same_poll() -> None:
    device, thermometer = Device({0: 245, 76: 0}), table(two_scales())
    assert thermometer.poll(device)["a"] == 24.5
    device.registers.update({0: 2450, 76: 1})
    assert thermometer.poll(device)["a"] == 24.5


def test_without_its_scale_a_value_is_bad_for_the_same_reason() -> None:
    device = Device({0: 245, 1: 245})
    device.mute = {76}
    silent = Bad(Reason.NO_REPLY)
    assert table(two_scales()).poll(device) == {"a": silent, "b": silent, "mode": silent}


def test_offset_and_decimals_come_after_the_scale() -> None:
    thermometer = table(two_scales(offset=-40, decimals=1))
    assert thermometer.poll(Device({0: 4246, 1: 4244, 76: 1})) == {"a": 2.5, "b": 2.4, "mode": 1}


@pytest.mark.parametrize(
    ("by", "says"),
    [
        ("nothing", "points: a has its scale from 'nothing', which is no other point"),
        ("a", "points: a has its scale from 'a', which is no other point"),
        ("b", "points: a has its scale from b, which has to be a number with a scale"),
        ("on", "points: a has its scale from on, which has to be a number with a scale"),
    ],
)
def test_a_scale_comes_from_a_number_of_the_same_profile(by: str, says: str) -> None:
    points = {**two_scales(), "on": RegisterPoint("contact", "holding", 9, "bool")}
    points["a"] = replace(points["a"], scale_by=ScaleBy(by, {0: 0.1}))
    with pytest.raises(ValueError, match=says):
        profile_of(points)


def test_a_scale_that_is_told_has_scales_to_tell() -> None:
    with pytest.raises(ValueError, match="scales: which scale does each value of the point mean"):
        ScaleBy("mode", {})
    with pytest.raises(ValueError, match="scales: from 1e-9 to 1e9, not 0 for 1"):
        ScaleBy("mode", {0: 0.1, 1: 0})


# ---------------------------------------------------------------- points that contradict themselves


def read_profile(path: Path) -> Profile:
    profiles = Profiles((path.parent,))
    profile = profiles.get(path.stem, Profile)
    assert profile is not None, profiles.problems
    return profile


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"kind": "warmth"}, "kind: there is no kind 'warmth'; the kinds are listed in drivers/README.md"),
        ({"kind": "temprature"}, "kind: there is no kind 'temprature'; did you mean temperature?"),
        ({"kind": "position"}, "kind: position is a lat_lon_float32, and type int16 is not"),
        ({"kind": "text"}, "kind: text is an ascii or ipv4, and type int16 is not"),
        ({"type": "ipv4"}, "kind: temperature is a number, and type ipv4 is not"),
        ({"kind": "door"}, "kind: door is a bool or bit, and type int16 is not"),
        ({"type": "bool"}, "kind: temperature is a number, and type bool is not"),
        ({"table": "coil"}, "type: a coil holds one bit: bool, not int16"),
        ({"address": -1}, "address: from 0 to 65535"),
        ({"address": 65535, "type": "uint32"}, "address: from 0 to 65535"),
        ({"type": "bit", "kind": "contact"}, "bit: type bit needs one from 0 to 15, not None"),
        ({"type": "bit", "kind": "contact", "bit": 16}, "bit: type bit needs one from 0 to 15, not 16"),
        ({"bit": 3}, "bit: only with type bit or bits, not with int16"),
        ({"type": "bits", "bits": 3}, "bit: type bits needs one from 0 to 15, not None"),
        ({"type": "bits", "bit": 14, "bits": 3}, "bits: how many, from 1 to 2 beginning at bit 14, not 3"),
        ({"type": "bits", "bit": 0}, "bits: how many, from 1 to 16 beginning at bit 0, not None"),
        ({"bits": 3}, "bits: only with type bits, not with int16"),
        ({"registers": 2}, "registers: only with type ascii, not with int16"),
        ({"type": "ascii", "kind": "text"}, "registers: a text needs 1 to 60, not None"),
        ({"type": "ascii", "kind": "text", "registers": 61}, "registers: a text needs 1 to 60, not 61"),
        ({"type": "ascii", "kind": "text", "registers": 2, "order": "CDAB"}, "order: of a text ABCD or BADC, not CDAB"),
        ({"type": "ipv4", "kind": "text", "minimum": 1.0}, "minimum: of a number, not of type ipv4"),
        ({"type": "ascii", "kind": "text", "registers": 2, "sentinels": (0,)}, "sentinels: of a number, not of type"),
        ({"sentinels": (0x10000,)}, "sentinels: 65536 is more than the 16 bits of int16"),
        ({"scale": 0.1, "scale_by": ScaleBy("mode", {0: 0.1})}, "scale: stands in scale_by; leave out one of the two"),
        ({"scale": 0.0}, "scale: from 1e-9 to 1e9, not 0.0"),
        ({"scale": math.nan}, "scale: from 1e-9 to 1e9, not nan"),
        ({"offset": math.inf}, "offset: up to 1e9, not inf"),
        ({"decimals": 10}, "decimals: from 0 to 9, not 10"),
        ({"minimum": 2.0, "maximum": 1.0}, "minimum: 2.0 is above the maximum 1.0"),
        ({"inverted": True}, "inverted: only a bool or bit can be"),
        ({"writable": True, "kind": "door", "type": "bool"}, "writable: an output of type bool, in a coil or"),
        ({"readable": False}, "readable: a point that is not writable must be"),
        ({"write": Writing(6)}, "write: only of a point that is writable"),
        (
            {"kind": "output", "table": "coil", "type": "bool", "writable": True, "write": Writing(6)},
            "write: a coil is written by function 5 or 15, not 6",
        ),
    ],
)
def test_a_point_that_contradicts_itself_is_refused(change: dict[str, Any], says: str) -> None:
    sound = {"kind": "temperature", "table": "holding", "address": 0, "type": "int16"}
    with pytest.raises(ValueError, match=says.replace("(", r"\(")):
        RegisterPoint(**{**sound, **change})


def test_a_profile_without_points_or_with_impossible_limits_is_refused() -> None:
    with pytest.raises(ValueError, match="points: a profile needs at least one"):
        profile_of({})
    with pytest.raises(ValueError, match="points: 'Temp 1' is no name"):
        profile_of({"Temp 1": gauge()})
    with pytest.raises(ValueError, match="max_registers: from 4 to 125, not 126"):
        profile_of({"t": gauge()}, max_registers=126)
    with pytest.raises(ValueError, match="max_gap: from 0 to 125, not -1"):
        profile_of({"t": gauge()}, max_gap=-1)
    with pytest.raises(ValueError, match="max_registers: t alone takes 30"):
        profile_of({"t": RegisterPoint("text", "holding", 0, "ascii", registers=30)}, max_registers=20)


def test_a_profile_says_which_scale_each_value_of_a_point_means(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(
        """model: X
sources: [nobody]
maker: Y
confidence: high
points:
  t: {kind: temperature, table: input, address: 0, type: int16, scale_by: {point: mode, scales: {0: 0.1, 1: 0.01}}}
  mode: {kind: setting, table: holding, address: 76, type: bits, bit: 0, bits: 2}
  operator: {kind: text, table: holding, address: 23, type: ascii, registers: 16}
""",
        encoding="utf-8",
    )
    device = Device({0: 245, 76: 0b101, 23: 0x4E31})
    found = ModbusTable(ModbusOptions(1, read_profile(tmp_path / "mine.yaml"))).poll(device)
    assert found == {"t": 2.45, "mode": 1, "operator": "N1"}


@pytest.mark.parametrize(
    ("right", "wrong", "says"),
    [
        ("scale: 0.1", "scale: 0", r":2:\d+: points\.t\b.*from 1e-9 to 1e9, not 0"),
        ("scale: 0.1", "scal: 0.1", r":2:\d+: points\.t\.scal: "),
        ("int16", "float", r":2:\d+: points\.t\.type: .*int16"),
        ("address: 1", "address: '1'", r":2:\d+: points\.t\.address: "),
        ("maker", "makr", r":5:1: makr: "),
    ],
)
def test_a_wrong_profile_is_told_with_its_place(tmp_path: Path, right: str, wrong: str, says: str) -> None:
    text = """points:
  t: {kind: temperature, table: input, address: 1, type: int16, scale: 0.1}
model: X
sources: [nobody]
maker: Y
confidence: medium
"""
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    assert read_profile(path).points["t"].scale == 0.1
    path.write_text(text.replace(right, wrong), encoding="utf-8")
    profiles = Profiles((tmp_path,))
    assert profiles.get("mine", Profile) is None
    assert re.search(says, "\n".join(str(problem) for problem in profiles.problems))


# ---------------------------------------------------------------- options

INPUTS = {
    "di1": RegisterPoint("contact", "discrete", 0, "bool"),
    "di2": RegisterPoint("contact", "discrete", 1, "bool"),
    "do1": RegisterPoint("output", "coil", 0, "bool", writable=True),
    "do2": RegisterPoint("output", "coil", 1, "bool", writable=True),
    "t": RegisterPoint("temperature", "input", 1, "int16", scale=0.1),
}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"unit": 0}, "unit: from 1 to 255, not 0"),
        ({"unit": 256}, "unit: from 1 to 255, not 256"),
        ({"kinds": {"di9": "door"}}, "kinds: test has no 'di9' there, but di1, di2"),
        ({"kinds": {"do1": "door"}}, "kinds: test has no 'do1' there, but di1, di2"),
        ({"kinds": {"t": "humidity"}}, "kinds: test has no 't' there, but di1, di2"),
        ({"kinds": {"di1": "output"}}, "kinds: di1 can be smoke, door, contact, status, fault, not 'output'"),
        ({"kinds": {"di1": "temperature"}}, "kinds: di1 can be smoke, door, contact, status, fault, not 'temperature'"),
        ({"inverted": ("t",)}, "inverted: test has no 't' there, but di1, di2, do1, do2"),
        ({"outputs": ("di1",)}, "outputs: test has no 'di1' there, but do1, do2"),
        ({"max_registers": 0}, "max_registers: from 1 to 125, not 0"),
        ({"max_registers": 126}, "max_registers: from 1 to 125, not 126"),
        ({"max_gap": -1}, "max_gap: from 0 to 125, not -1"),
        ({"max_gap": 126}, "max_gap: from 0 to 125, not 126"),
    ],
)
def test_options_that_do_not_fit_the_profile_are_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        ModbusOptions(**{"unit": 1, "profile": profile_of(INPUTS), **options})


def test_a_limit_leaves_room_for_the_widest_point() -> None:
    energy = profile_of({"energy": gauge("float64"), "t": gauge()})
    with pytest.raises(ValueError, match=r"max_registers: from 4 \(energy takes as many\) to 125, not 3"):
        ModbusOptions(1, energy, max_registers=3)


def test_a_device_has_limits_of_its_own_or_those_of_its_profile() -> None:
    points = spread(0, 1, 4, 5)
    assert asked(table(points), Device()) == [("holding", 0, 6)]
    profile = profile_of(points, max_gap=0)
    for max_registers, max_gap, reads in (
        (None, None, [("holding", 0, 2), ("holding", 4, 2)]),
        (None, 2, [("holding", 0, 6)]),
        (5, 2, [("holding", 0, 2), ("holding", 4, 2)]),
        (1, None, [("holding", at, 1) for at in (0, 1, 4, 5)]),
    ):
        options = ModbusOptions(1, profile, max_registers=max_registers, max_gap=max_gap)
        assert asked(ModbusTable(options), Device()) == reads


def test_an_installation_says_what_its_inputs_are() -> None:
    driver = table(INPUTS, kinds={"di1": "door", "di2": "smoke"}, inverted=("di1",))
    assert {it.name: it.kind for it in driver.points}["di1"] == "door"
    device = Device({0: 1, 1: 215})
    values = driver.poll(device)
    assert (values["di1"], values["di2"], values["t"]) == ("closed", "alarm", 21.5)


# ---------------------------------------------------------------- requests


def spread(*addresses: int) -> dict[str, RegisterPoint]:
    return {f"t{address}": gauge("uint16", address) for address in addresses}


def asked(driver: ModbusTable, device: Device) -> list[tuple[str, int, int]]:
    device.asked.clear()
    driver.poll(device)
    return device.asked


def test_neighbours_are_read_together_and_over_small_gaps() -> None:
    device = Device()
    assert asked(table(spread(5, 0, 1)), device) == [("holding", 0, 6)]
    assert asked(table(spread(0, 17)), device) == [("holding", 0, 18)]
    assert asked(table(spread(0, 18)), device) == [("holding", 0, 1), ("holding", 18, 1)]
    assert asked(table(spread(0, 2), max_gap=0), device) == [("holding", 0, 1), ("holding", 2, 1)]


def test_no_request_is_longer_than_the_profile_allows() -> None:
    device = Device()
    assert asked(table(spread(*range(130))), device) == [("holding", 0, 60), ("holding", 60, 60), ("holding", 120, 10)]
    bits = {f"di{i}": RegisterPoint("contact", "discrete", i, "bool") for i in range(100)}
    assert asked(table(bits, max_registers=4), device) == [("discrete", 0, 64), ("discrete", 64, 36)]


def test_each_table_is_read_by_itself() -> None:
    assert asked(table(INPUTS), Device()) == [("coil", 0, 2), ("discrete", 0, 2), ("input", 1, 1)]


def test_bits_of_one_register_share_its_read() -> None:
    flags = {f"f{bit}": RegisterPoint("contact", "holding", 7, "bit", bit=bit) for bit in range(16)}
    device = Device({7: 0b0101})
    driver = table(flags)
    assert asked(driver, device) == [("holding", 7, 1)]
    assert [name for name, value in driver.poll(device).items() if value == "on"] == ["f0", "f2"]
    device.refuses = {7}
    with pytest.raises(Refused):
        driver.poll(device)


# ---------------------------------------------------------------- faults


def test_a_refused_range_is_cut_at_its_widest_gap_and_the_cut_is_remembered() -> None:
    driver, device = table(spread(0, 1, 3, 10, 11)), Device({0: 7, 10: 9})
    device.refuses = {5}
    assert asked(driver, device) == [("holding", 0, 12), ("holding", 0, 4), ("holding", 10, 2)]
    assert asked(driver, device) == [("holding", 0, 4), ("holding", 10, 2)]
    assert driver.poll(device) == {"t0": 7, "t1": 0, "t3": 0, "t10": 9, "t11": 0}


def test_a_register_that_is_not_there_is_refused_alone() -> None:
    driver, device = table(spread(*range(8))), Device()
    device.refuses = {5}
    values = driver.poll(device)
    assert {name for name, value in values.items() if value == Bad(Reason.REFUSED)} == {"t5"}
    assert len(values) == 8
    assert len(asked(driver, device)) <= 5


def test_registers_that_are_not_there_cost_one_request_each_once_they_are_known() -> None:
    driver, device = table(spread(*range(16))), Device()
    device.refuses = set(range(8, 16))
    driver.poll(device)
    assert asked(driver, device) == [("holding", 0, 8), *(("holding", at, 1) for at in range(8, 16))]


def test_a_device_that_refuses_everything_raises_and_its_plan_stays_whole() -> None:
    driver, device = table(spread(0, 1, 2, 3)), Device()
    device.refuses = {0, 1, 2, 3}
    with pytest.raises(Refused):
        driver.poll(device)
    device.refuses = set()
    assert asked(driver, device) == [("holding", 0, 4)]


def test_a_block_without_an_answer_makes_its_points_bad_and_no_others() -> None:
    driver, device = table(spread(0, 100, 200, 300)), Device({0: 1})
    device.mute = {100, 200}
    silent = dict.fromkeys(("t100", "t200"), Bad(Reason.NO_REPLY))
    assert driver.poll(device) == {"t0": 1, **silent}
    assert driver.poll(device) == {"t0": 1, **silent, "t300": 0}


def test_a_silent_device_holds_the_bus_for_two_requests_at_most() -> None:
    driver, device = table(spread(0, 100, 200, 300)), Device()
    device.mute = set(range(400))
    with pytest.raises(NoReply):
        driver.poll(device)
    assert len(device.asked) == 2
    device.mute = set()
    assert len(asked(driver, device)) == 4


def test_a_device_that_falls_silent_while_it_is_being_cut_is_no_reply() -> None:
    class Failing(Device):
        def read(self, unit: int, table: Table, address: int, count: int) -> Sequence[int]:
            if self.asked:
                self.mute = set(range(100))
            return super().read(unit, table, address, count)

    driver, device = table(spread(0, 10)), Failing()
    device.refuses = {5}
    with pytest.raises(SitewardenError):
        driver.poll(device)


def test_a_dead_link_is_never_hidden() -> None:
    class Dead(Device):
        def read(self, unit: int, table: Table, address: int, count: int) -> Sequence[int]:
            if self.asked:
                raise LinkDown("unplugged")
            return super().read(unit, table, address, count)

    with pytest.raises(LinkDown):
        table(spread(0, 100)).poll(Dead())


@st.composite
def devices(draw: st.DrawFn) -> tuple[dict[str, RegisterPoint], Device]:
    addresses = draw(st.sets(st.integers(0, 60), min_size=1, max_size=12))
    device = Device({at: at + 1000 for at in range(70)})
    device.refuses = draw(st.sets(st.integers(0, 60), max_size=8))
    device.mute = draw(st.sets(st.integers(0, 60), max_size=2))
    return spread(*addresses), device


@given(devices())
def test_what_a_device_answers_is_never_another_registers_value(case: tuple[dict[str, RegisterPoint], Device]) -> None:
    points, device = case
    driver = table(points)
    for _ in range(3):
        try:
            values: Values = driver.poll(device)
        except (NoReply, Refused):
            continue
        assert set(values) <= set(points)
        for name, value in values.items():
            assert value in (points[name].address + 1000, Bad(Reason.REFUSED), Bad(Reason.NO_REPLY))
            assert value != Bad(Reason.REFUSED) or points[name].address in device.refuses


# ---------------------------------------------------------------- outputs


def test_an_output_is_written_and_read_back() -> None:
    driver, device = table(INPUTS, outputs=("do2",)), Device()
    assert driver.write(device, "do2", "on") == {"do2": "on"}
    assert device.asked == [("write coil", 1, 1), ("coil", 1, 1)]
    assert device.registers == {1: 1}
    assert driver.write(device, "do2", "off") == {"do2": "off"}
    assert device.registers == {1: 0}


def test_an_output_that_does_not_take_its_value_is_reported_as_it_is() -> None:
    driver, device = table(INPUTS, outputs=("do1",)), Device()
    device.stuck = {0}
    assert driver.write(device, "do1", "on") == {"do1": "off"}


def test_an_inverted_output_is_safe_when_its_coil_is_on() -> None:
    driver, device = table(INPUTS, outputs=("do1",), inverted=("do1",)), Device()
    assert driver.write(device, "do1", driver.safe["do1"]) == {"do1": "off"}
    assert device.registers == {0: 1}


@pytest.mark.parametrize("where", ["coil", "holding"])
def test_an_output_can_be_a_coil_or_a_register(where: Literal["coil", "holding"]) -> None:
    points = {"siren": RegisterPoint("output", where, 4, "bool", writable=True)}
    device = Device()
    assert table(points, outputs=("siren",)).write(device, "siren", "on") == {"siren": "on"}
    assert device.asked[0] == (f"write {where}", 4, 1)


def test_only_outputs_handed_to_this_gateway_are_ever_switched() -> None:
    driver, device = table(INPUTS, outputs=("do1",)), Device()
    assert driver.safe == {"do1": "off"}
    assert [it.name for it in driver.points if it.writable] == ["do1"]
    for name in ("do2", "di1", "t", "siren"):
        with pytest.raises(Refused, match=f"has no output '{name}' .it can switch do1") as caught:
            driver.write(device, name, "on")
        assert caught.value.code == 2
    with pytest.raises(Refused, match="'do1' of unit 1 cannot be 'up'"):
        driver.write(device, "do1", "up")
    assert not device.asked


def test_the_limits_of_a_profile_are_known_to_who_writes_rules() -> None:
    driver = table({"t": gauge(minimum=-40, maximum=80), "free": gauge(address=1)})
    assert [(it.least, it.most) for it in driver.points] == [(-40, 80), (None, None)]


class RelayBoard(Device):
    """Takes 0x0100 for on and 0x0200 for off in its registers, where it then shows 1 and 0."""

    def write(self, unit: int, table: Table, address: int, values: Sequence[int], function: int | None = None) -> None:
        super().write(unit, table, address, values, function)
        assert (table, function) == (Table.HOLDING, 6)
        self.registers[address] = {0x0100: 1, 0x0200: 0}[self.registers[address]]


BOARD = RegisterPoint("output", "holding", 1, "bool", writable=True, write=Writing(6, 0x0100, 0x0200))


def test_an_output_is_switched_by_the_words_of_its_device() -> None:
    driver, device = table({"relay1": BOARD}, outputs=("relay1",)), RelayBoard()
    assert driver.write(device, "relay1", "on") == {"relay1": "on"}
    assert driver.write(device, "relay1", "off") == {"relay1": "off"}
    assert driver.unread == frozenset()


def test_an_output_that_reads_back_its_own_words_is_what_they_mean_and_no_other_is_on() -> None:
    driver, device = table({"relay1": BOARD}, outputs=("relay1",)), Device()
    assert driver.write(device, "relay1", "on") == {"relay1": "on"}
    assert driver.write(device, "relay1", "off") == {"relay1": "off"}
    assert [decoder(BOARD)([word], 0) for word in (0, 1, 0x0100, 0x0200)] == ["off", "on", "on", "off"]
    assert {decoder(BOARD)([word], 0) for word in (2, 0x0300, 0xFF00, 0xFFFF)} == {FAULT}
    inverted = replace(BOARD, inverted=True)
    assert [decoder(inverted)([word], 0) for word in (0, 1, 0x0100, 0x0200)] == ["on", "off", "off", "on"]


@pytest.mark.parametrize(
    ("way", "function", "sent"),
    [
        (None, None, (1, 0)),
        (Writing(on=0x0100, off=0), 5, (0x0100, 0)),
        (Writing(function=5), 5, (0xFF00, 0)),
        (Writing(function=15), 15, (1, 0)),
    ],
)
def test_a_coil_is_switched_as_its_profile_says(
    way: Writing | None, function: int | None, sent: tuple[int, int]
) -> None:
    points = {"relay1": RegisterPoint("output", "coil", 1, "bool", writable=True, write=way)}
    driver, device = table(points, outputs=("relay1",)), Device()
    driver.write(device, "relay1", "on")
    assert (device.registers[1], device.functions) == (sent[0], [function])
    driver.write(device, "relay1", "off")
    assert (device.registers[1], device.functions) == (sent[1], [function] * 2)


BLIND = RegisterPoint("output", "coil", 1, "bool", writable=True, readable=False, write=Writing(5, 0x0100, 0))


def test_an_output_that_cannot_be_read_is_what_its_device_has_confirmed() -> None:
    driver, device = table({"relay1": BLIND}, outputs=("relay1",)), Device()
    assert driver.write(device, "relay1", "on") == {"relay1": "on"}
    assert driver.poll(device) == {}
    assert device.asked == [("write coil", 1, 1)]
    assert driver.unread == {"relay1"}


def test_an_output_that_can_only_be_written_is_a_point_where_it_is_for_this_gateway_to_write() -> None:
    driver = table({"relay1": BLIND, "relay2": replace(BLIND, address=2)}, outputs=("relay2",))
    assert [it.name for it in driver.points] == ["relay2"]
    assert driver.safe == {"relay2": "off"}
    with pytest.raises(ValueError, match="outputs: name one at least, of relay1: nothing of test is read"):
        table({"relay1": BLIND})


@pytest.mark.parametrize(
    ("way", "says"),
    [
        ({"on": 1}, "on: together with off, or neither of them"),
        ({"on": 7, "off": 7}, "on: the same word as off, 7"),
        ({"on": 0x10000, "off": 0}, "on: a word holds 0 to 0xFFFF, not 65536"),
        ({"function": 15, "on": 1, "off": 0}, "function: 15 sends single bits"),
    ],
)
def test_a_way_of_writing_that_cannot_be_is_refused(way: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Writing(**way)


def test_widths_are_complete() -> None:
    assert set(WIDE) - set(NUMBERS) == {"ipv4", "lat_lon_float32"}
