"""The whole demo: the daemon on the simulated site, from the first byte to the verdict."""

from __future__ import annotations

import io
import os
import pty
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue

import pytest
from gpiozero import Device

from gateway.config.installed import read_config
from gateway.demo.broker import Broker
from gateway.demo.casts import CENTRE, SITES
from gateway.demo.performance import EXAMPLES, UPLINK, Options, perform
from gateway.demo.story import STORY, Aim, Contact, Expected, Operator, Scene, Silence, Smoke, Story

TOP = Path(__file__).parents[1]

QUICK: dict[tuple[str, ...], object] = {
    ("rules", "freezer-warm", "for"): "300ms",
    ("rules", "dock-air-silent", "silent_for"): "900ms",
    ("devices", "cold-1", "every"): "400ms",
    ("devices", "freezer-1", "every"): "400ms",
    ("devices", "dock-air", "every"): "400ms",
}


def faster(story: Story, factor: float, patience_s: float) -> Story:
    """The same story told `factor` times as fast; alarms may come `patience_s` later than that."""
    return replace(
        story,
        scenes=tuple(
            Scene(
                scene.at_s / factor,
                scene.caption,
                tuple(a._replace(within_s=a.within_s / factor) if isinstance(a, Aim) else a for a in scene.acts),
            )
            for scene in story.scenes
        ),
        expected=tuple(Expected(e.alarm, e.from_s / factor, e.by_s / factor + patience_s) for e in story.expected),
        ends_s=story.ends_s / factor,
    )


@pytest.fixture(autouse=True)
def _pins_are_given_back() -> Iterator[None]:
    yield
    Device.pin_factory = None


def test_the_whole_story_keeps_every_promise(tmp_path: Path) -> None:
    out = io.StringIO()
    story = faster(STORY, 6.5, 1.0)
    options = Options(
        drawn=False, lasts_s=story.ends_s, keep=tmp_path, cast=replace(CENTRE, story=story), overrides=QUICK
    )
    assert perform(options, out, SimpleQueue()) == 0, out.getvalue()
    told = out.getvalue()
    assert "put to the test: 8 of 8." in told, told
    assert "BROKEN" not in told
    for line in ("siren.output: on", "dock-air: no_reply", "dock-air: good", f"{UPLINK}: online", "siren.output: off"):
        assert line in told
    read, events = re.search(r"([0-9,]+) readings and ([0-9,]+) events", told).groups()  # type: ignore[union-attr]
    with sqlite3.connect(tmp_path / "journal.db") as journal:
        counts = [journal.execute(f"SELECT count(*) FROM {lane}").fetchone()[0] for lane in ("telemetry", "event")]
    journal.close()
    assert counts[0] >= int(read) > 50
    assert counts[1] >= int(events) > 15


def test_a_broken_promise_is_said_and_ends_with_1() -> None:
    out = io.StringIO()
    story = replace(STORY, scenes=STORY.scenes[:1], expected=(Expected("room-warm", 0, 0.5),))
    assert perform(Options(drawn=False, lasts_s=1.0, cast=replace(CENTRE, story=story)), out, SimpleQueue()) == 1
    assert "BROKEN" in out.getvalue()
    assert "room-warm did not come" in out.getvalue()


def test_what_was_not_played_is_neither_kept_nor_broken_and_nothing_stays_behind() -> None:
    out = io.StringIO()
    threads, files = threading.active_count(), open_files()
    assert perform(Options(drawn=False, lasts_s=1.0), out, SimpleQueue()) == 0
    assert out.getvalue().count("not played") == 5
    assert threading.active_count() == threads
    assert open_files() == files
    folder = re.search(r"--state (\S+)", out.getvalue())
    assert folder is not None
    assert not Path(folder[1]).exists()


def open_files() -> int:
    """Files, sockets and terminals of this process; a link's wake-up outlives it on purpose."""
    names = []
    for each in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # that of the listing itself
            names.append(str(each.readlink()))
    return sum("eventfd" not in name for name in names)


