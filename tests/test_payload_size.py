"""What a value costs on the line, held to the promised figures (`./dev bench payload` prints them). No timing."""

from __future__ import annotations

import pytest
from payload_weight import NAMES, SHAPES, bytes_per_value


@pytest.mark.parametrize(("name", "points", "compress", "goal"), SHAPES, ids=[shape[0] for shape in SHAPES])
def test_a_value_costs_no_more_bytes_than_is_promised(name: str, points: int, compress: bool, goal: int) -> None:
    assert 2 < bytes_per_value(50, points, compress) <= goal, name


def test_the_names_are_as_long_as_the_promise_says() -> None:
    assert min(map(len, NAMES)) >= 8
