"""What is told of a link and its devices: requests, failures by name, response times, intervals, load of the wire."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from queue import SimpleQueue

import pytest
from hypothesis import given
from hypothesis import strategies as st
from link_scene import DAY_S, Quiet, Says, Siren, Thermometer, device, polling, simulate
from modbus_responder import (
    Fault,
    RtuDevices,
    Script,
    TcpDevices,
    about,
    bad_crc,
    exception,
    half,
    late,
    mbap,
    right,
    silent,
    value_of,
)

from drivers.modbus_point import RegisterPoint
from drivers.modbus_profile import Profile
from drivers.modbus_table import ModbusOptions, ModbusTable
from gateway.cli.status import link_tables
from gateway.clock import SystemClock
from gateway.config import schema
from gateway.driver import Registers, Table
from gateway.errors import NoReply, Refused
from gateway.links.attendance import Attendance
from gateway.links.choice import link as chosen
from gateway.links.device import LinkDevice
from gateway.links.patience import UNHEARD_S
from gateway.links.port import Link
from gateway.links.schedule import MISSES
from gateway.links.tally import Tally, percentiles_ms
from gateway.model import Bad, DeviceHealth, Fact, LinkHealth, Reading, ReadNow, Reason, Values, Write
from gateway.records import encode


class Attended:
    """A link that is attended by the test itself: polls and writes when it says so."""

    def __init__(self, link: Link, *devices: LinkDevice) -> None:
        self.told: SimpleQueue[Fact] = SimpleQueue()
        self.attendance = Attendance(devices, SystemClock(), self.told.put, lambda: False)
        self.link = link
        link.open()
        self.offers = {family: link.offer(family) for family in self.attendance.families}
        self.attendance.begin(self.offers)

    def poll(self, times: int = 1) -> None:
        for _ in range(times):
            self.all_are_due()
            while self.attendance.asking.take_turn():
                pass

    def poll_ahead(self) -> None:
        """As a shared thread does it: send, take what has come, and wait only when something is wrong."""
        ahead = self.attendance.ahead
        self.all_are_due()
        assert ahead.ask(SystemClock().mono())
        while ahead.deadline < math.inf and ahead.take_reply():
            pass
        assert ahead.conclude(SystemClock().now(), self.told.put)
        ahead.take_back()

    def all_are_due(self) -> None:
        self.attendance.asking.begin(self.offers, SystemClock().mono())

    @property
    def health(self) -> LinkHealth:
        return self.attendance.health("bus1", up=True, opens=1, noise_bytes=0)

    @property
    def first(self) -> DeviceHealth:
        return self.health.devices[0]


@pytest.fixture
def attend(line: Link) -> Iterator[Callable[..., Attended]]:
    yield lambda *devices: Attended(line, *devices)
    line.close()


class Blocks(Thermometer):
    """A driver that asks twice a poll, and goes on with what it gets, as the Modbus driver does."""

    def poll(self, link: Registers) -> Values:
        values: dict[str, int | Bad] = {}
        for name, address in (("temperature", 1), ("humidity", 9)):
            try:
                values[name] = link.read(self.unit, Table.INPUT, address, 1)[0]
            except NoReply:
                values[name] = Bad(Reason.NO_REPLY)
            except Refused:
                values[name] = Bad(Reason.REFUSED)
        return values


def test_every_request_counts_and_not_only_the_polls(attend: Callable[..., Attended]) -> None:
    site = attend(device("one", Blocks(1), DAY_S), device("two", Thermometer(2), DAY_S))
    site.poll(3)
    assert [(it.polls, it.requests) for it in site.health.devices] == [(3, 6), (3, 3)]
    assert site.health.requests == 9


@pytest.mark.parametrize(
    ("fault", "name"),
    [
        (silent, "silent"),
        (bad_crc, "checksum"),
        (half, "half_frame"),
        (exception(6), "busy"),
        (exception(11), "gateway"),
        (exception(2), "refused"),
    ],
)
def test_each_failure_counts_once_and_under_its_own_name(
    bus: RtuDevices, attend: Callable[..., Attended], fault: Fault, name: str
) -> None:
    site = attend(device("one", Thermometer(1), DAY_S))
    bus.then(fault)
    site.poll(2)
    assert site.first.failures == {name: 1}
    assert site.first.requests == 2
    assert site.health.failures == {name: 1}


@pytest.mark.parametrize(("fault", "name"), [(bad_crc, "checksum"), (exception(2), "refused")])
def test_a_failure_that_costs_only_a_part_of_a_poll_counts_too(
    bus: RtuDevices, attend: Callable[..., Attended], fault: Fault, name: str
) -> None:
    site = attend(device("one", Blocks(1), DAY_S))
    bus.then(fault)
    site.poll()
    assert site.first.state == "ok"
    assert site.first.failures == {name: 1}


def test_a_refusal_counts_when_the_device_says_it_and_not_as_often_as_it_is_told(
    bus: RtuDevices, attend: Callable[..., Attended]
) -> None:
    class Resting(Blocks):
        """A driver that asks once, and tells of the refusal until the end."""

        def poll(self, link: Registers) -> Values:
            self.told = getattr(self, "told", None) or super().poll(link)
            return self.told

    site = attend(device("one", Resting(1), DAY_S))
    bus.then(exception(2))
    site.poll(5)
    assert site.first.polls == 5
    assert site.first.failures == {"refused": 1}


def test_what_stays_silent_while_the_rest_answers_is_logged_once(
    bus: RtuDevices, attend: Callable[..., Attended], caplog: pytest.LogCaptureFixture
) -> None:
    site = attend(device("one", Blocks(1), DAY_S))
    bus.always[1] = about({9}, silent)
    site.poll(2)
    assert not caplog.records
    site.poll(3)
    told = [record.getMessage() for record in caplog.records]
    assert told == ["device one answers, but stays silent about humidity"]


def test_what_a_driver_itself_cannot_use_counts_as_it_says(attend: Callable[..., Attended]) -> None:
    def garbled() -> Values:
        raise NoReply("garbled", "it makes no sense")

    site = attend(device("one", Says(garbled), DAY_S))
    site.poll()
    assert site.first.failures == {"garbled": 1}


def test_writes_count_as_requests_of_their_device(attend: Callable[..., Attended]) -> None:
    site = attend(device("siren", Siren(3), DAY_S), device("one", Thermometer(1), DAY_S))
    site.poll()
    site.attendance.writing.write(Write("bus1", "siren", "output", "on"), up=True)
    siren, one = site.health.devices
    assert siren.requests == 3 + siren.polls, "looked for an echo, safe at the start, again at its poll, and switched"
    assert one.requests == 1


def test_health_with_failures_fits_into_what_local_commands_are_answered(
    bus: RtuDevices, attend: Callable[..., Attended]
) -> None:
    site = attend(device("one", Thermometer(1), DAY_S))
    bus.then(silent)
    site.poll(2)
    told = json.loads(encode(asdict(site.health)))
    assert told["failures"] == told["devices"][0]["failures"] == {"silent": 1}


def test_a_write_without_an_answer_counts_once(bus: RtuDevices, attend: Callable[..., Attended]) -> None:
    site = attend(device("siren", Siren(3), DAY_S))
    bus.then(silent)
    site.attendance.writing.write(Write("bus1", "siren", "output", "on"), up=True)
    assert site.first.failures == {"silent": 1}


def test_response_times_are_those_of_the_device_itself(bus: RtuDevices, attend: Callable[..., Attended]) -> None:
    site = attend(device("quick", Thermometer(1), DAY_S), device("slow", Thermometer(2), DAY_S))
    bus.always[2] = late(0.03)
    site.poll(5)
    quick, slow = site.health.devices
    assert quick.response_p50_ms is not None
    assert slow.response_p50_ms is not None
    assert slow.response_p95_ms is not None
    assert quick.response_p50_ms < 30 <= slow.response_p50_ms <= slow.response_p95_ms
    assert site.health.response_p95_ms == slow.response_p95_ms


def test_silence_that_is_kept_for_one_device_is_not_the_response_time_of_the_next(
    bus: RtuDevices, attend: Callable[..., Attended]
) -> None:
    site = attend(device("dead", Thermometer(1), DAY_S), device("well", Thermometer(2), DAY_S))
    bus.deaf.add(1)
    site.poll()
    dead, well = site.health.devices
    assert dead.response_p50_ms is None
    assert well.response_p50_ms is not None
    assert well.response_p50_ms < 40, "the timeout is 50 ms, and so is the silence"


def test_a_link_whose_unit_is_silent_is_as_busy_as_one_that_transfers(
    bus: RtuDevices, attend: Callable[..., Attended]
) -> None:
    site = attend(device("dead", Thermometer(1), DAY_S))
    bus.deaf.add(1)
    assert site.health.load is not None
    site.poll(3)
    load = site.health.load
    assert load is not None
    assert load > 0.8
    bus.deaf.clear()


def test_a_link_that_is_not_used_carries_no_load(line: Link) -> None:
    with polling(line, device("one", Thermometer(1), DAY_S)) as told:
        told.good("one")
        assert told.poller._attendance.health("bus1", up=True, opens=1, noise_bytes=0).load is not None
        quiet = told.poller._attendance.health("bus1", up=True, opens=1, noise_bytes=0).load
    assert quiet == 0.0


def test_intervals_are_those_that_really_were() -> None:
    link = Quiet(end=1050.0)

    def slow() -> Values:
        link.now += 2.5
        return {"temperature": 1}

    facts = simulate(link, device("slow", Says(slow), 1.0), device("rare", Says(lambda: {"temperature": 1}), 10.0))
    health = [fact for fact in facts if isinstance(fact, LinkHealth)]
    assert health[0].devices[0].interval_s is None
    slow_one, rare = health[-1].devices
    assert (slow_one.every_s, rare.every_s) == (1.0, 10.0)
    assert slow_one.interval_s == pytest.approx(3.0, abs=0.1)
    assert rare.interval_s == pytest.approx(10.0, abs=1.0)
    assert health[-1].load is None, "nothing is known of that wire"


def tcp_site(peer: TcpDevices, driver: Thermometer, timeout_s: float = 0.4) -> Attended:
    part = schema.TcpLink(type="tcp", host="127.0.0.1", port=peer.port, timeout=timeout_s)
    return Attended(chosen("io", part, (), Path()), device("one", driver, DAY_S))


def other_unit(request: bytes, _: bytes) -> Script:
    return [(0.0, mbap(int.from_bytes(request[:2]), 2, bytes((4, 4, 0, 0, 0, 0))))]


@pytest.mark.parametrize(("faults", "failures"), [((), {}), ((other_unit,), {"wrong_unit": 1})])
def test_requests_that_are_sent_ahead_count_as_others_do(faults: tuple[Fault, ...], failures: dict[str, int]) -> None:
    with TcpDevices() as peer:
        site = tcp_site(peer, Thermometer(1), timeout_s=0.2)
        site.poll(3)
        peer.then(*faults)
        site.poll_ahead()
        site.link.close()
    assert site.first.polls == site.first.requests == len(peer.asked) == 4
    assert site.first.failures == failures
    assert site.first.response_p50_ms is not None


def test_the_wait_for_what_was_sent_ahead_is_load_as_any_other() -> None:
    with TcpDevices() as peer:
        site = tcp_site(peer, Thermometer(1))
        site.poll()
        peer.then(late(0.1))
        site.health  # noqa: B018 - the load is that since it was told last
        began = time.monotonic()
        site.poll_ahead()
        load, lasted_s = site.health.load, time.monotonic() - began
        site.link.close()
    assert load is not None
    assert load * lasted_s >= 0.09


class Growing(Thermometer):
    """It asks for one thing more once it is told to."""

    more = False

    def poll(self, link: Registers) -> Values:
        values = dict(super().poll(link))
        return values | {"humidity": link.read(self.unit, Table.INPUT, 9, 1)[0]} if self.more else values


def test_what_was_not_foreseen_makes_a_reading_as_late_as_its_reply() -> None:
    with TcpDevices() as peer:
        driver = Growing(1)
        site = tcp_site(peer, driver)
        site.poll()
        driver.more = True
        peer.then(right, late(0.1))
        site.all_are_due()
        ahead = site.attendance.ahead
        assert ahead.ask(SystemClock().mono())
        while ahead.deadline < math.inf and ahead.take_reply():
            pass
        foreseen = SystemClock().now()
        told: list[Fact] = []
        assert not ahead.conclude(foreseen, told.append), "its own thread has to wait for it from now on"
        site.link.close()
    (reading,) = told
    assert isinstance(reading, Reading)
    assert reading.values["humidity"] == value_of(1, 4, 9)
    assert reading.mono >= foreseen.mono + 0.09


def test_on_modbus_tcp_a_lost_unit_is_waited_for_in_full_and_so_found_at_once_if_it_is_slow() -> None:
    with TcpDevices() as peer:
        site = tcp_site(peer, Thermometer(1))
        peer.deaf.add(1)
        site.poll(MISSES)
        assert site.first.state == "lost"
        peer.deaf.clear()
        peer.always[1] = late(UNHEARD_S + 0.1)
        site.poll()
        assert site.first.state == "ok"
        site.link.close()


def test_a_lost_unit_is_not_asked_ahead_and_its_turn_counts_once() -> None:
    with TcpDevices() as peer:
        site = tcp_site(peer, Thermometer(1), timeout_s=0.05)
        site.poll()
        peer.deaf.add(1)
        site.poll(MISSES)
        assert site.first.state == "lost"
        site.all_are_due()
        assert not site.attendance.ahead.ask(SystemClock().mono()), "nobody but its own thread waits for it"
        assert len(peer.asked) == 1 + MISSES
        assert site.attendance.asking.take_turn()
        assert site.first.interval_s is None, "since all were due it has been asked once"
        site.link.close()


def test_the_reads_of_a_device_are_told_with_what_its_driver_has_learned(
    bus: RtuDevices, attend: Callable[..., Attended]
) -> None:
    points = {f"t{at}": RegisterPoint("temperature", "holding", at, "uint16") for at in (0, 1, 8, 9)}
    driver = ModbusTable(ModbusOptions(1, Profile("Test", "tests", ("made up",), "high", points)))
    site = attend(device("one", driver, DAY_S))
    assert site.first.reads == (ReadNow("holding", 0, 10, ("t0", "t1", "t8", "t9"), 4),)
    bus.then(exception(2))
    site.poll()
    assert [(it.address, it.size) for it in site.first.reads] == [(0, 2), (8, 2)]


@given(times=st.lists(st.floats(0, 10), min_size=1, max_size=200), percent=st.integers(1, 100))
def test_a_percentile_is_the_least_time_that_so_many_did_not_exceed(times: list[float], percent: int) -> None:
    (found,) = percentiles_ms(times, percent)
    assert found in {1000 * each for each in times}
    assert sum(1000 * each <= found for each in times) * 100 >= percent * len(times)
    assert sum(1000 * each < found for each in times) * 100 < percent * len(times)


def test_the_time_for_which_a_link_was_away_is_no_interval() -> None:
    tally = Tally()
    for now in (0.0, 10.0):
        tally.turn(now)
    tally.begin()
    assert tally.interval_s is None
    for now in (5000.0, 5010.0):
        tally.turn(now)
    assert tally.interval_s == 10.0


def test_a_tally_does_not_grow() -> None:
    tally = Tally()
    for number in range(10_000):
        tally.turn(float(number))
        tally.answered(0.01)
    assert tally.requests == 10_000
    assert len(tally.times) == 100
    assert tally.interval_s == 1.0


def test_status_shows_it_as_tables() -> None:
    responses = {"response_p50_ms": 14.2, "response_p95_ms": 18.6}
    cold = {"device": "cold-1", "state": "ok", "every_s": 1.0, "interval_s": 1.0049, "polls": 50, "requests": 51}
    dead = {"device": "cold-2", "state": "lost", "every_s": 1.0, "interval_s": 31.0, "polls": 9, "requests": 9}
    link = {"link": "bus1", "up": True, "load": 0.314, "requests": 60, "failures": {"silent": 9}, **responses}
    gone = {"response_p50_ms": None, "response_p95_ms": None}
    link["devices"] = [{**cold, "failures": {}, **responses}, {**dead, "failures": {"silent": 9}, **gone}]
    text = "\n".join(link_tables([link]))
    assert (
        "LINK  STATE  LOAD  REQUESTS  P50    P95    FAILURES\nbus1  up     31%   60        14 ms  19 ms  silent 9"
        in text
    )
    assert "cold-1  bus1  ok     1.0 s  1.00 s   50     51        14 ms  19 ms  none" in text
    assert "cold-2  bus1  lost   1.0 s  31.00 s  9      9         -      -      silent 9" in text
