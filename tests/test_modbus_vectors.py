"""All of tests/vectors/modbus.json, section by section, against what polls the devices."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
from modbus_responder import RtuDevices, instead, right
from modbus_scene import FUNCTION, Scene, exchange_over, fault_of, scene

from drivers.modbus_decode import decoder
from drivers.modbus_point import Order, RegisterPoint
from drivers.modbus_profile import Profile
from drivers.modbus_table import ModbusOptions
from gateway.config import schema
from gateway.driver import Table
from gateway.errors import NoReply, Refused
from gateway.links.framing import Ask, Read
from gateway.links.port import Pace
from gateway.links.refusal import accepted
from gateway.links.request import Requests, whole
from gateway.links.serial import pace
from gateway.model import Bad, Reason

VECTORS: dict[str, Any] = json.loads((Path(__file__).parent / "vectors" / "modbus.json").read_text(encoding="utf-8"))
LIMITS = VECTORS["limits"]


def hexed(text: str) -> bytes:
    return bytes.fromhex(text)


def named(rows: list[dict[str, Any]], *keys: str) -> list[Any]:
    return [pytest.param(row, id="-".join(str(row[key]) for key in keys)) for row in rows]


def gauge(kind: str, **more: Any) -> RegisterPoint:
    return RegisterPoint("temperature", "holding", 0, kind, **more)  # type: ignore[arg-type]


def test_no_section_is_left_out() -> None:
    tests = Path(__file__).read_text(encoding="utf-8")
    used = set(re.findall(r'VECTORS\["(\w+)"\]', tests))
    assert used == set(VECTORS) - {"title"}
    assert set(re.findall(r'LIMITS\["(\w+)"\]', tests)) == set(LIMITS) - {"source"}


# ---------------------------------------------------------------- limits


@pytest.mark.parametrize(
    ("table", "most"),
    [
        (Table.COIL, LIMITS["read_coils_or_discrete_max"]),
        (Table.DISCRETE, LIMITS["read_coils_or_discrete_max"]),
        (Table.HOLDING, LIMITS["read_registers_max"]),
        (Table.INPUT, LIMITS["read_registers_max"]),
    ],
)
def test_as_much_is_read_at_once_as_the_standard_allows(table: Table, most: int) -> None:
    requests = Requests("rtu", Pace())
    request = requests.reading(Read(1, table, 0, most))
    assert request.ask.size <= LIMITS["pdu_max_bytes"]
    assert 1 + request.ask.size + 2 <= LIMITS["rtu_adu_max_bytes"]
    assert 7 + request.ask.size <= LIMITS["tcp_adu_max_bytes"]
    with pytest.raises(ValueError, match=f"not {most + 1}"):
        requests.reading(Read(1, table, 0, most + 1))


@pytest.mark.parametrize(
    ("table", "most"), [(Table.COIL, LIMITS["write_coils_max"]), (Table.HOLDING, LIMITS["write_registers_max"])]
)
def test_as_much_is_written_at_once_as_the_standard_allows(table: Table, most: int) -> None:
    requests = Requests("rtu", Pace())
    assert len(requests.writing(1, table, 0, [1] * most).frame) <= LIMITS["rtu_adu_max_bytes"]
    with pytest.raises(ValueError, match=f"not {most + 1}"):
        requests.writing(1, table, 0, [1] * (most + 1))


def test_reading_and_writing_in_one_request_is_not_offered_and_would_not_carry_more() -> None:
    both = LIMITS["read_write_multiple"]
    assert both["read_max"] == LIMITS["read_registers_max"]
    assert both["write_max"] < LIMITS["write_registers_max"]
    with pytest.raises(ValueError, match="function 23"):
        Requests("rtu", Pace()).writing(1, Table.HOLDING, 0, [1], 23)


def test_a_coil_is_switched_by_the_words_of_the_standard() -> None:
    requests = Requests("rtu", Pace())
    assert requests.writing(1, Table.COIL, 0, [1]).frame[4:6] == LIMITS["fc05_on"].to_bytes(2)
    assert requests.writing(1, Table.COIL, 0, [0]).frame[4:6] == LIMITS["fc05_off"].to_bytes(2)


def test_devices_have_the_unit_ids_that_a_device_may_have() -> None:
    profile = Profile("any", "nobody", ("none",), "high", {"t": gauge("int16")})
    for unit in LIMITS["unit_id_range"]:
        ModbusOptions(unit, profile)
    with pytest.raises(ValueError, match="unit"):
        ModbusOptions(LIMITS["broadcast_unit"], profile)


@pytest.mark.parametrize("unit", LIMITS["tcp_unit_for_direct_device"])
def test_a_device_that_is_no_gateway_is_asked_by_either_unit_id(tmp_path: Path, unit: int) -> None:
    with scene("tcp", tmp_path) as at:
        assert at.registers.read(unit, Table.HOLDING, 0, 2)
        assert at.devices.asked[0][1][6] == unit


def test_the_port_of_modbus_tcp_needs_no_mention() -> None:
    assert schema.TcpLink(type="tcp", host="10.0.0.5").port == LIMITS["tcp_port"]


# ---------------------------------------------------------------- exceptions

CONSEQUENCES = {  # what an action begins with -> what the poller is told, under which name
    "configuration error": (Refused, ""),
    "device fault": (NoReply, "device_failure"),
    "treat as 4": (NoReply, "device_failure"),
    "long operation accepted: poll again later": (NoReply, "busy"),
    "retry after": (NoReply, "busy"),
    "bus gateway misconfigured": (NoReply, "gateway"),
    "same as a timeout of the device behind the gateway": (NoReply, "gateway"),
}


@pytest.mark.parametrize("row", named(VECTORS["exceptions"], "code", "name"))
def test_an_exception_has_its_consequence(row: dict[str, Any]) -> None:
    error, fault = next(it for action, it in CONSEQUENCES.items() if row["gateway_action"].startswith(action))
    with pytest.raises(error, match=rf"exception {row['code']} \(") as caught:
        accepted(Ask.of(1, b"\x03\x04", 6), bytes((0x83, row["code"])))
    assert getattr(caught.value, "fault", "") == fault


# ---------------------------------------------------------------- frames and checksums


@pytest.mark.parametrize("frame", named(VECTORS["frames"], "id"))
def test_our_checksum_agrees_about_a_frame(frame: dict[str, Any]) -> None:
    assert whole(hexed(frame["hex"])) is frame["crc_ok"]


@pytest.mark.parametrize("vector", named(VECTORS["crc16"]["vectors"], "data_hex"))
def test_our_checksum_is_the_one_of_the_standard(vector: dict[str, Any]) -> None:
    assert VECTORS["crc16"]["wire_order"] == "low byte first"
    checksum = int(vector["crc_value"], 16).to_bytes(2, "little")
    assert hexed(vector.get("wire", "")) in {b"", checksum}
    assert whole(hexed(vector["data_hex"]) + checksum)


DECODED = [frame for frame in VECTORS["frames"] if "decoded" in frame]
"""Replies of which somebody has said what they mean; the others are requests, or need no more than their checksum."""


PLACES = {  # of the values that are named there: the first register, type and scale
    "uint32": (0, "uint32", 1.0),
    "voltage_v": (0, "uint16", 0.1),
    "current_a": (1, "uint32", 0.001),
    "power_w": (3, "uint32", 0.1),
    "energy_wh": (5, "uint32", 1.0),
    "frequency_hz": (7, "uint16", 0.1),
    "power_factor": (8, "uint16", 0.01),
    "alarm": (9, "uint16", 1.0),
}


@pytest.mark.parametrize("frame", named(DECODED, "id"))
def test_a_recorded_reply_is_read(frame: dict[str, Any]) -> None:
    reply = hexed(frame["hex"])
    table = next(table for table, code in FUNCTION.items() if code == reply[1])
    registers = exchange_over("rtu", reply, 5).read(reply[0], table, 0, reply[2] // 2)
    order = frame.get("word_order", "ABCD")[:4]
    for name, value in frame["decoded"].items():
        at, kind, scale = PLACES[name]
        assert decoder(gauge(kind, order=order, scale=scale))(registers, at) == pytest.approx(value), name


# ---------------------------------------------------------------- whole transactions


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[Scene]:
    with scene("rtu", tmp_path) as at:
        assert isinstance(at.devices, RtuDevices)
        yield at


@pytest.mark.parametrize("case", named(VECTORS["transactions"], "id"))
def test_recorded_transactions_are_byte_exact(bus: Scene, case: dict[str, Any]) -> None:
    request, response = hexed(case["request"]), hexed(case["response"])
    unit, function = request[0], request[1]
    address, word = int.from_bytes(request[2:4]), int.from_bytes(request[4:6])
    bus.devices.then(*([right] if function in {5, 6} else []), instead(response))  # first it shows that nothing echoes
    decoded = case["decoded"]
    if function in {5, 6}:
        bus.registers.write(unit, Table.COIL if function == 5 else Table.HOLDING, address, [word], function)
        assert decoded == {"echo": True}
    elif response[1] & 0x80:
        assert fault_of(lambda: bus.registers.read(unit, Table.HOLDING, address, word)) == "busy"
        assert decoded == {"exception": 6}
    else:
        table = next(table for table, code in FUNCTION.items() if code == function)
        values = list(bus.registers.read(unit, table, address, word))
        if function < 3:
            assert values == decoded["bits_lsb_first"]
        else:
            voltage = RegisterPoint("voltage", "input", 0, "float32")
            assert decoder(voltage)(values, 0) == pytest.approx(decoded["voltage_v"])
    assert bus.devices.asked[-1][1] == request


@pytest.mark.parametrize("vector", named(VECTORS["tcp_frames"], "id"))
def test_a_tcp_frame_is_byte_exact(tmp_path: Path, vector: dict[str, Any]) -> None:
    fields = vector["fields"]
    assert (fields["transaction"], fields["protocol"], fields["length"], fields["fc"]) == (1, 0, 6, 3)
    with scene("tcp", tmp_path) as at:
        at.registers.read(fields["unit"], Table.HOLDING, fields["address"], fields["count"])
        assert at.devices.asked[0][1] == hexed(vector["hex"])


# ---------------------------------------------------------------- what registers spell


def test_the_word_orders_are_those_that_a_profile_may_name() -> None:
    assert set(VECTORS["word_orders"]["names"]) == set(get_args(Order))


@pytest.mark.parametrize("order", get_args(Order))
@pytest.mark.parametrize("vector", named(VECTORS["word_orders"]["vectors"], "type", "value"))
def test_a_value_is_read_in_each_word_order(vector: dict[str, Any], order: Order) -> None:
    raw = [int(word, 16) for word in vector["registers"][order]]
    assert decoder(gauge(vector["type"], order=order))(raw, 0) == pytest.approx(vector["value"], rel=1e-7)
    if order == "ABCD":
        assert b"".join(word.to_bytes(2) for word in raw) == hexed(vector["bytes_abcd"])


@pytest.mark.parametrize(("order", "words"), [("ABCD", "big"), ("CDAB", "word_swapped")])
def test_a_float64_is_read_in_both_word_orders(order: Order, words: str) -> None:
    vector = VECTORS["float64"]
    raw = [int(word, 16) for word in vector[words]]
    assert decoder(gauge("float64", order=order))(raw, 0) == pytest.approx(vector["value"])


@pytest.mark.parametrize("vector", named(VECTORS["int16_decode"], "type", "raw"))
def test_a_16_bit_value_is_read_or_known_as_a_sentinel(vector: dict[str, Any]) -> None:
    raw = int(str(vector["raw"]), 0)
    point = gauge(vector["type"], scale=vector["scale"])
    if vector["value"] is None:
        point = replace(point, sentinels=(raw,))
    value = decoder(point)([raw & 0xFFFF], 0)
    assert value == (Bad(Reason.SENSOR_FAULT) if vector["value"] is None else pytest.approx(vector["value"]))


# ---------------------------------------------------------------- time on the wire


@pytest.mark.parametrize("row", named(VECTORS["timing"]["table"], "baud", "mode", "registers"))
def test_the_times_on_the_wire_are_those_of_the_standard(row: dict[str, Any]) -> None:
    plain = schema.SerialLink(type="serial", port="/dev/null", baudrate=row["baud"])
    times = pace(replace(plain, parity="even") if row["mode"] == "8E1" else plain)
    request = Requests("rtu", times).reading(Read(1, Table.HOLDING, 0, row["registers"]))
    assert row["bits_per_char"] == 1 + 8 + (row["mode"][1] != "N") + int(row["mode"][2])
    assert times.char_s * 1000 == pytest.approx(row["char_ms"], abs=1e-3)
    assert times.gap_s * 1000 == pytest.approx(row["t35_ms"], abs=1e-3)
    wire_ms = row["request_ms"] + row["response_ms"]
    assert request.wire_s * 1000 == pytest.approx(wire_ms, abs=0.01)
    assert request.response_s * 1000 == pytest.approx(300 + 2 * wire_ms, abs=0.01)
    assert (request.wire_s + 2 * times.gap_s) * 1000 == pytest.approx(row["wire_total_ms"], abs=0.01)


def test_bits_take_the_characters_that_the_standard_says() -> None:
    assert VECTORS["timing"]["coil_response_chars"] == "5 + ceil(N/8)"
    for count, characters in ((1, 6), (8, 6), (9, 7), (2000, 255)):
        request = Requests("rtu", Pace(char_s=1.0)).reading(Read(1, Table.COIL, 0, count))
        assert request.wire_s == 8 + characters
