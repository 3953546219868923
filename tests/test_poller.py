"""The thread of a link over real wires: what is asked, told, lost and found again."""

from __future__ import annotations

import itertools
import logging
import os
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import pytest
from gpiozero import Device
from link_scene import (
    DAY_S,
    TIMEOUT_S,
    Lines,
    Quiet,
    Says,
    Siren,
    Thermometer,
    Told,
    device,
    polling,
    serial_line,
    simulate,
)
from modbus_responder import (
    Fault,
    RtuDevices,
    Script,
    TcpDevices,
    exception,
    instead,
    late,
    right,
    rtu,
    silent,
    value_of,
)

from drivers import profile_folder
from drivers.contact import Contact, ContactOptions
from drivers.frame_profile import FrameProfile
from drivers.modbus_point import RegisterPoint
from drivers.modbus_profile import Profile
from drivers.modbus_table import ModbusOptions, ModbusTable
from drivers.relay import Relay, RelayOptions
from drivers.serial_frames import SerialFrames, SerialFramesOptions
from gateway.clock import SystemClock
from gateway.config import schema
from gateway.config.profiles import Profiles
from gateway.driver import point
from gateway.errors import LinkDown
from gateway.links.choice import link as chosen
from gateway.links.device import LinkDevice
from gateway.links.gpio import WiredPin, mock_pin
from gateway.links.poller import Poller
from gateway.links.port import Link
from gateway.links.schedule import Urgency
from gateway.model import (
    Adjust,
    Adjusted,
    Bad,
    DeviceBack,
    DeviceLost,
    Fact,
    LinkBack,
    LinkHealth,
    LinkLost,
    Point,
    Reading,
    Reason,
    Values,
    Write,
)

# ---------------------------------------------------------------- asking


def test_values_arrive_with_the_time_of_their_arrival(bus: RtuDevices, line: Link) -> None:
    thermometer = Thermometer(1)
    with polling(line, device("cold-1", thermometer)) as told:
        back = told.next(LinkBack)
        assert back == LinkBack("bus1", 0.0)
        readings = [told.reading("cold-1") for _ in range(4)]
    asked = [at for at, _ in bus.asked]
    for reading, asked_at, asked_next in zip(readings[:3], asked, asked[1:], strict=False):
        assert reading.values == thermometer.right
        assert not reading.bad
        assert asked_at <= reading.mono <= asked_next, "between its request and the next"
        assert abs((time.time() - time.monotonic() + reading.mono) * 1000 - reading.ts) < 100


def test_polls_keep_the_ticks_of_the_monotonic_clock() -> None:
    link = Quiet(end=1004.5)
    link.now = 1000.3
    facts = simulate(link, *(device(name, Says(lambda: {"temperature": 1}), 1.0) for name in ("cold-1", "cold-2")))
    for name in ("cold-1", "cold-2"):
        polls = [fact.mono for fact in facts if isinstance(fact, Reading) and fact.device == name]
        assert polls == [1000.3, 1001.0, 1002.0, 1003.0, 1004.0], "at once, and then on the ticks"


def test_who_is_due_with_others_is_asked_by_what_it_tells_of(bus: RtuDevices, line: Link) -> None:
    order = (Urgency.METER, Urgency.MEASUREMENT, Urgency.CONTACT, Urgency.SMOKE)
    devices = [device(f"d{unit}", Thermometer(unit), 0.5, urgency=it) for unit, it in enumerate(order, start=1)]
    with polling(line, *devices) as told:
        for _ in range(2):
            told.reading("d1")
    rounds = [
        [request[0] for _, request in one] for _, one in itertools.groupby(bus.asked, lambda it: int(it[0] / 0.5))
    ]
    assert rounds[-1] == [4, 3, 2, 1]


