"""How far wall time can be trusted, when it jumped, and what earlier records were off by once it is known. Pure.

- Trust: what the clock says of itself, but never below the floor; a clock that was known in this run and neither lost
  its offset nor jumped since is `estimated`; a hardware clock does not count any more once wall time has jumped.
- A stretch of records with one doubtful clock is an era. A run's eras are stored with the first record after a change,
  so that a later run of the same boot can still settle them: monotonic time runs on.
- Another source confirms the clock, or dates what was recorded. Against a clock that the kernel calls synchronised it
  has no say, nor against one that was known in this run where the two are further apart than a clock drifts.
- When the time becomes known, every era of this boot is settled: a Correction per run for what is sent from now on, and
  what each era was off by, for those who have its records already.
- Slow slewing is no jump: only what happens from one look to the next is compared.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import NamedTuple

from gateway.correction import DOUBTFUL, recalled, stored
from gateway.model import Correction, Lane, Moment, StateChange, TimeKnown, Trust
from gateway.records import encode, event

STEP_MS = 1000
SAVE_EVERY_S, LOOK_EVERY_S = 60.0, 1.0
HEARD_FOR_S = 600.0  # how long another source's word is good for
DRIFT_MS = 60_000  # a clock that was known in this run, and did not jump, is wrong by less: a month at 20 ppm
MAX_ERAS = 64  # of a run; and of so many earlier runs
MAX_CORRECTIONS = 256

KNOWN = frozenset({Trust.SYNCED, Trust.GPS})
TRUSTED_KEY = "clock/trusted"
ERAS_PREFIX = "clock/eras/"


class Era(NamedTuple):
    """The records of a run, by number, while its clock was doubtful and had one offset (UTC ms at monotonic zero).

    A last number of None: all that follow in that run. A last number below the first: none.
    """

    run: str
    trust: Trust
    offset_ms: int
    first_event: int
    first_telemetry: int
    last_event: int | None = None
    last_telemetry: int | None = None

    def has_event(self, run: str, seq: int) -> bool:
        """Whether this event is one of the era."""
        return run == self.run and self.first_event <= seq and (self.last_event is None or seq <= self.last_event)


class Settled(NamedTuple):
    """An era that was over at monotonic `until_mono_ms`, and what must be added to its times (ms)."""

    era: Era
    by_ms: int
    until_mono_ms: int

    def text(self, boot: str) -> str:
        """The event for those who have the era's records already."""
        era = self.era
        return event(
            "clock_corrected",
            of_run=era.run,
            boot=boot,
            was=era.trust,
            by_ms=self.by_ms,
            offset_ms=era.offset_ms + self.by_ms,
            until_mono_ms=self.until_mono_ms,
            first_event=era.first_event,
            last_event=era.last_event,
            first_telemetry=era.first_telemetry,
            last_telemetry=era.last_telemetry,
        )


class Turned(NamedTuple):
    """What became of the clock: how far it jumped (0: it did not), what that settles, and the state to store."""

    by_ms: int = 0
    settled: tuple[Settled, ...] = ()
    corrections: tuple[Correction, ...] = ()
    state: tuple[StateChange, ...] = ()


