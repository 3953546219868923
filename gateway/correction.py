"""Corrections: records of a time when the clock was not trusted, with the time that they were really made at.

Pure. Stored rows never change: a correction is kept as state of the journal, and applied whenever such a row is sent.
Monotonic time runs through a whole boot, so an offset that becomes known later dates all that was recorded before.
"""

from __future__ import annotations

import json
from bisect import insort
from collections.abc import Iterator, Mapping

from gateway.model import Correction, Row, StateChange, Trust

PREFIX = "clock/correction/"
DOUBTFUL = frozenset({Trust.RTC, Trust.UNSYNCED})
"""The trusts of records that a correction applies to."""


def stored(correction: Correction) -> StateChange:
    """The correction as state of the journal."""
    text = json.dumps([correction.run, correction.until_mono_ms, correction.offset_ms])
    return StateChange(f"{PREFIX}{correction.run}/{correction.until_mono_ms}", text)


def recalled(state: Mapping[str, str]) -> Iterator[tuple[str, Correction]]:
    """The corrections in the state of the journal with their keys; what is none of ours is passed over."""
    for key, text in state.items():
        if key.startswith(PREFIX):
            try:
                run, until_mono_ms, offset_ms = json.loads(text)
                yield key, Correction(str(run), int(until_mono_ms), int(offset_ms))
            except (ValueError, TypeError):
                continue


class Corrections:
    """What a sender knows of the clock of all runs."""

    def __init__(self) -> None:
        self._by_run: dict[str, list[Correction]] = {}

    def __bool__(self) -> bool:
        return bool(self._by_run)

    def learn(self, correction: Correction) -> None:
        """Apply it from now on; of several for one run the first that reaches up to a record is the one for it."""
        known = self._by_run.setdefault(correction.run, [])
        if correction not in known:
            insort(known, correction)

    def of(self, row: Row) -> Row:
        """The row as it is to be sent: with its time corrected and marked as estimated, where its clock was wrong."""
        record = row.record
        ts = self.time_of(row.run, record.trust, record.mono_ms)
        return row if ts is None else row._replace(record=record._replace(ts=ts, trust=Trust.ESTIMATED))

    def time_of(self, run: str, trust: str, mono_ms: int) -> int | None:
        """When a record of this run was really made (UTC ms); None where there is nothing to correct."""
        for correction in self._by_run.get(run, ()) if trust in DOUBTFUL else ():
            if mono_ms <= correction.until_mono_ms:
                return mono_ms + correction.offset_ms
        return None
