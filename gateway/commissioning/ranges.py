"""A range of registers or bits of a unit, read for a person to look at: in as few requests as the unit takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from gateway.driver import Registers, Table
from gateway.errors import NoReply, Refused

_MOST = 60  # registers in one request: what every device gives
_ILLEGAL_FUNCTION = 1
_MOST_SILENT = 2  # requests without an answer, after which the rest is not asked for


@dataclass(slots=True)
class Range:
    """What came of it: values by address, what was refused, and the last error where something was left open."""

    table: Table
    raw: dict[int, int] = field(default_factory=dict)
    refused: list[int] = field(default_factory=list)
    silence: NoReply | None = None


def read_range(link: Registers, unit: int, table: Table, address: int, count: int) -> Range:
    """The `count` registers or bits from `address` on, as far as the unit has them; raises LinkDown."""
    found, silent = Range(table), 0
    parts = list(_parts(address, count))
    while parts and silent < _MOST_SILENT:
        first, size = parts.pop(0)
        try:
            values = link.read(unit, table, first, size)
        except Refused as fault:
            if size == 1 or fault.code == _ILLEGAL_FUNCTION:
                found.refused += range(first, first + size)
            else:
                half = size // 2
                parts[:0] = (first, half), (first + half, size - half)
            if fault.code == _ILLEGAL_FUNCTION:
                return found
        except NoReply as fault:
            found.silence, silent = fault, silent + 1
        else:
            found.raw.update(zip(range(first, first + size), values, strict=True))
    return found


def _parts(address: int, count: int) -> Iterator[tuple[int, int]]:
    for first in range(address, address + count, _MOST):
        yield first, min(_MOST, address + count - first)
