"""What is believed of a value: calibrated, within its range, not too fast, and not stuck. Stepped, without a thread."""

from __future__ import annotations

import json
from dataclasses import asdict
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from config_site import SITE, loaded, written
from consumer import VALIDATORS
from hypothesis import given
from hypothesis import strategies as st

from gateway.cli.check import summary
from gateway.cli.status import lines
from gateway.config.points import KindPart, PointPart, believed
from gateway.driver import point
from gateway.hub.decide import Hub
from gateway.hub.plan import plan_of
from gateway.model import (
    AlarmState,
    AlarmView,
    Calibration,
    Decision,
    Fact,
    Lane,
    Moment,
    Priority,
    Reading,
    Reason,
    Recovered,
    Status,
    StatusQuery,
    Tick,
    Trust,
    Value,
)
from gateway.refine.quality import Check, Quality, Rate, calibrated
from gateway.refine.stuck import Watch
from gateway.uplink import contract

DAY_S = 86_400.0
FIVE_A_MINUTE = Rate(5, 60)


def reading(mono: float = 0.0, bad: dict[str, Reason] | None = None, **values: Value) -> Reading:
    return Reading("cold-1", mono, round(mono * 1000), values, bad or {})


def seen(check: Check, *values: float, every_s: float = 10.0) -> list[float | str]:
    """What becomes of these values, one each `every_s`."""
    quality = Quality({"t": check})
    refined = [quality.refined(reading(n * every_s, t=value)) for n, value in enumerate(values)]
    return [one.bad["t"].value if one.bad else one.values["t"] for one in refined]  # type: ignore[misc]


# ---------------------------------------------------------------- calibration and range


def test_a_calibrated_value_is_scaled_and_shifted_and_has_one_decimal_more() -> None:
    assert seen(Check(Calibration(scale=1.02, offset=-0.3)), 20.0, -18.5, 0) == [20.1, -19.17, -0.3]
    assert seen(Check(Calibration(scale=1 / 3)), 1, 1.0, 1.25) == [0.3, 0.33, 0.417]
    assert seen(Check(Calibration(scale=1.01)), 0.108) == [0.1091], "a small current keeps its digits"


def test_a_calibration_that_found_nothing_to_correct_leaves_values_as_they_are() -> None:
    assert seen(Check(Calibration(certificate="K-1")), 20, 20.123456) == [20, 20.123456]


def test_a_value_beyond_the_range_is_bad_and_the_limits_themselves_are_not() -> None:
    check = Check(low=-40.0, high=60.0)
    assert seen(check, -40, 60, -40.1, 60.1) == [-40, 60, "out_of_range", "out_of_range"]


def test_the_range_is_about_the_calibrated_value() -> None:
    assert seen(Check(Calibration(offset=-1), low=0.0, high=60.0), 0.5, 61) == ["out_of_range", 60.0]


def test_what_is_bad_and_what_is_no_number_passes_untouched() -> None:
    quality = Quality({"t": Check(low=0.0, high=1.0), "door": Check(low=0.0, high=1.0)})
    one = reading(door="open", humidity=99.0, bad={"t": Reason.NO_REPLY})
    assert quality.refined(one) is one


def test_one_bad_point_costs_the_others_nothing() -> None:
    quality = Quality({"t": Check(high=60.0), "u": Check(Calibration(offset=1))})
    refined = quality.refined(reading(t=61, u=1, v=5, bad={"w": Reason.NO_REPLY}))
    assert refined.values == {"u": 2.0, "v": 5}
    assert refined.bad == {"t": Reason.OUT_OF_RANGE, "w": Reason.NO_REPLY}


# ---------------------------------------------------------------- rate


