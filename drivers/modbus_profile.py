"""A Modbus device as data: the profile that `drivers/profiles/*.yaml` holds, key by key (see drivers/README.md).

Invariants: a profile that could be built can be polled. What contradicts itself is refused with a ValueError that names
the key, when the configuration is loaded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from drivers.modbus_point import CHECKED, RegisterPoint

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class Bus:
    """How the device leaves the factory. For people and for the search of devices: the link has what counts."""

    __pydantic_config__ = CHECKED

    baudrate: int = 9600
    parity: Literal["none", "even", "odd"] = "none"
    stopbits: Literal[1, 2] = 1
    unit: int = 1
    tcp_port: int | None = None  # of a device that speaks Modbus TCP; the serial settings then mean nothing
    verified: bool = True  # false: from memory, in no source


@dataclass(frozen=True, slots=True)
class Profile:
    """One model: what it is, how sure we are, and its points by name."""

    __pydantic_config__ = CHECKED

    model: str
    maker: str
    sources: tuple[str, ...]
    confidence: Literal["high", "medium"]
    points: Mapping[str, RegisterPoint]
    verified: str = ""  # what was checked of it, and how
    bus: Bus | None = None
    wiring: str = ""
    quirks: tuple[str, ...] = ()
    max_registers: int = 60  # most registers in one read; of bits, 16 times as many
    max_gap: int = 16  # most registers (or bits) nobody asked for, that one read may run over

    def __post_init__(self) -> None:
        """Refuse an empty profile, unusable names and impossible limits."""
        if not self.points:
            raise ValueError("points: a profile needs at least one")
        for name in self.points:
            if not _NAME.fullmatch(name):
                raise ValueError(
                    f"points: {name!r} is no name: a-z, 0-9, _ and -, 64 at most, beginning with a-z or 0-9"
                )
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