def test_a_fault_makes_the_device_bad_and_the_next_poll_is_right(bus: RtuDevices, line: Link) -> None:
    thermometer = Thermometer(1)
    with polling(line, device("cold-1", thermometer)) as told:
        told.good("cold-1")
        bus.then(silent)
        assert told.bad("cold-1", Reason.NO_REPLY).bad == dict.fromkeys(thermometer.right, Reason.NO_REPLY)
        assert told.reading("cold-1").values == thermometer.right
    health = [fact for fact in told.all() if isinstance(fact, LinkHealth)][-1]
    assert health.up


def test_a_late_reply_never_becomes_another_devices_value(bus: RtuDevices, line: Link) -> None:
    one, two = Thermometer(1), Thermometer(2)
    with polling(line, device("one", one), device("two", two)) as told:
        bus.then(*[late(TIMEOUT_S * factor) for factor in (1.1, 0.1, 1.5, 1.9, 0.9, 1.2)])
        for _ in range(6):
            told.reading("two")
    for fact in told.all():
        if isinstance(fact, Reading) and not fact.bad:
            assert fact.values == {"one": one, "two": two}[fact.device].right


def test_a_dead_device_is_lost_after_three_misses_and_the_others_keep_their_pace(bus: RtuDevices, line: Link) -> None:
    bus.deaf.add(9)
    with polling(line, device("dead", Thermometer(9), safety=True), device("well", Thermometer(1), 0.2)) as told:
        lost = told.next(DeviceLost)
        assert lost.device == "dead"
        assert "no answer" in lost.what
        assert lost.hint
        began = time.monotonic()
        for _ in range(5):
            assert not told.reading("well").bad
        assert time.monotonic() - began < 5 * 0.2 + 0.2
        assert sum(request[0] == 9 for _, request in bus.asked) == 3
        bus.deaf.clear()
        back = told.next(DeviceBack)
        assert back.device == "dead"
        assert back.lost_s > 1.0
        assert not told.reading("dead").bad
    assert sum(isinstance(fact, DeviceLost | DeviceBack) for fact in told.all()) == 2


def test_a_refusal_is_logged_once_as_a_fault_of_the_configuration(
    bus: RtuDevices, line: Link, caplog: pytest.LogCaptureFixture
) -> None:
    with polling(line, device("cold-1", Thermometer(1))) as told:
        bus.then(exception(2), exception(2))
        for _ in range(2):
            assert set(told.bad("cold-1", Reason.REFUSED).bad.values()) == {Reason.REFUSED}
        told.good("cold-1")
    errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 1
    assert "illegal data address" in errors[0]


@pytest.mark.parametrize(
    "act",
    [
        lambda: 1 // 0,
        lambda: None,
        lambda: {"temperature": float("nan")},
        lambda: {"temperature": float("inf")},
        lambda: {"temperature": [1]},
        lambda: {"pressure": 1.0},
    ],
)
def test_a_drivers_bug_stays_its_own(line: Link, caplog: pytest.LogCaptureFixture, act: Callable[[], Any]) -> None:
    with polling(line, device("buggy", Says(act), 0.05), device("well", Thermometer(1))) as told:
        assert told.reading("buggy").bad == dict.fromkeys(("temperature", "humidity"), Reason.DRIVER_BUG)
        assert told.next(DeviceLost).device == "buggy"
        for _ in range(5):
            assert not told.reading("well").bad
    assert sum(isinstance(fact, Reading) and fact.device == "buggy" for fact in told.all()) == 1, "it backs off"
    tracebacks = [record for record in caplog.records if record.exc_info]
    assert len(tracebacks) == 1


def test_points_that_a_poll_could_not_get_are_bad_and_the_others_good(line: Link) -> None:
    says = Says(lambda: {"temperature": 1.5, "humidity": Bad(Reason.SENSOR_FAULT)})
    with polling(line, device("cold-1", says)) as told:
        reading = told.reading("cold-1")
    assert reading.values == {"temperature": 1.5}
    assert reading.bad == {"humidity": Reason.SENSOR_FAULT}


