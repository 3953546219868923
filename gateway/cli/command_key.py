"""`sitewarden command-key FILE`: a key pair; the private one for the platform, the public one for the configuration."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from gateway.cli import OK
from gateway.errors import CannotCreate, SitewardenError
from gateway.signature import INSTALL, missing, new_key


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where the private key goes."""
    parser.add_argument("file", type=Path, help="a new file for the private key; it belongs to the platform alone")


def run(args: argparse.Namespace) -> int:
    """Write the private key, and print the line for the configuration."""
    why = missing()
    if why:
        raise SitewardenError(why, INSTALL)
    private, public = new_key()
    try:
        handle = os.open(args.file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise CannotCreate(f"{args.file} cannot be written: {error.strerror}", "name a new file") from error
    with os.fdopen(handle, "wb") as file:
        file.write(private)
    print(f"private key: {args.file} (take it to the platform; a gateway never needs it)")
    print("in the configuration of the gateway, at its uplink:")
    print(f"    command_key: {public}")
    return OK
