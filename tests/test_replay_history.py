"""Histories of alarms, floods and traces by themselves: right at the edges, and bounded however much comes."""

from __future__ import annotations

import json
from itertools import pairwise

from gateway.model import Value
from gateway.replaying.comparing import Verdict, compared
from gateway.replaying.exported import Event
from gateway.replaying.happened import Happened
from gateway.replaying.history import MAX_EPISODES, Course, Episode, History, Load
from gateway.replaying.traces import Trace

MIN = 60_000


def event(minute: int, name: str, **fields: str) -> Event:
    return Event("a", minute * MIN, "synced", json.dumps({"event": name, **fields}))


def test_which_configurations_ran_is_told_those_taken_up_by_a_reload_too() -> None:
    happened = Happened(15 * MIN)
    happened.take(
        (
            event(0, "started", config="first"),
            event(10, "configured", config="second"),
            event(20, "configured", config="third"),
            event(30, "started", config="third"),
        )
    )
    assert happened.configs == ["second", "third"]


def test_an_alarm_whose_rule_was_taken_away_is_over() -> None:
    happened = Happened(0)
    raised = {"alarm": "warm", "rule": "warm", "change": "raised", "state": "unack_active"}
    happened.take((event(1, "alarm", **raised), event(3, "alarm_removed", alarm="warm")))
    assert list(happened.history.of("warm").all()) == [Episode(MIN, 3 * MIN)]


def history(*episodes: tuple[int | None, int | None], to: int = 100 * MIN) -> History:
    found = History(0)
    for began, ended in episodes:
        if began is None:
            found.stood("a")
        else:
            found.raised("a", began * MIN)
        if ended is not None:
            found.cleared("a", ended * MIN)
    found.ended(to)
    return found


def verdicts(happened: History, tried: History) -> list[Verdict]:
    (comparison,) = compared(happened, tried, ("a",))
    return [pair.verdict for pair in comparison.pairs]


def test_comings_are_paired_with_what_they_overlap() -> None:
    happened = history((5, 10), (20, 30), (50, None))
    assert verdicts(happened, history((5, 10), (20, 30), (50, None))) == [Verdict.SAME] * 3
    assert verdicts(happened, history((21, 30), (50, 60))) == [Verdict.GONE, Verdict.MOVED, Verdict.MOVED]
    assert verdicts(happened, history((5, 10), (13, 15), (20, 30))) == [
        Verdict.SAME, Verdict.NEW, Verdict.SAME, Verdict.GONE,
    ]  # fmt: skip
    assert verdicts(history((None, 10)), history((None, 10))) == [Verdict.SAME]
    assert verdicts(history((None, 10)), history((2, 10))) == [Verdict.MOVED]


def test_how_long_it_stood_counts_from_the_beginning_and_to_the_end() -> None:
    assert history((None, 10), (20, 30), (90, None)).of("a").stood_ms == 30 * MIN


def test_a_flood_begins_with_more_than_ten_in_ten_minutes_and_ends_below_five() -> None:
    load = Load()
    for minute in range(10):
        load.raised(minute * MIN)
    assert (load.floods, load.worst) == (0, 10)
    load.raised(9 * MIN + 1)
    assert (load.floods, load.worst, load.worst_ts) == (1, 11, 9 * MIN + 1)
    load.raised(25 * MIN)  # at 16 minutes the seventh of them was ten minutes old: four were left
    load.ended(40 * MIN)
    assert load.floods == 1
    assert load.flooded_ms == (16 + 0) * MIN - (9 * MIN + 1)


def test_a_flood_that_goes_on_lasts_to_the_end() -> None:
    load = Load()
    for second in range(11):
        load.raised(second * 1000)
    load.ended(5 * MIN)
    assert load.flooded_ms == 5 * MIN - 10_000


def test_an_alarm_that_comes_too_often_is_counted_and_takes_no_more_room() -> None:
    found = History(0)
    for minute in range(0, 6 * MAX_EPISODES, 2):
        found.raised("a", minute * MIN)
        found.cleared("a", (minute + 1) * MIN)
    assert found.of("a").raised == 3 * MAX_EPISODES
    assert len(list(found.of("a").all())) == MAX_EPISODES
    (comparison,) = compared(found, found, ("a",))
    assert not comparison.is_whole
    assert Course(episodes=[Episode(1, 2)]).open is None


def test_a_trace_keeps_lowest_and_highest_of_any_time_in_bounded_room() -> None:
    trace = Trace(0)
    for minute in range(60 * 24 * 30):
        trace.take(minute * MIN, 50.0 if minute == 20_000 else minute % 10)
    slices = list(trace.slices())
    assert 300 < len(slices) <= 720
    assert all(one.ts + one.length_ms <= other.ts for one, other in pairwise(slices))
    (peak,) = [it for it in slices if it.high == 50.0]
    assert peak.ts <= 20_000 * MIN < peak.ts + peak.length_ms
    assert (min(it.low for it in slices), max(it.high for it in slices if it is not peak)) == (0, 9)


def test_words_of_a_trace_are_numbered_as_they_come_and_positions_passed_over() -> None:
    trace = Trace(0)
    values: tuple[Value, ...] = ("closed", "open", (52.5, 13.4), "closed", True)
    for second, value in enumerate(values):
        trace.take(second * 1000, value)
    assert trace.words == {"closed": 0, "open": 1}
    assert [it.low for it in trace.slices()] == [0, 1, 0, 1]


def test_a_trace_is_broken_where_there_was_no_value() -> None:
    trace = Trace(0)
    for second in range(10_000):
        if 4_000 <= second < 5_000:
            trace.missed(second * 1000)
        else:
            trace.take(second * 1000, 1.0)
    new = [it for it in trace.slices() if it.is_new]
    assert [it.ts // 100_000 for it in new] == [0, 49]  # 49: the slice that 5,000 s lie in
