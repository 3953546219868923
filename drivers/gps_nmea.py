"""GPS receivers that talk NMEA 0183 on a serial line: u-blox, Quectel and nearly every other.

Source: receivers' logs and documents as named in drivers/nmea.py and drivers/nmea_frame.py, which draws the frame.

Read are RMC (position, speed, course) and GGA or GNS (altitude, satellites, dilution), which most receivers send; one
reading for both (drivers/gps_epoch.py says how). GSA tells whether a fix has three dimensions, ZDA the date, and VTG
the speed where there is no RMC. Of a receiver that sends GGA more seldom than RMC, satellites and dilution are told by
themselves. The points are those of drivers/gps_fix.py.

Invariants: a position is never made of a void, partial, estimated, manual or simulated fix: it is Bad(NO_FIX). Bytes
that are no sentence (UBX, RTCM, another baud rate) are passed over, and what is kept of an unfinished line is bounded.

As a source of time (`time_source: true`) the date and time of a fix are told as the point `time`, later by as long as
its bytes took on the line, counted from the last pause. What the receiver itself takes before it speaks is in no
sentence: 50 to 500 ms, so the time is late by that.

Not known: whether a receiver sends the last position, as some do with status V, after it has lost the sky.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, ClassVar

from drivers import gps_fix
from drivers.gps_epoch import Epochs
from drivers.gps_fix import Fix
from drivers.nmea import MEASURED, Gga, Gsa, Rmc, Vtg, Zda, decode, is_decoded
from drivers.nmea_frame import Rejected, Sentences
from gateway.driver import Doc, Edge, Family, Heard, Pushed
from gateway.model import Point, Values
from gateway.wiretime import WireTime

_PAUSE_S = 0.1  # between the sentences of two epochs
_LONGEST_BURST_S = 1.0


@dataclass(frozen=True, slots=True)
class GpsOptions:
    """A receiver has a link to itself."""

    time_source: Annotated[bool, Doc("Whether a good fix may tell the gateway the time where its clock is not set")] = (
        False
    )


class GpsNmea(Pushed):
    """One GPS receiver."""

    family: ClassVar[Family] = Family.STREAM
    options: ClassVar[type[GpsOptions]] = GpsOptions
    every_default_s: ClassVar[float] = 2.0

    def __init__(self, options: GpsOptions) -> None:
        self._time_source = options.time_source
        self._char_s = 0.0
        self._dropped = 0
        self._sentences = Sentences()
        self._epochs = Epochs()
        self._burst = 0  # bytes since the last pause
        self._heard_at = float("-inf")

    @property
    def points(self) -> tuple[Point, ...]:
        """Those of a fix."""
        return gps_fix.points(time_source=self._time_source)

    @property
    def claims(self) -> tuple[str, ...]:
        """The whole stream."""
        return ("the stream",)

    @property
    def dropped(self) -> int:
        """Sentences of a type that is read, which were not right."""
        return self._dropped

    def meet(self, wire: WireTime) -> None:
        """What the bytes before a fix take on the line."""
        self._char_s = wire.character_s

    def opened(self) -> None:
        """Nothing goes on."""
        self._sentences = Sentences()
        self._epochs = Epochs()
        self._burst, self._heard_at = 0, float("-inf")

    def hear(self, heard: Heard) -> Iterable[Values]:
        """A reading for each epoch that `heard` completes."""
        if isinstance(heard.data, Edge):
            return ()
        if heard.mono - self._heard_at >= _PAUSE_S:
            self._burst = 0
        self._heard_at = heard.mono
        self._burst += len(heard.data)
        lines = self._sentences.cut(heard.data)
        return [values for line in lines if is_decoded(line) and (values := self._reading(line))]

    def _reading(self, line: bytes) -> Values:
        """The reading that this line completes; nothing if it completes none."""
        try:
            sentence = decode(line)
        except Rejected:
            self._dropped += 1
            return {}
        match sentence:
            case Rmc() | Gga():
                is_alone = self._epochs.without_gga
                fix = self._epochs.told(sentence)
                if fix is not None:
                    return self._values(fix)
                if is_alone and isinstance(sentence, Gga):
                    return gps_fix.quality(sentence.satellites, sentence.hdop)
            case Gsa():
                self._epochs.described(sentence)
            case Zda():
                self._epochs.dated(sentence)
            case Vtg() if self._epochs.without_rmc and sentence.fix == MEASURED:
                return gps_fix.motion(sentence.speed_m_s, sentence.course)
        return {}

    def _values(self, fix: Fix) -> Values:
        values = gps_fix.values(fix)
        if not self._time_source or fix.ts is None:
            return values
        late_ms = round(min(self._burst * self._char_s, _LONGEST_BURST_S) * 1000)
        return {**values, "time": fix.ts + late_ms}
