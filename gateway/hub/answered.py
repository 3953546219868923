"""The commands that were carried out or refused lately, so that one that is repeated is answered and not done again.

Stored under `command/<issuer>/<id>` with the decision that each led to, the latest `REMEMBERED` of them; those that a
person gives on the spot are never repeated, and not remembered.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from gateway.model import Command, Reply, StateChange
from gateway.records import encode

REMEMBERED = 256
_PREFIX = "command/"


class AnsweredCommands:
    """Owned and changed by the hub alone."""

    def __init__(self) -> None:
        self._replies: dict[str, tuple[int, Reply]] = {}
        self._count = 0

    def answered(self, command: Command) -> Reply | None:
        """What was answered to this command before; None if it is new."""
        known = self._replies.get(key_of(command))
        return None if known is None else known[1]

    def remember(self, command: Command, reply: Reply) -> Iterator[StateChange]:
        """The state to store, and to remove, with the decision that the command led to."""
        if command.source == "local":
            return
        self._count += 1
        key = key_of(command)
        self._replies[key] = self._count, reply
        yield StateChange(key, encode([self._count, reply.id, reply.result, reply.detail]))
        yield from self._forget()

    def restore(self, stored: Mapping[str, str]) -> Iterator[StateChange]:
        """Merge what was remembered in the run before; the state to remove: too old, or no text of ours."""
        before: dict[str, tuple[int, Reply]] = {}
        for key, text in stored.items():
            if not key.startswith(_PREFIX):
                continue
            try:
                count, command, result, detail = json.loads(text)
                before[key] = int(count), Reply(str(command), str(result), str(detail))
            except (ValueError, TypeError):
                yield StateChange(key, None)
        self._count += max((count for count, _ in before.values()), default=0)
        self._replies = dict(sorted(before.items(), key=lambda item: item[1][0])) | self._replies
        yield from self._forget()

    def _forget(self) -> Iterator[StateChange]:
        while len(self._replies) > REMEMBERED:
            oldest = next(iter(self._replies))
            del self._replies[oldest]
            yield StateChange(oldest, None)


def key_of(command: Command) -> str:
    """What a command and its repetitions have in common."""
    return f"{_PREFIX}{command.issuer}/{command.id}"
