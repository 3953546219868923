"""A building of doors, restarts and silences against people counted one by one; at length: tests/bench/occupancy.py."""

from __future__ import annotations

import pytest
from crowd import Crowd, Happening, recount


@pytest.mark.parametrize("seed", [1, 2])
def test_nobody_is_missed_or_counted_twice_in_a_building_where_everything_happens(seed: int) -> None:
    crowd = Crowd(seed, doors=6, per_s=5)
    for _ in range(6):
        crowd.pass_through(2000)
        assert crowd.differences() == []
        crowd.forget()
    assert len(crowd.happened) == 6, crowd.happened
    assert min(crowd.happened.values()) > 0, crowd.happened


def test_the_slow_model_counts_people() -> None:
    """It is the measure of the other: shown on a few people."""
    some = [Happening("passed", "a", "+++-"), Happening("passed", "b", "---")]
    assert recount(some) == (0, 3, 4, 1, 0)
    assert (
        recount([*some, Happening("silent", "a"), Happening("passed", "b", "++"), Happening("passed", "b", "-")])[0]
        == 2
    )
    assert recount([*some, Happening("put", people=7), Happening("passed", "a", "-")])[0] == 6
    assert recount([*some, Happening("day")]) == (0, 0, 0, 0, 0)
