"""What a rule on one kind of points has where it does not say: a deadband, delays, a latch.

Start values after ISA-18.2 and EEMUA 191, as handbooks give them; smoke acts at once and stands until it is reset.
They are for rules on limits, words and fences of points. A rule that is made of several conditions, or is about changes
or silence, says itself how long that takes; so does one with hours on a door, which is about a door opened at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

from gateway.config.schema import Device, Rule
from gateway.config.targets import group, targets
from gateway.config.written import duration_text


class ByKind(NamedTuple):
    """How far back, in the kind's unit, a value has to be for the alarm to end; seconds until it comes, and ends."""

    deadband: float = 0.0
    on_s: float = 0.0
    off_s: float = 0.0
    latch: bool = False


_PEOPLE = ByKind(on_s=10, off_s=60)
BY_KIND: Mapping[str, ByKind] = {
    "temperature": ByKind(0.5, 60, 60),
    "humidity": ByKind(3, 120, 120),
    "smoke": ByKind(latch=True),
    "door": ByKind(on_s=120),
    "people": _PEOPLE,
    "occupancy": _PEOPLE,
    "fullness": ByKind(5, 10, 60),
    "position": ByKind(on_s=30, off_s=30),
}
"""Other kinds have none."""

_NONE = ByKind()


def whole(rule: Rule, devices: Mapping[str, Device]) -> Rule:
    """The rule with what its kind of points has where it does not say."""
    usual = _of(rule, devices)
    ends_above, ends_below = _ends(rule, usual.deadband)
    return replace(
        rule,
        for_=usual.on_s or None if rule.for_ is None else rule.for_,
        clear_for=usual.off_s or None if rule.clear_for is None else rule.clear_for,
        latch=usual.latch or None if rule.latch is None else rule.latch,
        clear_above=ends_above if rule.clear_above is None else rule.clear_above,
        clear_below=ends_below if rule.clear_below is None else rule.clear_below,
    )


def taken(rule: Rule, made: Rule) -> Iterator[str]:
    """What `whole` has made of a rule beyond what it says, as it could be written."""
    for written, name in (("for", "for_"), ("clear_for", "clear_for")):
        if getattr(rule, name) != (seconds := getattr(made, name)):
            yield f"{written}: {duration_text(seconds)}"
    for name in ("clear_above", "clear_below"):
        if getattr(rule, name) != (limit := getattr(made, name)):
            yield f"{name}: {limit:g}"
    if rule.latch != made.latch:
        yield "latch: true"


def _of(rule: Rule, devices: Mapping[str, Device]) -> ByKind:
    about = targets(rule, devices)
    is_plain = group(rule) is None and rule.silent_for is None and rule.changes_faster_than is None
    if not about or not is_plain:
        return _NONE
    kind = about[0][1].kind
    has_hours = rule.during is not None or rule.not_during is not None
    if kind == "door" and (has_hours or rule.equals != "open"):
        return _NONE
    return BY_KIND.get(kind, _NONE)


def _ends(rule: Rule, deadband: float) -> tuple[float | None, float | None]:
    """Where an alarm below a limit ends, and one above; a range leaves room for that in its middle."""
    low, high = rule.limits
    if not deadband:
        return None, None
    if low is not None and high is not None:
        deadband = min(deadband, (high - low) / 4)
    return (
        None if low is None else round(low + deadband, 6),
        None if high is None else round(high - deadband, 6),
    )
