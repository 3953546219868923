"""`sitewarden shelve ALARM --for 30m --reason WHY`: for a time the alarm calls nobody."""

from __future__ import annotations

import argparse

from gateway.cli.alarm_act import add_arguments as add_alarm_arguments
from gateway.cli.alarm_act import do
from gateway.config.written import QuantityError, seconds


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The alarm, the person, and for how long."""
    add_alarm_arguments(parser)
    parser.add_argument("--for", dest="for_s", type=_seconds, required=True, metavar="TIME", help="how long, as in 30m")


def run(args: argparse.Namespace) -> int:
    """Shelve the alarm; 1 if the daemon refuses."""
    return do("shelve", args, {"for_s": args.for_s})


def _seconds(written: str) -> float:
    """The seconds of a duration; argparse makes a message of the error."""
    try:
        return seconds(written)
    except QuantityError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
