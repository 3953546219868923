"""An alarm as the text that is stored of it with each decision that changes it, and back. Pure.

The end of a shelf, and of what holds a chattering alarm, is stored as monotonic time with its boot, and as wall time: a
start in the same boot goes by the former; after another boot wall time counts, if the clock is known; if it is not, the
shelf has ended, and so has the holding.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import inf
from typing import Any, NamedTuple

from gateway.hub.own import Trouble
from gateway.model import AlarmState, AlarmView, Json, Moment, Priority, Trust
from gateway.records import encode
from gateway.rules.judge import HOLD_S
from gateway.rules.overlay import LONGEST_S, Note, Overlay, Shelf


class Kept(NamedTuple):
    """What was stored of an alarm."""

    view: AlarmView
    overlay: Overlay
    held: float  # as in Life


def stored(view: AlarmView, overlay: Overlay, held: float, now: Moment, boot: str) -> str:
    """The text of an alarm that is not at rest."""
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
    if overlay.shelf is not None:
        note, until, until_ts = overlay.shelf
        kept["shelf"] = [*note, until_ts, until, boot]
    if view.chattering:
        kept["held"] = [now.ts + round((held - now.mono) * 1000), held, boot]
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
        held = now.mono + _left_s(kept["held"], HOLD_S, boot, now) if "held" in kept else -inf
    except (ValueError, KeyError, TypeError, IndexError):
        return None
    return Kept(view, overlay, held)


def trouble_of(view: AlarmView) -> Trouble:
    """What one of the gateway's own alarms says is wrong."""
    return Trouble(view.priority, view.text, view.say)


def _overlay(kept: Mapping[str, Any], priority: Priority, boot: str, now: Moment) -> Overlay:
    service, shelf = kept.get("service"), None
    if "shelf" in kept:
        by, why, *until = kept["shelf"]
        left_s = _left_s(until, LONGEST_S[priority], boot, now)
        shelf = Shelf(Note(str(by), str(why)), now.mono + left_s, int(until[0]))
    return Overlay(None if service is None else Note(str(service[0]), str(service[1])), shelf)


def _left_s(until: Sequence[Any], most_s: float, boot: str, now: Moment) -> float:
    """How long it is to a moment that was stored as wall time, monotonic time and boot; at most `most_s`."""
    ts, mono, its_boot = until
    if boot and its_boot == boot:
        return min(float(mono) - now.mono, most_s)
    return min((int(ts) - now.ts) / 1000, most_s) if now.trust is not Trust.UNSYNCED else 0.0
