"""What the sensors need from people, as alarms of the gateway's own: a calibration, a look at one that is stuck. Pure.

- One alarm for each device, `calibration-due@DEVICE` and `stuck@DEVICE`; its text names the points.
- Judged every minute. Calibrations are not judged while the clock is unsynced, as certificates are not (own.py).
- An old calibration is never urgent: it endangers nobody today, and the worth of the records from then on.
- What was stuck in the run before stays so until every watched point of the device has been seen to change.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime

from gateway.hub.own import Trouble
from gateway.model import Calibration, DeviceAbout, Moment, Priority, Trust
from gateway.refine.stuck import Watch

_SOON = ((7, Priority.MEDIUM), (30, Priority.LOW))  # days that are left, and how urgent that is


def alarms_of(device: str, *, is_watched: bool, calibrations: Iterable[Calibration]) -> tuple[str, ...]:
    """The ids of the alarms that a device may have."""
    found = (_stuck(device) if is_watched else "", _due(device) if any(it.due for it in calibrations) else "")
    return tuple(alarm for alarm in found if alarm)


class SensorCare:
    """What all sensors need; `watches` are those of the devices that have one. Owned by the hub alone.

    `stuck_after_s`: device -> point -> seconds; `every_s`: device -> seconds between readings.
    """

    def __init__(
        self,
        devices: Iterable[DeviceAbout],
        stuck_after_s: Mapping[str, Mapping[str, float]],
        every_s: Mapping[str, float],
    ) -> None:
        self._devices = {it.device: it for it in devices}
        self.watches = {device: Watch(after_s, every_s[device]) for device, after_s in stuck_after_s.items()}

    def change(
        self,
        devices: Iterable[DeviceAbout],
        stuck_after_s: Mapping[str, Mapping[str, float]],
        every_s: Mapping[str, float],
        anew: Collection[str],
    ) -> None:
        """Other devices from now on; a watch on one that is not `anew` goes on, if it watches the same."""
        kept = {
            device: watch
            for device, watch in self.watches.items()
            if device not in anew and watch.after_s == stuck_after_s.get(device)
        }
        self._devices = {it.device: it for it in devices}
        self.watches = {
            device: kept.get(device) or Watch(after_s, every_s[device]) for device, after_s in stuck_after_s.items()
        }

    def judged(self, now: Moment) -> dict[str, Trouble | None]:
        """What they need now, by alarm; None where it is nothing. What is not known is left out."""
        found = dict(self._stuck())
        if now.trust is not Trust.UNSYNCED:
            today = datetime.fromtimestamp(now.ts / 1000, UTC).date()
            for name, device in self._devices.items():
                if any(it.due for it in device.calibrations.values()):
                    found[_due(name)] = _calibration(device, today)
        return found

    def _stuck(self) -> Iterator[tuple[str, Trouble | None]]:
        for device, watch in self.watches.items():
            stuck = watch.stuck()
            if stuck:
                units = {point.name: point.unit for point in self._devices[device].points}
                told = (
                    f"{device}.{name} has been {f'{value} {units[name]}'.rstrip()} for {_long(watch.after_s[name])}"
                    for name, value in stuck.items()
                )
                yield _stuck(device), Trouble(Priority.LOW, f"{', '.join(told)}, or longer", _TRY)
            elif watch.lively():
                yield _stuck(device), None


_TRY = "See whether the sensor still measures: warm it with a hand or breathe on it, the value has to move"


def _calibration(device: DeviceAbout, today: date) -> Trouble | None:
    """About the calibrations of a device, those that end first in front."""
    ends = sorted((date.fromisoformat(it.due), name, it) for name, it in device.calibrations.items() if it.due)
    near = [(day, name, it, urgency) for day, name, it in ends if (urgency := _urgency((day - today).days)) is not None]
    if not near:
        return None
    text = ", ".join(f"{device.device}.{name} {_words(it, day, today)}" for day, name, it, _ in near)
    return Trouble(near[0][3], text, "Have it calibrated, and write the new certificate into the configuration")


def _urgency(days: int) -> Priority | None:
    return next((priority for most, priority in _SOON if days <= most), None)


def _words(calibration: Calibration, due: date, today: date) -> str:
    by = f" (certificate {calibration.certificate})" if calibration.certificate else ""
    return f"{'was' if due <= today else 'is'} due for calibration on {due}{by}"


def _long(seconds: float) -> str:
    hours = seconds / 3600
    return f"{hours:g} h" if hours >= 1 else f"{seconds / 60:g} min"


def _stuck(device: str) -> str:
    return f"stuck@{device}"


def _due(device: str) -> str:
    return f"calibration-due@{device}"
