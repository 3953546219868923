"""What every link promises, run over each of them; then what only one of them can do wrong."""

from __future__ import annotations

import fcntl
import os
import pty
import resource
import socket
import threading
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Literal, Protocol

import pytest
from gpiozero import Device
from gpiozero.pins.mock import MockFactory

from gateway.config import schema
from gateway.driver import Edge, Family, Heard, PinUse, Pull, Table
from gateway.errors import LinkDown
from gateway.links.choice import link as chosen
from gateway.links.debounce import CALM_S, CHATTER_EDGES
from gateway.links.framing import Read
from gateway.links.gpio import AT_ONCE, MOST_WAITING, GpioHeader, mock_pin
from gateway.links.port import Link, Wire
from gateway.links.request import Requests
from gateway.links.serial import pace, rs485

SLACK_S = 0.25
"""How much later than promised a test machine may be."""


class World(Protocol):
    """What is at the other end of a link."""

    link: Link
    family: Family

    def appear(self) -> None: ...
    def vanish(self) -> None: ...
    def speak(self) -> bytes | Edge: ...
    def leave(self) -> None: ...


class SerialWorld:
    family = Family.STREAM

    def __init__(self, folder: Path) -> None:
        self._path = folder / "ttyUSB0"
        part = schema.SerialLink(type="serial", port=str(self._path))
        self.link: Link = chosen("serial", part, (), folder)
        self._master = self._slave = -1

    def appear(self) -> None:
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        self._path.symlink_to(os.ttyname(self._slave))

    def vanish(self) -> None:
        os.close(self._master)
        os.close(self._slave)
        self._path.unlink()
        self._master = -1

    def speak(self) -> bytes:
        os.write(self._master, b"$GPRMC\r\n")
        return b"$GPRMC\r\n"

    def leave(self) -> None:
        if self._master >= 0:
            self.vanish()


class TcpWorld:
    family = Family.STREAM

    def __init__(self, folder: Path) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        port = self._listener.getsockname()[1]
        self._listener.close()
        part = schema.TcpLink(type="tcp", host="127.0.0.1", port=port)
        self._port = port
        self.link: Link = chosen("tcp", part, (), folder)
        self._connections: list[socket.socket] = []

    def appear(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self._port))
        self._listener.setblocking(False)

    def vanish(self) -> None:
        self._accept()
        for connection in (*self._connections, self._listener):
            connection.close()
        self._connections.clear()

    def speak(self) -> bytes:
        self._accept()
        self._connections[-1].sendall(b"hello")
        return b"hello"

    def leave(self) -> None:
        with suppress(OSError):
            self.vanish()

    def _accept(self) -> None:
        with suppress(BlockingIOError):
            while True:
                self._connections.append(self._listener.accept()[0])


class GpioWorld:
    family = Family.PINS

    def __init__(self, folder: Path) -> None:
        Device.pin_factory = None
        self._pin = mock_pin(17)
        self._pin.wire(high=False)
        part = schema.GpioLink(type="gpio", factory="mock")
        self.link: Link = chosen("gpio", part, [(PinUse(17, pull=Pull.UP), 3600.0)], folder)
        Device.pin_factory.reserve_pins(self, 17)

    def appear(self) -> None:
        Device.pin_factory.release_pins(self, 17)

    def vanish(self) -> None:
        raise AssertionError("a header does not go away")

    def speak(self) -> Edge:
        self._pin.wire(high=not self._pin.state)
        return Edge(17, bool(self._pin.state))

    def leave(self) -> None:
        Device.pin_factory.close()
        Device.pin_factory = None


class ReplayWorld:
    family = Family.STREAM

    def __init__(self, folder: Path) -> None:
        self._path = folder / "gps.capture"
        part = schema.ReplayLink(type="replay", capture="gps.capture")
        self.link: Link = chosen("replay", part, (), folder)

    def appear(self) -> None:
        self._path.write_text('. 0.3\n< "$GPRMC\\r\\n"\n')

    def vanish(self) -> None:
        raise AssertionError("a capture does not go away")

    def speak(self) -> bytes:
        return b"$GPRMC\r\n"

    def leave(self) -> None:
        pass


WORLDS: list[Callable[[Path], World]] = [SerialWorld, TcpWorld, GpioWorld, ReplayWorld]


