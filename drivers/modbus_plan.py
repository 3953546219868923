"""Which reads cover the points of a Modbus device in the least time, and how a read is cut where a device refuses it.

Pure. Registers and bits are counted from the 0-based address, as on the wire.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple, TypeAlias

from drivers.modbus_point import RegisterPoint
from gateway.driver import Table
from gateway.wiretime import WireTime, of_network

BITS_PER_REGISTER = 16
UNKNOWN = of_network()
"""A wire that nothing is known of yet: asking costs time, reading more does not, so that few requests are made."""

Named: TypeAlias = tuple[str, RegisterPoint]


class Block(NamedTuple):
    """One read request, of `size` registers or bits, and the points it answers in the order of their addresses."""

    table: Table
    address: int
    size: int
    points: tuple[Named, ...]

    @property
    def used(self) -> int:
        """How many of its registers or bits belong to a point."""
        return len({at for _, it in self.points for at in range(it.address, it.address + it.width)})


class Limits(NamedTuple):
    """What a device takes: most registers in one read (16 times as many bits), most unused ones in a row."""

    max_registers: int
    max_gap: int


def plan(points: Mapping[str, RegisterPoint], limits: Limits, wire: WireTime = UNKNOWN) -> tuple[Block, ...]:
    """The blocks that cover each of `points` once, in the least time on `wire` that the limits allow."""
    blocks: list[Block] = []
    for table in Table:
        here = sorted((named for named in points.items() if named[1].table == table), key=_address)
        blocks += _quickest(table, here, limits, wire)
    return tuple(blocks)


def _quickest(table: Table, points: list[Named], limits: Limits, wire: WireTime) -> Iterable[Block]:
    """The quickest way to cut `points`, in the order of their addresses, into blocks.

    For the first point, the first two, and so on: the best way to read those is a best way to read some fewer, and
    one block more. The blocks that are worth a thought are few, since a block is limited.
    """
    bits = table in (Table.COIL, Table.DISCRETE)
    most = limits.max_registers * (BITS_PER_REGISTER if bits else 1)
    gaps = _gaps(points)
    ways: list[tuple[float, int, int]] = [(0.0, 0, 0)]  # seconds, what is read, and less where the last block begins
    for end in range(1, len(points) + 1):
        found: list[tuple[float, int, int]] = []
        behind = 0
        for begin in range(end - 1, -1, -1):
            it = points[begin][1]
            behind = max(behind, it.address + it.width)
            size = behind - it.address
            if found and (size > most or gaps[begin + 1] > limits.max_gap):
                break
            seconds, read, _ = ways[begin]
            cost = wire.bits_s(size) if bits else wire.registers_s(size)
            found.append((round(seconds + cost, 9), read + size, -begin))
        ways.append(min(found))
    blocks: list[Block] = []
    end = len(points)
    while end:
        begin = -ways[end][2]
        blocks.append(_block(table, points[begin:end]))
        end = begin
    return reversed(blocks)


def halves(block: Block) -> tuple[Block, ...]:
    """`block` cut in two at its widest gap, or in the middle where it has none; nothing if it cannot be cut."""
    points = block.points
    gaps = _gaps(points)
    cuts = [(gaps[i], -abs(2 * i - len(points)), i) for i in range(1, len(points)) if gaps[i] >= 0]
    if not cuts:
        return ()
    cut = max(cuts)[2]
    return _block(block.table, points[:cut]), _block(block.table, points[cut:])


def pieces(block: Block) -> tuple[Block, ...]:
    """`block` cut at every gap, or in the middle where it has none; nothing if it cannot be cut."""
    points = block.points
    cuts = [i for i, gap in enumerate(_gaps(points)) if i and gap > 0]
    if not cuts:
        return halves(block)
    return tuple(_block(block.table, points[a:b]) for a, b in pairwise([0, *cuts, len(points)]))


def alone(block: Block, number: int) -> Block:
    """The point of that number in `block`, by itself."""
    return _block(block.table, block.points[number : number + 1])


def _block(table: Table, points: Iterable[Named]) -> Block:
    points = tuple(points)
    first = points[0][1].address
    return Block(table, first, _end(points) - first, points)


def _address(named: Named) -> int:
    return named[1].address


def _gaps(points: Sequence[Named]) -> list[int]:
    """How many unused addresses lie before each point; less than 0 where it shares some with those before it."""
    ends = accumulate((it.address + it.width for _, it in points), max, initial=0)
    return [it.address - end for (_, it), end in zip(points, ends, strict=False)]


def _end(points: Iterable[Named]) -> int:
    """The first address behind all of `points`."""
    return max((it.address + it.width for _, it in points), default=0)
