"""Many Modbus TCP links on one thread: what is wrong with one of them is not noticed by the others."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, ClassVar, Self, TypeVar

import pytest
from modbus_responder import (
    Fault,
    Script,
    TcpDevices,
    forget,
    hang_up,
    late,
    mbap,
    right,
    silent,
    value_of,
    values_of,
)

from gateway.clock import SystemClock
from gateway.config import schema
from gateway.driver import Driver, Family, Output, Polled, Registers, Table, point
from gateway.links.choice import link as chosen
from gateway.links.choice import shared_threads
from gateway.links.device import LinkDevice
from gateway.links.poller import Poller
from gateway.links.schedule import Urgency
from gateway.links.shared import LINKS_PER_THREAD, SharedThread
from gateway.model import (
    DeviceBack,
    DeviceLost,
    Fact,
    LinkBack,
    LinkLost,
    Moment,
    Point,
    Reading,
    Reason,
    Value,
    Values,
    Write,
)

EVERY_S = 0.1
TIMEOUT_S = 0.5
MATES = 4
T = TypeVar("T")


@dataclass(frozen=True)
class NoOptions:
    pass


class Meter(Polled):
    """Registers in several pieces; `tells` gets the name of the thread on which it is polled."""

    family: ClassVar[Family] = Family.REGISTERS
    options: ClassVar[type[Any]] = NoOptions

    def __init__(self, pieces: int = 1, then: Callable[[], None] = lambda: None) -> None:
        self.pieces = pieces
        self.then = then
        self.threads: list[str] = []

    @property
    def points(self) -> tuple[Point, ...]:
        return tuple(point(f"r{number}", "setting") for number in range(self.pieces))

    @property
    def claims(self) -> tuple[str, ...]:
        return ("unit 1",)

    @property
    def right(self) -> dict[str, int]:
        return {f"r{number}": value_of(1, 3, 100 * number) for number in range(self.pieces)}

    def poll(self, link: Registers) -> Values:
        self.threads.append(threading.current_thread().name)
        self.then()
        return {f"r{number}": link.read(1, Table.HOLDING, 100 * number, 2)[0] for number in range(self.pieces)}


class Wanderer(Meter):
    """A driver that asks something else each time."""

    def poll(self, link: Registers) -> Values:
        self.threads.append(threading.current_thread().name)
        address = len(self.threads)
        assert list(link.read(1, Table.HOLDING, address, 2)) == values_of(1, 3, address, 2)
        return {"r0": address}


class Moody(Meter):
    """A driver that asks one thing more each sixth time."""

    def poll(self, link: Registers) -> Values:
        values = super().poll(link)
        if len(self.threads) % 6 == 0:
            assert list(link.read(1, Table.INPUT, 5, 2)) == values_of(1, 4, 5, 2)
        return values


class Switch(Meter, Output):
    """A coil beside the registers."""

    @property
    def points(self) -> tuple[Point, ...]:
        return (*super().points, point("output", "output", writable=True))

    @property
    def safe(self) -> dict[str, Value]:
        return {"output": "off"}

    def write(self, link: Registers, point: str, value: Value) -> Values:
        link.write(1, Table.COIL, 7, (int(value == "on"),))
        return {point: value}


def written(value: str) -> Callable[[Fact], bool]:
    return lambda fact: isinstance(fact, Reading) and fact.values.get("output") == value


class Site:
    """Peers with a device each, their pollers, and the one thread that they share."""

    def __init__(self) -> None:
        self.clock = SystemClock()
        self.shared = SharedThread("shared", self.clock, self._tell)
        self.told: dict[str, SimpleQueue[Fact]] = {}
        self.readings: dict[str, list[Reading]] = {}
        self.pollers: dict[str, Poller] = {}
        self.threads = [threading.Thread(target=self.shared.run, name="shared", daemon=True)]

    def add(self, name: str, port: int, *drivers: Driver, safety: bool = False, every: float = EVERY_S) -> None:
        part = schema.TcpLink(type="tcp", host="127.0.0.1", port=port, timeout=TIMEOUT_S)
        urgency = Urgency.CONTACT if safety else Urgency.MEASUREMENT
        devices = [LinkDevice(f"{name}-{n}" if n else name, it, every, urgency) for n, it in enumerate(drivers)]
        queue: SimpleQueue[Fact] = SimpleQueue()
        self.told[name], self.readings[name] = queue, []
        self.pollers[name] = Poller(
            name,
            chosen(name, part, (), Path()),
            devices,
            self.clock,
            partial(self._told, name),
            retry_s=(0.02,),
            shared=self.shared,
        )
        self.threads.append(threading.Thread(target=self.pollers[name].run, name=name, daemon=True))

    def _told(self, name: str, fact: Fact) -> None:
        if isinstance(fact, Reading):
            self.readings[name].append(fact)
        self.told[name].put(fact)

    def _tell(self, fact: Fact) -> None:
        """What the shared thread has to tell are readings of devices that are named after their links."""
        assert isinstance(fact, Reading)
        self._told(fact.device.partition("-")[0], fact)

    def until(self, name: str, wanted: Callable[[Fact], bool], within_s: float = 5.0) -> Fact:
        end = time.monotonic() + within_s
        while True:
            try:
                fact = self.told[name].get(timeout=max(0.0, end - time.monotonic()))
            except Empty:
                pytest.fail(f"{name} did not tell it within {within_s} s")
            if wanted(fact):
                return fact

    def next(self, name: str, kind: type[T]) -> T:
        fact = self.until(name, lambda it: isinstance(it, kind))
        assert isinstance(fact, kind)
        return fact

    def bad(self, name: str, reason: Reason) -> Reading:
        fact = self.until(name, lambda it: isinstance(it, Reading) and reason in it.bad.values())
        assert isinstance(fact, Reading)
        return fact

    def good(self, name: str, times: int = 1) -> Reading:
        for _ in range(times):
            fact = self.until(name, lambda it: isinstance(it, Reading) and not it.bad)
        assert isinstance(fact, Reading)
        return fact

    def forget(self, name: str) -> None:
        """Go on from what is told now."""
        while not self.told[name].empty():
            self.told[name].get()

    def __enter__(self) -> Self:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shared.stop()
        for poller in self.pollers.values():
            poller.stop()
        for thread in self.threads:
            thread.join(5)
            assert not thread.is_alive(), thread.name


def is_shared(driver: Meter) -> bool:
    return driver.threads[-1] == "shared"


def settle(site: Site, name: str, driver: Meter) -> None:
    """Until the link is served by the shared thread."""
    end = time.monotonic() + 5
    while True:
        site.good(name)
        if is_shared(driver):
            return
        assert time.monotonic() < end, f"{name} does not come to share its thread"


@contextmanager
def mates(*, count: int = MATES) -> Iterator[tuple[Site, list[TcpDevices], list[Meter]]]:
    """A site, not yet begun, with so many well peers."""
    with ExitStack() as stack:
        site = Site()
        peers = [stack.enter_context(TcpDevices()) for _ in range(count)]
        meters = [Meter() for _ in peers]
        for number, (peer, meter) in enumerate(zip(peers, meters, strict=True)):
            site.add(f"mate{number}", peer.port, meter)
        yield site, peers, meters


def all_shared(site: Site, meters: Iterable[Meter]) -> None:
    for number, meter in enumerate(meters):
        settle(site, f"mate{number}", meter)


def they_kept_their_pace(peers: Iterable[TcpDevices], since: float) -> None:
    """Whether each peer was asked on its ticks since then, but for two, since other work may hold up a test.

    Whoever waited for another device would miss five: its timeout is five ticks.
    """
    for peer in peers:
        end = time.monotonic() + 5
        while len(ticks := [int(at / EVERY_S) for at, _ in peer.asked if at > since]) < 4:
            assert time.monotonic() < end, "it is not asked any more"
            threading.Event().wait(EVERY_S)
        assert ticks[-1] - ticks[0] + 1 - len(set(ticks)) <= 2


def test_links_in_good_order_are_served_by_one_thread_and_their_values_are_right() -> None:
    with mates() as (site, _, meters), site:
        all_shared(site, meters)
        for number, meter in enumerate(meters):
            for _ in range(3):
                reading = site.good(f"mate{number}")
                assert reading.values == meter.right
                assert abs(time.time() * 1000 - reading.ts) < 1000
            assert is_shared(meter)


def test_requests_of_one_tick_are_all_sent_before_the_first_reply_is_waited_for() -> None:
    with mates() as (site, peers, meters), site:
        all_shared(site, meters)
        for peer in peers:
            peer.then(*[late(0.06)] * 10)
        began = time.monotonic()
        site.forget("mate0")
        site.good("mate0", 5)
    asked = [at for peer in peers for at, _ in peer.asked if at > began]
    ticks = [[at for at in asked if int(at / EVERY_S) == tick] for tick in {int(at / EVERY_S) for at in asked}]
    whole = [max(times) - min(times) for times in ticks if len(times) == MATES]
    assert min(whole) < 0.03, "one after the other it takes four times 60 ms"


@contextmanager
def lent(names: str) -> Iterator[tuple[list[Noted], list[str]]]:
    """Links of these names, `s` with safety devices, lent to a thread; and what becomes of them until all are back."""
    order: list[str] = []
    with ExitStack() as stack:
        bells = [os.eventfd(0) for _ in range(2 * len(names))]
        for bell in bells:
            stack.callback(os.close, bell)
        clock = SystemClock()
        shared = SharedThread("shared", clock, partial(note, order))
        thread = threading.Thread(target=shared.run, daemon=True)
        thread.start()
        due = clock.mono() + 0.2
        links = [
            Noted(name, due, pair, order)
            for name, pair in zip(names, zip(bells[::2], bells[1::2], strict=True), strict=True)
        ]
        assert all(lent_when_it_runs(shared, link) for link in links)
        yield links, order
        for link in links:
            assert link.returned.wait(3)
        shared.stop()
        thread.join(3)


def note(order: list[str], fact: Fact) -> None:
    assert isinstance(fact, DeviceBack)
    order.append(f"tell {fact.device}")


def test_safety_devices_are_asked_first() -> None:
    with lent("abs") as (_, order):
        pass
    assert order == ["ask s", "ask a", "ask b"]


def test_what_comes_together_is_told_together_but_for_safety_devices() -> None:
    with lent("gabs") as (links, order):
        gate, *others = links
        gate.then = others
        gate.ring()
    together = order[order.index("tell g") + 1 :][:6]
    assert together == ["conclude s", "tell s", "conclude a", "conclude b", "tell a", "tell b"]


class Noted:
    """A link that notes what it is called for, and wants its own thread when it is asked."""

    def __init__(self, name: str, due: float, watched: tuple[int, ...], order: list[str]) -> None:
        self.name = name
        self.safety = name == "s"
        self.due = due
        self.watched = (watched[0], watched[1])
        self.order = order
        self.then: list[Noted] = []
        self.returned = threading.Event()

    def ring(self) -> None:
        """Bytes come."""
        os.eventfd_write(self.watched[0], 1)

    def elapse(self, now: float) -> bool:
        assert now >= self.due
        self.order.append(f"ask {self.name}")
        return False

    def take(self) -> bool:
        os.eventfd_read(self.watched[0])
        for link in self.then:
            link.ring()
        return True

    def conclude(self, arrived: Moment, tell: Callable[[Fact], None]) -> bool:
        self.order.append(f"conclude {self.name}")
        tell(DeviceBack(self.name, arrived.mono))
        return True

    def give_back(self, error: Exception | None) -> None:
        assert error is None
        self.returned.set()


def lent_when_it_runs(shared: SharedThread, link: Noted) -> bool:
    end = time.monotonic() + 3
    while not shared.lend(link):
        if time.monotonic() > end:
            return False
    return True


def test_a_dead_peer_does_not_delay_the_others() -> None:
    with mates() as (site, peers, meters), TcpDevices() as dying:
        meter = Meter()
        site.add("dying", dying.port, meter)
        with site:
            all_shared(site, meters)
            settle(site, "dying", meter)
            since = time.monotonic()
            dying.deaf.add(1)
            assert site.bad("dying", Reason.NO_REPLY).bad == {"r0": Reason.NO_REPLY}
            assert site.next("dying", DeviceLost).hint
            they_kept_their_pace(peers, since)
            assert all(is_shared(mate) for mate in meters)
            dying.deaf.clear()
            site.next("dying", DeviceBack)
            settle(site, "dying", meter)


def test_a_connection_that_hangs_does_not_delay_the_others() -> None:
    with mates() as (site, peers, meters), ExitStack() as stack:
        full = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(3):  # its queue is full: a further connection hangs
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        site.add("hanging", full.getsockname()[1], Meter())
        with site:
            all_shared(site, meters)
            since = time.monotonic()
            assert "no answer" in site.next("hanging", LinkLost).what
            site.forget("mate0")
            site.good("mate0", 6)
            they_kept_their_pace(peers, since)


def test_a_late_reply_is_no_value_of_a_later_question() -> None:
    def counting(request: bytes, _: bytes) -> Script:
        count = len(slow.asked)
        delay = TIMEOUT_S * (1.1 if count % 7 == 0 else 0)
        pdu = b"\x03\x04" + count.to_bytes(2) + b"\0\0"
        return [(delay, mbap(int.from_bytes(request[:2]), 1, pdu))]

    with mates() as (site, peers, meters), TcpDevices() as slow:
        meter = Meter()
        slow.then(*[counting] * 100)
        site.add("slow", slow.port, meter)
        with site:
            all_shared(site, meters)
            since = time.monotonic()
            for _ in range(2):
                settle(site, "slow", meter)
                site.bad("slow", Reason.NO_REPLY)
            they_kept_their_pace(peers, since)
        good = [reading for reading in site.readings["slow"] if reading.values]
        counts = [int(str(reading.values["r0"])) for reading in good]
        assert counts == sorted(set(counts)), "an old value came again, or after a newer one"
        assert not any(count % 7 == 0 for count in counts), "the values of replies that came late"


def test_a_driver_with_three_requests_never_waits_on_the_shared_thread() -> None:
    with mates() as (site, peers, meters), TcpDevices() as wide:
        meter = Meter(pieces=3)
        site.add("wide", wide.port, meter)
        with site:
            all_shared(site, meters)
            settle(site, "wide", meter)
            since = time.monotonic()
            wide.then(*[late(0.02)] * 12)  # 60 ms each poll
            for _ in range(4):
                assert site.good("wide").values == meter.right
            assert is_shared(meter)
            they_kept_their_pace(peers, since)
            wide.then(right, silent)  # the second of three
            reading = site.until("wide", lambda fact: isinstance(fact, Reading) and bool(fact.bad))
            assert isinstance(reading, Reading)
            assert not is_shared(meter)
            they_kept_their_pace(peers, since)


def test_a_device_that_refuses_is_asked_again_by_its_own_thread() -> None:
    with mates() as (site, peers, meters), site:
        all_shared(site, meters)
        device = meters[0]
        site.forget("mate0")
        peers[0].then(lambda request, _: [(0.0, mbap(int.from_bytes(request[:2]), 1, b"\x83\x02"))])
        assert site.bad("mate0", Reason.REFUSED).bad == {"r0": Reason.REFUSED}
        assert not is_shared(device)
        settle(site, "mate0", device)


def test_a_driver_that_asks_something_else_each_time_keeps_its_own_thread() -> None:
    with TcpDevices() as peer:
        site, wanderer = Site(), Wanderer()
        site.add("wanderer", peer.port, wanderer)
        with site:
            site.good("wanderer", 12)
        assert set(wanderer.threads) == {"wanderer"}


def test_a_driver_that_now_and_then_asks_more_is_answered_and_in_the_end_keeps_its_own_thread() -> None:
    with TcpDevices() as peer:
        site, moody = Site(), Moody()
        site.add("moody", peer.port, moody, every=0.02)
        with site:
            site.good("moody", 30)
        assert not any(reading.bad for reading in site.readings["moody"])
    assert "shared" in moody.threads[:12]
    assert set(moody.threads[18:]) == {"moody"}


def test_the_bug_of_one_driver_stays_its_own(caplog: pytest.LogCaptureFixture) -> None:
    bug = threading.Event()

    def fail() -> None:
        if bug.is_set():
            raise ZeroDivisionError

    with mates() as (site, peers, meters), TcpDevices() as peer:
        buggy = Meter(then=fail)
        site.add("buggy", peer.port, buggy)
        with site:
            all_shared(site, meters)
            settle(site, "buggy", buggy)
            since = time.monotonic()
            bug.set()
            assert site.bad("buggy", Reason.DRIVER_BUG).bad == {"r0": Reason.DRIVER_BUG}
            site.next("buggy", DeviceLost)
            for number in range(MATES):
                site.forget(f"mate{number}")
                site.good(f"mate{number}", 5)
            they_kept_their_pace(peers, since)
            bug.clear()
            site.next("buggy", DeviceBack)
    assert len([record for record in caplog.records if record.exc_info]) == 1
    assert site.shared.name not in {record.name for record in caplog.records if record.levelno > logging.ERROR}


def test_one_of_25_that_is_unplugged_is_lost_once_and_back_once() -> None:
    with mates(count=25) as (site, peers, meters), site:
        all_shared(site, meters)
        site.forget("mate7")
        since = time.monotonic()
        peers[7].do(peers[7].unplug)
        assert "refused" in site.next("mate7", LinkLost).what
        assert site.bad("mate7", Reason.LINK_DOWN).bad == {"r0": Reason.LINK_DOWN}
        site.forget("mate8")
        site.good("mate8", 5)
        peers[7].do(peers[7].plug)
        site.next("mate7", LinkBack)
        settle(site, "mate7", meters[7])
        they_kept_their_pace([peer for number, peer in enumerate(peers) if number != 7], since)
        facts = list(site.readings["mate7"])
        assert all(is_shared(meter) for meter in meters)
    assert sum(Reason.LINK_DOWN in reading.bad.values() for reading in facts) == 1


def test_a_peer_that_closes_an_idle_connection_has_not_gone() -> None:
    with mates() as (site, peers, meters), site:
        all_shared(site, meters)
        site.forget("mate0")
        for _ in range(3):
            peers[0].do(peers[0].hang_up)
            site.good("mate0", 2)
        assert not any(reading.bad for reading in site.readings["mate0"])
        assert peers[0].connections >= 4


@pytest.mark.parametrize("end", [hang_up, forget])
def test_a_connection_that_ends_under_a_poll_costs_that_poll_alone(end: Fault) -> None:
    with mates() as (site, peers, meters), site:
        all_shared(site, meters)
        for _ in range(3):
            peers[0].then(end)
            site.bad("mate0", Reason.NO_REPLY)
            settle(site, "mate0", meters[0])
        readings = list(site.readings["mate0"])
    assert [reason for reading in readings for reason in reading.bad.values()] == [Reason.NO_REPLY] * 3


def test_a_write_does_not_wait_for_the_next_poll() -> None:
    with mates() as (site, _, meters), TcpDevices() as peer:
        switch = Switch()
        site.add("switch", peer.port, switch, every=0.5)
        with site:
            all_shared(site, meters)
            settled_by = time.monotonic() + 6
            while not switch.threads or not is_shared(switch):
                site.until("switch", lambda fact: isinstance(fact, Reading) and "r0" in fact.values)
                assert time.monotonic() < settled_by
            for value in ("on", "off"):
                began = time.monotonic()
                site.pollers["switch"].post(Write("switch", "switch", "output", value))
                site.until("switch", written(value))
                assert time.monotonic() - began < 0.2
            assert not any(reading.bad for reading in site.readings["switch"])
        assert peer.asked[-1][1][7:] == bytes.fromhex("0500070000"), "safe when it stops"


def test_bytes_that_nobody_asked_for_keep_nobody_busy() -> None:
    with mates() as (site, peers, meters), site:
        all_shared(site, meters)
        peers[0].do(lambda: peers[0].send(mbap(0xFFFF, 1, b"\x03\x02\x00\x00")))
        before = time.process_time()
        site.forget("mate0")
        site.good("mate0", 3)
        assert time.process_time() - before < 0.3
        assert not any(reading.bad for reading in site.readings["mate0"][-2:])


def test_when_the_shared_thread_ends_its_links_go_on_by_themselves() -> None:
    with mates() as (site, peers, meters), site:
        all_shared(site, meters)
        since = time.monotonic()
        site.shared.stop()
        site.threads[0].join(3)
        for number, meter in enumerate(meters):
            site.forget(f"mate{number}")
            assert site.good(f"mate{number}", 4).values == meter.right
            assert not is_shared(meter)
        they_kept_their_pace(peers, since)


def test_modbus_tcp_links_share_few_threads_and_no_others_do() -> None:
    tcp = {f"t{n}": schema.TcpLink(type="tcp", host="h") for n in range(LINKS_PER_THREAD + 1)}
    others: dict[str, schema.Link] = {
        "rtu": schema.TcpLink(type="tcp", host="h", framing="rtu"),
        "bus": schema.SerialLink(type="serial", port="/dev/ttyUSB0"),
    }
    threads = shared_threads({**tcp, **others}, SystemClock(), lambda _: None)
    assert set(threads) == set(tcp)
    assert len(set(threads.values())) == 2
    assert len({thread.name for thread in threads.values()}) == 2
    alone = {"t0": tcp["t0"], **others}
    assert not shared_threads(alone, SystemClock(), lambda _: None), "one link alone shares nothing"
