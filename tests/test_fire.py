"""Fire in a zone: how many signals make an alarm, against a slow model that looks at all that was ever said."""

from __future__ import annotations

from math import inf
from typing import Any

import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.derive.fire import SILENCE_S, Confirmation, Fire, Mode, Source
from gateway.model import Json, Moment, Reading, Reason, Trust

A, B, C = (Source(f"smoke-{letter}", "smoke") for letter in "abc")
SINGLE = Confirmation(Mode.SINGLE)
VERIFY = Confirmation(Mode.VERIFY, 60)
TWO = Confirmation(Mode.COINCIDENCE, 120, 2)
T0 = 1_795_300_000_000


class Zone:
    """One zone with three detectors, second by second."""

    def __init__(
        self, confirmation: Confirmation, *, heard: bool = True, mono: float = 1000, silence_s: float = inf
    ) -> None:
        self.fire = Fire((A, B, C), confirmation, silence_s)  # most tests say only what changes
        self.mono = mono
        self.shown: dict[str, Any] = {}
        self.stored: Json = None
        if heard:
            for source in (A, B, C):
                self.hears(source, "normal")

    @property
    def now(self) -> Moment:
        return Moment(self.mono, T0 + round(self.mono * 1000), Trust.SYNCED)

    def hears(self, source: Source, word: str | None) -> str:
        """A detector says a word, or (None) nothing good."""
        good = {} if word is None else {source.point: word}
        bad = {source.point: Reason.NO_REPLY} if word is None else {}
        return self._took(self.fire.take(Reading(source.device, self.mono, self.now.ts, good, bad), self.now))

    def after(self, seconds: float) -> str:
        """Time passes; the derivation is woken when it wants to be, and no sooner."""
        end = self.mono + seconds
        while self.fire.wake <= end:
            self.mono = max(self.mono, self.fire.wake)
            self._took(self.fire.elapse(self.now))
            assert self.fire.wake > self.mono
        self.mono = end
        return str(self.shown.get("fire", ""))

    def _took(self, outcome: Any) -> str:
        self.shown |= outcome.values
        if outcome.changed:
            self.stored = self.fire.stored()
        return str(self.shown.get("fire", ""))

    @property
    def detectors(self) -> str:
        return str(self.shown["detectors"])


def test_one_signal_is_an_alarm_where_nothing_else_is_wanted() -> None:
    zone = Zone(SINGLE)
    assert zone.hears(B, "alarm") == "alarm"
    assert zone.detectors == "smoke-b alarm"
    assert zone.hears(B, "normal") == "normal"


@pytest.mark.parametrize("confirmation", [VERIFY, TWO])
def test_the_first_signal_is_told_at_once_as_less_than_an_alarm(confirmation: Confirmation) -> None:
    zone = Zone(confirmation)
    assert zone.hears(B, "alarm") == "prealarm"
    assert zone.hears(B, "normal") == "prealarm"  # it may come again
    assert zone.after(confirmation.within_s) == "normal"


def test_a_signal_that_lasts_ten_seconds_is_verified() -> None:
    zone = Zone(VERIFY)
    zone.hears(A, "alarm")
    assert zone.after(9) == "prealarm"
    assert zone.after(1) == "alarm"


@pytest.mark.parametrize(("again_after", "what"), [(5, "prealarm"), (10, "alarm"), (60, "alarm"), (61, "prealarm")])
def test_a_detector_verifies_itself_by_a_second_signal_within_the_window(again_after: float, what: str) -> None:
    zone = Zone(VERIFY)
    zone.hears(A, "alarm")
    zone.after(1)
    zone.hears(A, "normal")
    zone.after(again_after - 1)
    assert zone.hears(A, "alarm") == what


def test_a_second_detector_verifies_the_first() -> None:
    zone = Zone(VERIFY)
    zone.hears(A, "alarm")
    zone.after(3)
    assert zone.hears(B, "alarm") == "alarm"


