"""Readings without their names: a device says the same names each time, and they are most of its text. Pure.

A record of numbers, `{"device":"cold-1","values":{"temperature":4.5,"humidity":61}}`, is kept as its values `[4.5,61]`
and the number of its shape, in which the names stand once; that is a third of the bytes. One shape has a place for
everything that a device says, since a record may have any part of it (what has changed): a place without a value is
empty, `[,61]`. Any other text (with words, positions, bad points) is kept as it is. What is given back is the same
text, byte for byte.
The number is a checksum of the names: no damage to a number or a name puts values under other names, and in every run
the same names have the same number.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from graphlib import CycleError, TopologicalSorter
from typing import NamedTuple, cast

_BEFORE, _BETWEEN = ["{", "device", ":"], [",", "values", ":{"]
_DECODE = json.JSONDecoder().raw_decode  # half the time of json.loads, which looks for white space first
_FIRST = 7  # the first name among the parts between quotes


class Shape(NamedTuple):
    """The names in a record's text, as they stand there."""

    device: str
    points: tuple[str, ...]

    def number(self) -> int:
        """31 bits of the CRC-32 of its names."""
        return zlib.crc32("\n".join((self.device, *self.points)).encode()) & 0x7FFFFFFF


def packed(text: str) -> tuple[Shape, str] | None:
    """The shape of a record's text, and its values as a JSON array; None where it is to be kept as it is."""
    parts = text.split('"')
    if parts[:3] != _BEFORE or parts[4:_FIRST] != _BETWEEN or "\\" in text:
        return None
    points = parts[_FIRST::2]
    values = "".join(parts[_FIRST + 1 :: 2])  # :4.5,:61}}
    is_plain = values.count(":") == len(points) == values.count(",") + 1 and values.find("}") == len(values) - 2
    if not is_plain or "[" in values or " " in values:
        return None
    return Shape(parts[3], tuple(points)), f"[{values[:-2].replace(':', '')}]"


def placed(shape: Shape, own: Shape, values: str) -> str | None:
    """The values of a record that was packed with its own shape, in the places of `shape`.

    None where a point has no place, or has it in another order.
    """
    told = dict(zip(own.points, values[1:-1].split(","), strict=True))
    if tuple([point for point in shape.points if point in told]) != own.points:
        return None
    return f"[{','.join([told.get(point, '') for point in shape.points])}]"


def unpacked(shape: Shape, text: str) -> str:
    """The text that was packed. Raises ValueError where this is none that had this shape."""
    places = text[1:-1].split(",")
    values = [value for value in places if value]
    is_array = text[:1] == "[" and text[-1:] == "]" and len(places) == len(shape.points) and values
    if not is_array or len(json.loads(f"[{','.join(values)}]")) != len(values):
        raise ValueError(f"{text!r} has not the shape {shape}")
    told = ",".join([f'"{point}":{value}' for point, value in zip(shape.points, places, strict=True) if value])
    return f'{{"device":"{shape.device}","values":{{{told}}}}}'


def values_of(shape: Shape, text: str) -> dict[str, float]:
    """The values that were packed, by point. Raises ValueError where this is none that had this shape."""
    there: Sequence[str] = shape.points
    if "[," in text or ",," in text or ",]" in text:
        places = text[1:-1].split(",")
        there = [point for point, value in zip(shape.points, places, strict=True) if value]
        text = f"[{','.join(value for value in places if value)}]"
    values, end = _DECODE(text)
    if end != len(text) or text[0] != "[" or not values:
        raise ValueError(f"{text!r} has not the shape {shape}")
    return dict(zip(there, values, strict=True))


def arrays_of(texts: Sequence[bytes]) -> list[list[float | None]] | None:
    """What many packed texts say, decoded at once in a third of the time; None stands in an empty place.

    None at all where one of them is no such text: which one it is, each by itself tells.
    """
    joined = b",".join(texts)
    # Each begins with its only "[", and before each but the first there is "],": so each ends with its only "]".
    if not all(text[:1] == b"[" for text in texts) or joined[-1:] != b"]":
        return None
    if not joined.count(b"[") == joined.count(b"]") == joined.count(b"],[") + 1 == len(texts):
        return None
    if b"[," in joined or b",," in joined or b",]" in joined:
        joined = joined.replace(b"[,", b"[null,").replace(b",]", b",null]")
        joined = joined.replace(b",,", b",null,").replace(b",,", b",null,")
    try:
        arrays: list[list[float | None]] = json.loads(b"[%b]" % joined)
    except ValueError:
        return None
    return arrays


def values_in(shape: Shape, array: Sequence[float | None]) -> dict[str, float]:
    """The values of one of these arrays, by point. Raises ValueError where it has not this shape."""
    found = dict(zip(shape.points, array, strict=True))
    if None in array:
        found = {point: value for point, value in found.items() if value is not None}
    if not found:
        raise ValueError(f"nothing of the shape {shape}")
    return cast("dict[str, float]", found)


class Order:
    """Everything that one device has said, in an order in which it may have said it."""

    def __init__(self) -> None:
        self._before: dict[str, set[str]] = {}  # the points that came right before a point

    def with_points(self, own: Shape) -> Shape:
        """A shape with a place for what a record has, and for all before it, unless their orders contradict it."""
        self._take(own.points)
        try:
            return Shape(own.device, tuple(TopologicalSorter(self._before).static_order()))
        except CycleError:
            self._before = {}
            self._take(own.points)
            return own

    def _take(self, points: tuple[str, ...]) -> None:
        for before, point in zip(("", *points), points, strict=False):
            self._before.setdefault(point, set()).update({before} - {""})
