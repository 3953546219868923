"""What a configuration says of single points: what can be believed of them, and how they are calibrated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, TypeAlias

from gateway.config.written import Day, Duration, PerTime, Text, Within
from gateway.driver import Doc
from gateway.model import Point
from gateway.units import Form

LEAST_SLOPE, MOST_SLOPE = 0.5, 2.0
"""What a calibration can be; beyond, it corrects no sensor but covers a mistake."""


MOST_CORRECTION: Mapping[str, float] = {"temperature": 10.0, "humidity": 20.0}
"""By kind, in its unit: how far a calibration moves a value at most."""

SETTING_KINDS = frozenset({"temperature_setpoint", "setting"})
"""What people decide, and no sensor measures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationPart:
    """How the values of a point are corrected: offset and scale, or two measured values with what they should be."""

    offset: Annotated[float, Doc("Added to the value, after scale, in the unit of the point")] = 0.0
    scale: Annotated[float, Doc("The value is multiplied by this")] = 1.0
    measured: Annotated[
        tuple[float, float] | None, Doc("What the sensor showed at two references, as in [0.3, 50.4]")
    ] = None
    reference: Annotated[tuple[float, float] | None, Doc("With measured: what it should have shown, as in [0, 50]")] = (
        None
    )
    certificate: Annotated[Text, Doc("The number of the certificate")] = ""
    date: Annotated[Day | None, Doc("When it was calibrated, as in 2026-03-31")] = None
    due: Annotated[Day | None, Doc("When it is to be calibrated again; an alarm says so 30 days and 7 days before")] = (
        None
    )

    def __post_init__(self) -> None:
        """Refuse what contradicts itself."""
        correction = (self.offset, self.scale != 1, self.measured, self.reference)
        if not any((*correction, self.certificate, self.date, self.due)):
            raise ValueError("says nothing; write offset, scale, or measured and reference, or a certificate")
        if (self.measured is None) != (self.reference is None):
            given, missing = ("measured", "reference") if self.reference is None else ("reference", "measured")
            raise ValueError(f"{given}: goes with {missing}; write both, as in [0.3, 50.4]")
        if self.measured is not None and (self.offset != 0 or self.scale != 1):
            raise ValueError("measured: stands beside offset or scale; write the one or the other")
        if self.measured is not None and self.measured[0] == self.measured[1]:
            raise ValueError("measured: two different values are needed; with one, write an offset")
        scale, _ = self.line
        if not LEAST_SLOPE <= scale <= MOST_SLOPE:
            key = "scale" if self.measured is None else "reference"
            told = f"would make {scale:g} of each 1 that is measured; a calibration is from {LEAST_SLOPE:g} to"
            raise ValueError(f"{key}: {told} {MOST_SLOPE:g}, so correct the profile, or the values")
        if self.date is not None and self.due is not None and self.due <= self.date:
            raise ValueError(f"due: must be after the date of the calibration, {self.date}")

    @property
    def line(self) -> tuple[float, float]:
        """Scale and offset."""
        if self.measured is None or self.reference is None:
            return self.scale, self.offset
        (low, high), (low_true, high_true) = self.measured, self.reference
        scale = (high_true - low_true) / (high - low)
        return scale, low_true - scale * low

    @property
    def correction(self) -> tuple[str, float]:
        """The key that says how far a value is moved, and how far, where that is most."""
        if self.measured is None or self.reference is None:
            return "offset", self.offset
        moves = [true - shown for shown, true in zip(self.measured, self.reference, strict=True)]
        return "reference", max(moves, key=abs)


Jumps: TypeAlias = Annotated[
    PerTime | None,
    Doc("A value that moved faster, as in 5/min, is bad with too_fast, once: the next reading decides"),
]
StuckAfter: TypeAlias = Annotated[
    Annotated[Duration, Within(ge=60, le=90 * 86400)] | None,
    Doc("A value that has not changed for so long raises a low alarm; it stays good"),
]
LeastTime: TypeAlias = Annotated[Duration, Within(ge=0.1, le=3600)]


@dataclass(frozen=True, slots=True, kw_only=True)
class KindPart:
    """What can be believed of all points of a kind, unless a device says otherwise of its own."""

    max_rate: Jumps = None
    stuck_after: StuckAfter = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PointPart:
    """What can be believed of a point. What cannot is bad with its reason, and is neither judged nor recorded."""

    range: Annotated[
        tuple[float, float] | None, Doc("Bad with out_of_range beyond these, in the unit of the point")
    ] = None
    max_rate: Jumps = None
    stuck_after: StuckAfter = None
    calibration: Annotated[CalibrationPart | None, Doc("How it is corrected, and by which certificate")] = None
    min_on: Annotated[
        LeastTime | None, Doc("Of an output: how long it stays on at least; a high alarm does not wait")
    ] = None
    min_off: Annotated[
        LeastTime | None, Doc("Of an output: how long it stays off at least; a high alarm does not wait")
    ] = None
    as_kind: Annotated[bool, Doc("false: what is said of all points of its kind does not hold for it")] = True

    @property
    def leaves_to_kind(self) -> bool:
        """Whether its kind says after which time without a change it is stuck."""
        return self.as_kind and self.stuck_after is None


LEAST_TIMES = ("min_on", "min_off")
"""What is said of outputs alone."""


def is_setting(point: Point) -> bool:
    """Whether somebody sets this number, so that nothing can be said of how it moves."""
    return point.form is Form.GAUGE and (point.writable or point.kind in SETTING_KINDS)


def believed(
    points: Iterable[Point], own: Mapping[str, PointPart], by_kind: Mapping[str, KindPart]
) -> dict[str, PointPart]:
    """By point what is said of it, by its device or else of its kind; none of which nothing is said."""
    found = {
        point.name: _of_point(own.get(point.name), None if is_setting(point) else by_kind.get(point.kind))
        for point in points
    }
    return {name: part for name, part in found.items() if part is not None}


def _of_point(own: PointPart | None, kind: KindPart | None) -> PointPart | None:
    if own is None or kind is None or not own.as_kind:
        return (
            own if own is not None or kind is None else PointPart(max_rate=kind.max_rate, stuck_after=kind.stuck_after)
        )
    return replace(own, max_rate=own.max_rate or kind.max_rate, stuck_after=own.stuck_after or kind.stuck_after)
