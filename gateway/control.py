"""The local commands: a Unix socket in the state directory; who may open the file may ask.

One request a connection: a JSON object on one line, `{"ask": "status"}`, `{"ask": "links"}` (which wires this daemon
attends) or `{"ask": "command", "name": ..., "args": ..., "issuer": ...}`; one JSON object on one line comes back, with
`error` and `hint` where the request cannot be served. `{"ask": "talk", ...}` begins a longer one (talk.py).

- The name that who asks has given is recorded with the user whose process it is (caller.py); requests are held to the
  limits of those that come over an uplink.
- It decides nothing: it posts to the hub and passes on its answer.
- Clients are served one after the other. Each gets `CLIENT_S` seconds and `MAX_REQUEST` bytes for its request; a slow
  or silent one costs the others no more than that. Who has something written to a device, or the configuration loaded,
  waits for it apart, MOST_WAITING at a time, and a talk has a thread of its own; MOST_TALKS at a time.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from queue import Empty, SimpleQueue
from types import MappingProxyType
from typing import Any, TypeVar

from gateway.caller import caller
from gateway.errors import SitewardenError
from gateway.model import Command, Fact, Json, Reply, Status, StatusQuery
from gateway.records import encode
from gateway.talk import Talk
from gateway.untrusted import MAX_BYTES, is_command_name, parsed

log = logging.getLogger(__name__)

CLIENT_S = 2.0
WRITE_S = 35.0
"""How long is waited for what becomes of a write to a device."""

RELOAD_S = 120.0
"""How long is waited for what becomes of a new configuration: it is loaded, links are stopped and started."""

WAITED_FOR_S: Mapping[str, float] = MappingProxyType({"write_point": WRITE_S, "read_now": WRITE_S, "reload": RELOAD_S})
"""The commands that are waited for apart, each with how long."""

MAX_REQUEST = MAX_BYTES
MOST_TALKS = 4
MOST_WAITING = 8
MAX_WORDS = 200
_BACKLOG = 16
_Answer = TypeVar("_Answer")


def socket_path(state_dir: Path) -> Path:
    """Where the daemon with this state directory listens."""
    return state_dir / "control.sock"


def ask_hub(
    make: Callable[[Callable[[_Answer], None]], Fact], post: Callable[[Fact], None], timeout_s: float
) -> _Answer:
    """Post the fact that `make` builds around an answer's way back, and wait for that answer; else SitewardenError."""
    answers: SimpleQueue[_Answer] = SimpleQueue()
    post(make(answers.put))
    try:
        return answers.get(timeout=timeout_s)
    except Empty:
        raise SitewardenError(f"the hub did not answer within {timeout_s:g} s", "see the daemon's log") from None


