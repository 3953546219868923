"""A simulated people counter at an entrance, in the frames of Terabee's Evo People Counter without a sensor id.

    "PC" | net i32 | in u16 | out u16 | CRC-8      the counts after each passage, high byte first
    "DD" | distance1 u16 | distance2 u16 | CRC-8   two distances (mm), streamed all the time

CRC-8: polynomial 0x07, start 0, over all bytes before it. Source: the manufacturer's manual, editions of 2020 and 2021.
"""

from __future__ import annotations

import math
import struct
import time

from gateway.demo.drift import Crowd
from gateway.demo.port import SerialPort
from gateway.demo.wiring import Wiring

_TICK_S = 0.1


def crc8(data: bytes) -> int:
    """CRC-8 with the polynomial 0x07 and start value 0."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x07) & 0xFF if crc & 0x80 else crc << 1
    return crc


def counts_frame(net: int, came: int, left: int) -> bytes:
    """A frame with the totals; they roll over at 65,536, as the sensor's do."""
    frame = b"PC" + struct.pack(">iHH", net, came & 0xFFFF, left & 0xFFFF)
    return frame + bytes((crc8(frame),))


def distances_frame(first_mm: int, second_mm: int) -> bytes:
    """A frame with what the two halves of the sensor see."""
    frame = b"DD" + struct.pack(">HH", first_mm, second_mm)
    return frame + bytes((crc8(frame),))


class PeopleCounter:
    """Streams the passages of `crowd` on a port: counts after each passage, distances all the time."""

    def __init__(self, wiring: Wiring, port: SerialPort, crowd: Crowd) -> None:
        self.crowd = crowd
        self._wiring = wiring
        self._port = port

    def tick(self) -> None:
        """Say what is due, and come again. On the wiring's thread."""
        now = time.monotonic()
        height_mm = round(2200 + 40 * math.sin(now))
        self._port.say(distances_frame(height_mm, height_mm + 15))
        if self.crowd.step(now):
            self._port.say(counts_frame(self.crowd.inside, self.crowd.came, self.crowd.left))
        self._wiring.at(now + _TICK_S, self.tick)
