"""Every driver against recordings of its devices (tests/drivers), and what every driver owes the link thread."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterable, Mapping
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import get_type_hints

import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

import drivers
from drivers.occupancy import DoorOptions
from drivers.people_counter import crc8
from drivers.template import Template
from gateway.config.profiles import Profiles
from gateway.driver import Adjustable, Driver, Edge, Family, Heard, Output, Polled, Pushed
from gateway.errors import NoReply, Refused
from gateway.links.capture import Capture, Item, Level, Passed, Received, Sent, Text, parse
from gateway.links.modbus import Exchange
from gateway.links.port import Pace
from gateway.links.replay import ReplayedFiles, ReplayedPins
from gateway.model import Bad, Reason, Value, Values
from gateway.units import KINDS, WORDS, Form

HERE = Path(__file__).parent
CAPTURES = sorted((HERE / "drivers").glob("*/*.capture"))
ALL = (*drivers.OURS, "template")
STREAMS = tuple(
    path
    for path in CAPTURES
    if path.parent.name in ("gps_gpsd", "gps_nmea", "people_counter", "serial_frames", "template")
)
SOUND = {"unit": 1, "profile": "xy-md02"}
OPTIONS: Mapping[str, Mapping[str, object]] = {
    "modbus": SOUND,
    "serial_frames": {"profile": "pms5003"},
    "beam_pair": {"outer": 5, "inner": 6},
    "changeover": {"rest": 17, "active": 27},
    "climate": {"of": "cold-1"},
    "track": {"of": "gps-1"},
    "contact": {"pin": 17},
    "door_openings": {"of": "io.di1"},
    "occupancy": {"doors": {"door-1": DoorOptions()}, "capacity": 150},
    "ds18b20": {"id": "28-0316a4c1e9ff"},
    "gateway_health": {},
    "mcp3008": {"inputs": {"gas": {"channel": 0}}},
    "meter": {"of": "counter.counter1"},
    "pulses": {"pin": 5},
    "relay": {"pin": 21},
}


def driver_class(name: str) -> type[Driver]:
    return Template if name == "template" else drivers.find(name)


def built(name: str, written: Mapping[str, object]) -> Driver:
    """The driver, with options as a capture's header writes them, as the daemon receives it."""
    known = driver_class(name)
    profile = str(written.get("profile", ""))
    hints = get_type_hints(known.options)
    options = {key: tuple(value) if isinstance(value, list) else value for key, value in written.items()}
    if profile:
        options["profile"] = Profiles((drivers.profile_folder(),)).get(profile, hints["profile"])
    if "inputs" in written:  # parts of their own
        options["inputs"] = TypeAdapter(hints["inputs"]).validate_json(json.dumps(written["inputs"]))
    judged = known.options(**options)
    driver: Driver = known(judged)  # type: ignore[call-arg]
    handed_over: Driver = pickle.loads(pickle.dumps(driver))
    return handed_over


class CapturePort:
    """A line on which the device of a capture sits: it says what it said then, to requests that are those of then."""

    def __init__(self, items: Iterable[Item]) -> None:
        self.items = [item for item in items if not isinstance(item, Passed)]
        self.last = 0.0

    def prepare(self) -> None:
        pass

    def renew(self) -> bool:
        return False

    def write(self, data: bytes) -> None:
        assert self.items, f"asked once more than recorded: {data.hex(' ')}"
        assert self.items.pop(0) == Sent(data)

    def receive(self, until: float) -> bytes:
        match self.items:
            case [Received(data), *_]:
                self.items.pop(0)
                return data
        return b""

    def noise(self, count: int) -> None:
        pass


def polled(driver: Polled, capture: Capture) -> list[Values]:
    """What writing (the header's `writes`, one after the other) and then polling gave."""
    port = CapturePort(capture.items)
    tcp = capture.header.get("framing") == "tcp"
    link = Exchange(port, "tcp" if tcp else "rtu", Pace(timeout_s=0.0))
    readings: list[Values] = []
    for point, value in json.loads(capture.header.get("writes", "[]")):
        assert isinstance(driver, Output)
        readings.append(driver.write(link, point, value))
    while port.items:
        try:
            readings.append(driver.poll(link))
        except NoReply:
            readings.append({point.name: Bad(Reason.NO_REPLY) for point in driver.points})
        except Refused:
            readings.append({point.name: Bad(Reason.REFUSED) for point in driver.points})
    return readings


def heard(driver: Pushed, items: Iterable[Item]) -> list[Values]:
    readings: list[Values] = []
    mono = 100.0
    for item in items:
        match item:
            case Passed(seconds):
                mono += seconds
            case Received(data):
                readings.extend(driver.hear(Heard(data, mono)))
            case Level(pin, high):
                readings.extend(driver.hear(Heard(Edge(pin, high), mono)))
    return readings


