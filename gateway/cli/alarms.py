"""`sitewarden alarms`: the alarms of the running daemon, as a table for a person or as JSON for a program."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from gateway.cli import OK, default_state_dir
from gateway.cli.alarm_list import alarm_lines
from gateway.cli.status import asked
from gateway.cli.table import screen_width


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where the daemon is, and how to print."""
    parser.add_argument("--state", type=Path, default=None, metavar="DIR", help="the daemon's state directory")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")


def run(args: argparse.Namespace) -> int:
    """Ask the daemon and print its answer."""
    status = asked(args.state or default_state_dir())
    alarms = status["alarms"]
    if args.json:
        print(json.dumps(alarms, indent=2, ensure_ascii=False))
    else:
        print("\n".join(alarm_lines(alarms, status["ts"], screen_width())))
    return OK
