"""Whether a value can be believed: calibrated, within its range, not too fast. What cannot be has a reason, no guess.

The order of what is done to the value of a point, after the driver and the device's own limits: calibration, range,
rate. A point without a Check passes untouched; so does what is no number, and what is bad already.

A value that moved too fast is withheld once: the next reading decides. If that one is back, it was a disturbance; if it
is away on the same side, the move is real, and counts from then on for as long as it lasts. So a fire is seen one
reading later, not never, and a sensor that jumps up and down stays bad.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import NamedTuple

from gateway.model import Calibration, Reading, Reason, Value

_NO_STEP = 1.000001  # 4.2 - 4.0 is a little more than 0.2 in binary, and 0.2 to whoever wrote it
_MOST_DECIMALS = 9
_NUMBER = (float, int)


class Rate(NamedTuple):
    """The largest believable change: `amount`, in the unit of the point, within `per_s` seconds."""

    amount: float
    per_s: float

    def allows(self, change: float, seconds: float) -> bool:
        """Whether this change can be believed after so many seconds; one of `amount` always can."""
        return abs(change) <= self.amount * max(1.0, seconds / self.per_s) * _NO_STEP


class Check(NamedTuple):
    """What is done to the values of one point."""

    calibration: Calibration | None = None
    low: float | None = None  # the configuration's own range, in the unit of the point, after calibration
    high: float | None = None
    rate: Rate | None = None


class _Pace:
    """How fast one point moves. The first value is believed."""

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._last: tuple[float, float] | None = None  # the last believed value, and when
        self._rises: bool | None = None  # where the last value jumped to; None: it did not

    def believes(self, value: float, mono: float) -> bool:
        """Whether this value, of the moment `mono`, is no jump, or one that is confirmed."""
        jumped, self._rises = self._rises, None
        if self._last is not None:
            last, at = self._last
            if not self._rate.allows(value - last, mono - at):
                self._rises = value > last
                if jumped is not self._rises:
                    return False
        self._last = value, mono
        return True


class Quality:
    """The checks of one device's points. Owned and changed by the hub alone."""

    def __init__(self, checks: Mapping[str, Check]) -> None:
        self._checks = [
            (name, check, None if check.rate is None else _Pace(check.rate)) for name, check in checks.items()
        ]

    def refined(self, reading: Reading) -> Reading:
        """The reading as it is judged and recorded."""
        values = reading.values
        better: dict[str, Value] = {}
        worse: dict[str, Reason] = {}
        for name, check, pace in self._checks:
            value = values.get(name)
            if not isinstance(value, _NUMBER):
                continue
            found = _refined(check, pace, value, reading.mono)
            if isinstance(found, Reason):
                worse[name] = found
            elif found is not value:
                better[name] = found
        if not better and not worse:
            return reading
        good = {name: better.get(name, value) for name, value in values.items() if name not in worse}
        return reading._replace(values=good, bad={**reading.bad, **worse} if worse else reading.bad)


def _refined(check: Check, pace: _Pace | None, value: float, mono: float) -> float | Reason:
    if check.calibration is not None:
        value = calibrated(check.calibration, value)
        if not -inf < value < inf:
            return Reason.OUT_OF_RANGE
    if (check.low is not None and value < check.low) or (check.high is not None and value > check.high):
        return Reason.OUT_OF_RANGE
    if pace is not None and not pace.believes(value, mono):
        return Reason.TOO_FAST
    return value


def calibrated(calibration: Calibration, value: float) -> float:
    """The corrected value, with one decimal more than it came with; the value itself if there is nothing to correct."""
    if calibration.scale == 1 and calibration.offset == 0:
        return value
    written = str(value)
    decimals = _MOST_DECIMALS if "e" in written else min(len(written.partition(".")[2]) + 1, _MOST_DECIMALS)
    return round(value * calibration.scale + calibration.offset, decimals) + 0.0