class Timekeeper:
    """The clock of one run in one boot ("": not known). Owned by the hub alone.

    `trust` is that of wall time now; `floor_ts` (UTC ms) has passed for certain, 0 while nothing is known.
    """

    def __init__(self, run: str, boot: str, now: Moment) -> None:
        self._run = run
        self._boot = boot
        self._said = now.trust
        self._offset_ms = now.ts - now.mono * 1000
        self.floor_ts = 0
        self._below_floor = False
        self._jumped = False
        self._was_known = False
        self._heard: Trust = Trust.GPS
        self._heard_until = self._date_at = float("-inf")
        self._started_ms = round(now.mono * 1000)
        self._eras_changed = False
        self.save_at = float("-inf")  # when (monotonic) `save` is worth a call
        self._corrections: list[str] = []  # their keys, oldest first
        self._eras: list[Era] = []
        self.trust = self._judge(now)
        self._begin({Lane.EVENT: 0, Lane.TELEMETRY: 0})

    def look(self, now: Moment, last: Mapping[Lane, int]) -> Turned | None:
        """What became of the clock since the last look; None if nothing. `last`: the last numbers given in this run."""
        offset_ms = now.ts - now.mono * 1000
        moved_ms = offset_ms - self._offset_ms
        self._offset_ms = offset_ms
        jumped = not -STEP_MS < moved_ms < STEP_MS
        if not (
            jumped
            or now.trust is not self._said
            or (now.ts < self.floor_ts) is not self._below_floor
            or (self.trust is self._heard and now.mono >= self._heard_until)
        ):
            return None
        if jumped:
            self._jumped, self._was_known, self._heard_until = True, False, float("-inf")
        return self._turn(now, last, round(moved_ms) if jumped else 0)

    def recovered(self, state: Mapping[str, str], now: Moment, last: Mapping[Lane, int]) -> Turned:
        """The journal's state has come: the floor, what earlier runs of this boot left unsettled, and corrections."""
        self.floor_ts = _trusted_ts(state.get(TRUSTED_KEY))
        self._corrections = [
            key for key, _ in sorted(recalled(state), key=lambda kept: kept[1].until_mono_ms + kept[1].offset_ms)
        ]
        kept = {key.removeprefix(ERAS_PREFIX): text for key, text in state.items() if key.startswith(ERAS_PREFIX)}
        kept.pop(self._run, None)
        earlier = sorted(_earlier(run, text, self._boot) for run, text in kept.items())[-MAX_ERAS:]
        self._eras = [era for _, eras in earlier for era in eras] + self._eras
        there = {era.run for era in self._eras}
        gone = tuple(StateChange(ERAS_PREFIX + run, None) for run in kept if run not in there)
        turned = self._turn(now, last, 0) or Turned()
        return turned._replace(state=gone + turned.state)

    def heard(self, fact: TimeKnown, now: Moment, last: Mapping[Lane, int]) -> Turned | None:
        """Another source knows the time: either it confirms the clock, or it dates what was recorded until now."""
        if self._said is Trust.SYNCED or fact.ts < self.floor_ts:
            return None
        known_ms = fact.ts - fact.mono * 1000
        if abs(known_ms - self._offset_ms) < STEP_MS:
            self._heard, self._heard_until = fact.trust, now.mono + HEARD_FOR_S
            return self._turn(now, last, 0)
        is_drift = abs(known_ms - self._offset_ms) < DRIFT_MS
        if now.mono < self._date_at or not self._eras or (self._was_known and not is_drift):
            return None
        self._date_at = now.mono + SAVE_EVERY_S
        self._close(last)
        settled = self._settle(now, round(known_ms))
        self._begin(last)
        return settled

    def save(self, now: Moment) -> tuple[StateChange, ...]:
        """What is to be stored with the next record: this run's eras, and the time if it is trusted, the next floor."""
        state: list[StateChange] = []
        if self._eras_changed:
            self._eras_changed = False
            own = [era[1:] for era in self._eras if era.run == self._run]
            text = encode({"boot": self._boot, "since": self._started_ms, "eras": own}) if own else None
            state.append(StateChange(ERAS_PREFIX + self._run, text))
        if self.trust in KNOWN:
            state.append(StateChange(TRUSTED_KEY, str(now.ts)))
        self.save_at = now.mono + (SAVE_EVERY_S if self.trust in KNOWN else LOOK_EVERY_S)
        return tuple(state)

    def _judge(self, now: Moment) -> Trust:
        if now.ts < self.floor_ts:
            return Trust.UNSYNCED
        if now.trust is Trust.SYNCED:
            return Trust.SYNCED
        if now.mono < self._heard_until:
            return self._heard
        if now.trust is Trust.RTC and not self._jumped:
            return Trust.RTC
        return Trust.ESTIMATED if self._was_known else Trust.UNSYNCED

    def _turn(self, now: Moment, last: Mapping[Lane, int], by_ms: int) -> Turned | None:
        """Judge anew; where trust or offset changed, an era ends, and another begins or all are settled."""
        self._said, self._below_floor = now.trust, now.ts < self.floor_ts
        before, self.trust = self.trust, self._judge(now)
        self._was_known = self._was_known or self.trust in KNOWN
        if self.trust in KNOWN and self._eras:
            self._close(last)
            return self._settle(now, round(self._offset_ms))._replace(by_ms=by_ms)
        if not by_ms and self.trust is before:
            return None
        self._close(last)
        self._begin(last)
        return Turned(by_ms)

    def _close(self, last: Mapping[Lane, int]) -> None:
        if self._eras and self._eras[-1].run == self._run and self._eras[-1].last_event is None:
            ended = self._eras[-1]._replace(last_event=last[Lane.EVENT], last_telemetry=last[Lane.TELEMETRY])
            self._eras[-1] = ended
            self._note_eras()

    def _begin(self, last: Mapping[Lane, int]) -> None:
        if self.trust in DOUBTFUL:
            firsts = last[Lane.EVENT] + 1, last[Lane.TELEMETRY] + 1
            self._eras.append(Era(self._run, self.trust, round(self._offset_ms), *firsts))
            del self._eras[: -2 * MAX_ERAS]
            self._note_eras()

    def _note_eras(self) -> None:
        self._eras_changed = True
        self.save_at = float("-inf")

    def _settle(self, now: Moment, offset_ms: int) -> Turned:
        """All eras are over: those of no clock, and those of a hardware clock that was wrong, are corrected."""
        until_mono_ms = round(now.mono * 1000)
        settled = tuple(
            Settled(era, offset_ms - era.offset_ms, until_mono_ms)
            for era in self._eras
            if era.trust is Trust.UNSYNCED or abs(offset_ms - era.offset_ms) >= STEP_MS
        )
        state = [StateChange(ERAS_PREFIX + run, None) for run in dict.fromkeys(era.run for era in self._eras)]
        self._eras.clear()
        self._eras_changed = False
        runs = dict.fromkeys(one.era.run for one in settled)
        corrections = tuple(Correction(run, until_mono_ms, offset_ms) for run in runs)
        state += [stored(correction) for correction in corrections]
        self._corrections += [stored(correction).key for correction in corrections]
        old, self._corrections = self._corrections[:-MAX_CORRECTIONS], self._corrections[-MAX_CORRECTIONS:]
        state += [StateChange(key, None) for key in old]
        return Turned(0, settled, corrections, tuple(state))


def _trusted_ts(text: str | None) -> int:
    try:
        return int(text or 0)
    except ValueError:
        return 0


def _earlier(run: str, text: str, boot: str) -> tuple[int, list[Era]]:
    """When (monotonic ms) an earlier run of this boot began, and its eras; of another boot nothing can be said."""
    try:
        kept = json.loads(text)
        if boot and kept["boot"] == boot:
            return int(kept["since"]), [_era(run, *era) for era in kept["eras"]]
    except (ValueError, TypeError, KeyError):
        pass
    return 0, []


def _era(run: str, trust: str, offset_ms: int, *numbers: int | None) -> Era:
    first_event, first_telemetry, last_event, last_telemetry = numbers
    lasts = [None if last is None else int(last) for last in (last_event, last_telemetry)]
    return Era(run, Trust(trust), int(offset_ms), int(first_event or 1), int(first_telemetry or 1), lasts[0], lasts[1])
