"""An alarm as the text that is stored of it with each decision that changes it, and back. Pure.

Where it is not known how long a shelf still lasts, it has ended, and so has what holds a chattering alarm.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import inf
from typing import Any, NamedTuple

from gateway.hub import moments
from gateway.hub.own import Trouble
from gateway.model import AlarmState, AlarmView, Json, Moment, Priority
from gateway.records import encode
from gateway.rules.judge import HOLD_S, Life
from gateway.rules.overlay import LONGEST_EXPLAINED_S, LONGEST_S, Note, Overlay, Shelf


class Kept(NamedTuple):
    """What was stored of an alarm."""

    view: AlarmView
    overlay: Overlay
    held: float  # this and the next as in Life
    seen: float
    explained: bool  # by what the plant does, whether for too long or not


def stored(view: AlarmView, overlay: Overlay, life: Life, now: Moment, boot: str, *, explained: bool = False) -> str:
    """The text of an alarm that is not at rest, or that is `explained` for too long."""
    kept: dict[str, Json] = {
        "state": view.state,
        "since": view.since,
        "seq": view.seq,
        "run": view.run,
        "value": view.value,
    }
    if not view.rule:
        kept |= trouble_of(view)._asdict()
    if overlay.service is not None:
        kept["service"] = list(overlay.service)
    for name, part in (("shelf", overlay.shelf), ("plant", overlay.plant)):
        if part is not None:
            kept[name] = [*part.note, part.until_ts, part.until, boot]
    if overlay.greater is not None:
        kept["greater"] = list(overlay.greater)
    if explained:
        kept["explained"] = True
    if view.chattering:
        kept["held"] = moments.stored(life.held, now, boot)
    if life.seen < inf:
        kept["seen"] = moments.stored(life.seen, now, boot)
    return encode(kept)


def restored(view: AlarmView, text: str, boot: str, now: Moment) -> Kept | None:
    """The alarm as it was stored, `view` being what it is by its rule; None where the text is not one of ours."""
    try:
        kept = json.loads(text)
        value = kept["value"]
        if not view.rule:
            trouble = Trouble(Priority(kept["priority"]), str(kept["text"]), str(kept["say"]))
            view = replace(view, **trouble._asdict())
        overlay = _overlay(kept, view.priority, boot, now)
        view = replace(
            view,
            state=AlarmState(kept["state"]),
            since=int(kept["since"]),
            seq=int(kept["seq"]),
            run=str(kept["run"]),
            value=(float(value[0]), float(value[1])) if isinstance(value, list) else value,
            hidden=overlay.shows,
            chattering="held" in kept,
        )
        held = _until(kept["held"], HOLD_S, boot, now) if "held" in kept else -inf
        seen = moments.recalled(kept["seen"], boot, now) if "seen" in kept else inf
    except (ValueError, KeyError, TypeError, IndexError):
        return None
    return Kept(view, overlay, held, now.mono if seen is None else seen, "explained" in kept)


def trouble_of(view: AlarmView) -> Trouble:
    """What one of the gateway's own alarms says is wrong."""
    return Trouble(view.priority, view.text, view.say)


def _overlay(kept: Mapping[str, Any], priority: Priority, boot: str, now: Moment) -> Overlay:
    return Overlay(
        _note(kept.get("service")),
        _shelf(kept.get("plant"), LONGEST_EXPLAINED_S, boot, now),
        _shelf(kept.get("shelf"), LONGEST_S[priority], boot, now),
        _note(kept.get("greater")),
    )


def _note(kept: Sequence[Any] | None) -> Note | None:
    return None if kept is None else Note(str(kept[0]), str(kept[1]))


def _shelf(kept: Sequence[Any] | None, most_s: float, boot: str, now: Moment) -> Shelf | None:
    if kept is None:
        return None
    by, why, *until = kept
    return Shelf(Note(str(by), str(why)), _until(until, most_s, boot, now), int(until[0]))


def _until(kept: Sequence[Any], most_s: float, boot: str, now: Moment) -> float:
    """The end of what lasts for `most_s` at most: now, where it is not known."""
    until = moments.recalled(kept, boot, now)
    return now.mono if until is None else min(until, now.mono + most_s)
