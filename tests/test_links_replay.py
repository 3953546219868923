"""Captures: what each line means, which line is wrong, and how one is played in place of a wire."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from gateway.driver import Edge, Family, Heard, Table
from gateway.errors import LinkDown, NoReply
from gateway.links.capture import Level, Passed, Received, Sent, parse
from gateway.links.modbus import Exchange
from gateway.links.replay import Replay, ReplayedPins

TEXT = r"""
# device: XY-MD02, firmware unknown
# options: {"unit": 1, "profile": "xy-md02"}
> 01 04 00 01 00 02 20 0B
# a remark: not a header, since an item came before it
< 01 04 04 00 F5 02 1C 5A 7B
. 1.5
< "$GPRMC,\u00e9\r\n"
= 17 high
= 4 low
"""


def test_a_capture_gives_its_header_and_its_items_in_order() -> None:
    capture = parse(TEXT)
    assert capture.header == {
        "device": "XY-MD02, firmware unknown",
        "options": '{"unit": 1, "profile": "xy-md02"}',
    }
    assert capture.items == (
        Sent(bytes.fromhex("010400010002200B")),
        Received(bytes.fromhex("01040400F5021C5A7B")),
        Passed(1.5),
        Received(b"$GPRMC,\xe9\r\n"),
        Level(17, high=True),
        Level(4, high=False),
    )


@pytest.mark.parametrize(
    "line", ["? 01", "> 0G", '< "open', '< "\\u20ac"', ". soon", ". -1", ". nan", "= 17 up", "= x high"]
)
def test_a_wrong_line_is_named(line: str) -> None:
    with pytest.raises(ValueError, match=r"^line 2: "):
        parse(f"# device: none\n{line}\n")


def played(folder: Path, text: str, *, loop: bool = False) -> Replay:
    path = folder / "case.capture"
    path.write_text(text)
    replay = Replay(path, loop=loop)
    replay.open()
    return replay


MODBUS = """
> 01 04 00 01 00 02 20 0B
< 01 04 04 00 F5
< 02 1C EB 1F
. 1.0
> 01 04 00 01 00 02 20 0B
> 01 04 00 01 00 02 20 0B
< 01 04 04 00 F6 02 1C 1B 1F
"""


def test_a_request_is_answered_as_in_the_capture_and_silence_takes_no_time(tmp_path: Path) -> None:
    replay = played(tmp_path, MODBUS)
    registers = replay.offer(Family.REGISTERS)
    assert isinstance(registers, Exchange)
    started = time.monotonic()
    assert list(registers.read(1, Table.INPUT, 1, 2)) == [0x00F5, 0x021C]
    for _ in range(2):
        with pytest.raises(NoReply, match="no answer"):
            registers.read(2, Table.INPUT, 1, 2)
    with pytest.raises(NoReply):
        registers.read(1, Table.INPUT, 1, 2)
    assert list(registers.read(1, Table.INPUT, 1, 2)) == [0x00F6, 0x021C]
    with pytest.raises(NoReply, match="no answer"):
        registers.read(1, Table.INPUT, 1, 2)
    assert time.monotonic() - started < 0.2


def test_a_capture_in_a_loop_is_never_at_its_end(tmp_path: Path) -> None:
    registers = played(tmp_path, "> 01 04 00 01 00 02 20 0B\n< 01 04 04 00 F5 02 1C EB 1F", loop=True).offer(
        Family.REGISTERS
    )
    assert isinstance(registers, Exchange)
    for _ in range(3):
        assert list(registers.read(1, Table.INPUT, 1, 2)) == [0x00F5, 0x021C]


def test_what_was_pushed_comes_with_the_times_of_the_capture_and_once(tmp_path: Path) -> None:
    replay = played(tmp_path, '< "a"\n. 0.1\n< "b"\n< "c"\n. 0.05\n< "d"\n')
    replay.offer(Family.STREAM)
    heard: list[Heard] = []
    started = time.monotonic()
    while time.monotonic() < started + 0.3:
        heard += replay.wait(started + 0.3)
    assert [each.data for each in heard] == [b"a", b"b", b"c", b"d"]
    assert [each.mono - started for each in heard] == pytest.approx([0.0, 0.1, 0.1, 0.15], abs=0.04)


def test_pins_have_the_levels_of_the_capture(tmp_path: Path) -> None:
    replay = played(tmp_path, "= 17 high\n")
    pins = replay.offer(Family.PINS)
    assert [each.data for each in replay.wait(time.monotonic() + 1)] == [Edge(17, high=True)]
    assert isinstance(pins, ReplayedPins)
    assert pins.read(17)
    assert not pins.read(4)


def test_a_capture_that_cannot_be_read_is_told_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(LinkDown, match="line 1"):
        played(tmp_path, "nonsense")
    with pytest.raises(LinkDown, match=r"absent\.capture"):
        Replay(tmp_path / "absent.capture", loop=False).open()
