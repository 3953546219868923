"""Ports that go and come back under other names, that others hold, and lines that are set wrongly: told apart."""

from __future__ import annotations

import errno
import grp
import logging
import os
import pty
import pwd
import sqlite3
import subprocess
import sys
import threading
import time
import tty
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from daemon import Daemon, write_profile
from link_scene import Lines, Thermometer, Told, device, polling, serial_line
from modbus_responder import RtuDevices, bad_crc, instead
from test_poller import talking
from uplink_scene import until

from gateway.links.device import LinkDevice
from gateway.links.faults import unusable
from gateway.links.poller import RETRY_S
from gateway.links.port import Link
from gateway.links.suspicion import suspicion
from gateway.links.tally import Tally
from gateway.model import DeviceLost, LinkBack, LinkLost, Reading, Reason

HINT = "the adapter was unplugged or lost power: plug it in again; use its name under /dev/serial/by-id"
BUSY = tuple(range(1, 6))
"""Units that are polled without a pause between them."""


class Adapter(RtuDevices):
    """An adapter that can come back as another device under the same name, as USB adapters do."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.left: list[int] = []  # far ends of ports that nobody has closed yet

    def leave(self) -> None:
        """What the port was stays open, without a word: from now on nobody is behind it."""
        self.left += [self._fd, self._slave]
        self._fd = -1

    def plug_elsewhere(self) -> None:
        """The name leads to another device file now; what was there before is left open."""
        if self._fd >= 0:
            self.leave()
        self.plug()

    def close_what_was_left(self) -> None:
        for fd in self.left:
            os.close(fd)
        self.left.clear()


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[Adapter]:
    with Adapter(tmp_path) as adapter:
        yield adapter
        adapter.close_what_was_left()


@pytest.fixture
def line(bus: Adapter) -> Link:
    return serial_line(bus.path)


def busy(told: Told) -> None:
    """Everybody has answered."""
    for unit in BUSY:
        told.good(f"cold-{unit}")


def devices() -> list[LinkDevice]:
    return [device(f"cold-{unit}", Thermometer(unit), 0.02) for unit in BUSY]


def kinds(told: Told) -> list[str]:
    """What was told of the link and its devices, in order, the same once; what a busy machine was late for, not."""
    words: list[str] = []
    for fact in told.all():
        word = type(fact).__name__
        if isinstance(fact, Reading):
            word = "good" if not fact.bad else "down" if Reason.LINK_DOWN in fact.bad.values() else ""
        if word in {"good", "down", "LinkLost", "LinkBack"} and words[-1:] != [word]:
            words.append(word)
    return words


def take(terminal: str) -> list[int]:
    """Terminals for somebody else, until the number of this one is given away (the lowest that is free comes first)."""
    taken: list[int] = []
    while len(taken) < 100 and (not taken or os.ttyname(taken[-1]) != terminal):
        taken += pty.openpty()
    return taken


@pytest.mark.parametrize("away_s", [0.05, 3.0])
def test_an_adapter_that_comes_back_as_another_port_under_load_resumes_by_itself(
    bus: Adapter, line: Link, away_s: float, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "gateway.links")
    was = os.path.realpath(bus.path)
    with polling(line, *devices(), retry_s=RETRY_S) as told:
        busy(told)
        bus.do(bus.unplug)
        lost = told.next(LinkLost)
        taken = take(was)
        threading.Event().wait(away_s)
        bus.do(bus.plug)
        plugged = time.monotonic()
        told.next(LinkBack)
        back_s = time.monotonic() - plugged
        busy(told)
    assert os.path.realpath(bus.path) != was
    assert back_s < 2.0
    assert lost.hint == HINT
    assert kinds(told) == ["LinkBack", "good", "LinkLost", "down", "LinkBack", "good"]
    told_in_log = [record.message for record in caplog.records if record.message.startswith("link bus1")]
    assert [words.split(" after")[0] for words in told_in_log] == [
        f"link bus1 is down: bus1 ({bus.path}): the other end has gone ({HINT})",
        "link bus1 is back",
    ]
    for fd in taken:
        os.close(fd)


def test_a_port_that_appears_while_the_old_one_is_still_held_is_gone_over_to(bus: Adapter, line: Link) -> None:
    with polling(line, *devices(), retry_s=RETRY_S) as told:
        busy(told)
        bus.do(bus.plug_elsewhere)
        bus.do(bus.close_what_was_left)
        lost = told.next(LinkLost)
        told.next(LinkBack)
        busy(told)
    assert lost.what == f"bus1 ({bus.path}): the other end has gone"
    assert [word for word in kinds(told) if word.startswith("Link")] == ["LinkBack", "LinkLost", "LinkBack"]


def test_a_port_whose_name_leads_elsewhere_is_left_even_if_nobody_says_that_it_has_gone(
    bus: Adapter, line: Link
) -> None:
    with polling(line, *devices(), retry_s=RETRY_S) as told:
        busy(told)
        bus.do(bus.plug_elsewhere)
        lost = told.next(LinkLost, within_s=5.0)
        told.next(LinkBack)
        busy(told)
    assert lost.what == f"bus1 ({bus.path}): this name leads to another device now"
    assert [word for word in kinds(told) if word.startswith("Link")] == ["LinkBack", "LinkLost", "LinkBack"]


def test_a_device_that_talks_is_heard_again_after_its_port_came_back(tmp_path: Path) -> None:
    with talking(tmp_path) as (fd, link), polling(link, device("counter", Lines(), 60.0), retry_s=RETRY_S) as told:
        told.next(LinkBack)
        os.write(fd, b"123\n")
        assert told.reading("counter").values == {"people_in": 123}
        (tmp_path / "ttyUSB0").unlink()
        again, slave = pty.openpty()
        tty.setraw(slave)
        (tmp_path / "ttyUSB0").symlink_to(os.ttyname(slave))
        os.write(fd, b"4\n")  # it is still there, so it is still heard
        assert told.reading("counter").values == {"people_in": 4}
        os.write(fd, b"5\n")
        while isinstance(told.first(lambda fact: isinstance(fact, Reading | LinkLost)), Reading):
            os.write(fd, b"5\n")
        told.next(LinkBack)
        os.write(again, b"6\n")
        assert told.reading("counter").values == {"people_in": 6}
        os.close(again)
        os.close(slave)


HOLD = """\
import fcntl, os, sys
port = os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY)
fcntl.flock(port, fcntl.LOCK_EX)
print(flush=True)
input()
"""


def test_a_port_that_another_program_has_taken_names_it_and_is_used_when_that_ends(
    bus: Adapter, line: Link, tmp_path: Path
) -> None:
    (tmp_path / "ModemManager").write_text(HOLD)
    command = [sys.executable, str(tmp_path / "ModemManager"), str(bus.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with polling(line, *devices()) as told:
            lost = told.next(LinkLost)
            process.communicate(b"\n", timeout=10)
            told.next(LinkBack)
            busy(told)
    assert lost.what == f"{bus.path} is in use by ModemManager (process {process.pid})"
    assert lost.hint == "it looks for modems: sudo systemctl disable --now ModemManager"


def failed(code: int, port: Path) -> tuple[str, str]:
    why = unusable(str(port), OSError(code, os.strerror(code)))
    return why.what, why.hint


def test_why_a_port_cannot_be_opened_is_told_apart(tmp_path: Path) -> None:
    port = tmp_path / "ttyUSB0"
    port.write_text("")
    port.chmod(0o600)
    group, user = grp.getgrgid(port.stat().st_gid).gr_name, pwd.getpwuid(os.geteuid()).pw_name
    closed = (f"no permission to open {port}: it belongs to the group {group}, mode 600",)
    assert failed(errno.EACCES, port) == (
        *closed,
        'let its group use it, with a udev rule: GROUP="dialout", MODE="0660"',
    )
    port.chmod(0o666)
    assert failed(errno.EACCES, port)[1] == (
        f"add the user to the group, then start again: sudo usermod -aG {group} {user}"
    )
    assert failed(errno.EPERM, port) == (
        f"opening {port} is forbidden to this service",
        "its unit allows some kinds of ports only: sudo systemctl edit sitewarden, DeviceAllow=",
    )
    assert failed(errno.EBUSY, port) == (
        f"{port} is in use by another program",
        f"find it with: sudo fuser -v {port}",
    )
    assert failed(errno.ENOENT, port)[0] == f"there is no port {port}"
    assert failed(errno.EIO, port)[0] == f"{port} exists but nothing answers behind it (Input/output error)"


# ---------------------------------------------------------------- a line that is set wrongly

SETTINGS = (
    "bytes arrive and never a frame: check `baudrate`, `parity` and `stopbits` of the link; if they are right, for a "
    "device that talks by itself or another master"
)
NOBODY = "nobody has answered on this line yet: check A and B (swap them), `baudrate`, `parity`, power and unit ids"
OTHERS = "others on this line answer, so its port is right: check its power, its unit id and its own baud rate"
TWINS = "others on this line answer: look for a second device with its unit id, and at its own cable"


def test_bytes_that_never_make_a_frame_point_at_the_settings_of_the_line(bus: Adapter, line: Link) -> None:
    bus.always[1] = instead(bytes.fromhex("00fc1300e0ff"))
    with polling(line, device("one", Thermometer(1))) as told:
        assert told.next(DeviceLost, within_s=10).hint == SETTINGS
        assert told.poller._link.noise_bytes > 0


def test_silence_of_everybody_points_at_the_line_and_of_one_at_the_device(bus: Adapter, line: Link) -> None:
    bus.deaf = {1}
    with polling(line, device("one", Thermometer(1))) as told:
        assert told.next(DeviceLost, within_s=10).hint == NOBODY
    with polling(line, device("one", Thermometer(1)), device("two", Thermometer(2))) as told:
        lost = told.next(DeviceLost, within_s=10)
        assert (lost.device, lost.hint) == ("one", OTHERS)


def test_a_device_that_did_answer_is_not_told_to_have_wrong_settings(bus: Adapter, line: Link) -> None:
    with polling(line, device("one", Thermometer(1))) as told:
        told.good("one")
        bus.deaf = {1}
        lost = told.next(DeviceLost, within_s=10)
    assert lost.hint == "check that it has power, its unit id, the wiring (A/B), baud rate and parity"


def test_one_that_is_garbled_where_others_answer_may_share_its_unit_id(bus: Adapter, line: Link) -> None:
    bus.always[1] = bad_crc
    with polling(line, device("one", Thermometer(1)), device("two", Thermometer(2))) as told:
        assert told.next(DeviceLost, within_s=10).hint == TWINS


def test_what_is_suspected_follows_from_the_faults_of_all() -> None:
    silent, garbled, well = Tally(), Tally(), Tally()
    silent.failures.update({"silent": 2, "noise": 1})
    garbled.failures.update({"checksum": 2, "silent": 1})
    well.answered(0.01)
    assert suspicion(silent, [garbled]) == NOBODY
    assert suspicion(garbled, [silent]) == SETTINGS
    assert suspicion(silent, [garbled, well]) == OTHERS
    assert suspicion(garbled, [well]) == TWINS
    assert suspicion(well, [silent]) == ""


def test_a_talker_at_a_wrong_baud_rate_is_not_told_to_be_silent(tmp_path: Path) -> None:
    with talking(tmp_path) as (fd, link), polling(link, device("counter", Lines(), 0.1)) as told:
        told.next(LinkBack)
        os.write(fd, b"\xfe\x80" * 40)
        lost = told.next(DeviceLost, within_s=8)
    assert lost.what == "it says nothing that can be read, in 80 bytes"
    assert lost.hint == "check `baudrate` and `parity` of its link, and that this is its driver"


def test_a_talker_that_says_nothing_is(tmp_path: Path) -> None:
    with talking(tmp_path) as (_, link), polling(link, device("counter", Lines(), 0.1)) as told:
        assert told.next(DeviceLost, within_s=8).what == "it says nothing any more"


SITE = """\
site: {{id: dc3}}
gateway: {{id: gw1}}
links:
  bus1: {{type: serial, port: {port}, baudrate: 115200, timeout: 50ms}}
