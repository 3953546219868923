"""What is known of every point: its last good value, how old it is, and whether it can be relied on."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from math import inf

from gateway.model import DeviceAbout, PointStatus, Reading, Reason, Value
from gateway.units import FIRE_KINDS

_STALE_AFTER = 3.0  # intervals without a good value


class _Known:
    """What is known of one device."""

    def __init__(self, names: frozenset[str]) -> None:
        self.names = names
        self.whole: Reading | None = None  # the last reading with a good value of every point
        self.since: dict[str, Reading] = {}  # point -> the last reading after that with a good value of it
        self.bad: dict[str, Reason] = {}  # the points whose newest reading is bad

    def take(self, reading: Reading) -> None:
        values = reading.values
        if values.keys() >= self.names:
            self.whole = reading
            if self.since or self.bad:
                self.since.clear()
                self.bad.clear()
            return
        for name in values.keys() & self.names:
            self.since[name] = reading
            self.bad.pop(name, None)
        self.bad.update((name, reason) for name, reason in reading.bad.items() if name in self.names)

    def good(self, name: str) -> Reading | None:
        """The last reading with a good value of a point."""
        return self.since.get(name, self.whole)


class Points:
    """The newest of every point. Owned and changed by the hub alone."""

    def __init__(self, devices: tuple[DeviceAbout, ...], every_s: Mapping[str, float]) -> None:
        self._devices = devices
        self._every_s = every_s
        self._known = {device.device: _Known(frozenset(point.name for point in device.points)) for device in devices}

    def change(self, devices: tuple[DeviceAbout, ...], every_s: Mapping[str, float], anew: Collection[str]) -> None:
        """Other devices from now on; of those that are not `anew`, what is known stays."""
        before = {name: known for name, known in self._known.items() if name not in anew}
        self._devices, self._every_s = devices, every_s
        names = {device.device: frozenset(point.name for point in device.points) for device in devices}
        self._known = {device: before.get(device) or _Known(names[device]) for device in names}

    def take(self, reading: Reading) -> None:
        """Remember what `reading` says; names that the device does not have are passed over."""
        known = self._known.get(reading.device)
        if known is not None:
            known.take(reading)

    def has(self, device: str, point: str) -> bool:
        """Whether there is such a point."""
        known = self._known.get(device)
        return known is not None and point in known.names

    def value(self, device: str, point: str) -> Value | None:
        """The last good value of a point; None if there is none."""
        reading = self._known[device].good(point) if self.has(device, point) else None
        return None if reading is None else reading.values.get(point)

    def every_s(self, device: str) -> float:
        """Seconds between the readings of a device."""
        return self._every_s[device]

    def heard(self, device: str, point: str) -> float:
        """When (monotonic s) a point had its last good value; minus infinity if it never had one."""
        reading = self._known[device].good(point)
        return -inf if reading is None else reading.mono

    def status(self, mono: float) -> tuple[PointStatus, ...]:
        """All points as they stand at monotonic time `mono`."""
        return tuple(
            self._point_status(device, point.name, point.kind, point.unit, mono)
            for device in self._devices
            for point in device.points
        )

    def _point_status(self, device: DeviceAbout, name: str, kind: str, unit: str, mono: float) -> PointStatus:
        known = self._known[device.device]
        reading = known.good(name)
        value = reading.values[name] if reading is not None else None
        age = max(0.0, mono - reading.mono) if reading is not None else None
        quality: str = known.bad.get(name, "waiting")
        if name not in known.bad and age is not None:
            quality = "stale" if age > _STALE_AFTER * self._every_s[device.device] else "good"
        if kind in FIRE_KINDS and (name in known.bad or (quality == "stale" and value != "disabled")):
            value = "fault"  # what it said before is no word for what it is now
        return PointStatus(device.device, name, kind, unit, device.zone, value, age, quality)
