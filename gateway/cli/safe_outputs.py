"""`sitewarden safe-outputs`: every output at its safe value, for when a daemon has ended without doing that itself.

The unit runs it after the daemon, however that ended (ExecStopPost). Refused while a daemon runs: the outputs are that
daemon's, and an alarm may want them on.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from gateway.cli import FAILED, OK, add_config_arguments, default_config, default_state_dir
from gateway.cli.made_safe import made_safe
from gateway.config.installed import read_config
from gateway.errors import JournalDown
from gateway.journal.statelock import StateLock

log = logging.getLogger("sitewarden")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The configuration, and whose outputs these are."""
    add_config_arguments(parser)
    parser.add_argument("--state", type=Path, default=None, metavar="DIR", help="the daemon's state directory")


def run(args: argparse.Namespace) -> int:
    """Write and print; 1 unless every output has confirmed its safe value, 75 while a daemon runs."""
    lock = StateLock(args.state or default_state_dir())
    try:
        lock.take()
    except JournalDown as error:  # no reason to leave a siren on
        log.warning("%s; the outputs are made safe all the same", error)
    try:
        told = list(made_safe(read_config(args.config or default_config(), dict(args.set))))
    finally:
        lock.release()
    for each in told:
        print(f"{each.output}: " + (f"not known to be {each.value}: {each.wrong}" if each.wrong else each.value))
    if not told:
        print("there are no outputs")
    return FAILED if any(each.wrong for each in told) else OK
