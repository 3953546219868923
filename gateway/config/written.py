"""How values are written in a configuration, and what they have to be: durations, sizes, names, limits, meanings.

The classes here mark the fields of plain dataclasses. pydantic asks a mark how to check and to describe its field, so
that whoever only reads a finished configuration needs no pydantic.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from operator import itemgetter
from typing import Annotated, Any, TypeAlias

from gateway.refine.quality import Rate

ID_PATTERN = r"^[a-z0-9][a-z0-9_-]{0,63}$"
ZONE_PATTERN = r"^[a-z0-9][a-z0-9_-]{0,63}(/[a-z0-9][a-z0-9_-]{0,63}){0,7}$"
DURATION_PATTERN = r"^([0-9]{1,9}(?:\.[0-9]{1,9})?)\s?(ms|s|m|h|d)$"
SIZE_PATTERN = r"^([0-9]{1,9}(?:\.[0-9]{1,9})?)\s?(kB|MB|GB)$"
DURATION_HINT = "a duration needs a number and a unit, as in 200ms, 10s, 5m, 2h or 7d"
SIZE_HINT = "a size needs a number and a unit, as in 64kB, 500MB or 2GB"
DAY_PATTERN = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
DAY_HINT = "write year, month and day, as in 2027-03-31"
RATE_PATTERN = r"^([0-9]{1,9}(?:\.[0-9]{1,9})?)\s?/\s?([1-9][0-9]{0,3})?\s?(s|min|h)$"
RATE_HINT = "a rate needs a number and a time, as in 5/min, 0.5/s or 5/10min"
_RATE_SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0}
_SECONDS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_BYTES = {"GB": 1_000_000_000, "MB": 1_000_000, "kB": 1_000}

PydanticSchema: TypeAlias = dict[str, Any]
_Handler: TypeAlias = Callable[[Any], PydanticSchema]


class QuantityError(ValueError):
    """A quantity without number and unit: what was `wanted`, and as the message what would be right."""

    def __init__(self, wanted: str, hint: str) -> None:
        super().__init__(hint)
        self.wanted = wanted


def is_id(text: str) -> bool:
    """Whether `text` can name a part."""
    return re.fullmatch(ID_PATTERN, text) is not None


def seconds(written: object) -> float:
    """The duration `written` as "10s", "200ms", "10m", "2h" or "7d", in seconds; else QuantityError."""
    match = re.fullmatch(DURATION_PATTERN, written) if isinstance(written, str) else None
    if match is None:
        raise QuantityError("a duration", DURATION_HINT)
    return float(match[1]) * _SECONDS[match[2]]


def size_bytes(written: object) -> int:
    """The size `written` as "64kB", "500MB" or "2GB", in bytes; else QuantityError."""
    match = re.fullmatch(SIZE_PATTERN, written) if isinstance(written, str) else None
    if match is None:
        raise QuantityError("a size", SIZE_HINT)
    return int(float(match[1]) * _BYTES[match[2]])


def day(written: object) -> date:
    """The day `written` as "2027-03-31"; else QuantityError."""
    if isinstance(written, str) and re.fullmatch(DAY_PATTERN, written):
        with contextlib.suppress(ValueError):
            return date.fromisoformat(written)
    raise QuantityError("a date", DAY_HINT)


def rate(written: object) -> Rate:
    """The rate `written` as "5/min", "0.5/s" or "5/10min"; else QuantityError."""
    match = re.fullmatch(RATE_PATTERN, written) if isinstance(written, str) else None
    if match is None or float(match[1]) == 0:
        raise QuantityError("a rate", RATE_HINT)
    return Rate(float(match[1]), int(match[2] or 1) * _RATE_SECONDS[match[3]])


def rate_text(rate_: Rate, of: str = "") -> str:
    """The rate as it is written, or with the unit `of` its point."""
    units = {unit: rate_.per_s / seconds_ for unit, seconds_ in _RATE_SECONDS.items() if rate_.per_s % seconds_ == 0}
    unit, count = min(units.items(), key=itemgetter(1))
    return f"{rate_.amount:g} {of}".strip() + (f"/{unit}" if count == 1 else f"/{count:g}{unit}")


def duration_text(seconds_: float) -> str:
    """The duration as it is written, in the largest unit that leaves a whole number: 600.0 is "10m"."""
    for unit, factor in _SECONDS.items():
        count = round(seconds_ / factor, 6)
        if count >= 1 and count == int(count):
            return f"{int(count)}{unit}"
    return f"{seconds_:g}s"


def size_text(size: int) -> str:
    """The size as it is written: 1_000_000_000 is "1GB"."""
    unit, factor = next(((unit, factor) for unit, factor in _BYTES.items() if size >= factor), ("kB", 1_000))
    return f"{size / factor:g}{unit}"


@dataclass(frozen=True, slots=True)
class Quantity:
    """Marks a number that is written as a text of this `pattern`, and how it is `read`."""

    pattern: str
    read: Callable[[object], float]

    def __get_pydantic_core_schema__(self, source: object, handler: _Handler) -> PydanticSchema:
        """Read the text, then check the number."""
        return {
            "type": "function-before",
            "function": {"type": "no-info", "function": self.read},
            "schema": handler(source),
        }

    def __get_pydantic_json_schema__(self, schema: PydanticSchema, handler: _Handler) -> PydanticSchema:
        """What an editor may expect."""
        return {"type": "string", "pattern": self.pattern}


@dataclass(frozen=True, slots=True)
class Spelled:
    """Marks what is written as a text of this `pattern` and is no number, and how it is `read`."""

    pattern: str
    read: Callable[[object], object]

    def __get_pydantic_core_schema__(self, source: object, handler: _Handler) -> PydanticSchema:
        """Read the text; there is nothing more to check."""
        return {"type": "function-plain", "function": {"type": "no-info", "function": self.read}}

    def __get_pydantic_json_schema__(self, schema: PydanticSchema, handler: _Handler) -> PydanticSchema:
        """What an editor may expect."""
        return {"type": "string", "pattern": self.pattern}


class Within:
    """Marks what a number or text has to be, in pydantic's words: ge, gt, le, pattern, min_length, max_length."""

    __slots__ = ("limits",)

    def __init__(self, **limits: float | str) -> None:
        self.limits = limits

    def __get_pydantic_core_schema__(self, source: object, handler: _Handler) -> PydanticSchema:
        """Add the limits to the number's or text's own check, which a Quantity may be around."""
        schema = handler(source)
        if "schema" in schema:
            return {**schema, "schema": {**schema["schema"], **self.limits}}
        return {**schema, **self.limits}


