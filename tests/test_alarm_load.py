"""How many alarms people get, against a slow count, and as the health report says it."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from test_hub import Stepped

from gateway.hub.alarmload import AlarmCounter


@given(st.lists(st.tuples(st.floats(0, 300), st.sampled_from("abcdefghijklmnop")), max_size=80))
def test_new_alarms_floods_and_the_most_frequent_are_as_a_slow_count_gives_them(
    raises: list[tuple[float, str]],
) -> None:
    counter, past, mono, flood = AlarmCounter(), [], 0.0, False
    for passed, alarm in raises:
        mono += passed
        past.append((mono, alarm))
        counter.raised(alarm, mono)
        lately = [each for at, each in past if mono - at <= 600]
        flood = len(lately) > 10 or (flood and len(lately) >= 5)
        told = counter.figures((), mono, 0)
        assert (told.last_10_min, told.flood) == (len(lately), flood)
    counts = Counter(alarm for at, alarm in past if mono - at <= 86_400)
    told = counter.figures((), mono, 0)
    assert [count for _, count in told.most_in_a_day] == [count for _, count in counts.most_common(10)]
    assert all(counts[alarm] == count for alarm, count in told.most_in_a_day)


def test_a_flood_is_over_when_it_has_been_calm() -> None:
    counter = AlarmCounter()
    for second in range(11):
        counter.raised("a", float(second))
    assert counter.figures((), 10.0, 0).flood
    assert counter.figures((), 605.0, 0).flood, "five of them are within the last ten minutes"
    assert not counter.figures((), 607.0, 0).flood


def test_health_says_what_stands_what_is_stale_and_what_is_hidden() -> None:
    hub = Stepped()
    hub.read("smoke-1", smoke="alarm")
    hub.command("out_of_service", alarm="any-smoke@smoke-2.smoke", reason="cleaning")
    hub.read("smoke-2", smoke="alarm")
    load = hub.status().health.alarms
    assert load is not None
    assert (load.active, load.unacknowledged, load.out_of_service, load.last_10_min) == (1, 1, 1, 1)
    assert load.most_in_a_day == (("any-smoke@smoke-1.smoke", 1),)
    hub.read("smoke-1", 86_401.0, smoke="alarm")
    later = hub.status().health.alarms
    assert later is not None
    assert later.stale == ("any-smoke@smoke-1.smoke",)
    assert later.most_in_a_day == ()
