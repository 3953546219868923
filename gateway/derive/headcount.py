"""How many are inside: those who came less those who left, through all doors, since it was last known.

- Never below 0: where more leave than have come, somebody was missed. What was put right is counted.
- While a door is silent nobody knows who passes there. What is told then does not fall, though people leave elsewhere:
  a place that was full stays full. When the door is heard again with what it has counted meanwhile, all is exact again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeGuard

from gateway.model import Json

DRIFTS_PERCENT = 3  # of today's entries, that had to be put right
HARDLY_ANYBODY_PERCENT = 5  # of the most of the day

_FIGURES = ("inside", "told", "entries", "exits", "clamped", "most")
_MOST_WORDS = 100


class Kept(NamedTuple):
    """What an earlier run has stored: figures, the day, doubts, silent doors, and the totals of each, in and out."""

    inside: int
    told: int
    entries: int
    exits: int
    clamped: int
    most: int
    day: int | None
    doubts: tuple[str, ...]
    silent: frozenset[str]
    doors: Mapping[str, tuple[int | None, int | None]]


@dataclass(slots=True)
class Headcount:
    """The count of one zone. `told`: how many are said to be inside; `inside`: by the doors that are heard."""

    inside: int = 0
    told: int = 0
    entries: int = 0  # today, as are those below
    exits: int = 0
    clamped: int = 0
    most: int = 0
    silent: set[str] = field(default_factory=set)

    def count(self, came: int, left: int) -> int:
        """So many passed; how many had to be put right, because more have left than had come."""
        self.entries += came
        self.exits += left
        self.inside += came - left
        corrected = 0
        if self.silent:
            self.told = max(self.told, self.inside)
        else:
            corrected = max(0, -self.inside)
            self.clamped += corrected
            self.inside += corrected
            self.told = self.inside
        self.most = max(self.most, self.told)
        return corrected

    def put(self, people: int) -> None:
        """So many are inside: somebody has counted, or it is known from the hour."""
        self.inside = self.told = people
        self.most = max(self.most, people)

    def begin_day(self) -> None:
        """Today's figures begin."""
        self.entries = self.exits = self.clamped = 0
        self.most = self.told

    def end_day(self, before: Kept) -> None:
        """What an earlier run has counted was of the day before; who is inside still is."""
        self.entries -= before.entries
        self.exits -= before.exits
        self.clamped = max(0, self.clamped - before.clamped)
        self.most = self.told

    def go_on(self, before: Kept) -> None:
        """What this run has counted comes on top of what was before. Who was put right in it is counted again."""
        self.silent |= before.silent
        self.inside = before.inside + self.entries - self.exits
        self.told = max(before.told, self.inside)
        self.entries += before.entries
        self.exits += before.exits
        self.clamped = before.clamped
        self.most = max(before.most, self.told)
        self.count(0, 0)

    def kept(self) -> dict[str, Json]:
        """What has to survive a restart."""
        return {**{name: getattr(self, name) for name in _FIGURES}, "silent": sorted(self.silent)}

    @property
    def drifts(self) -> bool:
        """Whether too many of today's people had to be put right."""
        return self.clamped * 100 > DRIFTS_PERCENT * self.entries

    @property
    def hardly_anybody(self) -> bool:
        """Whether those who are left are few enough to be a miscount."""
        return not self.silent and 0 < self.told * 100 < HARDLY_ANYBODY_PERCENT * self.most


class Follower:
    """The total of a door, followed: by how much it grows, also over restarts of ours."""

    def __init__(self) -> None:
        self.expected: int | None = None  # the total, if nobody passes
        self._counted = 0  # in this run

    def take(self, total: int) -> int:
        """The door's total is `total`; how many have passed. One that is less has begun anew: nobody knows."""
        passed = 0 if self.expected is None else max(0, total - self.expected)
        self.expected = total
        self._counted += passed
        return passed

    def restore(self, expected: int | None) -> None:
        """Go on from the total that an earlier run has followed; what was counted since is not in it yet."""
        if expected is not None:
            self.expected = expected + self._counted


def kept(stored: Json) -> Kept | None:
    """What was stored; None where it makes no sense."""
    if not isinstance(stored, Mapping):
        return None
    inside, day, doors = stored.get("inside"), stored.get("day"), stored.get("doors")
    figures = [it for name in _FIGURES[1:] if _is_count(it := stored.get(name))]
    if type(inside) is not int or len(figures) < len(_FIGURES) - 1:
        return None
    if not (day is None or _is_count(day)) or not isinstance(doors, Mapping):
        return None
    totals = {name: pair for name, each in doors.items() if (pair := _pair(each)) is not None}
    silent = frozenset(_words(stored.get("silent"))) & totals.keys()
    told, entries, exits, clamped, most = figures
    return Kept(inside, told, entries, exits, clamped, most, day, _words(stored.get("doubts")), silent, totals)


def _words(stored: Json) -> tuple[str, ...]:
    return tuple(each for each in stored if isinstance(each, str))[:_MOST_WORDS] if isinstance(stored, list) else ()


def _pair(totals: Json) -> tuple[int | None, int | None] | None:
    if not isinstance(totals, Sequence) or isinstance(totals, str) or len(totals) != 2:
        return None
    came, left = totals
    return (came if _is_count(came) else None, left if _is_count(left) else None)


def _is_count(value: Json) -> TypeGuard[int]:
    return type(value) is int and value >= 0
