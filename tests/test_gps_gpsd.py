"""gpsd as a source of positions: its reports in the forms that they have, and a real gpsd fed with sentences."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from gps_scene import PLACE, SHANGHAI, burst, framed, talking
from gpsd import Gpsd
from link_scene import Told, device, polling

from drivers.gps_gpsd import SKY_LASTS_S, GpsdOptions, GpsGpsd
from drivers.gps_nmea import GpsNmea, GpsOptions
from drivers.gpsd_report import Lines
from gateway.config import schema
from gateway.driver import Heard
from gateway.links.choice import link as chosen
from gateway.links.port import Link
from gateway.model import Bad, Json, LinkBack, LinkLost, Reading, Reason, Values
from gateway.untrusted import MAX_BYTES

WATCH = b'?WATCH={"enable":true,"json":true};\n'
VERSION: dict[str, Json] = {"class": "VERSION", "release": "3.22", "proto_major": 3, "proto_minor": 14}
SECOND = timedelta(seconds=1)
FOUND = {"fix": "3d", "position": (31.2304, 121.4737), "speed": 11.111, "course": 90.0, "altitude": 14.0}
SEEN = {"satellites": 8, "hdop": 0.9}


def tpv(second: int = 0, /, **fields: Json) -> dict[str, Json]:
    """A report of a good fix, but for these fields."""
    place: dict[str, Json] = {"lat": 31.2304, "lon": 121.4737, "altMSL": 14.0, "speed": 11.111, "track": 90.0}
    time = f"2036-11-22T12:00:{second:02}.000Z"
    return {"class": "TPV", "device": "/dev/ttyACM0", "mode": 3, "time": time, **place, **fields}


def sky(device: str = "/dev/ttyACM0") -> dict[str, Json]:
    return {"class": "SKY", "device": device, "uSat": 8, "hdop": 0.9}


def said(*reports: dict[str, Json], driver: GpsGpsd | None = None, mono: float = 0.0) -> list[Values]:
    driver = driver or GpsGpsd(GpsdOptions())
    text = "".join(f"{json.dumps(report)}\r\n" for report in reports)
    return list(driver.hear(Heard(text.encode(), mono)))


# ---------------------------------------------------------------- what a report says


def test_satellites_and_dilution_are_the_newest_and_never_older_than_two_seconds() -> None:
    driver = GpsGpsd(GpsdOptions())
    said(sky(), driver=driver, mono=100.0)
    assert said(tpv(1), driver=driver, mono=100.0 + SKY_LASTS_S) == [{**FOUND, **SEEN}]
    assert said(tpv(2), driver=driver, mono=100.1 + SKY_LASTS_S) == [FOUND]


def test_an_epoch_that_gpsd_tells_twice_is_one_reading() -> None:
    assert said(tpv(1), tpv(1, epv=27.6), tpv(2)) == [FOUND, FOUND]


@pytest.mark.parametrize(
    ("fields", "fix"),
    [
        ({"mode": 1}, "none"),
        ({"mode": 0}, "none"),
        ({"mode": 4}, "none"),
        ({"mode": True}, "none"),
        ({"mode": "3"}, "none"),
        ({"lat": None}, "none"),
        ({"lon": 180.1}, "none"),
        ({"lat": -90.1}, "none"),
        ({"status": 5}, "estimated"),
        ({"status": 7}, "manual"),
        ({"status": 8}, "simulated"),
        ({"mode": 1, "status": 5}, "none"),
    ],
)
def test_what_was_not_measured_is_no_position(fields: dict[str, Json], fix: str) -> None:
    no_fix = Bad(Reason.NO_FIX)
    unfixed = dict.fromkeys(("position", "speed", "course", "altitude", "hdop"), no_fix)
    assert said(tpv(**fields)) == [{"fix": fix, **unfixed}]


@pytest.mark.parametrize("status", [0, 1, 2, 3, 4, 6, 9])
def test_a_fix_by_satellites_is_one_however_it_was_corrected(status: int) -> None:
    assert said(tpv(status=status)) == [FOUND]
    assert said(tpv(status=status, mode=2)) == [{**FOUND, "fix": "2d"}]


def test_older_versions_have_their_altitude_and_satellites_elsewhere() -> None:
    old = tpv(1)
    old["alt"] = old.pop("altMSL")
    view: dict[str, Json] = {**sky(), "satellites": [{"used": True}, {"used": False}, {"used": True}, 7]}
    del view["uSat"]
    assert said(view, old) == [{**FOUND, "satellites": 2, "hdop": 0.9}]
    assert "altitude" not in said(tpv(alt=7.0, altHAE=22.0, altMSL=None))[0], "which altitude it is nobody says"


def test_a_gpsd_of_another_protocol_is_not_believed() -> None:
    driver = GpsGpsd(GpsdOptions())
    assert not said({**VERSION, "proto_major": 4}, sky(), tpv(), driver=driver)
    assert driver.dropped == 2
    driver.opened()
    assert said(VERSION, tpv(), driver=driver) == [FOUND]


# ---------------------------------------------------------------- which receiver


def test_one_receiver_is_followed_and_others_never_mix_in() -> None:
    other = tpv(1, device="/dev/ttyUSB1", lat=40.0)
    assert said(tpv(1), other, sky("/dev/ttyUSB1"), tpv(2)) == [FOUND, FOUND]
    named = GpsGpsd(GpsdOptions(device="/dev/ttyUSB1"))
    assert said(tpv(1), sky(), other, driver=named) == [{**FOUND, "position": (40.0, 121.4737)}]


def test_a_receiver_that_was_unplugged_is_followed_by_the_next_unless_one_was_named() -> None:
    gone: dict[str, Json] = {"class": "DEVICE", "path": "/dev/ttyACM0", "activated": 0}
    reports = tpv(1), gone, tpv(2, device="/dev/ttyUSB1")
    assert len(said(*reports)) == 2
    assert len(said(*reports, driver=GpsGpsd(GpsdOptions(device="/dev/ttyACM0")))) == 1


def test_devices_share_a_link_when_each_names_its_receiver() -> None:
    first, second = (GpsGpsd(GpsdOptions(device=path)).claims for path in ("/dev/ttyACM0", "/dev/ttyUSB1"))
    assert not set(first) & set(second)
    assert GpsGpsd(GpsdOptions()).claims == GpsNmea(GpsOptions()).claims


# ---------------------------------------------------------------- the time


def test_only_a_source_of_time_tells_the_time() -> None:
    source = GpsGpsd(GpsdOptions(time_source=True))
    noon = round(datetime(2036, 11, 22, 12, tzinfo=UTC).timestamp() * 1000)
    assert said(tpv(7), driver=source) == [{**FOUND, "time": noon + 7000}]
    rolled = (datetime(2036, 11, 22, tzinfo=UTC) - timedelta(weeks=1024)).date()
    assert said(tpv(time=f"{rolled}T12:00:08.250Z"), driver=source) == [{**FOUND, "time": noon + 8250}]
    for time in ("noon", "2036-11-22", "2036-02-30T12:00:00Z", "2136-11-22T12:00:00Z", 7, None):
        assert said(tpv(time=time), driver=source) == [FOUND]
    assert said(tpv(9, status=8), driver=source)[0].keys().isdisjoint({"time"})
    assert "time" not in {point.name for point in GpsGpsd(GpsdOptions()).points}


# ---------------------------------------------------------------- bytes that are no reports


def test_a_line_that_is_longer_than_any_report_is_passed_over() -> None:
    lines = Lines()
    for _ in range(100):
        assert not lines.cut(b"x" * 4096)
        assert len(vars(lines)["_rest"]) <= MAX_BYTES
    assert lines.cut(b'x\n{"class":"VERSION"}\n{') == [b'{"class":"VERSION"}']
    assert lines.cut(b"}\r\n\n") == [b"{}"]
    assert not lines.cut(b"y" * (MAX_BYTES + 1) + b"\n")


def test_what_is_no_report_is_counted_and_costs_nothing_else() -> None:
    driver = GpsGpsd(GpsdOptions())
    noise = [b"HTTP/1.1 400 Bad Request", b"\xff\x00{", b"[]", b"[" * 9000, b'{"class":"TPV","lat":NaN}', b"{" * 9]
    assert not list(driver.hear(Heard(b"\n".join([*noise, b""]), 0.0)))
    assert driver.dropped == len(noise)
    assert said(tpv(), driver=driver) == [FOUND]


# ---------------------------------------------------------------- a real gpsd


def tcp_link(port: int) -> Link:
    part = schema.TcpLink(type="tcp", host="127.0.0.1", port=port)
    return chosen("gps", part, (), Path())


def whole(told: Told, name: str) -> Reading:
    """The next reading of a device that has everything."""
    fact = told.first(
        lambda it: isinstance(it, Reading) and it.device == name and "hdop" in it.values and not it.bad, 10
    )
    assert isinstance(fact, Reading)
    return fact


@pytest.mark.gpsd
def test_a_real_gpsd_gives_what_its_receiver_says(tmp_path: Path) -> None:
    with Gpsd(tmp_path) as gpsd, talking(lambda at: gpsd.say(*burst(at)), SECOND):
        wanted = device("gps-1", GpsGpsd(GpsdOptions(time_source=True)), 10.0)
        with polling(tcp_link(gpsd.port), wanted) as told:
            reading = whole(told, "gps-1")
    nmea = GpsNmea(GpsOptions(time_source=True))
    at = datetime.now(UTC)
    (as_nmea,) = nmea.hear(Heard(b"".join(line + b"\r\n" for line in burst(at)), 0.0))
    assert set(reading.values) == set(as_nmea)
    times = reading.values["time"], as_nmea["time"]
    assert all(isinstance(time, int) and abs(time / 1000 - at.timestamp()) < 60 for time in times)
    assert {**reading.values, "time": 0} == {**as_nmea, "time": 0}, "the same points with the same values"


@pytest.mark.gpsd
def test_a_real_gpsd_without_a_fix_gives_no_position(tmp_path: Path) -> None:
    void = framed("GPRMC,,V,,,,,,,,,,N"), framed("GPGGA,,,,,,0,00,99.99,,,,,,")
    with (
        Gpsd(tmp_path) as gpsd,
        talking(lambda _: gpsd.say(*void), SECOND),
        polling(tcp_link(gpsd.port), device("gps-1", GpsGpsd(GpsdOptions()), 10.0)) as told,
    ):
        reading = told.bad("gps-1", Reason.NO_FIX)
    assert reading.values["fix"] == "none"
    assert set(reading.bad) == {"position", "speed", "course", "altitude", "hdop"}


def both_say(gpsd: Gpsd) -> Callable[[datetime], None]:
    """Two receivers talk, nine degrees apart."""

    def say(at: datetime) -> None:
        gpsd.say(*burst(at))
        there = [line[1:-3].decode().replace(PLACE, PLACE.replace("3113", "4013")) for line in burst(at)]
        gpsd.say(*map(framed, there), receiver=1)

    return say


@pytest.mark.gpsd
def test_two_receivers_of_one_real_gpsd_are_two_devices_on_one_link(tmp_path: Path) -> None:
    with Gpsd(tmp_path, receivers=2) as gpsd, talking(both_say(gpsd), SECOND):
        devices = [device(f"gps-{n}", GpsGpsd(GpsdOptions(device=path)), 10.0) for n, path in enumerate(gpsd.receivers)]
        with polling(tcp_link(gpsd.port), *devices) as told:
            places = [whole(told, f"gps-{n}").values["position"] for n in range(2)]
    assert places == [SHANGHAI, (40.2304, 121.4737)]


@pytest.mark.gpsd
def test_where_a_real_gpsd_loses_its_receiver_the_next_one_is_followed(tmp_path: Path) -> None:
    with (
        Gpsd(tmp_path, receivers=2) as gpsd,
        talking(both_say(gpsd), SECOND),
        polling(tcp_link(gpsd.port), device("gps-1", GpsGpsd(GpsdOptions()), 10.0)) as told,
    ):
        first = whole(told, "gps-1").values["position"]
        gpsd.unplug(0 if first == SHANGHAI else 1)
        moved = told.first(lambda it: isinstance(it, Reading) and it.values.get("position", first) != first, 10)
    assert isinstance(moved, Reading)
    assert {first, moved.values["position"]} == {SHANGHAI, (40.2304, 121.4737)}


@pytest.mark.gpsd
def test_a_gpsd_that_was_restarted_is_asked_again(tmp_path: Path) -> None:
    with (
        Gpsd(tmp_path) as gpsd,
        talking(lambda at: gpsd.say(*burst(at)), SECOND),
        polling(tcp_link(gpsd.port), device("gps-1", GpsGpsd(GpsdOptions()), 10.0)) as told,
    ):
        whole(told, "gps-1")
        gpsd.kill()
        told.next(LinkLost)
        assert told.bad("gps-1", Reason.LINK_DOWN)
        gpsd.start()
        assert told.next(LinkBack, 10)
        assert whole(told, "gps-1").values["fix"] == "3d"


def test_a_gpsd_is_asked_to_report_as_soon_as_the_link_is_open() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        polling(tcp_link(server.getsockname()[1]), device("gps-1", GpsGpsd(GpsdOptions()), 10.0)) as told,
    ):
        connection, _ = server.accept()
        with connection, connection.makefile("rb") as lines:
            assert lines.readline() == WATCH
            reports = VERSION, sky(), tpv(1)
            connection.sendall("".join(f"{json.dumps(it)}\n" for it in reports).encode())
            assert told.reading("gps-1").values == {**FOUND, **SEEN}
