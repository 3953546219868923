"""What happened beside what would have: alarm by alarm, one coming beside the other. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from math import inf
from typing import NamedTuple

from gateway.replaying.history import Course, Episode, History

NEAR_MS = 60_000
"""Episodes that lie no further apart are two views of one."""

SAME_MS = 5_000
"""What differs by less is the same: hub and replay look at the clock at other moments."""


class Verdict(StrEnum):
    """How a coming of an alarm differs."""

    SAME = "same"
    MOVED = "moved"  # it came or went at another time
    GONE = "gone"  # it happened, and would not have
    NEW = "new"  # it did not happen, and would have


class Pair(NamedTuple):
    """One coming of an alarm in both histories; None where it is in one alone."""

    alarm: str
    happened: Episode | None
    tried: Episode | None

    @property
    def verdict(self) -> Verdict:
        """How they differ."""
        if self.tried is None:
            return Verdict.GONE
        if self.happened is None:
            return Verdict.NEW
        near = (_close(self.happened.began, self.tried.began), _close(self.happened.ended, self.tried.ended))
        return Verdict.SAME if all(near) else Verdict.MOVED

    @property
    def ts(self) -> int:
        """When (UTC ms) it came, or would have; 0: before."""
        told = [it.began or 0 for it in (self.happened, self.tried) if it is not None]
        return min(told)


class Comparison(NamedTuple):
    """One alarm in both histories."""

    alarm: str
    happened: Course
    tried: Course
    pairs: tuple[Pair, ...]

    def count(self, verdict: Verdict) -> int:
        """How many differ so."""
        return sum(pair.verdict is verdict for pair in self.pairs)

    @property
    def is_whole(self) -> bool:
        """Whether all comings are among the pairs: of an alarm that came too often some are counted alone."""
        kept = [sum(1 for it in course.all() if it.began is not None) for course in (self.happened, self.tried)]
        return kept == [self.happened.raised, self.tried.raised]


def compared(happened: History, tried: History, alarms: Sequence[str]) -> list[Comparison]:
    """These alarms, then those that are known of what happened alone."""
    others = [name for name in happened.courses if name not in set(alarms)]
    return [
        Comparison(name, course, other, tuple(_pairs(name, course, other)))
        for name in (*alarms, *others)
        for course, other in ((happened.courses.get(name, Course()), tried.courses.get(name, Course())),)
    ]


def _pairs(alarm: str, happened: Course, tried: Course) -> Iterator[Pair]:
    left, right = list(happened.all()), list(tried.all())
    i = j = 0
    while i < len(left) and j < len(right):
        if _ended(left[i]) + NEAR_MS < _began(right[j]):
            yield Pair(alarm, left[i], None)
            i += 1
        elif _ended(right[j]) + NEAR_MS < _began(left[i]):
            yield Pair(alarm, None, right[j])
            j += 1
        else:
            yield Pair(alarm, left[i], right[j])
            i, j = i + 1, j + 1
    yield from (Pair(alarm, it, None) for it in left[i:])
    yield from (Pair(alarm, None, it) for it in right[j:])


def _began(episode: Episode) -> float:
    return -inf if episode.began is None else episode.began


def _ended(episode: Episode) -> float:
    return inf if episode.ended is None else episode.ended


def _close(one: int | None, other: int | None) -> bool:
    if one is None or other is None:
        return one is other
    return abs(one - other) <= SAME_MS
