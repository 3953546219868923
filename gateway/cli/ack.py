"""`sitewarden ack ALARM`: a person has seen the alarm and says so, with a name."""

from __future__ import annotations

import argparse

from gateway.cli.alarm_act import add_arguments, do

__all__ = ["add_arguments", "run"]


def run(args: argparse.Namespace) -> int:
    """Acknowledge the alarm; 1 if the daemon refuses."""
    return do("acknowledge", args)
