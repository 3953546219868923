"""`sitewarden contract`: the MQTT contract as documents, for whoever programs the other end."""

from __future__ import annotations

import argparse
import json
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from gateway.cli import OK
from gateway.errors import CannotCreate, SitewardenError

_SCHEMA = ".schema.json"
_OTHERS = {
    "asyncapi": ("asyncapi.yaml", "the AsyncAPI 3 document: every topic, its direction, QoS and schema"),
    "promises": ("promises.json", "what may be relied on, each with an id"),
    "page": ("README.md", "duplicates, order, gaps, times, resend and confirmation explained"),
    "small-consumer": ("small_consumer.py", "sixty lines that store a confirmed feed exactly once in SQLite"),
    "signed-command": ("signed_command.py", "how a command is signed, where the gateway has a command_key"),
    "consumer": ("consumer.py", "the same for any feed: asks for what is missing, corrects times, logs in"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which document, or where to."""
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument("document", nargs="?", metavar="DOCUMENT", help="print this one; default: list them all")
    chosen.add_argument("--asyncapi", action="store_true", help="print that one")
    chosen.add_argument("--to", type=Path, metavar="DIR", help="write all of them into this folder")


def run(args: argparse.Namespace) -> int:
    """Print a list, print a document, or write all."""
    documents = _documents()
    document = "asyncapi" if args.asyncapi else args.document
    if args.to is not None:
        _write(documents, args.to)
    elif document is None:
        for name, (file, about) in documents.items():
            print(f"{name:15}{file.name:27}{about}")
    elif document in documents:
        print(documents[document][0].read_text(encoding="utf-8"), end="")
    else:
        raise SitewardenError(f"there is no document {document!r}", f"there are {', '.join(documents)}")
    return OK


def _documents() -> dict[str, tuple[Traversable, str]]:
    """Name -> the file, and what it is about in one line."""
    folder = files("gateway.contract")
    schemas = sorted((file for file in folder.iterdir() if file.name.endswith(_SCHEMA)), key=lambda file: file.name)
    found = {file.name.removesuffix(_SCHEMA): (file, _about(file)) for file in schemas}
    return found | {name: (folder / file, about) for name, (file, about) in _OTHERS.items()}


def _about(schema: Traversable) -> str:
    text: str = json.loads(schema.read_text(encoding="utf-8"))["description"]
    return text.partition(". ")[0].partition(": ")[0].rstrip(".")


def _write(documents: dict[str, tuple[Traversable, str]], folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file, _ in documents.values():
            (folder / file.name).write_text(file.read_text(encoding="utf-8"), encoding="utf-8")
    except OSError as error:
        raise CannotCreate(f"{folder} cannot be written: {error.strerror}", "name another folder with --to") from error
    print(f"{len(documents)} documents written to {folder}")
