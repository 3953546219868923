"""The values of a frame: by the groups of a pattern, or by their places in it. Pure.

Invariants: a result is a finite number, the word of a state, or Bad; a number is the decimal that the device wrote,
times its scale. A group that took no part gives no value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TypeAlias

from drivers.frame_point import FramePoint
from drivers.frame_profile import FrameProfile
from drivers.modbus_number import shortest
from gateway.model import Bad, Reason, Value
from gateway.units import STATE_WORDS

Decode: TypeAlias = Callable[[bytes], dict[str, Value | Bad]]
"""From a whole frame to its values; none where the frame is not what the profile describes."""

_FAULT, _OUTSIDE = Bad(Reason.SENSOR_FAULT), Bad(Reason.OUT_OF_RANGE)
_NUMBER = re.compile(r"([+-]?) *((?:[0-9]{1,30}(?:[.,][0-9]{0,30})?|[.,][0-9]{1,30})(?:[eE][+-]?[0-9]{1,2})?)")
_MOST = Decimal(10) ** 15  # beyond it nothing is a measurement


def decoder(profile: FrameProfile) -> Decode:
    """What reads the frames of this profile."""
    return _text_decoder(profile) if profile.pattern else _binary_decoder(profile)


def _text_decoder(profile: FrameProfile) -> Decode:
    match = re.compile(profile.pattern, re.ASCII).fullmatch

    def decode(frame: bytes) -> dict[str, Value | Bad]:
        found = match(frame.decode("latin-1"))
        if found is None:
            return {}
        groups = {name: text.strip() for name, text in found.groupdict().items() if text is not None}
        values = {name: _of_text(point, groups, groups.get(point.group or name)) for name, point in points}
        return {name: value for name, value in values.items() if value is not None}

    points = tuple(profile.points.items())
    return decode


def _of_text(point: FramePoint, groups: Mapping[str, str], text: str | None) -> Value | Bad | None:
    if any(groups.get(group) in texts for group, texts in point.faults.items()):
        return _FAULT
    if text is None:
        return None
    if text in point.sentinels:
        return _FAULT
    if point.is_state:
        return point.words.get(text, _OUTSIDE)
    written = _NUMBER.fullmatch(text)
    if written is None:
        return _FAULT
    scale: float | None = point.scale
    if point.scale_by is not None:
        scale = point.scale_by.scales.get(groups.get(point.scale_by.group, ""))
    return _OUTSIDE if scale is None else _scaled(point, Decimal((written[1] + written[2]).replace(",", ".")), scale)


def _binary_decoder(profile: FrameProfile) -> Decode:
    readers = tuple((name, _reader(point)) for name, point in profile.points.items())

    def decode(frame: bytes) -> dict[str, Value | Bad]:
        values = {name: read(frame) for name, read in readers}
        return {name: value for name, value in values.items() if value is not None}

    return decode


def _reader(point: FramePoint) -> Callable[[bytes], Value | Bad | None]:
    """What reads it from a frame, if that is long enough to hold it."""
    place, at = point.place, point.at or 0
    every_bit = (1 << 8 * place.size) - 1
    numbers = (it for it in point.sentinels if isinstance(it, int))
    sentinels = frozenset((it & every_bit).to_bytes(place.size, point.order) for it in numbers)

    def read(frame: bytes) -> Value | Bad | None:
        raw = frame[at : at + place.size]
        if len(raw) < place.size:
            return None
        return _FAULT if raw in sentinels else _of_raw(point, place.unpack(raw)[0])

    return read


def _of_raw(point: FramePoint, raw: float) -> Value | Bad:
    if point.is_state:
        is_active = bool(int(raw) >> (point.bit or 0) & 1) != point.inverted
        return STATE_WORDS[point.kind][is_active]
    number = Decimal(raw) if isinstance(raw, int) else Decimal(repr(shortest(raw))) if raw - raw == 0 else None
    return _FAULT if number is None else _scaled(point, number, point.scale)


def _scaled(point: FramePoint, number: Decimal, scale: float) -> Value | Bad:
    value = number * Decimal(repr(scale)).normalize() + Decimal(repr(point.offset)).normalize()
    if abs(value) > _MOST:
        return _OUTSIDE
    if point.decimals is not None:
        value = round(value, point.decimals)
    exponent = value.as_tuple().exponent
    whole = point.decimals == 0 or (isinstance(exponent, int) and exponent >= 0)
    found = int(value) if whole else float(value) + 0.0
    least = -float("inf") if point.minimum is None else point.minimum
    most = float("inf") if point.maximum is None else point.maximum
    return found if least <= found <= most else _OUTSIDE
