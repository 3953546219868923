"""The reports of gpsd: one JSON object on each line. Pure.

    {"class":"VERSION","release":"3.22","rev":"3.22","proto_major":3,"proto_minor":14}
    {"class":"TPV","device":"/dev/ttyACM0","mode":3,"time":"2026-11-22T13:58:41.000Z","lat":31.2304,"lon":121.4737, ...}
    {"class":"SKY","device":"/dev/ttyACM0","hdop":0.90,"nSat":11,"uSat":8,"satellites":[{"PRN":1,"used":true, ...}]}

Invariants: nothing but ValueError is raised, whatever the bytes; a field that is missing, or cannot be what it should,
is None; what is kept of a line is bounded.

Source: gpsd_json(5) of gpsd 3.22 to 3.27, and a running gpsd 3.22.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Final, NamedTuple, TypeAlias

from drivers.gps_fix import Fix, ts_of, unrolled
from drivers.nmea import ESTIMATED, MANUAL, NONE, SIMULATED
from drivers.nmea_field import time_ms
from gateway.model import Json
from gateway.untrusted import MAX_BYTES, parsed

PROTOCOL: Final = 3
"""The `proto_major` that is understood: it changes when a program as this one would be misled."""

_DIMENSIONS = {2: "2d", 3: "3d"}
_NOT_MEASURED = {5: ESTIMATED, 7: MANUAL, 8: SIMULATED}  # by `status`: dead reckoning alone, surveyed, simulated
_LONGEST_PATH = 256
_Fields: TypeAlias = Mapping[str, Json]


class Version(NamedTuple):
    """What gpsd says first."""

    major: int | None


class Position(NamedTuple):
    """TPV: what the receiver at `device` found, and when as gpsd writes it. Satellites and dilution are not in it."""

    device: str
    time: str
    fix: Fix


class Sky(NamedTuple):
    """SKY: how many satellites the receiver at `device` uses, and their horizontal dilution."""

    device: str
    satellites: int | None
    hdop: float | None


class Receiver(NamedTuple):
    """DEVICE: a receiver that gpsd has opened, or closed."""

    device: str
    open: bool


Report: TypeAlias = Version | Position | Sky | Receiver


def report(line: bytes) -> Report | None:
    """The report on this line; None if it is of another class. ValueError if it is none."""
    fields = parsed(line, "a report of gpsd")
    match fields.get("class"):
        case "TPV":
            return Position(_path(fields, "device"), _text(fields, "time"), _fix(fields))
        case "SKY":
            return Sky(_path(fields, "device"), _used(fields), _number(fields, "hdop", 0, 1000))
        case "DEVICE":
            return Receiver(_path(fields, "path"), fields.get("activated") not in (0, None))
        case "VERSION":
            return Version(_whole(fields.get("proto_major")))
    return None


def _fix(fields: _Fields) -> Fix:
    latitude, longitude = _number(fields, "lat", -90, 90), _number(fields, "lon", -180, 180)
    position = None if latitude is None or longitude is None else (round(latitude, 7), round(longitude, 7))
    word = _DIMENSIONS.get(_whole(fields.get("mode")) or 0, NONE)
    if word != NONE:
        word = _NOT_MEASURED.get(_whole(fields.get("status")) or 0, word) if position is not None else NONE
    return Fix(
        word,
        position,
        _number(fields, "speed", 0),
        _number(fields, "track", 0, 360),
        _number(fields, "altMSL" if "altMSL" in fields or "altHAE" in fields else "alt"),
        ts=_ts(_text(fields, "time")) if word in _DIMENSIONS.values() else None,
    )


def _used(fields: _Fields) -> int | None:
    """How many satellites are used: `uSat`, which gpsd before 3.22 does not have."""
    count = _whole(fields.get("uSat"))
    satellites = fields.get("satellites")
    if count is not None or not isinstance(satellites, list):
        return count
    return sum(isinstance(each, dict) and each.get("used") is True for each in satellites)


def _ts(text: str) -> int | None:
    """The UTC time (ms) of 2026-11-22T13:58:41.000Z; None if it is none."""
    day, _, time = text.partition("T")
    ms = time_ms(time.removesuffix("Z").replace(":", ""))
    try:
        meant = unrolled(date.fromisoformat(day))
    except ValueError:
        return None
    return None if ms is None or meant is None else ts_of(meant, ms)


def _number(fields: _Fields, name: str, least: float | None = None, most: float | None = None) -> float | None:
    value = fields.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return None if (least is not None and value < least) or (most is not None and value > most) else float(value)


def _whole(value: Json) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _text(fields: _Fields, name: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) else ""


def _path(fields: _Fields, name: str) -> str:
    return _text(fields, name)[:_LONGEST_PATH]


class Lines:
    """The lines of a stream of bytes; one that is longer than any report is passed over."""

    def __init__(self) -> None:
        self._rest = b""
        self._skips = False  # the present line is too long to be a report

    def cut(self, data: bytes) -> list[bytes]:
        """The lines that `data` completes, without their ends."""
        *lines, rest = (self._rest + data).split(b"\n")
        if lines and self._skips:
            del lines[0]
            self._skips = False
        self._skips = self._skips or len(rest) > MAX_BYTES
        self._rest = b"" if self._skips else rest
        return [it for line in lines if len(line) <= MAX_BYTES and (it := line.strip())]
