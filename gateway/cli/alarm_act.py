"""What a person does about an alarm or an output, asked of the running daemon: shared by the commands that do it."""

from __future__ import annotations

import argparse
import getpass
from collections.abc import Mapping
from pathlib import Path

from gateway.cli import FAILED, OK, default_state_dir
from gateway.config.written import QuantityError, seconds
from gateway.control import ask
from gateway.model import Json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The alarm, the person, and why."""
    parser.add_argument("alarm", help="the alarm's id, as `sitewarden alarms` shows it")
    add_person(parser)


def add_person(parser: argparse.ArgumentParser, *, needs_reason: bool = False) -> None:
    """The person, and why."""
    parser.add_argument("--by", default=None, metavar="NAME", help="who does it (default: the login name)")
    parser.add_argument("--reason", default="", required=needs_reason, metavar="WHY", help="why, for the record")
    parser.add_argument("--state", type=Path, default=None, metavar="DIR", help="the daemon's state directory")


def do(command: str, args: argparse.Namespace, more: Mapping[str, Json] | None = None) -> int:
    """Have the daemon do it, with `more` arguments, and say what became of it."""
    return ask_for(command, args.alarm, {"alarm": args.alarm, **(more or {})}, args)


def ask_for(command: str, about: str, asked: Mapping[str, Json], args: argparse.Namespace) -> int:
    """Have the daemon do what is asked about something, and say what became of it; 1 if it is not done."""
    if args.reason:
        asked = {**asked, "reason": args.reason}
    issuer = args.by or getpass.getuser()
    reply = ask(args.state or default_state_dir(), {"ask": "command", "name": command, "args": asked, "issuer": issuer})
    print(f"{command} {about}: {reply['result']}" + (f" ({reply['detail']})" if reply["detail"] else ""))
    return OK if reply["result"] in {"done", "not_stored"} else FAILED


def for_time(written: str) -> float:
    """The seconds of a duration; argparse makes a message of the error."""
    try:
        return seconds(written)
    except QuantityError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
