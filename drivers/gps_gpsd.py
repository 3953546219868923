"""GPS receivers that gpsd has, over its TCP port (2947): whatever they talk, and beside other programs that need them.

    ?WATCH={"enable":true,"json":true};     sent once; then gpsd reports by itself (drivers/gpsd_report.py draws that)

Source: gpsd_json(5) of gpsd 3.22 to 3.27; tried with a running gpsd 3.22, fed with sentences.

The points are those of drivers/gps_fix.py, one reading for each epoch: a TPV with the time of the one before is passed
over, since gpsd repeats itself when it learns more of an epoch. Satellites and dilution come in another report, SKY,
mostly after the TPV of their epoch: those beside a position are the newest, of at most SKY_LASTS_S before.

One gpsd may have several receivers. `device` names the one that is meant, as gpsd calls it; devices that name theirs
may share a link. Without it, it is the first that reports, until gpsd says that it has closed that one.

Invariants: no position without mode 2 or 3, both coordinates, and a status that is no estimate, survey or simulation.
A gpsd that speaks another protocol than PROTOCOL is not believed: its device is silent, with reports that cannot be
read. Reports are bounded, and those that are none are passed over and counted.

Not known: how late gpsd is, for `time_source`: what the line to the receiver takes is not in its reports.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, ClassVar

from drivers import gps_fix
from drivers.gpsd_report import PROTOCOL, Lines, Position, Receiver, Sky, Version, report
from gateway.driver import Doc, Edge, Family, Heard, Pushed
from gateway.model import Point, Values

SKY_LASTS_S = 2.0
"""How old satellites and dilution may be beside a position; receivers tell of them once a second."""


@dataclass(frozen=True, slots=True)
class GpsdOptions:
    """Which receiver of gpsd."""

    device: Annotated[str, Doc("The receiver, as gpsd names it: /dev/ttyACM0. Left out, the first that reports")] = ""
    time_source: Annotated[bool, Doc("Whether a good fix may tell the gateway the time where its clock is not set")] = (
        False
    )


class GpsGpsd(Pushed):
    """One receiver behind a gpsd."""

    family: ClassVar[Family] = Family.STREAM
    options: ClassVar[type[GpsdOptions]] = GpsdOptions
    every_default_s: ClassVar[float] = 2.0
    greeting: ClassVar[bytes] = b'?WATCH={"enable":true,"json":true};\n'

    def __init__(self, options: GpsdOptions) -> None:
        self._wanted = options.device
        self._time_source = options.time_source
        self._dropped = 0
        self._begin()

    def _begin(self) -> None:
        self._lines = Lines()
        self._understood = True
        self._device = self._wanted  # "": not known yet
        self._sky: Sky | None = None
        self._sky_at = 0.0
        self._last = ""  # the time of the last position

    @property
    def points(self) -> tuple[Point, ...]:
        """Those of a fix."""
        return gps_fix.points(time_source=self._time_source)

    @property
    def claims(self) -> tuple[str, ...]:
        """Its receiver, where that is named; else the whole stream."""
        return (f"receiver {self._wanted}",) if self._wanted else ("the stream",)

    @property
    def dropped(self) -> int:
        """Lines that are no reports, and reports in another protocol."""
        return self._dropped

    def opened(self) -> None:
        """Nothing goes on."""
        self._begin()

    def hear(self, heard: Heard) -> Iterable[Values]:
        """A reading for each epoch."""
        if isinstance(heard.data, Edge):
            return ()
        return [values for line in self._lines.cut(heard.data) if (values := self._reading(line, heard.mono))]

    def _reading(self, line: bytes, mono: float) -> Values:
        """The reading on this line; nothing if there is none."""
        try:
            said = report(line)
        except ValueError:
            self._dropped += 1
            return {}
        if isinstance(said, Version):
            self._understood = said.major == PROTOCOL
        elif not self._understood:
            self._dropped += 1
        elif isinstance(said, Receiver):
            self._followed(said)
        elif isinstance(said, Sky) and self._is_mine(said.device):
            self._sky, self._sky_at = said, mono
        elif isinstance(said, Position) and self._is_mine(said.device):
            return self._fix(said, mono)
        return {}

    def _followed(self, said: Receiver) -> None:
        if not said.open and said.device == self._device and not self._wanted:
            self._device, self._sky = "", None

    def _is_mine(self, device: str) -> bool:
        self._device = self._device or device
        return device == self._device

    def _fix(self, said: Position, mono: float) -> Values:
        if said.time and said.time == self._last:
            return {}
        self._last = said.time
        fix = said.fix
        if self._sky is not None and mono - self._sky_at <= SKY_LASTS_S:
            fix = fix._replace(satellites=self._sky.satellites, hdop=self._sky.hdop)
        values = gps_fix.values(fix)
        return values if not self._time_source or fix.ts is None else {**values, "time": fix.ts}
