"""Numbering: every record gets its number in its lane before anyone tries to store it; none is given twice in a run.

Event number 1 is kept for `started`, whenever it is made.
"""

from __future__ import annotations

from collections.abc import Mapping

from gateway.hub.timekeeping import KNOWN, STEP_MS
from gateway.model import SENT_LANES, Dropped, Lane, Moment, Reading, Record, Trust
from gateway.records import Telemetry, gateway_fact
from gateway.refine.exception import Worth

MAX_NOT_STORED = 50_000
"""Records that may wait for the journal; beyond it telemetry is dropped, counted, and said as a gap."""


class Numbering:
    """The numbers of one run, and how many records the journal has not confirmed."""

    def __init__(self, run: str, uplinks: tuple[str, ...]) -> None:
        self._run = run
        self._uplinks = uplinks
        self._seq = {Lane.EVENT: 1, Lane.TELEMETRY: 0, Lane.LOCAL: 0}
        self._text = Telemetry().text
        self._gaps: dict[Lane, Dropped] = {}
        self.not_stored = 0
        self.dropped = 0

    def started(self, text: str, at: Moment, now: Moment) -> Record:
        """Event number 1, with the time `at` which the run began."""
        return self._record(Lane.EVENT, 1, at.ts, at.mono, text, now)

    def event(self, text: str, now: Moment, at: tuple[float, int] | None = None) -> Record:
        """The next event; `at` (monotonic seconds, UTC ms) if it happened before now."""
        mono, ts = (now.mono, now.ts) if at is None else at
        return self._record(Lane.EVENT, self._next(Lane.EVENT), ts, mono, text, now)

    def readings(self, worth: Worth, now: Moment) -> tuple[Record, ...]:
        """The records of a reading, of what is sent and of what is not."""
        sent, local = worth
        if local is None:
            return () if sent is None else self._reading(Lane.TELEMETRY, sent, now)
        made = self._reading(Lane.LOCAL, local, now)
        return made if sent is None else (*self._reading(Lane.TELEMETRY, sent, now), *made)

    def _reading(self, lane: Lane, reading: Reading, now: Moment) -> tuple[Record, ...]:
        """One record; none while too many wait, and the gap's event with the first one after that."""
        seq = self._next(lane)
        if self.not_stored >= MAX_NOT_STORED or (lane in self._gaps and self.not_stored >= MAX_NOT_STORED // 2):
            without = self._uplinks if lane in SENT_LANES else ()
            begun = self._gaps.get(lane) or Dropped(
                self._run, lane, seq, seq, 0, without, "the journal is behind", reading.ts, reading.ts, now.trust
            )
            self._gaps[lane] = begun._replace(last=seq, records=begun.records + 1, last_ts=reading.ts)
            self.dropped += 1
            return ()
        made = (self._record(lane, seq, reading.ts, reading.mono, self._text(reading), now),)
        gap = self._gaps.pop(lane, None) if self._gaps else None
        return made if gap is None else (self.event(gateway_fact(gap), now), *made)

    def open_gaps(self, now: Moment) -> tuple[Record, ...]:
        """The events of gaps that have not ended, so that they are told before the run does."""
        gaps, self._gaps = self._gaps, {}
        return tuple(self.event(gateway_fact(gap), now) for gap in gaps.values())

    def serve(self, uplinks: tuple[str, ...]) -> None:
        """There are these uplinks from now on."""
        self._uplinks = uplinks

    def stored(self, count: int) -> None:
        """The journal has confirmed `count` records."""
        self.not_stored = max(0, self.not_stored - count)

    @property
    def last(self) -> Mapping[Lane, int]:
        """The last number given in each lane."""
        return self._seq

    def _next(self, lane: Lane) -> int:
        self._seq[lane] += 1
        return self._seq[lane]

    def _record(self, lane: Lane, seq: int, ts: int, mono: float, text: str, now: Moment) -> Record:
        """A wall time that was read before a jump is made anew from the monotonic one."""
        self.not_stored += 1
        behind_ms = now.ts - ts - (now.mono - mono) * 1000
        if -STEP_MS < behind_ms < STEP_MS:
            return Record(lane, seq, ts, now.trust, round(mono * 1000), text)
        trust = Trust.ESTIMATED if now.trust in KNOWN else now.trust
        return Record(lane, seq, ts + round(behind_ms), trust, round(mono * 1000), text)
