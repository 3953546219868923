"""NMEA 0183 sentences, decoded strictly: the sentence is right in every byte, or it is Rejected. Pure.

    $GNRMC,171926.00,A,4404.14063,N,12118.85478,W,0.117,,180315,,,A*76 CR LF
    ^^ ^   ^ fields, separated by commas; empty: not known             ^^ XOR of the bytes between $ and *, in hex
    |  type: what the fields are
    talker: which satellites (GP, GL, GA, GB, GN, ...); every one is accepted

Invariants: nothing but Rejected is raised, whatever the bytes; an empty field is None and never 0; a position is both
coordinates or None. Which fixes are usable: only those that the receiver measured (not estimated, manual, simulated).

Source: NMEA 0183 4.11 as used by minmea, gpsd and pynmea2 (vectors with their origin in tests/vectors/nmea.json). Not
known: sentences of more than 82 characters are against the standard and common, so 128 are accepted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from functools import reduce
from operator import xor
from typing import NamedTuple, TypeAlias

MAX_SENTENCE = 128
"""Most bytes of a sentence, without its line end."""

M_S_PER_KNOT = 1852 / 3600

_MEASURED = frozenset("ADRFP")  # RMC, VTG and GNS modes: autonomous, differential, RTK fixed and float, precise
_NOT_MEASURED = frozenset("EMS")  # estimated, manual, simulator
_QUALITIES = frozenset((1, 2, 3, 4, 5))  # GGA: GPS, differential, PPS, RTK fixed and float; 6 to 8 as EMS

_NUMBER = re.compile(r"\d+\.?\d*|\.\d+", re.ASCII).fullmatch
_SIGNED = re.compile(r"-?(?:\d+\.?\d*|\.\d+)", re.ASCII).fullmatch
_TIME = re.compile(r"([01]\d|2[0-3])([0-5]\d)([0-5]\d|60)(\.\d+)?", re.ASCII).fullmatch  # second 60: a leap second
_LATITUDE = re.compile(r"(\d\d)(\d\d\.?\d*)", re.ASCII).fullmatch
_LONGITUDE = re.compile(r"(\d\d\d)(\d\d\.?\d*)", re.ASCII).fullmatch
_CHECKSUM = re.compile(r"[0-9A-Fa-f]{2}", re.ASCII).fullmatch


class Rejected(ValueError):  # noqa: N818 - named as the vectors name it
    """Bytes that are no sentence, or a sentence with a field that cannot be; the text is one word for why."""


Position: TypeAlias = tuple[float, float]
"""Latitude and longitude, degrees WGS 84, north and east positive, 7 decimals (1 cm)."""


class Rmc(NamedTuple):
    """Recommended minimum: time and date (UTC), position, speed (m/s) and course (degrees from true north)."""

    talker: str
    time: str | None
    date: date | None
    position: Position | None
    speed_m_s: float | None
    course: float | None
    usable: bool


class Gga(NamedTuple):
    """The fix (GGA or GNS): satellites used, horizontal dilution, altitude above sea level (m)."""

    talker: str
    time: str | None
    position: Position | None
    satellites: int | None
    hdop: float | None
    altitude_m: float | None
    usable: bool


class Gsa(NamedTuple):
    """Satellites in use; `fix` 1: none, 2: no altitude, 3: full."""

    talker: str
    fix: int | None
    satellites: tuple[int, ...]
    pdop: float | None
    hdop: float | None
    vdop: float | None


class Vtg(NamedTuple):
    """Course (degrees from true north) and speed (m/s)."""

    talker: str
    course: float | None
    speed_m_s: float | None
    usable: bool


class Zda(NamedTuple):
    """Time and date, UTC."""

    talker: str
    time: str | None
    date: date | None


class Other(NamedTuple):
    """A right sentence of a type that is not decoded."""

    address: str


Sentence: TypeAlias = Rmc | Gga | Gsa | Vtg | Zda | Other


def decode(line: bytes) -> Sentence:
    """The sentence that `line` (without its line end) is; Rejected if it is none."""
    fields = _fields(line)
    address = fields[0]
    known = _DECODERS.get(address[2:]) if len(address) == 5 else None
    if known is None:
        return Other(address)
    least, decoder = known
    if len(fields) < least:
        raise Rejected("too_few_fields")
    return decoder(fields)


def _fields(line: bytes) -> list[str]:
    """Address and fields of a whole sentence."""
    if len(line) > MAX_SENTENCE:
        raise Rejected("too_long")
    try:
        text = line.decode("ascii")
    except UnicodeDecodeError:
        raise Rejected("not_ascii") from None
    if not (text.startswith("$") and text.isprintable()):
        raise Rejected("no_sentence")
    if "$" in text[1:]:
        raise Rejected("extra_dollar")
    body, star, checksum = text[1:].partition("*")
    if not star:
        raise Rejected("no_checksum")
    if not _CHECKSUM(checksum):
        raise Rejected("bad_checksum_field")
    if reduce(xor, line[1 : len(body) + 1], 0) != int(checksum, 16):
        raise Rejected("checksum_mismatch")
    return body.split(",")


def _rmc(fields: list[str]) -> Rmc:
    """Time 1, status 2, position 3 to 6, speed in knots 7, course 8, date 9, mode 12 (since 2.3), 13 means nothing.

    Field 13, the navigational status of 4.1, is V on receivers with a perfect fix.
    """
    mode = fields[12] if len(fields) > 12 else ""
    position = _position(fields, 3)
    usable = fields[2] == "A" and (not mode or mode in _MEASURED) and position is not None
    return Rmc(
        fields[0][:2], _time(fields[1]), _date(fields[9]), position, _speed(fields[7]), _course(fields[8]), usable
    )


def _gga(fields: list[str]) -> Gga:
    """Time 1, position 2 to 5, quality 6, satellites 7, HDOP 8, altitude 9 in M 10."""
    position = _position(fields, 2)
    usable = _whole(fields[6]) in _QUALITIES and position is not None
    return _fix(fields, position, _altitude(fields[9], fields[10]), usable)


def _gns(fields: list[str]) -> Gga:
    """As GGA, but 6 holds one mode for each satellite system, and the altitude 9 is always in metres."""
    position = _position(fields, 2)
    modes = set(fields[6])
    usable = bool(modes & _MEASURED) and not modes & _NOT_MEASURED and position is not None
    return _fix(fields, position, _number(fields[9], _SIGNED), usable)


def _fix(fields: list[str], position: Position | None, altitude_m: float | None, usable: bool) -> Gga:
    satellites, hdop = _whole(fields[7]), _number(fields[8])
    return Gga(fields[0][:2], _time(fields[1]), position, satellites, hdop, altitude_m, usable)


def _gsa(fields: list[str]) -> Gsa:
    """Choice 1, fix 2, twelve satellites 3 to 14, PDOP 15, HDOP 16, VDOP 17."""
    satellites = tuple(it for field in fields[3:15] if (it := _whole(field)) is not None)
    return Gsa(
        fields[0][:2], _whole(fields[2]), satellites, _number(fields[15]), _number(fields[16]), _number(fields[17])
    )


def _vtg(fields: list[str]) -> Vtg:
    """True course 1, speed in knots 5, mode 9 (since 2.3)."""
    mode = fields[9] if len(fields) > 9 else ""
    speed = _speed(fields[5])
    return Vtg(fields[0][:2], _course(fields[1]), speed, (not mode or mode in _MEASURED) and speed is not None)


def _zda(fields: list[str]) -> Zda:
    """Time 1, day 2, month 3, year 4 with four digits."""
    day, month, year = _whole(fields[2]), _whole(fields[3]), _whole(fields[4])
    return Zda(fields[0][:2], _time(fields[1]), _calendar(year or 0, month or 0, day or 0))


_DECODERS: Mapping[str, tuple[int, Callable[[list[str]], Sentence]]] = {
    "RMC": (12, _rmc),
    "GGA": (15, _gga),
    "GNS": (13, _gns),
    "GSA": (18, _gsa),
    "VTG": (9, _vtg),
    "ZDA": (5, _zda),
}
"""Type -> least number of fields, address included, and decoder."""


def _position(fields: list[str], first: int) -> Position | None:
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


def _number(text: str, pattern: Callable[[str], re.Match[str] | None] = _NUMBER) -> float | None:
    if not text:
        return None
    if not pattern(text):
        raise Rejected("bad_number")
    return float(text)


def _whole(text: str) -> int | None:
    if not text:
        return None
    if not text.isdecimal():
        raise Rejected("bad_number")
    return int(text)


def _speed(knots: str) -> float | None:
    speed = _number(knots)
    return None if speed is None else round(speed * M_S_PER_KNOT, 4)


def _course(text: str) -> float | None:
    course = _number(text)
    if course is not None and course > 360:
        raise Rejected("course_range")
    return course


def _altitude(text: str, unit: str) -> float | None:
    if text and unit != "M":
        raise Rejected("bad_unit")
    return _number(text, _SIGNED)


def _time(text: str) -> str | None:
    """hhmmss.ss as hh:mm:ss.ss, or None; a time that cannot be is no time, and no reason to lose the position."""
    match = _TIME(text)
    return f"{match[1]}:{match[2]}:{match[3]}{match[4] or ''}" if match else None


def _date(text: str) -> date | None:
    """ddmmyy; years 80 to 99 are 19xx. A date that cannot be is no date: receivers send such after a week rollover."""
    if len(text) != 6 or not text.isdecimal():
        return None
    year = int(text[4:])
    return _calendar(year + (1900 if year >= 80 else 2000), int(text[2:4]), int(text[:2]))


def _calendar(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None
