"""`sitewarden reset ALARM`: a person ends a latched alarm whose cause is over."""

from __future__ import annotations

import argparse

from gateway.cli.alarm_act import add_arguments, do

__all__ = ["add_arguments", "run"]


def run(args: argparse.Namespace) -> int:
    """Reset the alarm; 1 if the daemon refuses."""
    return do("reset", args)
