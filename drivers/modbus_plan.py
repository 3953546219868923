"""Which requests read all points of a Modbus device: as few as its limits allow, and cut where it refuses.

Pure. Registers and bits are counted from the 0-based address as on the wire.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from drivers.modbus_point import RegisterPoint
from gateway.driver import Table

_BITS_PER_REGISTER = 16


class Block(NamedTuple):
    """One read request, of `size` registers or bits, and the points it answers in the order of their addresses."""

    table: Table
    address: int
    size: int
    points: tuple[tuple[str, RegisterPoint], ...]


def plan(points: Mapping[str, RegisterPoint], max_registers: int, max_gap: int) -> tuple[Block, ...]:
    """The fewest blocks that cover `points` without reading over gaps of more than `max_gap` unused addresses."""
    blocks: list[Block] = []
    for table in Table:
        most = max_registers * (_BITS_PER_REGISTER if table in (Table.COIL, Table.DISCRETE) else 1)
        here = [item for item in points.items() if item[1].table == table]
        run: list[tuple[str, RegisterPoint]] = []
        for item in sorted(here, key=lambda named: named[1].address):
            end = _end(run)
            if run and (item[1].address - end > max_gap or max(end, _end([item])) - run[0][1].address > most):
                blocks.append(_block(table, run))
                run = []
            run.append(item)
        if run:
            blocks.append(_block(table, run))
    return tuple(blocks)


def halves(block: Block) -> tuple[Block, ...]:
    """`block` cut in two at its widest gap, or in the middle where it has none; nothing if it cannot be cut."""
    points = block.points
    cuts = []
    for i in range(1, len(points)):
        gap = points[i][1].address - _end(points[:i])
        if gap >= 0:
            cuts.append((gap, -abs(2 * i - len(points)), i))
    if not cuts:
        return ()
    cut = max(cuts)[2]
    return _block(block.table, points[:cut]), _block(block.table, points[cut:])


def _block(table: Table, points: Iterable[tuple[str, RegisterPoint]]) -> Block:
    points = tuple(points)
    first = points[0][1].address
    return Block(table, first, _end(points) - first, points)


def _end(points: Iterable[tuple[str, RegisterPoint]]) -> int:
    """The first address behind all of `points`."""
    return max((it.address + it.width for _, it in points), default=0)
