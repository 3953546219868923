"""Whether a running daemon attends the wire that a command wants, or another program has it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from gateway.cli import default_state_dir
from gateway.cli.wire import Wire
from gateway.config.schema import SerialLink
from gateway.control import ask
from gateway.errors import SitewardenError

SYSTEM_STATE = Path("/var/lib/sitewarden")


class Attended(NamedTuple):
    """A wire that a daemon attends: as its link `link`, in the process `pid`, reached by its `state_dir`."""

    link: str
    pid: int
    state_dir: Path

    def __str__(self) -> str:
        return f"the running daemon (process {self.pid}, link {self.link})"


def attended(wire: Wire, state_dir: Path | None) -> Attended | None:
    """The daemon that attends this wire: of those of `state_dir`, this user and this machine that answer us."""
    return next((it for it, part in links(state_dir) if _same(wire, part)), None)


def links(state_dir: Path | None) -> Iterator[tuple[Attended, dict[str, Any]]]:
    """Every link that a running daemon attends, and how it is configured."""
    folders = [state_dir] if state_dir is not None else []
    for folder in dict.fromkeys([*folders, default_state_dir(), SYSTEM_STATE]):
        try:
            answer = ask(folder, {"ask": "links"})
        except SitewardenError:  # no daemon there, or none that may be asked
            continue
        for name, part in answer["links"].items():
            yield Attended(name, answer["pid"], folder), part


def _same(wire: Wire, part: dict[str, Any]) -> bool:
    mine = wire.part
    if part["type"] != mine.type:
        return False
    if isinstance(mine, SerialLink):
        return os.path.realpath(str(part["port"])) == os.path.realpath(mine.port)
    host, port = str(part["host"]), int(part["port"])
    return (host.lower(), port) == (mine.host.lower(), mine.port)