def test_somebody_elses_broker_is_used_and_the_journal_speaks_for_it() -> None:
    broker = Broker()
    url = f"mqtt://127.0.0.1:{broker.start()}"
    out = io.StringIO()
    smoke = "smoke@smoke-1.smoke"
    story = Story(
        scenes=(
            Scene(0, "Smoke.", (Smoke("smoke-1", True),)),
            Scene(1, "It clears.", (Smoke("smoke-1", False),)),
            Scene(1.5, "Reset.", (Operator("acknowledge", smoke), Operator("reset", smoke))),
        ),
        expected=(Expected(smoke, 0, 1),),
        ends_s=2,
    )
    try:
        assert (
            perform(
                Options(drawn=False, lasts_s=2.5, broker_url=url, cast=replace(CENTRE, story=story)), out, SimpleQueue()
            )
            == 0
        )
        assert b'"stopped"' in broker.retained()["sitewarden/v1/dc3/gw1/status"]
    finally:
        broker.stop()
    told = out.getvalue()
    assert "nobody counted there" in told
    assert re.search(r"kept +everything stored was acknowledged", told)
    assert re.search(r"kept +the siren went on until", told), told


def test_a_word_ends_it_at_once() -> None:
    words: SimpleQueue[str] = SimpleQueue()
    words.put("enough")
    begun = time.monotonic()
    out = io.StringIO()
    assert perform(Options(drawn=False), out, words) == 0
    assert time.monotonic() - begun < 10
    assert "All promises were kept" in out.getvalue()


def test_on_a_terminal_it_is_a_picture_and_the_terminal_comes_back() -> None:
    code, said = in_terminal(["--for", "2s"])
    assert code == 0, said
    assert said.index("\x1b[?1049h") < said.index("SITEWARDEN demo") < said.index("\x1b[?1049l")
    assert "Traceback" not in said
    assert said.rindex("\x1b") < said.index("The simulated site was watched")


def test_control_c_ends_it_with_the_summary() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "gateway", "demo", "--headless"], stdout=subprocess.PIPE, text=True, cwd=TOP
    )
    with process:
        assert process.stdout is not None
        for line in process.stdout:
            if f"{UPLINK}: online" in line:
                break
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
        assert process.wait(30) == 0
    assert "All promises were kept" in rest


def in_terminal(arguments: list[str]) -> tuple[int, str]:
    """Run the demo on a terminal of its own; its exit code and everything it wrote."""
    far, near = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "gateway", "demo", *arguments],
        stdin=near,
        stdout=near,
        stderr=near,
        cwd=TOP,
        env={**os.environ, "TERM": "xterm"},
    )
    os.close(near)
    said = b""
    with process, os.fdopen(far, "rb", buffering=0) as terminal:
        try:
            while chunk := terminal.read(65536):
                said += chunk
        except OSError:  # the other end is closed: the process has ended
            pass
        return process.wait(30), said.decode()


def test_a_folder_that_cannot_be_made_is_said() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "demo", "--keep", "/proc/x"],
        capture_output=True,
        text=True,
        cwd=TOP,
        check=False,
    )
    assert done.returncode == 73
    assert "/proc/x cannot be made" in done.stderr


def test_a_wrong_duration_is_refused_with_what_would_be_right() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "demo", "--for", "60"], capture_output=True, text=True, cwd=TOP, check=False
    )
    assert done.returncode == 2
    assert "10s" in done.stderr


@pytest.mark.parametrize("name", SITES)
def test_a_story_fits_its_terminal_and_its_site(name: str) -> None:
    cast = SITES[name]
    config = read_config(EXAMPLES / cast.example, cast.quicker)
    points = {f"{name}.{point.name}" for name, device in config.devices.items() for point in device.built.points}
    times = [scene.at_s for scene in cast.story.scenes]
    assert times == sorted(times)
    assert times[-1] < cast.story.ends_s <= 60
    for scene in cast.story.scenes:
        assert len(scene.caption) <= 76, "one line of a plain terminal"
        for act in scene.acts:
            match act:
                case Aim(quantity):
                    assert quantity in points
                case Smoke(device) | Silence(device) | Contact(device):
                    assert device in config.devices
    for expected in cast.story.expected:
        assert expected.alarm.partition("@")[0] in config.rules


def test_each_site_is_played_to_its_end_and_keeps_its_promises() -> None:
    """All at the same time, each in a process of its own: simulated pins are there once in each."""
    played = {}
    for name, cast in SITES.items():
        command = [
            sys.executable,
            "-m",
            "gateway",
            "demo",
            "--site",
            name,
            "--headless",
            "--for",
            f"{cast.story.ends_s}s",
        ]
        played[name] = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=TOP)
    told = {name: process.communicate(timeout=150)[0] for name, process in played.items()}
    for name, process in played.items():
        assert process.returncode == 0, told[name]
        assert "BROKEN" not in told[name]
        assert "kept        every expected alarm was raised" in told[name]
