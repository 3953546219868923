"""The demo's screen, lines and news, from statuses made by hand; the screen also on a real terminal."""

from __future__ import annotations

import fcntl
import io
import os
import re
import struct
import termios
from collections.abc import Iterator
from dataclasses import replace
from typing import TextIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.demo.lines import Lines
from gateway.demo.news import news
from gateway.demo.screen import Screen, frame
from gateway.demo.view import Happening, Received, View, age, clock, size, written
from gateway.driver import point
from gateway.model import (
    About,
    AlarmState,
    AlarmView,
    DeviceAbout,
    DeviceHealth,
    HealthReport,
    Hidden,
    Hiding,
    JournalHealth,
    LinkHealth,
    PointStatus,
    Priority,
    Status,
    Trust,
    UplinkHealth,
    Value,
)

TS = 1_795_320_000_000
SITE: dict[str, tuple[str, dict[str, tuple[str, Value]]]] = {
    "cold-1": ("cold-store/room-1", {"temperature": ("temperature", 3.14), "humidity": ("humidity", 84.0)}),
    "freezer-1": ("cold-store/freezer", {"temperature": ("temperature", -12.3), "humidity": ("humidity", 61.0)}),
    "dock-air": ("loading/dock", {"humidity": ("humidity", 55.0), "temperature": ("temperature", 18.4)}),
    "dock-doors": (
        "loading/dock",
        {"di1": ("door", "open"), "di2": ("door", "closed"), "di3": ("contact", "off"), "do1": ("output", "off")},
    ),
    "lorry-7": ("yard", {"position": ("position", (31.22661, -121.64)), "speed": ("speed", 8.3)}),
    "entrance-1": (
        "shop",
        {"people_in": ("people_in", 64), "people_out": ("people_out", 18), "people": ("people", 46)},
    ),
    "smoke-1": ("packing", {"smoke": ("smoke", "alarm")}),
    "smoke-2": ("packing", {"smoke": ("smoke", "normal")}),
    "siren": ("packing", {"output": ("output", "on")}),
}


def alarm(name: str, device: str, state: AlarmState, priority: Priority = Priority.HIGH) -> AlarmView:
    text = f"{name} is wrong"
    return AlarmView(name, name, device, "x", "z", priority, state, TS - 3000, 5, "r", 1.0, text, "Leave")


def status(
    *alarms: AlarmView, qualities: dict[str, str] | None = None, uplink: str = "online", siren: str = "on"
) -> Status:
    qualities = qualities or {}
    abouts = tuple(
        DeviceAbout(device, device, "d", "bus1", zone, tuple(point(n, kind) for n, (kind, _) in points.items()), ())
        for device, (zone, points) in SITE.items()
    )
    points = tuple(
        PointStatus(
            device,
            name,
            kind,
            point(name, kind).unit,
            zone,
            siren if device == "siren" else value,
            0.4,
            qualities.get(device, "good"),
        )
        for device, (zone, points) in SITE.items()
        for name, (kind, value) in points.items()
    )
    devices = tuple(DeviceHealth(d, "lost" if qualities.get(d, "good") != "good" else "ok") for d in SITE)
    health = HealthReport(
        TS,
        Trust.SYNCED,
        "r",
        20.0,
        (LinkHealth("bus1", True, devices),),
        JournalHealth("ok", 1204, 312_000, 0, 68, {"platform": 12}, 0),
        (UplinkHealth("platform", uplink, "5", 0, 214, 213, TS),),
        {"telemetry": 1190, "events": 14},
    )
    about = About("dc3", "DC 3", "gw1", "0.1", "h", (), abouts)
    return Status(about, "r", TS, Trust.SYNCED, 20.0, points, alarms, {"siren.output": siren}, health)


def view(shown: Status | None, *happenings: str, at_s: float = 23.2) -> View:
    told = tuple(Happening(at_s, text) for text in happenings)
    return View(at_s, 52.0, "The shop fills up.", shown, Received(1204, 0, 0, 31), told, len(told))


def plain(lines: list[str]) -> list[str]:
    return [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in lines]


