"""What a simulated site is made of, as data: which devices are behind which link of an example, and its story. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from gateway.demo.story import Story


class Quantity(NamedTuple):
    """What is measured: about `value`, wandering by `wander`; `phase` sets it apart from others."""

    value: float
    wander: float
    phase: float = 0.0


@dataclass(frozen=True, slots=True)
class Sensor:
    """A climate sensor on an RS-485 line. Its quantities are `DEVICE.temperature` and `DEVICE.humidity`."""

    device: str
    unit: int
    temperature: Quantity
    humidity: Quantity
    model: Literal["xy-md02", "renke-rs-ws-n01"] = "xy-md02"


class Door(NamedTuple):
    """A people counter of a door, with how many are inside at first. Its quantity is `DEVICE.people`."""

    device: str
    inside: int


class Journey(NamedTuple):
    """A GPS receiver that goes round a route at a speed (m/s). Its quantity is `DEVICE.speed`."""

    device: str
    speed_m_s: float
    route: tuple[tuple[float, float], ...] | None = None  # None: the usual one


class Contact(NamedTuple):
    """A contact on a pin, and the level while all is well."""

    pin: int
    rest_high: bool = False


class BeamPair(NamedTuple):
    """Two light beams, each a contact that is closed while its beam is free."""

    outer: int
    inner: int


class Probe(NamedTuple):
    """A DS18B20 by its id. Its quantity is `DEVICE.temperature`."""

    id: str
    temperature: Quantity


@dataclass(frozen=True, slots=True)
class Cast:
    """A site: the example that it plays, what is behind its links, by their ids, and what happens."""

    example: str  # a file of config/
    story: Story
    lines: Mapping[str, tuple[Sensor, ...]] = field(default_factory=dict)
    modules: Mapping[str, tuple[bool, ...]] = field(default_factory=dict)  # the inputs of a WP8028ADAM on Modbus TCP
    counters: Mapping[str, Door] = field(default_factory=dict)
    receivers: Mapping[str, Journey] = field(default_factory=dict)
    header: str = "gpio"  # the link of the pins
    contacts: Mapping[str, Contact] = field(default_factory=dict)  # by device
    beams: Mapping[str, BeamPair] = field(default_factory=dict)  # by device
    siren_pin: int | None = None  # whose switching is timed from a smoke contact on
    siren: str = ""  # the device that sounds until an alarm is reset, if one does
    files: str = ""  # the link to files of the kernel
    probes: Mapping[str, Probe] = field(default_factory=dict)  # by device
    quicker: Mapping[tuple[str, ...], str] = field(default_factory=dict)  # of the example: what would take too long
