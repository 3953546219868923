"""Puts the two threads of one uplink together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue

from gateway.clock import Clock
from gateway.config import schema
from gateway.model import About, Fact, ToJournal
from gateway.uplink import contract
from gateway.uplink.attempts import PAUSES, Pauses
from gateway.uplink.connector import MqttWire
from gateway.uplink.post import Post
from gateway.uplink.sender import Sender
from gateway.uplink.wire import Publication


def uplink(
    uplink_id: str,
    options: schema.Uplink,
    about: About,
    run: str,
    folder: Path,
    clock: Clock,
    tell_hub: Callable[[Fact], None],
    tell_journal: Callable[[ToJournal], None],
    pauses: Pauses = PAUSES,
) -> tuple[Sender, MqttWire]:
    """The sender and the wire of one uplink. `folder`: what its files are relative to; `pauses`: between attempts.

    Stop the sender first, or both together: the wire waits a few seconds for the sender's goodbye.
    """
    inbox: SimpleQueue[Post] = SimpleQueue()

    def will() -> Publication:
        lost = contract.status("lost", run, clock.now().ts, about.version)
        return Publication(contract.Topics.of(about).status, lost, retain=True)

    client_id = options.client_id or f"{about.site}-{about.gateway}"
    wire = MqttWire(uplink_id, options, folder, client_id, will, inbox.put, tell_hub, clock, pauses)
    sender = Sender(uplink_id, options, about, run, wire, clock, tell_hub, tell_journal, inbox)
    return sender, wire