FULL = status(
    alarm("smoke@smoke-1.smoke", "smoke-1", AlarmState.UNACK_ACTIVE),
    alarm("freezer-warm", "freezer-1", AlarmState.RTN_UNACK),
    alarm("entrance-full", "entrance-1", AlarmState.ACK_ACTIVE, Priority.MEDIUM),
    alarm("dock-air-silent", "dock-air", AlarmState.UNACK_ACTIVE, Priority.LOW),
    qualities={"dock-air": "no_reply"},
)


def test_a_plain_terminal_shows_every_device_alarm_and_counter_in_full() -> None:
    picture = plain(frame(view(FULL), 80, 24))
    text = "\n".join(picture)
    assert "simulation: no real sensors" in picture[0]
    assert "0:23 of 0:52" in picture[0]
    for device in SITE:
        assert any(line[20:].startswith(device) for line in picture), device
    for shown in (
        "31.2266°N 121.6400°W  8.3 m/s",
        "46 inside  64 in  18 out",
        "di1 open  di2 closed",
        "3.1 °C  84.0 %RH",
    ):
        assert shown in text
    for name in ("smoke@smoke-1.smoke", "freezer-warm", "entrance-full", "dock-air-silent"):
        assert f"{name} is wrong" in text
    for counter in ("1,204 recorded", "213 acknowledged", "12 waiting", "0 missing", "31 came later"):
        assert counter in text
    assert "di3" not in text


@given(st.integers(1, 240), st.integers(1, 70), st.booleans())
def test_a_picture_never_outgrows_the_terminal(columns: int, lines: int, started: bool) -> None:
    picture = frame(view(FULL if started else None, *(f"something {i}" for i in range(9))), columns, lines)
    assert len(picture) <= lines
    assert all(len(line) <= columns for line in plain(picture))
    assert all("\n" not in line for line in picture)


def test_a_silent_device_is_told_apart_from_a_good_one() -> None:
    lines = frame(view(FULL), 80, 24)
    silent = next(line for line in lines if "dock-air " in line and "loading" in line)
    assert "\x1b[1;31mno_reply" in silent
    assert "\x1b[2m55.0 %RH  18.4 °C" in silent
    good = next(line for line in lines if "cold-1" in line)
    assert "\x1b[32mgood" in good


def test_an_alarm_that_is_over_stands_below_those_that_are_not() -> None:
    picture = "\n".join(plain(frame(view(FULL), 80, 24)))
    assert picture.index("freezer-warm is wrong") > picture.index("dock-air-silent is wrong")


def test_a_tall_terminal_tells_what_happened_last() -> None:
    picture = plain(frame(view(FULL, *(f"event {i}" for i in range(50))), 80, 30))
    assert picture[-1].endswith("event 49")
    assert "event 0" not in picture[-1]


def test_an_absent_broker_is_red() -> None:
    lines = frame(view(status(uplink="no connection")), 80, 24)
    assert any("\x1b[1;31mno connection" in line for line in lines)


@pytest.fixture
def terminal() -> Iterator[tuple[TextIO, int]]:
    far, near = os.openpty()
    os.set_blocking(far, False)
    resize(near, 80, 24)
    with os.fdopen(near, "w", encoding="utf-8") as out:
        yield out, far
    os.close(far)


def resize(fd: int, columns: int, lines: int) -> None:
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))


def shown(far: int) -> str:
    got = b""
    try:
        while True:
            got += os.read(far, 65536)
    except BlockingIOError:
        return got.decode()


def test_only_what_changed_is_sent_again_until_the_terminal_changes_its_size(terminal: tuple[TextIO, int]) -> None:
    out, far = terminal
    screen = Screen(out)
    screen.open()
    screen.show(view(FULL))
    first = shown(far)
    screen.show(view(FULL, at_s=24.2))
    second = shown(far)
    assert "0:24 of" in second
    assert "cold-1" not in second
    assert len(second) < len(first) / 5
    resize(out.fileno(), 100, 40)
    screen.show(view(FULL, at_s=24.2))
    third = shown(far)
    assert third.startswith("\x1b[2J")
    assert "cold-1" in third
    screen.close()


