r"""A device that says frames or lines on a serial line, as data: `drivers/profiles/frames/*.yaml` (drivers/README.md).

Invariants: a profile that could be built can be used on any bytes, in time that grows with their number. What
contradicts itself is refused with a ValueError that names the key, when the configuration is loaded.

Bytes are written as ASCII text; those that cannot be printed as \r, \n, \t, \0 or \xNN, and a backslash as two.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from drivers.frame_checksum import Checksum
from drivers.frame_pattern import group_names
from drivers.frame_point import FramePoint
from drivers.profile_rules import CHECKED, doubt, name_problems
from gateway.driver import Doc
from gateway.units import STATE_WORDS

_ESCAPE = re.compile(r"\\(x[0-9A-Fa-f]{2}|[rnt0\\])")
_CONTROLS = {"r": "\r", "n": "\n", "t": "\t", "0": "\0", "\\": "\\"}

LONGEST = 1024
"""Bytes of the longest line."""

LONGEST_BLOCK = 256
"""Bytes of the longest frame of a known length: each place where one could begin costs a checksum over so many."""


def octets(text: str) -> bytes:
    """The bytes that a profile writes as text; ValueError if it writes none."""
    plain = _ESCAPE.sub("", text)
    if not plain.isascii() or "\\" in plain:
        raise ValueError(
            f"{text!r} is not all bytes; write ASCII, and \\r, \\n, \\t, \\0, \\\\ or \\xNN for the others"
        )
    return _ESCAPE.sub(_meant, text).encode("latin-1")


def _meant(escape: re.Match[str]) -> str:
    return chr(int(escape[1][1:], 16)) if escape[1][0] == "x" else _CONTROLS[escape[1]]


_UNSURE = "a frame that is told by its length needs one: what looks like its start may also stand in the middle of it"


@dataclass(frozen=True, slots=True)
class Frame:
    """How a frame is found among the bytes: by its start, and by its end or its length."""

    __pydantic_config__ = CHECKED

    start: Annotated[str, Doc("How each frame begins; part of the frame")] = ""
    end: Annotated[str, Doc("What follows each frame, as '\\r\\n'; no part of it")] = ""
    length: Annotated[int | None, Doc("Bytes of each frame, where all have as many")] = None
    length_at: Annotated[int | None, Doc("The place of the byte that says how long it is, from 0")] = None
    length_adds: Annotated[int, Doc("What to add to that byte for the length of the whole frame")] = 0
    longest: Annotated[int, Doc("Bytes; a frame that is longer is none")] = 120

    def __post_init__(self) -> None:
        """Refuse what does not tell where a frame begins and ends."""
        for name in ("start", "end"):
            try:
                octets(getattr(self, name))
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None
        ways = (bool(self.end), self.length is not None, self.length_at is not None)
        if sum(ways) != 1:
            raise ValueError("end: how does a frame end? Say one of end, length and length_at")
        if not self.end and not self.start:
            raise ValueError("start: a frame without an end needs one; else nobody knows where it begins")
        if not 1 <= self.longest <= LONGEST:
            raise ValueError(f"longest: from 1 to {LONGEST} bytes, not {self.longest}")
        if self.length_at is not None and self.longest > LONGEST_BLOCK:
            raise ValueError(f"longest: with length_at at most {LONGEST_BLOCK} bytes, not {self.longest}")
        if self.length is not None and not len(octets(self.start)) < self.length <= LONGEST_BLOCK:
            raise ValueError(f"length: more than the start, at most {LONGEST_BLOCK} bytes, not {self.length}")
        if self.length_at is not None and not 0 <= self.length_at < self.longest:
            raise ValueError(f"length_at: a place in the frame, not {self.length_at}")
        if not -255 <= self.length_adds <= LONGEST or (self.length_adds and self.length_at is None):
            raise ValueError(f"length_adds: with length_at, from -255 to {LONGEST}, not {self.length_adds}")

    @property
    def most(self) -> int:
        """Bytes of the longest frame."""
        return self.length or self.longest


@dataclass(frozen=True, slots=True)
class SerialSettings:
    """How the device leaves the factory."""

    __pydantic_config__ = CHECKED

    baudrate: Annotated[int, Doc("Of the line")] = 9600
    databits: Annotated[Literal[7, 8], Doc("Links have 8")] = 8
    parity: Annotated[Literal["none", "even", "odd"], Doc("Of the line")] = "none"
    stopbits: Annotated[Literal[1, 2], Doc("Of the line")] = 1


@dataclass(frozen=True, slots=True)
class FrameProfile:
    """One model: what it is, how its frames look, and its points by name."""

    __pydantic_config__ = CHECKED
    profile_folder: ClassVar[str] = "frames"
    """Below the folders of profiles; where the configuration looks for it."""

    model: Annotated[str, Doc("What is printed on the device")]
    maker: Annotated[str, Doc("Who makes or sells it")]
    sources: Annotated[tuple[str, ...], Doc("The documents and programs that it was made from")]
    confidence: Annotated[Literal["high", "medium"], Doc("medium is beta: a device needs accept_beta: true")]
    frame: Annotated[Frame, Doc("How a frame is found among the bytes")]
    points: Annotated[Mapping[str, FramePoint], Doc("By name")]
    checksum: Annotated[Checksum | None, Doc("Of each frame")] = None
    pattern: Annotated[str, Doc("Of a text: a regular expression for the whole frame, a group for each point")] = ""
    ask: Annotated[str, Doc("What makes the device speak, sent each `every`; left out: it talks by itself")] = ""
    bus: Annotated[SerialSettings | None, Doc("How the device leaves the factory")] = None
    wiring: Annotated[str, Doc("What is connected to what")] = ""
    quirks: Annotated[tuple[str, ...], Doc("What the one who installs it should know")] = ()

    def __post_init__(self) -> None:
        """Refuse what contradicts itself."""
        for problem in _profile_problems(self):
            raise ValueError(problem)

    @property
    def doubt(self) -> str:
        """That it is beta: too little speaks for it to be trusted unseen; "" for one that is stable."""
        return "" if self.confidence == "high" else doubt(self.model, "")


def _profile_problems(profile: FrameProfile) -> Iterator[str]:
    yield from name_problems(profile.points)
    try:
        if len(octets(profile.ask)) > LONGEST:
            yield f"ask: at most {LONGEST} bytes"
    except ValueError as error:
        yield f"ask: {error}"
    checksum = profile.checksum
    if checksum is not None and checksum.least > profile.frame.most:
        yield f"checksum: it takes {checksum.least} bytes at least, and a frame has {profile.frame.most}"
    if checksum is None and not profile.frame.end:
        yield f"checksum: {_UNSURE}"
    yield from _text_problems(profile) if profile.pattern else _binary_problems(profile)


def _text_problems(profile: FrameProfile) -> Iterator[str]:
    try:
        groups = group_names(profile.pattern)
    except ValueError as error:
        yield f"pattern: {error}"
        return
    for name, point in profile.points.items():
        if (point.at, point.type, point.bit, point.order, point.inverted) != (None, None, None, "big", False):
            yield f"points: {name}: at, type, bit, order and inverted are of frames without a pattern"
        asked = [point.group or name, *point.faults, *([point.scale_by.group] if point.scale_by else [])]
        for group in asked:
            if group not in groups:
                yield f"points: {name}: the pattern has no group {group!r}; it has {', '.join(groups) or 'none'}"
        if point.is_state and not point.words:
            yield f"points: {name}: words: which text means which of {' and '.join(STATE_WORDS[point.kind])}?"
        if any(isinstance(sentinel, int) for sentinel in point.sentinels):
            yield f"points: {name}: sentinels: texts, in quotes, where there is a pattern"


def _covered(profile: FrameProfile) -> tuple[int, int]:
    """Where what the checksum covers begins, and where it ends in the longest frame."""
    checksum = profile.checksum
    return (0, profile.frame.most) if checksum is None else (checksum.first, profile.frame.most - checksum.tail)


def _binary_problems(profile: FrameProfile) -> Iterator[str]:
    if profile.frame.end:
        yield "pattern: a frame that ends with certain bytes is a text, and needs one"
    for name, point in profile.points.items():
        if point.at is None or point.type is None:
            yield f"points: {name}: at and type: where it stands in the frame, and what it is; or say a pattern"
            return
        if point.group or point.faults or point.scale_by or point.words:
            yield f"points: {name}: group, faults, scale_by and words are of frames with a pattern"
        first, end = _covered(profile)
        if not first <= point.at <= end - point.place.size:
            yield f"points: {name}: at: its bytes have to be of those that the checksum covers, {first} to {end - 1}"
        if (point.type == "bit") != (point.bit is not None) or not 0 <= (point.bit or 0) <= 7:
            yield f"points: {name}: bit: from 0 to 7 with type bit, not {point.bit} with {point.type}"
        if any(isinstance(sentinel, str) for sentinel in point.sentinels):
            yield f"points: {name}: sentinels: numbers, where there is no pattern"
