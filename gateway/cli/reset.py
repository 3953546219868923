"""`sitewarden reset ALARM`: a person ends a latched alarm whose cause is over."""

from __future__ import annotations

import argparse

from gateway.cli.ack import act, add_arguments

__all__ = ["add_arguments", "run"]


def run(args: argparse.Namespace) -> int:
    """Reset the alarm; 1 if the daemon refuses."""
    return act("reset", args)
