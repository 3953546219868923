"""GPS receivers as a source of time: when what they say is believed, and that a wrong one makes no clock worse."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_clock import HOUR_MS, T0, Site

from drivers import gps_fix
from gateway.hub.plan import Plan
from gateway.hub.timesources import AGREEING, FRESH_S, GAP_S, LEAP_MS, STEADY_S, TimeSources
from gateway.model import DeviceAbout, Reading, TimeKnown, Trust, Value
from gateway.release import BUILD_TS

GOOD: dict[str, Value] = {"fix": "3d", "satellites": 7, "position": (31.2304, 121.4737)}


def about(*names: str) -> tuple[DeviceAbout, ...]:
    return tuple(receiver(name, time_source=True) for name in names)


def receiver(name: str, *, time_source: bool) -> DeviceAbout:
    return DeviceAbout(name, "", "gps_nmea", "gps", "truck", gps_fix.points(time_source=time_source), ())


def said(mono: float, ts: float | None = None, device: str = "gps-1", **values: Value) -> Reading:
    """A reading of a good fix, whose time is right but where `ts` says otherwise."""
    return Reading(device, mono, 0, {**GOOD, "time": round(T0 + mono * 1000 if ts is None else ts), **values}, {})


def heard(sources: TimeSources, *readings: Reading) -> list[TimeKnown | None]:
    return [sources.told(reading) for reading in readings]


def known(mono: float) -> TimeKnown:
    return TimeKnown(mono, round(T0 + mono * 1000), Trust.GPS)


# ---------------------------------------------------------------- when a source is believed


def test_the_third_of_three_agreeing_readings_is_believed_and_each_after_it() -> None:
    sources = TimeSources(about("gps-1"))
    assert heard(sources, *map(said, (1, 2, 3, 4))) == [None, None, known(3), known(4)]


def test_a_device_that_is_no_source_says_nothing() -> None:
    plain = receiver("gps-1", time_source=False)
    assert heard(TimeSources((plain,)), *map(said, (1, 2, 3, 4))) == [None] * 4


@pytest.mark.parametrize(
    "spoilt",
    [
        {"fix": "none"},
        {"fix": "estimated"},
        {"fix": "manual"},
        {"fix": "simulated"},
        {"satellites": 3},
        {"satellites": "many"},
        {"time": BUILD_TS - 1},
        {"time": "noon"},
        {"time": True},
    ],
    ids=str,
)
def test_a_reading_that_is_not_sure_is_none_of_the_three(spoilt: dict[str, Value]) -> None:
    sources = TimeSources(about("gps-1"))
    readings = [Reading("gps-1", mono, 0, {**said(mono).values, **spoilt}, {}) for mono in (1, 2, 3, 4, 5)]
    assert heard(sources, *readings) == [None] * 5
    assert heard(sources, *map(said, (6, 7, 8)))[-1] == known(8)


def test_a_reading_without_satellites_is_not_sure() -> None:
    sources = TimeSources(about("gps-1"))
    bare = [Reading("gps-1", mono, 0, {"fix": "3d", "time": T0 + mono * 1000}, {}) for mono in (1, 2, 3, 4)]
    assert heard(sources, *bare) == [None] * 4


def test_readings_that_disagree_or_come_too_far_apart_begin_anew() -> None:
    sources = TimeSources(about("gps-1"))
    late = said(2, T0 + 2 * 1000 + 301)  # it was held up by 301 ms
    assert heard(sources, said(1), late, said(3), said(4), said(5)) == [None, None, None, None, known(5)]
    sources = TimeSources(about("gps-1"))
    after = 2 + GAP_S + 0.1
    told = heard(sources, said(1), said(2), said(after), said(after + 1), said(after + 2))
    assert told == [None, None, None, None, known(after + 2)]


def test_a_clock_that_stands_still_is_not_believed() -> None:
    sources = TimeSources(about("gps-1"))
    assert heard(sources, *(said(mono, T0) for mono in range(1, 20))) == [None] * 19


def test_a_reading_that_comes_twice_does_not_count_twice() -> None:
    sources = TimeSources(about("gps-1"))
    assert heard(sources, said(1), said(1), said(1)) == [None] * 3


# ---------------------------------------------------------------- a source that changes its mind


def test_what_a_receiver_learns_of_leap_seconds_is_believed_after_a_quarter_of_an_hour() -> None:
    sources = TimeSources(about("gps-1"))
    early = [said(mono, T0 + mono * 1000 + 2000) for mono in range(1, 10)]
    assert heard(sources, *early)[-1] is not None
    right = [said(mono) for mono in range(10, 1000)]
    told = heard(sources, *right)
    first = next(it for it in told if it is not None)
    assert first == known(10 + STEADY_S)


@pytest.mark.parametrize("by_ms", [LEAP_MS + 1, HOUR_MS, 1024 * 7 * 24 * HOUR_MS, -HOUR_MS])
def test_a_receiver_that_jumps_is_not_believed_until_it_comes_back(by_ms: int) -> None:
    sources = TimeSources(about("gps-1"))
    heard(sources, *map(said, range(1, 5)))
    jumped = [said(mono, T0 + mono * 1000 + by_ms) for mono in range(5, 2000)]
    assert set(heard(sources, *jumped)) == {None}
    assert heard(sources, *map(said, (2000, 2001, 2002)))[-1] == known(2002)


def test_two_receivers_that_disagree_are_both_not_believed() -> None:
    sources = TimeSources(about("gps-1", "gps-2"))
    for mono in range(1, 50):
        other = said(mono + 0.5, T0 + mono * 1000 + 500 + HOUR_MS, "gps-2")
        told = heard(sources, said(mono), other)
        assert mono < 4 or told == [None, None]
    quiet = [said(mono) for mono in range(50, 53 + round(FRESH_S))]
    assert heard(sources, *quiet)[-1] == known(quiet[-1].mono), "the other has gone"


def test_other_devices_leave_what_is_known_as_it_is() -> None:
    sources = TimeSources(about("gps-1"))
    heard(sources, said(1), said(2))
    sources.change(about("gps-1", "gps-2"), {"gps-2"})
    assert sources.told(said(3)) == known(3)
    sources.change(about("gps-1"), {"gps-1"})
    assert heard(sources, said(4), said(5)) == [None, None]


@given(st.lists(st.one_of(st.integers(-(2**60), 2**60), st.floats(), st.booleans(), st.text(max_size=4)), max_size=9))
def test_no_time_is_too_strange(times: list[Value]) -> None:
    sources = TimeSources(about("gps-1"))
    for number, time in enumerate(times):
        sources.told(Reading("gps-1", number, 0, {**GOOD, "time": time}, {}))
    assert heard(sources, *(said(mono) for mono in range(100, 100 + AGREEING)))[-1] is not None


# ---------------------------------------------------------------- the clock


class Lorry(Site):
    """A gateway with a GPS receiver beside its other devices, which says a time that is `gps_off_ms` wrong."""

    def __init__(self, off_ms: int, trust: Trust, gps_off_ms: int = 0) -> None:
        self.gps_off_ms = gps_off_ms
        super().__init__(off_ms, trust)

    def drive(self, seconds: int) -> None:
        for _ in range(seconds):
            self.mono += 1
            now = self.now()
            time = self.true_ts() + self.gps_off_ms
            self.tell(Reading("gps-1", now.mono, now.ts, {**GOOD, "time": time}, {}))

    def plan(self) -> Plan:
        usual = super().plan()
        return replace(usual, about=replace(usual.about, devices=(*usual.about.devices, *about("gps-1"))))


def test_a_clock_that_is_right_but_nobody_says_so_is_confirmed_by_a_receiver() -> None:
    lorry = Lorry(120, Trust.UNSYNCED)
    lorry.drive(5)
    lorry.read()
    assert lorry.newest() is Trust.GPS
    assert [off for row in lorry.rows if (off := lorry.off(lorry.corrections.of(row)))] == [120] * len(lorry.rows)


def test_what_a_gateway_of_1970_has_recorded_is_dated_by_a_receiver() -> None:
    lorry = Lorry(-T0, Trust.UNSYNCED)
    lorry.read()
    lorry.drive(4)
    assert lorry.off(lorry.corrections.of(lorry.rows[1])) == 0
    lorry.drive(200)
    assert all(lorry.off(lorry.corrections.of(row)) == 0 for row in lorry.rows[:-70])


WRONG = (HOUR_MS, -HOUR_MS, 1024 * 7 * 24 * HOUR_MS, 90_000, -90_000)


@pytest.mark.parametrize("by_ms", [*WRONG, 5_000])
def test_a_wrong_receiver_has_no_say_against_a_synchronised_clock(by_ms: int) -> None:
    lorry = Lorry(0, Trust.SYNCED, by_ms)
    lorry.drive(1000)
    lorry.read()
    assert lorry.newest() is Trust.SYNCED
    assert not lorry.named("clock_corrected")
    assert all(lorry.off(lorry.corrections.of(row)) == 0 for row in lorry.rows)


@pytest.mark.parametrize("by_ms", WRONG)
def test_a_wrong_receiver_has_no_say_against_a_clock_that_was_synchronised_before(by_ms: int) -> None:
    lorry = Lorry(0, Trust.SYNCED, by_ms)
    lorry.read()
    lorry.trust = Trust.UNSYNCED
    lorry.drive(1000)
    lorry.read()
    assert lorry.newest() is Trust.ESTIMATED
    assert not lorry.named("clock_corrected")
    assert all(lorry.off(lorry.corrections.of(row)) == 0 for row in lorry.rows)


def test_a_receiver_that_jumps_leaves_the_clock_that_it_has_confirmed() -> None:
    lorry = Lorry(0, Trust.UNSYNCED)
    lorry.drive(10)
    lorry.gps_off_ms = HOUR_MS
    lorry.drive(2000)
    lorry.read()
    assert lorry.newest() is Trust.ESTIMATED
    assert all(abs(told["by_ms"]) < 1000 for told in lorry.named("clock_corrected"))