def test_the_terminal_is_given_back_once(terminal: tuple[TextIO, int]) -> None:
    out, far = terminal
    screen = Screen(out)
    screen.close()
    assert shown(far) == ""
    screen.open()
    assert shown(far) == ""
    out.flush()
    assert "\x1b[?1049h" in shown(far)
    screen.close()
    screen.close()
    assert shown(far).count("\x1b[?25h\x1b[?1049l") == 1


def test_lines_tell_each_happening_once_even_when_old_ones_are_forgotten() -> None:
    out = io.StringIO()
    lines = Lines(out)
    lines.open()
    told = [Happening(float(i), f"event {i}") for i in range(30)]
    for count in (3, 3, 9, 30):
        lines.show(View(1.0, 52.0, "", None, None, tuple(told[max(0, count - 10) : count]), count))
    said = [line for line in out.getvalue().splitlines() if "event" in line]
    assert "simulation" in out.getvalue().splitlines()[0]
    assert said == [f"0:{i:02d} event {i}" for i in (*range(9), *range(20, 30))]


def test_lines_count_now_and_then_and_say_each_caption_once() -> None:
    out = io.StringIO()
    lines = Lines(out)
    for second in range(11):
        lines.show(view(FULL, at_s=float(second)))
    said = out.getvalue()
    assert said.count("STORY") == 1
    assert said.count("COUNTS") == 3
    assert "16 of 18 points good; alarms: 4" in said


def test_news_is_what_changed_and_nothing_else() -> None:
    raised = status(alarm("smoke", "smoke-1", AlarmState.UNACK_ACTIVE))
    assert list(news(FULL, FULL)) == []
    assert list(news(status(siren="off"), raised)) == [
        "ALARM    smoke: raised. smoke is wrong (high)",
        "OUTPUT   siren.output: on",
    ]
    assert list(news(raised, status(siren="off"))) == ["ALARM    smoke: normal", "OUTPUT   siren.output: off"]
    lost = status(qualities={"dock-air": "no_reply"}, uplink="no connection")
    assert list(news(status(), lost)) == ["DEVICE   dock-air: no_reply", "UPLINK   platform: no connection"]


def test_an_alarm_that_is_hidden_while_nothing_is_wrong_is_told_as_such() -> None:
    hidden = Hidden(Hiding.SUPPRESSED, "rule", "the door is open")
    quiet = replace(alarm("warm", "cold-1", AlarmState.NORMAL), hidden=hidden)
    told = list(news(status(), status(quiet)))
    assert "ALARM    warm: would not call now, suppressed: the door is open" in told


def test_the_first_look_is_no_news_of_outputs_at_rest() -> None:
    assert not [line for line in news(None, status(siren="off")) if line.startswith("OUTPUT")]


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("temperature", -0.04, "-0.0 °C"),
        ("people", 46, "46 inside"),
        ("position", (-33.5, 151.25), "33.5000°S 151.2500°E"),
        ("smoke", "alarm", "alarm"),
        ("humidity", None, "-"),
    ],
)
def test_values_read_as_people_write_them(kind: str, value: Value | None, text: str) -> None:
    assert written(kind, point("x", kind).unit, value) == text


def test_times_and_sizes_are_short() -> None:
    assert [age(None), age(0.44), age(99.9), age(600)] == ["-", "0.4 s", "100 s", "10 min"]
    assert [clock(0), clock(61.9), clock(725)] == ["0:00", "1:01", "12:05"]
    assert [size(312_000), size(2_500_000)] == ["312 kB", "2.5 MB"]


def test_an_output_that_is_on_stands_out() -> None:
    lines = frame(view(status(siren="on")), 80, 24)
    assert any("siren" in line and "\x1b[1;31mon" in line for line in lines)
    assert not any("siren" in line and "\x1b[1;31m" in line for line in frame(view(status(siren="off")), 80, 24))


def test_an_alarm_without_a_response_keeps_its_words_within_the_line() -> None:
    long = replace(alarm("a", "cold-1", AlarmState.LATCHED_ACK), text="x" * 300)
    assert all(len(line) <= 80 for line in plain(frame(view(status(long)), 80, 24)))
