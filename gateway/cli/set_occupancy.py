"""`sitewarden set-occupancy ZONE NUMBER --reason WHY`: somebody has counted who really is there."""

from __future__ import annotations

import argparse

from gateway.cli.alarm_act import add_person, ask_for


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where, how many, the person, and why."""
    parser.add_argument("zone", help="a zone whose people are counted, or the device that counts them")
    parser.add_argument("people", type=_people, metavar="NUMBER", help="how many are there now")
    add_person(parser, needs_reason=True)


def run(args: argparse.Namespace) -> int:
    """Have the daemon take it over; 1 if it refuses."""
    asked = {"zone": args.zone, "value": args.people}
    return ask_for("set_occupancy", f"{args.zone} {args.people}", asked, args)


def _people(written: str) -> int:
    if not written.isascii() or not written.isdigit():
        raise argparse.ArgumentTypeError(f"write how many people, as in 12, not {written!r}")
    return int(written)
