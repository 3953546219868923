"""GPS receivers that talk NMEA 0183 on a serial line: u-blox, Quectel and nearly every other.

Source: receivers' logs and documents as named in drivers/nmea.py, which also draws the frame.

Read are RMC (position, speed, course) and GGA or GNS (altitude, satellites, dilution); the receiver must send RMC and
one of the others, which all do unless told otherwise. Each sentence is a reading of its own: receivers stamp the
sentences of one second differently (Quectel: 200 ms apart), so that putting them together would be guessing. The
position is taken from RMC alone, so that no fix is reported twice.

Invariants: a position is never made of a void, partial, estimated, manual or simulated fix: it is Bad(NO_FIX). Bytes
that are no sentence are skipped up to the next line end, and what is kept of an unfinished line is bounded.

Not known: whether a receiver sends the last position, as some do with status V, after it has lost the sky.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from drivers.nmea import MAX_SENTENCE, Gga, Rejected, Rmc, decode
from gateway.driver import Edge, Family, Heard, Pushed, point
from gateway.model import Bad, Point, Reason, Value, Values

MOVING_M_S = 1.0
"""Below this speed the course is noise, and is not reported."""

_NO_FIX = Bad(Reason.NO_FIX)
_OUT_OF_RANGE = Bad(Reason.OUT_OF_RANGE)
_MAX_SPEED_M_S = 515.0  # export rules stop civil receivers at 1,000 knots
_ALTITUDE_M = (-1000.0, 50_000.0)
_NO_HDOP = 99.0  # receivers write 99.99 for none
_MAX_LINE = MAX_SENTENCE + 1  # and a carriage return


@dataclass(frozen=True, slots=True)
class GpsOptions:
    """A receiver has a link to itself and nothing to set."""


class GpsNmea(Pushed):
    """One GPS receiver."""

    family: ClassVar[Family] = Family.STREAM
    options: ClassVar[type[GpsOptions]] = GpsOptions
    every_default_s: ClassVar[float] = 2.0

    def __init__(self, _options: GpsOptions) -> None:
        self._line = b""  # what has come of the present line
        self._skipping = False  # the present line is too long to be a sentence

    @property
    def points(self) -> tuple[Point, ...]:
        """Each named after its kind."""
        kinds = ("position", "speed", "course", "altitude", "satellites", "hdop")
        return tuple(point(kind, kind) for kind in kinds)

    @property
    def claims(self) -> tuple[str, ...]:
        """The whole stream."""
        return ("the stream",)

    def hear(self, heard: Heard) -> Iterable[Values]:
        """A reading for each RMC, GGA and GNS that `heard` completes."""
        if isinstance(heard.data, Edge):
            return ()
        *ends, rest = heard.data.split(b"\n")
        readings = [values for end in ends if (values := self._reading(end))]
        self._extend(rest)
        return readings

    def _reading(self, end: bytes) -> Values:
        """The reading of the line that `end` completes; nothing if it is none."""
        self._extend(end)
        line, self._line = self._line.removesuffix(b"\r"), b""
        skipped, self._skipping = self._skipping, False
        if skipped:
            return {}
        try:
            sentence = decode(line)
        except Rejected:
            return {}
        match sentence:
            case Rmc():
                return _motion(sentence)
            case Gga():
                return _fix(sentence)
        return {}

    def _extend(self, data: bytes) -> None:
        if self._skipping or len(self._line) + len(data) > _MAX_LINE:
            self._line, self._skipping = b"", True
        else:
            self._line += data


def _motion(rmc: Rmc) -> Values:
    if not rmc.usable or rmc.position is None:
        return {"position": _NO_FIX, "speed": _NO_FIX, "course": _NO_FIX}
    values: dict[str, Value | Bad] = {"position": rmc.position}
    if rmc.speed_m_s is not None:
        values["speed"] = rmc.speed_m_s if rmc.speed_m_s <= _MAX_SPEED_M_S else _OUT_OF_RANGE
        if rmc.course is not None and MOVING_M_S <= rmc.speed_m_s <= _MAX_SPEED_M_S:
            values["course"] = rmc.course
    return values


def _fix(gga: Gga) -> Values:
    values: dict[str, Value | Bad] = {}
    if gga.satellites is not None:
        values["satellites"] = gga.satellites
    if not gga.usable:
        return {**values, "altitude": _NO_FIX, "hdop": _NO_FIX}
    if gga.altitude_m is not None:
        low, high = _ALTITUDE_M
        values["altitude"] = gga.altitude_m if low <= gga.altitude_m <= high else _OUT_OF_RANGE
    if gga.hdop is not None:
        values["hdop"] = gga.hdop if gga.hdop < _NO_HDOP else _NO_FIX
    return values
