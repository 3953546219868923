"""The NMEA decoder against the shared vectors, and against everything else that a line can carry."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import date
from functools import reduce
from operator import xor
from pathlib import Path
from typing import Any

import pytest
from gps_scene import framed
from hypothesis import given
from hypothesis import strategies as st

from drivers.nmea import Gga, Gsa, Other, Rmc, Sentence, Vtg, Zda, decode
from drivers.nmea_frame import Rejected, xor_of

HERE = Path(__file__).parent
VECTORS = json.loads((HERE / "vectors" / "nmea.json").read_text(encoding="utf-8"))
SENTENCES = VECTORS["vectors"]
NOT_MEASURED = ("estimated", "manual", "simulated")


def decoded(sentence: Sentence) -> dict[str, Any]:
    """What a sentence says, under the names of the vectors."""
    told: dict[str, Any]
    match sentence:
        case Rmc():
            told = {"speed_mps": sentence.speed_m_s, "course_deg": sentence.course, "date_valid": bool(sentence.date)}
            return {**told, **dated(sentence), **placed(sentence)}
        case Gga():
            told = {"sats_used": sentence.satellites, "hdop": sentence.hdop, "alt_msl_m": sentence.altitude_m}
            return {**told, "utc_time": clock(sentence.time_ms), **placed(sentence)}
        case Gsa():
            told = {"fix_type": sentence.dimensions, "sats": list(sentence.satellites)}
            return {**told, "pdop": sentence.pdop, "hdop": sentence.hdop, "vdop": sentence.vdop}
        case Zda():
            return dated(sentence)
    return {}


def dated(sentence: Rmc | Zda) -> dict[str, Any]:
    return {"utc_time": clock(sentence.time_ms), "date": sentence.date.isoformat() if sentence.date else None}


def clock(time_ms: int | None) -> str | None:
    """A time of day as the vectors write it, without the zeros behind."""
    if time_ms is None:
        return None
    seconds, ms = divmod(time_ms, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{ms:03}".rstrip("0").rstrip(".")


def placed(sentence: Rmc | Gga) -> dict[str, Any]:
    lat, lon = sentence.position or (None, None)
    return {"lat": lat, "lon": lon, "usable_position": sentence.usable}


@pytest.mark.parametrize("vector", SENTENCES, ids=lambda vector: vector["id"])
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
    if expected.get("utc_time"):
        expected = {**expected, "utc_time": expected["utc_time"].rstrip("0").rstrip(".")}
    for name, value in told.items():
        assert value == pytest.approx(expected[name], abs=6e-7), name  # the vectors round to 6 decimals, we to 7


def test_the_vectors_cover_what_is_decoded() -> None:
    decoders = {type(decode(v["sentence"].encode())) for v in SENTENCES if v["expect"]["accept"]}
    assert decoders == {Rmc, Gga, Gsa, Zda, Other}
    assert len(SENTENCES) == 39


@pytest.mark.parametrize("section", sorted(set(VECTORS) - {"title", "generated_by", "conventions", "sources"}))
def test_each_section_of_the_vectors_is_used_by_a_test(section: str) -> None:
    assert [path.name for path in HERE.glob("test_*.py") if f'VECTORS["{section}"]' in path.read_text()]


def test_gns_is_usable_when_one_system_has_a_fix_and_none_guesses() -> None:
    assert gns("AN").usable
    assert gns("RRDA").usable
    for modes in ("NN", "", "AE", "MA", "S"):
        assert not gns(modes).usable
    assert gns("AA") == Gga("GN", 40_977_000, (36.0671667, -119.8383333), 13, 0.9, 1.06, "measured")
    assert [gns(modes).fix for modes in ("", "NX", "AE", "MEA", "SM")] == ["none", "none", *NOT_MEASURED]


def gns(modes: str) -> Gga:
    sentence = decode(framed(f"GNGNS,112257.00,3604.0300,N,11950.3000,W,{modes},13,0.9,1.06,16.3,,"))
    assert isinstance(sentence, Gga)
    return sentence


def test_vtg_gives_speed_and_course_with_its_mode() -> None:
    assert decode(framed("GPVTG,220.86,T,,M,2.550,N,4.724,K,A")) == Vtg("GP", 220.86, 1.3118, "measured")
    assert decode(framed("GPVTG,,T,,M,0.096,N,0.178,K,A")) == Vtg("GP", None, 0.0494, "measured")
    assert decode(framed("GPVTG,220.86,T,,M,2.550,N,4.724,K,E")) == Vtg("GP", 220.86, 1.3118, "estimated")
    assert decode(framed("GPVTG,,,,,,,,,N")) == Vtg("GP", None, None, "none")


QUALITIES = dict.fromkeys("12345", "measured") | dict(zip("678", NOT_MEASURED, strict=True))
MODES = dict.fromkeys("ADRFP", "measured") | dict(zip("EMS", NOT_MEASURED, strict=True))


@pytest.mark.parametrize("quality", ["", *"0123456789"])
def test_a_quality_says_whether_a_fix_was_measured(quality: str) -> None:
    sentence = decode(framed(f"GPGGA,120000.00,3113.8240,N,12128.4220,E,{quality},08,1.0,10.0,M,8.0,M,,"))
    assert isinstance(sentence, Gga)
    assert sentence.fix == QUALITIES.get(quality, "none")
    assert sentence.usable is (sentence.fix == "measured")


@pytest.mark.parametrize("mode", "ADRFPEMSNX")
def test_a_mode_says_whether_a_fix_was_measured(mode: str) -> None:
    for status in "AV":
        sentence = decode(framed(f"GPRMC,120000.00,{status},3113.8240,N,12128.4220,E,1.0,90.0,010126,,,{mode}"))
        assert isinstance(sentence, Rmc)
        assert sentence.fix == (MODES.get(mode, "none") if status == "A" else "none")
        assert sentence.usable is (sentence.fix == "measured")


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


@pytest.mark.parametrize(("time", "ms"), [("235960.00", 86_400_000), ("120000", 43_200_000), ("000000.5", 500)])
def test_a_leap_second_and_other_right_times_are_times(time: str, ms: int) -> None:
    assert decode(framed(f"GPZDA,{time},02,01,2026,00,00")) == Zda("GP", ms, date(2026, 1, 2))


@pytest.mark.parametrize("time", ["240000", "126000", "120061", "12000", "noon", ""])
def test_a_time_that_cannot_be_is_no_time_and_loses_nothing_else(time: str) -> None:
    sentence = decode(framed(f"GPRMC,{time},A,3113.8240,N,12128.4220,E,1.0,90.0,310226,,,A"))
    assert isinstance(sentence, Rmc)
    assert (sentence.time_ms, sentence.date, sentence.usable) == (None, None, True)


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


@given(st.binary(max_size=128))
def test_all_bytes_are_combined_as_one_after_the_other_would_be(data: bytes) -> None:
    assert xor_of(data) == reduce(xor, data, 0)
