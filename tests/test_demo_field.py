"""The simulated site speaks the real protocols: checked by other people's clients and by the drivers themselves."""

from __future__ import annotations

import gzip
import json
import os
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.client import ModbusSerialClient, ModbusTcpClient
from pymodbus.exceptions import ModbusIOException

from drivers.nmea import Gga, Rmc, decode
from drivers.people_counter import PeopleCounter, PeopleCounterOptions
from gateway.demo.casts import CENTRE
from gateway.demo.counter_field import counts_frame, distances_frame
from gateway.demo.drift import Crowd, Drift
from gateway.demo.gps_field import Fix, fix_at, lost, sentences
from gateway.demo.modbus_field import ModbusTcpModule, RtuBus, crc16, renke_rs_ws_n01, wp8028adam, xy_md02
from gateway.demo.pins_field import SirenAnswered
from gateway.demo.platform import Answered, Platform
from gateway.demo.port import SerialPort
from gateway.demo.site import Hushed, Site
from gateway.demo.story import Aim, Silence, Smoke
from gateway.demo.tally import Sample, Tally
from gateway.demo.view import Received
from gateway.demo.wiring import Wiring
from gateway.driver import Heard
from gateway.model import Lane


@contextmanager
def looping(wiring: Wiring) -> Iterator[None]:
    thread = threading.Thread(target=wiring.run)
    thread.start()
    try:
        yield
    finally:
        wiring.post(None)
        thread.join(5)
        assert not thread.is_alive()


@pytest.fixture
def wiring() -> Iterator[Wiring]:
    wiring = Wiring()
    wiring.open()
    yield wiring
    wiring.close()


@pytest.fixture
def bus(wiring: Wiring, tmp_path: Path) -> Iterator[RtuBus]:
    slaves = (
        xy_md02(1, lambda _: 3.2, lambda _: 84.4),
        xy_md02(2, lambda _: -19.2, lambda _: 61.0),
        renke_rs_ws_n01(3, lambda _: -0.1, lambda _: 55.5),
    )
    bus = RtuBus(wiring, tmp_path / "bus", 9600, slaves)
    bus.open()
    with looping(wiring):
        yield bus
    bus.close()


@contextmanager
def serial_client(port: str | Path) -> Iterator[ModbusSerialClient]:
    client = ModbusSerialClient(str(port), baudrate=9600, timeout=0.4, retries=0)
    assert client.connect()
    try:
        yield client
    finally:
        client.close()  # type: ignore[no-untyped-call]


@pytest.fixture
def client(bus: RtuBus) -> Iterator[ModbusSerialClient]:
    with serial_client(bus.port.name) as client:
        yield client


def test_three_units_share_a_line_and_hold_what_their_profiles_say(client: ModbusSerialClient) -> None:
    assert client.read_input_registers(1, count=2, device_id=1).registers == [32, 844]
    assert client.read_input_registers(1, count=2, device_id=2).registers == [0x10000 - 192, 610]
    for read in (client.read_holding_registers, client.read_input_registers):
        assert read(0, count=2, device_id=3).registers == [555, 0xFFFF]


def test_what_a_unit_does_not_have_is_refused_as_the_specification_says(client: ModbusSerialClient) -> None:
    assert client.read_input_registers(0, count=2, device_id=1).exception_code == 2
    assert client.read_coils(0, count=1, device_id=1).exception_code == 1


def test_a_silent_unit_is_silent_and_its_neighbour_answers(bus: RtuBus, client: ModbusSerialClient) -> None:
    bus.slaves[2].silent = True
    with pytest.raises(ModbusIOException):
        client.read_input_registers(1, count=2, device_id=2)
    assert client.read_input_registers(1, count=2, device_id=1).registers == [32, 844]


def test_an_answer_takes_as_long_as_on_a_wire(bus: RtuBus) -> None:
    line = os.open(bus.port.name, os.O_RDWR | os.O_NOCTTY)
    try:
        request = bytes.fromhex("01 04 00 01 00 02 20 0B")
        begun = time.monotonic()
        os.write(line, request)
        assert len(exactly(line, 9)) == 9
        assert time.monotonic() - begun >= 17 * 10 / 9600
    finally:
        os.close(line)


