"""What is known of every point: its last good value, how old it is, and whether it can be relied on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.model import DeviceAbout, PointStatus, Reading, Reason, Value

_STALE_AFTER = 3.0  # intervals without a good value


@dataclass(slots=True)
class _Known:
    value: Value | None = None
    good_mono: float | None = None
    reason: Reason | None = None


class Points:
    """The newest of every point. Owned and changed by the hub alone."""

    def __init__(self, devices: tuple[DeviceAbout, ...], every_s: Mapping[str, float]) -> None:
        self._devices = devices
        self._every_s = every_s
        self._known = {(device.device, point.name): _Known() for device in devices for point in device.points}

    def take(self, reading: Reading) -> None:
        """Remember what `reading` says; names that the device does not have are passed over."""
        for name, value in reading.values.items():
            known = self._known.get((reading.device, name))
            if known is not None:
                known.value, known.good_mono, known.reason = value, reading.mono, None
        for name, reason in reading.bad.items():
            known = self._known.get((reading.device, name))
            if known is not None:
                known.reason = reason

    def value(self, device: str, point: str) -> Value | None:
        """The last good value, None before the first."""
        known = self._known.get((device, point))
        return known.value if known is not None else None

    def status(self, mono: float) -> tuple[PointStatus, ...]:
        """All points as they stand at monotonic time `mono`."""
        return tuple(
            self._point_status(device, point.name, point.kind, point.unit, mono)
            for device in self._devices
            for point in device.points
        )

    def _point_status(self, device: DeviceAbout, name: str, kind: str, unit: str, mono: float) -> PointStatus:
        known = self._known[device.device, name]
        age = None if known.good_mono is None else max(0.0, mono - known.good_mono)
        if known.reason is not None:
            quality: str = known.reason
        elif age is None:
            quality = "waiting"
        else:
            quality = "stale" if age > _STALE_AFTER * self._every_s[device.device] else "good"
        return PointStatus(device.device, name, kind, unit, device.zone, known.value, age, quality)
