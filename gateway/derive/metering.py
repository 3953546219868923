"""What pulses stand for: a total in its unit, and how much of it comes in a minute. Pure.

    total   start + pulses x scale: what the meter's own display says, where `start` was read there; only grows
    rate    what came in the last minute, as a quantity per minute or hour; one pulse is the least step of it

The pulses are counted in derive/totals.py, over roll-overs, restarts and our own absence; its events count pulses.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import ClassVar, NamedTuple

from gateway.derive.counter import Range
from gateway.derive.derivation import Derivation, Outcome
from gateway.derive.totals import Counting, Totals
from gateway.model import Json, Moment, Reading, Reason, Value

TOTAL, RATE = "total", "rate"
_DECIMALS = 6


class Quantity(NamedTuple):
    """A kind of total, the kind of its rate, and by what that is multiplied for one a minute."""

    rate_kind: str
    per_min: float


QUANTITIES: Mapping[str, Quantity] = {
    "pulses": Quantity("pulse_rate", 1.0),
    "volume": Quantity("flow", 1.0),
    "energy": Quantity("power", 60_000.0),  # kWh a minute as W
}
"""By the kind of the total."""


def check_worth(scale: float, start: float) -> None:
    """Refuse what no pulse can be worth, and what no display can have said: ValueError."""
    if not (isfinite(scale) and scale > 0):
        raise ValueError(f"scale: how much one pulse is, more than 0, not {scale:g}")
    if not (isfinite(start) and start >= 0):
        raise ValueError(f"start: what the display said, 0 or more, not {start:g}")


class Metering(Derivation):
    """The total and the rate of one counter: the `point` of a device, or of `source` where that is another device."""

    remembers: ClassVar[bool] = True

    def __init__(
        self, point: str, kind: str, scale: float, start: float, of: Range, *, source: str = "", ours: bool = False
    ) -> None:
        self._source = source
        self._scale, self._start = scale, start
        self._per_min = scale * QUANTITIES[kind].per_min
        self._pulses = Totals([Counting(point, TOTAL, RATE, of, ours)])

    def take(self, reading: Reading, now: Moment) -> Outcome:
        """Both by now; bad where the counter is."""
        if self._source not in {"", reading.device}:
            return Outcome()
        return self._measured(self._pulses.take(reading, now))

    def elapse(self, now: Moment) -> Outcome:
        """The rate, which is less by now."""
        return self._measured(self._pulses.elapse(now))

    def stored(self) -> Json:
        """The pulses so far: another scale measures them all anew."""
        return self._pulses.stored()

    def restore(self, stored: Json, now: Moment) -> Outcome:
        """Go on from what another run has counted."""
        return self._measured(self._pulses.restore(stored, now))

    def _measured(self, counted: Outcome) -> Outcome:
        self.wake = self._pulses.wake
        values: dict[str, Value] = {}
        bad: dict[str, Reason] = dict(counted.bad)
        for name, factor, first in ((TOTAL, self._scale, self._start), (RATE, self._per_min, 0.0)):
            pulses = counted.values.get(name)
            if isinstance(pulses, int | float):
                values[name] = round(first + pulses * factor, _DECIMALS)
        return counted._replace(values=values, bad=bad)
