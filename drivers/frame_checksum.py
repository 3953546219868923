"""Checksums of frames on serial lines, as data and as a check. Pure.

    content of a frame: ... covered bytes ... | `gap` bytes | checksum | `behind` bytes

Sums are of single bytes. CRCs are described in the usual way (polynomial, initial value, reflection, final exclusive
or); left out, `crc16` is that of Modbus. Checked in tests/test_frames.py against the published check values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, reduce
from operator import xor
from typing import Annotated, Literal

from drivers.profile_rules import CHECKED
from gateway.driver import Doc

Kind = Literal["sum8", "twos8", "xor8", "crc8", "sum16", "crc16"]

_BITS: Mapping[Kind, int] = {"sum8": 8, "twos8": 8, "xor8": 8, "crc8": 8, "sum16": 16, "crc16": 16}


@dataclass(frozen=True, slots=True)
class Checksum:
    """Which checksum a frame has, and where."""

    __pydantic_config__ = CHECKED

    kind: Annotated[Kind, Doc("twos8 is what makes the sum 0 modulo 256")]
    first: Annotated[int, Doc("Bytes at the beginning of the frame that it does not cover")] = 0
    gap: Annotated[int, Doc("Bytes between what it covers and itself, as 1 for the * of NMEA")] = 0
    behind: Annotated[int, Doc("Bytes behind it, before the frame's end")] = 0
    written: Annotated[Literal["bytes", "hex"], Doc("hex: as digits, in letters of either size")] = "bytes"
    order: Annotated[Literal["big", "little"], Doc("Of the two bytes of sum16 and crc16")] = "big"
    polynomial: Annotated[int | None, Doc("Of a CRC; left out: 0x07 of crc8, 0x8005 of crc16")] = None
    initial: Annotated[int | None, Doc("Of a CRC; left out: 0 of crc8, 0xFFFF of crc16")] = None
    reflected: Annotated[bool | None, Doc("Of a CRC; left out: false of crc8, true of crc16")] = None
    final: Annotated[int, Doc("Of a CRC: exclusive or at the end")] = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        for name in ("first", "gap", "behind"):
            if not 0 <= getattr(self, name) <= 255:
                raise ValueError(f"{name}: from 0 to 255 bytes, not {getattr(self, name)}")
        is_crc = self.kind.startswith("crc")
        if not is_crc and (self.polynomial, self.initial, self.reflected, self.final) != (None, None, None, 0):
            raise ValueError(f"polynomial: this, initial, reflected and final are of a CRC, not of {self.kind}")
        most = (1 << _BITS[self.kind]) - 1
        for name in ("polynomial", "initial", "final"):
            if not 0 <= (getattr(self, name) or 0) <= most:
                raise ValueError(f"{name}: from 0 to {most:#x}, not {getattr(self, name)}")

    @property
    def size(self) -> int:
        """Bytes that it takes in the frame."""
        return _BITS[self.kind] // 8 * (2 if self.written == "hex" else 1)

    @property
    def least(self) -> int:
        """Bytes of the shortest frame that can have it: with one byte covered."""
        return self.first + 1 + self.tail

    @property
    def tail(self) -> int:
        """Bytes at the end of a frame that it does not cover: itself, and what is around it."""
        return self.gap + self.size + self.behind

    def fits(self, frame: bytes) -> bool:
        """Whether it is right."""
        if len(frame) < self.least:
            return False
        at = len(frame) - self.behind - self.size
        said = self._number(frame[at : at + self.size])
        return said is not None and said == _of(self)(frame[self.first : at - self.gap])

    def _number(self, said: bytes) -> int | None:
        if self.written == "bytes":
            return int.from_bytes(said, self.order)
        digits = b"0123456789abcdefABCDEF"
        if any(byte not in digits for byte in said):
            return None
        return int.from_bytes(bytes.fromhex(said.decode("ascii")), self.order)


@lru_cache(maxsize=64)
def _of(checksum: Checksum) -> Callable[[bytes], int]:
    """What computes it."""
    match checksum.kind:
        case "sum8":
            return lambda data: sum(data) & 0xFF
        case "sum16":
            return lambda data: sum(data) & 0xFFFF
        case "twos8":
            return lambda data: -sum(data) & 0xFF
        case "xor8":
            return lambda data: reduce(xor, data, 0)
    return _crc(checksum)


def _crc(of: Checksum) -> Callable[[bytes], int]:
    bits = _BITS[of.kind]
    is8 = bits == 8
    polynomial = of.polynomial if of.polynomial is not None else 0x07 if is8 else 0x8005
    initial = of.initial if of.initial is not None else 0 if is8 else 0xFFFF
    reflected = of.reflected if of.reflected is not None else not is8
    table = tuple(_crc_of_byte(byte, polynomial, bits, reflected=reflected) for byte in range(256))
    start = _mirrored(initial, bits) if reflected else initial

    def crc_of_reflected(data: bytes) -> int:
        value = start
        for byte in data:
            value = value >> 8 ^ table[(value ^ byte) & 0xFF]
        return value ^ of.final

    shift, rest = bits - 8, (1 << bits - 8) - 1

    def crc_of_plain(data: bytes) -> int:
        value = start
        for byte in data:
            value = (value & rest) << 8 ^ table[value >> shift ^ byte]
        return value ^ of.final

    return crc_of_reflected if reflected else crc_of_plain


def _crc_of_byte(byte: int, polynomial: int, bits: int, *, reflected: bool) -> int:
    value = (_mirrored(byte, 8) if reflected else byte) << bits - 8
    for _ in range(8):
        value = value << 1 ^ polynomial if value >> bits - 1 & 1 else value << 1
        value &= (1 << bits) - 1
    return _mirrored(value, bits) if reflected else value


def _mirrored(value: int, bits: int) -> int:
    return int(f"{value:0{bits}b}"[::-1], 2)
