"""What a configuration says of single points, in terms of refinement and of the alarms that follow from it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar

from gateway.config.points import CalibrationPart, PointPart
from gateway.config.schema import Device
from gateway.hub import sensorcare
from gateway.model import Calibration
from gateway.refine.quality import Check
from gateway.rules.responses import OutputPoint, Pace

T = TypeVar("T")


def checks(devices: Mapping[str, Device]) -> dict[str, dict[str, Check]]:
    """By device and point what is done to its values, where anything is."""
    return _by_device(devices, _check)


def stuck_after_s(devices: Mapping[str, Device]) -> dict[str, dict[str, float]]:
    """By device and watched point the seconds without a change after which it is stuck."""
    return _by_device(devices, lambda part: part.stuck_after)


def paces(outputs: Iterable[OutputPoint], devices: Mapping[str, Device]) -> Iterator[tuple[OutputPoint, Pace]]:
    """How long outputs stay on and off at least, where that is said."""
    for output in outputs:
        part = devices[output.device].points.get(output.point, PointPart())
        pace = Pace(part.min_on or 0.0, part.min_off or 0.0)
        if pace != Pace():
            yield output, pace


def calibrations(device: Device) -> dict[str, Calibration]:
    """By point how a device is calibrated."""
    return {
        name: _calibration(part.calibration) for name, part in device.points.items() if part.calibration is not None
    }


def alarms_of(name: str, device: Device) -> tuple[str, ...]:
    """The ids of the alarms that a device may have because of its points."""
    is_watched = any(part.stuck_after is not None for part in device.points.values())
    return sensorcare.alarms_of(name, is_watched=is_watched, calibrations=calibrations(device).values())


def _by_device(devices: Mapping[str, Device], said: Callable[[PointPart], T | None]) -> dict[str, dict[str, T]]:
    """What is said of points, where something is."""
    found = {
        device_id: {name: one for name, part in device.points.items() if (one := said(part)) is not None}
        for device_id, device in devices.items()
    }
    return {device_id: by_point for device_id, by_point in found.items() if by_point}


def _check(part: PointPart) -> Check | None:
    low, high = part.range or (None, None)
    calibration = None if part.calibration is None else _calibration(part.calibration)
    check = Check(calibration, low, high, part.max_rate)
    return None if check == Check() else check


def _calibration(part: CalibrationPart) -> Calibration:
    scale, offset = part.line
    return Calibration(scale, offset, part.certificate, str(part.date or ""), str(part.due or ""))
