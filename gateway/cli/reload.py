"""`sitewarden reload`: the running daemon reads its configuration again, and goes on by it if it is right."""

from __future__ import annotations

import argparse
import getpass
import sys

from gateway.cli import FAILED, OK, default_state_dir
from gateway.cli.alarm_act import add_person
from gateway.control import RELOAD_S, ask
from gateway.model import Json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The person, and the daemon."""
    add_person(parser)


def run(args: argparse.Namespace) -> int:
    """Have it read again, and say what has changed; 1 and the problems if the old one stays."""
    asked: dict[str, Json] = {"reason": args.reason} if args.reason else {}
    issuer = args.by or getpass.getuser()
    request: dict[str, Json] = {"ask": "command", "name": "reload", "args": asked, "issuer": issuer}
    reply = ask(args.state or default_state_dir(), request, RELOAD_S)
    if reply["result"] == "done":
        print(f"reload: done ({reply['detail']})")
        return OK
    print(f"reload: refused, the old configuration stays\n{reply['detail']}", file=sys.stderr)
    return FAILED