def test_polls_are_held_while_the_hub_is_behind_but_never_those_of_safety_devices(line: Link) -> None:
    behind = threading.Event()
    behind.set()
    with polling(
        line,
        device("meter", Thermometer(1), 0.05),
        device("door", Thermometer(2), 0.05, safety=True),
        hold=behind.is_set,
    ) as told:
        for _ in range(4):
            told.reading("door")
        assert not any(isinstance(fact, Reading) and fact.device == "meter" for fact in told.facts)
        behind.clear()
        assert told.reading("meter").values


# ---------------------------------------------------------------- the link


def test_an_unplugged_adapter_is_lost_once_and_back_once(bus: RtuDevices, line: Link) -> None:
    with polling(line, device("one", Thermometer(1)), device("two", Thermometer(2), DAY_S)) as told:
        told.good("two")  # due longest, so it is first
        told.good("one")
        unplugged = time.monotonic()
        bus.do(bus.unplug)
        lost = told.next(LinkLost)
        assert time.monotonic() - unplugged < 0.5
        assert lost.hint
        for name in ("one", "two"):
            assert set(told.reading(name).bad.values()) == {Reason.LINK_DOWN}
        assert not told.next(LinkHealth).up
        bus.do(bus.plug)
        back = told.next(LinkBack)
        assert back.down_s == pytest.approx(time.monotonic() - unplugged, abs=0.3)
        for name in ("two", "one"):
            assert not told.reading(name).bad
    facts = told.all()
    assert sum(isinstance(fact, LinkLost) for fact in facts) == 1
    assert sum(isinstance(fact, LinkBack) for fact in facts) == 2  # the first opening, and this one
    assert sum(isinstance(fact, Reading) and Reason.LINK_DOWN in fact.bad.values() for fact in facts) == 2


def test_a_port_that_is_absent_at_the_start_is_said_once_and_tried_for_ever(bus: RtuDevices) -> None:
    bus.do(bus.unplug)
    with polling(serial_line(bus.path), device("one", Thermometer(1))) as told:
        lost = told.next(LinkLost)
        assert "there is no port" in lost.what
        assert set(told.reading("one").bad.values()) == {Reason.LINK_DOWN}
        told.next(LinkHealth)
        with pytest.raises(Empty):
            told.queue.get(timeout=0.3)
        bus.do(bus.plug)
        assert told.next(LinkBack).down_s > 0.2
        assert not told.reading("one").bad


def test_a_tcp_peer_that_restarts_is_found_again(tmp_path: Path) -> None:
    with TcpDevices() as server:
        part = schema.TcpLink(type="tcp", host="127.0.0.1", port=server.port, timeout=0.2)
        link = chosen("io", part, (), tmp_path)
        with polling(link, device("door", Thermometer(1))) as told:
            told.good("door")
            server.do(server.unplug)
            assert "refused" in told.next(LinkLost).what
            server.do(server.plug)
            told.next(LinkBack)
            assert told.reading("door").values == Thermometer(1).right


def test_pauses_between_attempts_grow(tmp_path: Path) -> None:
    class Absent(Quiet):
        def __init__(self) -> None:
            super().__init__()
            self.attempts: list[float] = []

        def open(self) -> None:
            self.attempts.append(time.monotonic())
            raise LinkDown("absent", "plug it in")

    link = Absent()
    with polling(link, retry_s=(0.02, 0.06)) as told:
        told.next(LinkLost)
        while len(link.attempts) < 5:
            told.poller.post(Write("bus1", "nobody", "x", "on"))
            threading.Event().wait(0.02)
    pauses = [b - a for a, b in itertools.pairwise(link.attempts)]
    assert 0.02 <= pauses[0] < 0.06
    assert all(0.06 <= pause < 0.2 for pause in pauses[1:])


