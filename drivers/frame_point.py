"""One quantity in the frames of a device, as data: where it stands, and how it becomes a value (drivers/README.md).

Invariants: a point that could be built can be read, and no key of it is without a meaning. What contradicts itself is
refused with a ValueError that names the key, when the configuration is loaded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from struct import Struct
from typing import Annotated, Literal, TypeAlias

from drivers.profile_rules import CHECKED, keys_of_numbers, number_problems, refuse_scales, sentinel_problems
from gateway.driver import Doc
from gateway.units import KINDS, STATE_WORDS, Form

TypeName: TypeAlias = Literal["int8", "uint8", "int16", "uint16", "int32", "uint32", "float32", "bit"]
CODES: Mapping[TypeName, str] = {
    "int8": "b",
    "uint8": "B",
    "int16": "h",
    "uint16": "H",
    "int32": "i",
    "uint32": "I",
    "float32": "f",
    "bit": "B",
}
"""The types of binary frames, as module struct calls them."""

_NO_SPACES = "what a group holds is taken without the spaces around it"
_LEAST_NORMAL = 0x0080_0000  # bits of the least float32 that is no rounding error of 0


@dataclass(frozen=True, slots=True)
class GroupScale:
    """A scale that stands in the line itself, as its unit: the text of a group, and the scale that it means."""

    __pydantic_config__ = CHECKED

    group: Annotated[str, Doc("The group of the pattern that tells it")]
    scales: Annotated[Mapping[str, float], Doc("Its text, and which scale that means")] = field(hash=False)

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        refuse_scales(self.scales, "group", "{kg: 1, g: 0.001}")
        for text in _spaced(self.scales):
            raise ValueError(f"scales: {text!r} never comes: {_NO_SPACES}")


@dataclass(frozen=True, slots=True)
class FramePoint:
    """One quantity: where it stands in a frame, and what `value = number * scale + offset` must look like."""

    __pydantic_config__ = CHECKED

    kind: Annotated[str, Doc("What it measures, which fixes its unit")]
    group: Annotated[str, Doc("Of the pattern; left out: the one with the point's name")] = ""
    at: Annotated[int | None, Doc("Without a pattern: its place in the frame, from 0")] = None
    type: Annotated[TypeName | None, Doc("Without a pattern: what its bytes spell")] = None
    bit: Annotated[int | None, Doc("Of type bit: which, 0 (least) to 7")] = None
    order: Annotated[Literal["big", "little"], Doc("Of the bytes")] = "big"
    scale: Annotated[float, Doc("value = number * scale + offset, in the unit of the kind")] = 1.0
    scale_by: Annotated[GroupScale | None, Doc("In place of scale: the unit that the line itself names")] = None
    offset: Annotated[float, Doc("value = number * scale + offset")] = 0.0
    decimals: Annotated[int | None, Doc("Of the value")] = None
    sentinels: Annotated[tuple[int | str, ...], Doc("Numbers as bits, or texts of a pattern, that mean no sensor")] = ()
    faults: Annotated[
        Mapping[str, tuple[str, ...]], Doc("By group the texts with which it is no value: sensor_fault")
    ] = field(default_factory=dict)
    minimum: Annotated[float | None, Doc("Of what can be measured, in the unit of the kind")] = None
    maximum: Annotated[float | None, Doc("Of what can be measured, in the unit of the kind")] = None
    words: Annotated[Mapping[str, str], Doc("Of a state in a text: which text means which word")] = field(
        default_factory=dict
    )
    inverted: Annotated[bool, Doc("Of a state without a pattern: the bit is 1 at rest")] = False

    def __post_init__(self) -> None:
        """Refuse what contradicts itself."""
        for problem in _problems(self):
            raise ValueError(problem)

    @property
    def is_state(self) -> bool:
        """Whether the value is a word."""
        return KINDS[self.kind].form is Form.STATE

    @property
    def place(self) -> Struct:
        """How it is read from a binary frame."""
        sign = ">" if self.order == "big" else "<"
        return Struct(sign + CODES[self.type or "uint8"])


def _problems(point: FramePoint) -> Iterator[str]:
    yield from _kind_problems(point)
    yield from number_problems(point, point.scale_by)
    texts = [text for text in point.sentinels if isinstance(text, str)]
    for key, written in (("sentinels", texts), ("words", point.words), *_by_group(point.faults)):
        for text in _spaced(written):
            yield f"{key}: {text!r} never comes: {_NO_SPACES}"
    yield from _sentinel_problems(point)


def _by_group(faults: Mapping[str, Iterable[str]]) -> Iterator[tuple[str, Iterable[str]]]:
    return (("faults", texts) for texts in faults.values())


def _spaced(texts: Iterable[str]) -> list[str]:
    return [text for text in texts if text != text.strip()]


def _sentinel_problems(point: FramePoint) -> Iterator[str]:
    """Those that no bytes can spell."""
    numbers = [it for it in point.sentinels if isinstance(it, int)]
    yield from sentinel_problems(numbers, 8 * point.place.size, point.type)
    for sentinel in numbers:
        if point.type == "float32" and (sentinel < 0 or 0 < sentinel < _LEAST_NORMAL):
            yield f"sentinels: of a float32 the bits, as 0xC61C3C00 for -9999, not {sentinel}"


def _kind_problems(point: FramePoint) -> Iterator[str]:
    kind = KINDS.get(point.kind)
    if kind is None:
        yield f"kind: {point.kind!r} is none of {', '.join(KINDS)}"
        return
    if kind.form not in (Form.GAUGE, Form.COUNTER, Form.STATE):
        yield f"kind: a {point.kind} is no number and no state"
    if kind.form is not Form.STATE and (point.words or point.inverted or point.type == "bit"):
        yield f"kind: {point.kind} is a number; words, inverted and type bit are of a state"
    if kind.form is Form.STATE:
        for key in (*keys_of_numbers(point, point.scale_by), *(["sentinels"] if point.sentinels else [])):
            yield f"{key}: of a number, and {point.kind} is a state"
        if point.type not in (None, "bit"):
            yield f"type: {point.kind} is a bit, not {point.type}"
        for word in point.words.values():
            if word not in STATE_WORDS[point.kind]:
                yield f"words: {point.kind} is {' or '.join(STATE_WORDS[point.kind])}, not {word!r}"
