"""What a platform asks of the gateway over one uplink: held to a rate, checked, and handed on."""

from __future__ import annotations

import logging
from collections.abc import Callable

from gateway.model import Command, Reply
from gateway.pace import Pace
from gateway.uplink import commands
from gateway.uplink.commands import Refusal, Terms
from gateway.uplink.confirmation import Confirmation, confirmation
from gateway.uplink.wire import Received

log = logging.getLogger(__name__)

COMMANDS_PER_S, COMMANDS_AT_ONCE = 2.0, 100.0
"""So many at once that a platform can confirm what a fire in a large building raises."""
CONFIRMATIONS_PER_S = 10_000.0


class Requests:
    """Of one uplink. `answer` may be called from any thread."""

    def __init__(self, terms: Terms, answer: Callable[[Reply], None]) -> None:
        self._uplink = terms.source
        self._terms = terms
        self._answer = answer
        self._pace = Pace(COMMANDS_PER_S, COMMANDS_AT_ONCE)
        self._flooded = 0
        self.dropped = 0
        self._confirmations = Pace(CONFIRMATIONS_PER_S)
        self.bad_confirmations = 0

    def command(self, received: Received, now: float) -> Command | Refusal | None:
        """The command in a message, or why it is none; None where it was not looked at."""
        if not self._pace.allows(now):
            self._too_many()
            return None
        self._flooded = 0
        self._pace.spend(1)
        asked = commands.command(received.payload, received.retain, self._terms, self._answer)
        if isinstance(asked, Refusal):
            log.warning("uplink %s: a command is refused: %s", self._uplink, asked.why)
        return asked

    def confirmation(self, received: Received, now: float) -> Confirmation | None:
        """What the platform says that it has stored; None, counted, where that is none or comes too fast."""
        if not received.retain and self._confirmations.allows(now):
            self._confirmations.spend(1)
            try:
                return confirmation(received.payload)
            except ValueError as error:
                log.info("uplink %s: a confirmation is passed over: %s", self._uplink, error)
        self.unknown()
        return None

    def unknown(self) -> None:
        """A confirmation means nothing here; what it was about goes again."""
        self.bad_confirmations += 1

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
