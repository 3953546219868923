"""The platform's word that it has stored records: untrusted bytes, checked. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from gateway.model import SENT_LANES, Json, Lane
from gateway.untrusted import is_count, is_run, parsed

MAX_RANGES = 1_000


class Confirmation(NamedTuple):
    """The platform has the records with these numbers of a run and lane: first and last, in order, none touching."""

    run: str
    lane: Lane
    ranges: tuple[tuple[int, int], ...]


def confirmation(payload: bytes) -> Confirmation:
    """What a message on `stored` says; ValueError for what is none."""
    said = parsed(payload, "a confirmation")
    if said.keys() != {"run", "lane", "ranges"}:
        raise ValueError("a confirmation is run, lane and ranges, and nothing else")
    run, lane, ranges = said["run"], said["lane"], said["ranges"]
    if not is_run(run):
        raise ValueError("run must be the id of a run")
    if not isinstance(lane, str) or lane not in set(SENT_LANES):
        raise ValueError("lane must be event or telemetry")
    if not isinstance(ranges, list) or not 1 <= len(ranges) <= MAX_RANGES:
        raise ValueError(f"ranges must be 1 to {MAX_RANGES} pairs of numbers")
    return Confirmation(run, Lane(lane), _merged(map(_range, ranges)))


def _merged(ranges: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """In order, and no two that touch."""
    merged: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = merged[-1][0], max(last, merged[-1][1])
        else:
            merged.append((first, last))
    return tuple(merged)


def _range(pair: Json) -> tuple[int, int]:
    if not isinstance(pair, list) or len(pair) != 2:
        raise ValueError("a range must be two numbers")
    first, last = pair
    if not is_count(first) or not is_count(last) or not 1 <= first <= last:
        raise ValueError("a range must be two numbers of records, the smaller one first")
    return first, last