@pytest.mark.parametrize("noise", ["00", "FF FF 01", "01 04 00 01 00 02 20 0C"])
def test_noise_before_a_request_costs_nothing_and_is_never_answered(bus: RtuBus, noise: str) -> None:
    line = os.open(bus.port.name, os.O_RDWR | os.O_NOCTTY)
    try:
        os.write(line, bytes.fromhex(noise + "01 04 00 01 00 02 20 0B"))
        answer = exactly(line, 9)
        assert answer == bytes.fromhex("01 04 04 00 20 03 4C") + crc16(bytes.fromhex("01 04 04 00 20 03 4C"))
        assert not select.select([line], [], [], 0.05)[0]
    finally:
        os.close(line)


def exactly(fd: int, count: int) -> bytes:
    got = b""
    until = time.monotonic() + 5
    while len(got) < count and select.select([fd], [], [], max(0, until - time.monotonic()))[0]:
        got += os.read(fd, count - len(got))
    return got


def test_the_checksum_is_that_of_the_specification() -> None:
    assert crc16(b"123456789") == bytes((0x37, 0x4B))


def test_the_input_module_answers_another_library_over_tcp(wiring: Wiring) -> None:
    module = ModbusTcpModule(wiring, wp8028adam(1, [True, False, True, False, False, False, False, True]))
    port = module.open()
    with looping(wiring):
        client = ModbusTcpClient("127.0.0.1", port=port, timeout=2, retries=0)
        assert client.connect()  # type: ignore[no-untyped-call]
        inputs = client.read_discrete_inputs(0, count=8, device_id=1).bits
        outputs = client.read_coils(0, count=8, device_id=1).bits
        refused = client.read_holding_registers(0, count=1, device_id=1)
        client.close()  # type: ignore[no-untyped-call]
    module.close()
    assert inputs == [True, False, True, False, False, False, False, True]
    assert outputs == [False] * 8
    assert refused.exception_code == 1


def test_requests_in_one_segment_and_in_single_bytes_are_answered_alike(wiring: Wiring) -> None:
    module = ModbusTcpModule(wiring, wp8028adam(1, [True] + [False] * 7))
    port = module.open()
    asked = struct.pack(">HHHBBHH", 7, 0, 6, 1, 2, 0, 8) + struct.pack(">HHHBBHH", 8, 0, 6, 1, 2, 0, 8)
    with looping(wiring):
        for pieces in ([asked], [asked[i : i + 1] for i in range(len(asked))]):
            with socket.create_connection(("127.0.0.1", port), timeout=5) as peer:
                for piece in pieces:
                    peer.sendall(piece)
                answer = exactly(peer.fileno(), 20)
            assert answer == bytes.fromhex("0007 0000 0004 01 02 01 01 0008 0000 0004 01 02 01 01")
    module.close()


@given(
    st.floats(-89.9, 89.9),
    st.floats(-179.9, 179.9),
    st.floats(0, 60),
    st.floats(0, 359.9),
    st.datetimes(datetime(2026, 1, 1), datetime(2049, 1, 1)),  # noqa: DTZ001 - the zone is added below
)
def test_what_the_receiver_says_is_what_the_driver_understands(
    latitude: float, longitude: float, speed: float, course: float, at: datetime
) -> None:
    rmc, gga = (
        decode(line) for line in sentences(Fix(latitude, longitude, speed, course), at.replace(tzinfo=UTC)).split()
    )
    assert isinstance(rmc, Rmc)
    assert isinstance(gga, Gga)
    assert rmc.usable
    assert gga.usable
    assert rmc.position == pytest.approx((latitude, longitude), abs=1e-6)
    assert rmc.speed_m_s == pytest.approx(speed, abs=0.001)


