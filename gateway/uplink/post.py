"""What a sender's inbox takes."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from gateway.model import Backlog, Command, JournalRestored, Notice, Record, Reply, Resend, Stored, Unstored
from gateway.uplink.commands import Span
from gateway.uplink.wire import Heard


class Answer(NamedTuple):
    """The journal's answer to question `number`."""

    number: int
    backlog: Backlog


class Resent(NamedTuple):
    """The journal's answer to a command that wanted these records."""

    asked: Command
    span: Span
    answer: Resend


class NotKnown(NamedTuple):
    """The journal has no such run as a confirmation was about."""


class Stop(NamedTuple):
    """Finish and end."""


Said: TypeAlias = Stored | Unstored | JournalRestored | Answer | Resent | NotKnown
"""What the journal says."""

Told: TypeAlias = Record | Notice | Reply
"""What the hub says."""

Post: TypeAlias = Said | Told | Heard | Stop
