r"""Captures: recorded exchanges with a device as text. Pure.

One item a line:

# device: XY-MD02, firmware unknown     header, `# key: value`, before the first item; later `#` lines are comments
> 01 04 00 01 00 02 20 0B               bytes sent to the device, in hex
< 01 04 04 00 F5 02 1C 5A 7B            bytes received, in hex, or as a JSON string of latin-1: < "$GPRMC,...\r\n"
. 1.0                                   seconds that pass
= 17 high                               pin 17 goes to this level, high or low
/ /proc/meminfo "MemTotal: 1000 kB\n"   this file of the kernel has this text from now on; with null it is gone
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias


class Sent(NamedTuple):
    """Bytes that went to the device."""

    data: bytes


class Received(NamedTuple):
    """Bytes that came from the device."""

    data: bytes


class Passed(NamedTuple):
    """Time that went by."""

    seconds: float


class Level(NamedTuple):
    """A pin that went to a level."""

    pin: int
    high: bool


class Text(NamedTuple):
    """A file of the kernel that has this text from then on; None: that is gone."""

    path: str
    text: str | None


Item: TypeAlias = Sent | Received | Passed | Level | Text


@dataclass(frozen=True, slots=True)
class Capture:
    """A recorded exchange: what it is of, and what happened in order."""

    header: Mapping[str, str]
    items: tuple[Item, ...]


def parse(text: str) -> Capture:
    """The capture that `text` holds; ValueError names the line that is no item."""
    header: dict[str, str] = {}
    items: list[Item] = []
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        if line.startswith("#"):
            key, colon, value = line[1:].partition(":")
            if colon and not items:
                header[key.strip()] = value.strip()
        elif line:
            try:
                items.append(_item(line[0], line[1:].strip()))
            except ValueError as error:
                raise ValueError(f"line {number}: {error}") from error
    return Capture(header, tuple(items))


def _item(mark: str, rest: str) -> Item:
    match mark:
        case ">":
            return Sent(_bytes(rest))
        case "<":
            return Received(_bytes(rest))
        case ".":
            return Passed(_seconds(rest))
        case "=":
            return _level(rest)
        case "/":
            return _text(rest)
    raise ValueError(f"an item starts with >, <, ., = or /, not {mark!r}")


def _bytes(written: str) -> bytes:
    if written.startswith('"'):
        said: object = json.loads(written)
        return str(said).encode("latin-1")
    return bytes.fromhex(written)


def _seconds(written: str) -> float:
    seconds = float(written)
    if not 0 <= seconds < float("inf"):
        raise ValueError(f"seconds that pass are 0 or more, not {written}")
    return seconds


def _level(written: str) -> Level:
    pin, _, level = written.partition(" ")
    if level not in {"high", "low"}:
        raise ValueError(f"a pin goes high or low, as in = 17 high, not {written!r}")
    return Level(int(pin), level == "high")


def _text(written: str) -> Text:
    path, _, text = written.partition(" ")
    said: object = json.loads(text)
    if not path.startswith("/") or not isinstance(said, str | None):
        raise ValueError(f'a file has a text or null, as in / /proc/uptime "12.3", not {written!r}')
    return Text(path, said)
