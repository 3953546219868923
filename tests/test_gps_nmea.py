"""What a receiver's sentences become: one reading for the sentences of one moment, and nothing that is not sure."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from gps_scene import PLACE, SHANGHAI, framed
from hypothesis import given
from hypothesis import strategies as st
from test_nmea import VECTORS

from drivers.gps_fix import unrolled
from drivers.gps_nmea import GpsNmea, GpsOptions
from gateway.driver import Heard
from gateway.model import Bad, Reason, Values
from gateway.release import BUILD_DATE
from gateway.wiretime import of_line

NO_FIX = Bad(Reason.NO_FIX)
UNFIXED = dict.fromkeys(("position", "speed", "course", "altitude", "hdop"), NO_FIX)
DATE = f"{BUILD_DATE:%d%m%y}"


def rmc(time: str = "120000.00", *, place: str = PLACE, status: str = "A", mode: str = "A", day: str = DATE) -> bytes:
    return framed(f"GNRMC,{time},{status},{place},21.598,90.0,{day},,,{mode}")


def gga(time: str = "120000.00", *, place: str = PLACE, quality: str = "1", satellites: str = "08") -> bytes:
    return framed(f"GNGGA,{time},{place},{quality},{satellites},0.9,14.0,M,8.0,M,,")


def gsa(dimensions: int) -> bytes:
    return framed(f"GNGSA,A,{dimensions},01,02,03,,,,,,,,,,1.5,0.9,1.2")


def said(*lines: bytes, driver: GpsNmea | None = None) -> list[Values]:
    driver = driver or GpsNmea(GpsOptions())
    return [values for line in lines for values in driver.hear(Heard(line + b"\r\n", 0.0))]


def whole(fix: str = "3d") -> Values:
    """What RMC and GGA of one moment give together."""
    return {
        "fix": fix,
        "satellites": 8,
        "position": SHANGHAI,
        "speed": 11.111,
        "course": 90.0,
        "altitude": 14.0,
        "hdop": 0.9,
    }


# ---------------------------------------------------------------- one moment, one reading


@pytest.mark.parametrize("lines", [(rmc(), gga()), (gga(), rmc())])
def test_the_sentences_of_a_moment_are_one_reading_whichever_comes_first(lines: tuple[bytes, bytes]) -> None:
    driver = GpsNmea(GpsOptions())
    assert not said(lines[0], driver=driver)
    assert said(lines[1], driver=driver) == [whole()]


def test_a_receiver_that_stamps_its_sentences_differently_gives_one_reading_too() -> None:
    assert said(rmc("120000.000"), gga("120000.200")) == [whole()]
    assert said(gga("235959.900"), rmc("000000.000")) == [whole()]


def test_sentences_of_two_moments_never_make_one_reading() -> None:
    heard_from_the_middle_on = [gga("120000.00"), rmc("120001.00"), gga("120001.00"), rmc("120002.00")]
    assert said(*heard_from_the_middle_on) == [whole()]
    assert not said(rmc("120000.00"), gga("120000.50"))


def test_a_damaged_sentence_costs_its_own_moment_alone() -> None:
    spoilt = gga("120001.00").replace(b"0.9", b"0.8")
    lines = [rmc(), gga(), rmc("120001.00"), spoilt, rmc("120002.00"), gga("120002.00")]
    driver = GpsNmea(GpsOptions())
    assert said(*lines, driver=driver) == [whole(), whole()]
    assert driver.dropped == 1


def test_a_receiver_that_sends_no_gga_gives_its_positions_when_that_is_clear() -> None:
    lines = [rmc(f"12000{second}.00") for second in range(5)]
    alone = {"fix": "2d", "position": SHANGHAI, "speed": 11.111, "course": 90.0}
    assert said(*lines) == [alone] * 3


def test_a_receiver_that_sends_gga_more_seldom_tells_its_satellites_by_themselves() -> None:
    driver = GpsNmea(GpsOptions())
    said(*(rmc(f"12000{second}.00") for second in range(3)), driver=driver)
    assert said(gga("120002.00", satellites="03"), driver=driver) == [{"satellites": 3, "hdop": 0.9}]
    assert said(*(rmc(f"12000{second}.00") for second in (3, 4, 5)), driver=driver)[-1]["position"] == SHANGHAI


def test_a_leap_second_costs_no_moment() -> None:
    times = ("235958.00", "235959.00", "235960.00", "000000.00", "000001.00")
    assert len(said(*(line for time in times for line in (rmc(time), gga(time))))) == 5


def test_a_receiver_that_sends_no_rmc_gives_speed_and_course_from_its_vtg() -> None:
    vtg = framed("GNVTG,90.0,T,,M,21.598,N,40.0,K,A")
    lines = [line for second in range(4) for line in (gga(f"12000{second}.00"), vtg)]
    still = {name: value for name, value in whole().items() if name not in ("speed", "course")}
    assert said(*lines) == [still, {"speed": 11.111, "course": 90.0}] * 2
    guessed = framed("GNVTG,90.0,T,,M,21.598,N,40.0,K,E")
    assert {"speed": 11.111, "course": 90.0} not in said(*lines[:-1], guessed)[-1:]


def test_gsa_tells_whether_a_fix_has_three_dimensions() -> None:
    assert said(gsa(2), rmc(), gga()) == [whole("2d")]
    assert said(gsa(3), rmc(), gga()) == [whole("3d")]
    later = [line for second in range(5) for line in (rmc(f"12000{second}.00"), gga(f"12000{second}.00"))]
    assert [values["fix"] for values in said(gsa(2), *later)] == ["2d", "2d", "2d", "3d", "3d"]
    low = framed(f"GNGGA,120000.00,{PLACE},1,08,0.9,,M,,M,,")
    assert said(rmc(), low)[0]["fix"] == "2d", "a fix without an altitude has two"


_LOSSES = st.lists(st.sampled_from(["", "", "", "rmc", "gga", "both"]), max_size=40)
_WHOLE = ["", ""]


@given(st.builds(_WHOLE.__add__, _LOSSES), st.booleans(), st.sampled_from([1, 2, 5, 10]))
def test_whatever_is_lost_no_position_has_the_satellites_of_another_moment(
    losses: list[str], gga_first: bool, per_second: int
) -> None:
    """Each moment has a latitude and a number of satellites of its own; nothing is told twice, nor out of order."""
    lines: list[bytes] = []
    for number, lost in enumerate(losses):
        time = f"1200{number // per_second:02}.{number % per_second * 100 // per_second:02}"
        place = f"31{number:02}.0000,N,12128.4220,E"
        pair = [
            b"" if lost in (which, "both") else line
            for which, line in (
                ("rmc", rmc(time, place=place)),
                ("gga", gga(time, place=place, satellites=f"{number:02}")),
            )
        ]
        lines += [line for line in (reversed(pair) if gga_first else pair) if line]
    told = []
    for values in said(*lines):
        if values.keys() == {"satellites", "hdop"}:
            continue  # of a receiver that seems to send GGA more seldom
        position = values["position"]
        assert isinstance(position, tuple)
        number = round((position[0] - 31) * 60)
        assert values.get("satellites", number) == number
        told.append(number)
    assert told == sorted(set(told))
    whole_ones = [number for number, lost in enumerate(losses) if not lost]
    assert set(whole_ones) <= set(told), "a moment of which nothing was lost is told"


# ---------------------------------------------------------------- no fix, or not one to be used


@pytest.mark.parametrize(
    ("lines", "fix"),
    [
        ((rmc(status="V"), gga()), "none"),
        ((rmc(), gga(quality="0")), "none"),
        ((rmc(mode="N"), gga()), "none"),
        ((rmc(mode="E"), gga()), "estimated"),
        ((rmc(), gga(quality="6")), "estimated"),
        ((rmc(), gga(quality="7")), "manual"),
        ((rmc(mode="S"), gga(quality="8")), "simulated"),
        ((rmc(status="V", mode="N"), gga(quality="6")), "none"),
    ],
)
def test_what_was_not_measured_is_no_position(lines: tuple[bytes, bytes], fix: str) -> None:
    assert said(*lines) == [{"fix": fix, "satellites": 8, **UNFIXED}]


def test_a_cold_start_says_no_fix_each_second() -> None:
    void, empty = framed("GPRMC,,V,,,,,,,,,,N"), framed("GPGGA,,,,,,0,00,99.99,,,,,,")
    assert said(*[void, empty] * 3) == [{"fix": "none", "satellites": 0, **UNFIXED}] * 3


def test_a_partial_position_is_no_fix() -> None:
    for place in ("3113.8240,N,,E", ",N,12128.4220,E", "3113.8240,,12128.4220,E", "3113.8240,N,12128.4220,", ",,,"):
        assert said(rmc(place=place), gga(place=place)) == [{"fix": "none", "satellites": 8, **UNFIXED}]


def test_course_is_reported_only_while_moving() -> None:
    slow = framed(f"GPRMC,,A,{PLACE},1.94,90.0,,,,A")  # 0.998 m/s
    fast = framed(f"GPRMC,,A,{PLACE},1.95,90.0,,,,A")  # 1.0032 m/s
    assert said(*[slow] * 3) == [{"fix": "2d", "position": SHANGHAI, "speed": 0.998}]
    assert said(*[fast] * 3) == [{"fix": "2d", "position": SHANGHAI, "speed": 1.0032, "course": 90.0}]


def test_what_no_receiver_can_measure_is_out_of_range() -> None:
    racing = framed(f"GPRMC,,A,{PLACE},1100,90.0,,,,A")
    high = framed(f"GPGGA,,{PLACE},1,08,99.99,60000,M,8.0,M,,")
    out = Bad(Reason.OUT_OF_RANGE)
    told = {"fix": "3d", "satellites": 8, "position": SHANGHAI, "speed": out, "altitude": out, "hdop": NO_FIX}
    assert said(racing, high) == [told]


# ---------------------------------------------------------------- a stream with other things in it


def test_what_stands_before_a_sentence_on_its_line_does_not_cost_it() -> None:
    ubx = bytes.fromhex("B5 62 01 07 5C 00 24 0D 24 FF")
    assert said(ubx + rmc(), b"$GNGGA,1200" + gga()) == [whole()]


def test_a_line_that_never_ends_is_dropped_and_the_next_sentence_is_read() -> None:
    driver = GpsNmea(GpsOptions())
    for byte in (b"$", b"A", b"\x00", b"\xff"):
        for _ in range(20):
            assert not list(driver.hear(Heard(byte * 1000, 0.0)))
    assert said(rmc(), gga(), driver=driver) == [whole()]


def test_what_was_heard_before_the_link_was_opened_does_not_go_on() -> None:
    driver = GpsNmea(GpsOptions())
    assert not said(rmc(), driver=driver)
    driver.opened()
    assert not said(gga(), driver=driver)


# ---------------------------------------------------------------- the time of a fix


def told_time(*lines: bytes) -> datetime | None:
    values = said(*lines, driver=GpsNmea(GpsOptions(time_source=True)))[-1]
    ts = values.get("time")
    assert ts is None or isinstance(ts, int)
    return None if ts is None else datetime.fromtimestamp(ts / 1000, UTC)


NOON = datetime(BUILD_DATE.year, BUILD_DATE.month, BUILD_DATE.day, 12, tzinfo=UTC)


def test_only_a_source_of_time_tells_the_time() -> None:
    assert told_time(rmc("120000.25"), gga("120000.25")) == NOON + timedelta(milliseconds=250)
    assert "time" not in said(rmc(), gga())[0]
    assert {point.name for point in GpsNmea(GpsOptions(time_source=True)).points} == {*whole(), "time"}
    assert {point.name for point in GpsNmea(GpsOptions()).points} == set(whole())


def test_a_fix_that_is_none_tells_no_time() -> None:
    assert told_time(rmc(status="V"), gga()) is None
    assert told_time(rmc(mode="E"), gga()) is None


def test_a_date_of_an_earlier_round_of_weeks_is_brought_forward() -> None:
    """A GPS week has 10 bits; vectors/nmea.json, gps_week. Telit modules said 220899 on 7 April 2019."""
    old = BUILD_DATE + timedelta(days=5) - timedelta(weeks=1024)
    assert told_time(rmc(day=f"{old:%d%m%y}"), gga()) == NOON + timedelta(days=5)
    week = VECTORS["gps_week"]
    days = [date.fromisoformat(day) for day in week["rollovers"]]
    assert {(later - day).days for day, later in pairwise(days)} == {week["days_per_rollover"]}
    assert len({unrolled(day) for day in days}) == 1, "a receiver may mean any of them, and one can be"
    assert unrolled(BUILD_DATE) == BUILD_DATE
    assert unrolled(BUILD_DATE - timedelta(days=1)) == BUILD_DATE + timedelta(days=7167)
    assert unrolled(BUILD_DATE + timedelta(days=7168)) is None, "no receiver knows of it"


def test_a_date_that_cannot_be_costs_the_time_and_not_the_position() -> None:
    for day in ("2208-1", "310226", ""):
        assert told_time(rmc(day=day), gga()) is None
        assert said(rmc(day=day), gga()) == [whole()]


def test_the_date_of_a_zda_serves_where_rmc_has_none_and_none_serves_where_they_differ() -> None:
    zda = framed(f"GNZDA,120000.00,{BUILD_DATE:%d,%m,%Y},00,00")
    assert told_time(zda, rmc(day="2208-1"), gga()) == NOON
    assert told_time(zda, rmc(), gga()) == NOON
    other = framed(f"GNZDA,120000.00,{BUILD_DATE + timedelta(days=1):%d,%m,%Y},00,00")
    assert told_time(other, rmc(), gga()) is None
    before_midnight = framed(f"GNZDA,235959.90,{BUILD_DATE:%d,%m,%Y},00,00")
    assert told_time(before_midnight, rmc("000000.00", day=""), gga("000000.00")) == NOON + timedelta(hours=12)


def test_a_leap_second_is_the_beginning_of_the_next_minute() -> None:
    assert told_time(rmc("235960.00"), gga("235960.00")) == NOON + timedelta(hours=12)


def test_the_time_is_later_by_what_the_sentences_took_on_the_line() -> None:
    driver = GpsNmea(GpsOptions(time_source=True))
    driver.meet(of_line(9600))
    driver.hear(Heard(b"$GPTXT,01,01,02,started*00\r\n", 100.0))
    heard = [Heard(rmc() + b"\r\n", 101.0), Heard(gga() + b"\r\n", 101.05)]
    (values,) = [values for each in heard for values in driver.hear(each)]
    taken_ms = sum(len(each.data) for each in heard if isinstance(each.data, bytes)) * 10 / 9.6
    assert values["time"] == pytest.approx(NOON.timestamp() * 1000 + taken_ms, abs=1)
