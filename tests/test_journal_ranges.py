"""Ranges against a plain set of integers."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from gateway.journal.ranges import Ranges, common

TOP = 40
ids = st.integers(0, TOP)
pairs = st.lists(st.tuples(ids, ids), max_size=12)


def members(written: list[tuple[int, int]]) -> set[int]:
    return {item for first, last in written for item in range(first, last + 1)}


def spelled(parts: object) -> list[int]:
    return [item for first, last in parts for item in range(first, last + 1)]  # type: ignore[attr-defined]


@given(pairs)
def test_ranges_hold_what_a_set_would_hold_and_no_two_touch(written: list[tuple[int, int]]) -> None:
    ranges, model = Ranges(written), members(written)
    assert spelled(ranges) == sorted(model)
    assert [item for item in range(-1, TOP + 2) if item in ranges] == sorted(model)
    listed = list(ranges)
    assert all(one[1] + 1 < two[0] for one, two in pairwise(listed))


@given(pairs, ids, ids)
def test_gaps_and_members_of_an_interval_share_it_out(written: list[tuple[int, int]], first: int, last: int) -> None:
    ranges, model = Ranges(written), members(written)
    wanted = range(first, last + 1)
    assert spelled(ranges.gaps(first, last)) == [item for item in wanted if item not in model]
    assert spelled(ranges.within(first, last)) == [item for item in wanted if item in model]
    assert ranges.count(first, last) == len(model & set(wanted))


@given(pairs, ids)
def test_the_edge_after_an_id_is_where_membership_changes(written: list[tuple[int, int]], item: int) -> None:
    ranges, model = Ranges(written), members(written)
    changes = [at for at in range(item + 1, TOP + 3) if (at in model) != (at - 1 in model)]
    assert ranges.edge_after(item) == (changes[0] if changes else None)


@given(st.lists(pairs, max_size=3), ids, ids)
def test_common_ids_are_those_that_all_sets_hold(written: list[list[tuple[int, int]]], first: int, last: int) -> None:
    model = set(range(first, last + 1))
    for one in written:
        model &= members(one)
    assert spelled(common([Ranges(one) for one in written], first, last)) == sorted(model)


@given(pairs, pairs)
def test_a_copy_is_independent_and_a_merge_is_a_union(one: list[tuple[int, int]], two: list[tuple[int, int]]) -> None:
    ranges = Ranges(one)
    twin = ranges.copy()
    twin.merge(Ranges(two))
    assert spelled(twin) == sorted(members(one) | members(two))
    assert spelled(ranges) == sorted(members(one))
    assert twin == Ranges([*two, *one])


@given(pairs, ids, ids)
def test_what_is_removed_is_in_no_more_and_nothing_else_is(
    written: list[tuple[int, int]], first: int, last: int
) -> None:
    ranges = Ranges(written)
    ranges.remove(first, last)
    left = members(written) - set(range(first, last + 1))
    assert spelled(ranges) == sorted(left)
    assert all(one[1] + 1 < two[0] for one, two in pairwise(ranges))