def test_the_route_is_closed_and_the_lorry_keeps_its_pace() -> None:
    places = [fix_at(metres, 8.3) for metres in range(0, 4000, 8)]
    jumps = [((b.latitude - a.latitude) * 111_195, (b.longitude - a.longitude) * 95_090) for a, b in pairwise(places)]
    assert max(abs(north) + abs(east) for north, east in jumps) < 12
    assert len({place.course for place in places}) == 4


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=20), st.integers(65_500, 65_560))
def test_the_driver_counts_the_people_that_the_counter_saw(passed: list[tuple[int, int]], came: int) -> None:
    driver = PeopleCounter(PeopleCounterOptions())
    left = came - 18
    seen = list(driver.hear(Heard(distances_frame(2200, 2215), 0.0)))
    expected = []
    for more, fewer in passed:
        came, left = came + more, left + fewer
        expected.append((came & 0xFFFF, left & 0xFFFF, came - left))
        seen += driver.hear(Heard(counts_frame(came - left, came, left) + distances_frame(2200, 2215), 0.0))
    read = [(values["people_in"], values["people_out"], values["people"]) for values in seen]
    assert read == expected


@given(st.integers(0, 300), st.floats(0.1, 10), st.lists(st.floats(0.01, 2), max_size=40))
def test_a_crowd_gets_where_it_is_aimed_and_its_totals_never_shrink(
    inside: int, within_s: float, steps: list[float]
) -> None:
    crowd = Crowd(18)
    crowd.aim(inside, within_s, 0.0)
    now = 0.0
    for step in steps:
        before = (crowd.came, crowd.left)
        now += step
        crowd.step(now)
        assert crowd.came >= before[0]
        assert crowd.left >= before[1]
        assert crowd.inside >= 0
    crowd.step(max(now, within_s))
    assert abs(crowd.inside - inside) <= 1


def test_a_quantity_ramps_to_its_aim_and_stays_near_it() -> None:
    drift = Drift(-19.2, 0.3)
    drift.aim(-11.5, 4.0, 100.0)
    assert drift.at(100.0) == pytest.approx(-19.2, abs=0.3)
    assert drift.at(102.0) == pytest.approx(-15.35, abs=0.3)
    assert all(drift.at(104.0 + i) == pytest.approx(-11.5, abs=0.3) for i in range(50))


def test_characters_nobody_reads_are_lost_and_never_block_the_site(wiring: Wiring, tmp_path: Path) -> None:
    port = SerialPort(wiring, tmp_path / "port", 4_000_000)
    port.open()
    done: SimpleQueue[str] = SimpleQueue()
    with looping(wiring):
        wiring.post(lambda: port.say(b"x" * 100_000))
        wiring.post(lambda: wiring.at(time.monotonic() + 0.5, lambda: done.put("still here")))
        assert done.get(timeout=5) == "still here"
    port.close()


class LevelAt(NamedTuple):
    timestamp: float
    state: bool


class Pin:
    """A pin with a past, as gpiozero's simulated ones are; `changed` is what hangs on it."""

    def __init__(self) -> None:
        self.state = False
        self.states: list[LevelAt] = []
        self.changed: Callable[[bool], None] = lambda _: None
        self._since = time.monotonic()

    def clear_states(self) -> None:
        self._since = time.monotonic()
        self.states = [LevelAt(0.0, self.state)]

    def wire(self, high: bool) -> None:
        now = time.monotonic()
        self.states.append(LevelAt(now - self._since, high))
        self._since, self.state = now, high
        self.changed(high)


SMOKE_PINS = {device: contact.pin for device, contact in CENTRE.contacts.items()}
SIREN_PIN = CENTRE.siren_pin or 0


@pytest.fixture
def pins() -> dict[int, Pin]:
    return {number: Pin() for number in (*SMOKE_PINS.values(), SIREN_PIN)}


@pytest.fixture
def site(tmp_path: Path, pins: dict[int, Pin]) -> Iterator[Site]:
    site = Site(CENTRE, tmp_path, pins.__getitem__)
    yield site
    site.close()


