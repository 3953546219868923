"""Settings of Modbus devices: a number becomes exactly the registers that mean it; written once, and read back."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from test_modbus_table import INPUTS, Device, profile_of, table

from drivers.modbus_decode import decoder
from drivers.modbus_encode import encoded
from drivers.modbus_point import ENCODED, Order, RegisterPoint, TypeName
from drivers.modbus_table import ModbusOptions, ModbusTable
from drivers.modbus_writing import Writing
from gateway.driver import Table
from gateway.errors import NoReply, Refused
from gateway.model import Bad, Reason, Values

VECTORS = json.loads((Path(__file__).parent / "vectors" / "modbus.json").read_text(encoding="utf-8"))
ORDERS: tuple[Order, ...] = ("ABCD", "CDAB", "BADC", "DCBA")
WIDEST = 1e300


def setting(kind: TypeName = "int16", address: int = 0, **more: Any) -> RegisterPoint:
    wide = {"minimum": -WIDEST, "maximum": WIDEST, "writable": True}
    return RegisterPoint("temperature", "holding", address, kind, **(wide | more))


# ---------------------------------------------------------------- a number as registers


@pytest.mark.parametrize("vector", VECTORS["word_orders"]["vectors"], ids=lambda it: f"{it['type']}-{it['value']}")
@pytest.mark.parametrize("order", ORDERS)
def test_a_value_is_written_in_each_word_order(vector: dict[str, Any], order: Order) -> None:
    point = setting(vector["type"], order=order)
    registers = tuple(int(word, 16) for word in vector["registers"][order])
    assert encoded(point, decoder(point)(registers, 0)) == registers  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("point", "value", "registers"),
    [
        (setting(scale=0.1), 24.5, (245,)),
        (setting(scale=0.1), 0.3, (3,)),
        (setting(scale=0.1), -18.0, (0xFF4C,)),
        (setting(scale=0.1), -18, (0xFF4C,)),
        (setting("uint16", scale=0.01, offset=-40), 0.05, (4005,)),
        (setting("uint16", scale=10), 70, (7,)),
        (setting("uint64"), 2**64 - 1, (0xFFFF,) * 4),
        (setting("bcd16", scale=0.1), 24.5, (0x0245,)),
        (setting("offset10000", scale=0.1), -1.2, (10012,)),
        (setting("sign_magnitude16"), -5, (0x8005,)),
        (setting("float32"), 230.2, (0x4366, 0x3333)),
        (setting("uint16", scale=0.5, decimals=0), 2, (4,)),
    ],
)
def test_a_number_becomes_the_registers_that_mean_it(
    point: RegisterPoint, value: float, registers: tuple[int, ...]
) -> None:
    assert encoded(point, value) == registers


@pytest.mark.parametrize(
    ("point", "value", "says"),
    [
        (setting(scale=0.1), 24.55, "must be in steps of 0.1"),
        (setting(scale=0.1), 3276.8, "does not fit into int16"),
        (setting("uint16"), -1, "does not fit into uint16"),
        (setting("bcd16"), 10000, "does not fit into bcd16"),
        (setting("offset10000"), 10000, "does not fit into offset10000"),
        (setting("float32"), 1e39, "does not fit into float32"),
        (setting("float32"), 20.123456789, "20.123456789 would become 20.123457: the device holds no value between"),
        (setting(minimum=-30, maximum=10), 10.5, "must be from -30 to 10 °C, not 10.5"),
        (setting("uint16", sentinels=(0x8000,)), 0x8000, "32768 is what the device says for: sensor_fault"),
        (setting(), "warm", "must be a number, not 'warm'"),
        (setting(), True, "must be a number, not True"),
        (setting(), float("nan"), "must be a number, not nan"),
        (setting(), 10**400, "does not fit into any register"),
        (setting("float64", scale=1e-9), 1e300, "does not fit into float64"),
        (setting(), (1.0, 2.0), "must be a number, not (1.0, 2.0)"),
    ],
)
def test_a_number_that_would_be_another_is_refused(point: RegisterPoint, value: Any, says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        encoded(point, value)


@st.composite
def settings_points(draw: st.DrawFn) -> RegisterPoint:
    return setting(
        draw(st.sampled_from(sorted(ENCODED))),
        order=draw(st.sampled_from(ORDERS)),
        scale=draw(st.sampled_from([1.0, 0.1, 0.01, 10.0, -0.5, 0.0625])),
        offset=draw(st.sampled_from([0.0, -40.0, 0.5])),
    )


@given(settings_points(), st.lists(st.integers(0, 0xFFFF), min_size=4, max_size=4))
@example(setting("int64", scale=0.0625, minimum=-1e300, maximum=1e300), [1, 0, 0, 1])
def test_what_a_device_says_can_be_written_and_is_then_said_again(point: RegisterPoint, raw: list[int]) -> None:
    value = decoder(point)(raw, 0)
    assume(not isinstance(value, Bad))
    assert not isinstance(value, Bad)
    try:
        registers = encoded(point, value)
    except ValueError:
        # a float tells 15 digits for certain, and steps of 0.0625 take four of them behind the point
        assert point.type.startswith("float") or abs(value) >= 1e11  # type: ignore[arg-type]
    else:
        assert decoder(point)(registers, 0) == value


@given(settings_points(), st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**70), 2**70))
def test_any_number_is_written_exactly_or_refused(point: RegisterPoint, value: float) -> None:
    try:
        registers = encoded(point, value)
    except ValueError:
        return
    assert all(0 <= register <= 0xFFFF for register in registers)
    assert decoder(point)(registers, 0) == value


# ---------------------------------------------------------------- what may be written


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"minimum": None}, "writable: a number needs minimum and maximum"),
        ({"table": "input"}, "writable: an output of type bool"),
        ({"type": "bits", "bit": 0, "bits": 3}, "writable: an output of type bool"),
        ({"write": Writing(5)}, "write: a holding register is written by function 6 or 16, not 5"),
        (
            {"write": Writing(6), "type": "uint32"},
            "write: function 6 writes one register, and uint32 takes 2; write 16",
        ),
        ({"write": Writing(on=1, off=0)}, "write: on and off are of an output, not of a number"),
    ],
)
def test_a_setting_that_could_not_be_written_is_refused(change: dict[str, Any], says: str) -> None:
    sound = {"kind": "temperature", "table": "holding", "address": 0, "type": "int16", "writable": True}
    with pytest.raises(ValueError, match=re.escape(says)):
        RegisterPoint(**{**sound, "minimum": 0, "maximum": 10, **change})


THERMOSTAT = INPUTS | {
    "setpoint": setting(address=10, scale=0.1, minimum=-30, maximum=10),
    "delay": setting("uint32", address=12, minimum=0, maximum=3600),
    "restart": setting("uint16", address=20, minimum=1, maximum=1, readable=False, write=Writing(16)),
}


def test_only_settings_that_the_configuration_names_may_be_written() -> None:
    driver, device = table(THERMOSTAT, settings=("setpoint",), outputs=("do1",)), Device()
    assert driver.settings == {"setpoint"}
    assert [it.name for it in driver.points if it.writable] == ["do1", "setpoint"]
    assert driver.safe == {"do1": "off"}
    for point in ("delay", "do1", "t", "nothing"):
        assert driver.refusal(point, 1) == f"test has no setting {point!r}; it has setpoint"
        with pytest.raises(Refused):
            driver.adjust(device, point, 1)
    assert not device.asked
    with pytest.raises(Refused, match="has no output 'setpoint'"):
        driver.write(device, "setpoint", "on")


def test_a_value_that_does_not_fit_is_refused_before_anything_is_sent() -> None:
    driver, device = table(THERMOSTAT, settings=("setpoint",)), Device()
    assert driver.refusal("setpoint", 4.0) == ""
    assert driver.refusal("setpoint", 11) == "must be from -30 to 10 °C, not 11"
    with pytest.raises(Refused, match=r"setpoint of unit 1: must be in steps of 0\.1"):
        driver.adjust(device, "setpoint", 4.05)
    assert not device.asked


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (("t",), "settings: test has no 't' there, but setpoint, delay, restart"),
        (("do1",), "settings: test has no 'do1' there, but setpoint, delay, restart"),
    ],
)
def test_settings_that_the_profile_does_not_have_are_refused(settings: tuple[str, ...], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        ModbusOptions(unit=1, profile=profile_of(THERMOSTAT), settings=settings)


# ---------------------------------------------------------------- written once, read back


def adjusted(device: Device, point: str, value: float) -> Values:
    return thermostat().adjust(device, point, value)


def thermostat() -> ModbusTable:
    return table(THERMOSTAT, settings=("setpoint", "delay", "restart"))


def test_a_setting_is_written_once_and_read_back() -> None:
    device = Device()
    assert adjusted(device, "setpoint", -18.5) == {"setpoint": -18.5}
    assert device.asked == [("write holding", 10, 1), ("holding", 10, 1)]
    assert adjusted(device, "delay", 3600) == {"delay": 3600}
    assert device.asked[2:] == [("write holding", 12, 2), ("holding", 12, 2)]
    assert device.registers == {10: 0xFF47, 12: 0, 13: 3600}


def test_a_setting_that_can_only_be_written_is_what_the_device_has_confirmed() -> None:
    device = Device()
    assert adjusted(device, "restart", 1) == {"restart": 1}
    assert device.asked == [("write holding", 20, 1)]
    assert device.functions == [16]


def test_a_setting_that_does_not_take_its_value_is_reported_as_it_is() -> None:
    device = Device({10: 40})
    device.stuck = {10}
    assert adjusted(device, "setpoint", -18.5) == {"setpoint": 4.0}


class Deaf(Device):
    """Confirms no write, though it may have done it."""

    def __init__(self, *, does_it: bool, mute: bool = False) -> None:
        super().__init__({10: 40})
        self.does_it = does_it
        self.mute_after = mute

    def write(self, unit: int, table: Table, address: int, values: Any, function: int | None = None) -> None:
        if self.does_it:
            super().write(unit, table, address, values, function)
        if self.mute_after:
            self.mute = {address}
        raise NoReply("silent", "no reply within 300 ms")


@pytest.mark.parametrize(("does_it", "reads_back"), [(True, -18.5), (False, 4.0)])
def test_a_write_that_was_not_confirmed_is_told_from_what_reads_back(does_it: bool, reads_back: float) -> None:
    assert adjusted(Deaf(does_it=does_it), "setpoint", -18.5) == {"setpoint": reads_back}


@pytest.mark.parametrize(("point", "value"), [("setpoint", -18.5), ("restart", 1)])
def test_a_write_of_which_nobody_knows_is_no_reply(point: str, value: float) -> None:
    with pytest.raises(NoReply, match="no reply"):
        adjusted(Deaf(does_it=True, mute=True), point, value)


def test_a_write_that_was_confirmed_and_cannot_be_read_back_is_bad() -> None:
    device = Device()
    device.mute = {10}
    assert adjusted(device, "setpoint", 1) == {"setpoint": Bad(Reason.NO_REPLY)}


def test_a_write_that_the_device_refuses_is_refused() -> None:
    device = Device()
    device.refuses = {10}
    with pytest.raises(Refused, match="exception 2"):
        adjusted(device, "setpoint", 1)
