"""How often a door was opened, and for how long it has been open. Pure.

    openings    how often, ever                                            only grows
    open_time   for how many seconds in all                                only grows
    open_for    for how many seconds since it was opened last, 0 closed

- What is counted was seen: time in which the door's state was not known is open time of nobody. A door that was closed
  before such a time, or before a restart, and is open after it, was opened once; one that was open is open still.
- While it is open the times go in steps of `STEP_S`, so that few records tell of them; when it closes they are exact.
- A restart costs at most the last `KEEP_S` of an opening that goes on; a count of openings it never costs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, NamedTuple, TypeGuard

from gateway.derive.derivation import NOTHING, Derivation, Outcome
from gateway.model import Json, Moment, Reading, Value

OPENINGS, OPEN_TIME, OPEN_FOR = "openings", "open_time", "open_for"
POINTS = (OPENINGS, OPEN_TIME, OPEN_FOR)
"""What a door has of its openings; each is of the kind of its name."""

STEP_S = 10.0
KEEP_S = 60.0
_MOST = 1e12


class _Stored(NamedTuple):
    """What an earlier run has counted. `before_s` is without the opening that goes on, `for_s` is that one's."""

    openings: int
    before_s: float
    for_s: float
    is_open: bool


class Openings(Derivation):
    """The openings of one door; `point` says whether it is open, of `source` where that is another device."""

    remembers: ClassVar[bool] = True

    def __init__(self, point: str = "door", source: str = "") -> None:
        self._point = point
        self._source = source
        self._openings = 0
        self._before_s = 0.0  # open time without the opening that goes on
        self._for_s = 0.0
        self._is_open: bool | None = None  # None: nothing was heard yet, in any run
        self._mono: float | None = None  # of the last reading, if that told the state
        self._first: bool | None = None  # whether it was open when this run heard of it first
        self._is_first = True  # it has not changed since
        self._kept_s = 0.0  # of this opening when it was stored last
        self._restored = False

    def take(self, reading: Reading, now: Moment) -> Outcome:
        """The counts by now; bad where the door's state is."""
        del now
        if self._source not in {"", reading.device}:
            return NOTHING
        word = reading.values.get(self._point)
        if word is None:
            return self._unknown(reading)
        if self._is_open and self._mono is not None:
            self._for_s += max(0.0, reading.mono - self._mono)
        self._mono = reading.mono
        changed = self._turn(word == "open") or self._for_s >= self._kept_s + KEEP_S
        if changed:
            self._kept_s = self._for_s
        return Outcome(self._values(), changed=changed)

    def stored(self) -> Json:
        """The counts, and whether it is open."""
        if self._is_open is None:
            return None
        return _Stored(self._openings, self._before_s, self._for_s, self._is_open)._asdict()

    def restore(self, stored: Json, now: Moment) -> Outcome:
        """Go on from what another run has counted; what this one has counted already is added."""
        del now
        before = _read(stored)
        if before is None or self._restored:
            return NOTHING
        self._restored = True
        self._openings += before.openings
        if self._first is None:
            self._before_s, self._for_s, self._is_open = before.before_s, before.for_s, before.is_open
            return NOTHING
        if self._first and not before.is_open:
            self._openings += 1
        if self._first and before.is_open and self._is_first:
            self._before_s, self._for_s = self._before_s + before.before_s, self._for_s + before.for_s
        else:
            self._before_s += before.before_s + before.for_s
        return Outcome(self._values(), changed=True)

    def _unknown(self, reading: Reading) -> Outcome:
        reason = reading.bad.get(self._point)
        if reason is None:
            return NOTHING
        self._mono = None
        return Outcome(bad=dict.fromkeys(POINTS, reason))

    def _turn(self, is_open: bool) -> bool:
        """Note the door's state; whether it is another than before."""
        was_open, self._is_open = self._is_open, is_open
        self._is_first = self._first is None or (self._is_first and is_open == was_open)
        if self._first is None:
            self._first = is_open
        if is_open == was_open:
            return False
        if is_open and was_open is not None:
            self._openings += 1
        if not is_open:
            self._before_s, self._for_s = self._before_s + self._for_s, 0.0
        return True

    def _values(self) -> Mapping[str, Value]:
        for_s = self._for_s // STEP_S * STEP_S
        return {OPENINGS: self._openings, OPEN_TIME: round(self._before_s + for_s, 1), OPEN_FOR: for_s}


def _read(stored: Json) -> _Stored | None:
    """What was stored; None where it cannot have been."""
    if not isinstance(stored, Mapping):
        return None
    openings, is_open = stored.get("openings"), stored.get("is_open")
    before_s, for_s = stored.get("before_s"), stored.get("for_s")
    if not (_is_number(openings) and _is_number(before_s) and _is_number(for_s) and isinstance(is_open, bool)):
        return None
    return _Stored(int(openings), float(before_s), float(for_s), is_open)


def _is_number(value: Json) -> TypeGuard[float]:
    return type(value) in (int, float) and isinstance(value, int | float) and 0 <= value < _MOST
