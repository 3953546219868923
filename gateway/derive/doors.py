"""The people who pass a door: which points follow from the counters of a device, by their kinds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import inf
from typing import NamedTuple

from gateway.derive.counter import Range
from gateway.derive.totals import Counting

TOTALS: Mapping[str, str] = {
    "people_in": "entries",
    "people_out": "exits",
    "passages_in": "entries",
    "passages_out": "exits",
}
"""By kind of a counter the kind of its total. `passages_*` are counted here, and from 0 with each run."""

FLOW = "people_flow"
EACH_WAY_PER_S = 5.0
"""More people in a second do not pass a door each way: one of 1.8 m is full at 2.5 (82 a metre and minute)."""


class Made(NamedTuple):
    """A point that follows from a counter: its name and kind."""

    name: str
    kind: str


def counting(point: str, kind: str, modulus: int | None = None, max_per_s: float = EACH_WAY_PER_S) -> Counting:
    """The counter `point` of a door: `people_in` leads to `in_total` and `in_1min`."""
    stem = point.removeprefix("people_").removeprefix("passages_")
    ours = kind.startswith("passages_")
    return Counting(point, f"{stem}_total", f"{stem}_1min", Range(modulus, inf if ours else max_per_s), ours)


def made(countings: Iterable[tuple[Counting, str]]) -> tuple[Made, ...]:
    """The points that follow from counters of these kinds."""
    return tuple(point for each, kind in countings for point in (Made(each.total, TOTALS[kind]), Made(each.flow, FLOW)))
