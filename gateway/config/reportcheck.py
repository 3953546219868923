"""Whether what is said on recording fits the points, and nothing is sent more finely than it is recorded."""

from __future__ import annotations

from collections.abc import Callable

from gateway.config.draft import Draft
from gateway.config.problems import Where, shown, suggestion
from gateway.config.schema import Report
from gateway.config.written import duration_text
from gateway.refine.exception import REPEAT_S, Thinning
from gateway.units import KINDS, Form

NUMBERS = frozenset({Form.GAUGE, Form.COUNTER})


def check_reports(draft: Draft) -> None:
    """Note what is wrong with `report`, of the site and of each device."""
    for kind in draft.report:
        where: Where = ("report", kind)
        if kind in KINDS:
            _check(draft, where, KINDS[kind].form, draft.report[kind])
        else:
            draft.tree.blame_key(where, f"there is no kind {shown(kind)}; {suggestion(kind, KINDS)}")
    for name, device in draft.devices.items():
        forms = {point.name: point.form for point in device.built.points}
        for point in device.report:
            where = ("devices", name, "report", point)
            if point in forms:
                _check(draft, where, forms[point], device.report[point])
            else:
                draft.tree.blame_key(where, f"{name} has no point {shown(point)}; {suggestion(point, forms)}")


_OF_POSITIONS = ("distance", "turn", "at_rest_every")
_USUAL = Thinning()


def _check(draft: Draft, where: Where, form: Form, report: Report) -> None:
    is_position = form is Form.POSITION
    for place in (where, (*where, "send")):
        if form not in NUMBERS and draft.tree.get((*place, "deadband")) is not None:
            instead = "write `distance:`, in metres" if is_position else "leave deadband out, every change is recorded"
            draft.tree.blame_key((*place, "deadband"), f"a {form.value} is no number; {instead}")
        for key in _OF_POSITIONS:
            if not is_position and draft.tree.get((*place, key)) is not None:
                draft.tree.blame_key((*place, key), "goes with a position only; leave it out")
    send = report.send
    if send is None:
        return
    if send.deadband is not None and send.deadband < report.deadband:
        _blame_finer(draft, where, "deadband", f"{report.deadband:g}")
    _check_finer(draft, where, report, "max_every", _USUAL.moving_every_s if is_position else REPEAT_S, duration_text)
    if is_position:
        _check_finer(draft, where, report, "distance", _USUAL.distance_m, _number)
        _check_finer(draft, where, report, "turn", _USUAL.turn, _number)
        _check_finer(draft, where, report, "at_rest_every", _USUAL.resting_every_s, duration_text)


def _check_finer(
    draft: Draft, where: Where, report: Report, key: str, usual: float, text: Callable[[float], str]
) -> None:
    own, sent = getattr(report, key), getattr(report.send, key)
    least = usual if own is None else own
    if sent is not None and sent < least:
        _blame_finer(draft, where, key, text(least))


def _number(number: float) -> str:
    return f"{number:g}"


def _blame_finer(draft: Draft, where: Where, key: str, than: str) -> None:
    told = f"what is sent is recorded first, so this must be at least the report's own {key}, {than}; or lower that one"
    draft.tree.blame_key((*where, "send", key), told)
