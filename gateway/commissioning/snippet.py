"""A configuration for a device that was found, and a profile to start from where none fits. Pure.

Invariants: what is written passes `sitewarden check`; what nobody can know (zone, names, scales) is for a person.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, get_args

from drivers.modbus_point import RegisterPoint, TypeName
from gateway.config.schema import SerialLink, TcpLink
from gateway.config.written import duration_text
from gateway.driver import Table
from gateway.units import KINDS

_POINT = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9_-]*)=(?P<address>\d+):(?P<type>[a-z0-9_]+)(:(?P<order>[A-D]{4}))?(\*(?P<scale>[\d.]+))?"
)
_USUAL_SCALE = 1.0


class Chosen(NamedTuple):
    """A register that a person has chosen for a profile."""

    name: str
    point: RegisterPoint


@dataclass(frozen=True, slots=True)
class Device:
    """What was found: a unit, and the profile that fits or is to be written. `part` None: the link is configured."""

    name: str
    link: str
    part: SerialLink | TcpLink | None
    unit: int
    profile: str
    beta: bool = False


def configuration(device: Device) -> str:
    """The device as YAML: with its link, site and gateway, so that it runs as it stands; else for a configuration."""
    head = "" if device.part is None else _HEAD.format(link=device.link, part=_part(device.part))
    beta = _BETA if device.beta else ""
    return head + _DEVICE.format(
        name=device.name, link=device.link, unit=device.unit, profile=device.profile, beta=beta
    )


_HEAD = """\
site: {{id: my-site}}        # for you to name: site and gateway stand in every topic
gateway: {{id: gw1}}
links:
  {link}: {part}
"""
_DEVICE = """\
devices:
  {name}:
    driver: modbus
    link: {link}
    unit: {unit}
    profile: {profile}
{beta}    every: 10s
    zone: my-zone           # where it is, as in cold-store/room-1
"""
_BETA = "    accept_beta: true       # few sources: compare its values with the device\n"


def _part(part: SerialLink | TcpLink) -> str:
    if isinstance(part, TcpLink):
        framing = ", framing: rtu" if part.framing == "rtu" else ""
        return f"{{type: tcp, host: {json.dumps(part.host)}, port: {part.port}{framing}}}"
    settings = f"baudrate: {part.baudrate}, parity: {part.parity}, stopbits: {part.stopbits}"
    echo = ", echo: true" if part.echo else ""
    timeout = "" if part.timeout is None else f", timeout: {duration_text(part.timeout)}"
    return f"{{type: serial, port: {json.dumps(part.port)}, {settings}{timeout}{echo}}}"


def chosen(written: str, table: Table) -> Chosen:
    """The point that NAME=ADDRESS:TYPE[:ORDER][*SCALE] names in `table`; ValueError in words."""
    found = _POINT.fullmatch(written)
    if found is None:
        raise ValueError(f"write NAME=ADDRESS:TYPE[:ORDER][*SCALE], as in temperature=1:int16*0.1, not {written!r}")
    if found["type"] not in get_args(TypeName):
        raise ValueError(f"there is no type {found['type']!r}; there are: {', '.join(get_args(TypeName))}")
    name = found["name"]
    kind = re.sub(r"[-_]?\d+$", "", name)
    scale = _USUAL_SCALE if found["scale"] is None else float(found["scale"])
    return Chosen(
        name,
        RegisterPoint(
            kind=kind if kind in KINDS else "setting",
            table=table.value,
            address=int(found["address"]),
            type=found["type"],  # type: ignore[arg-type] # just checked
            order=found["order"] or "ABCD",  # type: ignore[arg-type] # and the pattern
            scale=scale,
        ),
    )


def profile(model: str, points: Sequence[Chosen], unit: int, part: SerialLink | TcpLink | None) -> str:
    """A profile to start from, as YAML."""
    bus = ""
    if isinstance(part, SerialLink):
        settings = f"baudrate: {part.baudrate}, parity: {part.parity}, stopbits: {part.stopbits}, unit: {unit}"
        bus = f"bus: {{{settings}}}\n"
    lines = "".join(f"  {name}: {_shown(point)}\n" for name, point in points)
    return _PROFILE.format(model=json.dumps(model), bus=bus, lines=lines)


_PROFILE = """\
# To start from: give each point its kind (a key of KINDS in gateway/units.py: temperature, humidity, voltage, ...), its
# scale and its limits (minimum, maximum), and leave out what you do not need. drivers/README.md explains each key.
model: {model}              # what is printed on the device
maker: unknown
sources: [sitewarden probe]
confidence: medium          # high: two sources agree, or you have seen it work
{bus}points:
{lines}"""


def _shown(point: RegisterPoint) -> str:
    keys: Mapping[str, object] = {
        "kind": point.kind,
        "table": point.table,
        "address": point.address,
        "type": point.type,
        **({"order": point.order} if point.order != "ABCD" else {}),
        **({"scale": point.scale} if point.scale != _USUAL_SCALE else {}),
    }
    return "{" + ", ".join(f"{key}: {value}" for key, value in keys.items()) + "}"


def all_registers(table: Table, addresses: Sequence[int]) -> tuple[Chosen, ...]:
    """Each register (or bit) by itself, where nobody has chosen."""
    kind, spelled = ("contact", "bool") if table in (Table.COIL, Table.DISCRETE) else ("setting", "uint16")
    return tuple(chosen_one(f"r{it}", table, it, kind, spelled) for it in addresses)


def chosen_one(name: str, table: Table, address: int, kind: str, spelled: str) -> Chosen:
    """One point as it is."""
    point = RegisterPoint(kind=kind, table=table.value, address=address, type=spelled)  # type: ignore[arg-type] # ours
    return Chosen(name, point)
