"""Devices on serial lines that a profile describes: checksums, cutting, values, and what is refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

import drivers
from drivers.frame_checksum import Checksum
from drivers.frame_cutting import blocks, lines
from drivers.frame_decode import decoder
from drivers.frame_point import FramePoint, GroupScale
from drivers.frame_profile import Frame, FrameProfile
from drivers.serial_frames import SerialFrames, SerialFramesOptions
from gateway.config.profiles import Profiles
from gateway.driver import Heard
from gateway.model import Bad, Reason, Values

FAULT, RANGE = Bad(Reason.SENSOR_FAULT), Bad(Reason.OUT_OF_RANGE)
FOLDER = drivers.profile_folder() / "frames"

# ---------------------------------------------------------------- checksums

CHECK = b"123456789"  # whose CRCs are published with their parameters


@pytest.mark.parametrize(
    ("checksum", "value"),
    [
        (Checksum("sum8"), 0xDD),
        (Checksum("twos8"), 0x23),
        (Checksum("xor8"), 0x31),
        (Checksum("sum16"), 0x01DD),
        (Checksum("crc8"), 0xF4),  # CRC-8/SMBUS
        (Checksum("crc8", polynomial=0x31, reflected=True), 0xA1),  # CRC-8/MAXIM-DOW
        (Checksum("crc8", polynomial=0x31, initial=0xFF), 0xF7),  # CRC-8/NRSC-5 has 0x31, 0xFF
        (Checksum("crc16"), 0x4B37),  # CRC-16/MODBUS
        (Checksum("crc16", polynomial=0x1021, reflected=False), 0x29B1),  # CRC-16/IBM-3740
        (Checksum("crc16", polynomial=0x1021, initial=0, reflected=True), 0x2189),  # CRC-16/KERMIT
        (Checksum("crc16", polynomial=0x1021, initial=0xFFFF, reflected=True, final=0xFFFF), 0x906E),  # CRC-16/IBM-SDLC
    ],
)
def test_a_checksum_is_the_published_one(checksum: Checksum, value: int) -> None:
    said = value.to_bytes(checksum.size)
    assert checksum.fits(CHECK + said)
    assert replace(checksum, written="hex").fits(CHECK + said.hex().encode())
    assert replace(checksum, order="little").fits(CHECK + said[::-1])
    assert replace(checksum, first=2, gap=1, behind=2).fits(b"ab" + CHECK + b"*" + said + b"yz")
    assert not checksum.fits(CHECK + (value ^ 1).to_bytes(checksum.size))
    assert not checksum.fits(b"")


def test_a_sentence_of_nmea_is_right_by_such_a_description() -> None:
    nmea = Checksum("xor8", first=1, gap=1, written="hex")
    assert nmea.fits(b"$GPRMC,,V,,,,,,,,,,N*53")
    assert not nmea.fits(b"$GPRMC,,A,,,,,,,,,,N*53")
    assert not nmea.fits(b"$GPRMC,,V,,,,,,,,,,N*G3")


@given(st.binary(max_size=300), st.sampled_from(["sum8", "xor8", "crc16"]), st.sampled_from(["bytes", "hex"]))
def test_any_bytes_are_right_or_not(data: bytes, kind: Any, written: Any) -> None:
    assert Checksum(kind, first=3, written=written).fits(data) in (True, False)


# ---------------------------------------------------------------- cutting


FRAMES = [Frame(end="\r\n", longest=12), Frame(start="$", end="\r\n", longest=12), Frame(end="\n", longest=5)]
BLOCKS = [Frame(start="AB", length=6), Frame(start="A", length_at=1, length_adds=3, longest=9)]


def whole(frame: bytes) -> bool:
    return sum(frame) % 3 == 0


@given(
    st.lists(st.sampled_from([b"$", b"A", b"B", b"\r\n", b"\r", b"\n", b"12", b"\0", b"\3", b"xyz"]), max_size=60),
    st.data(),
)
@settings(max_examples=examples(300))
def test_frames_are_the_same_however_the_stream_is_cut_and_little_is_kept(
    parts: list[bytes], data: st.DataObject
) -> None:
    stream = b"".join(parts)
    places = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    pieces = [stream[a:b] for a, b in pairwise([0, *places, len(stream)])]
    for frame in FRAMES:
        at_once = lines(stream, frame, skipping=False).frames
        found: list[bytes] = []
        rest, skipping = b"", False
        for piece in pieces:
            cut = lines(rest + piece, frame, skipping=skipping)
            found, rest, skipping = found + cut.frames, cut.rest, cut.skipping
            assert len(rest) <= frame.longest + len(frame.end)
        assert found == at_once
    for frame in BLOCKS:
        at_once = blocks(stream, frame, 3, whole).frames
        found, rest = [], b""
        for piece in pieces:
            cut = blocks(rest + piece, frame, 3, whole)
            found, rest = found + cut.frames, cut.rest
            assert len(rest) <= frame.most
        assert found == at_once
        assert all(whole(it) for it in found)


# ---------------------------------------------------------------- values

TEXT = FrameProfile(
    "test",
    "nobody",
    ("none",),
    "high",
    Frame(end="\n", longest=60),
    {
        "temperature": FramePoint("temperature", group="t", minimum=-40, maximum=85, sentinels=("---",)),
        "mass": FramePoint("mass", group="m", scale_by=GroupScale("u", {"g": 0.001, "kg": 1.0})),
        "door": FramePoint("door", group="d", words={"0": "closed", "1": "open"}),
    },
    pattern=r"(?P<t>[^;]*);(?P<m>[^;]*);(?P<u>[a-z]*);?(?P<d>\d?)",
)


@pytest.mark.parametrize(
    ("line", "values"),
    [
        (b"21.50;12;kg;1", {"temperature": 21.5, "mass": 12, "door": "open"}),
        (b"-3,5; 250 ;g;0", {"temperature": -3.5, "mass": 0.25, "door": "closed"}),
        (b"---;+1e1;kg;7", {"temperature": FAULT, "mass": 10, "door": RANGE}),
        (b"86;nan;kg;1", {"temperature": RANGE, "mass": FAULT, "door": "open"}),
        (b"1_0;1;st;1", {"temperature": FAULT, "mass": RANGE, "door": "open"}),
        (b"1e99;9e30;kg;1", {"temperature": RANGE, "mass": RANGE, "door": "open"}),
        (b"\xb2;;kg;1", {"temperature": FAULT, "mass": FAULT, "door": "open"}),
        (b"+ 21;- 3;kg;1", {"temperature": 21, "mass": -3, "door": "open"}),
        (b"1 2;12 34;kg;1", {"temperature": FAULT, "mass": FAULT, "door": "open"}),
        (b"1,234.5;1.;kg;1", {"temperature": FAULT, "mass": 1, "door": "open"}),
        (b"21.5", {}),
    ],
)
def test_a_line_is_read_by_its_pattern(line: bytes, values: Values) -> None:
    assert decoder(TEXT)(line) == values


def test_a_group_that_took_no_part_gives_no_value_and_a_fault_of_the_line_is_no_value() -> None:
    profile = replace(
        TEXT,
        pattern=r"(?P<s>OK|ERR)(?: (?P<t>\d+))?",
        points={
            "t": FramePoint("temperature", faults={"s": ("ERR",)}),
            "s": FramePoint("fault", words={"OK": "normal", "ERR": "fault"}),
        },
    )
    assert decoder(profile)(b"OK 12") == {"t": 12, "s": "normal"}
    assert decoder(profile)(b"OK") == {"s": "normal"}
    assert decoder(profile)(b"ERR 12") == {"t": FAULT, "s": "fault"}


BINARY = FrameProfile(
    "test",
    "nobody",
    ("none",),
    "high",
    Frame(start="\x02", length=13),
    {
        "t": FramePoint("temperature", at=1, type="int16", order="little", scale=0.1, sentinels=(0x8000, -2)),
        "p": FramePoint("pressure", at=3, type="uint32", scale=0.01, offset=0.5),
        "f": FramePoint("humidity", at=7, type="float32", maximum=100, sentinels=(0xC61C3C00,)),
        "door": FramePoint("door", at=11, type="bit", bit=1, inverted=True),
    },
    checksum=Checksum("sum8"),
)


@pytest.mark.parametrize(
    ("frame", "values"),
    [
        ("02 FF FF 00 01 86 A0 41 2C CC CD 00", {"t": -0.1, "p": 1000.5, "f": 10.8, "door": "open"}),
        ("02 00 80 00 00 00 00 7F C0 00 00 02", {"t": FAULT, "p": 0.5, "f": FAULT, "door": "closed"}),
        ("02 00 00 FF FF FF FF 42 C8 00 01 FD", {"t": 0.0, "p": 42949673.45, "f": RANGE, "door": "open"}),
        ("02 FE FF 00 00 00 00 C6 1C 3C 00 00", {"t": FAULT, "p": 0.5, "f": FAULT, "door": "open"}),
    ],
)
def test_a_frame_is_read_by_its_places(frame: str, values: Values) -> None:
    assert decoder(BINARY)(bytes.fromhex(frame)) == values


@given(st.binary(min_size=12, max_size=12), st.text(st.characters(max_codepoint=255), max_size=60))
def test_any_frame_and_any_line_are_finite_numbers_words_or_bad(frame: bytes, line: str) -> None:
    for values in (decoder(BINARY)(frame), decoder(TEXT)(line.encode("latin-1"))):
        for value in values.values():
            assert isinstance(value, str | Bad) or value - value == 0  # type: ignore[operator]


# ---------------------------------------------------------------- what is refused


def profile(**change: Any) -> Callable[[], FrameProfile]:
    return lambda: replace(TEXT, **change)


def number(**change: Any) -> Callable[[], FramePoint]:
    return lambda: FramePoint("temperature", **{"at": 1, "type": "int16", **change})


def state(**change: Any) -> Callable[[], FramePoint]:
    return lambda: FramePoint("door", words={"0": "closed"}, **change)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (Frame, "end: how does a frame end? Say one of end, length and length_at"),
        (lambda: Frame(end="\n", length=4), "end: how does a frame end?"),
        (lambda: Frame(length=4), "start: a frame without an end needs one"),
        (lambda: Frame(start="AB", length=2), "length: more than the start"),
        (lambda: Frame(start="A", length=257), "length: more than the start, at most 256 bytes, not 257"),
        (lambda: Frame(start="A", length_at=1, longest=257), "longest: with length_at at most 256 bytes, not 257"),
        (lambda: Frame(start="A", length_at=200), "length_at: a place in the frame, not 200"),
        (lambda: Frame(end="\n", longest=0), "longest: from 1 to 1024 bytes, not 0"),
        (lambda: Frame(end="℃"), "end: '℃' is not all bytes; write ASCII, and"),
        (
            lambda: Checksum("sum8", polynomial=7),
            "polynomial: this, initial, reflected and final are of a CRC, not of sum8",
        ),
        (lambda: Checksum("crc8", polynomial=0x1021), "polynomial: from 0 to 0xff, not 4129"),
        (lambda: Checksum("crc8", first=-1), "first: from 0 to 255 bytes, not -1"),
        (lambda: FramePoint("warmth"), "kind: 'warmth' is none of temperature,"),
        (lambda: FramePoint("text"), "kind: a text is no number and no state"),
        (lambda: FramePoint("temperature", words={"1": "on"}), "kind: temperature is a number"),
        (lambda: FramePoint("door", words={"1": "on"}), "words: door is closed or open, not 'on'"),
        (lambda: FramePoint("door", at=1, type="uint8"), "type: door is a bit, not uint8"),
        (lambda: FramePoint("mass", scale_by=GroupScale("u", {"g": 0.0})), "scales: from 1e-9 to 1e9, not 0.0 for g"),
        (lambda: FramePoint("mass", minimum=2, maximum=1), "minimum: 2 is above the maximum 1"),
        (profile(points={}), "points: a profile needs at least one"),
        (profile(pattern=r"(?P<t>.*);"), "pattern: a repetition may contain what may also follow it"),
        (profile(pattern=r"(?P<t>x)"), "points: mass: the pattern has no group 'm'; it has t"),
        (profile(points={"d": FramePoint("door")}), "points: d: words: which text means which of closed and open?"),
        (
            profile(points={"t": FramePoint("temperature", at=1, type="uint8")}),
            "points: t: at, type, bit, order and inverted are of frames without a pattern",
        ),
        (profile(checksum=Checksum("crc16", first=60)), "checksum: it takes 63 bytes at least, and a frame has 60"),
        (profile(pattern=""), "pattern: a frame that ends with certain bytes is a text, and needs one"),
        (
            profile(pattern="", frame=Frame(start="A", length=4), checksum=Checksum("sum8")),
            "points: temperature: at and type",
        ),
        (
            lambda: replace(BINARY, points={"t": FramePoint("temperature", at=11, type="int16")}),
            "points: t: at: its bytes have to be of those that the checksum covers, 0 to 11",
        ),
        (
            lambda: replace(BINARY, checksum=Checksum("sum8", first=2)),
            "points: t: at: its bytes have to be of those that the checksum covers, 2 to 11",
        ),
        (lambda: replace(BINARY, checksum=None), "checksum: a frame that is told by its length needs one"),
        (profile(frame=Frame(start="A", length=4)), "checksum: a frame that is told by its length needs one"),
        (number(sentinels=(0x10000,)), "sentinels: 65536 is more than the 16 bits of int16"),
        (number(sentinels=(-32769,)), "sentinels: -32769 is more than the 16 bits of int16"),
        (number(type="float32", sentinels=(-9999,)), "sentinels: of a float32 the bits, as 0xC61C3C00 for -9999"),
        (number(type="float32", sentinels=(9999,)), "sentinels: of a float32 the bits, as 0xC61C3C00 for -9999"),
        (lambda: FramePoint("temperature", sentinels=("- ",)), "sentinels: '- ' never comes"),
        (lambda: FramePoint("temperature", faults={"s": (" E",)}), "faults: ' E' never comes"),
        (lambda: FramePoint("door", words={" 1": "open"}), "words: ' 1' never comes"),
        (lambda: GroupScale("u", {" g": 1.0}), "scales: ' g' never comes"),
        (
            lambda: GroupScale("u", {}),
            "scales: which scale does each value of the group mean? Write {kg: 1, g: 0.001}, say",
        ),
        (
            number(scale=0.1, scale_by=GroupScale("u", {"C": 1.0})),
            "scale: stands in scale_by; leave out one of the two",
        ),
        (state(minimum=1.0), "minimum: of a number, and door is a state"),
        (state(scale=2.0), "scale: of a number, and door is a state"),
        (state(offset=2.0), "offset: of a number, and door is a state"),
        (state(decimals=2), "decimals: of a number, and door is a state"),
        (state(sentinels=("x",)), "sentinels: of a number, and door is a state"),
        (state(scale_by=GroupScale("u", {"C": 1.0})), "scale_by: of a number, and door is a state"),
        (
            profile(points={"t": FramePoint("temperature", order="little")}),
            "points: t: at, type, bit, order and inverted are of frames without a pattern",
        ),
        (
            profile(points={"t": FramePoint("temperature", bit=1)}),
            "points: t: at, type, bit, order and inverted are of frames without a pattern",
        ),
        (
            lambda: replace(BINARY, points={"t": FramePoint("door", at=1, type="bit")}),
            "points: t: bit: from 0 to 7 with type bit, not None with bit",
        ),
        (lambda: SerialFramesOptions(replace(BINARY, confidence="medium")), "profile: the profile of test is beta"),
    ],
)
def test_what_cannot_be_is_refused(make: Callable[[], object], says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        make()


@pytest.mark.parametrize(
    ("right", "wrong", "says"),
    [
        ("end:", "ends:", r":5:\d+: frame\.ends: unknown key; did you mean end\?"),
        ("longest: 40", "longest: 4000", r":5:\d+: frame\.longest: from 1 to 1024 bytes, not 4000"),
        (r"\d+C", r"\d+\d", r":6:10: pattern: a repetition may contain what may also follow it, as '0' here"),
        ("<t>", "<temp>", r":8:3: points: t: the pattern has no group 't'; it has temp"),
        ("temperature", "temprature", r"points\.t\.kind: 'temprature' is none of"),
    ],
)
def test_a_wrong_profile_is_told_with_its_place(tmp_path: Path, right: str, wrong: str, says: str) -> None:
    text = """model: X
