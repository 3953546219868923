"""`sitewarden write DEVICE.POINT VALUE --reason WHY`: a setting of a device is changed, once, and read back."""

from __future__ import annotations

import argparse
import getpass
import math
from pathlib import Path

from gateway.cli import FAILED, OK, default_state_dir
from gateway.control import WRITE_S, ask


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The setting, its new value, the person, and why."""
    parser.add_argument("point", type=_point, metavar="DEVICE.POINT", help="a setting that the configuration allows")
    parser.add_argument("value", type=_number, metavar="VALUE", help="a number in the unit of the point")
    parser.add_argument("--by", default=None, metavar="NAME", help="who does it (default: the login name)")
    parser.add_argument("--reason", required=True, metavar="WHY", help="why, for the record")
    parser.add_argument("--state", type=Path, default=None, metavar="DIR", help="the daemon's state directory")


def run(args: argparse.Namespace) -> int:
    """Have the daemon write it, and say what became of it; 1 if that is anything but done."""
    device, point = args.point
    asked = {"device": device, "point": point, "value": args.value, "reason": args.reason}
    issuer = args.by or getpass.getuser()
    request = {"ask": "command", "name": "write_point", "args": asked, "issuer": issuer}
    reply = ask(args.state or default_state_dir(), request, WRITE_S)
    detail = f" ({reply['detail']})" if reply["detail"] else ""
    print(f"write {device}.{point} {args.value}: {reply['result']}{detail}")
    return OK if reply["result"] == "done" else FAILED


def _point(written: str) -> tuple[str, str]:
    device, dot, point = written.partition(".")
    if not dot or not device or not point:
        raise argparse.ArgumentTypeError(f"write DEVICE.POINT, as in cold-1.setpoint, not {written!r}")
    return device, point


def _number(written: str) -> int | float:
    for kind in (int, float):
        try:
            number = kind(written)
        except ValueError:
            continue
        if abs(number) < math.inf:
            return number
    raise argparse.ArgumentTypeError(f"a number, as in -18.5, not {written!r}")