@pytest.mark.parametrize(
    ("values", "become"),
    [
        ((20, 24.9, 29.8), [20, 24.9, 29.8]),  # as fast as is believable
        ((20, 85, 20.1), [20, "too_fast", 20.1]),  # a disturbance
        ((20, 85, 85.2, 85.1), [20, "too_fast", 85.2, 85.1]),  # a fire
        ((20, 30, 40, 50, 49), [20, "too_fast", 40, 50, 49]),  # one that grows
        ((20, 30, 40, 50, -30, -30), [20, "too_fast", 40, 50, "too_fast", -30]),
        ((20, 85, -30, 85, -30), [20, "too_fast", "too_fast", "too_fast", "too_fast"]),  # a loose wire
        ((20, 85, 20, 85), [20, "too_fast", 20, "too_fast"]),
        ((85, 20, 20), [85, "too_fast", 20]),  # the first value is believed, as there is nothing to hold it against
    ],
)
def test_a_jump_counts_when_the_next_reading_confirms_it(values: tuple[float, ...], become: list[Any]) -> None:
    assert seen(Check(rate=FIVE_A_MINUTE), *values) == become


def test_after_a_pause_a_value_may_have_moved_further() -> None:
    assert seen(Check(rate=FIVE_A_MINUTE), 20, 44.9, every_s=300) == [20, 44.9]
    assert seen(Check(rate=FIVE_A_MINUTE), 20, 45.1, every_s=300) == [20, "too_fast"]


def test_a_step_of_the_written_amount_is_believed_however_often_it_is_asked() -> None:
    assert seen(Check(rate=FIVE_A_MINUTE), 20.0, 20.1, 20.2, every_s=0.1) == [20.0, 20.1, 20.2]


def test_what_is_out_of_range_is_nothing_to_hold_a_rate_against() -> None:
    assert seen(Check(low=-40, high=60, rate=FIVE_A_MINUTE), 20, 85, 21) == [20, "out_of_range", 21]


class Slow:
    """The rate as it is told: every value with what was found is kept, and asked."""

    def __init__(self) -> None:
        self.values: list[tuple[Fraction, Fraction]] = []
        self.jumps: list[int] = []  # 1 up, -1 down, 0: it did not jump
        self.believed: list[bool] = []

    def believes(self, value: Fraction, mono: Fraction) -> bool:
        good = [told for told, is_good in zip(self.values, self.believed, strict=True) if is_good]
        last, at = good[-1] if good else (value, mono)
        allowed = 5 * max(Fraction(1), (mono - at) / 60)
        jump = 0 if abs(value - last) <= allowed else 1 if value > last else -1
        self.values.append((value, mono))
        self.believed.append(jump == 0 or self.jumps[-1] == jump)
        self.jumps.append(jump)
        return self.believed[-1]


@given(st.lists(st.tuples(st.integers(-200, 200), st.integers(1, 3000)), max_size=40))
def test_a_rate_is_judged_as_the_slow_model_judges_it(steps: list[tuple[int, int]]) -> None:
    quality, slow, mono = Quality({"t": Check(rate=FIVE_A_MINUTE)}), Slow(), 0
    for halves, tenths in steps:
        mono += tenths
        refined = quality.refined(reading(mono / 10, t=halves / 2))
        assert (not refined.bad) == slow.believes(Fraction(halves, 2), Fraction(mono, 10))
    for (before, after), jumps in zip(pairwise(slow.believed), pairwise(slow.jumps), strict=True):
        assert before or after or set(jumps) == {1, -1}, "two in a row are withheld on different sides only"


@given(
    st.floats(0.5, 2),
    st.floats(-100, 100),
    st.one_of(st.integers(-(10**6), 10**6), st.floats(-(10**6), 10**6)),
    st.sampled_from([None, (-50.0, 150.0)]),
)
def test_any_value_is_corrected_to_the_nearest_decimal_or_bad(
    scale: float, offset: float, value: float, believed: tuple[float, float] | None
) -> None:
    low, high = believed or (None, None)
    refined = Quality({"t": Check(Calibration(scale, offset), low, high)}).refined(reading(t=value))
    exact = Fraction(value) * Fraction(scale) + Fraction(offset)
    if refined.bad:
        assert believed is not None
        assert not believed[0] <= float(exact) <= believed[1] or min(abs(float(exact) - it) for it in believed) < 0.1
    else:
        found = refined.values["t"]
        assert isinstance(found, int | float)
        decimals = 1 if isinstance(value, int) else len(format(Decimal(repr(value)), "f").partition(".")[2]) + 1
        step = Fraction(1, 10 ** min(decimals, 9))
        assert abs(Fraction(found) - exact) <= step / 2 + abs(exact) / 10**15 + Fraction(1, 10**12)


