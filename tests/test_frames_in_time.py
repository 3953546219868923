"""Devices that say lines or frames, as time passes: nothing old, nothing halved, little work, the rest counted."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from modbus_responder import crc

from drivers.frame_checksum import Checksum
from drivers.frame_point import FramePoint
from drivers.frame_profile import Frame, FrameProfile
from drivers.serial_frames import SerialFrames, SerialFramesOptions
from gateway.config.installed import read_config
from gateway.driver import Heard
from gateway.wiretime import of_line, of_network

TEMPERATURE = {"t": FramePoint("temperature")}


def driver(**written: Any) -> SerialFrames:
    """A device with one point, t."""
    profile = FrameProfile("test", "nobody", ("none",), "high", **{"points": TEMPERATURE, **written})
    return SerialFrames(SerialFramesOptions(profile))


def line(pattern: str = r"(?P<t>[0-9]+)", end: str = "\\n", **written: Any) -> SerialFrames:
    return driver(**{"frame": Frame(end=end, longest=60), "pattern": pattern, **written})


def block(frame: Frame, checksum: str = "sum8", at: int = 2) -> SerialFrames:
    return driver(
        frame=frame,
        checksum=Checksum(checksum),  # type: ignore[arg-type]
        points={"t": FramePoint("temperature", at=at, type="uint8")},
    )


def said(device: SerialFrames, *heard: tuple[float, bytes]) -> list[object]:
    return [values["t"] for mono, data in heard for values in device.hear(Heard(data, mono))]


# ---------------------------------------------------------------- lines


def test_a_line_that_is_heard_from_its_middle_on_is_dropped() -> None:
    device = line()
    assert said(device, (0.0, b"23\n124\n1")) == [124]
    device.opened()
    assert said(device, (5.0, b"25\n126\n")) == [126], "after the link was away, too"


def test_the_end_of_an_answer_to_somebody_before_us_is_no_value() -> None:
    assert said(line(ask="?"), (0.0, b"3\n"), (10.0, b"123\n")) == [123]


def test_the_halves_of_two_lines_are_no_line() -> None:
    device = line()
    assert said(device, (0.0, b"\n1"), (1.5, b"24\n125\n")) == [125]
    assert device.dropped == 1


def test_what_is_certain_to_be_whole_is_not_dropped() -> None:
    with_sum = b"124" + f"{sum(b'124') & 0xFF:02x}".encode() + b"\n"
    device = line(checksum=Checksum("sum8", written="hex"))
    assert said(device, (0.0, b"12495\n"), (0.1, with_sum)) == [12497]
    assert device.dropped == 1


@pytest.mark.parametrize("every_s", [0.5, 2.0])
@pytest.mark.parametrize("behind", [b"\n", b"\xff", b"\0"])
def test_what_stands_behind_each_line_and_begins_none_costs_no_line(every_s: float, behind: bytes) -> None:
    within = r"[\n\xFF\x00]?" if every_s < 1 else ""  # without a pause it belongs to the next line
    device = line(within + r"(?P<t>[0-9]{2})", end="\\r")
    assert said(device, *((every_s * at, b"%d\r" % (20 + at) + behind) for at in range(6))) == [21, 22, 23, 24, 25]
    assert device.dropped == 0


def test_lines_that_are_dropped_are_counted() -> None:
    device = line(r"(?P<t>[0-9]{2})")
    assert said(device, (0.0, b"1\n21\n"), (0.1, b"2\n22\n" + b"x" * 70 + b"\n\n24\n")) == [21, 22, 24]
    assert device.dropped == 2, (
        "the one that is too short, and the one that is too long; not the first, nor an empty one"
    )


# ---------------------------------------------------------------- frames of a length


VARIABLE = Frame(start="\\xAA", length_at=1, longest=255)


def framed(value: int) -> bytes:
    frame = bytes([0xAA, 4, value])
    return frame + bytes([sum(frame) & 0xFF])


@pytest.mark.parametrize(
    ("every_s", "lost"),
    [(0.9, 2), (0.3, 4), (2.0, 1)],
)
def test_a_noise_that_reads_as_a_long_frame_holds_nothing_back_for_long(every_s: float, lost: int) -> None:
    device = block(VARIABLE)
    device.meet(of_line(9600))
    heard = [(0.0, b"\xaa\xfe" + framed(0)), *((every_s * at, framed(at)) for at in range(1, 70))]
    at_each = [said(device, it) for it in heard]
    assert at_each == [[]] * lost + [[at] for at in range(lost, 70)], "each in its own time, or not at all"
    assert device.dropped >= 1


def test_a_frame_that_comes_in_pieces_is_given_the_time_that_its_line_takes() -> None:
    device = block(VARIABLE)
    device.meet(of_line(300))
    frame = bytes([0xAA, 60, 21]) + bytes(56)
    frame += bytes([sum(frame) & 0xFF])
    pieces = [(0.9 * at, frame[at * 20 : at * 20 + 20]) for at in range(3)]
    assert said(device, *pieces) == [21]


def test_what_looks_like_a_frame_within_another_is_none_while_that_comes_in() -> None:
    inner = framed(99)
    outer = bytes([0xAA, 12, 21, 0]) + inner + bytes(3)
    outer += bytes([sum(outer) & 0xFF])
    for cut in range(1, len(outer)):
        assert said(block(VARIABLE), (0.0, outer[:cut]), (0.1, outer[cut:])) == [21]


def test_frames_behind_a_serial_server_may_come_slowly() -> None:
    device = block(Frame(start="\\xAA", length=64))
    device.meet(of_network())
    frame = bytes([0xAA, 0, 21]) + bytes(60)
    frame += bytes([sum(frame) & 0xFF])
    assert said(device, (0.0, frame[:20]), (0.5, frame[20:40]), (1.0, frame[40:])) == [21]


def test_frames_that_are_dropped_are_counted() -> None:
    device = block(Frame(start="\\xAA", length=4))
    assert said(device, (0.0, framed(1)[:3] + b"\0" + framed(2)), (0.1, b"noise"), (0.2, framed(3)[:2])) == [2]
    assert device.dropped == 1
    assert said(device, (5.0, framed(4))) == [4]
    assert device.dropped == 2, "the one that was begun, and not gone on with"


# ---------------------------------------------------------------- time of the processor


@pytest.mark.parametrize("noise", [b"\0", b"\0" * 63 + b"\1", b"\0\xff"])
@pytest.mark.parametrize("length", [64, 256])
def test_a_line_of_noise_costs_little_time_and_what_comes_then_is_heard(length: int, noise: bytes) -> None:
    device = block(Frame(start="\\0", length=length), "crc16")
    seconds, baudrate = 10, 115200
    size, step_s = 128, 128 * 10 / baudrate
    piece = (noise * size)[:size]
    began = time.process_time()
    for at in range(int(seconds / step_s)):
        assert not said(device, (at * step_s, piece))
    assert time.process_time() - began < 0.2 * seconds
    frame = b"\0\0\x15" + b"\1" * (length - 5)
    assert said(device, (seconds + 2.0, frame + crc(frame)[::-1])) == [21]


# ---------------------------------------------------------------- as it is configured


def test_a_configured_device_knows_how_long_a_frame_takes_on_its_line(tmp_path: Path) -> None:
    (tmp_path / "profiles" / "frames").mkdir(parents=True)
    (tmp_path / "profiles" / "frames" / "mine.yaml").write_text(
        "{model: A, maker: B, sources: [C], confidence: high, frame: {start: '\\xAA', length_at: 1, longest: 255}, "
        "checksum: {kind: sum8}, points: {t: {kind: temperature, at: 2, type: uint8}}}\n"
    )
    path = tmp_path / "site.yaml"
    path.write_text(
        "site: {id: a}\ngateway: {id: b}\n"
        "links: {l: {type: serial, port: /dev/ttyUSB0, baudrate: 115200}}\n"
        "devices: {d: {driver: serial_frames, link: l, profile: mine, zone: z}}\n"
    )
    found = read_config(path).devices["d"].built
    assert isinstance(found, SerialFrames)
    # 254 bytes take 22 ms there; behind a serial server they could take 2.3 s.
    assert said(found, (0.0, b"\xaa\xfe" + framed(1)), (0.6, framed(2)), (0.7, framed(3))) == [2, 3]
