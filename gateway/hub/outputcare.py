"""Outputs that do not take their value: an alarm of the gateway's own, so that nobody relies on them. Pure.

`output-failed@DEVICE` comes when an output was written again and again for `PATIENCE_S`; it is high where a high alarm
wants the output, and ends when the device says that all its outputs are as they should be.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from gateway.hub.own import Trouble, Troubles
from gateway.model import Priority, Value
from gateway.rules.responses import OutputPoint

PATIENCE_S = 5.0


class Failing(NamedTuple):
    """An output that is not as it should be since monotonic `since` (s); `high`: a high alarm wants it so."""

    output: OutputPoint
    wanted: Value
    since: float
    high: bool


def output_failed(device: str) -> str:
    """The alarm on a device's outputs."""
    return f"output-failed@{device}"


def judged(device: str, failing: Sequence[Failing], mono: float) -> Troubles:
    """What these outputs of the device, and no others, mean by now; nothing while they may yet take their values."""
    if failing and all(mono < each.since + PATIENCE_S for each in failing):
        return {}
    return {output_failed(device): _trouble(failing) if failing else None}


def _trouble(failing: Sequence[Failing]) -> Trouble:
    what = ", ".join(f"{each.output.point} should be {each.wanted}" for each in failing)
    text = f"an output does not take its value: {what}, and does not say so"
    priority = Priority.HIGH if any(each.high for each in failing) else Priority.MEDIUM
    return Trouble(priority, text, "Warn people by other means; look at the relay, its supply and its wires")
