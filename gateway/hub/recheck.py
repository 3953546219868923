"""Whether an alarm on smoke may be reset: with a reason, when its detectors have just been seen at rest. Pure.

EN 54-2 has a reset followed by a look at the detectors within 20 s. Here the look comes first: what a detector says is
at most so old, or three of its intervals where it speaks less often. One that cannot be heard has to be repaired, or
taken out, by a person; then a reset is possible. What signals again after a reset is a new alarm.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from gateway.derive.fire import DETECTORS
from gateway.hub.points import Points
from gateway.model import Command, Moment
from gateway.units import FIRE_KINDS

RESET = "reset"

RECHECKED_S, RECHECKED_INTERVALS = 20.0, 3
"""How old (s) what a detector said may be, and how many of its intervals if that is longer."""

_AT_REST = frozenset({"normal", "test", "disabled"})


class Input(NamedTuple):
    """A point that an alarm is judged by."""

    device: str
    point: str
    kind: str


def recheck(command: Command, inputs: Iterable[Input], points: Points, now: Moment) -> str:
    """Why the alarm on these cannot be reset now; "" if nothing is against it."""
    inputs = [each for each in inputs if each.kind in FIRE_KINDS]
    reason = command.args.get("reason", "")
    if inputs and not (isinstance(reason, str) and reason.strip()):
        return "an alarm on smoke is reset with a reason alone: what was found there"
    for device, point, kind in inputs:
        age_s = now.mono - points.heard(device, point)
        if age_s > max(RECHECKED_S, RECHECKED_INTERVALS * points.every_s(device)):
            return f"{device}.{point} has not been heard lately; see to it, or disable it, before a reset"
        value = points.value(device, point)
        if value not in _AT_REST:
            return f"{device}.{point} says {value}; see to {_whom(device, kind, points)} before a reset"
    return ""


def _whom(device: str, kind: str, points: Points) -> str:
    """What a person has to see to: a detector, or those of a zone."""
    restless = points.value(device, DETECTORS) if kind == "fire" else None
    return f"its detectors ({restless}), or disable them," if restless else "it, or disable it,"
