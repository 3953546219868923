"""The NMEA decoder against the shared vectors, and against everything else that a line can carry."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.gps_nmea import GpsNmea, GpsOptions
from drivers.nmea import Gga, Gsa, Other, Rejected, Rmc, Sentence, Vtg, Zda, decode
from gateway.driver import Heard
from gateway.model import Bad, Reason

VECTORS = json.loads((Path(__file__).parent / "vectors" / "nmea.json").read_text(encoding="utf-8"))["vectors"]
NO_FIX = Bad(Reason.NO_FIX)


def framed(fields: str) -> bytes:
    checksum = 0
    for byte in fields.encode():
        checksum ^= byte
    return f"${fields}*{checksum:02X}".encode()


def decoded(sentence: Sentence) -> dict[str, Any]:
    """What a sentence says, under the names of the vectors."""
    told: dict[str, Any]
    match sentence:
        case Rmc():
            told = {"speed_mps": sentence.speed_m_s, "course_deg": sentence.course, "date_valid": bool(sentence.date)}
            return {**told, **dated(sentence), **placed(sentence)}
        case Gga():
            told = {"sats_used": sentence.satellites, "hdop": sentence.hdop, "alt_msl_m": sentence.altitude_m}
            return {**told, "utc_time": sentence.time, **placed(sentence)}
        case Gsa():
            told = {"fix_type": sentence.fix, "sats": list(sentence.satellites)}
            return {**told, "pdop": sentence.pdop, "hdop": sentence.hdop, "vdop": sentence.vdop}
        case Zda():
            return dated(sentence)
    return {}


def dated(sentence: Rmc | Zda) -> dict[str, Any]:
    return {"utc_time": sentence.time, "date": sentence.date.isoformat() if sentence.date else None}


def placed(sentence: Rmc | Gga) -> dict[str, Any]:
    lat, lon = sentence.position or (None, None)
    return {"lat": lat, "lon": lon, "usable_position": sentence.usable}


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["id"])
def test_a_vector_is_judged_and_decoded_as_it_says(vector: dict[str, Any]) -> None:
    expected = vector["expect"]
    line = vector["sentence"].encode("latin-1")
    if not expected["accept"]:
        with pytest.raises(Rejected, match=f"^{expected['reject_reason']}$"):
            decode(line)
        return
    sentence = decode(line)
    if isinstance(sentence, Other):
        assert sentence.address.startswith(expected["talker"])
        assert expected["type"].partition(",")[0] in sentence.address
        return
    assert sentence.talker == expected["talker"]
    told = decoded(sentence)
    assert set(told) <= set(expected)
    for name, value in told.items():
        assert value == pytest.approx(expected[name], abs=6e-7), name  # the vectors round to 6 decimals, we to 7


def test_the_vectors_cover_what_is_decoded() -> None:
    decoders = {type(decode(v["sentence"].encode())) for v in VECTORS if v["expect"]["accept"]}
    assert decoders == {Rmc, Gga, Gsa, Zda, Other}
    assert len(VECTORS) == 39


def test_gns_is_usable_when_one_system_has_a_fix_and_none_guesses() -> None:
    assert gns("AN").usable
    assert gns("RRDA").usable
    for modes in ("NN", "", "AE", "MA", "S"):
        assert not gns(modes).usable
    assert gns("AA") == Gga("GN", "11:22:57.00", (36.0671667, -119.8383333), 13, 0.9, 1.06, usable=True)


def gns(modes: str) -> Gga:
    sentence = decode(framed(f"GNGNS,112257.00,3604.0300,N,11950.3000,W,{modes},13,0.9,1.06,16.3,,"))
    assert isinstance(sentence, Gga)
    return sentence


def test_vtg_gives_speed_and_course_with_its_mode() -> None:
    assert decode(framed("GPVTG,220.86,T,,M,2.550,N,4.724,K,A")) == Vtg("GP", 220.86, 1.3118, usable=True)
    assert decode(framed("GPVTG,,T,,M,0.096,N,0.178,K,A")) == Vtg("GP", None, 0.0494, usable=True)
    assert decode(framed("GPVTG,220.86,T,,M,2.550,N,4.724,K,E")) == Vtg("GP", 220.86, 1.3118, usable=False)
    assert decode(framed("GPVTG,,,,,,,,,N")) == Vtg("GP", None, None, usable=False)


@pytest.mark.parametrize("quality", ["0", "6", "7", "8", "9", ""])
def test_a_quality_that_is_not_measured_is_not_usable(quality: str) -> None:
    sentence = decode(framed(f"GPGGA,120000.00,3113.8240,N,12128.4220,E,{quality},08,1.0,10.0,M,8.0,M,,"))
    assert isinstance(sentence, Gga)
    assert not sentence.usable


@pytest.mark.parametrize("quality", "12345")
def test_a_measured_quality_is_usable(quality: str) -> None:
    sentence = decode(framed(f"GPGGA,120000.00,3113.8240,N,12128.4220,E,{quality},08,1.0,10.0,M,8.0,M,,"))
    assert isinstance(sentence, Gga)
    assert sentence.usable


@pytest.mark.parametrize(("mode", "usable"), [*((m, True) for m in "ADRFP"), *((m, False) for m in "EMSNX")])
def test_an_rmc_is_usable_in_measured_modes_alone(mode: str, usable: bool) -> None:
    sentence = decode(framed(f"GPRMC,120000.00,A,3113.8240,N,12128.4220,E,1.0,90.0,010126,,,{mode}"))
    assert isinstance(sentence, Rmc)
    assert sentence.usable is usable


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ("GPRMC,120000.00,A,3113.8240,N,12128.4220", "too_few_fields"),
        ("GPRMC,120000.00,A,3113.8240,X,12128.4220,E,1.0,90.0,010126,,,A", "bad_hemisphere"),
        ("GPRMC,120000.00,A,3113.8240,NS,12128.4220,E,1.0,90.0,010126,,,A", "bad_hemisphere"),
        ("GPRMC,120000.00,A,113.8240,N,12128.4220,E,1.0,90.0,010126,,,A", "bad_coordinate"),
        ("GPRMC,120000.00,A,3113.8240,N,18000.0001,E,1.0,90.0,010126,,,A", "degree_range"),
        ("GPRMC,120000.00,A,3113.8240,N,12160.0000,E,1.0,90.0,010126,,,A", "minutes_range"),
        ("GPRMC,120000.00,A,3113.8240,N,12128.4220,E,-1.0,90.0,010126,,,A", "bad_number"),
        ("GPRMC,120000.00,A,3113.8240,N,12128.4220,E,nan,90.0,010126,,,A", "bad_number"),
        ("GPRMC,120000.00,A,3113.8240,N,12128.4220,E,1_0,90.0,010126,,,A", "bad_number"),
        ("GPRMC,120000.00,A,3113.8240,N,12128.4220,E,1.0,360.1,010126,,,A", "course_range"),
        ("GPGGA,120000.00,3113.8240,N,12128.4220,E,1,08,1.0,10.0,F,8.0,M,,", "bad_unit"),
        ("GPRMC,120000.00,A,3113.8240,N,12128.4220,E,1.0,90.0,010126,,,A\x01", "no_sentence"),
        ("GPTXT," + "A" * 120, "too_long"),
    ],
)
def test_a_field_that_cannot_be_rejects_the_sentence(fields: str, reason: str) -> None:
    with pytest.raises(Rejected, match=f"^{reason}$"):
        decode(framed(fields))


def test_the_longest_sentence_has_128_bytes() -> None:
    longest = framed("GPTXT," + "A" * 118)
    assert len(longest) == 128
    assert decode(longest) == Other("GPTXT")


@pytest.mark.parametrize("time", ["235960.00", "120000", "000000.5"])
def test_a_leap_second_and_other_right_times_are_times(time: str) -> None:
    told = f"{time[:2]}:{time[2:4]}:{time[4:]}"
    assert decode(framed(f"GPZDA,{time},02,01,2026,00,00")) == Zda("GP", told, date(2026, 1, 2))


@pytest.mark.parametrize("time", ["240000", "126000", "120061", "12000", "noon", ""])
def test_a_time_that_cannot_be_is_no_time_and_loses_nothing_else(time: str) -> None:
    sentence = decode(framed(f"GPRMC,{time},A,3113.8240,N,12128.4220,E,1.0,90.0,310226,,,A"))
    assert isinstance(sentence, Rmc)
    assert (sentence.time, sentence.date, sentence.usable) == (None, None, True)


@given(st.binary(max_size=140))
def test_any_bytes_are_a_sentence_or_rejected(line: bytes) -> None:
    with suppress(Rejected):
        assert decode(line)


@given(st.floats(-90, 90), st.floats(-180, 180))
def test_a_position_comes_back_to_the_centimetre(latitude: float, longitude: float) -> None:
    north, east = minutes(abs(latitude), 2), minutes(abs(longitude), 3)
    fields = f"GPRMC,,A,{north},{'NS'[latitude < 0]},{east},{'EW'[longitude < 0]},,,,,,A"
    sentence = decode(framed(fields))
    assert isinstance(sentence, Rmc)
    assert sentence.position == pytest.approx((latitude, longitude), abs=1e-7)


def minutes(degrees: float, width: int) -> str:
    units = round(degrees * 60 * 10**7)
    whole, rest = divmod(units, 60 * 10**7)
    return f"{whole:0{width}d}{rest // 10**7:02d}.{rest % 10**7:07d}"


def said(*lines: bytes) -> list[Any]:
    return list(GpsNmea(GpsOptions()).hear(Heard(b"".join(line + b"\r\n" for line in lines), 0.0)))


def test_course_is_reported_only_while_moving() -> None:
    slow = framed("GPRMC,,A,3113.8240,N,12128.4220,E,1.94,90.0,,,,A")  # 0.998 m/s
    fast = framed("GPRMC,,A,3113.8240,N,12128.4220,E,1.95,90.0,,,,A")  # 1.0032 m/s
    assert said(slow) == [{"position": (31.2304, 121.4737), "speed": 0.998}]
    assert said(fast) == [{"position": (31.2304, 121.4737), "speed": 1.0032, "course": 90.0}]


def test_what_no_receiver_can_measure_is_out_of_range() -> None:
    bad = Bad(Reason.OUT_OF_RANGE)
    assert said(framed("GPRMC,,A,3113.8240,N,12128.4220,E,1100,90.0,,,,A")) == [
        {"position": (31.2304, 121.4737), "speed": bad}
    ]
    assert said(framed("GPGGA,,3113.8240,N,12128.4220,E,1,08,99.99,60000,M,8.0,M,,")) == [
        {"satellites": 8, "altitude": bad, "hdop": NO_FIX}
    ]


def test_a_partial_position_is_no_fix() -> None:
    for place in ("3113.8240,N,,E", ",N,12128.4220,E", "3113.8240,,12128.4220,E", "3113.8240,N,12128.4220,", ",,,"):
        assert said(framed(f"GPRMC,120000,A,{place},9.0,90.0,010126,,,A")) == [
            {"position": NO_FIX, "speed": NO_FIX, "course": NO_FIX}
        ]


def test_a_line_that_never_ends_is_dropped_and_the_next_one_is_read() -> None:
    driver = GpsNmea(GpsOptions())
    line = framed("GPRMC,,A,3113.8240,N,12128.4220,E,0.0,,,,,A") + b"\r\n"
    for _ in range(100):
        assert not list(driver.hear(Heard(b"$GPRMC,", 0.0)))
    assert not list(driver.hear(Heard(line, 0.0)))
    assert len(list(driver.hear(Heard(line, 0.0)))) == 1
