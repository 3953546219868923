"""`sitewarden in-service ALARM`: the work on it is over, the alarm calls again."""

from __future__ import annotations

import argparse

from gateway.cli.alarm_act import add_arguments, do

__all__ = ["add_arguments", "run"]


def run(args: argparse.Namespace) -> int:
    """Put the alarm back in service; 1 if the daemon refuses."""
    return do("in_service", args)
