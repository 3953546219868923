"""Whether what is said of single points fits them: what is no number has no range, and no rule waits beyond a range."""

from __future__ import annotations

from dataclasses import fields

from gateway.config.draft import Draft
from gateway.config.points import KindPart, PointPart
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
                said = draft.devices[own].points.get(point.name)
                if said is not None and said.range is not None and said.range[0] < said.range[1]:
                    _check_rule(draft, place, term, f"{own}.{point.name}", said.range)


def _check(draft: Draft, where: Where, point: Point, part: PointPart) -> None:
    _check_form(draft, where, point.form, part)
    if part.range is not None and part.range[0] >= part.range[1]:
        low, high = part.range
        told = f"the first must be less than the second, not {low:g} and {high:g}; write [{high:g}, {low:g}]"
        draft.tree.blame((*where, "range"), told)
    if part.calibration is not None and point.form is Form.COUNTER:
        draft.tree.blame_key((*where, "calibration"), "a counter counts, and is not calibrated; leave calibration out")
    if part.calibration is not None and point.writable and point.form in NUMBERS:
        told = "a setting is written and read as it is, and is not calibrated; leave calibration out"
        draft.tree.blame_key((*where, "calibration"), told)


def _check_form(draft: Draft, where: Where, form: Form, part: PointPart | KindPart) -> None:
    for key in (it.name for it in fields(part)):
        if form not in NUMBERS and getattr(part, key) is not None:
            draft.tree.blame_key((*where, key), f"a {form.value} is no number; leave {key} out")


def _check_kind(draft: Draft, kind: str, part: KindPart) -> None:
    where: Where = ("points", kind)
    if kind not in KINDS:
        draft.tree.blame_key(where, f"there is no kind {shown(kind)}; {suggestion(kind, KINDS)}")
        return
    _check_form(draft, where, KINDS[kind].form, part)
    watched = [
        (device.every, name)
        for name, device in draft.devices.items()
        for point in device.built.points
        if point.kind == kind and device.points.get(point.name, PointPart()).stuck_after is None
    ]
    if watched:
        _check_watch(draft, (*where, "stuck_after"), part.stuck_after, *max(watched))


def _check_watch(draft: Draft, where: Where, stuck_after: float | None, every: float, device: str) -> None:
    if stuck_after is not None and stuck_after <= every:
        told = f"must be longer than the {duration_text(every)} between readings of {device}"
        draft.tree.blame(where, f"{told}; write {duration_text(10 * every)}, for instance")


def _check_rule(draft: Draft, where: Where, rule: Term, called: str, believed: tuple[float, float]) -> None:
    """What is beyond the range is bad, and no rule ever sees it."""
    low, high = believed
    below, above = rule.outside or (rule.below, rule.above)
    begins = "outside" if rule.outside is not None else "above" if rule.above is not None else "below"
    for key, limit, end, is_beyond in (
        (begins, above, high, above is not None and above >= high),
        (begins, below, low, below is not None and below <= low),
        ("clear_above", rule.clear_above, high, rule.clear_above is not None and rule.clear_above > high),
        ("clear_below", rule.clear_below, low, rule.clear_below is not None and rule.clear_below < low),
    ):
        if is_beyond:
            never = f"never judged to be beyond {limit:g}" if key == begins else f"never judged to be back at {limit:g}"
            told = f"{called} is bad beyond {end:g}, where its range ends, so it is {never}; widen the range"
            draft.tree.blame((*where, key), told)
