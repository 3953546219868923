"""Readings of the past, as the hub once had them. Pure.

Where they come from (the journal, an exported file) they get the form that the rules take: what of a reading was sent
and what was not is one reading again, and words are told from numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from gateway.model import Json, Reading, Reason, Trust, Value

_REASONS = {reason.value: reason for reason in Reason}


class Heard(NamedTuple):
    """Some readings of one run, in their order, while its clock was trusted so far; `number` orders the runs."""

    number: int
    run: str
    trust: Trust
    readings: list[Reading]


def reading_of(record: Json, mono: float, ts: int) -> Reading | None:
    """The reading that a record says; None where it says none."""
    if not isinstance(record, dict):
        return None
    device, values, bad = record.get("device"), record.get("values"), record.get("bad", {})
    if not isinstance(device, str) or not isinstance(values, dict) or not isinstance(bad, dict):
        return None
    good = {name: value_of(value) for name, value in values.items()}
    reasons = {name: _REASONS.get(str(reason)) for name, reason in bad.items()}
    told = {name: value for name, value in good.items() if value is not None}
    known = {name: reason for name, reason in reasons.items() if reason is not None}
    whole = len(told) == len(good) and len(known) == len(reasons)
    return Reading(device, mono, ts, told, known) if whole else None


def value_of(told: Json) -> Value | None:
    """A value as JSON has it; None for what is none."""
    if isinstance(told, bool | int | float | str):
        return told
    if isinstance(told, list) and len(told) == 2 and all(type(part) in (int, float) for part in told):
        return float(told[0]), float(told[1])
    return None


def woven(sent: Iterator[Heard], local: Iterator[Heard]) -> Iterator[Heard]:
    """Both lanes in one order; what one reading has in both is one reading."""
    first, second = next(sent, None), next(local, None)
    while first is not None and second is not None:
        if first.number != second.number:
            earlier = first if first.number < second.number else second
            yield earlier
            first, second = (next(sent, None), second) if earlier is first else (first, next(local, None))
            continue
        until = min(max(it.mono for it in first.readings), max(it.mono for it in second.readings))
        parts = [reading for heard in (first, second) for reading in heard.readings if reading.mono <= until]
        yield first._replace(readings=_joined(sorted(parts, key=_mono)))
        first, second = _rest(first, until) or next(sent, None), _rest(second, until) or next(local, None)
    for heard, lane in ((first, sent), (second, local)):
        if heard is not None:
            yield heard
            yield from lane


def _rest(heard: Heard, until: float) -> Heard | None:
    later = [reading for reading in heard.readings if reading.mono > until]
    return heard._replace(readings=later) if later else None


def _mono(reading: Reading) -> float:
    return reading.mono


def _joined(readings: Iterable[Reading]) -> list[Reading]:
    """Parts of one reading, which have the same device and time, as one."""
    found: dict[tuple[str, float], Reading] = {}
    for reading in readings:
        key = reading.device, reading.mono
        other = found.get(key)
        if other is None:
            found[key] = reading
        else:
            found[key] = other._replace(values={**other.values, **reading.values}, bad={**other.bad, **reading.bad})
    return list(found.values())
