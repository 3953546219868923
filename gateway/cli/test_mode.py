"""`sitewarden test-mode ZONE --for 30m --reason WHY`: smoke detectors are tested; it ends by itself."""

from __future__ import annotations

import argparse

from gateway.cli.alarm_act import add_person, ask_for, for_time


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where, for how long, the person, and why."""
    parser.add_argument("zone", help="the zone whose detectors are tested, with all zones inside it")
    how_long = "how long, as in 30m; 0s ends a test before its time"
    parser.add_argument("--for", dest="for_s", type=for_time, required=True, metavar="TIME", help=how_long)
    add_person(parser, needs_reason=True)


def run(args: argparse.Namespace) -> int:
    """Have the daemon begin it; 1 if it refuses."""
    return ask_for("test_mode", args.zone, {"zone": args.zone, "for_s": args.for_s}, args)