maker: Y
sources: [nobody]
confidence: medium
frame: {end: '\\r\\n', longest: 40}
pattern: '(?P<t>\\d+C)'
points:
  t: {kind: temperature}
"""
    (tmp_path / "frames").mkdir()
    path = tmp_path / "frames" / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    assert Profiles((tmp_path,)).get("mine", FrameProfile) is not None
    path.write_text(text.replace(right, wrong, 1), encoding="utf-8")
    profiles = Profiles((tmp_path,))
    assert profiles.get("mine", FrameProfile) is None
    told = "\n".join(str(problem) for problem in profiles.problems)
    assert re.search(says, told), told


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_profile_that_comes_along_is_whole_and_has_captures(path: Path) -> None:
    profiles = Profiles((drivers.profile_folder(),))
    found = profiles.get(path.stem, FrameProfile)
    assert found is not None, profiles.problems
    assert len(found.sources) >= 2 or found.confidence == "medium"
    assert found.bus is not None
    cases = Path(__file__).parent / "drivers" / "serial_frames"
    for case in ("normal", "edge", "corrupted"):
        assert list(cases.glob(f"{case}-{path.stem}*.capture")), case


@pytest.mark.parametrize("line", [b"ST,+0012.345 kg\r\n", b"ST,+00123.45  g\r\n", b"US,-000001.0 lb\r\n"])
def test_a_balance_whose_line_has_lost_a_character_says_no_mass_by_it(line: bytes) -> None:
    before, behind = b"ST,+00001.00 kg\r\n", b"ST,+00002.00 kg\r\n"
    found = Profiles((drivers.profile_folder(),)).get("and-balance", FrameProfile)
    assert found is not None
    for at in range(len(line)):
        device = SerialFrames(SerialFramesOptions(found))
        lost = line[:at] + line[at + 1 :]
        said = [values["mass"] for values in device.hear(Heard(b"\r\n" + before + lost + before + behind, 0.0))]
        assert {it for it in said if not isinstance(it, Bad)} == {1, 2}, lost
