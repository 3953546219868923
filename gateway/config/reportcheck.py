"""Whether what is said on recording fits the points: they exist, and only a number has a deadband."""

from __future__ import annotations

from gateway.config.draft import Draft
from gateway.config.problems import Where, shown, suggestion
from gateway.units import KINDS, Form

NUMBERS = frozenset({Form.GAUGE, Form.COUNTER})


def check_reports(draft: Draft) -> None:
    """Note what is wrong with `report`, of the site and of each device."""
    for kind in draft.report:
        where: Where = ("report", kind)
        if kind in KINDS:
            _check_deadband(draft, where, KINDS[kind].form)
        else:
            draft.tree.blame_key(where, f"there is no kind {shown(kind)}; {suggestion(kind, KINDS)}")
    for name, device in draft.devices.items():
        forms = {point.name: point.form for point in device.built.points}
        for point in device.report:
            where = ("devices", name, "report", point)
            if point in forms:
                _check_deadband(draft, where, forms[point])
            else:
                draft.tree.blame_key(where, f"{name} has no point {shown(point)}; {suggestion(point, forms)}")


def _check_deadband(draft: Draft, where: Where, form: Form) -> None:
    if form not in NUMBERS and draft.tree.get((*where, "deadband")) is not None:
        told = f"a {form.value} is no number; leave deadband out, every change is recorded"
        draft.tree.blame_key((*where, "deadband"), told)
