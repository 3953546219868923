"""A fix as every source of positions tells it, and its points: the same from NMEA and from gpsd. Pure.

    position    only of a fix that was measured, and whole        speed, course, altitude, hdop    with it
    satellites  how many were used, with or without a fix         fix    none, 2d, 3d, or why there is none to be used:
    time        UTC (ms) when this was heard, only where    estimated (dead reckoning), manual, simulated
                the device is a source of time

Invariants: without a fix that was measured, position, speed, course, altitude and hdop are Bad(NO_FIX). What the source
does not say is absent. What no receiver can measure is out of range. Below MOVING_M_S the course is noise, and absent.

Source: docs of gpsd (gpsd_json(5)), NMEA 0183 as in drivers/nmea.py; HDOP 99.99 for none: receivers' logs.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Final, NamedTuple

from gateway.driver import point
from gateway.model import Bad, Point, Reason, Value, Values
from gateway.release import BUILD_DATE

MOVING_M_S = 1.0
"""Below this speed the course is noise, and is not reported."""

TWO_D: Final = "2d"
THREE_D: Final = "3d"

_KINDS = ("position", "speed", "course", "altitude", "satellites", "hdop", "fix")
_USABLE = frozenset({TWO_D, THREE_D})
_NO_FIX = Bad(Reason.NO_FIX)
_OUT_OF_RANGE = Bad(Reason.OUT_OF_RANGE)
_UNFIXED: Mapping[str, Bad] = dict.fromkeys(("position", "speed", "course", "altitude", "hdop"), _NO_FIX)
_MAX_SPEED_M_S = 515.0  # export rules stop civil receivers at 1,000 knots
_ALTITUDE_M = (-1000.0, 50_000.0)
_NO_HDOP = 99.0  # receivers write 99.99 for none
_EPOCH = date(1970, 1, 1)
_ROLL_OVER = timedelta(weeks=1024)


class Fix(NamedTuple):
    """What a receiver said of one moment; None: it did not say. `fix` is a word of the kind `fix`.

    Degrees WGS 84 north and east, m/s, degrees from true north, metres above the sea; `ts`: UTC in ms.
    """

    fix: str
    position: tuple[float, float] | None = None
    speed_m_s: float | None = None
    course: float | None = None
    altitude_m: float | None = None
    satellites: int | None = None
    hdop: float | None = None
    ts: int | None = None


def points(*, time_source: bool) -> tuple[Point, ...]:
    """What a receiver can say, each named after its kind."""
    kinds = (*_KINDS, "time") if time_source else _KINDS
    return tuple(point(kind, kind) for kind in kinds)


def values(fix: Fix) -> Values:
    """The points of a fix, without its time."""
    said: dict[str, Value | Bad] = {"fix": fix.fix}
    if fix.satellites is not None:
        said["satellites"] = fix.satellites
    if fix.fix not in _USABLE or fix.position is None:
        return {**said, **_UNFIXED}
    said["position"] = fix.position
    said.update(motion(fix.speed_m_s, fix.course))
    if fix.altitude_m is not None:
        low, high = _ALTITUDE_M
        said["altitude"] = fix.altitude_m if low <= fix.altitude_m <= high else _OUT_OF_RANGE
    said.update(quality(None, fix.hdop))
    return said


def quality(satellites: int | None, hdop: float | None) -> Values:
    """How many satellites were used, and what their dilution is."""
    said: dict[str, Value | Bad] = {}
    if satellites is not None:
        said["satellites"] = satellites
    if hdop is not None:
        said["hdop"] = hdop if 0 < hdop < _NO_HDOP else _NO_FIX
    return said


def motion(speed_m_s: float | None, course: float | None) -> Values:
    """Speed, and the course of what moves."""
    if speed_m_s is None:
        return {}
    if speed_m_s > _MAX_SPEED_M_S:
        return {"speed": _OUT_OF_RANGE}
    if course is None or speed_m_s < MOVING_M_S:
        return {"speed": speed_m_s}
    return {"speed": speed_m_s, "course": course}


def unrolled(day: date) -> date | None:
    """The day that a receiver means: satellites tell their week modulo 1024, and no day before BUILD_DATE can be.

    None for one that no receiver can know of, 1024 weeks after that. Source: IS-GPS-200, section 20.3.3.3.1.1.
    """
    while day < BUILD_DATE:
        day += _ROLL_OVER
    return day if day < BUILD_DATE + _ROLL_OVER else None


def ts_of(day: date, time_ms: int) -> int:
    """The UTC time in ms, of a day and a time of it."""
    return (day - _EPOCH).days * 86_400_000 + time_ms
