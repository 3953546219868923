"""Whether rules fit the devices: each can come true, be judged, and end."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.config.draft import Draft
from gateway.config.fencecheck import FENCE_HINT
from gateway.config.groupcheck import check_group
from gateway.config.problems import Where, listed, shown, suggestion
from gateway.config.responsecheck import check_called
from gateway.config.schema import Rule, Term
from gateway.config.targets import parts, targets
from gateway.config.written import duration_text
from gateway.hours import stretch
from gateway.model import Point, Priority
from gateway.units import FIRE_KINDS, KINDS, STATE_WORDS, WORDS, Form
from gateway.zones import in_zone

CONDITIONS = ("above", "below", "outside", "inside", "equals", "changes_faster_than", "silent_for")


def check_rules(draft: Draft) -> None:
    """Note what is wrong with the rules in the draft's tree."""
    for name, rule in draft.rules.items():
        where = ("rules", name)
        check_called(draft, where, "response", rule.response)
        _check_hours_of(draft, rule, where)
        check_group(draft, rule, where)
        _check_suppression(draft, rule, where)
        for term, place in parts(rule, where):
            _check_term(draft, term, place)


def check_hours(draft: Draft) -> None:
    """Note what is wrong with the hours in the draft's tree."""
    for name, hours in draft.hours.items():
        for number, written in enumerate(hours.open):
            try:
                stretch(written)
            except ValueError as error:
                where = ("hours", name, "open", number)
                draft.tree.blame(where if where in draft.tree.values else where[:-1], f"{shown(written)}: {error}")


def _check_suppression(draft: Draft, rule: Rule, where: Where) -> None:
    said, where = rule.suppressed_while, (*where, "suppressed_while")
    if said is None:
        return
    if rule.priority is Priority.HIGH or any(point.kind in FIRE_KINDS for _, point in targets(rule, draft.devices)):
        draft.tree.blame_key(where, "only warnings are suppressed, none that is high or on smoke; make a rule of each")
    elif said.point is None:
        draft.tree.blame_key(where, "is about nothing; add `point: device.point`")
    else:
        _check_term(draft, said, where)


def _check_term(draft: Draft, term: Term, where: Where) -> None:
    if _has_one_condition(draft, term, where):
        _check_limits(draft, term, where)
        _check_fence_of(draft, term, where)
    if _has_one_subject(draft, term, where):
        for device, point in targets(term, draft.devices):
            _check_judgement(draft, term, where, device, point)


def _check_hours_of(draft: Draft, rule: Rule, where: Where) -> None:
    known = draft.tree.section("hours")
    for key, name in (("during", rule.during), ("not_during", rule.not_during)):
        if name is not None and name not in known:
            hint = (
                suggestion(name, known)
                if known
                else "add `hours:` with it, as in `closed: {open: mon-sat 20:00-06:00}`"
            )
            draft.tree.blame((*where, key), f"there are no hours {shown(name)}; {hint}")
    if rule.during is not None and rule.not_during is not None:
        draft.tree.blame_key(where, "has during and not_during; keep one of the two")


def _has_one_condition(draft: Draft, rule: Term, where: Where) -> bool:
    found = [name for name in CONDITIONS if getattr(rule, name, None) is not None]
    if not found:
        draft.tree.blame_key(where, f"has no condition; add one of {listed(_conditions(rule))}")
    elif found[:2] == ["above", "below"]:
        draft.tree.blame_key(where, "has above and below; write one of them, or both as `outside: [low, high]`")
    elif len(found) > 1:
        draft.tree.blame_key(where, f"has {listed(found)}; make a rule of each")
    return len(found) == 1


def _check_fence_of(draft: Draft, rule: Term, where: Where) -> None:
    known, named = draft.tree.section("fences"), rule.fence
    if named is not None and named not in known:
        hint = suggestion(named, known) if known else f"add `fences:` with it, as in `{named}: {FENCE_HINT}`"
        at = (*where, "inside" if rule.inside is not None else "outside")
        draft.tree.blame(at, f"there is no fence {shown(named)}; {hint}")


def _conditions(rule: Term) -> Iterator[str]:
    return (name for name in CONDITIONS if hasattr(rule, name))


def _check_limits(draft: Draft, rule: Term, where: Where) -> None:
    """The alarm's end must be possible, and not before its beginning."""
    low, high = rule.limits
    if low is not None and high is not None and low >= high:
        told = f"the first limit must be less than the second, not {low:g} and {high:g}; write [{high:g}, {low:g}]"
        draft.tree.blame((*where, "outside"), told)
        return
    if rule.clear_below is not None:
        if high is None:
            draft.tree.blame_key((*where, "clear_below"), "goes with above or outside only; leave it out")
        elif rule.clear_below > high:
            told = f"must be at most {high:g}, the limit, not {rule.clear_below:g}; an alarm ends on its way back"
            draft.tree.blame((*where, "clear_below"), told)
    if rule.clear_above is not None:
        if low is None:
            draft.tree.blame_key((*where, "clear_above"), "goes with below or outside only; leave it out")
        elif rule.clear_above < low:
            told = f"must be at least {low:g}, the limit, not {rule.clear_above:g}; an alarm ends on its way back"
            draft.tree.blame((*where, "clear_above"), told)
    if low is None or high is None:
        return
    ends_above = low if rule.clear_above is None else rule.clear_above
    ends_below = high if rule.clear_below is None else rule.clear_below
    if ends_above > ends_below:
        told = "no value is above clear_above and below clear_below; the alarm would never end, so move them apart"
        draft.tree.blame_key(where, told)


