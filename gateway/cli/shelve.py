"""`sitewarden shelve ALARM --for 30m --reason WHY`: for a time the alarm calls nobody."""

from __future__ import annotations

import argparse

from gateway.cli.alarm_act import add_arguments as add_alarm_arguments
from gateway.cli.alarm_act import do, for_time


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The alarm, the person, and for how long."""
    add_alarm_arguments(parser)
    parser.add_argument("--for", dest="for_s", type=for_time, required=True, metavar="TIME", help="how long, as in 30m")


def run(args: argparse.Namespace) -> int:
    """Shelve the alarm; 1 if the daemon refuses."""
    return do("shelve", args, {"for_s": args.for_s})
