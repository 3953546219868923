"""Devices that do not answer: what they cost the others on their line, and how they are found again."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from link_scene import DAY_S, Quiet, device, polling, simulate
from link_scene import Thermometer as Units
from modbus_responder import Fault, RtuDevices, exception, late, right, silent

from gateway.config import schema
from gateway.driver import Registers, Table
from gateway.errors import NoReply
from gateway.links.choice import link as chosen
from gateway.links.patience import FULL_EACH, MARGIN_S, UNHEARD_S, patience_s
from gateway.links.port import Link
from gateway.links.schedule import BACK_OFF_S, MISSES, Urgency
from gateway.model import Bad, DeviceBack, DeviceLost, Reading, Reason, Values

FULL_S, CHAR_S, SIZE = 0.344, 10 / 9600, 21
TIMEOUT_S = 0.3


class Slow(Quiet):
    """A line at 9,600 baud in time that a test moves: units answer after `takes_s`, or are not there.

    It waits as the exchange does: as long as the limit says, and after a wait in full for one more response time.
    """

    def __init__(self, end: float, takes_s: dict[int, float]) -> None:
        super().__init__(end)
        self.takes_s = takes_s
        self.limit_s: float | None = None
        self.cost_s: dict[int, list[tuple[float, float]]] = {}

    def count_for(self, tally: object) -> None:
        """Nothing is counted here."""

    def limit(self, turnaround_s: float | None) -> None:
        self.limit_s = turnaround_s

    def read(self, unit: int, table: Table, address: int, count: int) -> Sequence[int]:
        del table, address
        wait_s = FULL_S if self.limit_s is None else min(FULL_S, SIZE * CHAR_S + self.limit_s)
        began, took_s = self.now, self.takes_s.get(unit, math.inf)
        answers = took_s <= wait_s
        silence_s = FULL_S if not answers and self.limit_s is None else 0.0
        self.now += took_s if answers else wait_s + silence_s
        self.cost_s.setdefault(unit, []).append((began, self.now - began))
        if self.now >= self.end:
            self.done()
        if not answers:
            raise NoReply("silent", f"unit {unit}")
        return [0] * count


@pytest.fixture
def line(bus: RtuDevices) -> Link:
    part = schema.SerialLink(type="serial", port=str(bus.path), baudrate=115_200, timeout=TIMEOUT_S)
    return chosen("bus1", part, (), Path())


def test_nine_units_stay_on_their_ticks_and_the_tenth_which_is_dead_costs_less_than_a_hundredth() -> None:
    link = Slow(1600.0, dict.fromkeys(range(1, 10), 0.0305))
    facts = simulate(link, *(device(f"d{unit}", Units(unit), 1.0) for unit in range(1, 11)))
    for unit in range(1, 10):
        polls = [fact.mono for fact in facts if isinstance(fact, Reading) and fact.device == f"d{unit}"]
        assert [math.floor(at) for at in polls[:600]] == list(range(1000, 1600))
        assert max(b - a for a, b in itertools.pairwise(polls)) <= 1.0 + FULL_S
    dead = link.cost_s[10]
    first = sum(cost for began, cost in dead if began < 1060)
    later = sum(cost for began, cost in dead if began >= 1060)
    assert first / 60 <= 0.05
    assert later / 540 < 0.01
    pauses_s = [b - a for (a, _), (b, _) in itertools.pairwise(dead) if a >= 1060]
    assert all(BACK_OFF_S[-1] <= pause_s <= BACK_OFF_S[-1] + 1.0 for pause_s in pauses_s), "and yet it is asked"


@pytest.mark.parametrize("took_s", [0.03, 0.2, 0.3])
def test_a_slow_unit_that_was_away_is_found_again(took_s: float) -> None:
    link = Slow(1300.0, {1: took_s})
    link.takes_s.clear()
    away = Away(link, took_s, until=1100.0)
    facts = simulate(link, device("slow", away, 1.0))
    back = next(fact for fact in facts if isinstance(fact, DeviceBack))
    assert back.lost_s < 100.0 + FULL_EACH * BACK_OFF_S[-1]


def test_after_a_lost_unit_the_others_are_waited_for_as_long_as_before() -> None:
    link = Slow(1200.0, {1: 0.03, 2: 0.3})
    facts = simulate(link, *(device(f"d{unit}", Units(unit), 1.0) for unit in (1, 2, 3)))
    assert [fact.device for fact in facts if isinstance(fact, DeviceLost)] == ["d3"]
    assert len(link.cost_s[3]) > MISSES, "it is asked again"
    assert not [fact for fact in facts if isinstance(fact, Reading) and fact.bad and fact.device != "d3"]


class Away(Units):
    """A unit that was never there before `until`."""

    def __init__(self, link: Slow, took_s: float, until: float) -> None:
        super().__init__(1)
        self.link, self.took_s, self.until = link, took_s, until

    def poll(self, link: Registers) -> Values:
        if self.link.now >= self.until:
            self.link.takes_s[1] = self.took_s
        return super().poll(link)


def test_a_lost_unit_is_waited_for_as_long_as_it_ever_took_and_each_fourth_time_as_long_as_the_link_says() -> None:
    assert [patience_s(probes, None) for probes in range(5)] == [UNHEARD_S, UNHEARD_S, UNHEARD_S, math.inf, UNHEARD_S]
    assert patience_s(0, 0.06) == pytest.approx(0.12 + MARGIN_S)
    assert patience_s(3, 0.06) == math.inf


def test_a_unit_that_was_quick_is_not_waited_for_in_full_once_it_is_lost(bus: RtuDevices, line: Link) -> None:
    with polling(line, device("quick", Units(1), 0.1), device("well", Units(2), 0.02)) as told:
        told.good("quick")
        bus.deaf.add(1)
        assert told.next(DeviceLost, within_s=8.0).device == "quick"
        lost_at = time.monotonic() + TIMEOUT_S  # the line is silent for so long yet
        told.bad("quick", Reason.NO_REPLY)
        for _ in range(10):
            told.good("well")
    times = [at for at, request in bus.asked if request[0] == 2 and at > lost_at]
    assert len(times) > 50
    assert max(b - a for a, b in itertools.pairwise(times)) < TIMEOUT_S, "as long as it waits for others"


# ---------------------------------------------------------------- asking twice


def asked(bus: RtuDevices, unit: int) -> int:
    return sum(request[0] == unit for _, request in bus.asked)


def poll_once(line: Link, urgency: Urgency) -> Reading:
    with polling(line, device("one", Units(1), DAY_S, urgency=urgency)) as told:
        return told.reading("one")


def test_a_smoke_detector_that_leaves_a_request_unanswered_is_asked_once_more(bus: RtuDevices, line: Link) -> None:
    bus.then(silent)
    assert poll_once(line, Urgency.SMOKE).values == Units(1).right
    assert asked(bus, 1) == 2


@pytest.mark.parametrize("urgency", [Urgency.CONTACT, Urgency.MEASUREMENT, Urgency.METER])
def test_nobody_else_is_asked_twice_in_a_poll(bus: RtuDevices, line: Link, urgency: Urgency) -> None:
    bus.then(silent)
    assert set(poll_once(line, urgency).bad.values()) == {Reason.NO_REPLY}
    assert asked(bus, 1) == 1


def test_a_smoke_detector_that_is_missing_is_asked_once_a_poll(bus: RtuDevices, line: Link) -> None:
    bus.deaf.add(1)
    with polling(line, device("smoke", Units(1), 0.1, urgency=Urgency.SMOKE)) as told:
        told.next(DeviceLost, within_s=8.0)
    assert asked(bus, 1) == MISSES + 1


def test_a_smoke_detector_that_says_no_is_not_asked_again(bus: RtuDevices, line: Link) -> None:
    bus.then(exception(2))
    assert set(poll_once(line, Urgency.SMOKE).bad.values()) == {Reason.REFUSED}
    assert asked(bus, 1) == 1


class Halves(Units):
    """A driver that gives what it gets: one register may be missing."""

    def poll(self, link: Registers) -> Values:
        values: dict[str, int | Bad] = {}
        for name, address in (("temperature", 1), ("humidity", 2)):
            try:
                values[name] = link.read(self.unit, Table.INPUT, address, 1)[0]
            except NoReply:
                values[name] = Bad(Reason.NO_REPLY)
        return values


def test_a_smoke_detector_of_which_a_part_is_missing_is_asked_once_more(bus: RtuDevices, line: Link) -> None:
    bus.then(silent)
    with polling(line, device("smoke", Halves(1), DAY_S, urgency=Urgency.SMOKE)) as told:
        assert told.reading("smoke").values == Halves(1).right
    assert asked(bus, 1) == 4


@pytest.mark.parametrize("again", [(silent, silent), (exception(2), silent), (right, silent), (silent, right)])
def test_what_a_smoke_detector_said_at_first_stays_whatever_comes_of_the_second_attempt(
    bus: RtuDevices, line: Link, again: tuple[Fault, Fault]
) -> None:
    bus.then(right, silent, *again)
    with polling(line, device("smoke", Halves(1), DAY_S, urgency=Urgency.SMOKE)) as told:
        reading = told.reading("smoke")
    wanted = Halves(1).right
    assert reading.values["temperature"] == wanted["temperature"]
    assert reading.values == (wanted if again[1] is right else {"temperature": wanted["temperature"]})


def test_a_second_attempt_that_fails_as_a_whole_takes_nothing_back(bus: RtuDevices, line: Link) -> None:
    bus.then(right, silent, silent, silent)
    with polling(line, device("smoke", AllOrNothing(1), DAY_S, urgency=Urgency.SMOKE)) as told:
        reading = told.reading("smoke")
    assert reading.values == {"temperature": Halves(1).right["temperature"]}
    assert reading.bad == {"humidity": Reason.NO_REPLY}


class AllOrNothing(Halves):
    """A driver that says so when nothing was answered."""

    def poll(self, link: Registers) -> Values:
        values = super().poll(link)
        if all(isinstance(value, Bad) for value in values.values()):
            raise NoReply("silent", f"unit {self.unit}")
        return values


# ---------------------------------------------------------------- late


def test_what_a_lost_unit_says_late_is_nobodys_value(bus: RtuDevices, line: Link) -> None:
    one, two = Units(1), Units(2)
    with polling(line, device("one", one, 0.1), device("two", two, 0.02)) as told:
        told.good("one")
        bus.deaf.add(1)
        told.next(DeviceLost, within_s=8.0)
        bus.always[1] = late(0.2)
        bus.deaf.clear()
        told.bad("one", Reason.NO_REPLY)
        for _ in range(20):
            told.reading("two")
    units = {"one": one, "two": two}
    readings = [fact for fact in told.all() if isinstance(fact, Reading)]
    assert all(reading.values == units[reading.device].right for reading in readings if reading.values)
