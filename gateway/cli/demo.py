"""`sitewarden demo`: the daemon on a simulated site, with a story, a live picture and a verdict."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path
from queue import SimpleQueue

from gateway.cli import CANNOT_CREATE
from gateway.config.written import seconds
from gateway.demo.performance import Options, perform
from gateway.demo.story import STORY


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How it is shown, how long it lasts, and what it leaves."""
    parser.add_argument("--headless", action="store_true", help="print lines instead of a live picture")
    lasts = f"end after this time; the story takes {STORY.ends_s:g}s"
    parser.add_argument("--for", dest="lasts", type=_duration, default=None, metavar="60s", help=lasts)
    parser.add_argument("--broker", default="", metavar="URL", help="use this broker (mqtt://host:1883), not its own")
    parser.add_argument("--keep", type=Path, default=None, metavar="DIR", help="keep journal and log in this folder")


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
    drawn = not args.headless and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"
    options = Options(drawn=drawn, lasts_s=args.lasts, broker_url=args.broker, keep=args.keep)
    return perform(options, sys.stdout, words)


def _duration(written: str) -> float:
    """Seconds; argparse makes a message of the error."""
    try:
        return seconds(written)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
