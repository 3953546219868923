"""An alarm as the text that is stored of it with each decision that changes it, and back. Pure.

The end of a shelf is stored as wall time, and as monotonic time with the boot that it belongs to: a start in the same
boot goes by the latter; after another boot wall time counts, if the clock is known; if it is not, the shelf has ended.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from gateway.hub.own import Trouble
from gateway.model import AlarmState, AlarmView, Json, Moment, Priority, Trust
from gateway.records import encode
from gateway.rules.overlay import LONGEST_S, Note, Overlay, Shelf


class Kept(NamedTuple):
    """What was stored of an alarm."""

    view: AlarmView
    overlay: Overlay


def stored(view: AlarmView, overlay: Overlay, boot: str) -> str:
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
        )
    except (ValueError, KeyError, TypeError, IndexError):
        return None
    return Kept(view, overlay)


def trouble_of(view: AlarmView) -> Trouble:
    """What one of the gateway's own alarms says is wrong."""
    return Trouble(view.priority, view.text, view.say)


def _overlay(kept: Mapping[str, Any], priority: Priority, boot: str, now: Moment) -> Overlay:
    service, shelf = kept.get("service"), None
    if "shelf" in kept:
        by, why, until_ts, until, its_boot = kept["shelf"]
        left_s = float(until) - now.mono
        if not boot or its_boot != boot:
            left_s = (int(until_ts) - now.ts) / 1000 if now.trust is not Trust.UNSYNCED else 0.0
        left_s = min(left_s, LONGEST_S[priority])
        shelf = Shelf(Note(str(by), str(why)), now.mono + left_s, int(until_ts))
    return Overlay(None if service is None else Note(str(service[0]), str(service[1])), shelf)