class Control:
    """The control socket's thread. `links` are the daemon's, by id, as configured; any thread may set others."""

    name = "control"

    def __init__(self, path: Path, post: Callable[[Fact], None], links: Mapping[str, Json]) -> None:
        self._path = path
        self._post = post
        self.links = links
        self._stopping = threading.Event()
        self._talks: list[tuple[Talk, threading.Thread]] = []
        self._waiting: list[threading.Thread] = []

    def stop(self) -> None:
        """End `run`."""
        self._stopping.set()
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as waker:
            waker.setblocking(False)
            waker.connect(str(self._path))

    def run(self) -> None:
        """Serve clients, one after the other, until stopped."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as listener:
            try:
                self._listen(listener)
            except OSError as error:
                log.error("no local commands: %s cannot be opened: %s", self._path, error)
                self._stopping.wait()
                return
            while not self._stopping.is_set():
                with suppress(OSError):  # the client's side of the connection is its own affair
                    client, _ = listener.accept()
                    self._serve(client)
        for talk, _ in self._talks:
            talk.end()
        with suppress(FileNotFoundError):
            self._path.unlink()

    def _listen(self, listener: socket.socket) -> None:
        with suppress(FileNotFoundError):
            self._path.unlink()
        mask = os.umask(0o117)
        try:
            listener.bind(str(self._path))
        finally:
            os.umask(mask)
        listener.listen(_BACKLOG)

    def _serve(self, client: socket.socket) -> None:
        with ExitStack() as at_end:
            at_end.enter_context(client)
            try:
                request = _read_line(client)
                if "issuer" in request:
                    request["issuer"] = caller(client, request["issuer"])
                if request.get("ask") == "talk":
                    self._talk(client, request)
                    at_end.pop_all()
                    return
            except SitewardenError as error:
                _say(client, {"error": error.what, "hint": error.hint})
                return
            wait_s = WAITED_FOR_S.get(str(request.get("name")))
            if wait_s is None:
                _say(client, self._told(request, CLIENT_S))
            elif self._wait_apart(client, request, wait_s):
                at_end.pop_all()

    def _wait_apart(self, client: socket.socket, request: dict[str, Any], wait_s: float) -> bool:
        """Have what takes long waited for on a thread of its own; False, and said, if too many wait already."""
        self._waiting = [thread for thread in self._waiting if thread.is_alive()]
        if len(self._waiting) >= MOST_WAITING:
            _say(client, {"error": "too many wait for their commands", "hint": "try again when these are done"})
            return False
        thread = threading.Thread(target=self._finish, args=(client, request, wait_s), daemon=True)
        self._waiting.append(thread)
        thread.start()
        return True

    def _finish(self, client: socket.socket, request: dict[str, Any], wait_s: float) -> None:
        with suppress(OSError), client:
            _say(client, self._told(request, wait_s))

    def _told(self, request: dict[str, Any], timeout_s: float) -> Json:
        try:
            return self._answer(request, timeout_s)
        except SitewardenError as error:
            return {"error": error.what, "hint": error.hint}

    def _talk(self, client: socket.socket, request: dict[str, Any]) -> None:
        """Have it recorded, and begin; SitewardenError if it cannot be."""
        self._talks = [(talk, thread) for talk, thread in self._talks if thread.is_alive()]
        if len(self._talks) >= MOST_TALKS:
            raise SitewardenError("too many look at devices at once", "try again when one of them has finished")
        match request:
            case {"name": str(name), "link": str(link), "of": str(of), "issuer": str(issuer)} if of.isprintable():
                reply = command(name, {"of": of[:MAX_WORDS]}, issuer, self._post, CLIENT_S)
            case _:
                raise SitewardenError("not a request", 'a talk needs "name", "link", "of" and "issuer"')
        if reply.result != "done":
            raise SitewardenError(reply.detail, "read, probe and capture can begin a talk")
        talk = Talk(client, link, self._post)
        thread = threading.Thread(target=talk.run, name="talk", daemon=True)
        self._talks.append((talk, thread))
        thread.start()

    def _answer(self, request: dict[str, Any], timeout_s: float) -> Json:
        match request:
            case {"ask": "status"}:
                return asdict(status(self._post, CLIENT_S))
            case {"ask": "links"}:
                return {"pid": os.getpid(), "links": self.links}
            case {"ask": "command", "name": str(name), "args": dict(args), "issuer": str(issuer)} if is_command_name(
                name
            ):
                reply = command(name, args, issuer, self._post, timeout_s)
                return {"id": reply.id, "result": reply.result, "detail": reply.detail}
        raise SitewardenError("not a request", 'ask {"ask": "status"} or {"ask": "command", ...}')


def status(post: Callable[[Fact], None], timeout_s: float) -> Status:
    """What the hub knows now; SitewardenError if it does not answer."""
    return ask_hub(_status_query, post, timeout_s)


def command(name: str, args: Mapping[str, Json], issuer: str, post: Callable[[Fact], None], timeout_s: float) -> Reply:
    """What the hub makes of a local command; SitewardenError if it does not answer."""

    def make(answer: Callable[[Reply], None]) -> Fact:
        return Command(os.urandom(8).hex(), name, args, issuer, "local", None, answer)

    return ask_hub(make, post, timeout_s)


def _status_query(answer: Callable[[Status], None]) -> Fact:
    return StatusQuery(answer)


def _say(client: socket.socket, answer: Json) -> None:
    client.settimeout(CLIENT_S)
    client.sendall(encode(answer).encode() + b"\n")


def _read_line(client: socket.socket) -> dict[str, Any]:
    data = b""
    until = time.monotonic() + CLIENT_S
    while not data.endswith(b"\n"):
        client.settimeout(max(0.001, until - time.monotonic()))
        chunk = client.recv(4096)
        if not chunk:
            break
        data += chunk
        if len(data) > MAX_REQUEST:
            raise SitewardenError("the request is too long", f"at most {MAX_REQUEST} bytes")
    try:
        return parsed(data, "a request", MAX_REQUEST)
    except ValueError as error:
        raise SitewardenError(str(error), "one JSON object on one line") from None


def ask(state_dir: Path, request: Mapping[str, Json], timeout_s: float = CLIENT_S) -> dict[str, Any]:
    """The running daemon's answer to one request; SitewardenError with a hint where there is none in time."""
    data = b""
    with reaching(state_dir), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(timeout_s + CLIENT_S)
        client.connect(str(socket_path(state_dir)))
        client.sendall(encode(request).encode() + b"\n")
        while chunk := client.recv(65536):
            data += chunk
    if not data:
        raise SitewardenError("the daemon did not answer", "see its log: journalctl -u sitewarden")
    answer = json.loads(data)
    if "error" in answer:
        raise SitewardenError(str(answer["error"]), str(answer.get("hint", "")))
    return dict(answer)


@contextmanager
def reaching(state_dir: Path) -> Iterator[None]:
    """What goes wrong on the way to the daemon, as SitewardenError with a hint."""
    try:
        yield
    except (FileNotFoundError, ConnectionRefusedError):
        raise SitewardenError(
            f"no daemon is running with {state_dir}", "start it: sitewarden run; or name its folder: --state DIR"
        ) from None
    except PermissionError:
        raise SitewardenError(
            f"{socket_path(state_dir)} may not be opened",
            "sudo -u sitewarden ..., or join the group: sudo usermod -aG sitewarden $USER",
        ) from None
    except OSError as error:
        raise SitewardenError(f"the daemon did not answer: {error}", "see its log: journalctl -u sitewarden") from None
