"""A configuration loaded by a process of its own, because the one that runs for years has no use for what checks it.

pydantic, its schemas and PyYAML take 14 MiB, once imported for good. So the daemon forks before it has imported much,
imports its own libraries while its copy loads, and receives the finished tree.

Once threads run, a copy is not safe: what they held when it was made, it holds for ever. Then a new interpreter loads,
which is told this one's import path and takes 0.1 s more.

Invariants: no thread has been started when the process is copied; whoever loads is waited for with a deadline and never
left behind.
"""

from __future__ import annotations

import json
import logging
import os
import pickle
import select
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, NoReturn

from gateway.errors import ConfigError, SitewardenError

if TYPE_CHECKING:
    from gateway.config.difference import Marks
    from gateway.config.schema import Config  # imported while the copy is at work, by what it sends

log = logging.getLogger(__name__)

DEADLINE_S = 60.0  # a configuration of 1 MB takes a Pi Zero some seconds
NO_SETTINGS: Mapping[tuple[str, ...], str] = MappingProxyType({})
_CHUNK_BYTES = 65536
_ANEW = "from gateway.config.apart import answer_anew; answer_anew()"


class Loading:
    """One configuration on its way. `settings` are values from outside, as they would be written in the file."""

    def __init__(
        self, path: Path, settings: Mapping[tuple[str, ...], str] = NO_SETTINGS, deadline_s: float = DEADLINE_S
    ) -> None:
        self._path = path
        self._settings = settings
        self._deadline_s = deadline_s
        self.marks: Marks = {}
        """What its devices are compared by, once the tree is there."""
        self._pid = 0
        self._answer = -1  # the pipe's end

    def start(self) -> None:
        """Begin; SitewardenError if the machine has no room for a process."""
        try:
            self._answer, sink = os.pipe()
            self._pid = os.fork()
        except OSError as error:
            raise self._failure(f"no process can be started: {error.strerror}") from error
        if self._pid == 0:
            os.close(self._answer)
            _answer(self._path, self._settings, sink)
        os.close(sink)

    def start_anew(self) -> None:
        """Begin while threads run; SitewardenError if the machine has no room for a process."""
        settings = json.dumps([[list(keys), text] for keys, text in self._settings.items()])
        try:
            self._answer, sink = os.pipe()
            os.set_inheritable(sink, True)
            command = [sys.executable, "-P", "-c", _ANEW, str(self._path), settings, str(sink)]
            environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
            self._pid = os.posix_spawn(sys.executable, command, environment)
        except OSError as error:
            raise self._failure(f"no process can be started: {error.strerror}") from error
        os.close(sink)

    def config(self) -> Config:
        """The tree, when it is there; ConfigError with every problem, SitewardenError if the process failed."""
        try:
            data = _read_all(self._answer, time.monotonic() + self._deadline_s)
        except TimeoutError as error:
            os.kill(self._pid, signal.SIGKILL)
            raise self._failure(f"it took more than {self._deadline_s:g} s") from error
        finally:
            os.close(self._answer)
            _, status = os.waitpid(self._pid, 0)
        code = os.waitstatus_to_exitcode(status)
        if code:
            told = f"by {signal.Signals(-code).name}" if code < 0 else "by an error of ours"
            raise self._failure(f"its process was ended {told}")
        config: Config | None
        config, self.marks, problems = pickle.loads(data)  # noqa: S301 - from our own process
        if config is None:
            raise ConfigError(problems)
        return config

    def _failure(self, what: str) -> SitewardenError:
        hint = f"see what `sitewarden check {self._path}` says, and how much memory is free"
        return SitewardenError(f"{self._path} could not be loaded, {what}", hint)


def _answer(path: Path, settings: Mapping[tuple[str, ...], str], sink: int) -> NoReturn:
    """Load, write what came of it to `sink`, and end this process, which is a copy."""
    code = 1
    try:
        # What the daemon itself must not import.
        from gateway.config.difference import marks  # noqa: PLC0415
        from gateway.config.installed import read_config  # noqa: PLC0415
        from gateway.config.sources import read_settings  # noqa: PLC0415

        try:
            config = read_config(path, read_settings(settings))
            found: object = config, marks(config), ()
        except ConfigError as error:
            found = None, {}, error.problems
        with os.fdopen(sink, "wb") as file:
            pickle.dump(found, file)
        code = 0
    except (BrokenPipeError, KeyboardInterrupt):
        pass  # who asked has gone
    except Exception:  # a copy must not go on where the daemon would
        log.exception("loading %s ended by an error of ours; please report it", path)
    finally:
        os._exit(code)  # nothing of the daemon's may run twice


def answer_anew() -> NoReturn:
    """Be the new interpreter: its arguments are the file, the settings as JSON, and the pipe for the answer."""
    path, settings, sink = sys.argv[1:]
    _answer(Path(path), {tuple(keys): text for keys, text in json.loads(settings)}, int(sink))


def _read_all(source: int, until: float) -> bytes:
    """Everything from the pipe `source`; TimeoutError if it is still open at `until` (monotonic)."""
    data = bytearray()
    while select.select([source], [], [], max(0.0, until - time.monotonic()))[0]:
        chunk = os.read(source, _CHUNK_BYTES)
        if not chunk:
            return bytes(data)
        data += chunk
    raise TimeoutError
