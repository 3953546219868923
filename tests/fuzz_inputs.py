"""Inputs that nobody meant: random bytes, damaged captures, and arbitrary fields behind checksums that are right.

What has a checksum hides what is behind it from random bytes; so a decoder may have a seal, which puts the right one on
whatever it is given. A decoder without one gets the other two.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from random import Random

from drivers.ds18b20 import crc8 as one_wire_crc8
from drivers.nmea_frame import xor_of
from drivers.people_counter import crc8

LONGEST = 64
STRANGE = ("", "-", "-1", "0", "1", "7", "8", "60", "99.99", "1e9", "nan", "inf", "2208-1", "A", "V", "N", "E", "S")
NUMBERS = (0, 1, 2, 3, -1, 0.0, -0.0, 31.2304, 121.4737, 90.1, 1e308, 2**53, 2**63, 99.99)
WORDS = (
    "TPV",
    "SKY",
    "DEVICE",
    "VERSION",
    "/dev/ttyACM0",
    "2036-11-22T13:58:41.000Z",
    "2036-13-40T25:61:61Z",
    "\ud83d",
)
NAMES = ("class", "device", "path", "mode", "status", "time", "lat", "lon", "altMSL", "alt", "speed", "track")
SKY_NAMES = ("hdop", "uSat", "satellites", "proto_major", "activated", "used")
Seal = Callable[[Random, Sequence[bytes]], bytes]


def damaged(chance: Random, samples: Sequence[bytes]) -> bytes:
    """A sample with some bytes changed, lost, repeated, or put in place of others; or two of them as one."""
    data = bytearray(chance.choice(samples))
    for _ in range(1 + int(chance.random() * 3)):
        at = int(chance.random() * (len(data) + 1))
        size = int(chance.random() * 8)
        what = chance.random()
        if what < 0.4 and data:
            data[at % len(data)] = int(chance.random() * 256)
        elif what < 0.6:
            del data[at : at + size]
        elif what < 0.75:
            data[at:at] = data[at : at + size]
        elif what < 0.9:
            data[at:at] = chance.randbytes(size)
        else:
            other = chance.choice(samples)
            data[at:] = other[int(chance.random() * (len(other) + 1)) :]
    return bytes(data[:4096])


def sentence(chance: Random, samples: Sequence[bytes]) -> bytes:
    """An NMEA sentence of arbitrary fields, or of a sample with some of its fields changed."""
    sample = chance.choice(samples)
    start = sample.find(b"$")
    fields = sample[start + 1 :].partition(b"*")[0].decode("latin-1").split(",") if start >= 0 else ["GPRMC"]
    for _ in range(int(chance.random() * 4)):
        what = int(chance.random() * 5)
        at = int(chance.random() * len(fields))
        if what < 3:
            fields[at] = chance.choice(STRANGE)
        elif what == 3 and len(fields) > 1:
            del fields[at]
        else:
            fields[at:at] = [str(chance.randrange(-(10**7), 10**7) / 1000)]
    body = ",".join(fields).encode("latin-1", "replace")[:124]
    return b"$%s*%02X\r\n" % (body, xor_of(body))


def report(chance: Random, samples: Sequence[bytes]) -> bytes:
    """A report of gpsd with arbitrary fields, or a sample with some of them changed."""
    fields: dict[str, object] = {}
    if chance.random() < 0.7:
        try:
            found = json.loads(chance.choice(samples))
            fields = found if isinstance(found, dict) else {}
        except ValueError:
            fields = {}
    for _ in range(int(chance.random() * 4)):
        fields[chance.choice(NAMES if chance.random() < 0.7 else SKY_NAMES)] = thing(chance, 2)
    fields.setdefault("class", chance.choice(WORDS))
    return json.dumps(fields).encode() + b"\n"


def thing(chance: Random, depth: int) -> object:
    """Any JSON."""
    what = int(chance.random() * 8)
    if what < 3:
        return chance.choice(NUMBERS)
    if what < 5:
        return chance.choice(WORDS)
    if what == 5:
        return chance.choice((None, True, False))
    if depth == 0:
        return chance.random() * 360 - 180
    if what == 6:
        return [thing(chance, depth - 1) for _ in range(int(chance.random() * 4))]
    return {chance.choice(SKY_NAMES): thing(chance, depth - 1) for _ in range(int(chance.random() * 4))}


def passage(chance: Random, samples: Sequence[bytes]) -> bytes:
    """A frame of a Terabee counter: either length, the three numbers agreeing or not."""
    del samples
    size = 4 if chance.random() < 0.2 else 12 if chance.random() < 0.2 else 8
    body = (b"DD" if size == 4 else b"PC") + chance.randbytes(size)
    if size != 4 and chance.random() < 0.8:
        came, left = int.from_bytes(body[-4:-2]), int.from_bytes(body[-2:])
        body = body[:-8] + (came - left).to_bytes(4, signed=True) + body[-4:]
    return body + bytes([crc8(body)])


def summed16(chance: Random, samples: Sequence[bytes]) -> bytes:
    """A frame of a Plantower dust sensor with arbitrary numbers."""
    del samples
    body = b"BM\0\x1c" + chance.randbytes(26)
    return body + sum(body).to_bytes(2)


def summed8(chance: Random, samples: Sequence[bytes]) -> bytes:
    """An answer of a Winsen CO2 sensor with arbitrary numbers."""
    del samples
    body = b"\xff\x86" + chance.randbytes(6)
    return body + bytes([-sum(body[1:]) & 0xFF])


def scratchpad(chance: Random, samples: Sequence[bytes]) -> bytes:
    """What the kernel writes of a thermometer on 1-wire, with arbitrary bytes that have their checksum."""
    del samples
    body = chance.randbytes(8)
    shown = " ".join(f"{byte:02x}" for byte in (*body, one_wire_crc8(body)))
    return f"{shown} : crc={shown[-2:]} YES\n{shown} t={chance.randrange(-200_000, 200_000)}\n".encode()


SEALS: Mapping[str, Sequence[Seal]] = {
    "ds18b20": (scratchpad,),
    "gps_gpsd": (report,),
    "gps_nmea": (sentence,),
    "people_counter": (passage,),
    "serial_frames": (summed16, summed8),
}
"""Driver -> what puts right checksums on arbitrary fields."""


def chunk(chance: Random, samples: Sequence[bytes], seals: Sequence[Seal]) -> bytes:
    """Some bytes as a link may hand them over."""
    what = chance.random()
    if what < 0.2 or not samples:
        return chance.randbytes(int(chance.random() * LONGEST))
    if what < 0.6 or not seals:
        return damaged(chance, samples)
    return chance.choice(seals)(chance, samples)