def test_a_poller_that_stops_leaves_the_port_to_others(bus: RtuDevices, line: Link) -> None:
    with polling(line, device("one", Thermometer(1))) as told:
        told.good("one")
    again = serial_line(bus.path)
    again.open()
    again.close()


def test_it_stops_at_once_whether_the_link_is_up_or_down(bus: RtuDevices, line: Link) -> None:
    for plugged in (True, False):
        if not plugged:
            bus.do(bus.unplug)
        with polling(line, device("one", Thermometer(1), DAY_S), retry_s=(60.0,)) as told:
            told.next(LinkHealth)
            started = time.monotonic()
        assert time.monotonic() - started < 0.5


def test_a_poller_that_died_runs_again(line: Link) -> None:
    facts: SimpleQueue[Fact] = SimpleQueue()
    bugs = iter([ZeroDivisionError()])

    def tell(fact: Fact) -> None:
        facts.put(fact)
        if isinstance(fact, Reading):
            for bug in bugs:
                raise bug

    poller = Poller("bus1", line, (device("one", Thermometer(1)),), SystemClock(), tell)
    with pytest.raises(ZeroDivisionError):
        poller.run()
    told = Told(lambda _: poller)
    told.queue = facts
    told.thread.start()
    told.reading("one")
    assert not told.reading("one").bad
    told.stop()


# ---------------------------------------------------------------- writing


def test_a_write_overtakes_the_polls_that_are_due(bus: RtuDevices, line: Link) -> None:
    meters = [device(f"m{unit}", Thermometer(unit), 0.5) for unit in range(1, 9)]
    with polling(line, device("siren", Siren(20), DAY_S), *meters) as told:
        told.good("m8")
        before = len(bus.asked)
        bus.then(*[late(0.03)] * 8)
        told.reading("m1")
        told.poller.post(Write("bus1", "siren", "output", "on"))
        assert told.reading("siren").values == {"output": "on"}
        told.reading("m8")
    order = [request[0] for _, request in bus.asked[before:]]
    assert order.index(20) <= 3, "one poll was under way, perhaps one more had begun"
    assert {4, 5, 6, 7, 8} <= set(order[order.index(20) :])


def test_outputs_are_safe_before_the_link_is_said_to_be_back_and_when_the_poller_stops(
    bus: RtuDevices, line: Link
) -> None:
    off, on = rtu(20, bytes.fromhex("0500070000")), rtu(20, bytes.fromhex("050007FF00"))
    with polling(line, device("siren", Siren(20), DAY_S)) as told:
        told.next(LinkBack)
        assert any(isinstance(fact, Reading) and fact.values == {"output": "off"} for fact in told.facts)
        look, first = (request for _, request in bus.asked[:2])
        assert look[1] == 1, "whether the adapter hears itself"
        assert first == off
        told.poller.post(Write("bus1", "siren", "output", "on"))
        told.first(lambda fact: isinstance(fact, Reading) and fact.values == {"output": "on"})
        assert bus.asked[-1][1] == on
    assert bus.asked[-1][1] == off
    assert isinstance(told.all()[-1], Reading)


def test_an_output_that_cannot_be_asked_is_written_again_and_so_never_stale(bus: RtuDevices, line: Link) -> None:
    with polling(line, device("siren", Siren(20), 0.05)) as told:
        told.poller.post(Write("bus1", "siren", "output", "on"))
        told.first(lambda fact: isinstance(fact, Reading) and fact.values == {"output": "on"})
        for _ in range(3):
            assert told.reading("siren").values == {"output": "on"}
    assert bus.asked[-1][1] == rtu(20, bytes.fromhex("0500070000"))


class BlindSiren(Thermometer, Siren):
    """A thermometer with a coil that no poll tells of."""

    @property
    def points(self) -> tuple[Point, ...]:
        return (point("temperature", "temperature"), point("humidity", "humidity"), point("output", "output"))

    @property
    def unread(self) -> frozenset[str]:
        return frozenset({"output"})


