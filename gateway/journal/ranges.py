"""Sets of ids as few long ranges: what an uplink has acknowledged, what is no longer on the disk.

Pure. Invariants: ranges are in order, never touch or overlap (neighbours merge), and include their first and last id.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator


class Ranges:
    """A set of integers that costs memory per range, not per member."""

    __slots__ = ("_firsts", "_lasts")

    def __init__(self, pairs: Iterable[tuple[int, int]] = ()) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        for first, last in pairs:
            self.add(first, last)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self._firsts, self._lasts, strict=True)

    def __len__(self) -> int:
        """How many ranges there are, not how many ids."""
        return len(self._firsts)

    def __contains__(self, item: int) -> bool:
        at = bisect_right(self._firsts, item) - 1
        return at >= 0 and item <= self._lasts[at]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ranges) and self._firsts == other._firsts and self._lasts == other._lasts

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __repr__(self) -> str:
        return f"Ranges({list(self)})"

    def copy(self) -> Ranges:
        """An independent set with the same members."""
        twin = Ranges()
        twin._firsts = self._firsts.copy()
        twin._lasts = self._lasts.copy()
        return twin

    def add(self, first: int, last: int) -> None:
        """Put `first` to `last` in; ranges that it touches become one with it. Nothing happens where last < first."""
        if last < first:
            return
        lo = bisect_left(self._lasts, first - 1)
        hi = bisect_right(self._firsts, last + 1)
        if lo < hi:
            first = min(first, self._firsts[lo])
            last = max(last, self._lasts[hi - 1])
        self._firsts[lo:hi] = [first]
        self._lasts[lo:hi] = [last]

    def remove(self, first: int, last: int) -> None:
        """Take `first` to `last` out; a range that they lie within becomes two. Nothing happens where last < first."""
        if last < first:
            return
        lo = bisect_left(self._lasts, first)
        hi = bisect_right(self._firsts, last)
        left = [] if lo >= hi else [(self._firsts[lo], first - 1), (last + 1, self._lasts[hi - 1])]
        left = [(start, end) for start, end in left if start <= end]
        self._firsts[lo:hi] = [start for start, _ in left]
        self._lasts[lo:hi] = [end for _, end in left]

    def merge(self, other: Ranges) -> None:
        """Put all members of `other` in."""
        for first, last in other:
            self.add(first, last)

    def gaps(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """The ranges of `first` to `last` that are not in the set, in order."""
        at = bisect_left(self._lasts, first)
        while first <= last:
            if at == len(self._firsts) or self._firsts[at] > last:
                yield first, last
                return
            if first < self._firsts[at]:
                yield first, self._firsts[at] - 1
            first = self._lasts[at] + 1
            at += 1

    def within(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """The ranges of `first` to `last` that are in the set, in order."""
        at = bisect_left(self._lasts, first)
        while first <= last and at < len(self._firsts) and self._firsts[at] <= last:
            yield max(first, self._firsts[at]), min(last, self._lasts[at])
            at += 1

    def count(self, first: int, last: int) -> int:
        """How many ids of `first` to `last` are in the set."""
        return sum(hi - lo + 1 for lo, hi in self.within(first, last))

    def edge_after(self, item: int) -> int | None:
        """The least id above `item` whose membership differs from that of the id before it, if there is one."""
        starts = bisect_right(self._firsts, item)
        ends = bisect_left(self._lasts, item)
        edges = [*self._firsts[starts : starts + 1], *(last + 1 for last in self._lasts[ends : ends + 1])]
        return min(edges, default=None)


def common(sets: Iterable[Ranges], first: int, last: int) -> Ranges:
    """The ids of `first` to `last` that are in each of `sets`; all of them where there is no set."""
    left = Ranges([(first, last)])
    for members in sets:
        left = Ranges(part for lo, hi in left for part in members.within(lo, hi))
    return left
