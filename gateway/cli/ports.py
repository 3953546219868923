"""`sitewarden ports`: the serial ports of this machine, who has them, and which name goes into the configuration."""

from __future__ import annotations

import argparse
import grp
import json
import os
import pwd
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

from gateway.cli import OK
from gateway.cli.held import Attended, attended
from gateway.cli.table import table
from gateway.cli.wire import Wire
from gateway.config.schema import SerialLink
from gateway.links.access import Guarded, User
from gateway.links.adapters import ROOT, SerialPort, serial_ports
from gateway.links.holder import Holder, holders

_HEADER = "/dev/serial0"  # what Raspberry Pi OS calls the port on the header
_MINI_UART = "bcm2835-aux-uart"  # Raspberry Pi documentation, "Configure UARTs"


class Found(NamedTuple):
    """A port, who has it, its group ("" if there is no device file), and what keeps us or the daemon out."""

    port: SerialPort
    daemon: Attended | None
    others: tuple[Holder, ...]
    group: str
    barred: str

    @property
    def held(self) -> str:
        """Who has it, in words."""
        return ", ".join(map(str, self.others if self.daemon is None else (self.daemon,))) or "nobody"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How to print, and the daemon to ask."""
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.add_argument("--state", type=Path, default=None, metavar="DIR", help="the daemon's state directory")


def run(args: argparse.Namespace) -> int:
    """Say what is there."""
    ports = found(ROOT, args.state)
    print(json.dumps([_as_json(it) for it in ports], indent=2) if args.json else "\n".join(lines(ports)))
    return OK


def found(root: Path, state_dir: Path | None) -> Sequence[Found]:
    """The ports below `root`, with whoever has them."""
    me = _me()
    return [_found(port, root / port.device.lstrip("/"), state_dir, me) for port in serial_ports(root)]


def _found(port: SerialPort, file: Path, state_dir: Path | None, me: User) -> Found:
    daemon = attended(Wire("port", SerialLink(type="serial", port=str(file))), state_dir)
    guarded = _guarded(file)
    if guarded is None:
        return Found(port, daemon, (), "", "there is no device file for it")
    return Found(port, daemon, holders(str(file)), guarded.group, guarded.hint(me))


def lines(ports: Sequence[Found]) -> Iterable[str]:
    """What is there, what to write into the configuration, and what stands in the way."""
    if not ports:
        yield "no serial port: plug the adapter in; if it is, `sudo dmesg` tells whether the kernel has seen it"
        return
    rows = [(it.port.device, what(it.port), *_usb_cells(it.port), it.group or "-", it.held) for it in ports]
    yield from table(("PORT", "WHAT", "USB", "POSITION", "GROUP", "HELD BY"), rows, "")
    yield ""
    yield "Write into the configuration, and to the port options of commands:"
    for it in ports:
        yield f"  {it.port.device}  port: {it.port.stable}"
    told = [f"  {it.port.device}: {hint}" for it in ports for hint in hints(it)]
    if told:
        yield ""
        yield "To know:"
        yield from told


def what(port: SerialPort) -> str:
    """What the port is, in words."""
    usb = port.usb
    if usb is None:
        place = ", header pins 8 and 10" if port.alias == _HEADER else ""
        return f"the board's own{place}"
    brand = usb.maker.split(" ")[0]  # u-blox AG calls its own u-blox 7
    name = usb.name if brand in usb.name else f"{usb.maker} {usb.name}"
    return f"{name.strip() or 'USB adapter'}, {f'no. {usb.serial}' if usb.serial else 'without a number'}"


def hints(it: Found) -> Iterable[str]:
    """What an installer should know of this port."""
    port = it.port
    if port.twins:
        yield _twin_hint(port)
    elif port.usb is not None and not port.usb.serial and port.by_id:
        yield "it has no serial number: beside a second one like it, its name by-id is worth nothing; use by-path then"
    if port.usb is not None and not (port.by_id or port.by_path or port.twins):
        yield "udev has made no stable name: its number can change whenever something is plugged in"
    if port.console:
        yield f"the system's console is on it: {_console_remedy(port)}"
    if port.driver == _MINI_UART:
        yield "a UART without parity, whose baud rate follows the processor's clock; dtoverlay=disable-bt gives another"
    if it.barred:
        yield it.barred


def _console_remedy(port: SerialPort) -> str:
    if port.alias == _HEADER:
        return "sudo raspi-config, Interface Options, Serial Port: no login shell, hardware on; then restart"
    return f"take console={port.device.removeprefix('/dev/')} out of the kernel's command line, then restart"


def _twin_hint(port: SerialPort) -> str:
    others = " and ".join(port.twins)
    if not port.by_path:
        return f"{others} says the same of itself, and udev has made no name by-path: they cannot be told apart"
    return f"{others} says the same of itself, so a name by-id leads to either; by-path is the socket: keep it in there"


def _usb_cells(port: SerialPort) -> tuple[str, str]:
    return ("-", "-") if port.usb is None else (f"{port.usb.vendor}:{port.usb.product}", port.usb.position)


def _me() -> User:
    enrolled: list[int] = []
    with suppress(KeyError):
        own = pwd.getpwuid(os.geteuid())
        enrolled = os.getgrouplist(own.pw_name, own.pw_gid)
    return User(os.geteuid(), {os.getegid(), *os.getgroups()}, enrolled)


def _guarded(file: Path) -> Guarded | None:
    try:
        state = file.stat()
    except OSError:
        return None
    try:
        group = grp.getgrgid(state.st_gid).gr_name
    except KeyError:
        group = str(state.st_gid)
    return Guarded(state.st_mode, state.st_uid, state.st_gid, group)


def _as_json(it: Found) -> dict[str, object]:
    port, daemon = it.port, it.daemon
    return {
        **asdict(port),
        "usb": None if port.usb is None else port.usb._asdict(),
        "stable": port.stable,
        "daemon": None if daemon is None else {"link": daemon.link, "pid": daemon.pid, "state": str(daemon.state_dir)},
        "held_by": [holder._asdict() for holder in it.others],
        "group": it.group,
        "barred": it.barred,
        "hints": list(hints(it)),
    }
