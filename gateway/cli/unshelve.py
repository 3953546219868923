"""`sitewarden unshelve ALARM`: a person ends a shelf before its time."""

from __future__ import annotations

import argparse

from gateway.cli.alarm_act import add_arguments, do

__all__ = ["add_arguments", "run"]


def run(args: argparse.Namespace) -> int:
    """Unshelve the alarm; 1 if the daemon refuses."""
    return do("unshelve", args)
