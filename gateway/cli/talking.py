"""A talk with the running daemon about one of its links: the person's end of gateway/talk.py."""

from __future__ import annotations

import getpass
import json
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from gateway.cli.held import Attended
from gateway.control import reaching, socket_path
from gateway.driver import Table
from gateway.errors import SitewardenError
from gateway.model import Json, Passing, Reading, Reason
from gateway.records import encode
from gateway.talk import IDLE_S, fault_of, piece_of


class Lost(NamedTuple):
    """So many pieces were not passed on, because they were not taken in time."""

    pieces: int


@contextmanager
def talking(state_dir: Path, link: str, name: str, of: str, via: Attended | None = None) -> Iterator[Talking]:
    """A talk with the daemon of `state_dir` about its link `link`; SitewardenError if there is none, or it refuses."""
    request: dict[str, Json] = {"ask": "talk", "name": name, "link": link, "of": of, "issuer": getpass.getuser()}
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        with reaching(state_dir):
            client.settimeout(IDLE_S)
            client.connect(str(socket_path(state_dir)))
        talk = Talking(client, state_dir, via)
        talk.ask(request)
        yield talk


class Talking:
    """A talk with a daemon about one of its links."""

    def __init__(self, client: socket.socket, state_dir: Path, via: Attended | None) -> None:
        self.via = via
        self._state_dir = state_dir
        self._client = client
        self._data = b""
        self._passed: list[Passing] = []

    def read(self, unit: int, table: Table, address: int, count: int) -> Sequence[int]:
        """Registers or bits, between the daemon's polls."""
        asked = {"unit": unit, "table": table.value, "address": address, "size": count}
        found: Sequence[int] = self.ask({"read": asked})["found"]
        return found

    def write(self, unit: int, table: Table, address: int, values: Sequence[int], function: int | None = None) -> None:
        """Refused."""
        del unit, table, address, values, function
        raise read_only()

    def poll(self, device: str) -> Reading:
        """One of the daemon's devices, asked by its driver between the polls."""
        line = self.ask({"poll": device})
        bad = {point: Reason(reason) for point, reason in line["bad"].items()}
        return Reading(device, 0.0, line["ts"], line["values"], bad)

    def passed(self) -> tuple[Passing, ...]:
        """What has passed with the answers since the last call."""
        passed = tuple(self._passed)
        self._passed.clear()
        return passed

    def listen(self, seconds: float) -> Iterator[Passing | Lost]:
        """Everything that passes on the daemon's link, for so long."""
        self.ask({"listen": seconds})
        while True:
            match self._line(seconds + IDLE_S):
                case {"passed": told}:
                    yield piece_of(told)
                case {"lost": int(count)}:
                    yield Lost(count)
                case _:
                    return

    def ask(self, request: Mapping[str, Json]) -> Mapping[str, Any]:
        """The daemon's answer to one line; raises the error that it tells."""
        with reaching(self._state_dir):
            self._client.sendall(encode(request).encode() + b"\n")
        line = self._line(IDLE_S)
        self._passed += map(piece_of, line.get("passed", ()))
        if (fault := fault_of(line)) is not None:
            raise fault
        return line

    def _line(self, within_s: float) -> Mapping[str, Any]:
        self._client.settimeout(within_s)
        while b"\n" not in self._data:
            with reaching(self._state_dir):
                chunk = self._client.recv(65536)
            if not chunk:
                raise SitewardenError("the daemon has ended the talk", "see its log: journalctl -u sitewarden")
            self._data += chunk
        line, _, self._data = self._data.partition(b"\n")
        told: Mapping[str, Any] = json.loads(line)
        return told


def read_only() -> SitewardenError:
    """Why nothing is written."""
    return SitewardenError("this command changes nothing", "`sitewarden write` writes what the configuration allows")
