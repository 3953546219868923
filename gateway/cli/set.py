"""`sitewarden set DEVICE[.POINT] on|off|auto --for TIME --reason WHY`: an output, switched by a person for a time."""

from __future__ import annotations

import argparse

from gateway.cli.alarm_act import add_person, ask_for, for_time
from gateway.errors import SitewardenError
from gateway.model import Json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The output, what it should be, for how long, the person, and why."""
    parser.add_argument("output", metavar="DEVICE[.POINT]", help="an output, as `sitewarden status` shows it")
    parser.add_argument("value", choices=("on", "off", "auto"), help="auto: leave it to the alarms again")
    how_long = "how long, as in 10m, 24h at most; needed but for auto"
    parser.add_argument("--for", dest="for_s", type=for_time, default=None, metavar="TIME", help=how_long)
    add_person(parser)


def run(args: argparse.Namespace) -> int:
    """Have the daemon set it; 1 if it refuses."""
    asked: dict[str, Json] = {"output": args.output, "value": args.value}
    if args.value != "auto":
        if args.for_s is None:
            raise SitewardenError("for how long?", "add --for TIME, as in --for 10m")
        asked["for_s"] = args.for_s
    return ask_for("set_output", f"{args.output} {args.value}", asked, args)
