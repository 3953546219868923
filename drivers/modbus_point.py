"""One quantity of a Modbus device as data: where it is, how its bits are read (see drivers/README.md).

Invariants: a point that could be built can be read. What contradicts itself (a door in a 32-bit float, an output
in an input register) is refused with a ValueError that names the key, when the configuration is loaded.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal, TypeAlias

from drivers.modbus_writing import Writing
from drivers.profile_rules import CHECKED, keys_of_numbers, number_problems, refuse_scales, sentinel_problems
from gateway.driver import Doc
from gateway.units import KINDS, Form

TableName: TypeAlias = Literal["coil", "discrete", "holding", "input"]
TypeName: TypeAlias = Literal[
    "bool",  # a coil, a discrete input, or a register that is not 0
    "bit",  # bit `bit` of a register, 0 the least
    "bits",  # a number in `bits` bits of a register, `bit` the least of them
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
    "ascii",  # text in `registers` registers, two characters in each
    "ipv4",  # an address in two registers
    "lat_lon_float32",  # a position: latitude and longitude, degrees, each a float32
]
Order: TypeAlias = Literal["ABCD", "CDAB", "BADC", "DCBA"]

WIDE: Mapping[TypeName, int] = {
    "int32": 2,
    "uint32": 2,
    "float32": 2,
    "ipv4": 2,
    "int64": 4,
    "uint64": 4,
    "float64": 4,
    "lat_lon_float32": 4,
}
"""Registers that a value takes, where it is not one; a text takes as many as its point says."""

_FORMS: Mapping[str, Form] = {
    "bool": Form.STATE,
    "bit": Form.STATE,
    "ascii": Form.TEXT,
    "ipv4": Form.TEXT,
    "lat_lon_float32": Form.POSITION,
}
"""By type, what it can spell, where that is no number."""

_FITTING = {
    Form.STATE: "a bool or bit",
    Form.TEXT: "an ascii or ipv4",
    Form.POSITION: "a lat_lon_float32",
}
ENCODED: Collection[TypeName] = (
    *("int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64"),
    *("bcd16", "offset10000", "sign_magnitude16"),
)
"""The types in which a number can be written."""

_WRITABLE = "an output of type bool, in a coil or a holding register, or a number in holding registers of its own"
_MOST_TEXT = 60  # registers, so that every device can give it in one read


@dataclass(frozen=True, slots=True)
class ScaleBy:
    """A scale that the device itself tells, in another point: what is read there, and the scale that it means."""

    __pydantic_config__ = CHECKED

    point: Annotated[str, Doc("The point that tells it")]
    scales: Annotated[Mapping[int, float], Doc("What is read there, and which scale it means")] = field(hash=False)

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        refuse_scales(self.scales, "point", "{0: 0.1, 1: 0.01}")


@dataclass(frozen=True, slots=True)
class RegisterPoint:
    """One quantity: where it is, how its bits are read, and what `value = raw * scale + offset` must look like."""

    __pydantic_config__ = CHECKED

    kind: Annotated[str, Doc("What it measures, which fixes its unit")]
    table: Annotated[TableName, Doc("Read by function 1 (coil), 2 (discrete), 3 (holding) or 4 (input)")]
    address: Annotated[int, Doc("As on the wire, from 0; lists that count from 1, or from 40001, are one too high")]
    type: Annotated[TypeName, Doc("What its bits spell")]
    bit: Annotated[int | None, Doc("Of type bit: which, 0 (least) to 15; of type bits: the least of them")] = None
    bits: Annotated[int | None, Doc("Of type bits: how many")] = None
    registers: Annotated[int | None, Doc("Of type ascii: how many the text takes")] = None
    order: Annotated[Order, Doc("Of the bytes: ABCD is big endian, CDAB has the low register first")] = "ABCD"
    scale: Annotated[float, Doc("value = raw * scale + offset, in the unit of the kind")] = 1.0
    scale_by: Annotated[ScaleBy | None, Doc("In place of scale: another point tells it")] = None
    offset: Annotated[float, Doc("value = raw * scale + offset")] = 0.0
    decimals: Annotated[int | None, Doc("Of the value; left out: as many as scale and offset have")] = None
    sentinels: Annotated[tuple[int, ...], Doc("Raw values that mean no sensor: 0x8000, or the signed number")] = ()
    minimum: Annotated[float | None, Doc("Of what can be measured, in the unit of the kind")] = None
    maximum: Annotated[float | None, Doc("Of what can be measured, in the unit of the kind")] = None
    inverted: Annotated[bool, Doc("The bit is 1 at rest")] = False
    writable: Annotated[bool, Doc("An output that can be switched")] = False
    readable: Annotated[bool, Doc("false: an output that can only be written")] = True
    write: Annotated[Writing | None, Doc("How it is written, where that is not as the specification has it")] = None

    def __post_init__(self) -> None:
        """Refuse what contradicts itself."""
        for problem in _problems(self):
            raise ValueError(problem)

    @property
    def width(self) -> int:
        """How many registers (or bits) the value takes."""
        return WIDE.get(self.type, 1) if self.registers is None else self.registers

    @property
    def is_state(self) -> bool:
        """Whether the value is a word rather than a number."""
        return self.form is Form.STATE

    @property
    def form(self) -> Form | None:
        """What its bits spell; None for a number."""
        return _FORMS.get(self.type)


def _problems(point: RegisterPoint) -> tuple[str, ...]:
    return (
        *_place_problems(point),
        *_part_problems(point),
        *_kind_problems(point),
        *number_problems(point, point.scale_by),
        *_value_problems(point),
        *_writing_problems(point),
    )


def _place_problems(point: RegisterPoint) -> tuple[str, ...]:
    problems = []
    if not (point.address >= 0 and point.address + point.width <= 0x10000):
        problems.append(f"address: from 0 to 65535, as on the wire, not {point.address}")
    if point.table in ("coil", "discrete") and point.type != "bool":
        problems.append(f"type: a {point.table} holds one bit: bool, not {point.type}")
    return tuple(problems)


def _part_problems(point: RegisterPoint) -> tuple[str, ...]:
    """The keys that go with certain types: which part of a register, how many registers."""
    problems = [
        f"{key}: only with type {' or '.join(types)}, not with {point.type}"
        for key, (types, is_there) in {
            "bit": (("bit", "bits"), point.bit is not None),
            "bits": (("bits",), point.bits is not None),
            "registers": (("ascii",), point.registers is not None),
        }.items()
        if is_there and point.type not in types
    ]
    if point.type in ("bit", "bits") and (point.bit is None or not 0 <= point.bit <= 15):
        problems.append(f"bit: type {point.type} needs one from 0 to 15, not {point.bit}")
    most = 16 - (point.bit or 0)
    if point.type == "bits" and (point.bits is None or not 1 <= point.bits <= most):
        problems.append(f"bits: how many, from 1 to {most} beginning at bit {point.bit}, not {point.bits}")
    return (*problems, *_text_problems(point)) if point.type == "ascii" else tuple(problems)


def _text_problems(point: RegisterPoint) -> Iterator[str]:
    if point.registers is None or not 1 <= point.registers <= _MOST_TEXT:
        yield f"registers: a text needs 1 to {_MOST_TEXT}, not {point.registers}"
    if point.order not in ("ABCD", "BADC"):
        yield f"order: of a text ABCD or BADC, not {point.order}"


def _kind_problems(point: RegisterPoint) -> tuple[str, ...]:
    kind = KINDS.get(point.kind)
    if kind is None:
        from difflib import get_close_matches  # noqa: PLC0415 - a daemon that runs has no use for it

        close = get_close_matches(point.kind[:80], KINDS, n=1)
        hint = f"did you mean {close[0]}?" if close else "the kinds are listed in drivers/README.md"
        return (f"kind: there is no kind {point.kind[:80]!r}; {hint}",)
    wanted = kind.form if kind.form in _FITTING else None
    if point.form is not wanted:
        fitting = "a number" if wanted is None else _FITTING[wanted]
        return (f"kind: {point.kind} is {fitting}, and type {point.type} is not",)
    if point.inverted and not point.is_state:
        return ("inverted: only a bool or bit can be",)
    return ()


def _writing_problems(point: RegisterPoint) -> tuple[str, ...]:
    if not point.writable:
        if point.write is not None:
            return ("write: only of a point that is writable",)
        return () if point.readable else ("readable: a point that is not writable must be",)
    if point.form is None:
        return tuple(_setting_problems(point))
    if not (point.kind == "output" and point.type == "bool" and point.table in ("coil", "holding")):
        return (f"writable: {_WRITABLE}",)
    function = None if point.write is None else point.write.function
    fitting = (5, 15) if point.table == "coil" else (6, 16)
    if function is not None and function not in fitting:
        return (f"write: a {point.table} is written by function {fitting[0]} or {fitting[1]}, not {function}",)
    return ()


def _setting_problems(point: RegisterPoint) -> Iterator[str]:
    """Of a number that can be written."""
    if point.table != "holding" or point.type not in ENCODED or point.scale_by is not None:
        yield f"writable: {_WRITABLE}"
    if point.minimum is None or point.maximum is None:
        yield "writable: a number needs minimum and maximum, between which it may be written"
    way = point.write
    if way is None:
        return
    if way.has_words:
        yield "write: on and off are of an output, not of a number"
    if way.function not in (None, 6, 16):
        yield f"write: a holding register is written by function 6 or 16, not {way.function}"
    if way.function == 6 and point.width > 1:
        yield f"write: function 6 writes one register, and {point.type} takes {point.width}; write 16"


def _value_problems(point: RegisterPoint) -> Iterator[str]:
    if point.form is not None:
        sentinels = ("sentinels",) if point.sentinels and point.type != "ipv4" else ()
        for key in (*keys_of_numbers(point, point.scale_by), *sentinels):
            yield f"{key}: of a number, not of type {point.type}"
    yield from sentinel_problems(point.sentinels, 16 * point.width, point.type)
