"""Conditions: whether a value is a reason for alarm, given whether the alarm already stands (the way back is longer).

A limit is exceeded by being beyond it, not by reaching it. An alarm that stands ends at its clear limit or better.
`calm` is what lets most values pass without a judgement: numbers from the first to the second, both included, for which
`holds` is what the alarm is already.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, nextafter
from typing import TypeAlias

from gateway.derive.fence import Fence, accuracy_m
from gateway.model import Value

NOWHERE, EVERYWHERE = (inf, -inf), (-inf, inf)
"""Every value must be judged; no number must be."""


@dataclass(frozen=True, slots=True)
class Above:
    """True above `limit`; once standing, until the value is at `clear` or below."""

    limit: float
    clear: float

    def holds(self, value: Value, standing: bool) -> bool | None:
        """Whether the alarm should stand; None for a value that is no number."""
        if not isinstance(value, int | float):
            return None
        return value > (self.clear if standing else self.limit)

    def calm(self, standing: bool) -> tuple[float, float]:
        """The numbers that change nothing."""
        return (nextafter(self.clear, inf), inf) if standing else (-inf, self.limit)

    def __str__(self) -> str:
        return f"above {self.limit:g}" + (f" (ends at {self.clear:g})" if self.clear != self.limit else "")


@dataclass(frozen=True, slots=True)
class Below:
    """True below `limit`; once standing, until the value is at `clear` or above."""

    limit: float
    clear: float

    def holds(self, value: Value, standing: bool) -> bool | None:
        """Whether the alarm should stand; None for a value that is no number."""
        if not isinstance(value, int | float):
            return None
        return value < (self.clear if standing else self.limit)

    def calm(self, standing: bool) -> tuple[float, float]:
        """The numbers that change nothing."""
        return (-inf, nextafter(self.clear, -inf)) if standing else (self.limit, inf)

    def __str__(self) -> str:
        return f"below {self.limit:g}" + (f" (ends at {self.clear:g})" if self.clear != self.limit else "")


@dataclass(frozen=True, slots=True)
class Outside:
    """True below `low` or above `high`; once standing, until the value is between the clear limits."""

    low: Below
    high: Above

    def holds(self, value: Value, standing: bool) -> bool | None:
        """Whether the alarm should stand; None for a value that is no number."""
        low = self.low.holds(value, standing)
        return None if low is None else low or self.high.holds(value, standing)

    def calm(self, standing: bool) -> tuple[float, float]:
        """The numbers that change nothing."""
        return NOWHERE if standing else (self.low.limit, self.high.limit)

    def __str__(self) -> str:
        return f"{self.low} or {self.high}"


@dataclass(frozen=True, slots=True)
class Equals:
    """True while the value is `value`. What is `unknown` does not tell: a faulty detector is not without smoke."""

    value: Value
    unknown: Value | None = None

    def holds(self, value: Value, standing: bool) -> bool | None:  # noqa: ARG002 - a word has no way back
        """Whether the alarm should stand; None where the value does not tell."""
        return None if self.unknown is not None and value == self.unknown else value == self.value

    def calm(self, standing: bool) -> tuple[float, float]:  # noqa: ARG002 - a word is no number
        """None."""
        return NOWHERE

    def __str__(self) -> str:
        return f"equals {self.value}"


_ACCURACY_M = accuracy_m(None)


@dataclass(frozen=True, slots=True)
class AtFence:
    """True while a position is `inside` of a fence, or outside of it; at its border it stays as it was."""

    fence: Fence
    inside: bool

    def holds(self, value: Value, standing: bool) -> bool | None:
        """Whether the alarm should stand; None for what is no position."""
        if not isinstance(value, tuple):
            return None
        found = self.fence.holds(value, _ACCURACY_M, standing is self.inside)
        return found is self.inside

    def calm(self, standing: bool) -> tuple[float, float]:  # noqa: ARG002 - a position is no number
        """None."""
        return NOWHERE

    def __str__(self) -> str:
        return f"{'inside' if self.inside else 'outside'} of {self.fence.name}"


@dataclass(frozen=True, slots=True)
class Changes:
    """True while the value has changed by more than `by` within the last `within_s` seconds (window.py)."""

    by: float
    within_s: float

    def holds(self, value: Value, standing: bool) -> bool | None:  # noqa: ARG002 - it has no way back
        """Whether the alarm should stand, `value` being the change; None for what is no number."""
        return value > self.by if isinstance(value, int | float) else None

    def calm(self, standing: bool) -> tuple[float, float]:  # noqa: ARG002 - every value may be a change
        """None."""
        return NOWHERE

    def __str__(self) -> str:
        return f"changes by more than {self.by:g} within {self.within_s:g} s"


@dataclass(frozen=True, slots=True)
class SilentFor:
    """True while the point has had no good value for `seconds`; judged by time alone."""

    seconds: float

    def holds(self, value: Value, standing: bool) -> bool | None:  # noqa: ARG002 - any good value ends the silence
        """False: a good value has just arrived."""
        return False

    def calm(self, standing: bool) -> tuple[float, float]:  # noqa: ARG002 - every good value is heard
        """None."""
        return NOWHERE

    def __str__(self) -> str:
        return f"silent for {self.seconds:g} s"


@dataclass(frozen=True, slots=True)
class Told:
    """True while the gateway itself says so; no value and no time changes that."""

    def holds(self, value: Value, standing: bool) -> bool | None:  # noqa: ARG002 - no value is about it
        """None."""
        return None

    def calm(self, standing: bool) -> tuple[float, float]:  # noqa: ARG002 - nor any number
        """All."""
        return EVERYWHERE

    def __str__(self) -> str:
        return "told by the gateway"


@dataclass(frozen=True, slots=True)
class Term:
    """A condition on one point of a device, as a part of another."""

    device: str
    point: str
    condition: Above | Below | Outside | Equals | AtFence

    def __str__(self) -> str:
        return f"{self.device}.{self.point} {self.condition}"


@dataclass(frozen=True, slots=True)
class AtLeast:
    """True while at least `count` of the terms hold; judged by all of them together, never by one value."""

    count: int
    terms: tuple[Term, ...]

    def verdict(self, holding: Sequence[bool | None]) -> bool | None:
        """Whether the alarm should stand, by which terms hold; what is not known (None) may hold or not."""
        sure = sum(each is True for each in holding)
        possible = sure + sum(each is None for each in holding)
        if sure >= self.count:
            return True
        return False if possible < self.count else None

    def holds(self, value: Value, standing: bool) -> bool | None:  # noqa: ARG002 - it takes all terms
        """None."""
        return None

    def calm(self, standing: bool) -> tuple[float, float]:  # noqa: ARG002 - no number by itself changes anything
        """All."""
        return EVERYWHERE

    def __str__(self) -> str:
        terms = "; ".join(map(str, self.terms))
        if self.count == len(self.terms):
            return f"all of: {terms}"
        return f"any of: {terms}" if self.count == 1 else f"at least {self.count} of: {terms}"


Condition: TypeAlias = Above | Below | Outside | Equals | AtFence | Changes | SilentFor | Told | AtLeast
