"""NMEA 0183 sentences, decoded strictly: the sentence is right in every field, or it is Rejected. Pure.

The frame is drawn in drivers/nmea_frame.py. Nothing but Rejected is raised, whatever the bytes.

A fix is `MEASURED` where the receiver measured it by satellites; one that is estimated (dead reckoning), entered by
hand or simulated is told apart from none, and no position that anybody may use.

Source: NMEA 0183 4.11 as used by minmea, gpsd and pynmea2 (vectors with their origin in tests/vectors/nmea.json).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import Final, NamedTuple, TypeAlias

from drivers.nmea_field import (
    Position,
    altitude_m,
    calendar,
    course,
    number,
    position,
    short_date,
    signed,
    speed_m_s,
    time_ms,
    whole,
)
from drivers.nmea_frame import Rejected, fields_of

NONE: Final = "none"
MEASURED: Final = "measured"
ESTIMATED: Final = "estimated"
MANUAL: Final = "manual"
SIMULATED: Final = "simulated"

_MODES = {**dict.fromkeys(("A", "D", "R", "F", "P"), MEASURED), "E": ESTIMATED, "M": MANUAL, "S": SIMULATED}
"""RMC, VTG and GNS: autonomous, differential, RTK fixed and float, precise; any other is none."""

_QUALITIES = {**dict.fromkeys(range(1, 6), MEASURED), 6: ESTIMATED, 7: MANUAL, 8: SIMULATED}
"""GGA: GPS, differential, PPS, RTK fixed and float; any other is none."""


class Rmc(NamedTuple):
    """Recommended minimum: time of day (ms, UTC) and date, position, speed (m/s), course (degrees from true north)."""

    talker: str
    time_ms: int | None
    date: date | None
    position: Position | None
    speed_m_s: float | None
    course: float | None
    fix: str

    @property
    def usable(self) -> bool:
        """Whether this is a measured position."""
        return self.fix == MEASURED and self.position is not None


class Gga(NamedTuple):
    """The fix (GGA or GNS): satellites used, horizontal dilution, altitude above sea level (m)."""

    talker: str
    time_ms: int | None
    position: Position | None
    satellites: int | None
    hdop: float | None
    altitude_m: float | None
    fix: str

    @property
    def usable(self) -> bool:
        """Whether this is a measured position."""
        return self.fix == MEASURED and self.position is not None


class Gsa(NamedTuple):
    """Satellites in use; `dimensions` 1: no fix, 2: no altitude, 3: full."""

    talker: str
    dimensions: int | None
    satellites: tuple[int, ...]
    pdop: float | None
    hdop: float | None
    vdop: float | None


class Vtg(NamedTuple):
    """Course (degrees from true north) and speed (m/s)."""

    talker: str
    course: float | None
    speed_m_s: float | None
    fix: str


class Zda(NamedTuple):
    """Time of day (ms, UTC) and date, with a year of four digits."""

    talker: str
    time_ms: int | None
    date: date | None


class Other(NamedTuple):
    """A right sentence of a type that is not decoded."""

    address: str


Sentence: TypeAlias = Rmc | Gga | Gsa | Vtg | Zda | Other


def decode(line: bytes) -> Sentence:
    """The sentence that `line` (without its line end) is; Rejected if it is none."""
    fields = fields_of(line)
    address = fields[0]
    known = _DECODERS.get(address[2:]) if len(address) == 5 else None
    if known is None:
        return Other(address)
    least, decoder = known
    if len(fields) < least:
        raise Rejected("too_few_fields")
    return decoder(fields)


def is_decoded(line: bytes) -> bool:
    """Whether `line` claims to be of a type that is decoded: of the others not even the checksum is looked at."""
    return line[3:6] in _DECODED


def _rmc(fields: list[str]) -> Rmc:
    """Time 1, status 2, position 3 to 6, speed in knots 7, course 8, date 9, mode 12 (since 2.3), 13 means nothing.

    Field 13, the navigational status of 4.1, is V on receivers with a perfect fix.
    """
    fix = NONE if fields[2] != "A" else _fix_of_mode(fields, 12)
    return Rmc(
        fields[0][:2],
        time_ms(fields[1]),
        short_date(fields[9]),
        position(fields, 3),
        speed_m_s(fields[7]),
        course(fields[8]),
        fix,
    )


def _fix_of_mode(fields: list[str], place: int) -> str:
    """What the mode says, which sentences before NMEA 2.3 do not have."""
    mode = fields[place] if len(fields) > place else ""
    return _MODES.get(mode, NONE) if mode else MEASURED


def _gga(fields: list[str]) -> Gga:
    """Time 1, position 2 to 5, quality 6, satellites 7, HDOP 8, altitude 9 in M 10."""
    quality = whole(fields[6])
    fix = NONE if quality is None else _QUALITIES.get(quality, NONE)
    return _fix(fields, altitude_m(fields[9], fields[10]), fix)


def _gns(fields: list[str]) -> Gga:
    """As GGA, but 6 holds one mode for each satellite system, and the altitude 9 is always in metres."""
    found = {_MODES.get(mode, NONE) for mode in fields[6]}
    fix = next((word for word in (SIMULATED, MANUAL, ESTIMATED, MEASURED) if word in found), NONE)
    return _fix(fields, signed(fields[9]), fix)


def _fix(fields: list[str], altitude: float | None, fix: str) -> Gga:
    return Gga(
        fields[0][:2],
        time_ms(fields[1]),
        position(fields, 2),
        whole(fields[7]),
        number(fields[8]),
        altitude,
        fix,
    )


def _gsa(fields: list[str]) -> Gsa:
    """Choice 1, fix 2, twelve satellites 3 to 14, PDOP 15, HDOP 16, VDOP 17."""
    satellites = tuple(it for field in fields[3:15] if (it := whole(field)) is not None)
    return Gsa(fields[0][:2], whole(fields[2]), satellites, number(fields[15]), number(fields[16]), number(fields[17]))


def _vtg(fields: list[str]) -> Vtg:
    """True course 1, speed in knots 5, mode 9 (since 2.3)."""
    return Vtg(fields[0][:2], course(fields[1]), speed_m_s(fields[5]), _fix_of_mode(fields, 9))


def _zda(fields: list[str]) -> Zda:
    """Time 1, day 2, month 3, year 4 with four digits."""
    day, month, year = whole(fields[2]), whole(fields[3]), whole(fields[4])
    return Zda(fields[0][:2], time_ms(fields[1]), calendar(year or 0, month or 0, day or 0))


_DECODERS: Mapping[str, tuple[int, Callable[[list[str]], Sentence]]] = {
    "RMC": (12, _rmc),
    "GGA": (15, _gga),
    "GNS": (13, _gns),
    "GSA": (18, _gsa),
    "VTG": (9, _vtg),
    "ZDA": (5, _zda),
}
"""Type -> least number of fields, address included, and decoder."""

_DECODED = frozenset(name.encode("ascii") for name in _DECODERS)