@pytest.fixture(params=WORLDS, ids=lambda it: it.__name__.removesuffix("World").lower())
def absent(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    world: World = request.param(tmp_path)
    yield world
    world.link.close()
    world.leave()


@pytest.fixture
def world(absent: World) -> World:
    absent.appear()
    return absent


def opened(world: World) -> Link:
    """The link, open and listening; what an open header says first is dropped."""
    world.link.open()
    world.link.offer(world.family)
    if world.family is Family.PINS:
        world.link.wait(0.0)
    return world.link


def hear(link: Link, wanted: bytes | Edge, within_s: float = 2.0) -> list[Heard]:
    heard: list[Heard] = []
    until = time.monotonic() + within_s
    while not any(each.data == wanted for each in heard) and time.monotonic() < until:
        heard += link.wait(until)
    return heard


def test_close_is_harmless_at_any_time_and_the_link_opens_again(world: World) -> None:
    world.link.close()
    for _ in range(2):
        opened(world)
        world.link.close()
        world.link.close()
    link = opened(world)
    wanted = world.speak()
    assert hear(link, wanted)[-1].data == wanted


def test_what_cannot_be_opened_is_explained_and_can_be_opened_later(absent: World) -> None:
    for _ in range(2):
        with pytest.raises(LinkDown) as caught:
            absent.link.open()
        assert caught.value.what
        assert caught.value.hint
        absent.link.close()
    absent.appear()
    opened(absent)


def test_wait_ends_at_its_deadline(world: World) -> None:
    link = opened(world)
    for wait_s in (0.0, 0.05, 0.12):
        until = time.monotonic() + wait_s
        assert list(link.wait(until)) == []
        assert until <= time.monotonic() < until + SLACK_S


def test_a_deadline_in_the_past_does_not_wait(world: World) -> None:
    link = opened(world)
    started = time.monotonic()
    for until in (0.0, started - 100):
        link.wait(until)
    assert time.monotonic() - started < SLACK_S


def test_wake_ends_a_wait_from_another_thread(world: World) -> None:
    link = opened(world)
    timer = threading.Timer(0.05, link.wake)
    started = time.monotonic()
    timer.start()
    link.wait(started + 30)
    assert 0.04 < time.monotonic() - started < SLACK_S
    timer.join()


def test_a_wake_before_the_wait_is_not_lost(world: World) -> None:
    link = opened(world)
    link.wake()
    started = time.monotonic()
    link.wait(started + 30)
    assert time.monotonic() - started < SLACK_S


def test_wake_is_harmless_while_the_link_is_not_open(world: World) -> None:
    world.link.wake()
    opened(world).close()
    world.link.wake()


def test_what_is_said_is_heard_at_once_with_the_time_of_its_arrival(world: World) -> None:
    link = opened(world)
    started = time.monotonic()
    wanted = world.speak()
    heard = hear(link, wanted)[-1]
    now = time.monotonic()
    assert heard.data == wanted
    assert started <= heard.mono <= now
    assert now - started < 0.3 + SLACK_S


@pytest.mark.parametrize("absent", [SerialWorld, TcpWorld], indirect=True)
def test_a_link_whose_other_end_vanishes_is_down_at_once(world: World) -> None:
    link = opened(world)
    timer = threading.Timer(0.05, world.vanish)
    started = time.monotonic()
    timer.start()
    with pytest.raises(LinkDown) as caught:
        hear(link, b"nothing", within_s=30)
    assert time.monotonic() - started < SLACK_S
    assert caught.value.hint
    timer.join()
    link.close()
    world.appear()
    link = opened(world)
    wanted = world.speak()
    assert hear(link, wanted)[-1].data == wanted


# ---------------------------------------------------------------- serial lines


def why_not(part: schema.Link, folder: Path) -> LinkDown:
    with pytest.raises(LinkDown) as caught:
        chosen("x", part, (), folder).open()
    return caught.value


def serial_part(port: object) -> schema.SerialLink:
    return schema.SerialLink(type="serial", port=str(port))


@pytest.fixture
def terminal() -> Iterator[str]:
    master, slave = pty.openpty()
    tty.setraw(slave)
    yield os.ttyname(slave)
    os.close(master)
    os.close(slave)


def test_a_missing_port_is_told_with_the_ports_that_are_there(tmp_path: Path) -> None:
    why = why_not(serial_part(tmp_path / "ttyUSB9"), tmp_path)
    assert "there is no port" in why.what
    assert "plugged in" in why.hint


def test_a_port_that_is_taken_is_told_so(terminal: str, tmp_path: Path) -> None:
    first = chosen("first", serial_part(terminal), (), tmp_path)
    first.open()
    try:
        why = why_not(serial_part(terminal), tmp_path)
    finally:
        first.close()
    assert "in use" in why.what
    assert "fuser" in why.hint


def test_a_port_without_permission_names_the_group(terminal: str, tmp_path: Path) -> None:
    os.chmod(terminal, 0)  # noqa: PTH101 - a device, no path of ours
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        why = why_not(serial_part(terminal), tmp_path)
    finally:
        os.seteuid(user)
    assert "permission" in why.what
    assert "dialout" in why.hint


def test_what_is_no_serial_port_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for port in (tmp_path / "file", tmp_path, "/dev/null"):
        assert "cannot be opened as a serial port" in why_not(serial_part(port), tmp_path).what


def test_a_port_that_cannot_switch_direction_says_what_to_leave_out(terminal: str, tmp_path: Path) -> None:
    why = why_not(replace(serial_part(terminal), direction=schema.Direction()), tmp_path)
    assert "cannot switch direction by RTS" in why.what
    assert "leave out `direction`" in why.hint
    plain = chosen("again", serial_part(terminal), (), tmp_path)
    plain.open()  # it was left closed
    plain.close()


@pytest.mark.parametrize(("rts", "sending", "receiving"), [("high", True, False), ("low", False, True)])
def test_the_driver_is_asked_to_switch_direction_by_rts(
    rts: Literal["high", "low"], sending: bool, receiving: bool
) -> None:
    asked = rs485(schema.Direction(rts=rts, before=0.001, after=0.029), echo=True)
    assert (asked.rts_level_for_tx, asked.rts_level_for_rx, asked.loopback) == (sending, receiving, True)
    delays_s = (asked.delay_before_tx, asked.delay_before_rx)
    assert [int(1000 * (delay_s or 0.0)) for delay_s in delays_s] == [1, 29]  # as pyserial cuts them


def test_a_reply_is_waited_for_as_long_again_as_switching_direction_takes() -> None:
    line = schema.SerialLink(type="serial", port="/dev/ttyS0", baudrate=9600, timeout=0.05)
    switched = replace(line, direction=schema.Direction(before=0.1, after=0.02))
    plain, slow = (Requests("rtu", pace(it)).reading(Read(1, Table.INPUT, 0, 2)) for it in (line, switched))
    assert slow.response_s == pytest.approx(plain.response_s + 0.12)
    assert slow.wire_s == pytest.approx(plain.wire_s + 0.12), "for those that are not waited for as long as others"


def test_a_line_is_waited_for_whatever_number_its_file_descriptor_has(terminal: str) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 1500), hard))  # what select can watch ends at 1023
    line = os.open(terminal, os.O_RDWR | os.O_NOCTTY)
    high = fcntl.fcntl(line, fcntl.F_DUPFD, 1400)
    try:
        wire = Wire("line", "")
        wire.attach(high)
        assert wire.receive(time.monotonic() + 0.01) == b""
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        os.close(line)
        os.close(high)