def test_a_corrected_zero_has_no_sign() -> None:
    assert str(calibrated(Calibration(scale=1.0, offset=-20.0), 20.0)) == "0.0"
    assert str(calibrated(Calibration(scale=0.5, offset=0.47), -1)) == "0.0"
    assert calibrated(Calibration(scale=0.5), -1e-7) == -5e-8


# ---------------------------------------------------------------- stuck


def test_a_value_is_stuck_when_readings_have_said_the_same_for_so_long() -> None:
    watch = Watch({"t": 60}, 10)
    for mono in range(0, 60, 10):
        watch.take(reading(mono, t=21.5))
        assert watch.stuck() == {}
    watch.take(reading(60, t=21.5))
    assert watch.stuck() == {"t": 21.5}
    watch.take(reading(70, t=21.6))
    assert watch.stuck() == {}


def test_silence_is_not_taken_for_a_stuck_value() -> None:
    watch = Watch({"t": 60}, 10)
    watch.take(reading(0, t=21.5))
    watch.take(reading(3600, bad={"t": Reason.NO_REPLY}))
    assert watch.stuck() == {}
    watch.take(reading(3610, t=21.5))
    assert watch.stuck() == {}, "nobody knows whether it has moved meanwhile"
    for mono in range(3620, 3671, 50):
        watch.take(reading(mono, t=21.5))
    assert watch.stuck() == {"t": 21.5}, "lost polls are no outage"


@pytest.mark.parametrize("after_s", [86400.0, 3660.0])
def test_a_device_that_is_seldom_asked_can_be_stuck(after_s: float) -> None:
    watch = Watch({"t": after_s}, 3600)
    for hour in range(26):
        watch.take(reading(hour * 3660, t=21.5))
    assert watch.stuck() == {"t": 21.5}


def test_a_point_is_lively_once_it_was_seen_to_change() -> None:
    watch = Watch({"t": 60, "u": 60}, 1)
    watch.take(reading(0, t=1, u=1))
    watch.take(reading(1, t=2, u=1))
    assert not watch.lively()
    watch.take(reading(2, t=2, u=2))
    assert watch.lively()


@given(st.lists(st.tuples(st.integers(1, 80), st.sampled_from([1, 2, None])), max_size=40))
def test_stuck_is_what_the_whole_history_says(steps: list[tuple[int, int | None]]) -> None:
    watch, mono = Watch({"t": 60}, 10), 0
    history: list[tuple[int, int]] = []
    for seconds, value in steps:
        mono += seconds
        watch.take(reading(mono, t=value) if value is not None else reading(mono, bad={"t": Reason.NO_REPLY}))
        if value is not None:
            history.append((mono, value))
        gaps = [n for n, ((before, _), (at, _)) in enumerate(pairwise(history), 1) if at - before > 60]
        watched = history[gaps[-1] :] if gaps else history
        same = [at for n, (at, one) in enumerate(watched) if all(it == one for _, it in watched[n:])]
        assert bool(watch.stuck()) == (bool(same) and history[-1][0] - same[0] >= 60)


# ---------------------------------------------------------------- in the hub

OPTIONS = """
      temperature:
        range: [-40, 60]
        max_rate: 5/min
        stuck_after: 24h
        calibration: {measured: [0.3, 50.4], reference: [0, 50], certificate: DKD-1, date: 2026-03-14, due: 2027-03-14}
      humidity: {stuck_after: 2h}"""
T0 = 1_804_000_000_000  # 2027-03-02


