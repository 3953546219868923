"""When which broker is tried: pauses that serve an outage of a minute, one of a day, and a broker that refuses."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.uplink.attempts import Attempts, Pauses


def middle(low: float, high: float) -> float:
    return (low + high) / 2


class Site:
    """Attempts on a clock that is moved by hand; `broker_is` says what each broker does."""

    def __init__(self, brokers: int = 1, chance: Callable[[float, float], float] = middle) -> None:
        self.now = 100.0
        self.attempts = Attempts(brokers, self.now, chance, Pauses())
        self.tried: list[tuple[float, int]] = []

    def next(self) -> int:
        """The next broker to try; the clock moves on to when that is."""
        while (broker := self.attempts.next(self.now)) is None:
            assert self.attempts.due_at > self.now, "waits for something that is due"
            self.now = self.attempts.due_at
        self.tried.append((self.now, broker))
        return broker

    def fail_until(self, end: float, takes_s: float = 0.0, *, refused: bool = False) -> None:
        """Every attempt fails, until the first one that would begin after `end`."""
        while True:
            broker = self.next()
            if self.now >= end:
                return
            self.now += takes_s
            self.attempts.ended(broker, self.now, refused=refused)

    def stay(self, broker: int, seconds: float, *, refused: bool = False) -> None:
        """A connection that lasts so long."""
        self.attempts.connected(broker, self.now)
        self.now += seconds
        self.attempts.ended(broker, self.now, refused=refused)


def by_chance(seed: int) -> Callable[[float, float], float]:
    return random.Random(seed).uniform


@pytest.mark.parametrize("takes_s", [0.0, 0.2, 5.0])
def test_after_an_outage_of_a_minute_it_is_tried_within_two_seconds(takes_s: float) -> None:
    for seed in range(200):
        site = Site(chance=by_chance(seed))
        site.next()
        site.stay(0, 3600)
        back = site.now + 60
        site.fail_until(back, takes_s)
        assert site.now - back <= 2.05 or takes_s, "the wait alone"
        assert site.now - back <= max(2.05, takes_s + 0.8), "or the attempt that was under way, and a moment"


def test_a_wait_is_a_small_part_of_the_outage_and_never_more_than_a_minute() -> None:
    for outage in (1, 10, 60, 300, 1800, 7200, 86_400):
        for seed in range(20):
            site = Site(chance=by_chance(seed))
            site.next()
            site.stay(0, 3600)
            back = site.now + outage
            site.fail_until(back)
            assert site.now - back <= min(60.0, max(1.5, outage / 30 + 0.1))


def test_an_outage_of_a_day_costs_a_broker_few_attempts() -> None:
    site = Site()
    site.fail_until(site.now + 86_400)
    assert len(site.tried) < 2400
    assert len([1 for when, _ in site.tried if when < 160]) > 40


def test_gateways_that_lost_one_broker_at_one_moment_come_back_spread_over_a_second() -> None:
    first = []
    for seed in range(1000):
        site = Site(chance=by_chance(seed))
        site.next()
        site.stay(0, 3600)
        lost = site.now
        site.next()
        first.append(site.now - lost)
    assert all(0.5 <= wait <= 1.5 for wait in first)
    busiest = max(sum(begin <= wait < begin + 0.1 for wait in first) for begin in (0.5 + n / 10 for n in range(10)))
    assert busiest < 150


def test_a_broker_that_refuses_is_asked_ever_less_up_to_a_minute() -> None:
    site = Site()
    for _ in range(10):
        site.attempts.ended(site.next(), site.now, refused=True)
    waits = [later - earlier for (earlier, _), (later, _) in zip(site.tried, site.tried[1:], strict=False)]
    assert waits == [1, 2, 4, 8, 16, 32, 40, 40, 40]


def test_a_connection_that_lasts_makes_the_next_pause_the_shortest_again() -> None:
    for refused in (True, False):
        site = Site()
        site.fail_until(site.now + 7200, refused=refused)
        site.stay(0, 31, refused=refused)
        lost = site.now
        site.next()
        assert site.now - lost == 1


def test_a_broker_that_restarts_every_few_seconds_is_found_again_within_two() -> None:
    site = Site(chance=by_chance(1))
    for _ in range(100):
        site.next()
        site.stay(0, 5)
        back = site.now + 2
        site.fail_until(back)
        assert site.now - back < 2


def test_a_broker_that_hangs_up_on_everybody_at_once_is_asked_ever_less() -> None:
    site = Site()
    for _ in range(2000):
        site.next()
        site.stay(0, 0.1)
    assert site.tried[-1][0] - site.tried[-2][0] > 30


OUTCOMES = st.tuples(st.sampled_from(["unreachable", "refused", "up", "up, refused"]), st.floats(0, 90))


@given(st.integers(1, 4), st.integers(0, 2**20), st.lists(OUTCOMES, min_size=1, max_size=150))
def test_whatever_happens_no_broker_is_tried_without_a_pause_nor_forgotten(
    brokers: int, seed: int, outcomes: list[tuple[str, float]]
) -> None:
    site = Site(brokers, by_chance(seed))
    ended: dict[int, float] = {}
    tried: dict[int, float] = dict.fromkeys(range(brokers), site.now)
    for what, seconds in outcomes:
        broker = site.next()
        assert site.now - ended.get(broker, 0) >= 0.25
        tried[broker] = site.now
        if "up" in what:
            site.stay(broker, seconds, refused="refused" in what)
            tried = dict.fromkeys(range(brokers), site.now)  # all in order again
        else:
            site.now += seconds / 10
            site.attempts.ended(broker, site.now, refused=what == "refused")
        ended[broker] = site.now
        longest = 60 + brokers * 10 * 9  # a pause, and the longest attempts on all of them until its turn comes
        assert all(site.now - when <= 2 * longest for when in tried.values())


# ---------------------------------------------------------------- several brokers


def order(site: Site, count: int) -> Iterator[int]:
    for _ in range(count):
        broker = site.next()
        site.attempts.ended(broker, site.now, refused=False)
        yield broker


def test_all_brokers_are_tried_in_order_without_a_pause_and_then_there_is_one() -> None:
    site = Site(3)
    assert list(order(site, 7)) == [0, 1, 2, 0, 1, 2, 0]
    times = [when - site.tried[0][0] for when, _ in site.tried]
    assert times[:3] == [0, 0, 0]
    assert times[3:6] == [1, 1, 1]


def test_after_a_lost_connection_the_first_comes_first_again() -> None:
    site = Site(3)
    list(order(site, 2))
    site.stay(site.next(), 3600)
    assert list(order(site, 3)) == [0, 1, 2]


def test_a_broker_that_refuses_keeps_nobody_from_the_others() -> None:
    site = Site(2)
    for _ in range(60):
        broker = site.next()
        site.attempts.ended(broker, site.now, refused=broker == 0)
    assert sum(broker == 0 for _, broker in site.tried) < 8
    waits = [b - a for (a, one), (b, two) in zip(site.tried, site.tried[1:], strict=False) if one == two == 1]
    assert max(waits) < 2.5


def test_a_broker_that_accepts_and_hangs_up_lets_the_next_have_its_turn() -> None:
    site = Site(2)
    assert site.next() == 0
    site.stay(0, 2)
    assert site.next() == 1
    site.stay(1, 3600)
    assert site.next() == 1, "still doubted"
    site.attempts.ended(1, site.now, refused=False)
    assert site.next() == 0
    site.stay(0, 3600)
    assert site.next() == 0


def test_a_broker_that_takes_connections_and_acknowledges_nothing_lets_the_next_have_its_turn() -> None:
    site = Site(2)
    assert site.next() == 0
    for wait in (120, 240, 480, 900, 900):
        site.attempts.connected(0, site.now)
        site.now += 3600
        site.attempts.ended(0, site.now, refused=False, in_vain=True)
        assert site.next() == 1
        site.attempts.connected(1, site.now)
        assert site.attempts.look_back_at - site.now == wait
        site.now += wait


def test_earlier_brokers_are_looked_at_after_a_minute_then_ever_more_seldom() -> None:
    site = Site(2)
    site.attempts.ended(site.next(), site.now, refused=False)
    assert site.attempts.look_back_at == float("inf")
    site.attempts.connected(site.next(), site.now)
    waits = []
    for _ in range(7):
        waits.append(site.attempts.look_back_at - site.now)
        site.now = site.attempts.look_back_at
        site.attempts.looked_back(site.now)
    assert waits == [60, 120, 240, 480, 900, 900, 900]
    site.attempts.connected(0, site.now)
    assert site.attempts.look_back_at == float("inf"), "nobody is before the first"
    site.now += 3600
    site.attempts.ended(0, site.now, refused=False)
    site.attempts.ended(site.next(), site.now, refused=False)
    site.attempts.connected(site.next(), site.now)
    assert site.attempts.look_back_at - site.now == 60, "it was good again, and is worth a look soon"


def test_a_return_that_did_not_last_is_tried_more_seldom() -> None:
    site = Site(2)
    site.attempts.ended(site.next(), site.now, refused=False)
    site.attempts.connected(site.next(), site.now)
    site.now = site.attempts.look_back_at
    site.stay(0, 5)
    assert site.next() == 1
    site.attempts.connected(1, site.now)
    assert site.attempts.look_back_at - site.now == 120
