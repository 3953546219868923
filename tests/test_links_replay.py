"""Captures as text: what each line means, and which line is wrong."""

from __future__ import annotations

import pytest

from gateway.links.replay import Level, Passed, Received, Sent, parse

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
