"""`sitewarden scan`: what answers on a serial port or at TCP peers, how it is set, and what it looks like.

It asks what was named and nothing else, reads and never writes, and leaves alone what a running daemon attends: a scan
would blind its smoke detectors.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from gateway.cli import FAILED, OK, default_config
from gateway.cli.held import attended
from gateway.cli.progress import Bar
from gateway.cli.scan_report import as_json, lines, planned
from gateway.cli.wire import Part, Wire, duration, peer
from gateway.commissioning.scanning import Scan, Scope, where
from gateway.commissioning.survey import (
    BAUDRATES,
    MORE_QUESTIONS,
    PARITIES,
    QUESTIONS,
    Parity,
    Stopbits,
    hosts,
    numbers,
    settings_of,
)
from gateway.config.installed import known_profiles
from gateway.config.schema import SerialLink, TcpLink
from gateway.errors import SitewardenError

_MOST_HOSTS = 64
_SERIAL_TIMEOUT_S, _TCP_TIMEOUT_S = 0.1, 1.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The wire, and what of it is asked."""
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--port", metavar="PATH", help="a serial port, as `sitewarden ports` names it")
    which.add_argument("--tcp", type=_peers, metavar="HOST[-LAST][:PORT]", help="a TCP peer, or 10.0.0.10-20")
    rates = ",".join(map(str, BAUDRATES))
    baud = _listed(lambda text: numbers(text, 300, 4_000_000))
    parser.add_argument("--baudrates", type=baud, default=BAUDRATES, metavar="LIST", help=f"default: {rates}")
    parser.add_argument(
        "--parities", type=_listed(_parities), default=PARITIES[:2], metavar="LIST", help="default: none,even"
    )
    parser.add_argument("--stopbits", type=_listed(_stopbits), default=(1,), metavar="LIST", help="default: 1")
    units = _listed(lambda text: numbers(text, 1, 255))
    parser.add_argument("--units", type=units, default=tuple(range(1, 33)), metavar="LIST", help="default: 1-32")
    parser.add_argument("--framing", choices=("tcp", "rtu"), default="tcp", help="rtu: a serial server; default: tcp")
    parser.add_argument("--echo", action="store_true", help="the adapter hears what it sends")
    parser.add_argument("--timeout", type=duration, default=None, metavar="TIME", help="default: 100ms, on TCP 1s")
    parser.add_argument("--thorough", action="store_true", help="ask five questions of each unit in place of two")
    parser.add_argument("--first", action="store_true", help="end with the first unit that is found")
    parser.add_argument("--config", type=Path, default=None, metavar="FILE", help="profiles beside it are known, too")
    parser.add_argument("--state", type=Path, default=None, metavar="DIR", help="the daemon's state directory")
    parser.add_argument("--json", action="store_true", help="print what was found as JSON")


def run(args: argparse.Namespace) -> int:
    """Scan, and say what was found: all of it, or what there was until Ctrl-C; 1 if that is nothing."""
    scope = _scope(args)
    for part in scope.parts:
        _leave_alone(part, args.state)
    profiles, problems = known_profiles((args.config or default_config()).parent)
    print("\n".join((*problems, planned(scope))), file=sys.stderr)
    began, stopped = time.monotonic(), False
    with Bar("scanning") as bar:
        scan = Scan(scope, profiles, bar.show)
        try:
            scan.run()
        except KeyboardInterrupt:
            stopped = True
    took_s = time.monotonic() - began
    if args.json:
        print(json.dumps(as_json(scan.results, took_s, stopped=stopped), indent=2, ensure_ascii=False))
    else:
        print("\n".join(lines(scan.results, scope, took_s, stopped=stopped)))
    return OK if scan.results.found else FAILED


def _scope(args: argparse.Namespace) -> Scope:
    parts: list[Part] = []
    if args.port is not None:
        parts.append(SerialLink(type="serial", port=args.port, echo=args.echo))
        settings = settings_of(args.baudrates, args.parities, args.stopbits)
    else:
        names, port = args.tcp
        parts += [TcpLink(type="tcp", host=host, port=port, framing=args.framing) for host in names]
        settings = ()
    questions = QUESTIONS + (MORE_QUESTIONS if args.thorough else ())
    timeout_s = args.timeout or (_TCP_TIMEOUT_S if args.port is None else _SERIAL_TIMEOUT_S)
    return Scope(parts, settings, args.units, questions, timeout_s, args.first)


def _leave_alone(part: Part, state_dir: Path | None) -> None:
    """SitewardenError if a running daemon attends this wire."""
    daemon = attended(Wire("port", part), state_dir)
    if daemon is not None:
        raise SitewardenError(
            f"{daemon} attends {where(part)}: a scan would keep it from its sensors, smoke detectors among them",
            "stop it first: sudo systemctl stop sitewarden; one device can be looked at beside it: sitewarden probe",
        )


def _listed(read: Callable[[str], tuple[object, ...]]) -> Callable[[str], tuple[object, ...]]:
    """`read` for argparse, which makes a message of the error."""

    def listed(written: str) -> tuple[object, ...]:
        try:
            return read(written)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return listed


def _parities(written: str) -> tuple[Parity, ...]:
    found = tuple(it for it in PARITIES if it in written.split(","))
    if len(found) != len(written.split(",")):
        raise ValueError(f"write parities as in none,even,odd, not {written!r}")
    return found


def _stopbits(written: str) -> tuple[Stopbits, ...]:
    given = numbers(written, 1, 2)
    return tuple(it for it in (1, 2) if it in given)


def _peers(written: str) -> tuple[tuple[str, ...], int]:
    name, port = peer(written)
    try:
        found = hosts(name)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if len(found) > _MOST_HOSTS:
        raise argparse.ArgumentTypeError(f"at most {_MOST_HOSTS} peers at once, not {len(found)}")
    return found, port