def test_the_siren_is_timed_from_the_contact_to_the_relay(site: Site, pins: dict[int, Pin]) -> None:
    siren = pins[SIREN_PIN]
    pins[SMOKE_PINS["smoke-1"]].changed = lambda high: threading.Timer(0.1, siren.wire, [high]).start()
    site.open()
    site.act(Smoke("smoke-1", True))
    answered = site.seen.get(timeout=5)
    assert isinstance(answered, SirenAnswered)
    assert answered.after_s == pytest.approx(0.1, abs=0.05)


def test_a_siren_that_stays_off_is_told(site: Site) -> None:
    site.open()
    site.act(Smoke("smoke-2", True))
    assert site.seen.get(timeout=10) == SirenAnswered("smoke-2", None)


def test_a_site_at_rest_has_its_contacts_closed_and_its_receiver_talking(site: Site, pins: dict[int, Pin]) -> None:
    overrides = site.open()
    assert {path[::2] for path in overrides} == {("links", "port"), ("links", "host"), ("links", "factory")}
    assert [pins[number].state for number in SMOKE_PINS.values()] == [False, False]
    line = os.open(str(overrides["links", "gps", "port"]), os.O_RDWR | os.O_NOCTTY)
    try:
        assert isinstance(decode(exactly(line, 256).split(b"\r\n")[0]), Rmc)
    finally:
        os.close(line)


def test_silence_and_return_are_told_with_their_time(site: Site) -> None:
    site.open()
    before = time.time_ns() // 1_000_000
    site.act(Silence("dock-air", True))
    site.act(Silence("dock-air", False))
    began, ended = site.seen.get(timeout=5), site.seen.get(timeout=5)
    assert isinstance(began, Hushed)
    assert isinstance(ended, Hushed)
    assert (began.device, began.silent, ended.silent) == ("dock-air", True, False)
    assert before <= began.ts <= ended.ts


def test_what_the_story_aims_shows_on_the_wire(site: Site) -> None:
    overrides = site.open()
    site.act(Aim("freezer-1.temperature", -5.0, 0.0))
    with serial_client(str(overrides["links", "bus1", "port"])) as client:
        raw = client.read_input_registers(1, count=1, device_id=2).registers[0]
    assert raw - 0x10000 == pytest.approx(-50, abs=4)


def test_a_closed_site_leaves_nothing(site: Site, tmp_path: Path) -> None:
    threads = threading.active_count()
    overrides = site.open()
    site.close()
    assert list(tmp_path.iterdir()) == []
    assert threading.active_count() == threads
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", int(overrides["links", "dock-io", "port"])), timeout=2)


def telemetry(run: str, numbers: list[int], hist: bool = False) -> bytes:
    records = [{"seq": n, "ts": 1000 + n, "device": "cold-1", "values": {"temperature": 3.1}} for n in numbers]
    return json.dumps({"schema": 1, "run": run, "tq": "synced", "hist": hist, "records": records}).encode()


def event(run: str, number: int, hist: bool = False) -> bytes:
    return json.dumps({"schema": 1, "run": run, "tq": "synced", "hist": hist, "seq": number, "ts": 1}).encode()


@given(st.lists(st.lists(st.integers(1, 60), min_size=1, max_size=8), max_size=20))
def test_the_platform_counts_as_a_set_does(batches: list[list[int]]) -> None:
    tally, model, arrived = Tally(), set[int](), 0
    for batch in batches:
        new = tally.take("sitewarden/v1/s/g/telemetry", telemetry("r1", batch))
        assert {sample.ts - 1000 for sample in new} == set(batch) - model
        model |= set(batch)
        arrived += len(batch)
    got = tally.received()
    assert got.records == len(model)
    assert got.twice == arrived - len(model)
    assert got.missing == (max(model) - min(model) + 1 - len(model) if model else 0)
    whole = next(n for n in range(1, 62) if n not in model) - 1
    assert tally.whole("r1", Lane.TELEMETRY) == whole


