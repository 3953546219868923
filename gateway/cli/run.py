"""`sitewarden run`: the daemon, in the foreground, until a signal ends it; SIGHUP: the configuration is read again."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
from pathlib import Path
from queue import SimpleQueue

from gateway.cli import OK, SOFTWARE, add_config_arguments, default_config, default_state_dir
from gateway.config.apart import Loading
from gateway.notice import NOTICE

RELOAD = signal.SIGHUP.name

log = logging.getLogger("sitewarden")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The configuration, and where the journal is kept."""
    add_config_arguments(parser)
    parser.add_argument("--state", type=Path, default=None, metavar="DIR", help="where the journal is kept")
    parser.add_argument("--verbose", "-v", action="store_true", help="log the bytes on the wire as well")


def run(args: argparse.Namespace) -> int:
    """Run the daemon; 0 after a stop, 70 after a fault of ours in the hub."""
    set_up_log(logging.DEBUG if args.verbose else logging.INFO)
    path, settings = args.config or default_config(), dict(args.set)
    loading = Loading(path, settings)
    loading.start()
    # Imported while the configuration is loaded, which takes as long.
    from gateway.app import Gateway  # noqa: PLC0415
    from gateway.clock import SystemClock  # noqa: PLC0415
    from gateway.reloading import Source  # noqa: PLC0415
    from gateway.supervisor import ServiceManager, watch  # noqa: PLC0415

    config = loading.config()
    for note in config.notes:
        log.warning("%s", note)
    gateway = Gateway(config, args.state or default_state_dir(), source=Source(path, settings, loading.marks))
    manager = ServiceManager()
    signals: SimpleQueue[str] = SimpleQueue()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda received, _: signals.put(signal.Signals(received).name))
    gateway.start(failed=signals.put)
    manager.tell("READY=1\nSTATUS=" + gateway.summary)
    log.info("%s", gateway.summary)
    log.info("%s", NOTICE)
    while (word := watch(gateway.beat, signals, manager, SystemClock())) == RELOAD:
        gateway.reload(RELOAD)
    manager.tell("STOPPING=1")
    log.info("stopping: %s", word)
    gateway.stop()
    return OK if word.startswith("SIG") else SOFTWARE


def set_up_log(level: int) -> None:
    """One line a message on standard error; the time is added only where nobody else adds it."""
    timed = "%(asctime)s " if sys.stderr.isatty() else ""
    logging.basicConfig(level=level, format=timed + "%(levelname)s %(name)s: %(message)s")
    logging.getLogger("pymodbus").setLevel(logging.ERROR)
