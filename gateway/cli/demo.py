"""`sitewarden demo`: the daemon on a simulated site, with a story, a live picture and a verdict."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue

from gateway.cli import CANNOT_CREATE, OK
from gateway.config.written import seconds
from gateway.demo.bus import SimulatedBus, introduced
from gateway.demo.casts import SITES
from gateway.demo.performance import Options, perform
from gateway.errors import CannotCreate


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How it is shown, how long it lasts, and what it leaves."""
    parser.add_argument("--headless", action="store_true", help="print lines instead of a live picture")
    stories = f"the site that is played (default: centre, a distribution centre); others: {', '.join(SITES)}"
    parser.add_argument("--site", choices=sorted(SITES), default="centre", help=stories)
    lasts = "end after this time; the stories take about a minute"
    parser.add_argument("--for", dest="lasts", type=_duration, default=None, metavar="60s", help=lasts)
    parser.add_argument("--broker", default="", metavar="URL", help="use this broker (mqtt://host:1883), not its own")
    parser.add_argument("--keep", type=Path, default=None, metavar="DIR", help="keep journal and log in this folder")
    bus = "only a simulated RS-485 bus at this new name, to try ports, scan, probe, read and capture on"
    parser.add_argument("--bus", type=Path, default=None, metavar="PATH", help=bus)


def run(args: argparse.Namespace) -> int:
    """Play; 0 if every promise that was put to the test was kept, 1 if not, 73 if the folder cannot be made."""
    if args.keep is not None:
        try:
            args.keep.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            print(f"sitewarden: {args.keep} cannot be made: {error.strerror}; name another folder", file=sys.stderr)
            return CANNOT_CREATE
    words: SimpleQueue[str] = SimpleQueue()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _: words.put(signal.Signals(received).name))
    if args.bus is not None:
        return _hold(args.bus, args.lasts, words)
    drawn = not args.headless and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"
    options = Options(drawn=drawn, lasts_s=args.lasts, broker_url=args.broker, keep=args.keep, cast=SITES[args.site])
    return perform(options, sys.stdout, words)


def _hold(port: Path, lasts_s: float | None, words: SimpleQueue[str]) -> int:
    """Keep the bus up until it has lasted, or somebody says a word."""
    if port.exists() or port.is_symlink():
        raise CannotCreate(f"{port} is there already", "name another one with --bus")
    bus = SimulatedBus(port)
    try:
        bus.open()
    except OSError as error:
        raise CannotCreate(f"{port} cannot be made: {error.strerror}", "name another one with --bus") from None
    try:
        print("\n".join(introduced(port)), flush=True)
        with suppress(Empty):
            words.get(timeout=lasts_s)
    finally:
        bus.close()
    return OK


def _duration(written: str) -> float:
    """Seconds; argparse makes a message of the error."""
    try:
        return seconds(written)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
