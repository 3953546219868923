"""What a certificate says of itself: whom it names, and until when it is valid. Pure.

The DER of X.509 (RFC 5280, section 4.1), as far as it is needed here; Python decodes dates only of a peer's certificate
and of CAs. Nothing is verified: that is OpenSSL's, in the handshake.

    Certificate ::= SEQUENCE { tbs, ... }
    tbs         ::= SEQUENCE { [0] version OPTIONAL, serial, algorithm, issuer, validity, subject, ... }
    validity    ::= SEQUENCE { begins, until }                each UTCTime YYMMDDHHMMSSZ or GeneralizedTime YYYYMM...
    subject     ::= SEQUENCE OF SET OF SEQUENCE { type OBJECT IDENTIFIER, text }
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

_PEM = re.compile(
    rb"-----BEGIN (?P<kind>(?:X509 |TRUSTED )?CERTIFICATE)-----(?P<text>.*?)-----END (?P=kind)-----", re.DOTALL
)

_SEQUENCE, _VERSION, _UTC_TIME, _GENERALIZED_TIME = 0x30, 0xA0, 0x17, 0x18
_UTF_16 = 0x1E
_COMMON_NAME, _ORGANISATION = b"\x55\x04\x03", b"\x55\x04\x0a"


class Validity(NamedTuple):
    """Whom a certificate names ("" if nobody), and from when to when it is valid (UTC ms)."""

    name: str
    begins: int
    until: int


class _Element(NamedTuple):
    tag: int
    start: int
    end: int


def in_pem(text: bytes) -> tuple[Validity, ...]:
    """The certificates of a PEM file, in their order; ValueError where one cannot be read."""
    return tuple(in_der(base64.b64decode(found["text"])) for found in _PEM.finditer(text))


def in_der(der: bytes) -> Validity:
    """One certificate; ValueError where it cannot be read."""
    try:
        (tbs,) = list(_parts(der, _whole(der)))[:1]
        parts = list(_parts(der, tbs))
        validity, subject = parts[4:6] if parts[0].tag == _VERSION else parts[3:5]
        begins, until = _parts(der, validity)
        return Validity(_name(der, subject), _time(der, begins), _time(der, until))
    except (IndexError, UnicodeDecodeError, OverflowError) as error:
        raise ValueError(f"not a certificate: {error}") from error


def _whole(der: bytes) -> _Element:
    element = _element(der, 0, len(der))
    if element.tag != _SEQUENCE:
        raise ValueError("not a certificate: no sequence")
    return element


def _element(der: bytes, at: int, limit: int) -> _Element:
    length, start = der[at + 1], at + 2
    if length & 0x80:
        digits = length & 0x7F
        length, start = int.from_bytes(der[start : start + digits]), start + digits
    if start + length > limit:
        raise ValueError("not a certificate: it is cut")
    return _Element(der[at], start, start + length)


def _parts(der: bytes, of: _Element) -> Iterator[_Element]:
    at = of.start
    while at < of.end:
        part = _element(der, at, of.end)
        yield part
        at = part.end


def _name(der: bytes, subject: _Element) -> str:
    found: dict[bytes, str] = {}
    for one_set in _parts(der, subject):
        for pair in _parts(der, one_set):
            kind, text = _parts(der, pair)
            encoding = "utf-16-be" if text.tag == _UTF_16 else "utf-8"
            found[der[kind.start : kind.end]] = der[text.start : text.end].decode(encoding, "replace")
    return found.get(_COMMON_NAME) or found.get(_ORGANISATION, "")


def _time(der: bytes, element: _Element) -> int:
    digits = der[element.start : element.end].decode("ascii").removesuffix("Z")
    if element.tag == _UTC_TIME:  # RFC 5280, 4.1.2.5.1: from 50 on it is the last century
        digits = ("19" if digits >= "50" else "20") + digits
    elif element.tag != _GENERALIZED_TIME:
        raise ValueError("not a certificate: no date where one should be")
    return round(datetime.strptime(digits, "%Y%m%d%H%M%S").replace(tzinfo=UTC).timestamp() * 1000)
