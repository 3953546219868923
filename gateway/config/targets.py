"""What rules and responses can be about: the points and outputs of the devices."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.config.schema import Device, Rule
from gateway.driver import Output
from gateway.model import Point


def in_zone(zone: str, around: str) -> bool:
    """Whether `zone` is `around` or lies in it: `cold-store/room-1` lies in `cold-store`."""
    return zone == around or zone.startswith(around + "/")


def targets(rule: Rule, devices: Mapping[str, Device]) -> tuple[tuple[str, Point], ...]:
    """The points that a rule is about, as (device, point): the one it names, or all of its kind (in its zone)."""
    device, _, name = (rule.point or "").partition(".")
    return tuple(
        (own, point)
        for own, about in devices.items()
        for point in about.built.points
        if (own == device and point.name == name)
        or (rule.kind == point.kind and (rule.zone is None or in_zone(about.zone, rule.zone)))
    )


def writable(device: Device) -> tuple[Point, ...]:
    """The outputs of a device."""
    return tuple(point for point in device.built.points if point.writable) if isinstance(device.built, Output) else ()
