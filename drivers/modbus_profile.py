"""A Modbus device as data: the profile that `drivers/profiles/*.yaml` holds, key by key (see drivers/README.md).

Invariants: a profile that could be built can be polled. What contradicts itself (a door in a 32-bit float, an output
in an input register) is refused with a ValueError that names the key, when the configuration is loaded.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from drivers.modbus_writing import Writing
from gateway.units import KINDS, Form

TableName: TypeAlias = Literal["coil", "discrete", "holding", "input"]
TypeName: TypeAlias = Literal[
    "bool",  # a coil, a discrete input, or a register that is not 0
    "bit",  # bit `bit` of a register, 0 the least
    "int16",
    "uint16",
    "int32",
    "uint32",
    "int64",
    "uint64",
    "float32",
    "float64",
    "bcd16",  # four decimal digits
    "offset10000",  # raw values from 10000 on are negative: -(raw - 10000)
    "sign_magnitude16",  # the highest bit is the sign
]
Order: TypeAlias = Literal["ABCD", "CDAB", "BADC", "DCBA"]

WIDE: Mapping[TypeName, int] = {"int32": 2, "uint32": 2, "float32": 2, "int64": 4, "uint64": 4, "float64": 4}
"""Registers that a value takes, where it is not one."""

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_CHECKED: Mapping[str, object] = {"extra": "forbid", "strict": True, "allow_inf_nan": False}
"""How the configuration builds these dataclasses: it reads this under the name `__pydantic_config__`."""

_MOST = 1e9  # of a scale or an offset: beyond it nothing is a measurement


@dataclass(frozen=True, slots=True)
class RegisterPoint:
    """One quantity: where it is, how its bits are read, and what `value = raw * scale + offset` must look like."""

    __pydantic_config__ = _CHECKED

    kind: str  # a key of units.KINDS; fixes the unit
    table: TableName
    address: int  # 0-based, as on the wire
    type: TypeName
    bit: int | None = None
    order: Order = "ABCD"  # of the bytes of a value: ABCD is big endian, CDAB has the low register first
    scale: float = 1.0
    offset: float = 0.0
    decimals: int | None = None  # of the value; left out: as many as scale and offset have
    sentinels: tuple[int, ...] = ()  # raw values that say: no sensor. As bits (0x8000) or as the signed number
    minimum: float | None = None  # in the unit of the kind; below: out of range
    maximum: float | None = None
    inverted: bool = False  # the bit is 1 at rest
    writable: bool = False
    readable: bool = True
    write: Writing | None = None  # how it is written, where that is not as the specification has it

    def __post_init__(self) -> None:
        """Refuse what contradicts itself."""
        for problem in _problems(self):
            raise ValueError(problem)

    @property
    def width(self) -> int:
        """How many registers (or bits) the value takes."""
        return WIDE.get(self.type, 1)

    @property
    def is_state(self) -> bool:
        """Whether the value is a word rather than a number."""
        return self.type in ("bool", "bit")


@dataclass(frozen=True, slots=True)
class Bus:
    """How the device leaves the factory."""

    __pydantic_config__ = _CHECKED

    baudrate: int = 9600
    parity: Literal["none", "even", "odd"] = "none"
    stopbits: Literal[1, 2] = 1
    unit: int = 1


@dataclass(frozen=True, slots=True)
class Profile:
    """One model: what it is, how sure we are, and its points by name."""

    __pydantic_config__ = _CHECKED

    model: str
    maker: str
    sources: tuple[str, ...]
    confidence: Literal["high", "medium"]
    points: Mapping[str, RegisterPoint]
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


def _problems(point: RegisterPoint) -> tuple[str, ...]:
    return _place_problems(point) + _kind_problems(point) + _number_problems(point) + _writing_problems(point)


def _place_problems(point: RegisterPoint) -> tuple[str, ...]:
    problems = []
    if not (point.address >= 0 and point.address + point.width <= 0x10000):
        problems.append(f"address: from 0 to 65535, as on the wire, not {point.address}")
    if point.table in ("coil", "discrete") and point.type != "bool":
        problems.append(f"type: a {point.table} holds one bit: bool, not {point.type}")
    if point.type == "bit" and (point.bit is None or not 0 <= point.bit <= 15):
        problems.append(f"bit: type bit needs one from 0 to 15, not {point.bit}")
    if point.type != "bit" and point.bit is not None:
        problems.append(f"bit: only with type bit, not with {point.type}")
    return tuple(problems)


def _kind_problems(point: RegisterPoint) -> tuple[str, ...]:
    kind = KINDS.get(point.kind)
    if kind is None:
        return (f"kind: {point.kind!r} is none of {', '.join(KINDS)}",)
    if kind.form is Form.POSITION:
        return ("kind: a position is no register",)
    if point.is_state != (kind.form is Form.STATE):
        wanted = "a bool or bit" if kind.form is Form.STATE else "a number"
        return (f"kind: {point.kind} is {wanted}, and type {point.type} is not",)
    if point.inverted and not point.is_state:
        return ("inverted: only a bool or bit can be",)
    return ()


def _writing_problems(point: RegisterPoint) -> tuple[str, ...]:
    if not point.writable:
        if point.write is not None:
            return ("write: only of a point that is writable",)
        return () if point.readable else ("readable: a point that is not writable must be",)
    if not (point.kind == "output" and point.type == "bool" and point.table in ("coil", "holding")):
        return ("writable: only an output of type bool, in a coil or a holding register",)
    function = None if point.write is None else point.write.function
    fitting = (5, 15) if point.table == "coil" else (6, 16)
    if function is not None and function not in fitting:
        return (f"write: a {point.table} is written by function {fitting[0]} or {fitting[1]}, not {function}",)
    return ()


def _number_problems(point: RegisterPoint) -> tuple[str, ...]:
    problems = []
    if not 1 / _MOST <= abs(point.scale) <= _MOST:
        problems.append(f"scale: from 1e-9 to 1e9, not {point.scale}")
    if not (math.isfinite(point.offset) and abs(point.offset) <= _MOST):
        problems.append(f"offset: up to 1e9, not {point.offset}")
    if point.decimals is not None and not 0 <= point.decimals <= 9:
        problems.append(f"decimals: from 0 to 9, not {point.decimals}")
    if point.minimum is not None and point.maximum is not None and point.minimum > point.maximum:
        problems.append(f"minimum: {point.minimum} is above the maximum {point.maximum}")
    return tuple(problems)
