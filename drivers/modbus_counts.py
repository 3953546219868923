"""Which points of a Modbus device count people, and where its counters roll over, as their registers tell."""

from __future__ import annotations

from collections.abc import Mapping

from drivers.modbus_point import RegisterPoint, TypeName
from gateway.derive.doors import TOTALS, counting
from gateway.derive.totals import Counting

_ROLLS_OVER_AT: Mapping[TypeName, int] = {"uint16": 1 << 16, "uint32": 1 << 32, "bcd16": 10_000}
"""By type; others are not known to roll over."""


def countings(registers: Mapping[str, RegisterPoint]) -> tuple[tuple[Counting, str], ...]:
    """The counters of people among these points, each with its kind."""
    counters = ((name, it) for name, it in registers.items() if it.kind in TOTALS and it.readable)
    return tuple((counting(name, it.kind, _modulus(it)), it.kind) for name, it in counters)


def _modulus(it: RegisterPoint) -> int | None:
    """In the unit of the point. A profile may name the roll-over itself, by the most that the counter can say."""
    if it.maximum is not None:
        return int(it.maximum) + 1
    raw = _ROLLS_OVER_AT.get(it.type)
    return round(raw * it.scale) if raw is not None and it.scale_by is None else None
