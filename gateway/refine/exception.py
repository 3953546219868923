"""Report by exception: which readings are worth a record, because they say something new or because time has passed.

A gauge, a counter and a position are recorded at each reading. A state is recorded when it changes, and a point that
stays bad when its reason changes; both again after `REPEAT_S`, so that silence is never taken for "no change". Judging
sees every reading.
"""

from __future__ import annotations

from collections.abc import Container, Mapping

from gateway.model import Reading
from gateway.units import Form

REPEAT_S = 60.0
"""Seconds after which an unchanged state or a point that stays bad is recorded again."""


def worth_a_record(reading: Reading, recorded: Reading | None, states: Container[str]) -> bool:
    """Whether `reading` says more than `recorded`, the last one of its device with a record.

    `states` holds the names of the device's points of the form STATE.
    """
    if recorded is None or reading.mono - recorded.mono >= REPEAT_S:
        return True
    if any(name not in states for name in reading.values):
        return True
    return not (
        _is_part(reading.values, recorded.values)
        and _is_part(reading.bad, recorded.bad)
        and not any(name in recorded.bad for name in reading.values)
        and not any(name in recorded.values for name in reading.bad)
    )


def _is_part(some: Mapping[str, object], all_of: Mapping[str, object]) -> bool:
    return all(name in all_of and all_of[name] == value for name, value in some.items())


def state_points(forms: Mapping[str, Form]) -> frozenset[str]:
    """The names of the points of the form STATE."""
    return frozenset(name for name, form in forms.items() if form is Form.STATE)