def test_an_output_that_no_poll_tells_of_is_written_again_with_each_poll(bus: RtuDevices, line: Link) -> None:
    driver = BlindSiren(20)

    def no_coil(request: bytes, reply: bytes) -> Script:
        return exception(4)(request, reply) if request[1] == 5 else [(0.0, reply)]

    with polling(line, device("both", driver, 0.05)) as told:
        told.poller.post(Write("bus1", "both", "output", "on"))
        told.first(lambda fact: isinstance(fact, Reading) and fact.values == driver.right | {"output": "on"})
        bus.then(*[no_coil] * 4)
        reading = told.bad("both", Reason.WRITE_FAILED)
        assert (reading.values, reading.bad) == (driver.right, {"output": Reason.WRITE_FAILED})
        assert told.good("both").values == driver.right | {"output": "on"}


SETPOINT_AT = 10
SETPOINT = value_of(20, 3, SETPOINT_AT)  # what this register of the bus reads, whatever is written to it


def thermostat() -> ModbusTable:
    setpoint = RegisterPoint("setting", "holding", SETPOINT_AT, "uint16", minimum=0, maximum=65535, writable=True)
    profile = Profile("thermostat", "nobody", ("none",), "high", {"setpoint": setpoint})
    return ModbusTable(ModbusOptions(20, profile, settings=("setpoint",)))


def frames_of_function(bus: RtuDevices, function: int) -> list[bytes]:
    return [frame for _, frame in bus.asked if frame[1] == function]


@pytest.mark.parametrize(
    ("value", "faults", "result", "back"),
    [
        (SETPOINT, (), "done", SETPOINT),
        (7, (), "failed", SETPOINT),
        (7, (exception(3),), "failed", None),
        (SETPOINT, (silent,), "done", SETPOINT),  # not confirmed, and yet done, as it reads back
        (SETPOINT, (silent, silent), "outcome_unknown", None),
        (SETPOINT, (right, silent), "outcome_unknown", None),
    ],
)
def test_a_setting_is_written_once_and_its_outcome_told(
    bus: RtuDevices, line: Link, value: int, faults: tuple[Fault, ...], result: str, back: int | None
) -> None:
    with polling(line, device("cold", thermostat(), DAY_S)) as told:
        told.good("cold")
        bus.then(*faults)
        told.poller.post(Adjust("bus1", "cold", "setpoint", value, "k1"))
        outcome = told.next(Adjusted)
        assert isinstance(outcome, Adjusted)
        assert (outcome.key, outcome.result, outcome.back) == ("k1", result, back)
    assert len(frames_of_function(bus, 6)) == 1


def test_a_setting_on_a_link_that_is_down_is_not_written_then_or_later(bus: RtuDevices, line: Link) -> None:
    with polling(line, device("cold", thermostat()), retry_s=(0.2,)) as told:
        told.good("cold")
        bus.do(bus.unplug)
        told.next(LinkLost)
        told.poller.post(Adjust("bus1", "cold", "setpoint", SETPOINT, "k1"))
        assert told.next(Adjusted) == Adjusted("k1", "failed", None, "link bus1 is down; nothing was written")
        bus.do(bus.plug)
        told.good("cold")
    assert not frames_of_function(bus, 6)


def test_a_setting_of_a_device_that_has_none_is_not_written(line: Link) -> None:
    with polling(line, device("one", Thermometer(1))) as told:
        for name in ("one", "nobody"):
            told.poller.post(Adjust("bus1", name, "setpoint", 7, "k1"))
            assert told.next(Adjusted) == Adjusted("k1", "failed", None, f"{name} has no settings")


