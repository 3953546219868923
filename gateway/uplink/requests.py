"""What a platform asks of the gateway over one uplink: held to a rate, checked, and handed on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from gateway.model import Command, Reply
from gateway.uplink import commands
from gateway.uplink.pace import Pace
from gateway.uplink.wire import Received

log = logging.getLogger(__name__)

COMMANDS_PER_S, COMMANDS_AT_ONCE = 2.0, 20.0


class Requests:
    """Of one uplink. `answer` may be called from any thread."""

    def __init__(self, uplink: str, allowed: Sequence[str], answer: Callable[[Reply], None]) -> None:
        self._uplink = uplink
        self._allowed = allowed
        self._answer = answer
        self._pace = Pace(COMMANDS_PER_S, COMMANDS_AT_ONCE)
        self._flooded = 0
        self.dropped = 0

    def command(self, received: Received, now: float) -> Command | Reply | None:
        """The command in a message, or the reply that refuses it, or None where nobody can be told."""
        if not self._pace.allows(now):
            self._too_many()
            return None
        self._flooded = 0
        self._pace.spend(1)
        asked = commands.command(received.payload, received.retain, self._uplink, self._allowed, self._answer)
        if isinstance(asked, Command):
            return asked
        log.warning("uplink %s: a command is refused: %s", self._uplink, asked.why)
        return None if asked.id is None else Reply(asked.id, "refused", asked.why)

    def _too_many(self) -> None:
        """Dropped unread; said once for each flood, which the health counts."""
        self._flooded += 1
        self.dropped += 1
        if self._flooded == 1:
            log.warning(
                "uplink %s: more than %g commands a second; the rest is dropped unread. See who sends them",
                self._uplink,
                COMMANDS_PER_S,
            )
