"""NMEA 0183 sentences found in a stream of bytes, and taken apart: right in every byte, or Rejected. Pure.

    $GNRMC,171926.00,A,4404.14063,N,12118.85478,W,0.117,,180315,,,A*76 CR LF
    ^^ ^   ^ fields, separated by commas                            ^^ XOR of the bytes between $ and *, in hex
    |  type: what the fields are
    talker: which satellites (GP, GL, GA, GB, GN, ...); every one is accepted

Invariants: what is kept of a stream is bounded; whatever stands before the last `$` of a line (binary protocols of the
same receiver, another baud rate, half a sentence) costs no sentence behind it.

Source: NMEA 0183 4.11 as used by minmea, gpsd and pynmea2. Not known: sentences of more than 82 characters are against
the standard and common, so 128 are accepted.
"""

from __future__ import annotations

import re

MAX_SENTENCE = 128
"""Most bytes of a sentence, without its line end."""

_CHECKSUM = re.compile(r"[0-9A-Fa-f]{2}", re.ASCII).fullmatch
_MOST_KEPT = MAX_SENTENCE + 1  # and a carriage return


class Rejected(ValueError):  # noqa: N818 - named as the vectors name it
    """Bytes that are no sentence, or a sentence with a field that cannot be; the text is one word for why."""


def fields_of(line: bytes) -> list[str]:
    """Address and fields of a whole sentence, without its line end; Rejected if it is none."""
    if len(line) > MAX_SENTENCE:
        raise Rejected("too_long")
    try:
        text = line.decode("ascii")
    except UnicodeDecodeError:
        raise Rejected("not_ascii") from None
    if not (text.startswith("$") and text.isprintable()):
        raise Rejected("no_sentence")
    if text.rfind("$"):
        raise Rejected("extra_dollar")
    body, star, checksum = text[1:].partition("*")
    if not star:
        raise Rejected("no_checksum")
    if not _CHECKSUM(checksum):
        raise Rejected("bad_checksum_field")
    if xor_of(line[1 : len(body) + 1]) != int(checksum, 16):
        raise Rejected("checksum_mismatch")
    return body.split(",")


def xor_of(data: bytes) -> int:
    """All bytes (MAX_SENTENCE at most) combined by exclusive or: the number that they are, folded down to a byte."""
    number = int.from_bytes(data)
    for bits in (512, 256, 128, 64, 32, 16, 8):
        number = (number >> bits) ^ (number & ((1 << bits) - 1))
    return number


class Sentences:
    """What may be sentences, cut out of a stream of bytes."""

    def __init__(self) -> None:
        self._rest = b""  # of the present line, from its last `$` on

    def cut(self, data: bytes) -> list[bytes]:
        """The lines that `data` completes, each from its last `$` on and without its end; without a `$` it is none."""
        *lines, rest = (self._rest + data).split(b"\n")
        start = rest.rfind(b"$")
        self._rest = rest[start:] if start >= 0 and len(rest) - start <= _MOST_KEPT else b""
        return [line[start:].removesuffix(b"\r") for line in lines if (start := line.rfind(b"$")) >= 0]
