"""`sitewarden disable DEVICE --for 8h --reason WHY`: a smoke detector is taken out, for a time."""

from __future__ import annotations

import argparse

from gateway.cli.alarm_act import add_person, ask_for, for_time


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The detector, for how long, and the person."""
    parser.add_argument("device", metavar="DEVICE[.POINT]", help="a smoke detector")
    parser.add_argument(
        "--for", dest="for_s", type=for_time, required=True, metavar="TIME", help="how long, as in 8h; 7d at most"
    )
    add_person(parser, needs_reason=True)


def run(args: argparse.Namespace) -> int:
    """Take it out; 1 if the daemon refuses."""
    return ask_for("disable", args.device, {"device": args.device, "for_s": args.for_s}, args)
