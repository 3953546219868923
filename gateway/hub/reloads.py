"""Commands that want a new configuration to be taken over: passed on at once, answered later.

One is under way at a time. Who asks meanwhile waits for one more, which begins when that has ended, and reads the file
as it is then: however many have asked, it is one, and each is answered with what came of it. A person on the spot, or a
signal, that asks again is one who waits, not many.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from typing import NamedTuple

from gateway import records
from gateway.hub.answered import AnsweredCommands, key_of
from gateway.hub.numbering import Numbering
from gateway.hub.plan import Reconfigured
from gateway.model import Command, Decision, Moment, ReloadRefused, Reply

RELOAD = "reload"
"""The command's name."""

MOST = 16
"""Who wait for the next one."""

_MOST_ANSWERS = 32  # to repetitions of one that waits


class _Asked(NamedTuple):
    command: Command
    answers: list[Callable[[Reply], None]]


class Reloads:
    """Those that are under way or wait. Owned and changed by the hub alone."""

    def __init__(self, numbering: Numbering, commands: AnsweredCommands) -> None:
        self._numbering = numbering
        self._commands = commands
        self._running: list[_Asked] = []  # the first is what is under way
        self._next: list[_Asked] = []

    def joined(self, command: Command) -> bool:
        """Whether this is a repetition of one that is under way or waits; it gets the same answer."""
        if command.name != RELOAD:
            return False
        return _join(command, chain(self._running, self._next), key_of)

    def request(self, command: Command) -> Decision | str:
        """The decision that passes it on, or has it wait; or why it is refused."""
        if command.args.keys() - {"reason"}:
            return "reload takes no args but a reason: it reads the configuration that the daemon was started with"
        if not self._running:
            self._running = [_Asked(command, [command.answer])]
            return Decision(reloads=(command,))
        if command.source == "local" and _join(command, self._next, lambda it: f"{it.source}/{it.issuer}"):
            return Decision()
        if len(self._next) >= MOST:
            return "too many wait for the configuration to be read again; one of theirs reads what this one would"
        self._next.append(_Asked(command, [command.answer]))
        return Decision()

    def refused(self, fact: ReloadRefused, now: Moment) -> Decision:
        """The old configuration stays."""
        return self._ended(fact.command, "refused", fact.why, now)

    def done(self, fact: Reconfigured, before: str, now: Moment) -> Decision:
        """It is taken over; `before` is the hash of the one that was in use."""
        text = records.configured(fact.plan.about.config, before, fact.command, fact.words)
        event = self._numbering.event(text, now)
        told = self._ended(fact.command, "done", ", ".join(fact.words) or "nothing changed", now)
        return Decision((event,)).then(told)

    def _ended(self, first: Command, result: str, detail: str, now: Moment) -> Decision:
        """All who have asked for it are answered, and what waits begins."""
        decision = Decision()
        for asked in self._running or [_Asked(first, [])]:
            decision = decision.then(self._answered(asked, Reply(asked.command.id, result, detail), now))
        self._running, self._next = self._next, []
        following = tuple(asked.command for asked in self._running[:1])
        return decision._replace(reloads=following)

    def _answered(self, asked: _Asked, reply: Reply, now: Moment) -> Decision:
        event = self._numbering.event(records.command(asked.command, reply), now)
        remembered = tuple(self._commands.remember(asked.command, reply, now))
        return Decision((event,), remembered, replies=tuple((answer, reply) for answer in asked.answers))


def _join(command: Command, those: Iterator[_Asked] | list[_Asked], name: Callable[[Command], str]) -> bool:
    """Whether one of those goes by the same name; then this one waits for its answer."""
    found = next((asked for asked in those if name(asked.command) == name(command)), None)
    if found is not None and len(found.answers) < _MOST_ANSWERS:
        found.answers.append(command.answer)
    return found is not None