def test_a_line_that_was_closed_is_not_waited_for() -> None:
    with pytest.raises(LinkDown, match="closed"):
        Wire("line", "").receive(time.monotonic() + 60)


def test_every_setting_opens(terminal: str, tmp_path: Path) -> None:
    plain = serial_part(terminal)
    for part in (
        replace(plain, parity="even"),
        replace(plain, parity="odd", stopbits=2),
        replace(plain, baudrate=250_000),
    ):
        link = chosen("bus", part, (), tmp_path)
        link.open()
        link.close()


# ---------------------------------------------------------------- TCP peers


def test_a_refused_connection_an_unknown_host_and_a_silent_one_are_told_apart(tmp_path: Path) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    listener.close()
    refused = schema.TcpLink(type="tcp", host="127.0.0.1", port=port)
    assert "refused" in why_not(refused, tmp_path).what
    unknown = schema.TcpLink(type="tcp", host="nowhere.invalid")
    assert "host name" in why_not(unknown, tmp_path).what

    full = socket.create_server(("127.0.0.1", 0), backlog=0)  # its queue is filled, so that further ones get no answer
    others = [socket.socket() for _ in range(3)]
    for other in others:
        other.setblocking(False)
        other.connect_ex(full.getsockname())
    silent = schema.TcpLink(type="tcp", host="127.0.0.1", port=full.getsockname()[1], timeout=0.1)
    started = time.monotonic()
    assert "no answer" in why_not(silent, tmp_path).what
    assert time.monotonic() - started < 0.1 + SLACK_S
    for each in (*others, full):
        each.close()