def _has_one_subject(draft: Draft, rule: Term, where: Where) -> bool:
    """Whether the rule is about points that there are."""
    tree = draft.tree
    if rule.zone is not None and rule.kind is None:
        tree.blame_key((*where, "zone"), "goes with kind only; leave it out, or write kind instead of point")
    if rule.point is None and rule.kind is None:
        tree.blame_key(where, "is about nothing; add `point: device.point`, or `kind:` for all points of a kind")
    elif rule.point is not None and rule.kind is not None:
        tree.blame_key(where, "has point and kind; keep one of the two")
    elif rule.point is not None:
        return _has_point(draft, rule.point, (*where, "point"))
    elif rule.kind is not None:
        return _has_kind(draft, rule, rule.kind, where)
    return False


def _has_point(draft: Draft, written: str, where: Where) -> bool:
    device, dot, name = written.partition(".")
    known = draft.tree.section("devices")
    if not dot or not device or not name or "." in name:
        draft.tree.blame(where, f"must be device.point, not {shown(written)}{_points_hint(draft, device)}")
    elif device not in known:
        draft.tree.blame(where, f"there is no device {shown(device)}; {suggestion(device, known)}")
    elif device in draft.devices:
        names = [point.name for point in draft.devices[device].built.points]
        if name in names:
            return True
        draft.tree.blame(where, f"{device} has no point {shown(name)}; {suggestion(name, names)}")
    return False


def _points_hint(draft: Draft, device: str) -> str:
    if device not in draft.devices:
        return ""
    return "; write " + listed((f"{device}.{point.name}" for point in draft.devices[device].built.points), "or")


def _has_kind(draft: Draft, rule: Term, kind: str, where: Where) -> bool:
    if kind not in KINDS:
        draft.tree.blame((*where, "kind"), f"there is no kind {shown(kind)}; {suggestion(kind, KINDS)}")
        return False
    if len(draft.devices) < len(draft.tree.section("devices")):
        return True  # one that is not understood may be what the rule is about
    zones = {device.zone for device in draft.devices.values()}
    if rule.zone is not None and not any(in_zone(zone, rule.zone) for zone in zones):
        draft.tree.blame((*where, "zone"), f"no device is in zone {shown(rule.zone)}; {suggestion(rule.zone, zones)}")
        return False
    if not targets(rule, draft.devices):
        there = {
            point.kind
            for device in draft.devices.values()
            if rule.zone is None or in_zone(device.zone, rule.zone)
            for point in device.built.points
        }
        told = f"no device{' in ' + rule.zone if rule.zone else ''} has a point of kind {kind}"
        draft.tree.blame((*where, "kind"), f"{told}; {suggestion(kind, there)}")
        return False
    return True


def _check_judgement(draft: Draft, rule: Term, where: Where, device: str, point: Point) -> None:
    """The condition must be able to judge this point."""
    called = f"{device}.{point.name}"
    for limit in ("above", "below", "outside", "inside", "changes_faster_than"):
        written = getattr(rule, limit, None)
        if isinstance(written, str):
            if point.form is not Form.POSITION:
                told = f"{called} is no position, which alone can be {limit} of a fence"
                draft.tree.blame_key((*where, limit), f"{told}; {_position_hint(draft)}")
        elif written is not None and point.form not in {Form.GAUGE, Form.COUNTER}:
            draft.tree.blame_key((*where, limit), f"{called} is no number{_state_hint(point)}")
    if rule.equals is not None:
        _check_word(draft, rule.equals, (*where, "equals"), called, point)
    every, silent_for = draft.devices[device].every, getattr(rule, "silent_for", None)
    rate = rule.changes_faster_than if isinstance(rule, Rule) else None
    if rate is not None and rate.per_s <= every:
        told = f"{device} is read every {duration_text(every)}, so nothing shorter can be seen"
        draft.tree.blame((*where, "changes_faster_than"), f"{told}; take a longer time, or read it more often")
    if silent_for is not None and silent_for <= every:
        told = f"must be longer than the {duration_text(every)} between readings of {device}"
        draft.tree.blame((*where, "silent_for"), f"{told}; write {duration_text(3 * every)}, for instance")


def _check_word(draft: Draft, word: object, where: Where, called: str, point: Point) -> None:
    if point.form is Form.POSITION:
        draft.tree.blame_key(where, f"{called} is a position; use inside or outside with a fence, or silent_for")
    elif point.form not in {Form.STATE, Form.TEXT}:
        if isinstance(word, bool | str):
            draft.tree.blame(where, f"{called} is a number, it never is {shown(word)}; write a number, or use above")
    elif not isinstance(word, str):
        form = "text" if point.form is Form.TEXT else "word"
        draft.tree.blame(where, f"{called} is a {form}, it never is {shown(word)}{_state_hint(point)}")
    elif point.kind in WORDS and word not in WORDS[point.kind]:
        words = listed(WORDS[point.kind], "or")
        draft.tree.blame(where, f"{called} is {words}, never {shown(word)}; {_nearest(word, point)}")


def _nearest(word: str, point: Point) -> str:
    close = suggestion(word, WORDS[point.kind])
    return close if close.endswith("?") else f"write {_usual_word(point)}"


def _position_hint(draft: Draft) -> str:
    there = (
        f"{name}.{point.name}"
        for name, device in draft.devices.items()
        for point in device.built.points
        if point.form is Form.POSITION
    )
    found = listed(there, "or")
    return f"write {found}" if found else "no device has one"


def _state_hint(point: Point) -> str:
    if point.form is Form.POSITION:
        return "; use inside or outside with a fence, or silent_for"
    if point.form is Form.TEXT:
        return '; compare it with a text, as in `equals: "LTE"`'
    return f"; write `equals: {_usual_word(point)}`" if point.kind in WORDS else ""


def _usual_word(point: Point) -> str:
    return STATE_WORDS[point.kind][1] if point.kind in STATE_WORDS else "alarm"
