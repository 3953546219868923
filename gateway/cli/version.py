"""`sitewarden version`: which version this is, and on what it runs."""

from __future__ import annotations

import argparse
import platform
from importlib.metadata import PackageNotFoundError, version

from gateway import __version__
from gateway.cli import OK

LIBRARIES = ("paho-mqtt", "pyserial", "pymodbus", "sqlite-utils", "pydantic", "gpiozero", "PyYAML", "cryptography")
OPTIONAL = {"cryptography": " (needed for signed commands alone)"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """None."""


def run(args: argparse.Namespace) -> int:  # noqa: ARG001 - every command has this signature
    """Print the version and those of the libraries, for a report of a fault."""
    print(f"sitewarden {__version__}")
    print(f"Python {platform.python_version()}, {platform.system()} {platform.machine()}")
    for library in LIBRARIES:
        try:
            print(f"{library} {version(library)}")
        except PackageNotFoundError:
            print(f"{library} is missing" + (OPTIONAL.get(library, "")))
    return OK
