"""The fields of NMEA 0183 sentences as numbers, times and places. Pure.

Invariants: an empty field is None and never 0; a position is both coordinates or None. A number or a place that cannot
be is Rejected; a time or date that cannot be is none, and no reason to lose the position beside it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from typing import TypeAlias

from drivers.nmea_frame import Rejected

M_S_PER_KNOT = 1852 / 3600

_NUMBER = re.compile(r"\d+\.?\d*|\.\d+", re.ASCII).fullmatch
_SIGNED = re.compile(r"-?(?:\d+\.?\d*|\.\d+)", re.ASCII).fullmatch
_TIME = re.compile(r"(?:[01]\d|2[0-3])[0-5]\d(?:[0-5]\d|60)(?:\.\d+)?", re.ASCII).fullmatch  # 60: a leap second
_LATITUDE = re.compile(r"(\d\d)(\d\d\.?\d*)", re.ASCII).fullmatch
_LONGITUDE = re.compile(r"(\d\d\d)(\d\d\.?\d*)", re.ASCII).fullmatch

Position: TypeAlias = tuple[float, float]
"""Latitude and longitude, degrees WGS 84, north and east positive, 7 decimals (1 cm)."""


def position(fields: list[str], first: int) -> Position | None:
    """The position in four fields from `first` on: ddmm.mm, N or S, dddmm.mm, E or W; None unless all are there."""
    latitude, north, longitude, east = fields[first : first + 4]
    if not (latitude and north and longitude and east):
        return None
    if north not in ("N", "S") or east not in ("E", "W"):
        raise Rejected("bad_hemisphere")
    return (
        _degrees(_LATITUDE(latitude), 90) * (1 if north == "N" else -1) + 0.0,
        _degrees(_LONGITUDE(longitude), 180) * (1 if east == "E" else -1) + 0.0,
    )


def _degrees(match: re.Match[str] | None, most: int) -> float:
    if match is None:
        raise Rejected("bad_coordinate")
    degrees, minutes = int(match[1]), float(match[2])
    if minutes >= 60:
        raise Rejected("minutes_range")
    value = degrees + minutes / 60
    if value > most:
        raise Rejected("degree_range")
    return round(value, 7)


def number(text: str) -> float | None:
    """A number that is not negative."""
    return _number(text, _NUMBER)


def signed(text: str) -> float | None:
    """A number."""
    return _number(text, _SIGNED)


def _number(text: str, pattern: Callable[[str], re.Match[str] | None]) -> float | None:
    if not text:
        return None
    if not pattern(text):
        raise Rejected("bad_number")
    return float(text)


def whole(text: str) -> int | None:
    """A whole number that is not negative."""
    if not text:
        return None
    if not (text.isdecimal() and text.isascii()):
        raise Rejected("bad_number")
    return int(text)


def speed_m_s(knots: str) -> float | None:
    """A speed that is written in knots, in m/s."""
    speed = number(knots)
    return None if speed is None else round(speed * M_S_PER_KNOT, 4)


def course(text: str) -> float | None:
    """Degrees from north, 360 at most."""
    degrees = number(text)
    if degrees is not None and degrees > 360:
        raise Rejected("course_range")
    return degrees


def altitude_m(text: str, unit: str) -> float | None:
    """An altitude with its unit, which has to be metres."""
    if text and unit != "M":
        raise Rejected("bad_unit")
    return signed(text)


def time_ms(text: str) -> int | None:
    """hhmmss.ss as milliseconds since midnight UTC; in a leap second, hhmm60.ss, those of the second after it."""
    if not _TIME(text):
        return None
    seconds = int(text[:2]) * 3600 + int(text[2:4]) * 60 + int(text[4:6])
    return seconds * 1000 + round(float(text[6:] or 0) * 1000)


def short_date(text: str) -> date | None:
    """ddmmyy; years 80 to 99 are 19xx."""
    if len(text) != 6 or not (text.isdecimal() and text.isascii()):
        return None
    year = int(text[4:])
    return calendar(year + (1900 if year >= 80 else 2000), int(text[2:4]), int(text[:2]))


def calendar(year: int, month: int, day: int) -> date | None:
    """The date, if there is one; receivers send such as 22-08-(-1) after a week roll-over."""
    try:
        return date(year, month, day)
    except ValueError:
        return None
