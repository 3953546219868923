"""Commands that want a new configuration to be taken over: passed on at once, answered later."""

from __future__ import annotations

from collections.abc import Callable

from gateway import records
from gateway.hub.answered import AnsweredCommands, key_of
from gateway.hub.numbering import Numbering
from gateway.hub.plan import Reconfigured
from gateway.model import Command, Decision, Moment, ReloadRefused, Reply

RELOAD = "reload"
"""The command's name."""


class Reloads:
    """Those that are under way. Owned and changed by the hub alone."""

    def __init__(self, numbering: Numbering, commands: AnsweredCommands) -> None:
        self._numbering = numbering
        self._commands = commands
        self._waiting: dict[str, list[Callable[[Reply], None]]] = {}

    def joined(self, command: Command) -> bool:
        """Whether this is a repetition of one that is under way; it gets the same answer."""
        waiting = self._waiting.get(key_of(command)) if command.name == RELOAD else None
        if waiting is not None:
            waiting.append(command.answer)
        return waiting is not None

    def request(self, command: Command) -> Decision | str:
        """The decision that passes it on, or why it is refused."""
        if command.args:
            return "reload takes no args: it reads the configuration that the daemon was started with"
        self._waiting[key_of(command)] = [command.answer]
        return Decision(reloads=(command,))

    def refused(self, fact: ReloadRefused, now: Moment) -> Decision:
        """The old configuration stays."""
        return self._answered(fact.command, Reply(fact.command.id, "refused", fact.why), now)

    def done(self, fact: Reconfigured, before: str, now: Moment) -> Decision:
        """It is taken over; `before` is the hash of the one that was in use."""
        asked = fact.command
        text = records.configured(fact.plan.about.config, before, asked, fact.words)
        event = self._numbering.event(text, now)
        told = Reply(asked.id, "done", ", ".join(fact.words) or "nothing changed")
        return Decision((event,)).then(self._answered(asked, told, now))

    def _answered(self, command: Command, reply: Reply, now: Moment) -> Decision:
        event = self._numbering.event(records.command(command, reply), now)
        answers = self._waiting.pop(key_of(command), [])
        remembered = tuple(self._commands.remember(command, reply, now))
        return Decision((event,), remembered, replies=tuple((answer, reply) for answer in answers))