def test_runs_and_lanes_are_counted_apart_and_the_backlog_is_told() -> None:
    tally = Tally()
    tally.take("sitewarden/v1/s/g/telemetry", telemetry("r1", [5, 6]))
    tally.take("sitewarden/v1/s/g/telemetry", telemetry("r2", [1], hist=True))
    tally.take("sitewarden/v1/s/g/event", event("r1", 1))
    tally.take("sitewarden/v1/s/g/event", event("r1", 3, hist=True))
    assert tally.received() == Received(records=5, twice=0, missing=1, late=2)
    assert tally.whole("r1", Lane.TELEMETRY) == 0


def test_a_reading_tells_whether_any_value_was_good() -> None:
    bad = b'{"run":"r","hist":false,"records":[{"seq":1,"ts":7,"device":"d","values":{},"bad":{"t":"no_reply"}}]}'
    assert Tally().take("x/telemetry", bad) == [Sample("d", 7, False)]


@pytest.mark.parametrize("payload", [b"", b"[]", b"{}", b'{"run":1,"seq":1}', b'{"run":"r","seq":"1"}', b"\xff", b"["])
@pytest.mark.parametrize("name", ["telemetry", "event"])
def test_a_payload_that_is_not_as_agreed_is_counted_and_no_error(name: str, payload: bytes) -> None:
    tally = Tally()
    assert tally.take(f"x/{name}", payload) == []
    assert tally.wrong == 1
    assert tally.received() == Received(0, 0, 0, 0)


def test_a_command_goes_again_with_its_id_until_it_is_answered_and_none_overtakes_it() -> None:
    inbox: SimpleQueue[tuple[str, bytes]] = SimpleQueue()
    sent: list[tuple[str, str]] = []

    def publish(topic: str, payload: bytes) -> None:
        assert topic == "root/command"
        command = json.loads(payload)
        assert (command["args"]["alarm"], command["expires"]) == ("smoke", 37_000)
        assert ("reason" in command["args"]) == (command["name"] == "reset")
        sent.append((command["id"], command["name"]))

    platform = Platform("root", inbox, publish)
    platform.order("acknowledge", "smoke", 10.0, 7_000)
    platform.order("reset", "smoke", 10.1, 7_000)
    platform.repeat(10.9)
    platform.repeat(11.0)
    first = sent[0][0]
    assert sent == [(first, "acknowledge")] * 2
    for id_ in ("somebody-elses", first, first):
        inbox.put(("root/reply", json.dumps({"id": id_, "result": "done", "detail": ""}).encode()))
    assert platform.take().answers == [Answered("acknowledge", "smoke", "done", "")]
    assert platform.waits
    platform.repeat(11.1)
    assert sent[2:] == [(sent[2][0], "reset")]
    assert sent[2][0] != first


def test_posting_from_many_threads_loses_nothing(wiring: Wiring) -> None:
    done: SimpleQueue[int] = SimpleQueue()

    def post_many() -> None:
        for _ in range(2000):
            wiring.post(lambda: done.put(1))

    with looping(wiring):
        threads = [threading.Thread(target=post_many) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert sum(done.get(timeout=5) for _ in range(8000)) == 8000
    with pytest.raises(Empty):
        done.get_nowait()


def test_the_tally_unpacks_what_comes_as_gzip_and_no_more_than_it_has_room_for() -> None:
    batch = (
        b'{"schema":1,"run":"r","tq":"synced","hist":false,"records":[{"seq":1,"ts":5,"device":"a","values":{"t":1}}]}'
    )
    tally = Tally()
    assert tally.take("x/telemetry", gzip.compress(batch)) == [Sample("a", 5, good=True)]
    for wrong in (gzip.compress(batch)[:20], b"\x1f\x8bnonsense", gzip.compress(b"[" * 5_000_000)):
        assert tally.take("x/telemetry", wrong) == []
    assert tally.wrong == 3
    assert tally.whole("r", Lane.TELEMETRY) == 1


def test_a_receiver_in_a_tunnel_says_that_it_has_no_position() -> None:
    rmc, gga = (decode(line) for line in lost(datetime(2026, 11, 22, tzinfo=UTC)).split())
    assert isinstance(rmc, Rmc)
    assert isinstance(gga, Gga)
    assert not rmc.usable
    assert not gga.usable
