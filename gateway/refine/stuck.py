"""Which points have not changed for longer than a living sensor would let them. Pure.

- Such a value stays good: it is an information, and somebody has to look at the sensor.
- Only good values count, from the first of a run on: what came while nobody watched is not known. So it begins anew
  after a gap of more than GAP_INTERVALS without one.
- A point is at rest about this when it has been seen to change; before that it may have been stuck in the run before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.model import Reading, Value

GAP_INTERVALS = 10
"""Intervals without a good value after which nobody knows whether it has moved; lost polls are fewer."""

_LATE = 1.5  # intervals; readings jitter by less than half of one


@dataclass(slots=True)
class _Seen:
    """One point: its value, since when and until when it was seen (monotonic seconds), and whether it ever changed."""

    value: Value
    since: float
    last: float
    changed: bool = False


class Watch:
    """The watched points of one device, each with its seconds. `every_s`: between readings. Owned by the hub alone."""

    def __init__(self, after_s: Mapping[str, float], every_s: float) -> None:
        self.after_s = after_s
        self._gap_s = {name: max(_LATE * every_s, min(GAP_INTERVALS * every_s, it)) for name, it in after_s.items()}
        self._seen: dict[str, _Seen] = {}

    def take(self, reading: Reading) -> None:
        """Remember what `reading` says."""
        for name, gap_s in self._gap_s.items():
            value = reading.values.get(name)
            if value is None:
                continue
            seen = self._seen.get(name)
            if seen is None:
                self._seen[name] = _Seen(value, reading.mono, reading.mono)
                continue
            if value != seen.value or reading.mono - seen.last > gap_s:
                seen.changed |= value != seen.value
                seen.value, seen.since = value, reading.mono
            seen.last = reading.mono

    def stuck(self) -> dict[str, Value]:
        """The points that have not changed for so long, and their values."""
        return {
            name: seen.value
            for name, after_s in self.after_s.items()
            if (seen := self._seen.get(name)) is not None and seen.last - seen.since >= after_s
        }

    def lively(self) -> bool:
        """Whether every point has been seen to change: then none is left over from an earlier run."""
        return all((seen := self._seen.get(name)) is not None and seen.changed for name in self.after_s)
