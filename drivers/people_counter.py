"""Terabee TeraRanger Evo People Counter: people who pass a door, each way, as binary frames on USB or a UART.

    DD frame, streamed all the time (skipped)      PC frame, after each passage
    0  "DD"                                        0  "PC"
    2  distance 1   u16, mm                        2  sensor id    u32, newer firmware only
    4  distance 2   u16, mm                        2/6   inside    i32, people: in - out, may be negative
    6  CRC-8                                       6/10  in        u16, people from left to right
                                                   8/12  out       u16, people from right to left
                                                   10/14 CRC-8

Integers are big endian. CRC-8: polynomial 0x07, initial value 0, over all bytes before it.
Integrity, graded: header, length, CRC, and `inside` = in - out (modulo 65536), which the manual promises.

Source: Terabee user manuals of 2020 (without sensor id) and 2021 (with it); commands and CRC recomputed. The manuals do
not give the byte order; a published Python program for this sensor unpacks all integers as big endian.

Not known: whether any firmware streams text until told otherwise (the manual names no such command for this model, so
nothing is sent to the device), and where `inside` goes when a count rolls over at 65536. The counts start at 0 again
when the device loses power; the totals that follow from them do not (gateway/derive/counter.py). Nobody passing means
no reading: give the device an `every` of the longest quiet time. Of a frame the counts are kept and nothing else: no
distance, no picture, nothing of anybody.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from struct import Struct
from typing import ClassVar

from gateway.derive.doors import counting, made
from gateway.derive.totals import Totals
from gateway.driver import Edge, Family, Heard, Pushed, point
from gateway.model import Point, Values

_HEADERS = (b"DD", b"PC")
_DISTANCES = 7  # bytes of a DD frame
_COUNTS: Mapping[int, Struct] = {11: Struct(">2xiHH"), 15: Struct(">6xiHH")}
"""The two layouts of a PC frame by their length in bytes."""


_ROLLS_OVER_AT = 65_536
_COUNTINGS = tuple(counting(kind, kind, _ROLLS_OVER_AT) for kind in ("people_in", "people_out"))


def _crc8_table() -> bytes:
    table = bytearray()
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = (crc << 1) ^ 0x107 if crc & 0x80 else crc << 1
        table.append(crc)
    return bytes(table)


_CRC8 = _crc8_table()


def crc8(data: bytes) -> int:
    """The CRC-8 of `data`: polynomial 0x07, initial value 0, no reflection."""
    crc = 0
    for byte in data:
        crc = _CRC8[crc ^ byte]
    return crc


@dataclass(frozen=True, slots=True)
class PeopleCounterOptions:
    """A people counter has a link to itself and nothing to set."""


class PeopleCounter(Pushed):
    """The counts of one Evo People Counter, as they come.

    Which of the two layouts a device has shows only in its frames. The first frame, and the first after a damaged one,
    is believed when exactly one layout fits and the next frame follows it; from then on each frame when it is complete.
    """

    family: ClassVar[Family] = Family.STREAM
    options: ClassVar[type[PeopleCounterOptions]] = PeopleCounterOptions
    every_default_s: ClassVar[float] = 14400.0  # silent for three times that: half a day without anybody

    def __init__(self, _options: PeopleCounterOptions) -> None:
        self._heard = b""
        self._length: int | None = None  # of this device's PC frames, once it is known

    @property
    def points(self) -> tuple[Point, ...]:
        """People in, people out, how many the device takes to be inside; and what follows from the first two."""
        return (
            point("people_in", "people_in"),
            point("people_out", "people_out"),
            point("people", "people"),
            *(point(name, kind) for name, kind in made((it, it.point) for it in _COUNTINGS)),
        )

    def derivation(self, timezone: tzinfo) -> Totals:
        """Totals and flow each way."""
        del timezone
        return Totals(_COUNTINGS)

    @property
    def claims(self) -> tuple[str, ...]:
        """The whole stream."""
        return ("the stream",)

    def hear(self, heard: Heard) -> Iterable[Values]:
        """The counts of each PC frame that `heard` completes."""
        if isinstance(heard.data, Edge):
            return ()
        buffer = self._heard + heard.data
        readings = []
        at = _next_header(buffer, 0)
        while (length := self._length_at(buffer, at)) is not None:
            if length in _COUNTS:
                readings.append(_counts(buffer[at : at + length]))
            at = _next_header(buffer, at + (length or 1))
        self._heard = buffer[at:]
        return readings

    def _length_at(self, buffer: bytes, at: int) -> int | None:
        """How long the frame at `at` is; 0 if there is none, None if that takes more bytes to tell (16 at most)."""
        left = len(buffer) - at
        if left < 2:
            return None
        if buffer.startswith(b"DD", at):
            if left < _DISTANCES:
                return None
            return _DISTANCES if _is_whole(buffer[at : at + _DISTANCES]) else 0
        if self._length is not None:
            if left < self._length:
                return None
            if _is_count(buffer[at : at + self._length]):
                return self._length
            self._length = None
        if left < max(_COUNTS) + 2:
            return None
        fits = [it for it in _COUNTS if _is_count(buffer[at : at + it]) and buffer.startswith(_HEADERS, at + it)]
        if len(fits) != 1:
            return 0
        self._length = fits[0]
        return self._length


def _next_header(buffer: bytes, at: int) -> int:
    """Where the next header begins, or may begin with the last byte; the end where none does."""
    found = [place for header in _HEADERS if (place := buffer.find(header, at)) >= 0]
    if found:
        return min(found)
    return len(buffer) - 1 if buffer[at:].endswith((b"D", b"P")) else len(buffer)


def _is_whole(frame: bytes) -> bool:
    return crc8(frame[:-1]) == frame[-1]


def _is_count(frame: bytes) -> bool:
    """Whether this is a PC frame: checksum right, and the three numbers agree with each other."""
    inside, came, left = _COUNTS[len(frame)].unpack_from(frame)
    return _is_whole(frame) and (inside - came + left) % 0x10000 == 0


def _counts(frame: bytes) -> Values:
    inside, came, left = _COUNTS[len(frame)].unpack_from(frame)
    return {"people_in": came, "people_out": left, "people": inside}
