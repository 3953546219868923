"""`sitewarden out-of-service ALARM --reason WHY`: while its sensor is worked on, the alarm calls nobody."""

from __future__ import annotations

import argparse

from gateway.cli.alarm_act import add_arguments, do

__all__ = ["add_arguments", "run"]


def run(args: argparse.Namespace) -> int:
    """Take the alarm out of service; 1 if the daemon refuses."""
    return do("out_of_service", args)