class OneOrMore:
    """Marks a tuple of texts that may be written as one text alone."""

    __slots__ = ()

    def __get_pydantic_core_schema__(self, source: object, handler: _Handler) -> PydanticSchema:
        """Put a text alone into a tuple, then check the tuple."""
        return {
            "type": "function-before",
            "function": {"type": "no-info", "function": _as_tuple},
            "schema": handler(source),
        }

    def __get_pydantic_json_schema__(self, schema: PydanticSchema, handler: _Handler) -> PydanticSchema:
        """What an editor may expect: one, or a list."""
        many = handler(schema)
        return {"anyOf": [many["items"], {**many, "minItems": 1}]}


def _as_tuple(written: object) -> object:
    match written:
        case str():
            return (written,)
        case list():
            return tuple(written)
    return written


class TextOrMap:
    """Marks what is written as one text, or as a map of texts."""

    __slots__ = ()

    def __get_pydantic_core_schema__(self, source: object, handler: _Handler) -> PydanticSchema:
        """Check what it is, so that the other of the two is not told to be missing."""
        text, by_key = handler(source)["choices"]
        return {
            "type": "tagged-union",
            "choices": {"one text": text, "texts by key": by_key},
            "discriminator": _text_or_map,
        }

    def __get_pydantic_json_schema__(self, schema: PydanticSchema, handler: _Handler) -> PydanticSchema:
        """What an editor may expect: either."""
        return {"anyOf": [handler(choice) for choice in schema["choices"].values()]}


def _text_or_map(written: object) -> str:
    return "texts by key" if isinstance(written, dict) else "one text"


class PairOrName:
    """Marks what is written as a list of two numbers, or as the name of something."""

    __slots__ = ()

    def __get_pydantic_core_schema__(self, source: object, handler: _Handler) -> PydanticSchema:
        """Check what it is, so that the other of the two is not told to be missing."""
        pair, name = handler(source)["choices"]
        return {"type": "tagged-union", "choices": {"a pair": pair, "a name": name}, "discriminator": _pair_or_name}

    def __get_pydantic_json_schema__(self, schema: PydanticSchema, handler: _Handler) -> PydanticSchema:
        """What an editor may expect: either."""
        return {"anyOf": [handler(choice) for choice in schema["choices"].values()]}


def _pair_or_name(written: object) -> str:
    return "a name" if isinstance(written, str) else "a pair"


Duration: TypeAlias = Annotated[float, Quantity(DURATION_PATTERN, seconds)]
"""Seconds, written with a unit."""

Size: TypeAlias = Annotated[int, Quantity(SIZE_PATTERN, size_bytes)]
"""Bytes, written with a unit."""

Day: TypeAlias = Annotated[date, Spelled(DAY_PATTERN, day)]
PerTime: TypeAlias = Annotated[Rate, Spelled(RATE_PATTERN, rate)]
"""A change in the unit of a point, written with a time: 5/min."""

Id: TypeAlias = Annotated[str, Within(pattern=ID_PATTERN)]
ZonePath: TypeAlias = Annotated[str, Within(pattern=ZONE_PATTERN)]
Text: TypeAlias = Annotated[str, Within(max_length=500)]
Filled: TypeAlias = Annotated[str, Within(min_length=1, max_length=500)]