@pytest.mark.parametrize(("later_s", "what"), [(0, "alarm"), (119, "alarm"), (121, "prealarm")])
def test_two_detectors_within_the_window_coincide(later_s: float, what: str) -> None:
    zone = Zone(TWO)
    zone.hears(A, "alarm")
    zone.hears(A, "normal")
    zone.after(later_s)
    assert zone.hears(B, "alarm") == what


def test_two_detectors_that_both_signal_coincide_however_late_the_second_is() -> None:
    zone = Zone(TWO)
    zone.hears(A, "alarm")
    assert zone.after(500) == "prealarm"
    assert zone.hears(B, "alarm") == "alarm"


def test_one_detector_does_not_coincide_with_itself() -> None:
    zone = Zone(TWO)
    for _ in range(5):
        zone.hears(A, "alarm")
        assert zone.hears(A, "normal") == "prealarm"


@pytest.mark.parametrize("gone", ["fault", "test", "disabled", None])
def test_the_last_detector_that_can_signal_needs_no_second_one(gone: str | None) -> None:
    zone = Zone(TWO)
    for source in (B, C):
        zone.hears(source, gone)
    zone.after(10)
    assert zone.hears(A, "alarm") == "alarm"


def test_an_alarm_stays_one_while_any_detector_signals() -> None:
    zone = Zone(TWO)
    zone.hears(A, "alarm")
    zone.hears(B, "alarm")
    zone.hears(A, "normal")
    assert zone.after(500) == "alarm"
    assert zone.hears(B, "normal") == "prealarm"
    assert zone.after(120) == "normal"


@pytest.mark.parametrize("lost", ["fault", None])
def test_a_detector_that_is_lost_while_it_signals_signals_still(lost: str | None) -> None:
    zone = Zone(SINGLE)
    zone.hears(A, "alarm")
    assert zone.hears(A, lost) == "alarm"
    assert zone.after(3600) == "alarm"
    assert zone.hears(A, "normal") == "normal"


def test_a_fault_is_no_absence_of_smoke_and_hides_no_alarm() -> None:
    zone = Zone(SINGLE)
    assert zone.hears(A, "fault") == "fault"
    assert zone.hears(B, "alarm") == "alarm"
    assert zone.detectors == "smoke-a fault, smoke-b alarm"
    assert zone.hears(B, "normal") == "fault"


def test_a_detector_that_does_not_answer_is_faulty_after_ten_seconds() -> None:
    zone = Zone(SINGLE)
    zone.after(5)
    assert zone.hears(A, None) == "normal"
    assert zone.after(4) == "normal"
    assert zone.after(1) == "fault"
    assert zone.hears(A, "normal") == "normal"


def test_a_detector_of_which_nothing_comes_at_all_is_faulty_and_leaves_the_others_enough() -> None:
    zone = Zone(TWO, silence_s=SILENCE_S)
    zone.after(14)
    zone.hears(A, "normal")
    assert zone.shown["fire"] == "normal"
    assert zone.after(1) == "fault"
    assert zone.detectors == "smoke-b fault, smoke-c fault"
    assert zone.hears(A, "alarm") == "alarm"
    assert zone.after(3600) == "alarm", "what it has signalled last stands"


def test_nothing_is_said_of_a_zone_that_was_not_heard_but_for_smoke() -> None:
    zone = Zone(SINGLE, heard=False)
    assert zone.hears(A, "normal") == ""
    assert zone.after(5) == ""
    assert zone.hears(B, "alarm") == "alarm"
    zone.hears(B, "normal")
    assert zone.after(6) == "fault"
    assert zone.detectors == "smoke-c fault"


def test_what_is_under_test_or_taken_out_is_shown_as_that() -> None:
    zone = Zone(SINGLE)
    assert zone.hears(A, "test") == "test"
    assert zone.hears(A, "disabled") == "normal"
    assert zone.detectors == "smoke-a disabled"
    zone.hears(B, "disabled")
    assert zone.hears(C, "disabled") == "disabled"