def test_a_connection_is_watched_by_the_kernel(tmp_path: Path) -> None:
    from gateway.links.tcp import TcpPeer  # noqa: PLC0415 - as the configuration's choice does

    with socket.create_server(("127.0.0.1", 0)) as listener:
        peer = TcpPeer("io", schema.TcpLink(type="tcp", host="127.0.0.1", port=listener.getsockname()[1]))
        peer.open()
        assert peer._socket is not None
        assert peer._socket.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert peer._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert 0 < peer._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) <= 10_000
        peer.close()


# ---------------------------------------------------------------- GPIO


@pytest.fixture
def factory() -> Iterator[None]:
    Device.pin_factory = None
    mock_pin(4)
    yield
    Device.pin_factory.close()
    Device.pin_factory = None


def header(*uses: tuple[PinUse, float]) -> Link:
    return chosen("gpio", schema.GpioLink(type="gpio", factory="mock"), uses, Path())


def levels(heard: list[Heard], pin: int) -> list[bool]:
    return [each.data.high for each in heard if isinstance(each.data, Edge) and each.data.pin == pin]


def collect(link: Link, for_s: float) -> list[Heard]:
    heard: list[Heard] = []
    until = time.monotonic() + for_s
    while time.monotonic() < until:
        heard += link.wait(until)
    return heard


@pytest.mark.usefixtures("factory")
def test_every_input_is_read_when_the_link_opens_against_its_pull() -> None:
    mock_pin(17).wire(high=False)
    link = header((PinUse(17, pull=Pull.UP), 60.0), (PinUse(18, pull=Pull.UP), 60.0), (PinUse(27), 60.0))
    link.open()
    first = list(link.wait(0.0))
    assert [each.data for each in first] == [Edge(17, high=False), Edge(18, high=True), Edge(27, high=False)]
    link.close()


@pytest.mark.usefixtures("factory")
def test_an_output_is_at_its_first_level_when_the_link_opens_and_when_it_closes() -> None:
    pin = mock_pin(22)
    link = header((PinUse(22, output=True, initial_high=True), 60.0))
    link.open()
    pins = link.offer(Family.PINS)
    assert isinstance(pins, GpioHeader)
    assert pin.function == "output"
    assert pin.state
    pins.write(22, high=False)
    assert not pin.state
    assert pins.read(22) is False
    pin.clear_states()
    link.close()
    assert pin.states[-1].state


@pytest.mark.usefixtures("factory")
def test_with_hold_0_every_edge_is_heard_in_order() -> None:
    pin = mock_pin(17)
    link = header((PinUse(17, pull=Pull.UP), 60.0))
    link.open()
    link.wait(0.0)
    for _ in range(5):
        pin.wire(high=False)
        pin.wire(high=True)
    assert levels(collect(link, 0.05), 17) == [False, True] * 5
    link.close()


@pytest.mark.usefixtures("factory")
def test_a_bouncing_contact_is_heard_once_and_a_glitch_not_at_all() -> None:
    pin = mock_pin(17)
    link = header((PinUse(17, pull=Pull.UP, hold_s=0.05), 60.0))
    link.open()
    link.wait(0.0)
    pin.wire(high=False)
    pin.wire(high=True)
    assert levels(collect(link, 0.1), 17) == []
    for _ in range(5):
        pin.wire(high=False)
        pin.wire(high=True)
    pin.wire(high=False)
    closed_at = time.monotonic()
    heard = collect(link, 0.15)
    assert levels(heard, 17) == [False]
    assert heard[0].mono == pytest.approx(closed_at, abs=0.02), "a change is as old as its edge"
    link.close()