devices:
  cold-1: {{driver: modbus, link: bus1, unit: 1, profile: test, every: 100ms, zone: cold}}
  cold-2: {{driver: modbus, link: bus1, unit: 2, profile: test, every: 100ms, zone: cold}}
"""


def test_the_running_daemon_says_that_a_link_is_lost_once_and_back_once(bus: Adapter, tmp_path: Path) -> None:
    write_profile(tmp_path, "test", 2)

    def qualities() -> set[str]:
        status = daemon.status()
        return {point["quality"] for point in status["points"]} if status else set()

    with Daemon(tmp_path, SITE.format(port=bus.path)) as daemon:
        until(lambda: qualities() == {"good"})
        was = os.path.realpath(bus.path)
        bus.do(bus.unplug)
        until(lambda: qualities() == {"link_down"})
        taken = take(was)
        bus.do(bus.plug)
        plugged = time.monotonic()
        until(lambda: qualities() == {"good"})
        assert time.monotonic() - plugged < 3.0
        assert daemon.stop() == 0
    with closing(sqlite3.connect(daemon.state / "journal.db")) as journal:
        events = [event for (event,) in journal.execute("SELECT event FROM events")]
    assert [event for event in events if event.startswith("link")] == ["link_lost", "link_back"]
    for fd in taken:
        os.close(fd)
