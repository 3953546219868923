"""The command line: one file per command, imported only when it is used.

Exit codes (sysexits.h where it has a word for it):
  0   done
  1   a promise was broken (demo), or the daemon said no (status, ack, reset, ...)
  2   the command line is wrong
  70  a fault of ours ended the daemon; the service manager starts it again
  73  a file cannot be created
  75  another daemon owns this state directory
  78  the configuration is wrong
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from gateway.errors import AlreadyRunning, CannotCreate, ConfigError, SitewardenError

COMMANDS = {
    "run": "read, judge, act, store and forward until stopped",
    "check": "check a configuration and say in words what it does",
    "plan": "show what is asked of each Modbus device, how long that takes, and how busy each wire is",
    "init": "write a commented starter configuration from the ports it finds",
    "demo": "run the gateway on a simulated site, with nothing to install",
    "ports": "list the serial ports, who has them, and which names stay",
    "scan": "find the Modbus devices on a port or at TCP addresses, and which profiles fit them",
    "probe": "look at one Modbus unit: raw registers, what they may mean, and which profile fits",
    "capture": "record what passes on a wire, or an exchange with a device, as a file that can be played",
    "read": "ask one device now, beside a running daemon or without one",
    "status": "show devices, points, alarms and backlog of the running daemon",
    "journal": "look into the journal: status, tail, gaps, verify, export, backup, restore",
    "replay": "try rules on what the journal holds: which alarms would have come and gone",
    "alarms": "show the alarms: those that stand, and those that are shelved or out of service",
    "ack": "acknowledge an alarm",
    "reset": "reset a latched alarm whose cause is over",
    "silence": "switch off what sounds for an alarm, or for all; a new alarm sounds again",
    "set": "switch an output for a time, with a reason; a high alarm goes before",
    "test": "try a response without an alarm, for a time",
    "set-occupancy": "say how many people really are in a zone, with a reason",
    "shelve": "keep an alarm from calling for a time, with a reason",
    "unshelve": "end that before its time",
    "out-of-service": "keep an alarm from calling until it is put back in service, with a reason",
    "in-service": "put an alarm back in service",
    "test-mode": "have smoke in a zone count as a test for a time, with a reason",
    "disable": "take a smoke detector out for a time, with a reason",
    "enable": "put it back",
    "write": "change a setting of a device, where the configuration allows it, with a reason",
    "safe-outputs": "switch every output to its safe value, after a daemon that ended without doing that",
    "reload": "have the running daemon read its configuration again, without stopping anything",
    "command-key": "make a key pair, so that commands over MQTT can be signed",
    "contract": "print the MQTT contract: schemas, AsyncAPI, promises, an example consumer",
    "version": "say which version this is",
}
OK, FAILED, SOFTWARE, CANNOT_CREATE, TRY_AGAIN, CONFIG = 0, 1, 70, 73, 75, 78

SYSTEM_CONFIG = Path("/etc/sitewarden/sitewarden.yaml")


def default_config() -> Path:
    """./sitewarden.yaml if there is one, else the system's."""
    here = Path("sitewarden.yaml")
    return here if here.exists() else SYSTEM_CONFIG


def add_config_arguments(parser: argparse.ArgumentParser) -> None:
    """Which configuration, and values of it that are set from outside."""
    file = f"a YAML file or a folder of them; default: ./sitewarden.yaml if it is there, else {SYSTEM_CONFIG}"
    parser.add_argument("config", nargs="?", type=Path, default=None, help=file)
    add_setting_argument(parser)


def add_setting_argument(parser: argparse.ArgumentParser) -> None:
    """Values of a configuration that are set from outside."""
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        type=_setting,
        metavar="KEY.PATH=VALUE",
        help="use this value in place of the file's, as in links.bus1.port=/dev/ttyUSB1; can be given several times",
    )


def _setting(written: str) -> tuple[tuple[str, ...], str]:
    """The keys and the text of KEY.PATH=VALUE; argparse makes a message of the error."""
    path, sign, value = written.partition("=")
    keys = tuple(path.split("."))
    if not sign or not all(keys):
        raise argparse.ArgumentTypeError(f"write KEY.PATH=VALUE, as in links.bus1.baudrate=9600, not {written!r}")
    return keys, value


def default_state_dir() -> Path:
    """The service manager's state directory, else /var/lib/sitewarden for root, else one in the user's home."""
    given = os.environ.get("STATE_DIRECTORY", "").split(":")[0]
    if given:
        return Path(given)
    system = Path("/var/lib/sitewarden")
    if os.access(system, os.W_OK):
        return system
    return Path(os.environ.get("XDG_STATE_HOME", Path.home() / ".local/state")) / "sitewarden"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        prog="sitewarden",
        description="Edge gateway for safety sensors: reads, judges and acts on the spot, and forwards over MQTT.",
        epilog="A monitoring aid, no certified fire alarm system.",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    chosen: Any = None
    for name, help_text in COMMANDS.items():
        sub = commands.add_parser(name, help=help_text, description=help_text)
        if arguments[:1] == [name]:  # only the chosen command's file is imported
            chosen = import_module(f"gateway.cli.{name.replace('-', '_')}")
            chosen.add_arguments(sub)
    args = parser.parse_args(arguments)
    try:
        code: int = chosen.run(args)
    except ConfigError as error:
        print("\n".join(error.problems), file=sys.stderr)
        return CONFIG
    except AlreadyRunning as error:
        print(f"sitewarden: {error}", file=sys.stderr)
        return TRY_AGAIN
    except CannotCreate as error:
        print(f"sitewarden: {error}", file=sys.stderr)
        return CANNOT_CREATE
    except SitewardenError as error:
        print(f"sitewarden: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:  # Ctrl-C, where the command has nothing to finish
        return FAILED
    except BrokenPipeError:  # the reader of our output has gone: nothing is left to say
        sys.stderr.close()
        return OK
    return code