class Site:
    """A hub on a configuration, whose events and alarms are checked against the contract."""

    def __init__(
        self,
        folder: Path,
        options: str = OPTIONS,
        state: dict[str, str] | None = None,
        trust: Trust = Trust.SYNCED,
        delay: str = "",
    ) -> None:
        old = "  cold-1: {driver: meter, link: bus1, unit: 1, profile: thermo, zone: cold/room-1}\n"
        keys = ("driver: meter", "link: bus1", "unit: 1", "profile: thermo", "zone: cold/room-1", f"points:{options}")
        text = SITE.replace(old, "\n    ".join(("  cold-1:", *keys)) + "\n").replace("for: 10m, ", delay)
        self.config = loaded(written(folder, text))
        self.plan = plan_of(self.config, "run1")
        self.mono, self.trust = 0.0, trust
        self.hub = Hub(self.plan, self.now())
        self.stored: dict[str, str] = dict(state or {})
        self.told: list[dict[str, Any]] = []
        self.tell(Recovered("new", None, self.stored))

    def now(self) -> Moment:
        return Moment(self.mono, T0 + round(self.mono * 1000), self.trust)

    def tell(self, fact: Fact, after_s: float = 0.0) -> Decision:
        self.mono += after_s
        decision = self.hub.handle(fact, self.now())
        for change in decision.state:
            self.stored.pop(change.key, None)
            if change.text is not None:
                self.stored[change.key] = change.text
        for record in decision.records:
            text = json.loads(record.text)
            if record.lane is Lane.EVENT:
                VALIDATORS["event"].validate(json.loads(contract.event("run1", record, hist=False)))
            else:
                self.told.append(text)
        for notice in decision.notices:
            if isinstance(notice, AlarmView) and (payload := contract.alarm(notice)):
                VALIDATORS["alarm"].validate(json.loads(payload))
        return decision

    def read(self, after_s: float, **values: Value) -> dict[str, Any]:
        """What is recorded of a reading."""
        now = Moment(self.mono + after_s, T0 + round((self.mono + after_s) * 1000), self.trust)
        self.told.clear()
        self.tell(Reading("cold-1", now.mono, now.ts, values, {}), after_s)
        return {**self.told[0]["values"], **self.told[0].get("bad", {})} if self.told else {}

    def standing(self) -> dict[str, AlarmView]:
        self.tell(Tick(), 60)
        return {view.alarm: view for view in self.status().alarms}

    def status(self) -> Status:
        answers: list[Status] = []
        self.tell(StatusQuery(answers.append))
        return answers[0]


def test_what_is_beyond_the_range_and_stays_there_is_an_alarm_that_there_is_no_data(tmp_path: Path) -> None:
    site = Site(tmp_path, "\n      temperature: {range: [-40, 60]}")
    for _ in range(5):
        assert site.read(10, temperature=85.0) == {"temperature": "out_of_range"} or not site.told
        site.tell(Tick())
    assert "cold-1 gives no good value of what its rules are about" in site.standing()["no-data@cold-1"].text


def test_what_is_judged_and_recorded_is_the_refined_value(tmp_path: Path) -> None:
    site = Site(tmp_path)
    assert site.read(0, temperature=-15.2, humidity=50.0) == {"temperature": -15.47, "humidity": 50.0}
    assert "warm" not in site.standing(), "the rule is about -15, and the calibrated value is below"
    assert site.read(10, temperature=60.0, humidity=50.0)["temperature"] == "too_fast"
    assert site.read(10, temperature=62.0, humidity=50.0)["temperature"] == "out_of_range"
    assert site.status().points[0].quality == "out_of_range"
    assert site.status().points[0].value == -15.47


def test_what_a_calibration_makes_infinite_is_bad(tmp_path: Path) -> None:
    site = Site(tmp_path, "\n      temperature: {calibration: {scale: 1.01}}")
    assert site.read(10, temperature=1.79e308) == {"temperature": "out_of_range"}
    assert site.read(10, temperature=-1.79e308) == {"temperature": "out_of_range"} or not site.told


