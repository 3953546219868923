"""Terabee's people counter: frames, the two layouts, and what it takes to believe a number."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.people_counter import PeopleCounter, PeopleCounterOptions, crc8
from gateway.driver import Heard

DEVICES = json.loads((Path(__file__).parent / "vectors" / "devices.json").read_text(encoding="utf-8"))["devices"]
TERABEE = next(device for device in DEVICES if device["id"] == "terabee-evo-people-counter")
DISTANCE = b"DD\x05\xdc\x05\xda"
DISTANCE += bytes([crc8(DISTANCE)])

U16 = st.integers(0, 0xFFFF)
SENSOR_IDS = st.one_of(st.none(), st.integers(0, 0xFFFFFFFF))


def count_frame(came: int, left: int, sensor: int | None, inside: int | None = None) -> bytes:
    frame = b"PC" + (b"" if sensor is None else struct.pack(">I", sensor))
    frame += struct.pack(">iHH", came - left if inside is None else inside, came, left)
    return frame + bytes([crc8(frame)])


def heard(*chunks: bytes) -> list[Any]:
    driver = PeopleCounter(PeopleCounterOptions())
    return [values for chunk in chunks for values in driver.hear(Heard(chunk, 0.0))]


def counts(came: int, left: int) -> dict[str, int]:
    return {"people_in": came, "people_out": left, "people": came - left}


def test_the_checksum_is_that_of_the_makers_commands() -> None:
    commands = [bytes.fromhex(point["hex"]) for point in TERABEE["points"] if "hex" in point]
    assert len(commands) == 3
    assert all(crc8(command[:-1]) == command[-1] for command in commands)


def test_frames_have_the_published_lengths() -> None:
    lengths = next(point["total_bytes"] for point in TERABEE["points"] if point["name"] == "frame_PC")
    assert [len(count_frame(1, 0, None)), len(count_frame(1, 0, 7))] == lengths


@given(st.lists(st.tuples(U16, U16), min_size=1, max_size=10), SENSOR_IDS)
def test_every_count_of_a_clean_stream_is_heard(passages: list[tuple[int, int]], sensor: int | None) -> None:
    stream = DISTANCE + b"".join(count_frame(came, left, sensor) + DISTANCE for came, left in passages)
    assert heard(stream) == [counts(*it) for it in passages]


@given(SENSOR_IDS)
@settings(max_examples=10, deadline=None)
def test_no_value_of_the_counts_is_taken_for_the_other_layout(sensor: int | None) -> None:
    for came in range(0, 0x10000, 97):
        assert heard(count_frame(came, came, sensor) + DISTANCE) == [counts(came, came)]


@given(U16, U16, SENSOR_IDS, st.data())
def test_a_flipped_bit_is_never_a_count(came: int, left: int, sensor: int | None, data: st.DataObject) -> None:
    good = count_frame(came, left, sensor)
    place = data.draw(st.integers(16, len(good) * 8 - 1))
    flipped = bytearray(good)
    flipped[place // 8] ^= 1 << place % 8
    assert heard(good + DISTANCE + bytes(flipped) + DISTANCE) == heard(good + DISTANCE)


def test_numbers_that_disagree_are_no_count_even_behind_a_right_checksum() -> None:
    assert heard(count_frame(5, 2, 9, inside=4) + DISTANCE) == []


def test_a_known_device_is_believed_as_soon_as_its_frame_is_complete() -> None:
    first, second = count_frame(1, 0, 9), count_frame(2, 0, 9)
    assert heard(first) == []
    assert heard(first, b"DD") == [counts(1, 0)]
    assert heard(first, DISTANCE, second[:-1]) == [counts(1, 0)]
    assert heard(first, DISTANCE, second) == [counts(1, 0), counts(2, 0)]


def test_a_device_exchanged_for_one_with_the_other_layout_is_understood() -> None:
    old = (count_frame(1, 0, 9) + DISTANCE) * 2
    new = (count_frame(1, 0, None) + DISTANCE) * 2
    assert heard(old + new + old) == [counts(1, 0)] * 6


def test_little_endian_numbers_are_no_counts() -> None:
    frame = b"PC" + struct.pack("<iHH", 300 - 2, 300, 2)
    assert heard(frame + bytes([crc8(frame)]) + DISTANCE) == []


@given(st.lists(st.tuples(U16, U16), min_size=1, max_size=10), SENSOR_IDS)
def test_nothing_but_counts_is_kept(passages: list[tuple[int, int]], sensor: int | None) -> None:
    """No distance, no sensor id, nothing of anybody: neither in what is told, nor in the driver afterwards."""
    driver = PeopleCounter(PeopleCounterOptions())
    for came, left in passages:
        for values in driver.hear(Heard(DISTANCE + count_frame(came, left, sensor) + DISTANCE + DISTANCE, 0.0)):
            assert set(values) == {"people_in", "people_out", "people"}
            assert all(type(value) is int for value in values.values())
    kept = {name: value for name, value in vars(driver).items() if not (isinstance(value, int) or value is None)}
    assert sum(len(value) for value in kept.values()) <= 16, kept
    assert {point.name for point in driver.points} == {
        *("people_in", "people_out", "people"),
        *("in_total", "in_1min", "out_total", "out_1min"),
    }