def test_a_write_that_is_not_confirmed_has_failed(bus: RtuDevices, line: Link) -> None:
    with polling(line, device("siren", Siren(20), DAY_S)) as told:
        told.next(LinkBack)
        for fault in (silent, exception(4), instead(rtu(20, bytes.fromhex("0500070000")))):
            bus.then(fault)
            told.poller.post(Write("bus1", "siren", "output", "on"))
            reading = told.reading("siren")
            assert not reading.values
            assert reading.bad == {"output": Reason.WRITE_FAILED}


def test_a_write_to_a_link_that_is_down_fails_at_once(bus: RtuDevices, line: Link) -> None:
    with polling(line, device("siren", Siren(20)), retry_s=(30.0,)) as told:
        told.next(LinkBack)
        bus.do(bus.unplug)
        told.next(LinkLost)
        told.reading("siren")
        for _ in range(3):
            started = time.monotonic()
            told.poller.post(Write("bus1", "siren", "output", "on"))
            assert told.reading("siren").bad == {"output": Reason.WRITE_FAILED}
            assert time.monotonic() - started < 0.2


def test_a_write_to_what_is_no_output_or_no_device_harms_nobody(line: Link) -> None:
    with polling(line, device("one", Thermometer(1))) as told:
        told.next(LinkBack)
        told.poller.post(Write("bus1", "nobody", "output", "on"))
        told.poller.post(Write("bus1", "one", "output", "on"))
        assert told.bad("one", Reason.WRITE_FAILED)
        told.good("one")


# ---------------------------------------------------------------- hearing


@contextmanager
def talking(tmp_path: Path) -> Iterator[tuple[int, Link]]:
    """The far end of a serial line with one device that talks by itself."""
    with RtuDevices(tmp_path) as far:
        pass
    far.plug()
    try:
        yield far._fd, serial_line(far.path)
    finally:
        far.unplug()


def test_a_device_that_talks_is_greeted_and_heard_without_losing_a_byte(tmp_path: Path) -> None:
    with talking(tmp_path) as (fd, link), polling(link, device("counter", Lines(), 60.0)) as told:
        told.next(LinkBack)
        assert os.read(fd, 100) == b"START\r\n"
        sent = time.monotonic()
        os.write(fd, b"12")
        os.write(fd, b"3\n45\n6")
        os.write(fd, b"7\n")
        readings = [told.reading("counter") for _ in range(3)]
        assert [reading.values["people_in"] for reading in readings] == [123, 45, 67]
        assert all(sent <= reading.mono <= time.monotonic() for reading in readings)


def frames(profile: str) -> SerialFrames:
    found = Profiles((profile_folder(),)).get(profile, FrameProfile)
    assert found is not None
    return SerialFrames(SerialFramesOptions(found))


CO2_ASKED, CO2 = bytes.fromhex("FF0186000000000079"), bytes.fromhex("FF8601C13C043CC17B")


def test_a_device_that_speaks_when_asked_is_asked_each_time_and_heard(tmp_path: Path) -> None:
    with talking(tmp_path) as (fd, link), polling(link, device("co2", frames("mh-z19"), 0.1)) as told:
        for _ in range(3):
            assert os.read(fd, 9) == CO2_ASKED
            os.write(fd, CO2)
            assert told.reading("co2").values == {"co2": 449}
        assert os.read(fd, 9) == CO2_ASKED, "and again, though it has not answered the last time"
        assert not [fact for fact in told.all() if isinstance(fact, Reading) and fact.bad], "not silent for long yet"


def test_a_line_in_the_middle_of_which_the_link_opened_is_no_value(tmp_path: Path) -> None:
    with RtuDevices(tmp_path) as far:
        pass
    far.plug()
    scale = device("scale", frames("and-balance"), 60.0)
    with polling(serial_line(far.path), scale, retry_s=(0.05,)) as told:
        told.next(LinkBack)
        os.write(far._fd, b"ST,+00345.6  g\r\nST,+00123.45  g\r\nST,+001")
        assert told.reading("scale").values == {"mass": 0.12345, "stable": "on"}
        far.unplug()
        told.next(LinkLost)
        far.plug()
        told.next(LinkBack)
        os.write(far._fd, b"00.00  g\r\nST,+00124.45  g\r\n")
        told.first(lambda fact: isinstance(fact, Reading) and fact.values == {"mass": 0.12445, "stable": "on"})
        masses = [fact.values.get("mass") for fact in told.facts if isinstance(fact, Reading) and fact.values]
        assert masses == [0.12345, 0.12445]
    far.unplug()


