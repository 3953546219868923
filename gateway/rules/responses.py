"""Responses: which outputs have to be on, by which alarms. Pure.

An output belongs to the alarms that want it. It is switched on with the first of them and off when the last of them is
over (no longer active and not latched) or hidden (overlay.py). Acknowledging alone does not silence it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from gateway.model import AlarmState, AlarmView, Value


class OutputPoint(NamedTuple):
    """Where an output is: its link, device and point."""

    link: str
    device: str
    point: str


@dataclass(frozen=True, slots=True)
class Response:
    """What happens on the spot while an alarm stands: outputs to switch, and text for people."""

    id: str
    outputs: Mapping[OutputPoint, Value]
    say: str = ""


_OVER = frozenset({AlarmState.NORMAL, AlarmState.RTN_UNACK})


def wants(view: AlarmView) -> bool:
    """Whether an alarm holds the outputs of its response."""
    return view.state not in _OVER and view.hidden is None


class Owners:
    """Who wants which output at which value. Changed only by the hub."""

    def __init__(self) -> None:
        self._owners: dict[OutputPoint, dict[str, Value]] = {}

    def claim(self, alarm: str, response: Response) -> None:
        """The alarm wants the outputs of its response."""
        for output, value in response.outputs.items():
            self._owners.setdefault(output, {})[alarm] = value

    def release(self, alarm: str) -> None:
        """The alarm wants nothing any more."""
        for owners in self._owners.values():
            owners.pop(alarm, None)

    def wanted(self, output: OutputPoint, otherwise: Value) -> Value:
        """What the output should be: as its first owner wants it, `otherwise` without an owner."""
        owners = self._owners.get(output)
        return next(iter(owners.values())) if owners else otherwise

    def why(self, output: OutputPoint) -> str:
        """The alarms that want the output, in words; empty without an owner."""
        return ", ".join(self._owners.get(output, {}))
