"""Since when an alarm has its outputs, and until when a person has one, as the texts that are stored of it. Pure.

Moments are stored as monotonic time with its boot, and as wall time: a start in the same boot goes by the former; after
another boot wall time counts, if the clock is known. If it is not, what an alarm wants begins anew, and what a person
wanted has ended.
"""

from __future__ import annotations

import json
from typing import NamedTuple

from gateway.model import Moment, Trust, Value
from gateway.records import encode
from gateway.rules.overlay import Note


def written(since: float, boot: str, now: Moment, *, silenced: bool) -> str:
    """The text of an alarm's claim since monotonic `since`."""
    return encode([since, _ts(since, now), boot, silenced])


def recalled(text: str, boot: str, now: Moment) -> tuple[float, bool]:
    """Since when (monotonic) an alarm has its outputs, and whether it is silenced."""
    try:
        since, since_ts, its_boot, silenced = json.loads(text)
        at = _mono(float(since), int(since_ts), str(its_boot), boot, now)
        return now.mono if at is None else min(at, now.mono), bool(silenced)
    except (ValueError, TypeError):
        return now.mono, False


class Kept(NamedTuple):
    """What a person wants of an output (`device.point`) until monotonic `until`; "" of a response that is tried."""

    note: Note
    output: str
    value: Value
    until: float


def kept_text(kept: Kept, boot: str, now: Moment) -> str:
    """The text of it."""
    return encode([*kept.note, kept.output, kept.value, kept.until, _ts(kept.until, now), boot])


def kept_of(text: str, boot: str, most_s: float, now: Moment) -> Kept | None:
    """What was stored, for `most_s` more at most; its time is over where nobody knows. None: no text of ours."""
    try:
        by, why, output, value, until, until_ts, its_boot = json.loads(text)
        at = _mono(float(until), int(until_ts), str(its_boot), boot, now)
    except (ValueError, TypeError):
        return None
    left_until = now.mono if at is None else min(at, now.mono + most_s)
    return Kept(Note(str(by), str(why)), str(output), str(value), left_until)


def _ts(mono: float, now: Moment) -> int:
    return now.ts + round((mono - now.mono) * 1000)


def _mono(mono: float, ts: int, its_boot: str, boot: str, now: Moment) -> float | None:
    """A stored moment as monotonic time of this boot; None where nobody knows."""
    if boot and its_boot == boot:
        return mono
    return None if now.trust is Trust.UNSYNCED else now.mono + (ts - now.ts) / 1000
