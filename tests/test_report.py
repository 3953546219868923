"""Report by exception: what of a reading is recorded, point by point, and what a configuration can say about it."""

from __future__ import annotations

from pathlib import Path

from config_site import SITE, loaded, written
from hypothesis import given
from hypothesis import strategies as st

from gateway.hub.plan import plan_of
from gateway.model import Reading, Reason, Value
from gateway.refine.exception import REPEAT_S, Limit, Reporter

EVERY_S = 10.0


def reading(mono: float, **points: Value | Reason) -> Reading:
    values = {name: value for name, value in points.items() if not isinstance(value, Reason)}
    bad = {name: reason for name, reason in points.items() if isinstance(reason, Reason)}
    return Reading("cold-1", mono, 0, values, bad)


def recorded(reporter: Reporter, mono: float, **points: Value | Reason) -> dict[str, Value | Reason]:
    kept = reporter.worth(reading(mono, **points))
    return {} if kept is None else {**kept.values, **kept.bad}


def test_a_record_carries_the_points_that_moved_and_leaves_the_others_out() -> None:
    reporter = Reporter({"temperature": Limit(0.2, 300.0), "humidity": Limit(2.0, 300.0)}, EVERY_S)
    assert recorded(reporter, 0, temperature=4.0, humidity=80.0) == {"temperature": 4.0, "humidity": 80.0}
    assert recorded(reporter, 10, temperature=4.2, humidity=78.0) == {}
    assert recorded(reporter, 20, temperature=4.3, humidity=79.0) == {"temperature": 4.3}
    assert recorded(reporter, 30, temperature=4.4, humidity=77.9) == {"humidity": 77.9}


def test_a_slow_drift_is_recorded_once_it_has_left_the_deadband() -> None:
    reporter = Reporter({"temperature": Limit(0.5, 86400.0)}, EVERY_S)
    values = [recorded(reporter, 10.0 * n, temperature=4 + n / 8) for n in range(11)]
    assert [n for n, kept in enumerate(values) if kept] == [0, 5, 10]


def test_a_point_that_does_not_move_is_recorded_after_max_every_in_spite_of_jitter() -> None:
    reporter = Reporter({"temperature": Limit(1.0, 60.0)}, EVERY_S)
    jitter = [0.0, 0.03, -0.02, 0.01, -0.03, 0.02, -0.01]
    times = [10.0 * n + jitter[n % 7] for n in range(1, 20)]
    assert [n for n, mono in enumerate(times) if recorded(reporter, mono, temperature=4.0)] == [0, 6, 12, 18]


def test_each_bad_point_is_recorded_on_its_change_and_then_once_a_minute() -> None:
    reporter = Reporter({}, EVERY_S)
    kept = [recorded(reporter, 10.0 * n, temperature=4.0, probe=Reason.NO_REPLY) for n in range(13)]
    assert [n for n, one in enumerate(kept) if "probe" in one] == [0, 6, 12]
    assert all(one["temperature"] == 4.0 for one in kept), "a point beside it is none of its business"
    assert recorded(reporter, 130, temperature=4.0, probe=Reason.SENSOR_FAULT)["probe"] is Reason.SENSOR_FAULT


def test_the_first_good_value_after_a_bad_one_is_recorded_even_if_it_is_the_old_one() -> None:
    reporter = Reporter({"temperature": Limit(1.0, 300.0)}, EVERY_S)
    assert recorded(reporter, 0, temperature=4.0)
    assert recorded(reporter, 10, temperature=Reason.NO_REPLY)
    assert recorded(reporter, 20, temperature=4.0)
    assert not recorded(reporter, 30, temperature=4.0)


def test_a_point_without_a_report_is_recorded_at_each_reading() -> None:
    reporter = Reporter({"door": Limit()}, EVERY_S)
    assert recorded(reporter, 0, temperature=4.0, door="open") == {"temperature": 4.0, "door": "open"}
    assert recorded(reporter, 10, temperature=4.0, door="open") == {"temperature": 4.0}
    assert recorded(reporter, 20, door="open") == {}
    assert recorded(Reporter({}, EVERY_S), 0, temperature=4.0)


_POINT = st.one_of(st.floats(-50, 50), st.sampled_from(list(Reason)), st.none())


@given(st.floats(0, 5), st.floats(10, 100), st.lists(st.tuples(st.floats(0, 40), _POINT), max_size=40))
def test_what_was_recorded_last_is_never_further_off_or_older_than_allowed(
    deadband: float, max_every_s: float, story: list[tuple[float, float | Reason | None]]
) -> None:
    """The law that lets a reader of the records know the value between them."""
    reporter, mono = Reporter({"x": Limit(deadband, max_every_s)}, EVERY_S), 0.0
    known: tuple[float | Reason, float] | None = None
    for after_s, point in story:
        mono += after_s
        kept = recorded(reporter, mono, **({} if point is None else {"x": point}))
        if point is None:
            assert not kept
            continue
        if kept:
            assert kept == {"x": point}
            known = point, mono
        assert known is not None, "the first is always recorded"
        last, since = known
        if isinstance(point, Reason) or isinstance(last, Reason):
            assert last is point
            assert mono - since < REPEAT_S
        else:
            assert abs(point - last) <= deadband * 1.000001
            assert mono - since < max_every_s


def test_a_device_says_it_by_point_the_site_by_kind_and_states_are_recorded_when_they_change(tmp_path: Path) -> None:
    text = SITE.replace(
        "profile: thermo, zone: cold/room-1}",
        "profile: thermo, zone: cold/room-1, report: {temperature: {deadband: 0.2, max_every: 5m}}}",
    )
    text += (
        "report:\n  temperature: {deadband: 1}\n  humidity: {deadband: 3, max_every: 10m}\n  smoke: {max_every: 30s}\n"
    )
    limits = plan_of(loaded(written(tmp_path, text)), "run1").limits
    assert limits["cold-1"] == {"temperature": Limit(0.2, 300.0), "humidity": Limit(3.0, 600.0)}
    assert limits["smoke-1"] == {"smoke": Limit(0.0, 30.0)}
    assert limits["siren"] == {"output": Limit(0.0, REPEAT_S)}
    assert limits["gps-1"] == {}
