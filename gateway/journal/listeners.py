"""Whom the journal's thread tells what: the hub its facts, all senders what they may send."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from gateway.model import Correction, Dropped, Fact, JournalRestored, Stored, Unstored

ToSenders: TypeAlias = Stored | Unstored | JournalRestored | Correction
"""What every sender is told."""


class Listeners:
    """The hub and the senders; `dropped` counts the records that they were told are given up."""

    def __init__(self, tell_hub: Callable[[Fact], None], tell_senders: Sequence[Callable[[ToSenders], None]]) -> None:
        self.hub = tell_hub
        self.each_sender = tell_senders
        self.dropped = 0

    def senders(self, message: ToSenders) -> None:
        """Tell every sender."""
        for tell in self.each_sender:
            tell(message)

    def gaps(self, dropped: Iterable[Dropped]) -> None:
        """Tell the hub of gaps."""
        for gap in dropped:
            self.dropped += gap.records
            self.hub(gap)
