"""DS18B20 thermometer on 1-wire, read through the kernel's driver w1_therm.

    /sys/bus/w1/devices/28-0316a4c1e9ff/w1_slave

    72 01 4b 46 7f ff 0e 10 57 : crc=57 YES
    72 01 4b 46 7f ff 0e 10 57 t=23125
    0     temperature      i16, little endian, 1/16 °C
    2     alarm limits, configuration, reserved
    8     CRC-8 of the eight bytes before it, polynomial 0x8C, reflected

Integrity, graded: two lines of nine bytes that are the same, the kernel's YES, and the CRC computed once more. Nine
zeros have a right CRC: that is a shorted line, and refused. 85 °C exactly is what the sensor holds before it has ever
measured, after a brown-out as well: it is bad, though it may be true for once.

Source: the DS18B20 data sheet (scratchpad, temperature register, CRC; its table of examples is in the tests), and the
kernel's documentation of w1_therm for the file.

Not known: how clones behave that keep their last value when a measurement fails; such a value is no other than a true
one. `stuck_after` finds one that stands still. On a long or branched line without its own supply values are missing now
and then: that is no fault of the program.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from struct import unpack_from
from typing import Annotated, ClassVar

from gateway.driver import Doc, Family, Files, Polled, point
from gateway.errors import NoReply
from gateway.model import Bad, Point, Reason, Values

_ID = re.compile(r"28-[0-9a-f]{12}")
_LINES = re.compile(r"((?:[0-9a-f]{2} ){9}): crc=[0-9a-f]{2} (YES|NO)\n\1t=-?\d{1,7}\n?")
_POWER_ON = 85.0
_RANGE_C = (-55.0, 125.0)


def crc8(data: bytes) -> int:
    """The CRC-8 of 1-wire: polynomial 0x8C, reflected, initial value 0."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0x8C if crc & 1 else crc >> 1
    return crc


@dataclass(frozen=True, slots=True)
class Ds18b20Options:
    """Which sensor it is."""

    id: Annotated[str, Doc("As the kernel names it: 28- and twelve hexadecimal digits; `ls /sys/bus/w1/devices`")]

    def __post_init__(self) -> None:
        """Refuse what is no such name."""
        if not _ID.fullmatch(self.id):
            raise ValueError("id: 28- and twelve hexadecimal digits in small letters, as in 28-0316a4c1e9ff")


class Ds18b20(Polled):
    """One DS18B20: the point `temperature`."""

    family: ClassVar[Family] = Family.FILES
    options: ClassVar[type[Ds18b20Options]] = Ds18b20Options

    def __init__(self, options: Ds18b20Options) -> None:
        self._id = options.id

    @property
    def points(self) -> tuple[Point, ...]:
        """The temperature."""
        low, high = _RANGE_C
        return (point("temperature", "temperature", least=low, most=high),)

    @property
    def claims(self) -> tuple[str, ...]:
        """The sensor."""
        return (f"id {self._id}",)

    def poll(self, link: Files) -> Values:
        """One measurement, which takes the sensor 750 ms at 12 bits."""
        text = link.read(f"/sys/bus/w1/devices/{self._id}/w1_slave")
        found = _LINES.fullmatch(text)
        if found is None:
            raise NoReply("half_frame", f"{self._id} is not told as the kernel should", "check the line and its supply")
        scratchpad = bytes.fromhex(found[1])
        if found[2] != "YES" or crc8(scratchpad[:8]) != scratchpad[8] or not any(scratchpad):
            raise NoReply("checksum", f"{self._id} was disturbed", "check the pull-up of 4.7 kohm and the cable")
        return {"temperature": _temperature(scratchpad)}


def _temperature(scratchpad: bytes) -> float | Bad:
    (raw,) = unpack_from("<h", scratchpad)
    temperature: float = raw / 16
    low, high = _RANGE_C
    if temperature == _POWER_ON:
        return Bad(Reason.SENSOR_FAULT)
    return temperature if low <= temperature <= high else Bad(Reason.OUT_OF_RANGE)
