"""`sitewarden ack ALARM`: a person has seen the alarm and says so, with a name."""

from __future__ import annotations

import argparse
import getpass
from pathlib import Path

from gateway.cli import FAILED, OK, default_state_dir
from gateway.control import ask


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The alarm and the person."""
    parser.add_argument("alarm", help="the alarm's id, as `sitewarden status` shows it")
    parser.add_argument("--by", default=None, metavar="NAME", help="who does it (default: the login name)")
    parser.add_argument("--state", type=Path, default=None, metavar="DIR", help="the daemon's state directory")


def run(args: argparse.Namespace) -> int:
    """Acknowledge the alarm; 1 if the daemon refuses."""
    return act("acknowledge", args)


def act(command: str, args: argparse.Namespace) -> int:
    """Send a command on an alarm to the running daemon and say what became of it."""
    reply = ask(
        args.state or default_state_dir(),
        {"ask": "command", "name": command, "args": {"alarm": args.alarm}, "issuer": args.by or getpass.getuser()},
    )
    print(f"{command} {args.alarm}: {reply['result']}" + (f" ({reply['detail']})" if reply["detail"] else ""))
    return OK if reply["result"] == "done" else FAILED
