"""`sitewarden capture`: what passes on a wire, as a file that the tests and a `replay` link play.

Without `--device` it only listens: to a device that talks by itself, to another master, or, beside a daemon that
attends the wire, to the daemon's own polls. With `--device` it asks that device a few times, and records all of it.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from gateway import __version__
from gateway.cli import FAILED, OK, default_config
from gateway.cli.direct import Direct
from gateway.cli.reach import Reach, reach
from gateway.cli.table import duration
from gateway.cli.talking import Lost
from gateway.cli.wire import Wire, add_wire_arguments, chosen_wire
from gateway.commissioning.recording import Recording, stamp
from gateway.config.installed import read_config
from gateway.config.schema import Device, SerialLink
from gateway.config.written import seconds, size_bytes
from gateway.driver import Family, Polled
from gateway.errors import CannotCreate, NoReply, Refused, SitewardenError

LONGEST_S = 3600.0
_MOST_POLLS = 1000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The wire, what to record of it, and for how long."""
    add_wire_arguments(parser)
    parser.add_argument("--state", type=Path, default=None, metavar="DIR", help="the daemon's state directory")
    device = "ask this device of the configuration, in place of listening; goes with --link"
    parser.add_argument("--device", default=None, metavar="ID", help=device)
    parser.add_argument("--polls", type=_polls, default=3, metavar="N", help="how often it is asked; default: 3")
    parser.add_argument("--for", dest="lasts", type=_duration, default=60.0, metavar="TIME", help="default: 60s")
    parser.add_argument("--max-size", type=_size, default=1_000_000, metavar="SIZE", help="of the file; default: 1MB")
    parser.add_argument("--write", type=Path, default=None, metavar="FILE", help="a new file; default: standard output")


def run(args: argparse.Namespace) -> int:
    """Record until the time is over, the file is full, or somebody ends it; 1 if nothing passed."""
    if args.device is not None and args.link is None:
        args.wrong_usage("argument --device: goes with --link")
    wire = chosen_wire(args)
    device = None if args.device is None else _device(args.device, args.link, args.config or default_config())
    began = time.monotonic()
    recording = Recording(_header(wire, args.device), time.time() - began, args.max_size, tcp=_is_tcp(wire))
    family = Family.REGISTERS if device is not None else Family.STREAM
    what = args.device or f"what passes on {wire.where}"
    with reach(wire, args.state, "capture", what, family) as devices, _sink(args.write) as out:
        _put(out, recording.head())
        with suppress(KeyboardInterrupt):  # how a person ends it
            if device is None:
                _listen(devices, args.lasts, recording, out)
            else:
                _ask(devices, device, args.polls, recording, out)
    print(_told(recording, time.monotonic() - began, args.write), file=sys.stderr)
    return OK if recording.pieces else FAILED


def _listen(devices: Reach, lasts_s: float, recording: Recording, out: TextIO) -> None:
    for passing in devices.listen(lasts_s):
        _put(out, recording.lost(passing.pieces) if isinstance(passing, Lost) else recording.lines(passing))
        if recording.full:
            return


def _ask(devices: Reach, device: Device, polls: int, recording: Recording, out: TextIO) -> None:
    driver = device.built
    if not isinstance(driver, Polled):
        raise SitewardenError("this device cannot be asked: it talks by itself", "leave out --device: listen to it")
    for _ in range(polls):
        try:
            with suppress(NoReply, Refused):  # what came in place of an answer is recorded as well
                driver.poll(devices.offer if isinstance(devices, Direct) else devices)
        finally:
            for passing in devices.passed():
                _put(out, recording.lines(passing))
        if recording.full:
            return


def _put(out: TextIO, lines: Iterator[str]) -> None:
    out.writelines(f"{line}\n" for line in lines)
    out.flush()


def _device(name: str, link: str, file: Path) -> Device:
    devices = read_config(file).devices
    found = devices.get(name)
    if found is None or found.link != link:
        here = ", ".join(own for own, it in devices.items() if it.link == link) or "none"
        raise SitewardenError(f"link {link} has no device {name}", f"it has: {here}")
    return found


def _header(wire: Wire, device: str | None) -> dict[str, str]:
    return {
        "device": device or "not known: write here what it is, and its firmware",
        "origin": f"recorded from {stamp(time.time())} on by sitewarden {__version__}; not synthetic",
        "wire": f"{wire.where}, {_settings(wire)}",
    }


def _settings(wire: Wire) -> str:
    part = wire.part
    if isinstance(part, SerialLink):
        return f"{part.baudrate} baud, parity {part.parity}, {part.stopbits} stop bit{'s' * (part.stopbits > 1)}"
    return "Modbus TCP, written as RTU frames" if part.framing == "tcp" else "RTU frames over TCP"


def _is_tcp(wire: Wire) -> bool:
    part = wire.part
    return not isinstance(part, SerialLink) and part.framing == "tcp"


def _told(recording: Recording, lasted_s: float, file: Path | None) -> str:
    if not recording.pieces:
        return f"nothing passed within {duration(lasted_s)}; check power, wiring, baud rate and parity"
    told = f"{recording.pieces} pieces in {duration(lasted_s)}"
    if recording.full:
        told += "; the file has reached its size"
    if file is not None:
        told += f"; play it with a link {{type: replay, capture: {file}}}"
    return told


@contextmanager
def _sink(file: Path | None) -> Iterator[TextIO]:
    if file is None:
        yield sys.stdout
        return
    try:
        out = file.open("x", encoding="utf-8")
    except FileExistsError:
        raise CannotCreate(f"{file} is there already", "name another file with --write") from None
    except OSError as error:
        raise CannotCreate(f"{file} cannot be written: {error.strerror}", "name another file with --write") from None
    with out:
        yield out


def _polls(written: str) -> int:
    if not (written.isascii() and written.isdecimal() and 1 <= int(written) <= _MOST_POLLS):
        raise argparse.ArgumentTypeError(f"1 to {_MOST_POLLS}, not {written!r}")
    return int(written)


def _duration(written: str) -> float:
    try:
        lasts_s = seconds(written)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if not 0 < lasts_s <= LONGEST_S:
        raise argparse.ArgumentTypeError(f"at most 1h, not {written}")
    return lasts_s


def _size(written: str) -> int:
    try:
        return size_bytes(written)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