def read(driver: Polled, capture: Capture) -> list[Values]:
    """What a device that is read says each time that time passes, and at the end."""
    texts: dict[str, str | None] = {}
    files = ReplayedPins({}, texts) if driver.family is Family.PINS else ReplayedFiles(texts)
    readings: list[Values] = []
    for item in (*capture.items, Passed(0.0)):
        match item:
            case Text(path, text):
                texts[path] = text
            case Passed():
                try:
                    readings.append(driver.poll(files))
                except NoReply:
                    readings.append({point.name: Bad(Reason.NO_REPLY) for point in driver.points})
    return readings


def played(capture: Capture) -> list[Values]:
    driver = built(capture.header["driver"], json.loads(capture.header["options"]))
    if isinstance(driver, Polled) and driver.family in {Family.FILES, Family.PINS}:
        return read(driver, capture)
    if isinstance(driver, Polled):
        return polled(driver, capture)
    assert isinstance(driver, Pushed)
    return heard(driver, capture.items)


def as_json(values: Values) -> object:
    return json.loads(json.dumps({name: _plain(value) for name, value in values.items()}))


def _plain(value: Value | Bad) -> object:
    return {"bad": value.reason} if isinstance(value, Bad) else value


def capture_of(path: Path) -> Capture:
    return parse(path.read_text(encoding="utf-8"))


def case_id(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


@pytest.mark.parametrize("path", CAPTURES, ids=case_id)
def test_a_capture_gives_its_golden(path: Path) -> None:
    golden = [json.loads(line) for line in path.with_suffix(".golden").read_text(encoding="utf-8").splitlines()]
    assert [as_json(values) for values in played(capture_of(path))] == golden


@pytest.mark.parametrize("path", CAPTURES, ids=case_id)
def test_a_capture_names_device_origin_and_driver(path: Path) -> None:
    header = capture_of(path).header
    assert header["device"]
    assert header["origin"]
    assert header["driver"] == path.parent.name


def missing_cases(driver: type[Driver], cases: Iterable[Path]) -> list[str]:
    if not issubclass(driver, (Polled, Pushed)):
        return []  # an output says nothing that could be recorded
    found = {path.stem.partition("-")[0] for path in cases}
    return sorted({"normal", "edge", "corrupted"} - found)


@pytest.mark.parametrize("name", ALL)
def test_a_driver_is_handed_over_whole(name: str) -> None:
    made = built(name, OPTIONS.get(name, {}))
    received: Driver = pickle.loads(pickle.dumps(made))
    assert type(received) is type(made)
    for said in ("points", "claims", "pins", "safe"):
        assert getattr(received, said, None) == getattr(made, said, None)


@pytest.mark.parametrize("name", ALL)
def test_a_driver_has_a_normal_an_edge_and_a_corrupted_capture(name: str) -> None:
    assert not missing_cases(driver_class(name), (HERE / "drivers" / name).glob("*.capture"))


def test_a_driver_without_captures_would_be_noticed() -> None:
    assert missing_cases(Template, [Path("edge-zero.capture")]) == ["corrupted", "normal"]


@pytest.mark.parametrize("path", CAPTURES, ids=case_id)
def test_values_are_points_of_the_driver_in_the_form_of_their_kind(path: Path) -> None:
    capture = capture_of(path)
    driver = built(capture.header["driver"], json.loads(capture.header["options"]))
    kinds = {point.name: point.kind for point in driver.points}
    for values in played(capture):
        assert values
        for name, value in values.items():
            assert isinstance(value, Bad) or fits(kinds[name], value), f"{name} = {value!r}"


def fits(kind: str, value: Value) -> bool:
    match KINDS[kind].form:
        case Form.STATE:
            return value in WORDS[kind]
        case Form.TEXT:
            return isinstance(value, str) and (value.isprintable() or not value)
        case Form.POSITION:
            return isinstance(value, tuple) and abs(value[0]) <= 90 and abs(value[1]) <= 180
        case Form.COUNTER:
            return isinstance(value, int | float) and value >= 0
    return isinstance(value, int | float) and not isinstance(value, bool)


@pytest.mark.parametrize("name", ALL)
def test_a_driver_says_what_it_is_and_what_it_needs(name: str) -> None:
    driver = built(name, OPTIONS.get(name, {}))
    assert driver.points
    assert len({point.name for point in driver.points}) == len(driver.points)
    assert all(point.form is KINDS[point.kind].form for point in driver.points)
    assert bool(driver.claims) == (driver.family is not Family.NONE)
    assert bool(driver.pins) == (driver.family is Family.PINS)
    if isinstance(driver, Output):
        settings = driver.settings if isinstance(driver, Adjustable) else set()
        assert set(driver.safe) | settings == {point.name for point in driver.points if point.writable}
        assert not set(driver.safe) & settings


@pytest.mark.parametrize("name", ALL)
def test_a_driver_tells_its_source_and_what_is_not_known(name: str) -> None:
    module = import_module(driver_class(name).__module__)
    told = " ".join((module.__doc__ or "").split())
    assert "Not known" in told
    assert "Source:" in told or driver_class(name).family is Family.PINS


@st.composite
def cuts(draw: st.DrawFn) -> tuple[Path, list[Item]]:
    """A stream of a capture, cut at other places than where it was recorded."""
    path = draw(st.sampled_from(STREAMS))
    data = b"".join(item.data for item in capture_of(path).items if isinstance(item, Received))
    places = draw(st.lists(st.integers(0, len(data)), max_size=12))
    bounds = [0, *sorted(places), len(data)]
    return path, [Received(data[a:b]) for a, b in pairwise(bounds)]


@given(cuts())
@settings(max_examples=examples(200), deadline=None)
def test_a_stream_decodes_the_same_however_it_is_cut(case: tuple[Path, list[Item]]) -> None:
    path, items = case
    capture = capture_of(path)
    assert played(Capture(capture.header, tuple(items))) == played(capture)


def nmea(fields: str) -> bytes:
    checksum = 0
    for byte in fields.encode():
        checksum ^= byte
    return f"${fields}*{checksum:02X}\r\n".encode()


SENTENCE_FIELDS = st.one_of(
    st.sampled_from(["", "A", "V", "N", "E", "M", "120000.00", "3113.8240", "12128.4220", "1", "99.99", "-5", "1e9"]),
    st.text("0123456789.-ANESWMV+eEinfa_ \x7f", max_size=12),
)
SENTENCES = st.builds(
    lambda address, fields: nmea(",".join([address, *fields])),
    st.sampled_from(["GPRMC", "GNGGA", "GNGNS", "GNGSA", "GPVTG", "GNZDA", "PQRMC", "PUBX", "", "GPGLL"]),
    st.lists(SENTENCE_FIELDS, max_size=20),
)
COUNTS = st.builds(lambda body: b"PC" + body + bytes([crc8(b"PC" + body)]), st.binary(min_size=8, max_size=12))
DISTANCES = st.builds(lambda body: b"DD" + body + bytes([crc8(b"DD" + body)]), st.binary(min_size=4, max_size=4))
EXAMPLES = st.builds(lambda b: b"\xa5" + b + bytes([(0xA5 + sum(b)) % 256]), st.binary(min_size=3, max_size=3))
DUST = st.builds(lambda b: b"BM\0\x1c" + b + (sum(b) + 0xAB).to_bytes(2), st.binary(min_size=26, max_size=26))
REPORT_FIELDS = st.dictionaries(
    st.sampled_from(["device", "mode", "status", "time", "lat", "lon", "speed", "track", "altMSL", "hdop", "uSat"]),
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=20),
        st.sampled_from([2, 3, 31.2, "2036-11-22T13:58:41.000Z", "/dev/ttyACM0", [{"used": True}, 1], {}]),
    ),
)
REPORTS = st.builds(
    lambda name, fields: json.dumps({"class": name, **fields}).encode() + b"\n",
    st.sampled_from(["TPV", "TPV", "SKY", "DEVICE", "VERSION", "ERROR", ""]),
    REPORT_FIELDS,
)
WIRES = {
    "gps_gpsd": st.lists(st.one_of(REPORTS, st.binary(max_size=200))),
    "gps_nmea": st.lists(st.one_of(SENTENCES, st.binary(max_size=200))),
    "people_counter": st.lists(st.one_of(COUNTS, DISTANCES, st.binary(max_size=40))),
    "serial_frames": st.lists(st.one_of(DUST, st.binary(max_size=40))),
    "template": st.lists(st.one_of(EXAMPLES, st.binary(max_size=40))),
    "contact": st.lists(st.binary(max_size=40)),
}
MEMORY = {"gps_gpsd": 16_384}
"""Bytes that a driver may keep of a stream; the others a little more than the longest NMEA sentence."""
LITTLE = 200


