"""Fire in a zone, as far as its smoke detectors tell, and how many signals make an alarm of it. Pure.

- The first signal is never held back: it is at least a `prealarm`, at once. Only what it takes to an `alarm` differs.
- A detector signals from `alarm` on until it says that it is at rest, under test or disabled. One that falls silent or
  calls itself faulty meanwhile is taken to signal still: fire destroys detectors and their cables.
- What is wrong with a detector never hides what others say: alarm before prealarm before fault before test.
- Where fewer detectors are left that can signal than an alarm takes, those that are left are enough.
- An alarm stays while any detector of the zone signals; holding it until a person resets it is up to the rule on it.

    mode          an alarm is                                                             the window, usually
    single        any signal                                                              -
    verify        a detector that signals 10 s after its first signal, or again until     60 s
                  the window ends; or a second detector within it
    coincidence   as many detectors as wanted (2) within the window; each counts while    120 s
                  it signals and so long afterwards

The modes are those of EN 54-2 (dependency on more than one alarm signal, types A and B) as a notice beside a certified
system may follow them; the figures are the usual ones of panels, not a clause.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from math import inf
from typing import ClassVar, NamedTuple

from gateway.derive.derivation import NOTHING, Derivation, Outcome
from gateway.model import Json, Moment, Reading, Trust, Value

FIRE, DETECTORS = "fire", "detectors"
"""The points: what is so in the zone, and which detectors are not at rest."""

AGAIN_AFTER_S = 10.0
"""With `verify`: what a detector does sooner than this after its first signal is still the first."""

FAULTY_AFTER_S = 10.0
"""A detector whose values are bad for so long, and one that has said nothing so long after the start, is faulty."""

SILENCE_S = 15.0
"""One of which nothing comes at all, good or bad, is faulty after three of the longest intervals that smoke may have:
whatever it was read by hangs."""

_NEVER_MS = 1e15  # no time that any clock of ours has shown

REPEAT_S, AGAIN_S = 2.0, 4.0
"""What has not changed is said again after the first, with a reading; after the second without one, if not normal."""


class Mode(StrEnum):
    """What confirms a signal."""

    SINGLE = "single"
    VERIFY = "verify"
    COINCIDENCE = "coincidence"


class Confirmation(NamedTuple):
    """How many signals, within how many seconds, make an alarm."""

    mode: Mode = Mode.SINGLE
    within_s: float = 0.0
    detectors: int = 2  # with `coincidence`


class Source(NamedTuple):
    """A smoke point."""

    device: str
    point: str


@dataclass(slots=True)
class _Detector:
    """What is known of one; moments are monotonic seconds."""

    name: str
    word: str | None = None  # the last good one
    heard: float = -inf  # when it came
    missing: bool = False  # the newest reading was bad
    signals: bool = False
    first: float = -inf  # the signal by which its window began
    last: float = -inf  # until when it has signalled

    def take(self, word: str, mono: float, window_s: float) -> None:
        """A good value."""
        self.word, self.heard, self.missing = word, mono, False
        if word == "alarm":
            if not self.signals and mono > self.first + window_s:
                self.first = mono
            self.signals, self.last = True, mono
        elif self.signals and word != "fault":
            self.signals, self.last = False, mono

    def is_faulty(self, mono: float, begun: float, silence_s: float) -> bool:
        """Whether it says so itself, or has said nothing for too long."""
        if self.word is None:
            return mono >= begun + FAULTY_AFTER_S
        return self.word == "fault" or mono >= self.lapses(silence_s)

    def lapses(self, silence_s: float) -> float:
        """When it is faulty for what does not come; who is taken out is not waited for."""
        if self.missing:
            return self.heard + FAULTY_AFTER_S
        return inf if self.word == "disabled" else self.heard + silence_s


@dataclass(slots=True, eq=False)
class Fire(Derivation):
    """The fire of one zone: which of its detectors signal, and whether that is an alarm."""

    sources: Sequence[Source]
    confirmation: Confirmation
    silence_s: float = SILENCE_S
    wake: float = -inf
    _detectors: dict[Source, _Detector] = field(init=False)
    _all: tuple[_Detector, ...] = field(init=False)
    _confirmed: bool = False
    _begun: float = inf  # when it was first told anything
    _wall_ms: float = 0.0  # what wall time is ahead of monotonic time
    _said: Mapping[str, Value] = field(default_factory=dict)
    _said_at: float = -inf

    remembers: ClassVar[bool] = True
    waits: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Nothing is known yet."""
        several = len({source.device for source in self.sources}) < len(self.sources)
        self._detectors = {it: _Detector(f"{it.device}.{it.point}" if several else it.device) for it in self.sources}
        self._all = tuple(self._detectors.values())

    def take(self, reading: Reading, now: Moment) -> Outcome:
        """What a reading of a detector makes of the zone."""
        before = self._kept()
        for source, detector in self._detectors.items():
            if source.device != reading.device:
                continue
            word = reading.values.get(source.point)
            if isinstance(word, str):
                detector.take(word, reading.mono, self.confirmation.within_s)
            elif source.point in reading.bad:
                detector.missing = True
        return self._told(now, before)

    def elapse(self, now: Moment) -> Outcome:
        """A window has ended, a signal has lasted, or a detector has been silent for too long."""
        return self._told(now, self._kept())

    def stored(self) -> Json:
        """Whether there is an alarm; by detector when (UTC ms) its window began, and its signal ended (None: not)."""
        hits: dict[str, Json] = {
            it.name: [self._ts(it.first), None if it.signals else self._ts(it.last)]
            for it in self._all
            if it.last > -inf
        }
        return {"confirmed": self._confirmed, "hits": hits} if hits else None

    def restore(self, stored: Json, now: Moment) -> Outcome:
        """The signals of an earlier run count as in it; where nobody knows how old they are, as if they had just come.

        Whether a detector still signals is for itself to say. What has been an alarm stays one if it does.
        """
        hits = stored.get("hits") if isinstance(stored, Mapping) else None
        if not isinstance(stored, Mapping) or not isinstance(hits, Mapping):
            return NOTHING
        kept = self._kept()
        self._confirmed = self._confirmed or stored.get("confirmed") is True
        for detector in self._detectors.values():
            hit = hits.get(detector.name)
            if isinstance(hit, Sequence) and len(hit) == 2:
                first, last = (_mono(ts, now) for ts in hit)
                detector.first = max(detector.first, min(first, last))
                detector.last = max(detector.last, last)
        return self._told(now, kept)

    def _ts(self, mono: float) -> int:
        return round(mono * 1000 + self._wall_ms)

    def _kept(self) -> object:
        """What `stored` is made of."""
        return self._confirmed, [(it.signals, it.first, None if it.signals else it.last) for it in self._all]

    # -- what follows

    def _told(self, now: Moment, before: object) -> Outcome:
        mono = now.mono
        self._begun, self._wall_ms = min(self._begun, mono), now.ts - mono * 1000
        signals = any(it.signals for it in self._all)
        self._confirmed = (signals or self._is_waiting(mono)) and (self._confirmed or self._is_confirmed(mono))
        changed = before != self._kept()
        values = self._values(mono)
        is_news = values is not None and (values != self._said or mono >= self._said_at + REPEAT_S)
        if is_news and values is not None:
            self._said, self._said_at = values, mono
        self.wake = min(self._deadlines(mono), default=inf)
        if is_news:
            return Outcome(self._said, changed=changed)
        return Outcome(changed=True) if changed else NOTHING

    def _values(self, mono: float) -> dict[str, Value] | None:
        """What is so; None while that is not known."""
        shown = {it.name: self._word(it, mono) for it in self._all}
        words = set(shown.values())
        if any(it.signals for it in self._all):
            fire = "alarm" if self._confirmed else "prealarm"
        elif any(self._is_recent(it, mono) for it in self._all):
            fire = "prealarm"
        elif "" in words:
            return None
        elif words == {"disabled"}:
            fire = "disabled"
        else:
            fire = next((word for word in ("fault", "test") if word in words), "normal")
        restless = (f"{name} {word}" for name, word in shown.items() if word not in {"normal", ""})
        return {FIRE: fire, DETECTORS: ", ".join(restless)}

    def _word(self, detector: _Detector, mono: float) -> str:
        if detector.signals:
            return "alarm"
        if detector.is_faulty(mono, self._begun, self.silence_s):
            return "fault"
        return detector.word or ""

    def _is_waiting(self, mono: float) -> bool:
        """Whether some detector has not said anything yet, and may still."""
        return any(it.word is None and not it.is_faulty(mono, self._begun, self.silence_s) for it in self._all)

    def _is_recent(self, detector: _Detector, mono: float) -> bool:
        """Whether a signal of it still counts, though it has ended."""
        return mono < self._counts_from(detector) + self.confirmation.within_s

    def _counts_from(self, detector: _Detector) -> float:
        return detector.last if self.confirmation.mode is Mode.COINCIDENCE else detector.first

    def _is_confirmed(self, mono: float) -> bool:
        signals = [it for it in self._all if it.signals]
        counting = sum(it.signals or self._is_recent(it, mono) for it in self._all)
        match self.confirmation.mode:
            case Mode.SINGLE:
                return bool(signals)
            case Mode.VERIFY:
                return bool(signals) and (counting > 1 or any(mono >= it.first + AGAIN_AFTER_S for it in signals))
            case Mode.COINCIDENCE:
                able = sum(it.signals or not self._is_lost(it, mono) for it in self._all)
                return bool(signals) and counting >= min(self.confirmation.detectors, able)

    def _is_lost(self, detector: _Detector, mono: float) -> bool:
        """Whether it could not signal."""
        return detector.is_faulty(mono, self._begun, self.silence_s) or detector.word in {"test", "disabled"}

    def _deadlines(self, mono: float) -> Iterator[float]:
        again = self._said_at + AGAIN_S
        if self._said.get(FIRE, "normal") != "normal" and again > mono:
            yield again
        for it in self._all:
            ends = [self._begun + FAULTY_AFTER_S if it.word is None else it.lapses(self.silence_s)]
            if not it.signals:
                ends.append(self._counts_from(it) + self.confirmation.within_s)
            elif self.confirmation.mode is Mode.VERIFY and not self._confirmed:
                ends.append(it.first + AGAIN_AFTER_S)
            yield from (end for end in ends if end > mono)


def _mono(ts: Json, now: Moment) -> float:
    """A stored moment (UTC ms) in monotonic seconds: now where nobody knows, and never later."""
    if not isinstance(ts, int | float) or now.trust is Trust.UNSYNCED or not abs(ts) < _NEVER_MS:
        return now.mono
    return now.mono + min(0.0, (ts - now.ts) / 1000)