def test_no_check_hides_a_fire(tmp_path: Path) -> None:
    site = Site(tmp_path, "\n      temperature: {max_rate: 5/min}")
    site.read(0, temperature=-20.0)
    assert site.read(10, temperature=40.0) == {"temperature": "too_fast"}
    assert site.read(10, temperature=55.0) == {"temperature": 55.0}
    assert "warm" in site.standing()


def test_a_disturbance_does_not_begin_the_delay_of_an_alarm_anew(tmp_path: Path) -> None:
    site = Site(tmp_path, "\n      temperature: {max_rate: 5/min}", delay="for: 10m, ")
    for minute in range(11):
        site.read(60, temperature=85.0 if minute == 9 else -14.0)
    assert "warm" in site.standing()


def test_a_calibration_raises_an_alarm_before_it_is_due_and_again_when_it_is(tmp_path: Path) -> None:
    site = Site(tmp_path)
    alarm = "calibration-due@cold-1"
    view = site.standing()[alarm]
    assert (view.state, view.priority) == (AlarmState.UNACK_ACTIVE, Priority.LOW)
    assert view.text == "cold-1.temperature is due for calibration on 2027-03-14 (certificate DKD-1)"
    site.mono += 6 * DAY_S
    assert site.standing()[alarm].priority is Priority.MEDIUM
    site.mono += 7 * DAY_S
    assert site.standing()[alarm].text == "cold-1.temperature was due for calibration on 2027-03-14 (certificate DKD-1)"


def test_a_new_certificate_ends_the_alarm(tmp_path: Path) -> None:
    before = Site(tmp_path)
    assert "calibration-due@cold-1" in before.standing()
    after = Site(tmp_path, OPTIONS.replace("due: 2027-03-14", "due: 2028-03-01"), before.stored)
    assert after.standing()["calibration-due@cold-1"].state is AlarmState.RTN_UNACK


def test_calibrations_are_not_judged_while_the_clock_is_not_set(tmp_path: Path) -> None:
    site = Site(tmp_path, trust=Trust.UNSYNCED)
    assert "calibration-due@cold-1" not in site.standing()


def test_several_calibrations_are_told_in_the_order_they_end(tmp_path: Path) -> None:
    options = "\n      temperature: {calibration: {certificate: B, due: 2027-03-20}}"
    options += "\n      humidity: {calibration: {certificate: A, due: 2027-03-05}}"
    view = Site(tmp_path, options).standing()["calibration-due@cold-1"]
    assert view.priority is Priority.MEDIUM
    assert view.text == (
        "cold-1.humidity is due for calibration on 2027-03-05 (certificate A), "
        "cold-1.temperature is due for calibration on 2027-03-20 (certificate B)"
    )


