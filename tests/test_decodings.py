"""What raw registers may mean, and which readings a person is shown."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.commissioning.decodings import ORDERS, Decoding, decodings


def believable(*words: int) -> list[str]:
    raw = dict(enumerate(words))
    return [f"{it.address} {it.type} {it}" for it in decodings(raw) if it.believable]


def test_a_temperature_in_tenths_is_a_number_and_little_else() -> None:
    assert believable(245) == ["0 uint16 uint16 245"]
    assert believable(0xFFDD) == ["0 uint16 uint16 65501", "0 int16 int16 -35"]


@pytest.mark.parametrize("order", ORDERS)
def test_a_float_is_found_in_each_order(order: str) -> None:
    big = struct.pack(">f", 230.2)
    places = ["ABCD".index(letter) for letter in order]
    high, low = struct.unpack(">HH", bytes(big[place] for place in places))
    assert f"0 float32 {order} 230.2" in believable(high, low)


def test_a_counter_with_the_low_register_first_is_found() -> None:
    assert "0 uint32 CDAB 123456" in believable(0xE240, 0x0001)
    assert "0 int32 ABCD -5" in believable(0xFFFF, 0xFFFB)


def test_decimal_digits_offsets_and_signs_are_found_where_the_bits_allow_them() -> None:
    assert "0 bcd16 bcd16 1234" in believable(0x1234)
    assert not any("bcd16" in it for it in believable(0x12AB))
    assert "0 offset10000 offset10000 -123" in believable(10123)
    assert "0 sign_magnitude16 sign_magnitude16 -35" in believable(0x8023)


def test_text_is_shown_once_where_it_begins() -> None:
    words = struct.unpack(">4H", b"XY-MD02 ")
    texts = [it for it in decodings(dict(enumerate((7, *words, 7)))) if it.type == "ascii"]
    assert texts == [Decoding(1, "ascii", None, "XY-MD02", believable=True)]
    assert not any(it.type == "ascii" for it in decodings({0: 0x4142}))


def test_zeros_are_shown_once() -> None:
    assert believable(0, 0) == ["0 uint16 uint16 0", "1 uint16 uint16 0"]


def test_a_gap_is_never_read_across() -> None:
    found = list(decodings({0: 1, 2: 2}))
    assert {it.address for it in found} == {0, 2}
    assert all(it.order is None for it in found)


@given(st.dictionaries(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF), max_size=20))
def test_any_registers_can_be_shown(raw: dict[int, int]) -> None:
    for it in decodings(raw):
        assert it.address in raw
        assert str(it)