def kept_of(driver: object) -> int:
    """Bytes that a driver keeps of a stream, itself or in what it is made of."""
    whole = sum(len(kept) for kept in vars(driver).values() if isinstance(kept, bytes))
    return whole + sum(kept_of(part) for part in vars(driver).values() if hasattr(part, "__dict__"))


@pytest.mark.parametrize("name", WIRES)
@given(data=st.data())
@settings(max_examples=examples(150), deadline=None)
def test_a_driver_survives_any_bytes_and_keeps_few_of_them(name: str, data: st.DataObject) -> None:
    driver = built(name, OPTIONS.get(name, {}))
    assert isinstance(driver, Pushed)
    kinds = {point.name: point.kind for point in driver.points}
    for chunk in data.draw(WIRES[name]):
        for values in driver.hear(Heard(chunk, 0.0)):
            assert values
            assert all(isinstance(value, Bad) or fits(kinds[it], value) for it, value in values.items())
        assert kept_of(driver) <= MEMORY.get(name, LITTLE)


def test_a_driver_keeps_little_of_much_noise_without_a_frame() -> None:
    for name in WIRES:
        driver = built(name, OPTIONS.get(name, {}))
        assert isinstance(driver, Pushed)
        for byte in (b"$", b"D", b"P", b"B", b"\xa5", b"\x00"):
            for _ in range(8):
                assert not list(driver.hear(Heard(byte * 4096, 0.0)))
            assert kept_of(driver) <= MEMORY.get(name, LITTLE)
