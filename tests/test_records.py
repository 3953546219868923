"""The text of readings: the quick way gives what the plain one gives."""

from __future__ import annotations

from http import HTTPStatus
from math import isfinite

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model import Reading, Reason, Value
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
def test_the_quick_text_is_the_plain_one(readings: list[Reading]) -> None:
    quick = Telemetry()
    for reading in readings:
        assert quick.text(reading) == telemetry(reading)


@pytest.mark.parametrize(
    "values",
    [
        {"100 %": 0.1, "%s": -0.0, '"%r"': 1e300},
        {"x": 1.0, "y": 1, "z": True},
        {"x": 10**400, "y": 1.5},
        {"x": 1.7e308, "y": 1.7e308},
        {"x": 1e22, "y": 1e-7, "z": 123456789012345678},
        {"x": HTTPStatus.OK},
        {"x": 21.5, "state": "on"},
        {},
    ],
    ids=str,
)
def test_no_name_and_no_number_misleads_the_quick_text(values: dict[str, Value]) -> None:
    reading, quick = Reading("d-1", 0.0, 0, values, {}), Telemetry()
    assert [quick.text(reading) for _ in range(2)] == [telemetry(reading)] * 2


def test_points_in_another_order_or_of_another_device_keep_their_values() -> None:
    quick = Telemetry()
    for device, values in (("d", {"x": 1, "y": 2}), ("d", {"y": 2, "x": 1}), ("d", {"y": 2}), ("e", {"x": 1, "y": 2})):
        reading = Reading(device, 0.0, 0, values, {})
        assert quick.text(reading) == telemetry(reading)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_json_cannot_say_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        Telemetry().text(Reading("d", 0.0, 0, {"x": value}, {}))


@pytest.mark.parametrize("values", [[1.7e308, 1.7e308], [float("inf"), float("-inf")], [1, float("nan")]])
def test_numbers_whose_sum_tells_nothing_are_looked_at_one_by_one(values: list[float]) -> None:
    reading = Reading("d", 0.0, 0, {f"p{number}": value for number, value in enumerate(values)}, {})
    if all(map(isfinite, values)):
        assert Telemetry().text(reading) == telemetry(reading)
    else:
        with pytest.raises(ValueError, match="JSON"):
            Telemetry().text(reading)


def test_what_is_remembered_is_bounded() -> None:
    quick = Telemetry()
    for number in range(10_000):
        reading = Reading("d", 0.0, 0, {f"p{number % 3_000}": number / 7}, {})
        assert quick.text(reading) == telemetry(reading)
    assert len(quick._forms) <= Telemetry._FORMS
