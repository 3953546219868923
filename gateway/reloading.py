"""The thread that takes over a new configuration: loaded anew, compared with the one in use, and handed to the rooms.

- Nothing changes unless all of it can: a file with a problem, or a change that needs a restart, is refused whole.
- One at a time, in the order in which they were asked for. Each is answered, whatever happens.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

from gateway.config.apart import Loading
from gateway.config.difference import RESTART, Difference, Marks, difference, unchangeable
from gateway.config.schema import Config
from gateway.errors import ConfigError, SitewardenError
from gateway.model import Command, Fact, ReloadRefused

log = logging.getLogger(__name__)

MOST_PROBLEMS = 20
_STOPPING = "the daemon is stopping"
_NO_FILE = "this gateway was not started from a file"
_OF_OURS = "an error of ours ended it; see the log, and please report it"


class Source(NamedTuple):
    """Where the configuration is, and the values from outside that it was started with."""

    path: Path
    settings: Mapping[tuple[str, ...], str]
    marks: Marks  # of the configuration in use


class Change(NamedTuple):
    """From one configuration to another, as a command wanted it."""

    before: Config
    now: Config
    difference: Difference
    command: Command


class Reloading:
    """Owns the configuration in use. `reload` and `stop` may be called from any thread; `run` is the thread.

    `take_over` has the rooms go on by another configuration; what it returns is the one that is in use then.
    """

    name = "reloading"

    def __init__(
        self,
        config: Config,
        source: Source | None,
        take_over: Callable[[Change], Config],
        tell: Callable[[Fact], None],
    ) -> None:
        self._config = config
        self._marks: Marks = {} if source is None else source.marks
        self._source = source
        self._take_over = take_over
        self._tell = tell
        self._inbox: SimpleQueue[Command | None] = SimpleQueue()
        self._stopping = False

    def reload(self, command: Command) -> None:
        """Take over what the configuration file says now; never waits."""
        self._inbox.put(command)

    def stop(self) -> None:
        """Take over nothing any more, and end."""
        self._stopping = True
        self._inbox.put(None)

    def run(self) -> None:
        """Serve until stopped."""
        while not self._stopping:
            command = self._inbox.get()
            if command is not None:
                self._reload(command)

    def _reload(self, command: Command) -> None:
        why = _OF_OURS
        try:
            why = self._refusal(command)
        finally:
            if why:
                log.error("the configuration stays as it is: %s", why)
                self._tell(ReloadRefused(command, why))

    def _refusal(self, command: Command) -> str:
        """Why nothing is taken over; empty if it was."""
        if self._source is None:
            return _NO_FILE
        loading = Loading(self._source.path, self._source.settings)
        try:
            loading.start_anew()
            config = loading.config()
        except ConfigError as error:
            return _problems(error)
        except SitewardenError as error:
            return str(error)
        fixed = unchangeable(self._config, config)
        if fixed or self._stopping:
            return f"{', '.join(fixed)}: {RESTART}" if fixed else _STOPPING
        found = difference(self._config, self._marks, config, loading.marks)
        self._config = self._take_over(Change(self._config, config, found, command))
        self._marks = loading.marks
        for note in config.notes:
            log.warning("%s", note)
        log.info("the configuration was read again: %s", found.text)
        return ""


def _problems(error: ConfigError) -> str:
    more = len(error.problems) - MOST_PROBLEMS
    return "\n".join((*error.problems[:MOST_PROBLEMS], *([f"and {more} more"] if more > 0 else ())))
