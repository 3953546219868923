"""The wire that a command talks over: a port or a TCP peer named on the command line, or a link of a configuration.

A command opens it with the daemon's own links, and only when nobody else holds it (`gateway.cli.held`).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TypeAlias

from gateway.cli import default_config
from gateway.config.schema import SerialLink, TcpLink
from gateway.config.written import seconds
from gateway.driver import Family, Registers
from gateway.errors import SitewardenError

Part: TypeAlias = SerialLink | TcpLink

_SERIAL_ONLY = ("baudrate", "parity", "stopbits", "echo")
_TCP_ONLY = ("framing",)


class Wire(NamedTuple):
    """A wire and what messages call it: the id of its link, or `port` or `peer`."""

    name: str
    part: Part

    @property
    def where(self) -> str:
        """The device file, or host and TCP port."""
        part = self.part
        return part.port if isinstance(part, SerialLink) else f"{part.host}:{part.port}"


def add_wire_arguments(parser: argparse.ArgumentParser) -> None:
    """Which wire, and its settings; exactly one of --port, --tcp and --link has to be given."""
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--port", metavar="PATH", help="a serial port, as `sitewarden ports` names it")
    which.add_argument("--tcp", type=peer, metavar="HOST[:PORT]", help="a TCP peer; its port is 502 if left out")
    which.add_argument("--link", metavar="ID", help="a link of the configuration, with its settings")
    add_config_argument(parser)
    parser.add_argument("--baudrate", type=baudrate, default=None, metavar="N", help="of the port; default: 9600")
    parser.add_argument("--parity", choices=("none", "even", "odd"), default=None, help="of the port; default: none")
    parser.add_argument("--stopbits", type=int, choices=(1, 2), default=None, help="of the port; default: 1")
    parser.add_argument("--echo", action="store_true", default=None, help="the adapter hears what it sends")
    framing = "rtu: a serial server that passes RTU frames through; default: tcp"
    parser.add_argument("--framing", choices=("tcp", "rtu"), default=None, help=framing)
    add_timeout_argument(parser)
    parser.set_defaults(wrong_usage=parser.error)


def add_config_argument(parser: argparse.ArgumentParser) -> None:
    """The configuration that --link is found in."""
    parser.add_argument("--config", type=Path, default=None, metavar="FILE", help="the configuration with that link")


def add_timeout_argument(parser: argparse.ArgumentParser) -> None:
    """How long an answer may take."""
    parser.add_argument("--timeout", type=duration, default=None, metavar="TIME", help="for an answer, as in 200ms")


def chosen_wire(args: argparse.Namespace) -> Wire:
    """The wire that was named; ends the command where options contradict, raises SitewardenError or ConfigError."""
    if args.link is not None:
        _refuse(args, (*_SERIAL_ONLY, *_TCP_ONLY, "timeout"), "is in the configuration: leave it out, or use --port")
        return _configured(args.link, args.config or default_config())
    _refuse(args, ("config",), "goes with --link")
    if args.port is not None:
        _refuse(args, _TCP_ONLY, "goes with --tcp")
        given = {name: value for name in _SERIAL_ONLY if (value := getattr(args, name)) is not None}
        return Wire("port", SerialLink(type="serial", port=args.port, timeout=args.timeout, **given))
    _refuse(args, _SERIAL_ONLY, "goes with --port")
    host, port = args.tcp
    timeout_s = TcpLink(type="tcp", host=host).timeout if args.timeout is None else args.timeout
    return Wire("peer", TcpLink(type="tcp", host=host, port=port, framing=args.framing or "tcp", timeout=timeout_s))


@contextmanager
def opened(wire: Wire) -> Iterator[Registers]:
    """The Modbus devices on the wire, until the block ends; raises LinkDown."""
    from gateway.links.choice import link  # noqa: PLC0415 - not before the command line is known to be right

    opened_link = link(wire.name, wire.part, (), Path())
    try:
        opened_link.open()
        registers: Registers = opened_link.offer(Family.REGISTERS)  # type: ignore[assignment]
        yield registers
    finally:
        opened_link.close()


def peer(written: str) -> tuple[str, int]:
    """Host and port of HOST, HOST:PORT, [IPV6] or [IPV6]:PORT; argparse makes a message of the error."""
    if written.startswith("["):
        host, bracket, rest = written[1:].partition("]")
        number = rest.removeprefix(":") if rest else "502"
        sound = bool(bracket) and (not rest or rest.startswith(":"))
    else:
        host, colon, number = written.partition(":")
        number = number if colon else "502"
        sound = ":" not in number
    if not (sound and host and number.isascii() and number.isdecimal() and 1 <= int(number) <= 65535):
        raise argparse.ArgumentTypeError(f"write HOST or HOST:PORT, as in 10.0.0.7:502, not {written!r}")
    return host, int(number)


def baudrate(written: str) -> int:
    """A baud rate; argparse makes a message of the error."""
    if not (written.isascii() and written.isdecimal() and 300 <= int(written) <= 4_000_000):
        raise argparse.ArgumentTypeError(f"a baud rate is 300 to 4000000, not {written!r}")
    return int(written)


def duration(written: str) -> float:
    """A timeout in seconds; argparse makes a message of the error."""
    try:
        timeout_s = seconds(written)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if not 0.01 <= timeout_s <= 10:
        raise argparse.ArgumentTypeError(f"a timeout is 10ms to 10s, not {written}")
    return timeout_s


def _refuse(args: argparse.Namespace, names: tuple[str, ...], why: str) -> None:
    for name in names:
        if getattr(args, name) is not None:
            args.wrong_usage(f"argument --{name}: {why}")


def _configured(name: str, file: Path) -> Wire:
    from gateway.config.installed import read_config  # noqa: PLC0415 - only where there is a configuration

    links = {own: part for own, part in read_config(file).links.items() if isinstance(part, SerialLink | TcpLink)}
    if name not in links:
        known = ", ".join(links) or "none"
        raise SitewardenError(f"{file} has no serial or TCP link {name}", f"it has: {known}")
    return Wire(name, links[name])
