"""`sitewarden silence [ALARM]`: what sounds for an alarm is off until a new one, or its next detector, comes."""

from __future__ import annotations

import argparse

from gateway.cli.alarm_act import add_person, ask_for


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The alarm, if it is one, and the person."""
    parser.add_argument("alarm", nargs="?", default=None, help="the alarm's id (default: all that sound)")
    add_person(parser)


def run(args: argparse.Namespace) -> int:
    """Silence it; 1 if the daemon refuses."""
    return ask_for("silence", args.alarm or "all", {"alarm": args.alarm} if args.alarm else {}, args)
