"""People between two light beams: the order in which the beams are interrupted tells the way they go.

The beams stand a hand apart, so that a body breaks both at once. Somebody who comes in:

    outer  ____#########________        a passage: from both free, over both broken, to both free, out by the other side
    inner  _______##########____        turned back: the last beam to be free again is the one that was broken first
           free    both    free         neither: a beam alone was broken (a hand, a bag), or both at the same moment

A step forth and one back cancel each other, however often.

- A passage that ends sooner than `gap_s` after one of the same way is none: a trolley, or a bag behind its owner.
- Two beams that are broken, or free, within `ORDER_S` of each other tell no order: what has that in it is no passage
  (the lamp of both failed, and came back).
- A beam that is broken for `blocked_s` is a fault, and what was going on is given up.

What nobody can tell with two beams: people of whom the next breaks a beam before the one before has left it. They count
as one. The beams are told edges in the order of their times, each after it has held (20 to 50 ms, by the link).
"""

from __future__ import annotations

from enum import StrEnum
from math import inf
from typing import NamedTuple

ORDER_S = 0.005
"""Somebody who runs (5 m/s) needs as long for the 25 mm between two beams that stand as close as can be."""


class Passage(StrEnum):
    """What became of an interruption, once both beams are free again."""

    IN = "in"
    OUT = "out"
    NONE = "none"  # turned back, half way, no order, or too soon after another


class Timing(NamedTuple):
    """In seconds: between passages of the same way, and how long a beam may be broken."""

    gap_s: float = 0.25
    blocked_s: float = 30.0


class _Place(NamedTuple):
    """Which beams are broken."""

    outer: bool
    inner: bool


_WAY_IN = (_Place(False, False), _Place(True, False), _Place(True, True), _Place(False, True))
"""The places in the order of somebody who comes in; then the first again."""

_ROUND = len(_WAY_IN)
_NO_EDGE = (-inf, True)  # when the last one was, and whether it was the outer beam's


class Beams:
    """Two beams. Feed the level of either with each edge, and now and then the same levels again."""

    def __init__(self, timing: Timing) -> None:
        self.blocked = False
        self._timing = timing
        self._place = _WAY_IN[0]
        self._steps = 0  # of the way in, less those of the way out, since both were free
        self._in_order = True
        self._edge = _NO_EDGE
        self._broken_since: dict[bool, float] = {}  # by whether it is the outer beam
        self._last: dict[Passage, float] = {}

    def feed(self, outer: bool, broken: bool, mono: float) -> Passage | None:
        """The `outer` beam, or the inner one, is `broken` at `mono`; what came to an end with that."""
        self._watch(outer, broken, mono)
        place = self._place._replace(outer=broken) if outer else self._place._replace(inner=broken)
        if place == self._place:
            return None
        was_at, was_outer = self._edge
        if was_outer is not outer and mono - was_at < ORDER_S:
            self._in_order = False
        self._edge = (mono, outer)
        step = (_WAY_IN.index(place) - _WAY_IN.index(self._place)) % _ROUND
        self._steps += 1 if step == 1 else -1
        self._place = place
        return self._ended(mono) if place == _WAY_IN[0] else None

    def _ended(self, mono: float) -> Passage:
        """Both are free: what it was. All begins anew."""
        steps, in_order = self._steps, self._in_order
        self._steps, self._in_order, self._edge = 0, True, _NO_EDGE
        if not in_order or abs(steps) != _ROUND:
            return Passage.NONE
        way = Passage.IN if steps > 0 else Passage.OUT
        before, self._last[way] = self._last.get(way, -inf), mono
        return way if mono - before >= self._timing.gap_s else Passage.NONE

    def _watch(self, outer: bool, broken: bool, mono: float) -> None:
        """Whether a beam is broken for too long; what was going on then is given up until both are free."""
        if broken:
            self._broken_since.setdefault(outer, mono)
        else:
            self._broken_since.pop(outer, None)
        self.blocked = any(mono - since >= self._timing.blocked_s for since in self._broken_since.values())
        if self.blocked:
            self._in_order = False
