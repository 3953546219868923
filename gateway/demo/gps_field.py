"""A simulated GPS receiver: a lorry on a closed route, as NMEA 0183 sentences RMC and GGA.

Invariants: every sentence has its right checksum and CR LF; the fix quality is 1 (a plain GPS fix), because 8, the
one reserved for simulators, is a position that no consumer may use.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import NamedTuple

KNOTS_PER_M_S = 3600 / 1852
_METRES_PER_DEGREE = 111_195.0  # of latitude, on a sphere of 6,371 km


class Fix(NamedTuple):
    """A place (degrees WGS 84), a speed (m/s) and a course (degrees from north, clockwise)."""

    latitude: float
    longitude: float
    speed_m_s: float
    course: float


ROUTE = ((31.2266, 121.6402), (31.2266, 121.6451), (31.2297, 121.6451), (31.2297, 121.6402))
"""Corners of the round trip: (latitude, longitude), degrees WGS 84."""


def fix_at(travelled_m: float, speed_m_s: float, route: tuple[tuple[float, float], ...] = ROUTE) -> Fix:
    """Where a lorry is that has gone `travelled_m` along the closed `route`; flat-earth arithmetic, fine for 1 km."""
    legs = [_leg(route[i], route[(i + 1) % len(route)]) for i in range(len(route))]
    rest = travelled_m % sum(length for length, _ in legs)
    for start, (length, course) in zip(route, legs, strict=True):
        if rest <= length:
            north = rest * math.cos(math.radians(course)) / _METRES_PER_DEGREE
            east = rest * math.sin(math.radians(course)) / _metres_per_degree_east(start[0])
            return Fix(start[0] + north, start[1] + east, speed_m_s, course)
        rest -= length
    return Fix(*route[0], speed_m_s, legs[0][1])


def sentences(fix: Fix, at: datetime) -> bytes:
    """RMC and GGA for `fix` at the UTC time `at`. Source: NMEA 0183 v3.01, as in notes of u-blox M8 receivers."""
    utc = at.astimezone(UTC)
    hms, dmy = utc.strftime("%H%M%S.00"), utc.strftime("%d%m%y")
    latitude = f"{_degrees_minutes(fix.latitude, 2)},{'N' if fix.latitude >= 0 else 'S'}"
    longitude = f"{_degrees_minutes(fix.longitude, 3)},{'E' if fix.longitude >= 0 else 'W'}"
    knots = fix.speed_m_s * KNOTS_PER_M_S
    rmc = f"GPRMC,{hms},A,{latitude},{longitude},{knots:.3f},{fix.course:.2f},{dmy},,,A"
    gga = f"GPGGA,{hms},{latitude},{longitude},1,09,0.92,14.2,M,9.1,M,,"
    return _framed(rmc) + _framed(gga)


def lost(at: datetime) -> bytes:
    """The same sentences of a receiver that sees no satellites: void, and without a place."""
    utc = at.astimezone(UTC)
    hms, dmy = utc.strftime("%H%M%S.00"), utc.strftime("%d%m%y")
    return _framed(f"GPRMC,{hms},V,,,,,,,{dmy},,,N") + _framed(f"GPGGA,{hms},,,,,0,00,99.99,,,,,,")


def _framed(body: str) -> bytes:
    checksum = 0
    for byte in body.encode("ascii"):
        checksum ^= byte
    return f"${body}*{checksum:02X}\r\n".encode("ascii")


def _degrees_minutes(degrees: float, width: int) -> str:
    """`ddmm.mmmmm`, rounded once so that 59.999999 minutes never print as 60."""
    units = round(abs(degrees) * 60 * 100_000)
    whole, rest = divmod(units, 60 * 100_000)
    minutes, fraction = divmod(rest, 100_000)
    return f"{whole:0{width}d}{minutes:02d}.{fraction:05d}"


def _leg(start: tuple[float, float], end: tuple[float, float]) -> tuple[float, float]:
    north = (end[0] - start[0]) * _METRES_PER_DEGREE
    east = (end[1] - start[1]) * _metres_per_degree_east(start[0])
    return math.hypot(north, east), math.degrees(math.atan2(east, north)) % 360


def _metres_per_degree_east(latitude: float) -> float:
    return _METRES_PER_DEGREE * math.cos(math.radians(latitude))
