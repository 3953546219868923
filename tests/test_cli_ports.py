"""`sitewarden ports`: a synthetic tree of a Raspberry Pi with adapters, and real terminals that real processes hold."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from machine_tree import MachineTree

from gateway.cli import OK, main
from gateway.cli.held import Attended
from gateway.cli.ports import Found, found, hints, lines
from gateway.links.access import Guarded, User
from gateway.links.adapters import serial_ports

FTDI = {"idVendor": "0403", "idProduct": "6001", "manufacturer": "FTDI", "product": "FT232R USB UART", "serial": "A10K"}
CH340 = {"idVendor": "1a86", "idProduct": "7523", "product": "USB Serial"}
UBLOX = {
    "idVendor": "1546",
    "idProduct": "01a7",
    "manufacturer": "u-blox AG",
    "product": "u-blox 7 - GPS/GNSS Receiver",
}
PATH = "platform-3f980000.usb-usb-0:1.{}:1.0-port0"
PI = (Path(__file__).parent / "setting_up" / "ports-pi.txt").read_text(encoding="utf-8")
RULE = 'a udev rule with GROUP="dialout", MODE="0660" opens it to that group'


@pytest.fixture
def tree(tmp_path: Path) -> MachineTree:
    return MachineTree(tmp_path / "machine")


@pytest.fixture
def pi(tree: MachineTree) -> MachineTree:
    """A Raspberry Pi with four adapters, of which two are alike."""
    shared = "usb-1a86_USB_Serial-if00-port0"
    tree.usb(
        "ttyUSB0", "1-1.2", FTDI, "ftdi_sio", by_id="usb-FTDI_FT232R_USB_UART_A10K-if00-port0", by_path=PATH.format(2)
    )
    tree.usb("ttyUSB1", "1-1.3", CH340, "ch341", by_id=shared, by_path=PATH.format(3))
    tree.usb("ttyUSB2", "1-1.4", CH340, "ch341", by_id=shared, by_path=PATH.format(4))
    tree.usb("ttyACM0", "1-1.5", UBLOX, "cdc_acm", by_id="usb-u-blox_AG-if00")
    tree.own("ttyAMA0", "uart-pl011", alias="serial0")
    tree.own("ttyS0", "serial8250", kind="0")
    tree.consoles("tty1 ttyAMA0")
    return tree


def free(ports: Sequence[Found]) -> list[Found]:
    """The ports as they are where the group dialout has them, and nobody holds them."""
    return [it._replace(daemon=None, others=(), group="dialout", barred="") for it in ports]


def test_a_pi_with_four_adapters_is_told_as_a_table_with_the_names_that_stay(pi: MachineTree, tmp_path: Path) -> None:
    ports = free(found(pi.root, tmp_path))
    ports[2] = ports[2]._replace(daemon=Attended("bus1", 812, Path("/var/lib/sitewarden")))
    assert "\n".join(lines(ports)) + "\n" == PI


def test_a_machine_without_a_port_says_so(tree: MachineTree, tmp_path: Path) -> None:
    tree.own("ttyS0", "serial8250", kind="0")
    tree.consoles("tty1")
    told = "\n".join(lines(found(tree.root, tmp_path)))
    assert told == "no serial port: plug the adapter in; if it is, `sudo dmesg` tells whether the kernel has seen it"


def test_adapters_with_numbers_of_their_own_are_no_twins_and_ports_of_one_adapter_neither(tree: MachineTree) -> None:
    tree.usb("ttyUSB0", "1-1.2", FTDI, "ftdi_sio", by_id="a")
    tree.usb("ttyUSB1", "1-1.3", {**FTDI, "serial": "B7"}, "ftdi_sio", by_id="b")
    tree.usb("ttyUSB2", "1-1.3", {**FTDI, "serial": "B7"}, "ftdi_sio", by_id="c", interface="01")
    tree.usb("ttyUSB10", "1-1.4", {**FTDI, "serial": "C"}, "moxa", by_id="d")
    tree.usb("ttyUSB9", "1-1.5", {**FTDI, "serial": "C"}, "moxa", by_id="e", number="1")
    ports = serial_ports(tree.root)
    assert [port.device for port in ports] == [f"/dev/ttyUSB{number}" for number in (0, 1, 2, 9, 10)]
    assert [port.stable for port in ports] == [f"/dev/serial/by-id/{name}" for name in "abced"]
    assert not any(port.twins for port in ports)


def test_clones_with_the_same_serial_number_are_twins(tree: MachineTree) -> None:
    for number in (0, 1):
        tree.usb(f"ttyUSB{number}", f"1-1.{number + 2}", {**CH340, "serial": "0001"}, "cp210x", by_path=f"path{number}")
    ports = serial_ports(tree.root)
    assert [port.twins for port in ports] == [("/dev/ttyUSB1",), ("/dev/ttyUSB0",)]
    assert [port.stable for port in ports] == ["/dev/serial/by-path/path0", "/dev/serial/by-path/path1"]


def test_of_two_names_for_a_socket_the_one_is_taken_that_older_systems_have_too(tree: MachineTree) -> None:
    tree.usb("ttyUSB0", "1-1.2", CH340, "ch341", by_path="platform-x-usbv2-0:1.2:1.0-port0")
    (tree.root / "dev/serial/by-path/platform-x-usb-0:1.2:1.0-port0").symlink_to("../../ttyUSB0")
    assert serial_ports(tree.root)[0].stable == "/dev/serial/by-path/platform-x-usb-0:1.2:1.0-port0"


def test_what_stands_in_the_way_is_told_with_its_remedy(tree: MachineTree, tmp_path: Path) -> None:
    tree.usb("ttyUSB0", "1-1.2", CH340, "ch341")
    tree.own("ttyS0", "bcm2835-aux-uart")
    tree.consoles("tty1 ttyS0")
    mini, nameless = free(found(tree.root, tmp_path))
    assert list(hints(nameless)) == [
        "udev has made no stable name: its number can change whenever something is plugged in"
    ]
    assert list(hints(mini)) == [
        "the system's console is on it: take console=ttyS0 out of the kernel's command line, then restart",
        "a UART without parity, whose baud rate follows the processor's clock; dtoverlay=disable-bt gives another",
    ]
    (tree.root / "dev/ttyS0").unlink()
    gone = found(tree.root, tmp_path)[0]
    assert (gone.group, gone.barred) == ("", "there is no device file for it")


def test_twins_without_names_by_path_cannot_be_told_apart(tree: MachineTree, tmp_path: Path) -> None:
    for number in (0, 1):
        tree.usb(f"ttyUSB{number}", f"1-1.{number}", CH340, "ch341", by_id="same")
    first = free(found(tree.root, tmp_path))[0]
    assert list(hints(first)) == [
        "/dev/ttyUSB1 says the same of itself, and udev has made no name by-path: they cannot be told apart"
    ]


ROOT, INSTALLER, MEMBER = User(0, {0}), User(1000, {1000}), User(1000, {1000, 20})


@pytest.mark.parametrize(
    ("guarded", "user", "hint"),
    [
        (Guarded(0o660, 0, 20, "dialout"), MEMBER, ""),
        (Guarded(0o666, 0, 0, "root"), INSTALLER, ""),
        (Guarded(0o660, 0, 20, "dialout"), ROOT, ""),
        (
            Guarded(0o660, 0, 20, "dialout"),
            INSTALLER,
            "join its group, then log in again: sudo usermod -aG dialout $USER",
        ),
        (
            Guarded(0o660, 0, 20, "dialout"),
            INSTALLER._replace(enrolled=[20]),
            "you are in its group dialout, but not since this login: log out and in again",
        ),
        (
            Guarded(0o600, 0, 20, "dialout"),
            ROOT,
            f"only its owner may open it (mode 600): {RULE}",
        ),
        (
            Guarded(0o660, 0, 0, "root"),
            ROOT,
            f"only its owner may open it (mode 660): {RULE}",
        ),
    ],
)
def test_who_may_not_open_a_port_is_told_what_to_do(guarded: Guarded, user: User, hint: str) -> None:
    assert guarded.hint(user) == hint


@pytest.fixture
def terminal() -> Iterator[str]:
    master, slave = pty.openpty()
    name = os.ttyname(slave)
    os.close(slave)
    yield name
    os.close(master)


def test_a_program_that_has_a_port_is_named(tree: MachineTree, terminal: str, tmp_path: Path) -> None:
    (tmp_path / "minicom").write_text("import sys; port = open(sys.argv[1]); print(flush=True); input()")
    tree.usb("ttyUSB0", "1-1.2", FTDI, "ftdi_sio", by_id="ftdi", behind=terminal)
    assert found(tree.root, tmp_path)[0].held == "nobody"
    command = [sys.executable, str(tmp_path / "minicom"), terminal]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        held = found(tree.root, tmp_path)[0].held
        process.communicate(b"\n", timeout=10)
    assert held == f"minicom (process {process.pid})"


def test_the_command_lists_the_ports_of_this_machine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ports", "--state", str(tmp_path)]) == OK
    assert capsys.readouterr().out.splitlines() == list(lines(found(Path("/"), tmp_path)))
    assert main(["ports", "--json", "--state", str(tmp_path)]) == OK
    told = json.loads(capsys.readouterr().out)
    assert [it["device"] for it in told] == [port.device for port in serial_ports()]


def test_the_json_holds_all_that_the_table_does(
    pi: MachineTree, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.cli.ports.ROOT", pi.root)
    assert main(["ports", "--json", "--state", str(tmp_path)]) == OK
    told = {it["device"]: it for it in json.loads(capsys.readouterr().out)}
    twin = told["/dev/ttyUSB1"]
    assert twin["stable"] == "/dev/serial/by-path/platform-3f980000.usb-usb-0:1.3:1.0-port0"
    assert twin["twins"] == ["/dev/ttyUSB2"]
    assert twin["usb"]["position"] == "1-1.3"
    assert told["/dev/ttyUSB0"]["usb"]["serial"] == "A10K"
    assert told["/dev/ttyAMA0"]["usb"] is None
    assert told["/dev/ttyAMA0"]["console"]
