"""The wire that a command names, and who holds it: real terminals, real processes, a real control socket."""

from __future__ import annotations

import argparse
import os
import pty
import subprocess
import sys
import threading
import time
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest
from modbus_responder import RtuDevices, TcpDevices, value_of

from gateway.cli.held import Attended, attended
from gateway.cli.held import links as links_of
from gateway.cli.wire import Wire, add_wire_arguments, chosen_wire, opened
from gateway.config.schema import SerialLink, TcpLink
from gateway.control import Control, socket_path
from gateway.driver import Table
from gateway.errors import LinkDown, SitewardenError
from gateway.links.holder import Holder, holders, program
from gateway.model import Json

SITE = """\
site: {id: dc3}
gateway: {id: gw1}
links:
  bus1: {type: serial, port: /dev/ttyUSB7, baudrate: 4800, parity: even}
  io: {type: tcp, host: 10.0.0.7, framing: rtu}
  gpio: {type: gpio, factory: mock}
devices:
  siren: {driver: relay, link: gpio, pin: 22, zone: hall}
"""
HOLD = "import os, sys, fcntl; fd = os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY); {lock}print(flush=True); input()"
LOCK = "fcntl.flock(fd, fcntl.LOCK_EX); "


def wire(*written: object) -> Wire:
    parser = argparse.ArgumentParser(prog="sitewarden read")
    add_wire_arguments(parser)
    return chosen_wire(parser.parse_args([str(word) for word in written]))


def test_a_port_has_the_usual_settings_unless_others_are_given() -> None:
    assert wire("--port", "/dev/ttyUSB0") == Wire("port", SerialLink(type="serial", port="/dev/ttyUSB0"))
    given = wire("--port", "x", "--baudrate", 4800, "--parity", "even", "--stopbits", 2, "--echo", "--timeout", "50ms")
    part = SerialLink(type="serial", port="x", baudrate=4800, parity="even", stopbits=2, echo=True, timeout=0.05)
    assert given.part == part
    assert given.where == "x"


@pytest.mark.parametrize(
    ("written", "host", "port"),
    [
        ("10.0.0.7", "10.0.0.7", 502),
        ("plc.example:1502", "plc.example", 1502),
        ("[fe80::1]", "fe80::1", 502),
        ("[fe80::1]:1502", "fe80::1", 1502),
    ],
)
def test_a_peer_is_a_host_and_a_port_that_is_502_if_left_out(written: str, host: str, port: int) -> None:
    assert wire("--tcp", written) == Wire("peer", TcpLink(type="tcp", host=host, port=port))


def test_a_link_comes_with_the_settings_of_its_configuration(tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text(SITE)
    bus1 = wire("--link", "bus1", "--config", tmp_path / "site.yaml")
    assert bus1 == Wire("bus1", SerialLink(type="serial", port="/dev/ttyUSB7", baudrate=4800, parity="even"))
    with pytest.raises(SitewardenError) as caught:
        wire("--link", "gpio", "--config", tmp_path / "site.yaml")
    assert caught.value.what == f"{tmp_path / 'site.yaml'} has no serial or TCP link gpio"
    assert caught.value.hint == "it has: bus1, io"


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ((), "one of the arguments --port --tcp --link is required"),
        (("--port", "x", "--tcp", "y"), "argument --tcp: not allowed with argument --port"),
        (("--port", "x", "--framing", "rtu"), "argument --framing: goes with --tcp"),
        (("--port", "x", "--config", "y"), "argument --config: goes with --link"),
        (("--tcp", "x", "--parity", "even"), "argument --parity: goes with --port"),
        (
            ("--link", "x", "--baudrate", "4800"),
            "argument --baudrate: is in the configuration: leave it out, or use --port",
        ),
        (("--tcp", "x:0"), "argument --tcp: write HOST or HOST:PORT, as in 10.0.0.7:502, not 'x:0'"),
        (("--tcp", "fe80::1"), "argument --tcp: write HOST or HOST:PORT, as in 10.0.0.7:502, not 'fe80::1'"),
        (("--port", "x", "--baudrate", "12"), "argument --baudrate: a baud rate is 300 to 4000000, not '12'"),
        (
            ("--port", "x", "--timeout", "50"),
            "argument --timeout: a duration needs a number and a unit, as in 200ms, 10s, 5m, 2h or 7d",
        ),
        (("--port", "x", "--timeout", "1m"), "argument --timeout: a timeout is 10ms to 10s, not 1m"),
    ],
)
def test_what_contradicts_itself_is_refused_in_words(
    written: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        wire(*written)
    assert caught.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1] == f"sitewarden read: error: {said}"


