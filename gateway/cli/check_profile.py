"""`sitewarden check --profile FILE`: one profile in words, with what to write to use it; or its problems."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import drivers
from drivers.modbus_point import RegisterPoint
from drivers.modbus_profile import Bus, Profile
from gateway.config.profiles import read_profile
from gateway.units import KINDS

_PLACES = {"coil": "coil", "discrete": "discrete input", "holding": "holding register", "input": "input register"}


def profile_in_words(named: Path) -> Iterator[str]:
    """The profile in the file `named`, or of ours with that name, line by line; ConfigError with every problem."""
    ours = drivers.profile_folder() / f"{named}.yaml"
    path = ours if not named.exists() and ours.is_file() else named
    profile = read_profile(path, Profile)
    yield f"{path}: all right"
    yield f"{profile.model} by {profile.maker}, {'beta' if profile.beta else 'stable'}"
    yield from (f"  {what}" for what in (profile.verified, profile.wiring, *profile.quirks) if what)
    if profile.bus is not None:
        yield f"  From the factory: {_bus(profile.bus)}"
    yield ""
    yield "Points"
    yield from (f"  {name}: {_point(point)}" for name, point in profile.points.items())
    yield ""
    yield "A device with it, in a configuration beside the folder of the profile"
    yield f"  my-device: {{{', '.join(_device(path.stem, profile))}}}"


def _bus(bus: Bus) -> str:
    doubt = "" if bus.verified else "; from memory, look at the device"
    if bus.tcp_port is not None:
        return f"TCP port {bus.tcp_port}, unit {bus.unit}{doubt}"
    stop = f"{bus.stopbits} stop bit{'s' if bus.stopbits > 1 else ''}"
    return f"{bus.baudrate} baud, parity {bus.parity}, {stop}, unit {bus.unit}{doubt}"


def _point(point: RegisterPoint) -> str:
    where = f"{_PLACES[point.table]} {point.address}"
    if point.width > 1:
        where = f"{_PLACES[point.table]}s {point.address} to {point.address + point.width - 1}"
    parts = [point.kind, where, _spelling(point)]
    if limits := _limits(point):
        parts.append(limits)
    if point.writable:
        parts.append("can be switched")
    return ", ".join(parts)


def _limits(point: RegisterPoint) -> str:
    """What it can measure, and in which unit."""
    unit = KINDS[point.kind].unit
    least, most = point.minimum, point.maximum
    if least is None and most is None:
        return "" if unit in ("", "1") else f"in {unit}"
    if least is None or most is None:
        limits = f"up to {most:g}" if least is None else f"from {least:g}"
    else:
        limits = f"{least:g} to {most:g}"
    return limits if unit == "1" else f"{limits} {unit}"


def _spelling(point: RegisterPoint) -> str:
    told = point.type if point.width == 1 or point.order == "ABCD" else f"{point.type} {point.order}"
    if point.type == "bit":
        return f"bit {point.bit}"
    if point.scale_by is not None:
        return f"{told} times what {point.scale_by.point} tells"
    if point.scale != 1:
        told += f" times {point.scale:g}"
    return told + (f" plus {point.offset:g}" if point.offset else "")


def _device(name: str, profile: Profile) -> Iterator[str]:
    yield f"driver: modbus, link: my-link, unit: {profile.bus.unit if profile.bus else 1}, profile: {name}"
    if profile.beta:
        yield "accept_beta: true"
    unread = [own for own, point in profile.points.items() if not point.readable]
    if unread:
        yield f"outputs: [{', '.join(unread)}]"
    yield "zone: my-zone"
