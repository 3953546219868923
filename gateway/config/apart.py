"""A configuration loaded by a process of its own, because the one that runs for years has no use for what checks it.

pydantic, its schemas and PyYAML take 14 MiB, once imported for good. So the daemon starts the process of __main__.py,
imports its own libraries meanwhile, and receives the finished tree.

Invariants: the other process has this one's interpreter and import path, so it finds the same drivers; it is waited
for with a deadline, and never left behind.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from gateway.config.schema import Config
from gateway.errors import ConfigError, SitewardenError

DEADLINE_S = 60.0  # a configuration of 1 MB takes a Pi Zero some seconds
NO_SETTINGS: Mapping[tuple[str, ...], str] = MappingProxyType({})


class Loading:
    """One configuration on its way. `settings` are values from outside, as they would be written in the file."""

    def __init__(
        self, path: Path, settings: Mapping[tuple[str, ...], str] = NO_SETTINGS, deadline_s: float = DEADLINE_S
    ) -> None:
        self._path = path
        self._settings = settings
        self._deadline_s = deadline_s
        self._process: subprocess.Popen[bytes]

    def start(self) -> None:
        """Begin; SitewardenError if the machine has no room for a process."""
        settings = json.dumps(list(self._settings.items()))
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-P", "-m", "gateway.config", str(self._path), settings],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))},
            )
        except OSError as error:
            raise self._failure(f"no process can be started for it: {error.strerror}") from error

    def config(self) -> Config:
        """The tree, when it is there; ConfigError with every problem, SitewardenError if the process failed."""
        try:
            answer, _ = self._process.communicate(timeout=self._deadline_s)
        except subprocess.TimeoutExpired as error:
            raise self._failure(f"its process took more than {self._deadline_s:g} s") from error
        finally:
            self._process.kill()
            self._process.wait()
        code = self._process.returncode
        if code:
            ended = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
            raise self._failure(f"its process {ended}")
        found: Config | tuple[str, ...] = pickle.loads(answer)  # noqa: S301 - from our own process
        if isinstance(found, Config):
            return found
        raise ConfigError(found)

    def _failure(self, what: str) -> SitewardenError:
        hint = f"see what `sitewarden check {self._path}` says, and whether memory is free"
        return SitewardenError(f"{self._path} could not be loaded, {what}", hint)
