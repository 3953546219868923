"""`sitewarden check --profile FILE`: one profile in words, with what to write to use it; or its problems."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import drivers
from drivers.frame_point import FramePoint
from drivers.frame_profile import FrameProfile, SerialSettings
from drivers.modbus_point import RegisterPoint
from drivers.modbus_profile import Bus, Profile
from gateway.config.profiles import read_profile
from gateway.config.yaml_marks import read
from gateway.units import KINDS

_PLACES = {"coil": "coil", "discrete": "discrete input", "holding": "holding register", "input": "input register"}


PROFILES: Mapping[str, type[Any]] = {"modbus": Profile, "serial_frames": FrameProfile}
"""By driver, the dataclass of its profiles."""


def profile_in_words(named: Path) -> Iterator[str]:
    """The profile in the file `named`, or of ours with that name, line by line; ConfigError with every problem."""
    path = named if named.exists() else next(filter(Path.is_file, _ours(named)), named)
    profile = _read(path)
    yield f"{path}: all right"
    yield f"{profile.model} by {profile.maker}, {'stable' if profile.confidence == 'high' else 'beta'}"
    verified = profile.verified if isinstance(profile, Profile) else ""
    yield from (f"  {what}" for what in (verified, profile.wiring, *profile.quirks) if what)
    if profile.bus is not None:
        yield f"  From the factory: {_bus(profile.bus)}"
    yield ""
    yield "Points"
    yield from (f"  {name}: {_point(name, point)}" for name, point in profile.points.items())
    yield ""
    yield "A device with it, in a configuration beside the folder of the profile"
    yield f"  my-device: {{{', '.join(_device(path.stem, profile))}}}"


def _ours(named: Path) -> Iterator[Path]:
    """Where one of ours with that name would be."""
    folder = drivers.profile_folder()
    return (folder / below / f"{named}.yaml" for below in ("", FrameProfile.profile_folder))


def _read(path: Path) -> Profile | FrameProfile:
    in_its_folder = path.parent.name == FrameProfile.profile_folder
    if in_its_folder or (path.is_file() and "frame" in _keys(path)):
        return read_profile(path, FrameProfile)
    return read_profile(path, Profile)


def _keys(path: Path) -> Collection[str]:
    """The keys at the top of the file, if it can be read."""
    value = read(path, "").value
    return value.keys() if isinstance(value, dict) else ()


def _bus(bus: Bus | SerialSettings) -> str:
    stop = f"{bus.stopbits} stop bit{'s' if bus.stopbits > 1 else ''}"
    line = f"{bus.baudrate} baud, parity {bus.parity}, {stop}"
    if isinstance(bus, SerialSettings):
        return line + (", 7 data bits" if bus.databits == 7 else "")
    doubt = "" if bus.verified else "; from memory, look at the device"
    return f"{line if bus.tcp_port is None else f'TCP port {bus.tcp_port}'}, unit {bus.unit}{doubt}"


def _point(name: str, point: RegisterPoint | FramePoint) -> str:
    if isinstance(point, FramePoint):
        in_text = f"the group {point.group or name} of the pattern"
        where = in_text if point.at is None else f"byte {point.at}, {point.type}"
        return ", ".join(part for part in (point.kind, where, _limits(point)) if part)
    where = f"{_PLACES[point.table]} {point.address}"
    if point.width > 1:
        where = f"{_PLACES[point.table]}s {point.address} to {point.address + point.width - 1}"
    parts = [point.kind, where, _spelling(point)]
    if limits := _limits(point):
        parts.append(limits)
    if point.writable:
        parts.append("can be switched" if point.is_state else "can be set")
    return ", ".join(parts)


def _limits(point: RegisterPoint | FramePoint) -> str:
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


def _device(name: str, profile: Profile | FrameProfile) -> Iterator[str]:
    if isinstance(profile, FrameProfile):
        yield f"driver: serial_frames, link: my-link, profile: {name}"
    else:
        yield f"driver: modbus, link: my-link, unit: {profile.bus.unit if profile.bus else 1}, profile: {name}"
    if profile.confidence != "high":
        yield "accept_beta: true"
    if isinstance(profile, Profile) and (unread := [own for own, it in profile.points.items() if not it.readable]):
        yield f"outputs: [{', '.join(unread)}]"
    yield "zone: my-zone"
