"""`sitewarden enable DEVICE --reason WHY`: a smoke detector that was taken out is heard again."""

from __future__ import annotations

import argparse

from gateway.cli.alarm_act import add_person, ask_for


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The detector and the person."""
    parser.add_argument("device", metavar="DEVICE[.POINT]", help="a smoke detector that is disabled")
    add_person(parser, needs_reason=True)


def run(args: argparse.Namespace) -> int:
    """Put it back; 1 if the daemon refuses."""
    return ask_for("enable", args.device, {"device": args.device}, args)
