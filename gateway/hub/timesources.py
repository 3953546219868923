"""What devices that know the time say of it, and whether that can be believed. Pure.

A device with a point of the kind `time` (UTC ms when its reading was heard) is a source, such as a GPS receiver with
`time_source: true`. What it says is believed, as Trust.GPS, when

- its reading has a fix that was measured, and at least SATELLITES satellites,
- the time is none before this version was made,
- it has said so AGREEING times in a row, each at most GAP_S after the one before and within AGREE_MS of it, by
  monotonic time: a reading that was held up somewhere shows in that,
- no other source says otherwise.

A source that contradicts what was believed of it has changed its mind by leap seconds, which a receiver that was just
switched on learns within 12.5 minutes; then it is believed after STEADY_S. By more than LEAP_MS it is spoilt (a jump, a
simulator, a receiver that counts its weeks anew), and not believed in this run unless it comes back.

How good that is: a receiver says the time of its fix 50 to 500 ms later, so the time is late by that; what the line
takes beside is known. Source for the delays and the leap seconds: IS-GPS-200, 20.3.3.5.2.4; receivers' data sheets.
"""

from __future__ import annotations

from collections.abc import Collection
from math import inf
from typing import TypeGuard

from gateway.model import DeviceAbout, Reading, TimeKnown, Trust, Value
from gateway.release import BUILD_TS

SATELLITES = 4
AGREEING = 3
AGREE_MS = 300
GAP_S = 10.0
STEADY_S = 900.0
LEAP_MS = 30_000
SAME_MS = 1_000
"""Two times that differ by less are the same, for all that is done with them here."""
FRESH_S = 60.0
"""How long a source's word counts against that of others."""

_MEASURED = frozenset({"2d", "3d"})


class TimeSources:
    """The sources of time of one run. Owned and changed by the hub alone."""

    def __init__(self, devices: Collection[DeviceAbout]) -> None:
        self._sources: dict[str, _Source] = {}
        self.change(devices, ())

    def change(self, devices: Collection[DeviceAbout], anew: Collection[str]) -> None:
        """Other devices from now on; of those that are not `anew`, what is known stays."""
        before = self._sources
        points = {it.device: next((point.name for point in it.points if point.kind == "time"), "") for it in devices}
        self._sources = {
            device: before[device] if device in before and device not in anew else _Source(point)
            for device, point in points.items()
            if point
        }

    def told(self, reading: Reading) -> TimeKnown | None:
        """The time that follows from this reading; None if it is of no source, or not sure."""
        source = self._sources.get(reading.device)
        if source is None:
            return None
        offset_ms = source.told(reading)
        if offset_ms is None or any(each.contradicts(offset_ms, reading.mono) for each in self._sources.values()):
            return None
        return TimeKnown(reading.mono, round(offset_ms + reading.mono * 1000), Trust.GPS)


class _Source:
    """One device; offsets are UTC ms at monotonic zero."""

    def __init__(self, point: str) -> None:
        self._point = point
        self._last: tuple[float, float] = (0.0, -inf)  # the newest offset, and when (monotonic s)
        self._since = 0.0  # since when it agrees with itself
        self._agreeing = 0
        self._believed: float | None = None

    def told(self, reading: Reading) -> float | None:
        """The offset, if it can be believed."""
        ts = reading.values.get(self._point)
        if not _is_plausible(ts) or not _is_good(reading):
            return None
        offset_ms, mono = ts - reading.mono * 1000, reading.mono
        last_ms, at = self._last
        self._last = offset_ms, mono
        if not 0 < mono - at <= GAP_S or abs(offset_ms - last_ms) > AGREE_MS:
            self._since, self._agreeing = mono, 0
        self._agreeing += 1
        if self._agreeing < AGREEING or not self._may_be_believed(offset_ms, mono):
            return None
        self._believed = offset_ms
        return offset_ms

    def contradicts(self, offset_ms: float, mono: float) -> bool:
        """Whether it has lately said another time."""
        last_ms, at = self._last
        return mono - at <= FRESH_S and abs(offset_ms - last_ms) >= SAME_MS

    def _may_be_believed(self, offset_ms: float, mono: float) -> bool:
        if self._believed is None or abs(offset_ms - self._believed) < SAME_MS:
            return True
        return abs(offset_ms - self._believed) <= LEAP_MS and mono - self._since >= STEADY_S


def _is_plausible(ts: Value | None) -> TypeGuard[int]:
    return isinstance(ts, int) and not isinstance(ts, bool) and ts >= BUILD_TS


def _is_good(reading: Reading) -> bool:
    """Whether its fix was measured, with enough satellites."""
    fix, satellites = reading.values.get("fix"), reading.values.get("satellites")
    return fix in _MEASURED and isinstance(satellites, int) and satellites >= SATELLITES
