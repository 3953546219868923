"""`sitewarden test response NAME --for 10s`: a response, tried without an alarm; undone by itself."""

from __future__ import annotations

import argparse

from gateway.cli.alarm_act import add_person, ask_for, for_time


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What is tried, and for how long."""
    parser.add_argument("what", choices=("response",), help="what is tried")
    parser.add_argument("name", help="its id in the configuration")
    how_long = "how long, as in 10s, 10m at most (default: 10s)"
    parser.add_argument("--for", dest="for_s", type=for_time, default=10.0, metavar="TIME", help=how_long)
    add_person(parser)


def run(args: argparse.Namespace) -> int:
    """Have the daemon try it; 1 if it refuses."""
    return ask_for("test_response", args.name, {"response": args.name, "for_s": args.for_s}, args)
