"""`sitewarden test-mode ZONE --for 30m --reason WHY`: smoke detectors are tested; it ends by itself."""

from __future__ import annotations

import argparse

from gateway.cli.alarm_act import add_person, ask_for, for_time


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The zone, for how long, and the person."""
    parser.add_argument("zone", help="the zone, with the zones in it")
    parser.add_argument(
        "--for",
        dest="for_s",
        type=for_time,
        default=1800.0,
        metavar="TIME",
        help="how long, 4h at most (default: 30m); 0s ends it",
    )
    add_person(parser, needs_reason=True)


def run(args: argparse.Namespace) -> int:
    """Begin the test, or end it; 1 if the daemon refuses."""
    return ask_for("test_mode", args.zone, {"zone": args.zone, "for_s": args.for_s}, args)
