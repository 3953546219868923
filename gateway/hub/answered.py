"""The commands that were carried out or refused lately, so that one that is repeated is answered and not done again.

Stored under `command/<uplink>/<issuer>/<id>` with the decision that each led to; those that a person gives on the spot
are never repeated, and not remembered.

- An id is known by the uplink that it came over, and with what it asked for: another request with it is none.
- The latest REMEMBERED are kept, and beside them each that must not be done twice until it has expired, MOST in all:
  more than an uplink can ask for in the LONGEST_MS that such a command may be good for.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import NamedTuple

from gateway.model import Command, Moment, Reply, StateChange, Trust
from gateway.records import encode

REMEMBERED = 256
MOST = 2048
LONGEST_MS = 15 * 60 * 1000
"""How far ahead a command that must not be done twice may expire."""

ANOTHER = "this id was another request; a new request has a new id"
_PREFIX = "command/"
_NOT_SET = frozenset({Trust.ESTIMATED, Trust.UNSYNCED})


class _Known(NamedTuple):
    """What was answered to a command; it is not forgotten before `until` (UTC ms)."""

    number: int
    reply: Reply
    asked: str
    until: int

    def is_held(self, now: Moment) -> bool:
        """Whether it may still be asked for again."""
        return self.until > 0 and (now.trust is Trust.UNSYNCED or now.ts <= self.until)


class AnsweredCommands:
    """Owned and changed by the hub alone."""

    def __init__(self) -> None:
        self._known: dict[str, _Known] = {}
        self._count = 0

    def answered(self, command: Command) -> Reply | None:
        """What was answered to this command before; None if it is new."""
        known = self._known.get(key_of(command))
        return None if known is None else known.reply

    def clashes(self, command: Command) -> bool:
        """Whether its id is that of another request."""
        known = self._known.get(key_of(command))
        return known is not None and known.asked != _asked(command)

    def remember(self, command: Command, reply: Reply, now: Moment, until: int = 0) -> Iterator[StateChange]:
        """The state to store, and to remove, with the decision that the command led to."""
        if command.source == "local":
            return
        self._count += 1
        key, known = key_of(command), _Known(self._count, reply, _asked(command), until)
        self._known.pop(key, None)  # it is the latest now
        self._known[key] = known
        yield StateChange(key, encode([known.number, *reply[:3], known.asked, known.until]))
        yield from self._forget(now)

    def restore(self, stored: Mapping[str, str], now: Moment) -> Iterator[StateChange]:
        """Merge what was remembered in the run before; the state to remove: too old, or no text of ours."""
        before: dict[str, _Known] = {}
        for key, text in stored.items():
            if not key.startswith(_PREFIX):
                continue
            try:
                number, command, result, detail, asked, until = json.loads(text)
                reply = Reply(str(command), str(result), str(detail))
                before[key] = _Known(int(number), reply, str(asked), int(until))
            except (ValueError, TypeError):
                yield StateChange(key, None)
        self._count += max((known.number for known in before.values()), default=0)
        self._known = dict(sorted(before.items(), key=lambda item: item[1].number)) | self._known
        yield from self._forget(now)

    def _forget(self, now: Moment) -> Iterator[StateChange]:
        """The oldest of what may be forgotten; beyond MOST, the oldest."""
        if len(self._known) <= REMEMBERED:
            return
        free = [key for key, known in self._known.items() if not known.is_held(now)]
        for key in free[: len(self._known) - REMEMBERED]:
            del self._known[key]
            yield StateChange(key, None)
        for key in list(self._known)[: max(0, len(self._known) - MOST)]:
            del self._known[key]
            yield StateChange(key, None)


def key_of(command: Command) -> str:
    """What a command and its repetitions have in common."""
    return f"{_PREFIX}{command.source}/{command.issuer}/{command.id}"


def too_far_ahead(command: Command, now: Moment) -> bool:
    """Whether it would have to be remembered for longer than LONGEST_MS, as far as the clock can tell."""
    return command.expires is not None and now.trust not in _NOT_SET and command.expires - now.ts > LONGEST_MS


def is_new(command: Command, now: Moment) -> bool:
    """Whether the clock alone tells that it was asked for within the last LONGEST_MS, or a little later."""
    return command.expires is not None and now.trust not in _NOT_SET and not too_far_ahead(command, now)


def _asked(command: Command) -> str:
    """What it asks for, as a few letters."""
    return sha256(json.dumps([command.name, command.args], sort_keys=True).encode()).hexdigest()[:32]
