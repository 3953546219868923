"""Outputs that stay on, and off, for a least time: since when they are as they are, and until when that holds.

A high alarm does not wait for it, nor does what is silenced, nor a safe value: that is for who asks (outputs.py).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from math import inf
from types import MappingProxyType

from gateway.model import Value
from gateway.rules.responses import OutputPoint, Pace

NO_PACES: Mapping[OutputPoint, Pace] = MappingProxyType({})


class Pacing:
    """The outputs with a pace, which were switched last at `mono` (monotonic s). Owned and changed by the hub alone."""

    def __init__(self, paces: Mapping[OutputPoint, Pace], mono: float) -> None:
        self._paces = paces
        self._since = dict.fromkeys(paces, mono)
        self._ready_at: dict[OutputPoint, float] = {}  # of those that have to wait

    def change(self, paces: Mapping[OutputPoint, Pace], kept: Collection[OutputPoint], mono: float) -> None:
        """Other paces from now on; what is not `kept` was switched at `mono`. All outputs are asked for again next."""
        self._paces = paces
        self._since = {it: self._since.get(it, -inf) if it in kept else mono for it in paces}
        self._ready_at.clear()

    @property
    def wake(self) -> float:
        """When (monotonic) the first of those that wait is ready."""
        return min(self._ready_at.values(), default=inf)

    def has_to_wait(self, output: OutputPoint, present: Value, wanted: Value, mono: float) -> bool:
        """Whether the output stays at `present` for the time being; if so it is noted until when."""
        self._ready_at.pop(output, None)
        pace = self._paces.get(output)
        if pace is None or present == wanted:
            return False
        ready_at = self._since[output] + pace.least_s(present)
        if mono < ready_at:
            self._ready_at[output] = ready_at
        return mono < ready_at

    def switched(self, output: OutputPoint, mono: float) -> None:
        """It is something else since `mono`."""
        if output in self._since:
            self._since[output] = mono

    def on(self, link: str) -> set[OutputPoint]:
        """The outputs of a link that have a pace."""
        return {output for output in self._paces if output.link == link}