def test_what_does_not_change_is_said_again_every_two_seconds_and_stored_once() -> None:
    zone = Zone(SINGLE)
    zone.hears(A, "alarm")
    outcomes = []
    for _ in range(20):
        zone.mono += 0.5  # and it is not woken meanwhile
        outcomes.append(zone.fire.take(Reading(A.device, zone.mono, 0, {"smoke": "alarm"}, {}), zone.now))
    assert sum(each.has_points for each in outcomes) == 5
    assert not any(each.changed for each in outcomes)


# -- over restarts


def restarted(before: Zone, after_s: float, trust: Trust = Trust.SYNCED) -> Zone:
    """The same zone in another boot, whose monotonic time begins anew."""
    zone = Zone(before.fire.confirmation, heard=False, mono=5)
    zone.fire.restore(before.stored, Moment(5, before.now.ts + round(after_s * 1000), trust))
    zone.mono = 5
    return zone


def test_a_signal_before_a_restart_counts_after_it() -> None:
    zone = Zone(TWO)
    zone.hears(A, "alarm")
    zone.hears(A, "normal")
    assert restarted(zone, 20).hears(B, "alarm") == "alarm"
    assert restarted(zone, 121).hears(B, "alarm") == "prealarm"
    assert restarted(zone, 9999, Trust.UNSYNCED).hears(B, "alarm") == "alarm"  # nobody knows how old it is


def test_what_was_stored_before_counts_over_a_second_restart_although_a_signal_came_first() -> None:
    zone = Zone(TWO)
    zone.hears(A, "alarm")
    zone.hears(A, "normal")
    second = Zone(Confirmation(Mode.COINCIDENCE, 120, 3), heard=False, mono=5)
    second.hears(B, "alarm")
    assert second.fire.restore(zone.stored, Moment(5, zone.now.ts + 1000, Trust.SYNCED)).changed


def test_a_signal_that_seems_to_come_from_the_future_lasts_no_longer_than_its_window() -> None:
    zone = Zone(TWO)
    zone.hears(A, "alarm")
    zone.hears(A, "normal")
    later = restarted(zone, -365 * 86_400)  # the clock was put back
    for source in (A, B, C):
        later.hears(source, "normal")
    assert later.after(119) == "prealarm"
    assert later.after(1) == "normal"


def test_an_alarm_is_one_after_a_restart_if_its_detector_still_signals() -> None:
    zone = Zone(TWO)
    zone.hears(A, "alarm")
    zone.hears(B, "alarm")
    zone.hears(B, "normal")
    zone.after(500)
    later = restarted(zone, 600)
    later.hears(B, "normal")
    later.hears(C, "normal")
    assert later.hears(A, "alarm") == "alarm"
    assert restarted(zone, 600).hears(A, "normal") != "alarm"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["confirmed", "hits", "smoke-a", "smoke-b"]), inner)
        ),
        max_leaves=9,
    )
)
def test_whatever_was_stored_a_signal_is_told(stored: Any) -> None:
    zone = Zone(TWO, heard=False)
    zone.fire.restore(stored, zone.now)
    assert zone.hears(A, "alarm") in {"prealarm", "alarm"}
    assert zone.fire.stored() is not None


# -- beside a slow model

WORDS = ("normal", "alarm", "fault", "test", "disabled", None)
STEPS = st.lists(
    st.tuples(st.integers(0, 40), st.sampled_from((A, B, C)), st.sampled_from(WORDS)), min_size=1, max_size=25
)


