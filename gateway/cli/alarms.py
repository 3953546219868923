"""`sitewarden alarms`: the alarms of the running daemon, as a table for a person or as JSON for a program."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from gateway.cli import OK, default_state_dir
from gateway.cli.status import alarm_table
from gateway.control import ask


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where the daemon is, and how to print."""
    parser.add_argument("--state", type=Path, default=None, metavar="DIR", help="the daemon's state directory")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")


def run(args: argparse.Namespace) -> int:
    """Ask the daemon and print its answer."""
    alarms = ask(args.state or default_state_dir(), {"ask": "status"})["alarms"]
    print(json.dumps(alarms, indent=2, ensure_ascii=False) if args.json else "\n".join(_lines(alarms)))
    return OK


def _lines(alarms: list[dict[str, Any]]) -> Iterable[str]:
    yield from alarm_table(alarms)
    for alarm in alarms:
        if alarm["say"] and alarm["hidden"] is None:
            yield f"{alarm['alarm']}: {alarm['say']}" + (f" (tell {', '.join(alarm['tell'])})" if alarm["tell"] else "")
