"""The text of readings: the quick way gives what the plain one gives."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model import Reading, Reason
from gateway.records import Telemetry, telemetry

_VALUE = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(),
    st.booleans(),
    st.text(),
    st.tuples(st.floats(-90, 90), st.floats(-180, 180)),
)
_READING = st.builds(
    Reading,
    device=st.text("ab-1", min_size=1),
    mono=st.just(0.0),
    ts=st.just(0),
    values=st.dictionaries(st.text(min_size=1), _VALUE),
    bad=st.dictionaries(st.text(min_size=1), st.sampled_from(list(Reason))),
)


@given(st.lists(_READING, max_size=20))
def test_remembered_texts_say_the_same_as_fresh_ones(readings: list[Reading]) -> None:
    remembering = Telemetry()
    for reading in readings:
        found, plain = remembering.text(reading), telemetry(reading)
        assert json.loads(found) == json.loads(plain)
        assert len(found) <= len(plain) + 1, "no byte more, but for the sign of a zero"


def test_a_whole_number_stays_one_beside_the_equal_fraction() -> None:
    remembering = Telemetry()
    for value, text in ((1.0, "1.0"), (1, "1"), (True, "true"), (1.0, "1.0")):
        assert remembering.text(Reading("d", 0.0, 0, {"x": value}, {})) == f'{{"device":"d","values":{{"x":{text}}}}}'


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_json_cannot_say_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        Telemetry().text(Reading("d", 0.0, 0, {"x": value}, {}))


def test_what_is_remembered_is_bounded() -> None:
    remembering = Telemetry()
    for number in range(10_000):
        reading = Reading("d", 0.0, 0, {"x": number / 7}, {})
        assert remembering.text(reading) == telemetry(reading)
    assert len(remembering._floats) <= 4096


def test_zero_keeps_its_sign() -> None:
    remembered = Telemetry()
    texts = [remembered.text(Reading("d", 0.0, 0, {"p": value}, {})) for value in (-0.0, 0.0, -0.0)]
    assert texts == [telemetry(Reading("d", 0.0, 0, {"p": value}, {})) for value in (-0.0, 0.0, -0.0)]