@pytest.mark.usefixtures("factory")
def test_while_an_edge_has_to_last_yet_nothing_is_told_so_that_times_never_go_back() -> None:
    pin = mock_pin(17)
    link = header((PinUse(17, pull=Pull.UP, hold_s=0.2), 0.04))
    link.open()
    link.wait(0.0)
    pin.wire(high=False)
    opened_at = time.monotonic()
    heard = collect(link, 0.4)
    assert [each.mono for each in heard] == sorted(each.mono for each in heard)
    assert heard[0].data == Edge(17, high=False)
    assert heard[0].mono == pytest.approx(opened_at, abs=0.02)
    assert all(each.mono >= opened_at + 0.2 for each in heard[1:])
    link.close()


@pytest.mark.usefixtures("factory")
def test_an_input_that_chatters_is_said_to_and_is_believed_again_when_it_is_calm() -> None:
    pin = mock_pin(17)
    link = header((PinUse(17, pull=Pull.UP, hold_s=0.02), 0.05))
    link.open()
    link.wait(0.0)
    for _ in range(CHATTER_EDGES):
        pin.wire(high=not pin.state)
    heard = collect(link, 0.1)
    assert {each.data for each in heard} == {Edge(17, high=True, chatters=True)}
    assert collect(link, CALM_S + 0.05)[-1].data == Edge(17, high=True)
    link.close()


@pytest.mark.usefixtures("factory")
def test_a_pin_with_edges_without_end_fills_no_memory_and_keeps_no_other_pin_waiting() -> None:
    wild, calm = mock_pin(17), mock_pin(18)
    link = header((PinUse(17, pull=Pull.UP), 0.05), (PinUse(18, pull=Pull.UP, hold_s=0.01), 0.05))
    link.open()
    link.wait(0.0)
    for _ in range(MOST_WAITING):
        wild.wire(high=False)
        wild.wire(high=True)
    calm.wire(high=False)  # dropped: but it is read again
    heard: list[Heard] = []
    until, most = time.monotonic() + 5, 0
    while (False not in levels(heard, 18) or most == 0) and time.monotonic() < until:
        part = link.wait(time.monotonic() + 0.2)
        most = max(most, len(part))
        heard += part
    assert False in levels(heard, 18)
    assert len(levels(heard, 17)) <= MOST_WAITING + 200
    assert most <= AT_ONCE + 10
    assert levels(collect(link, 0.2), 17)[-1:] == [True]
    link.close()


@pytest.mark.usefixtures("factory")
def test_every_pin_is_read_again_so_that_a_missed_edge_is_made_good() -> None:
    pin = mock_pin(17)
    link = header((PinUse(17, pull=Pull.UP), 0.05))
    link.open()
    link.wait(0.0)
    pin.when_changed = None  # the kernel loses an edge
    pin.wire(high=False)
    found = levels(collect(link, 0.18), 17)
    assert found[:2] == [False, False]
    assert 3 <= len(found) <= 5
    link.close()


@pytest.mark.skipif(Path("/sys/firmware/devicetree/base/model").exists(), reason="this machine has pins")
def test_without_pins_the_reason_and_a_way_out_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GPIOZERO_PIN_FACTORY", raising=False)
    Device.pin_factory = None
    why = why_not_pins((PinUse(17), 1.0))
    assert "no usable GPIO on this machine (lgpio: " in why.what
    assert "factory: mock" in why.hint


def test_a_pin_factory_that_does_not_exist_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPIOZERO_PIN_FACTORY", "nonsense")
    Device.pin_factory = None
    assert "nonsense" in why_not_pins((PinUse(17), 1.0)).what


def why_not_pins(*uses: tuple[PinUse, float]) -> LinkDown:
    with pytest.raises(LinkDown) as caught:
        chosen("gpio", schema.GpioLink(type="gpio"), uses, Path()).open()
    return caught.value


@pytest.mark.usefixtures("factory")
def test_an_impossible_pin_and_a_pin_used_twice_are_told() -> None:
    for uses in ([(PinUse(99), 1.0)], [(PinUse(17), 1.0), (PinUse(17, output=True), 1.0)]):
        link = header(*uses)
        with pytest.raises(LinkDown, match="gpio: "):
            link.open()
        link.close()
    link = header((PinUse(17), 1.0))
    link.open()
    link.close()


def test_a_simulation_that_is_there_already_is_kept() -> None:
    ours = Device.pin_factory = MockFactory()
    link = header((PinUse(17), 1.0))
    link.open()
    assert Device.pin_factory is ours
    link.close()
    ours.close()
    Device.pin_factory = None
