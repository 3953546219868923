"""What profiles of every driver have in common: how they are built, and what is refused in all of them. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

CHECKED: Mapping[str, object] = {"extra": "forbid", "strict": True, "allow_inf_nan": False}
"""How the configuration builds the dataclasses of a profile: it reads this under the name `__pydantic_config__`."""

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_MOST = 1e9  # of a scale or an offset: beyond it nothing is a measurement


class Scaled(Protocol):
    """A point of a profile, as far as it is a number."""

    @property
    def scale(self) -> float:
        """What its number is multiplied by."""

    @property
    def offset(self) -> float:
        """What is added then, in the unit of the kind."""

    @property
    def decimals(self) -> int | None:
        """To how many the value is rounded."""

    @property
    def minimum(self) -> float | None:
        """The least value that there can be."""

    @property
    def maximum(self) -> float | None:
        """The largest."""


def is_scale(scale: float) -> bool:
    """Whether a number can be a scale."""
    return 1 / _MOST <= abs(scale) <= _MOST


def refuse_scales(scales: Mapping[int, float] | Mapping[str, float], teller: str, example: str) -> None:
    """Refuse with a ValueError what cannot be the scales of a `scale_by`."""
    if not scales:
        raise ValueError(f"scales: which scale does each value of the {teller} mean? Write {example}, say")
    for told, scale in scales.items():
        if not is_scale(scale):
            raise ValueError(f"scales: from 1e-9 to 1e9, not {scale} for {told}")


def name_problems(names: Iterable[str]) -> Iterator[str]:
    """What is wrong with the names of points; that there are none, for one."""
    empty = True
    for name in names:
        empty = False
        if not _NAME.fullmatch(name):
            yield f"points: {name!r} is no name: a-z, 0-9, _ and -, 64 at most, beginning with a-z or 0-9"
    if empty:
        yield "points: a profile needs at least one"


def number_problems(point: Scaled, scale_by: object | None) -> Iterator[str]:
    """What is wrong with how the number of a point becomes its value."""
    if not is_scale(point.scale):
        yield f"scale: from 1e-9 to 1e9, not {point.scale}"
    if scale_by is not None and point.scale != 1:
        yield "scale: stands in scale_by; leave out one of the two"
    if not (math.isfinite(point.offset) and abs(point.offset) <= _MOST):
        yield f"offset: up to 1e9, not {point.offset}"
    if point.decimals is not None and not 0 <= point.decimals <= 9:
        yield f"decimals: from 0 to 9, not {point.decimals}"
    if point.minimum is not None and point.maximum is not None and point.minimum > point.maximum:
        yield f"minimum: {point.minimum} is above the maximum {point.maximum}"


def keys_of_numbers(point: Scaled, scale_by: object | None) -> Iterator[str]:
    """Those keys that a point has and that only a number has a use for."""
    written = {
        "scale": point.scale != 1,
        "scale_by": scale_by is not None,
        "offset": point.offset != 0,
        "decimals": point.decimals is not None,
        "minimum": point.minimum is not None,
        "maximum": point.maximum is not None,
    }
    return (key for key, is_there in written.items() if is_there)


def sentinel_problems(sentinels: Iterable[int], bits: int, type_: str | None) -> Iterator[str]:
    """Those that so many bits cannot spell, be they written as bits or as the signed number."""
    for sentinel in sentinels:
        if not -(1 << bits - 1) <= sentinel < 1 << bits:
            yield f"sentinels: {sentinel} is more than the {bits} bits of {type_}"


def doubt(model: str, verified: str) -> str:
    """That the profile of `model` is beta, and what was verified of it."""
    return f"the profile of {model} is beta: {verified or 'its confidence is medium'}"


def refuse_unaccepted(doubt: str, *, accepted: bool) -> None:
    """Refuse with a ValueError a profile about which there is a `doubt` that nobody accepted."""
    if doubt and not accepted:
        hint = "compare its values with the device, then say `accept_beta: true` at this device"
        raise ValueError(f"profile: {doubt}; {hint}")
