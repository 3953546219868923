"""EXAMPLE 1 by nobody: a thermometer that talks by itself, once a second. Copy this file to write a driver.

    0  0xA5
    1  status       u8, bit 0: probe missing, the rest unused
    2  temperature  i16, big endian, 0.1 °C
    4  sum of the bytes 0 to 3, modulo 256

Integrity: start byte and sum; then the range of the probe, -40 to 85 °C.
Source: none, the device is invented. A real driver names document and section, and the recordings it was tried on.
Not known: say here what the document leaves open.

What to do, in order: read drivers/README.md; draw the frame above; write the options and the class; register the
driver in drivers/__init__.py; add three captures with goldens under tests/drivers/<driver>/: a normal one, an edge
(negative, overflow, no fix) and a corrupted one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from struct import Struct
from typing import ClassVar

from gateway.driver import Edge, Family, Heard, Pushed, point
from gateway.model import Bad, Point, Reason, Value, Values

_FRAME = Struct(">BBhB")
_START = b"\xa5"
_PROBE_MISSING = 0x01


@dataclass(frozen=True, slots=True)
class TemplateOptions:
    """What the configuration may say of one device, beside link and zone; checked before the driver is built."""

    offset: float = 0.0  # °C, added to what the device says

    def __post_init__(self) -> None:
        """Refuse with a ValueError that begins with the option's name; the configuration adds file and line."""
        if not -10 <= self.offset <= 10:
            raise ValueError(f"offset: from -10 to 10 °C, not {self.offset}")


class Template(Pushed):
    """One EXAMPLE 1."""

    family: ClassVar[Family] = Family.STREAM
    options: ClassVar[type[TemplateOptions]] = TemplateOptions
    every_default_s: ClassVar[float] = 5.0

    def __init__(self, options: TemplateOptions) -> None:
        self._offset = options.offset
        self._heard = b""

    @property
    def points(self) -> tuple[Point, ...]:
        """One temperature: its kind fixes the unit."""
        return (point("temperature", "temperature"),)

    @property
    def claims(self) -> tuple[str, ...]:
        """The whole stream: no second device fits on this link."""
        return ("the stream",)

    def hear(self, heard: Heard) -> Iterable[Values]:
        """The reading of each frame that `heard` completes; what is left is shorter than a frame."""
        if isinstance(heard.data, Edge):
            return ()
        buffer = self._heard + heard.data
        readings = []
        at = _next_start(buffer, 0)
        while len(buffer) - at >= _FRAME.size:
            frame = buffer[at : at + _FRAME.size]
            whole = sum(frame[:-1]) % 256 == frame[-1]
            if whole:
                readings.append({"temperature": self._temperature(frame)})
            at = _next_start(buffer, at + (_FRAME.size if whole else 1))
        self._heard = buffer[at:]
        return readings

    def _temperature(self, frame: bytes) -> Value | Bad:
        status: int
        tenths: int
        _, status, tenths, _ = _FRAME.unpack(frame)
        if status & _PROBE_MISSING:
            return Bad(Reason.SENSOR_FAULT)
        if not -400 <= tenths <= 850:
            return Bad(Reason.OUT_OF_RANGE)
        return round(tenths / 10 + self._offset, 1)


def _next_start(buffer: bytes, at: int) -> int:
    """Where the next frame may begin; the end where none does."""
    found = buffer.find(_START, at)
    return found if found >= 0 else len(buffer)