def test_lines_that_a_driver_drops_are_counted_for_its_device(tmp_path: Path) -> None:
    with RtuDevices(tmp_path) as far:
        pass
    far.plug()
    with polling(serial_line(far.path), device("scale", frames("and-balance"), 60.0)) as told:
        told.next(LinkBack)
        os.write(far._fd, b"\r\nST,+0123.45  g\r\nST,+00123.45  g\r\n")
        assert told.reading("scale").values == {"mass": 0.12345, "stable": "on"}
        far.unplug()
        told.next(LinkLost)
        assert told.next(LinkHealth).devices[0].failures == {"dropped": 1}


def test_the_bug_of_a_driver_that_listens_stays_its_own(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with talking(tmp_path) as (fd, link), polling(link, device("counter", Lines(), 60.0)) as told:
        told.next(LinkBack)
        os.write(fd, b"no number\n")
        assert told.reading("counter").bad == {"people_in": Reason.DRIVER_BUG}
        os.write(fd, b"no number\n" * 20)
        told.poller.post(Write("bus1", "nobody", "x", "on"))
    readings = [fact for fact in told.all() if isinstance(fact, Reading)]
    assert len(readings) == 1
    assert len([record for record in caplog.records if record.exc_info]) == 1


# ---------------------------------------------------------------- pins


@pytest.fixture
def pins() -> Iterator[tuple[WiredPin, WiredPin]]:
    Device.pin_factory = None
    contact, siren = mock_pin(17), mock_pin(22)
    contact.wire(high=False)
    yield contact, siren
    Device.pin_factory.close()
    Device.pin_factory = None


def header(*devices: LinkDevice) -> Link:
    uses = [(use, each.every) for each in devices for use in each.driver.pins]
    return chosen("gpio", schema.GpioLink(type="gpio", factory="mock"), uses, Path())


def smoke() -> LinkDevice:
    return device("smoke", Contact(ContactOptions(17, "smoke", normally="closed", hold=0.0)), DAY_S, safety=True)


def test_a_contact_is_told_and_an_output_driven_within_a_millisecond(pins: tuple[WiredPin, WiredPin]) -> None:
    contact, siren = pins
    devices = (smoke(), device("siren", Relay(RelayOptions(22)), DAY_S, safety=True))
    edges, writes = [], []
    with polling(header(*devices), *devices) as told:
        assert told.reading("siren").values == {"output": "off"}
        assert told.reading("smoke").values == {"smoke": "normal"}
        for i in range(200):
            on = i % 2 == 0
            began = time.monotonic()
            contact.wire(high=on)
            reading = told.reading("smoke")
            edges.append(time.monotonic() - began)
            assert reading.values == {"smoke": "alarm" if on else "normal"}
            began = time.monotonic()
            told.poller.post(Write("bus1", "siren", "output", "on" if on else "off"))
            told.reading("siren")
            writes.append(time.monotonic() - began)
            assert siren.state == on
        contact.wire(high=False)
    assert statistics.median(edges) < 0.001
    assert statistics.median(writes) < 0.001
    assert not siren.state


def test_a_shorted_output_is_a_write_that_failed(pins: tuple[WiredPin, WiredPin]) -> None:
    _, siren = pins
    devices = (device("siren", Relay(RelayOptions(22)), DAY_S),)
    with polling(header(*devices), *devices) as told:
        told.reading("siren")
        siren._set_state = lambda _: None
        told.poller.post(Write("bus1", "siren", "output", "on"))
        assert told.bad("siren", Reason.WRITE_FAILED)


# ---------------------------------------------------------------- in time that a test moves


def test_a_device_that_says_nothing_is_silent_once_and_then_each_minute() -> None:
    facts = simulate(Quiet(end=1200.0), device("counter", Lines(), 2.0))
    silences = [fact for fact in facts if isinstance(fact, Reading)]
    assert [fact.mono for fact in silences] == [1006.0, 1066.0, 1126.0, 1186.0]
    assert all(fact.bad == {"people_in": Reason.SILENT} for fact in silences)
    assert sum(isinstance(fact, DeviceLost) for fact in facts) == 1


def test_a_silent_device_that_speaks_again_is_back() -> None:
    facts = simulate(Quiet(end=1040.0, speech=[(1001.0, b"1\n"), (1030.0, b"2\n")]), device("counter", Lines(), 1.0))
    kinds = [type(fact) for fact in facts if isinstance(fact, Reading | DeviceLost | DeviceBack)]
    assert kinds == [Reading, Reading, DeviceLost, Reading, DeviceBack, Reading, DeviceLost]
    assert [fact.lost_s for fact in facts if isinstance(fact, DeviceBack)] == [24.0]
    back = [fact for fact in facts if isinstance(fact, Reading) and fact.values == {"people_in": 2}]
    assert back == [Reading("counter", 1030.0, 1_030_000, {"people_in": 2}, {})]


def test_bytes_that_make_no_reading_do_not_break_the_silence() -> None:
    facts = simulate(Quiet(end=1007.0, speech=[(1000.0 + i, b"x") for i in range(7)]), device("c", Lines(), 1.0))
    assert [fact.mono for fact in facts if isinstance(fact, Reading)] == [1005.0]


def test_health_is_told_when_the_link_comes_up_and_then_each_ten_seconds() -> None:
    link = Quiet(end=1100.0)
    facts = simulate(link, device("says", Says(lambda: {"temperature": 1}), 1.0))
    health = [fact for fact in facts if isinstance(fact, LinkHealth)]
    assert len(health) == 11
    last = health[-1]
    assert last.up
    assert last.opens == 1
    assert last.late == 0
    assert last.devices[0].state == "ok"
    assert last.devices[0].polls in {100, 101}


def test_ticks_that_a_slow_poll_misses_are_counted_and_not_made_up() -> None:
    link = Quiet(end=1020.0)

    def slow() -> Values:
        link.now += 2.5
        return {"temperature": 1}

    facts = simulate(link, device("slow", Says(slow), 1.0))
    times = [fact.mono for fact in facts if isinstance(fact, Reading)]
    assert times == [1002.5, 1005.5, 1008.5, 1011.5, 1014.5, 1017.5, 1020.5]
    last = [fact for fact in facts if isinstance(fact, LinkHealth)][-1]
    assert last.late >= 6


def test_a_link_that_is_busy_with_polls_still_hears() -> None:
    link = Quiet(end=1030.0, speech=[(1005.0, b"7\n")])

    def slow() -> Values:
        link.now += 1.5
        if link.now > link.end:
            link.done()
        return {"temperature": 1}

    facts = simulate(link, *(device(name, Says(slow), 1.0) for name in ("a", "b")), device("counter", Lines(), 10.0))
    heard = [fact.mono for fact in facts if isinstance(fact, Reading) and fact.values == {"people_in": 7}]
    assert len(heard) == 1
    assert heard[0] < 1008.0


def test_bytes_for_nobody_are_counted_as_noise() -> None:
    link = Quiet(end=1012.0, speech=[(1001.0, b"hello")])
    facts = simulate(link, device("says", Says(lambda: {"temperature": 1}), 1.0))
    assert [fact for fact in facts if isinstance(fact, LinkHealth)][-1].noise_bytes == 5
