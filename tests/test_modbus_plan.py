"""Which reads cover the points of a Modbus device: none left out, no limit broken, and no quicker way."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.modbus_plan import BITS_PER_REGISTER, Block, Limits, halves, pieces, plan
from drivers.modbus_point import RegisterPoint, TypeName
from gateway.driver import PlannedRead, Table
from gateway.wiretime import WireTime, of_line, of_network

TIMING = json.loads((Path(__file__).parent / "vectors" / "modbus.json").read_text(encoding="utf-8"))["timing"]
USUAL = Limits(60, 16)
PARITIES: dict[str, Literal["none", "even", "odd"]] = {"N": "none", "E": "even", "O": "odd"}


def registers(*addresses: int, kind: TypeName = "uint16") -> dict[str, RegisterPoint]:
    return {f"t{at}": RegisterPoint("temperature", "holding", at, kind) for at in addresses}


def ranges(blocks: Iterable[Block]) -> list[tuple[int, int]]:
    return [(block.address, block.size) for block in blocks]


def cost(blocks: Iterable[Block], wire: WireTime) -> float:
    return sum(PlannedRead(1, it.table, it.address, it.size, (), it.used).wire_s(wire) for it in blocks)


# ---------------------------------------------------------------- the time on the wire


@pytest.mark.parametrize("row", TIMING["table"], ids=lambda row: f"{row['baud']}-{row['mode']}-{row['registers']}")
def test_a_read_takes_what_its_characters_and_silences_take(row: dict[str, Any]) -> None:
    wire = of_line(row["baud"], PARITIES[row["mode"][1]], int(row["mode"][2]))._replace(turnaround_s=0.0)
    assert wire.character_s * 1000 == pytest.approx(row["char_ms"], abs=0.0001)
    assert wire.silence_s * 1000 == pytest.approx(row["t35_ms"], abs=0.001)
    assert wire.registers_s(row["registers"]) * 1000 == pytest.approx(row["wire_total_ms"], abs=0.01)


def test_bits_take_an_eighth_of_a_character_each() -> None:
    wire = of_line(9600)
    assert wire.bits_s(1) == wire.bits_s(8) == pytest.approx(wire.registers_s(1) - 10 / 9600)
    assert wire.bits_s(16) == pytest.approx(wire.registers_s(1))


def test_guard_and_turnaround_come_on_top() -> None:
    plain, slow = of_line(19200), of_line(19200, guard_s=0.02)
    assert slow.registers_s(4) == pytest.approx(plain.registers_s(4) + 0.02)
    patient = plain._replace(turnaround_s=0.2)
    assert patient.registers_s(4) == pytest.approx(plain.registers_s(4) + 0.195)


def test_switching_direction_comes_on_top_of_a_read_and_of_the_wait_for_its_reply() -> None:
    plain, switched = of_line(19200), of_line(19200, switching_s=0.1)
    assert switched.registers_s(4) == pytest.approx(plain.registers_s(4) + 0.1)
    assert switched.reply_within_s(15) == pytest.approx(plain.reply_within_s(15) + 0.1)
    assert switched.unanswered_s() == pytest.approx(plain.unanswered_s() + 0.2), "and the line is silent as long again"
    assert of_line(9600, timeout_s=0.1, switching_s=0.1).reply_within_s(15) == pytest.approx(0.2)


def test_a_reply_is_waited_for_twice_its_time_on_the_wire_and_300_ms_unless_the_link_says_else() -> None:
    assert of_line(9600).reply_within_s(15) == pytest.approx(0.3 + 2 * 15 * 10 / 9600)
    assert of_line(9600, timeout_s=0.1).reply_within_s(15) == 0.1
    assert of_line(9600, timeout_s=0.1).unanswered_s() == pytest.approx(0.2 + 3.5 * 11 / 9600)
    assert of_network(timeout_s=0.1).unanswered_s() == 0.1


# ---------------------------------------------------------------- what a gap is worth


@pytest.mark.parametrize(("baudrate", "worth"), [(1200, 10), (9600, 10), (19200, 13), (38400, 19), (115200, 45)])
def test_a_gap_is_read_over_where_that_is_quicker_than_asking_twice(baudrate: int, worth: int) -> None:
    limits = Limits(125, 125)
    assert ranges(plan(registers(0, 1 + worth), limits, of_line(baudrate))) == [(0, 2 + worth)]
    assert ranges(plan(registers(0, 2 + worth), limits, of_line(baudrate))) == [(0, 1), (2 + worth, 1)]


def test_over_a_network_every_gap_within_the_limit_is_read_over() -> None:
    assert ranges(plan(registers(0, 17), USUAL, of_network())) == [(0, 18)]
    assert ranges(plan(registers(0, 18), USUAL, of_network())) == [(0, 1), (18, 1)]


def test_of_several_gaps_those_are_left_out_that_save_most() -> None:
    wire = of_line(9600)
    assert ranges(plan(registers(0, 3, 12, 15), Limits(10, 16), wire)) == [(0, 4), (12, 4)]
    assert ranges(plan(registers(*range(0, 40, 4)), USUAL, wire)) == [(0, 37)]
    assert ranges(plan(registers(0, 1, 2, 60, 61, 62, 63), Limits(62, 60), of_line(115200))) == [(0, 3), (60, 4)]


def test_long_runs_are_cut_behind_full_requests() -> None:
    assert ranges(plan(registers(*range(130)), USUAL, of_line(9600))) == [(0, 60), (60, 60), (120, 10)]


POINTS = st.dictionaries(
    st.tuples(st.sampled_from(["holding", "input", "coil"]), st.integers(0, 90)),
    st.sampled_from(["uint16", "float32", "float64"]),
    min_size=1,
    max_size=14,
)
WIRES = st.sampled_from([of_line(1200), of_line(9600), of_line(115200), of_network(), of_line(9600, guard_s=0.05)])
LIMITS = st.builds(Limits, st.integers(4, 30), st.integers(0, 30))


def described(kinds: dict[tuple[Any, int], TypeName]) -> dict[str, RegisterPoint]:
    return {
        f"{table}-{at}": RegisterPoint("contact", table, at, "bool")
        if table == "coil"
        else RegisterPoint("temperature", table, at, kind)
        for (table, at), kind in kinds.items()
    }


def most(table: Table, limits: Limits) -> int:
    return limits.max_registers * (BITS_PER_REGISTER if table is Table.COIL else 1)


@given(POINTS, LIMITS, WIRES)
def test_a_plan_covers_every_point_once_within_its_limits(
    kinds: dict[tuple[Any, int], TypeName], limits: Limits, wire: WireTime
) -> None:
    points = described(kinds)
    blocks = plan(points, limits, wire)
    assert sorted(name for block in blocks for name, _ in block.points) == sorted(points)
    for block in blocks:
        assert block.size <= most(block.table, limits)
        of_table = [it for it in points.values() if it.table == block.table]
        used = {at for it in of_table for at in range(it.address, it.address + it.width)}
        read = range(block.address, block.address + block.size)
        for _, it in block.points:
            assert set(range(it.address, it.address + it.width)) <= set(read)
        gaps = [b - a - 1 for a, b in pairwise(sorted(used & set(read)))]
        assert all(gap <= limits.max_gap for gap in gaps)
        assert block.used <= block.size


def every_cut(points: list[tuple[str, RegisterPoint]]) -> Iterable[list[list[tuple[str, RegisterPoint]]]]:
    """All ways to cut the points, in the order of their addresses, into runs."""
    for cuts in range(1 << (len(points) - 1)):
        places = [0, *(i for i in range(1, len(points)) if cuts >> (i - 1) & 1), len(points)]
        yield [points[a:b] for a, b in pairwise(places)]


@given(
    st.dictionaries(st.integers(0, 60), st.sampled_from(["uint16", "float32", "float64"]), min_size=1, max_size=8),
    LIMITS,
    WIRES,
)
def test_no_other_plan_within_the_limits_is_quicker(kinds: dict[int, TypeName], limits: Limits, wire: WireTime) -> None:
    points = {f"t{at}": RegisterPoint("temperature", "holding", at, kind) for at, kind in kinds.items()}
    ordered = sorted(points.items(), key=lambda named: named[1].address)
    ends = list(accumulate((it.address + it.width for _, it in ordered), max))
    gaps = {name: it.address - end for (name, it), end in zip(ordered[1:], ends, strict=False)}
    allowed = []
    for runs in every_cut(ordered):
        sizes = [max(it.address + it.width for _, it in run) - run[0][1].address for run in runs]
        merged = [gaps[name] for run in runs for name, _ in run[1:]]
        if max(sizes) <= limits.max_registers and max(merged, default=0) <= limits.max_gap:
            allowed.append(sum(wire.registers_s(size) for size in sizes))
    assert cost(plan(points, limits, wire), wire) == pytest.approx(min(allowed))


@given(POINTS, LIMITS, WIRES)
def test_merging_never_costs_time(kinds: dict[tuple[Any, int], TypeName], limits: Limits, wire: WireTime) -> None:
    points = described(kinds)
    one_by_one = [block for name, it in points.items() for block in plan({name: it}, limits, wire)]
    without_gaps = plan(points, limits._replace(max_gap=0), wire)
    assert cost(plan(points, limits, wire), wire) <= cost(without_gaps, wire) + 1e-6
    assert cost(without_gaps, wire) <= cost(one_by_one, wire) + 1e-6


# ---------------------------------------------------------------- cuts


@given(POINTS, LIMITS, WIRES)
def test_a_cut_block_loses_no_point_and_reads_nothing_new(
    kinds: dict[tuple[Any, int], TypeName], limits: Limits, wire: WireTime
) -> None:
    for block in plan(described(kinds), limits, wire):
        for parts in (halves(block), pieces(block)):
            if not parts:
                assert all(a[1].address + a[1].width > b[1].address for a, b in pairwise(block.points))
                continue
            assert len(parts) >= 2
            assert [named for part in parts for named in part.points] == list(block.points)
            assert all(part.size < block.size for part in parts)


def test_a_block_is_halved_at_its_widest_gap_and_pieced_at_every_one() -> None:
    (block,) = plan(registers(0, 1, 3, 10, 11), USUAL, of_network())
    assert ranges(halves(block)) == [(0, 4), (10, 2)]
    assert ranges(pieces(block)) == [(0, 2), (3, 1), (10, 2)]
    (whole,) = plan(registers(*range(8)), USUAL, of_network())
    assert ranges(halves(whole)) == ranges(pieces(whole)) == [(0, 4), (4, 4)]
    (one,) = plan(registers(7, kind="float32"), USUAL, of_network())
    assert halves(one) == pieces(one) == ()