class Slow:
    """What every detector has said at every whole second; judged anew from the beginning each time."""

    def __init__(self, confirmation: Confirmation, silence_s: float) -> None:
        self.confirmation, self.silence_s = confirmation, silence_s
        self.said: list[tuple[float, Source, str | None]] = []

    def words(self, source: Source, at: float) -> list[tuple[float, str]]:
        return [(t, word) for t, own, word in self.said if own == source and t <= at and word is not None]

    def signals(self, source: Source, at: float) -> bool:
        firm = [word for _, word in self.words(source, at) if word != "fault"]
        return bool(firm) and firm[-1] == "alarm"

    def window(self, source: Source, at: float) -> float:
        """When the detector's window began, or it has last signalled where detectors have to coincide."""
        begin, last, before = -1e9, -1e9, False
        for t in sorted({t for t, own, _ in self.said if own == source and t <= at} | {at}):
            for word in [word for when, word in self.words(source, t) if when == t] or [""]:
                if word == "alarm" and not before and t > begin + self.confirmation.within_s:
                    begin = t
                if before or word == "alarm":
                    last = t
                before = word == "alarm" or (before and word in {"fault", ""})
        return last if self.confirmation.mode is Mode.COINCIDENCE else begin

    def recent(self, source: Source, at: float) -> bool:
        return at < self.window(source, at) + self.confirmation.within_s

    def faulty(self, source: Source, at: float) -> bool:
        *_, (heard, word) = self.words(source, at)
        missing = [t for t, own, word in self.said if own == source and heard <= t <= at and word is None]
        later = [entry for entry in self.said if entry[1] == source and entry[0] <= at]
        if at >= heard + self.silence_s and word != "disabled":
            return True
        return word == "fault" or (bool(missing) and later[-1][2] is None and at >= heard + 10)

    def word(self, source: Source, at: float) -> str:
        if self.signals(source, at):
            return "alarm"
        return "fault" if self.faulty(source, at) else self.words(source, at)[-1][1]

    def suffices(self, at: float) -> bool:
        signalling = [it for it in (A, B, C) if self.signals(it, at)]
        counting = [it for it in (A, B, C) if it in signalling or self.recent(it, at)]
        able = [it for it in (A, B, C) if it in signalling or self.word(it, at) == "normal"]
        if self.confirmation.mode is Mode.SINGLE:
            return bool(signalling)
        if self.confirmation.mode is Mode.VERIFY:
            again = any(at >= self.window(it, at) + 10 for it in signalling)
            return bool(signalling) and (len(counting) > 1 or again)
        return bool(signalling) and len(counting) >= min(2, len(able))


@settings(max_examples=examples(300), deadline=None)
@given(st.sampled_from([SINGLE, VERIFY, TWO]), st.sampled_from([SILENCE_S, inf]), STEPS)
def test_it_says_what_a_slow_model_says(confirmation: Confirmation, silence_s: float, steps: list[Any]) -> None:
    zone, slow = Zone(confirmation, silence_s=silence_s), Slow(confirmation, silence_s)
    slow.said = [(zone.mono, source, "normal") for source in (A, B, C)]
    confirmed = False
    for seconds, source, word in (*steps, (150, A, "normal")):
        for _ in range(seconds):
            zone.after(1)
            some = any(slow.signals(it, zone.mono) for it in (A, B, C))
            confirmed = some and (confirmed or slow.suffices(zone.mono))
            assert zone.shown["fire"] == expected(slow, zone.mono, confirmed)
        slow.said.append((zone.mono, source, word))
        some = any(slow.signals(it, zone.mono) for it in (A, B, C))
        confirmed = some and (confirmed or slow.suffices(zone.mono))
        assert zone.hears(source, word) == expected(slow, zone.mono, confirmed)


def expected(slow: Slow, at: float, confirmed: bool) -> str:
    words = [slow.word(it, at) for it in (A, B, C)]
    if "alarm" in words:
        return "alarm" if confirmed else "prealarm"
    if any(slow.recent(it, at) for it in (A, B, C)):
        return "prealarm"
    if set(words) == {"disabled"}:
        return "disabled"
    return next((word for word in ("fault", "test") if word in words), "normal")
