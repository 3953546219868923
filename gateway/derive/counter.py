"""What a counting device has counted since: roll-over, restart of the device and implausible jump told apart.

A device says how much it has counted so far. Its counter rolls over (at 65,536, or 10,000 on a decimal display), begins
at 0 again when it loses power, and may be misread once. `counted` decides what one step means:

    raw value         and                                              the step is     counts as
    as before, more   no more than can be in that time                 normal          the difference
    more              more than can be                                 implausible     0
    less              it was in the top quarter of the range, is in    rollover        the way round
                      the bottom one, and the way round can be
    less              otherwise                                        restart         the new value, if that can be

`Counter` keeps a total over such steps and over restarts of ours: what was counted while the gateway was off is in the
device's counter, and counts. An implausible value is not believed until the next one goes on from it; if the next one
goes on from the value before, it was misread, and nothing is lost.

What nobody can tell: what was counted between the last reading and a loss of power; a restart after which the device
had already counted past its old value when it was read; and one value misread as a smaller one, which looks like a
restart. Source of the quarters: eight decided cases in tests/vectors/alarm_occupancy.json.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from math import inf
from typing import NamedTuple, TypeGuard

from gateway.model import Json

MOST = 10**15
"""No counter gets there, and a float can hold it."""

LEEWAY_S = 1.0
"""By how much the time between two readings may be short of the time between what they tell of: a bus that was busy."""


class Step(StrEnum):
    """What a step of a counter means."""

    NORMAL = "normal"
    ROLLOVER = "rollover"
    RESTART = "restart"  # the device began at 0 again
    IMPLAUSIBLE = "implausible"  # more than can be in that time


class Counted(NamedTuple):
    """By how much a total grows, and by which step; `old` and `new` are the raw values."""

    delta: int
    step: Step
    old: int
    new: int


class Range(NamedTuple):
    """What a counter can do: it rolls over at `modulus` (None: never), and counts `max_per_s` a second at most."""

    modulus: int | None = None
    max_per_s: float = inf

    def most(self, dt_s: float) -> float:
        """How much it can count in `dt_s` seconds; never less than one."""
        return max(1.0, self.max_per_s * (max(0.0, dt_s) + LEEWAY_S)) if self.max_per_s < inf else inf


def counted(old: int, new: int, dt_s: float, of: Range) -> Counted:
    """What the step from `old` to `new` within `dt_s` seconds means; `dt_s` is inf where nobody knows."""
    most = of.most(dt_s)
    if new < 0 or (of.modulus is not None and new >= of.modulus):
        return Counted(0, Step.IMPLAUSIBLE, old, new)
    if new >= old:
        fits = new - old <= most
        return Counted(new - old if fits else 0, Step.NORMAL if fits else Step.IMPLAUSIBLE, old, new)
    if of.modulus is not None and 3 * of.modulus <= 4 * old < 4 * of.modulus and 4 * new < of.modulus:
        way_round = new + of.modulus - old
        if way_round <= most:
            return Counted(way_round, Step.ROLLOVER, old, new)
    return Counted(new if new <= most else 0, Step.RESTART, old, new)


class At(NamedTuple):
    """A raw value and when it was read: monotonic seconds in this run, and UTC ms (None where the clock is not set)."""

    raw: int
    mono: float
    ts: int | None


class Counter:
    """The total of one counter. `total`: of all runs, as soon as `restore` was called; of this one until then."""

    def __init__(self, of: Range) -> None:
        self.total = 0
        self._of = of
        self._first: At | None = None  # of this run
        self._last: At | None = None  # that is believed
        self._doubted: At | None = None  # what came after it, and cannot be
        self._before: At | None = None  # the last one of the run before, until this one has a first

    def take(self, raw: int, mono: float, ts: int | None) -> Counted | None:
        """The device says `raw`; what that means, None for the first value that is ever heard of it."""
        at = At(raw, mono, ts)
        if self._last is None:
            self._first = self._last = at
            return self._bridge()
        found = counted(self._last.raw, raw, mono - self._last.mono, self._of)
        if found.step is Step.IMPLAUSIBLE:
            return self._doubt(found, at)
        return self._believe(found, at)

    def stored(self) -> Json | None:
        """What has to survive a restart; None while nothing is known."""
        known = self._last or self._before
        return None if known is None else {"total": self.total, "raw": known.raw, "ts": known.ts}

    def restore(self, stored: Json) -> Counted | None:
        """Go on from what another run had `stored`, also late: what was counted since is added to it.

        What the first value of this run means after the last one of that run, None where there is none yet. What
        cannot have been stored is ignored.
        """
        before = _stored(stored)
        if before is None or self._before is not None:
            return None
        total, self._before = before
        self.total += total
        return self._bridge()

    def _bridge(self) -> Counted | None:
        """Count what passed between the runs, once both ends are known."""
        if self._first is None or self._before is None:
            return None
        before, first = self._before, self._first
        off_s = inf if before.ts is None or first.ts is None or first.ts < before.ts else (first.ts - before.ts) / 1000
        found = counted(before.raw, first.raw, off_s, self._of)
        self.total += found.delta
        return found

    def _doubt(self, found: Counted, at: At) -> Counted:
        """Not believed, unless it goes on from what was not believed either: then that is where the counter stands."""
        if self._doubted is not None:
            onward = counted(self._doubted.raw, at.raw, at.mono - self._doubted.mono, self._of)
            if onward.step in (Step.NORMAL, Step.ROLLOVER):
                return self._believe(onward, at)
        if self._of.modulus is None or 0 <= at.raw < self._of.modulus:
            self._doubted = at
        return found

    def _believe(self, found: Counted, at: At) -> Counted:
        self.total += found.delta
        self._last, self._doubted = at, None
        return found


def _stored(stored: Json) -> tuple[int, At] | None:
    if not isinstance(stored, Mapping):
        return None
    total, raw, ts = stored.get("total"), stored.get("raw"), stored.get("ts")
    if not _is_count(total) or not _is_count(raw) or not (ts is None or _is_count(ts)):
        return None
    return total, At(raw, 0.0, ts)


def _is_count(value: Json) -> TypeGuard[int]:
    return type(value) is int and 0 <= value < MOST
