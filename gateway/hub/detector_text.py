"""What people have said of smoke detectors, as it is stored and as events tell it, and back. Pure.

Moments are stored as in moments.py; where nobody knows when it is to end, it has ended.
"""

from __future__ import annotations

import json
from typing import NamedTuple

from gateway import records
from gateway.hub import moments
from gateway.model import Json, Moment
from gateway.records import encode
from gateway.rules.overlay import Note

TEST, OUT = "test/", "disabled/"
"""What begins the keys of what is stored: of a zone under test, and of a detector (device.point) that is taken out."""


class Hold(NamedTuple):
    """Who wanted it, why, and until when (monotonic s, and UTC ms)."""

    note: Note
    until: float
    until_ts: int


def told_of(key: str, note: Note, *, begun: bool, **fields: Json) -> str:
    """The event that it begins or ends; by nobody (no name): its time is over."""
    what, at = parts(key)
    who: dict[str, Json] = {"by": note.by, "why": note.why} if note.by else {}
    if what == TEST:
        return records.event("test_mode", zone=at, change="begun" if begun else "ended", **who, **fields)
    device, _, point = at.partition(".")
    change = "disabled" if begun else "enabled"
    return records.event("detector", device=device, point=point, change=change, **who, **fields)


def parts(key: str) -> tuple[str, str]:
    """What it is, `TEST` or `OUT`, and of which zone or detector."""
    what, slash, at = key.partition("/")
    return what + slash, at


def hold_for(note: Note, for_s: float, now: Moment) -> Hold:
    """From now on, for so many seconds."""
    return Hold(note, now.mono + for_s, now.ts + round(for_s * 1000))


def written(hold: Hold, boot: str, now: Moment) -> str:
    """The text that is stored."""
    return encode([*hold.note, *moments.stored(hold.until, now, boot)])


def kept_of(text: str, boot: str, most_s: float, now: Moment) -> Hold | None:
    """What was stored; None: no text of ours. Its time is over where nobody knows how much is left.

    So it is where more is left than the `most_s` that it can have been for: then the clock was put back.
    """
    try:
        by, why, *until = json.loads(text)
        mono = moments.recalled(until, boot, now)
        until_ts = int(until[0])
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    is_known = mono is not None and mono <= now.mono + most_s
    return Hold(Note(str(by), str(why)), mono if mono is not None and is_known else now.mono, until_ts)
