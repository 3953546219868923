"""Whether what is said of single points fits them: what is no number has no range, and no rule waits beyond a range."""

from __future__ import annotations

from dataclasses import fields
from math import inf
from typing import NamedTuple

from gateway.config.draft import Draft
from gateway.config.points import (
    LEAST_TIMES,
    MOST_CORRECTION,
    SETTING_KINDS,
    CalibrationPart,
    KindPart,
    PointPart,
    is_setting,
)
from gateway.config.problems import Where, shown, suggestion
from gateway.config.schema import Term
from gateway.config.targets import parts, targets
from gateway.config.written import duration_text
from gateway.model import Point
from gateway.units import KINDS, Form

NUMBERS = frozenset({Form.GAUGE, Form.COUNTER})


def check_points(draft: Draft) -> None:
    """Note what is wrong with `points`, of the site and of each device, and which rules can never come true by them."""
    for kind, said_of_kind in draft.points.items():
        _check_kind(draft, kind, said_of_kind)
    for name, device in draft.devices.items():
        known = {point.name: point for point in device.built.points}
        for own, part in device.points.items():
            where = ("devices", name, "points", own)
            if own in known:
                _check(draft, where, known[own], part)
                _check_watch(draft, (*where, "stuck_after"), part.stuck_after, device.every, name)
            else:
                draft.tree.blame_key(where, f"{name} has no point {shown(own)}; {suggestion(own, known)}")
    for name, rule in draft.rules.items():
        for term, place in parts(rule, ("rules", name)):
            for own, point in targets(term, draft.devices):
                if point.form in NUMBERS:
                    _check_rule(draft, place, term, f"{own}.{point.name}", *_ends(draft, own, point))


def _check(draft: Draft, where: Where, point: Point, part: PointPart) -> None:
    _check_form(draft, where, point.form, part)
    _check_pace(draft, where, point, part)
    if part.range is not None and part.range[0] >= part.range[1]:
        low, high = part.range
        right = "leave range out, or move them apart" if low == high else f"write [{high:g}, {low:g}]"
        draft.tree.blame(
            (*where, "range"), f"the first must be less than the second, not {low:g} and {high:g}; {right}"
        )
    if part.calibration is not None and point.form is Form.COUNTER:
        draft.tree.blame_key((*where, "calibration"), "a counter counts, and is not calibrated; leave calibration out")
    if is_setting(point):
        _check_setting(draft, where, part)
    elif part.calibration is not None:
        _check_correction(draft, (*where, "calibration"), point, part.calibration)


_OF_SETTINGS = {
    "calibration": "a setting is written and read as it is, and is not calibrated",
    "max_rate": "a setting jumps when somebody sets it",
    "stuck_after": "a setting stays as it is until somebody sets it",
}


def _check_setting(draft: Draft, where: Where, part: PointPart | KindPart) -> None:
    for key, told in _OF_SETTINGS.items():
        if getattr(part, key, None) is not None:
            draft.tree.blame_key((*where, key), f"{told}; leave {key} out")


def _check_correction(draft: Draft, where: Where, point: Point, calibration: CalibrationPart) -> None:
    """A slip of the pen makes -40 of -0.40."""
    (key, moved), most = calibration.correction, MOST_CORRECTION.get(point.kind)
    if most is not None and abs(moved) > most:
        told = f"would move the value by {moved:g} {point.unit}; a calibration moves a {point.kind} by up to {most:g}"
        draft.tree.blame((*where, key), f"{told}, so correct the profile, or the values")


def _check_form(draft: Draft, where: Where, form: Form, part: PointPart | KindPart) -> None:
    for key in (it.name for it in fields(part) if it.default is None and it.name not in LEAST_TIMES):
        if form not in NUMBERS and getattr(part, key) is not None:
            draft.tree.blame_key((*where, key), f"a {form.value} is no number; leave {key} out")


def _check_pace(draft: Draft, where: Where, point: Point, part: PointPart) -> None:
    for key in LEAST_TIMES:
        if getattr(part, key) is not None and not (point.writable and point.form is Form.STATE):
            draft.tree.blame_key(
                (*where, key), f"{point.name} is no output that this gateway switches; leave {key} out"
            )


def _check_kind(draft: Draft, kind: str, part: KindPart) -> None:
    where: Where = ("points", kind)
    if kind not in KINDS:
        draft.tree.blame_key(where, f"there is no kind {shown(kind)}; {suggestion(kind, KINDS)}")
        return
    _check_form(draft, where, KINDS[kind].form, part)
    if kind in SETTING_KINDS:
        _check_setting(draft, where, part)
        return
    watched = [
        (device.every, name)
        for name, device in draft.devices.items()
        for point in device.built.points
        if point.kind == kind and not is_setting(point) and device.points.get(point.name, PointPart()).leaves_to_kind
    ]
    if watched:
        _check_watch(draft, (*where, "stuck_after"), part.stuck_after, *max(watched))


def _check_watch(draft: Draft, where: Where, stuck_after: float | None, every: float, device: str) -> None:
    if stuck_after is not None and stuck_after <= every:
        told = f"must be longer than the {duration_text(every)} between readings of {device}"
        draft.tree.blame(where, f"{told}; write {duration_text(10 * every)}, for instance")


class _End(NamedTuple):
    """Where a point's values end, who says so, and what helps a rule that lies beyond."""

    value: float
    says: str
    try_: str


_BY_RANGE = ("its range ends", "widen the range")
_BY_PROFILE = ("the device's own range ends", "choose a limit before that, or a device that measures beyond")


def _ends(draft: Draft, device: str, point: Point) -> tuple[_End, _End]:
    """The least and the largest value that any rule sees of a point."""
    said = draft.devices[device].points.get(point.name, PointPart())
    scale, offset = (1.0, 0.0) if said.calibration is None else said.calibration.line
    least = -inf if point.least is None else point.least * scale + offset
    most = inf if point.most is None else point.most * scale + offset
    low, high = _End(least, *_BY_PROFILE), _End(most, *_BY_PROFILE)
    if said.range is None or said.range[0] >= said.range[1]:
        return low, high
    own_low, own_high = (_End(it, *_BY_RANGE) for it in said.range)
    return max(own_low, low, key=_value), min(own_high, high, key=_value)


def _value(end: _End) -> float:
    return end.value


def _check_rule(draft: Draft, where: Where, rule: Term, called: str, low: _End, high: _End) -> None:
    """What is beyond these ends is bad, and no rule ever sees it."""
    below, above = rule.limits
    begins = "outside" if rule.outside is not None else "above" if rule.above is not None else "below"
    for key, limit, end, is_beyond in (
        (begins, above, high, above is not None and above >= high.value),
        (begins, below, low, below is not None and below <= low.value),
        ("clear_above", rule.clear_above, high, rule.clear_above is not None and rule.clear_above > high.value),
        ("clear_below", rule.clear_below, low, rule.clear_below is not None and rule.clear_below < low.value),
    ):
        if is_beyond:
            never = f"never judged to be beyond {limit:g}" if key == begins else f"never judged to be back at {limit:g}"
            told = f"{called} is bad beyond {end.value:g}, where {end.says}, so it is {never}; {end.try_}"
            draft.tree.blame((*where, key), told)
