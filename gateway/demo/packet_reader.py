"""Reading the parts of an MQTT packet: numbers, texts, properties. Pure.

What does not follow the standard raises Malformed and nothing else. Sources: MQTT 3.1.1 and MQTT 5.0, OASIS.
"""

from __future__ import annotations

from typing import NamedTuple

V311, V5 = 4, 5

SESSION_EXPIRY, RECEIVE_MAXIMUM, TOPIC_ALIAS = 0x11, 0x21, 0x23

_ONE, _TWO, _FOUR, _VARINT, _BINARY, _TEXT, _PAIR = range(7)
_FORMS = {
    0x01: _ONE,
    0x02: _FOUR,
    0x03: _TEXT,
    0x08: _TEXT,
    0x09: _BINARY,
    0x0B: _VARINT,
    SESSION_EXPIRY: _FOUR,
    0x15: _TEXT,
    0x16: _BINARY,
    0x17: _ONE,
    0x18: _FOUR,
    0x19: _ONE,
    RECEIVE_MAXIMUM: _TWO,
    0x22: _TWO,
    TOPIC_ALIAS: _TWO,
    0x26: _PAIR,
    0x27: _FOUR,
}
"""The forms of the properties that a client may send. Source: MQTT 5.0, 2.2.2.2."""

_FORWARDED = frozenset({0x01, 0x02, 0x03, 0x08, 0x09, 0x26})


class Malformed(ValueError):  # noqa: N818 - the standard's word
    """Not MQTT, or not the part of it that this broker speaks."""


class Properties(NamedTuple):
    """Those of MQTT 5: numbers by id, and the bytes of what is passed on."""

    numbers: dict[int, int]
    forwarded: bytes


class Reader:
    """Reads a packet's body from front to back."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._at = 0

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        taken = self._body[self._at : self._at + count]
        if len(taken) < count:
            raise Malformed("a packet is too short")
        self._at += count
        return taken

    def number(self, size: int) -> int:
        """The next number of `size` bytes."""
        return int.from_bytes(self.take(size), "big")

    def varint(self) -> int:
        """The next number of variable length."""
        value = 0
        for index in range(4):
            byte = self.number(1)
            value |= (byte & 127) << (7 * index)
            if byte < 128:
                return value
        raise Malformed("a length has more than four bytes")

    def binary(self) -> bytes:
        """The next bytes with their length in front."""
        return self.take(self.number(2))

    def text(self) -> str:
        """The next text."""
        try:
            text = self.binary().decode()
        except UnicodeDecodeError as error:
            raise Malformed("a text is not UTF-8") from error
        if "\0" in text:
            raise Malformed("a text contains a null character")
        return text

    def properties(self, version: int) -> Properties:
        """The properties of a version 5 packet; none in 3.1.1."""
        if version != V5:
            return Properties({}, b"")
        inner = Reader(self.take(self.varint()))
        numbers: dict[int, int] = {}
        forwarded = bytearray()
        while inner.more:
            begin = inner._at
            id_ = inner.varint()
            value = inner.one_property(_FORMS.get(id_))
            if value is not None:
                numbers[id_] = value
            if id_ in _FORWARDED:
                forwarded += inner._body[begin : inner._at]
        return Properties(numbers, bytes(forwarded))

    def one_property(self, form: int | None) -> int | None:
        """The value of the next property, if it is a number."""
        match form:
            case 0 | 1 | 2:
                return self.number((1, 2, 4)[form])
            case 3:
                return self.varint()
            case 4:
                self.binary()
            case 5:
                self.text()
            case 6:
                self.text()
                self.text()
            case _:
                raise Malformed("an unknown property")
        return None

    @property
    def more(self) -> bool:
        """Whether bytes are left."""
        return self._at < len(self._body)

    def rest(self) -> bytes:
        """All bytes that are left."""
        return self.take(len(self._body) - self._at)