def test_the_devices_on_an_opened_wire_answer(tmp_path: Path) -> None:
    right = [value_of(3, 4, address) for address in (1, 2)]
    with RtuDevices(tmp_path) as bus, opened(wire("--port", bus.path, "--baudrate", 115200)) as devices:
        assert list(devices.read(3, Table.INPUT, 1, 2)) == right
    with TcpDevices() as peer, opened(wire("--tcp", f"127.0.0.1:{peer.port}")) as devices:
        assert list(devices.read(3, Table.INPUT, 1, 2)) == right


def test_a_wire_that_cannot_be_opened_says_why(tmp_path: Path) -> None:
    with pytest.raises(LinkDown, match="there is no port"), opened(wire("--port", tmp_path / "ttyUSB0")):
        pass


# ---------------------------------------------------------------- who holds it


@pytest.fixture
def terminal() -> Iterator[str]:
    master, slave = pty.openpty()
    tty.setraw(slave)
    name = os.ttyname(slave)
    os.close(slave)
    yield name
    os.close(master)


@pytest.mark.parametrize("lock", ["", LOCK], ids=["open", "locked"])
def test_another_program_that_holds_a_port_is_named(terminal: str, lock: str, tmp_path: Path) -> None:
    (tmp_path / "minicom").write_text(HOLD.format(lock=lock))
    (tmp_path / "ttyUSB0").symlink_to(terminal)
    assert holders(terminal) == ()
    command = [sys.executable, str(tmp_path / "minicom"), terminal]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        found = holders(str(tmp_path / "ttyUSB0"))
        process.communicate(b"\n", timeout=10)
    assert found == (Holder(process.pid, "minicom"),)
    assert str(found[0]) == f"minicom (process {process.pid})"


def test_a_lock_is_seen_where_open_files_are_not(terminal: str, tmp_path: Path) -> None:
    device = os.stat(terminal)  # noqa: PTH116 - a device, no path of ours
    file = f"{os.major(device.st_dev):02x}:{os.minor(device.st_dev):02x}:{device.st_ino}"
    (tmp_path / "locks").write_text(
        f"1: FLOCK  ADVISORY  WRITE 4711 {file} 0 EOF\n2: POSIX  ADVISORY  READ 4712 00:1b:77 0 EOF\n"
    )
    assert holders(terminal, tmp_path) == (Holder(4711, ""),)
    assert str(Holder(4711, "")) == "a program (process 4711)"


def test_what_is_no_device_or_not_there_is_held_by_nobody(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert holders(str(tmp_path / "file")) == holders(str(tmp_path / "none")) == ()


@pytest.mark.parametrize(
    ("cmdline", "name"),
    [
        (b"/usr/bin/minicom\0-D\0/dev/ttyUSB0\0", "minicom"),
        (b"/opt/sitewarden/bin/python3\0/usr/local/bin/sitewarden\0run\0", "sitewarden run"),
        (b"python3.11\0-m\0gateway\0run\0my.yaml\0", "sitewarden run"),
        (b"", ""),
    ],
)
def test_a_program_is_called_as_a_person_calls_it(cmdline: bytes, name: str, tmp_path: Path) -> None:
    (tmp_path / "77").mkdir()
    (tmp_path / "77" / "cmdline").write_bytes(cmdline)
    assert program(77, tmp_path) == name


@pytest.fixture
def daemon(tmp_path: Path, terminal: str) -> Iterator[Path]:
    """The state directory of what answers as a daemon with two links does."""
    links: dict[str, Json] = {
        "bus1": {"type": "serial", "port": terminal},
        "io": {"type": "tcp", "host": "10.0.0.7", "port": 502},
        "gpio": {"type": "gpio", "factory": "mock"},
    }
    control = Control(socket_path(tmp_path), lambda _: None, links)
    thread = threading.Thread(target=control.run)
    thread.start()
    until = time.monotonic() + 5
    while not list(links_of(tmp_path)):
        assert time.monotonic() < until
    yield tmp_path
    control.stop()
    thread.join(5)


def test_a_daemon_that_attends_a_wire_is_found_by_any_name_of_the_port(
    daemon: Path, terminal: str, tmp_path: Path
) -> None:
    (tmp_path / "by-id").symlink_to(terminal)
    bus1 = Attended("bus1", os.getpid(), daemon)
    assert attended(wire("--port", terminal), daemon) == bus1
    assert attended(wire("--port", tmp_path / "by-id"), daemon) == bus1
    assert attended(wire("--tcp", "10.0.0.7"), daemon) == Attended("io", os.getpid(), daemon)
    assert attended(wire("--tcp", "10.0.0.7:1502"), daemon) is None
    assert attended(wire("--port", "/dev/ttyUSB0"), daemon) is None
    assert str(bus1) == f"the running daemon (process {os.getpid()}, link bus1)"


def test_where_no_daemon_runs_nobody_attends_a_wire(tmp_path: Path, terminal: str) -> None:
    assert attended(wire("--port", terminal), tmp_path) is None
