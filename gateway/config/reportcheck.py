"""Whether what is said on recording fits the points, and nothing is sent more finely than it is recorded."""

from __future__ import annotations

from gateway.config.draft import Draft
from gateway.config.problems import Where, shown, suggestion
from gateway.config.schema import Report
from gateway.config.written import duration_text
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


def _check(draft: Draft, where: Where, form: Form, report: Report) -> None:
    for place in (where, (*where, "send")):
        if form not in NUMBERS and draft.tree.get((*place, "deadband")) is not None:
            told = f"a {form.value} is no number; leave deadband out, every change is recorded"
            draft.tree.blame_key((*place, "deadband"), told)
    send = report.send
    if send is None:
        return
    if send.deadband is not None and send.deadband < report.deadband:
        _blame_finer(draft, (*where, "send", "deadband"), f"deadband, {report.deadband:g}")
    if send.max_every is not None and send.max_every < report.max_every:
        _blame_finer(draft, (*where, "send", "max_every"), f"max_every, {duration_text(report.max_every)}")


def _blame_finer(draft: Draft, where: Where, than: str) -> None:
    told = f"what is sent is recorded first, so this must be at least the report's own {than}; or lower that one"
    draft.tree.blame_key(where, told)
