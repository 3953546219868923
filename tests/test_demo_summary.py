"""What the witness takes for a lie, and which promise is broken by what: each verdict is seen biting."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from gateway.demo.pins_field import SirenAnswered
from gateway.demo.site import Hushed
from gateway.demo.story import Expected, Promise, Story
from gateway.demo.summary import Delivery, Ending, told, verdicts
from gateway.demo.tally import Sample
from gateway.demo.view import Received
from gateway.demo.witness import Raised, SirenEnded, Waited, Witness
from gateway.model import (
    About,
    AlarmState,
    AlarmView,
    DeviceAbout,
    HealthReport,
    Lane,
    PointStatus,
    Priority,
    Status,
    Trust,
)

TS = 1_795_320_000_000
EVERY = {"quiet": 1.0, "next": 1.0, "far": 1.0}
LINKS = {"quiet": "bus", "next": "bus", "far": "tcp"}
HUSH = Hushed("quiet", True, 100.0, TS)
SPEAK = Hushed("quiet", False, 110.0, TS + 10_000)


def status(ages: dict[str, tuple[float, str]], *alarms: AlarmView, siren: str = "off") -> Status:
    about = About("s", "s", "g", "0", "h", (), tuple(DeviceAbout(d, d, "x", k, "z", (), ()) for d, k in LINKS.items()))
    points = [PointStatus(d, "t", "temperature", "°C", "z", 1.0, age_s, good) for d, (age_s, good) in ages.items()]
    points.append(PointStatus("far", "output", "output", "", "z", siren, 0.1, "good"))
    health = HealthReport(TS, Trust.SYNCED, "r", 1.0, (), None, (), {})
    return Status(about, "r", TS, Trust.SYNCED, 1.0, tuple(points), alarms, {}, health)


def witness(*seen: Hushed) -> Witness:
    made = Witness(EVERY, siren="far")
    for each in seen:
        made.hear(each)
    return made


def alarm(state: AlarmState) -> AlarmView:
    return AlarmView("warm", "warm", "quiet", "t", "z", Priority.HIGH, state, TS, 1, "r", 1.0, "", "")


def test_a_value_from_after_the_silence_began_is_a_lie() -> None:
    seen = witness(HUSH)
    seen.look(status({"quiet": (1.0, "good")}), 5.0, 102.0)
    assert seen.lies == ["quiet.t has a value from after it fell silent"]


def test_a_value_called_good_for_too_long_is_a_lie() -> None:
    seen = witness(HUSH)
    seen.look(status({"quiet": (3.4, "good")}), 5.0, 103.3)
    assert seen.lies == ["quiet.t is still called good after 3.3 s of silence"]


@pytest.mark.parametrize(
    ("age_s", "quality", "mono"), [(0.5, "good", 100.4), (1.3, "good", 101.2), (9.0, "no_reply", 109)]
)
def test_the_last_value_before_the_silence_is_none(age_s: float, quality: str, mono: float) -> None:
    seen = witness(HUSH)
    seen.look(status({"quiet": (age_s, quality)}), 5.0, mono)
    assert seen.lies == []


def test_a_device_that_speaks_again_may_have_values() -> None:
    seen = witness(HUSH, SPEAK)
    seen.look(status({"quiet": (0.1, "good")}), 5.0, 112.0)
    assert seen.lies == []


def test_only_neighbours_on_the_same_link_are_measured_and_only_meanwhile() -> None:
    seen = witness(HUSH)
    seen.look(status({"next": (1.4, "good"), "far": (9.0, "good")}), 5.0, 102.0)
    seen.look(status({"next": (0.3, "good")}), 5.0, 103.0)
    seen.hear(SPEAK)
    seen.look(status({"next": (7.0, "good")}), 5.0, 111.0)
    assert seen.waited == {"next": Waited("next", 1.4, 1.0)}


@pytest.mark.parametrize(
    ("after_ms", "good", "lies"), [(200, True, 0), (400, True, 1), (400, False, 0), (9_900, True, 1), (10_001, True, 0)]
)
def test_a_good_reading_from_within_the_silence_is_a_lie_whenever_it_arrives(
    after_ms: int, good: bool, lies: int
) -> None:
    seen = witness(HUSH, SPEAK)
    seen.arrived([Sample("quiet", TS + after_ms, good), Sample("next", TS + after_ms, True)])
    assert len(seen.lies) == lies


def test_an_alarm_is_noted_each_time_it_becomes_active() -> None:
    seen = witness()
    for at_s, state in enumerate(
        (AlarmState.UNACK_ACTIVE, AlarmState.ACK_ACTIVE, AlarmState.NORMAL, AlarmState.UNACK_ACTIVE)
    ):
        seen.look(status({}, alarm(state)), float(at_s), 100.0)
    assert seen.raised == [Raised("warm", 0.0), Raised("warm", 3.0)]


def test_a_siren_that_stops_is_noted_with_whether_somebody_reset_it() -> None:
    seen = witness()
    for at_s, siren in enumerate(("off", "on", "off", "on")):
        seen.look(status({}, siren=siren), float(at_s), 100.0)
    seen.reset_asked(3.5)
    seen.look(status({}, siren="off"), 4.0, 100.0)
    assert seen.siren_ended == [SirenEnded(2.0, by_reset=False), SirenEnded(4.0, by_reset=True)]


def good_witness() -> Witness:
    made = witness(HUSH, SPEAK)
    made.raised = [Raised("warm", 7.0)]
    made.answered = [SirenAnswered("smoke-1", 0.021)]
    made.siren_ended = [SirenEnded(46.0, by_reset=True)]
    made.waited = {"next": Waited("next", 1.2, 1.0)}
    return made


GOOD_DELIVERY = Delivery(
    {Lane.EVENT: 20, Lane.TELEMETRY: 300}, {Lane.EVENT: 20, Lane.TELEMETRY: 301}, Received(321, 1, 0, 90), 0
)
STORY = Story((), (Expected("warm", 5, 13),), 52)


def ending(**changes: object) -> Ending:
    made = Ending(STORY, 52.0, good_witness(), GOOD_DELIVERY, 0)
    return made._replace(**changes)  # type: ignore[arg-type]  # the names are checked by namedtuple


def changed(change: Callable[[Witness], object]) -> Ending:
    made = good_witness()
    change(made)
    return ending(witness=made)


def kept(made: Ending) -> dict[Promise, bool | None]:
    return {verdict.promise: verdict.kept for verdict in verdicts(made)}


def test_a_good_ending_keeps_every_promise_there_is() -> None:
    assert kept(ending()) == dict.fromkeys(Promise, True)
    assert "put to the test: 8 of 8." in "\n".join(told(verdicts(ending()), ending(), ""))


@pytest.mark.parametrize(
    ("promise", "made"),
    [
        (Promise.ALARMS, changed(lambda w: w.raised.clear())),
        (Promise.ALARMS, changed(lambda w: setattr(w, "raised", [Raised("warm", 14.0)]))),
        (Promise.ALARMS, changed(lambda w: setattr(w, "raised", [Raised("warm", 3.0)]))),
        (Promise.SIREN, changed(lambda w: w.answered.append(SirenAnswered("smoke-1", 1.2)))),
        (Promise.SIREN, changed(lambda w: w.answered.append(SirenAnswered("smoke-1", None)))),
        (Promise.LATCH, changed(lambda w: w.siren_ended.insert(0, SirenEnded(40.0, by_reset=False)))),
        (Promise.NO_GAP, ending(delivery=GOOD_DELIVERY._replace(received=Received(320, 0, 1, 90)))),
        (Promise.NO_GAP, ending(delivery=GOOD_DELIVERY._replace(whole={Lane.EVENT: 19, Lane.TELEMETRY: 301}))),
        (Promise.NO_GAP, ending(delivery=GOOD_DELIVERY._replace(whole={Lane.EVENT: 20, Lane.TELEMETRY: 0}))),
        (Promise.ACKNOWLEDGED, ending(delivery=GOOD_DELIVERY._replace(unacknowledged=3))),
        (Promise.ACKNOWLEDGED, ending(delivery=GOOD_DELIVERY._replace(unacknowledged=None))),
        (Promise.NEIGHBOURS, changed(lambda w: w.waited.update(next=Waited("next", 2.1, 1.0)))),
        (Promise.HONEST, changed(lambda w: w.lies.append("quiet.t has a value"))),
        (Promise.THREADS, ending(deaths=1)),
    ],
)
def test_each_promise_is_broken_by_its_own_fault_alone(promise: Promise, made: Ending) -> None:
    assert [name for name, whether in kept(made).items() if whether is False] == [promise]
    text = "\n".join(told(verdicts(made), made, ""))
    assert f"BROKEN      {promise}" in text
    assert "1 of 8 promises were broken." in text


def test_a_siren_that_goes_on_after_the_reset_breaks_the_promise() -> None:
    def go_on(seen: Witness) -> None:
        seen.siren_ended.clear()
        seen.siren_on = True
        seen.reset_at_s = 46.0

    assert kept(changed(go_on))[Promise.LATCH] is False


def test_what_was_not_put_to_the_test_is_neither() -> None:
    made = Ending(replace(STORY), 4.0, witness(), GOOD_DELIVERY._replace(whole=None, received=None), 0)
    assert [promise for promise, whether in kept(made).items() if whether is None] == [
        Promise.ALARMS,
        Promise.SIREN,
        Promise.LATCH,
        Promise.NO_GAP,
        Promise.NEIGHBOURS,
        Promise.HONEST,
    ]


def test_the_summary_fits_a_plain_terminal_and_names_the_folder() -> None:
    lines = list(told(verdicts(ending()), ending(), "/tmp/kept"))
    assert all(len(line) <= 80 for line in lines)
    assert lines[-1] == "Journal and log are kept in /tmp/kept."
