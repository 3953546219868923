"""A Modbus device as data: the profile that `drivers/profiles/*.yaml` holds, key by key (see drivers/README.md).

Invariants: a profile that could be built can be polled. What contradicts itself is refused with a ValueError that names
the key, when the configuration is loaded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from drivers.modbus_point import RegisterPoint
from drivers.profile_rules import CHECKED, doubt, name_problems
from gateway.driver import Doc


@dataclass(frozen=True, slots=True)
class Bus:
    """How the device leaves the factory. For people and for the search of devices: the link has what counts."""

    __pydantic_config__ = CHECKED

    baudrate: Annotated[int, Doc("Of a serial line")] = 9600
    parity: Annotated[Literal["none", "even", "odd"], Doc("Of a serial line")] = "none"
    stopbits: Annotated[Literal[1, 2], Doc("Of a serial line")] = 1
    unit: Annotated[int, Doc("The device's own address: 1 to 247 by the specification, up to 255 in the wild")] = 1
    tcp_port: Annotated[int | None, Doc("Of a device that speaks Modbus TCP; it has no serial line then")] = None
    verified: Annotated[bool, Doc("false: these settings are from memory, in no source")] = True

    def __post_init__(self) -> None:
        """Refuse what no device can have."""
        if not 1 <= self.unit <= 255:
            raise ValueError(f"unit: from 1 to 255, not {self.unit}")
        if not 300 <= self.baudrate <= 4_000_000:
            raise ValueError(f"baudrate: from 300 to 4000000, not {self.baudrate}")
        if self.tcp_port is not None and not 1 <= self.tcp_port <= 65535:
            raise ValueError(f"tcp_port: from 1 to 65535, not {self.tcp_port}")


@dataclass(frozen=True, slots=True)
class Profile:
    """One model: what it is, how sure we are, and its points by name."""

    __pydantic_config__ = CHECKED

    model: Annotated[str, Doc("What is printed on the device")]
    maker: Annotated[str, Doc("Who makes or sells it")]
    sources: Annotated[tuple[str, ...], Doc("The documents and programs that it was made from")]
    confidence: Annotated[Literal["high", "medium"], Doc("medium is beta: a device needs accept_beta: true")]
    points: Annotated[Mapping[str, RegisterPoint], Doc("By name")]
    verified: Annotated[str, Doc("What was checked of it, and how")] = ""
    bus: Annotated[Bus | None, Doc("How the device leaves the factory")] = None
    wiring: Annotated[str, Doc("What is connected to what")] = ""
    quirks: Annotated[tuple[str, ...], Doc("What the one who installs it should know")] = ()
    max_registers: Annotated[int, Doc("Most registers in one read, 4 to 125; of bits, 16 times as many")] = 60
    max_gap: Annotated[int, Doc("Most registers that nobody asked for, which one read may run over, 0 to 125")] = 16

    def __post_init__(self) -> None:
        """Refuse an empty profile, unusable names and impossible limits."""
        for problem in name_problems(self.points):
            raise ValueError(problem)
        if not 4 <= self.max_registers <= 125:
            raise ValueError(f"max_registers: from 4 to 125, not {self.max_registers}")
        if not 0 <= self.max_gap <= 125:
            raise ValueError(f"max_gap: from 0 to 125, not {self.max_gap}")
        for problem in _point_problems(self.points, self.max_registers):
            raise ValueError(problem)

    @property
    def beta(self) -> bool:
        """Whether the configuration must accept it: too little speaks for it to be trusted unseen."""
        return self.confidence == "medium"

    @property
    def doubt(self) -> str:
        """That it is beta, and what speaks for it; "" for one that is stable."""
        return doubt(self.model, self.verified) if self.beta else ""


def _point_problems(points: Mapping[str, RegisterPoint], max_registers: int) -> Iterator[str]:
    """What is wrong between the points of a profile."""
    for name, it in points.items():
        if it.width > max_registers:
            yield f"max_registers: {name} alone takes {it.width}"
        if it.scale_by is None:
            continue
        by = points.get(it.scale_by.point)
        if by is None or by is it:
            yield f"points: {name} has its scale from {it.scale_by.point!r}, which is no other point"
        elif by.form is not None or by.scale_by is not None:
            yield f"points: {name} has its scale from {it.scale_by.point}, which has to be a number with a scale"
