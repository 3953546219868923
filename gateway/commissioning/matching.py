"""Which profiles fit what a Modbus unit has answered, best first, and why. Pure.

The evidence is counted in bits: a value that random registers would show once in 64 times is worth six. So a
temperature between limits says a lot, a register that is 0 nothing, and the state of a coil next to nothing.
That is a ranking and no proof: devices whose registers look alike are told as alike, for a person to choose.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple, TypeAlias

from drivers.modbus_decode import decoder
from drivers.modbus_point import RegisterPoint
from drivers.modbus_profile import Bus, Profile
from gateway.driver import Table
from gateway.model import Bad, Reason, Value
from gateway.units import KINDS

Place: TypeAlias = tuple[Table, int]
"""A register or bit: its table and its 0-based address."""


class Span(NamedTuple):
    """Registers or bits in a row. A device may refuse two together and give each, so a span is not its places."""

    table: Table
    address: int
    size: int

    @classmethod
    def of(cls, point: RegisterPoint) -> Span:
        """Where a point is."""
        return cls(Table(point.table), point.address, point.width)

    @property
    def places(self) -> tuple[Place, ...]:
        """Each of them."""
        return tuple((self.table, self.address + i) for i in range(self.size))

    def covers(self, other: Span) -> bool:
        """Whether `other` lies within this one."""
        return (
            self.table is other.table
            and self.address <= other.address
            and other.address + other.size <= self.address + self.size
        )


_BELIEVABLE: Mapping[str, tuple[float, float]] = {
    "temperature": (-60, 250),
    "humidity": (0, 105),
    "dew_point": (-80, 100),
    "pressure": (300, 1200),
    "concentration": (0, 20_000),
    "illuminance": (0, 200_000),
    "voltage": (0, 1000),
    "current": (0, 5000),
    "power": (-1e6, 1e6),
    "frequency": (40, 70),
    "resistance": (0, 1e5),
    "level": (0, 100),
}
"""Limits of kinds, in their units, for points whose profile has none: wide, ours."""

_USUAL: Mapping[str, tuple[float, float]] = {
    "temperature": (-35, 50),
    "humidity": (5, 100),
    "voltage": (90, 500),
    "frequency": (49, 61),
}
"""What is found at most sites, in the units of the kinds. Ours."""

_MOST_BITS = 8.0  # of evidence from one point
_FLOAT_BITS = 4.0  # of a float within limits: its exponent alone could be anything
_TEXT_BITS = 4.0
_STATE_BITS = 0.1  # any bit will do: the device with most of them comes first
_SENTINEL_BITS = 2.0
_SETTINGS_BITS = 1.0
_UNUSUAL_BITS = -2.0
_OUTSIDE_BITS = -6.0
_ALIKE_BITS = 3.0  # a difference of less decides nothing
_STRONG_BITS, _FAIR_BITS = 14.0, 6.0
_TINY = 1e-4  # a float that is closer to 0, and is not 0, measures nothing


class Verdict(StrEnum):
    """What a point of a profile makes of the answers."""

    GOOD = "good"  # a value within its limits
    UNUSUAL = "unusual"  # possible, and seldom seen
    OUTSIDE = "outside"  # a value that it cannot have
    NO_SENSOR = "no sensor"  # the device says that nothing is connected there
    REFUSED = "refused"
    SILENT = "no answer"
    NOT_ASKED = "not asked"


_MISSING_BITS = {Verdict.REFUSED: -8.0, Verdict.SILENT: -4.0, Verdict.NOT_ASKED: 0.0}
_AGAINST = frozenset({Verdict.OUTSIDE, Verdict.REFUSED, Verdict.SILENT, Verdict.NOT_ASKED})


@dataclass(frozen=True, slots=True)
class Seen:
    """What a unit has answered: registers (0 to 65535) and bits (0 or 1), and the spans that it kept to itself."""

    raw: Mapping[Place, int]
    refused: Collection[Span] = ()
    silent: Collection[Span] = ()

    def verdict(self, span: Span) -> Verdict | None:
        """Why there are no values of this span; None where there are."""
        if all(place in self.raw for place in span.places):
            return None
        if any(span.covers(it) for it in self.refused):
            return Verdict.REFUSED
        return Verdict.SILENT if any(span.covers(it) for it in self.silent) else Verdict.NOT_ASKED


class PointFit(NamedTuple):
    """One point: what it would say, and for how many bits that counts."""

    verdict: Verdict
    value: Value | None
    unit: str
    bits: float


class Match(NamedTuple):
    """A profile held against the answers of a unit; `score` in bits, the more the better."""

    profile: str
    model: str
    score: float
    points: Mapping[str, PointFit]
    settings_fit: bool  # the line is set as this device leaves the factory

    @property
    def fits(self) -> bool:
        """Whether nothing speaks against it."""
        return not any(it.verdict in _AGAINST for it in self.points.values())

    @property
    def strength(self) -> str:
        """How much the answers say: `strong`, `fair`, `weak`; `partly` where something speaks against it."""
        if not self.fits:
            return "partly"
        return "strong" if self.score >= _STRONG_BITS else "fair" if self.score >= _FAIR_BITS else "weak"

    @property
    def why(self) -> str:
        """For and against it, in words."""
        counts = {verdict: sum(it.verdict is verdict for it in self.points.values()) for verdict in Verdict}
        words = {
            Verdict.GOOD: "believable",
            Verdict.UNUSUAL: "possible but unusual",
            Verdict.OUTSIDE: "beyond the limits",
            Verdict.NO_SENSOR: "without a sensor",
            Verdict.REFUSED: "refused",
            Verdict.SILENT: "without an answer",
            Verdict.NOT_ASKED: "not asked for",
        }
        told = [f"{count} of {len(self.points)} {words[verdict]}" for verdict, count in counts.items() if count]
        if self.settings_fit:
            told.append("at its factory settings")
        if self.fits and self.score < _FAIR_BITS:
            told.append("bits and zeros say little about the model")
        return ", ".join(told)


def match(name: str, profile: Profile, seen: Seen, found: Bus | None = None) -> Match:
    """The profile `name` held against the answers of a unit that was found with the settings `found`."""
    points = {own: _scaled_fit(point, profile.points, seen) for own, point in profile.points.items()}
    settings_fit = found is not None and profile.bus is not None and _line(profile.bus) == _line(found)
    score = sum(it.bits for it in points.values()) + _SETTINGS_BITS * settings_fit
    return Match(name, profile.model, round(score, 1), points, settings_fit)


def candidates(profiles: Mapping[str, Profile], seen: Seen, found: Bus | None = None) -> tuple[Match, ...]:
    """The profiles that may be meant, best first: what fits, then what fits for the most part."""
    matches = [match(name, profile, seen, found) for name, profile in profiles.items()]
    likely = [it for it in matches if it.fits or (it.score > 0 and _share_against(it) <= 0.25)]
    return tuple(sorted(likely, key=lambda it: (not it.fits, -it.score, it.profile)))


def alike(matches: Iterable[Match]) -> tuple[Match, ...]:
    """Of candidates, those that the answers do not tell from the best one; with it, if there are any."""
    ranked = tuple(matches)
    if not ranked:
        return ()
    near = tuple(it for it in ranked if it.fits == ranked[0].fits and ranked[0].score - it.score < _ALIKE_BITS)
    return near if len(near) > 1 else ()


def _share_against(it: Match) -> float:
    return sum(point.verdict in _AGAINST for point in it.points.values()) / len(it.points)


def _line(bus: Bus) -> tuple[int, str, int]:
    return bus.baudrate, bus.parity, bus.stopbits


def _scaled_fit(point: RegisterPoint, points: Mapping[str, RegisterPoint], seen: Seen) -> PointFit:
    """The fit of a point, whose scale another one may tell: where that tells none, it has no value either."""
    by = point.scale_by
    if by is None:
        return _point_fit(point, seen)
    teller = _point_fit(points[by.point], seen)
    scale = by.scales.get(teller.value) if isinstance(teller.value, int) else None
    if scale is not None:
        return _point_fit(replace(point, scale=scale, scale_by=None), seen)
    verdict = teller.verdict if teller.verdict in _MISSING_BITS else Verdict.OUTSIDE
    return PointFit(verdict, None, KINDS[point.kind].unit, _MISSING_BITS.get(verdict, _OUTSIDE_BITS))


def _point_fit(point: RegisterPoint, seen: Seen) -> PointFit:
    span, unit = Span.of(point), KINDS[point.kind].unit
    if (missing := seen.verdict(span)) is not None:
        return PointFit(missing, None, unit, _MISSING_BITS[missing])
    raw = [seen.raw[place] for place in span.places]
    value = decoder(point)(raw, 0)
    if isinstance(value, Bad):
        if value.reason is Reason.SENSOR_FAULT and point.sentinels:
            return PointFit(Verdict.NO_SENSOR, None, unit, _SENTINEL_BITS)
        return PointFit(Verdict.OUTSIDE, None, unit, _OUTSIDE_BITS)
    return _value_fit(point, value, unit, blank=not any(raw))


def _value_fit(point: RegisterPoint, value: Value, unit: str, *, blank: bool) -> PointFit:
    if point.is_state:
        return PointFit(Verdict.GOOD, value, unit, _STATE_BITS)
    if not isinstance(value, int | float):
        return PointFit(Verdict.GOOD, value, unit, _TEXT_BITS if value else 0.0)
    if _within(value, _BELIEVABLE.get(point.kind)) is False and point.minimum is None and point.maximum is None:
        return PointFit(Verdict.OUTSIDE, value, unit, _OUTSIDE_BITS)
    if point.type.startswith("float") and 0 < abs(value) < _TINY:
        return PointFit(Verdict.OUTSIDE, value, unit, _OUTSIDE_BITS)
    bits = 0.0 if blank else _worth(point)
    if _within(value, _USUAL.get(point.kind)) is False:
        return PointFit(Verdict.UNUSUAL, value, unit, bits + _UNUSUAL_BITS)
    return PointFit(Verdict.GOOD, value, unit, bits)


def _worth(point: RegisterPoint) -> float:
    """Bits of evidence in a value of this point that is within its limits, and not 0."""
    least, most = _BELIEVABLE.get(point.kind, (-math.inf, math.inf))
    least = least if point.minimum is None else point.minimum
    most = most if point.maximum is None else point.maximum
    if not math.isfinite(most - least):
        return 0.0
    if point.type.startswith("float"):
        return _FLOAT_BITS
    share = max(1.0, (most - least) / abs(point.scale)) / 2 ** (16 * point.width)
    return min(_MOST_BITS, max(0.0, -math.log2(share)))


def _within(value: float, limits: tuple[float, float] | None) -> bool | None:
    """Whether the value is there; None where there are no limits."""
    return None if limits is None else limits[0] <= value <= limits[1]