def test_a_sensor_that_does_not_move_is_an_alarm_of_low_priority_and_its_values_stay_good(tmp_path: Path) -> None:
    site = Site(tmp_path)
    for minute in range(25 * 60):
        site.read(60, temperature=-20.0, humidity=50.0 + minute // 60)
    assert {point.quality for point in site.status().points if point.device == "cold-1"} == {"good"}
    view = site.standing()["stuck@cold-1"]
    assert view.priority is Priority.LOW
    assert view.text == "cold-1.temperature has been -20.26 °C for 24 h, or longer"
    site.read(60, temperature=-20.1, humidity=50.0)
    assert site.standing()["stuck@cold-1"].state is AlarmState.RTN_UNACK


def test_what_was_stuck_before_a_restart_stays_so_until_it_moves(tmp_path: Path) -> None:
    before = Site(tmp_path)
    for minute in range(25 * 60):
        before.read(60, temperature=-20.0, humidity=50.0 + minute // 60)
    assert "stuck@cold-1" in before.standing()
    after = Site(tmp_path, state=before.stored)
    after.read(10, temperature=-20.0, humidity=50.0)
    after.read(10, temperature=-20.0, humidity=51.0)
    assert after.standing()["stuck@cold-1"].state is AlarmState.UNACK_ACTIVE
    after.read(10, temperature=-20.1, humidity=51.0)
    assert after.standing()["stuck@cold-1"].state is AlarmState.RTN_UNACK


def test_a_point_can_be_taken_out_of_what_is_said_of_its_kind() -> None:
    said = {"temperature": KindPart(max_rate=Rate(5, 60), stuck_after=DAY_S)}
    points = (point("air", "temperature"), point("oven", "temperature"))
    found = believed(points, {"oven": PointPart(as_kind=False, stuck_after=600.0)}, said)
    assert (found["air"].max_rate, found["air"].stuck_after) == (Rate(5, 60), DAY_S)
    assert (found["oven"].max_rate, found["oven"].stuck_after) == (None, 600.0)


def test_what_somebody_sets_is_not_held_to_what_is_said_of_its_kind() -> None:
    said = {"temperature": KindPart(max_rate=Rate(5, 60), stuck_after=DAY_S)}
    points = (point("air", "temperature"), point("aim", "temperature", writable=True))
    assert list(believed(points, {}, said)) == ["air"]


def test_a_kind_is_believed_alike_everywhere_unless_a_device_says_otherwise(tmp_path: Path) -> None:
    text = SITE.replace(
        "unit: 1, profile: thermo",
        "unit: 1, profile: thermo, points: {temperature: {range: [-40, 60]}, humidity: {stuck_after: 2h}}",
    )
    text += "points:\n  temperature: {max_rate: 5/min, stuck_after: 24h}\n"
    text += "  humidity: {max_rate: 20/min, stuck_after: 24h}\n  speed: {max_rate: 5/s}\n"
    plan = plan_of(loaded(written(tmp_path, text)), "run1")
    assert plan.checks == {
        "cold-1": {
            "temperature": Check(low=-40.0, high=60.0, rate=FIVE_A_MINUTE),
            "humidity": Check(rate=Rate(20, 60)),
        },
        "gps-1": {"speed": Check(rate=Rate(5, 1))},
    }
    assert plan.stuck_after_s == {"cold-1": {"temperature": DAY_S, "humidity": 7200.0}}
    assert {"stuck@cold-1"} == {alarm for alarm in plan.own if alarm.startswith("stuck@")}


def test_a_device_of_which_nothing_is_said_costs_nothing_and_has_no_alarms(tmp_path: Path) -> None:
    plan = plan_of(loaded(written(tmp_path)), "run1")
    assert not plan.checks
    assert not plan.stuck_after_s
    assert not [alarm for alarm in plan.own if alarm.startswith(("stuck@", "calibration-due@"))]


# ---------------------------------------------------------------- what is shown of it


def test_about_a_device_says_how_its_values_are_corrected_and_by_which_certificate(tmp_path: Path) -> None:
    device = next(it for it in Site(tmp_path).plan.about.devices if it.device == "cold-1")
    about = json.loads(contract.about_device(device))
    VALIDATORS["about-device"].validate(about)
    calibration = about["points"][0]["calibration"]
    assert calibration == {
        "scale": pytest.approx(50 / 50.1),
        "offset": pytest.approx(-0.3 * 50 / 50.1),
        "certificate": "DKD-1",
        "date": "2026-03-14",
        "due": "2027-03-14",
    }
    assert "calibration" not in about["points"][1]


def test_status_and_check_show_it(tmp_path: Path) -> None:
    site = Site(tmp_path)
    shown = "\n".join(lines(json.loads(json.dumps(asdict(site.status())))))
    assert "cold-1.temperature  x 0.998004 -0.299401 °C  DKD-1        2026-03-14  2027-03-14" in shown
    told = "\n".join(summary(site.config))
    correction = "correction x 0.998004 -0.299401 °C, certificate DKD-1 of 2026-03-14, due 2027-03-14"
    believed = "believed from -40 °C to 60 °C, changing by at most 5 °C/min, watched for 1d without a change"
    assert f"    temperature: calibrated ({correction}), {believed}" in told
