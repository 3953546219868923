"""Puts the two threads of each uplink together, and tells all of them what the hub says."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

from gateway.clock import Clock
from gateway.config import schema
from gateway.model import About, Briefing, Fact, Notice, Record, ToJournal
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


class Pair(NamedTuple):
    """The two rooms of one uplink."""

    sender: Sender
    wire: MqttWire


class Uplinks:
    """Every uplink, by id. `tell` may be called by any thread; the others are called by one."""

    def __init__(
        self, run: str, clock: Clock, tell_hub: Callable[[Fact], None], tell_journal: Callable[[ToJournal], None]
    ) -> None:
        self._run = run
        self._clock = clock
        self._tell_hub = tell_hub
        self._tell_journal = tell_journal
        self._pairs: Mapping[str, Pair] = {}

    def make(self, names: Collection[str], config: schema.Config, about: About) -> Mapping[str, Pair]:
        """These uplinks of a configuration, before they are in use."""
        return {
            name: Pair(
                *uplink(
                    name,
                    config.uplinks[name],
                    about,
                    self._run,
                    Path(config.folder),
                    self._clock,
                    self._tell_hub,
                    self._tell_journal,
                )
            )
            for name in names
        }

    def use(self, pairs: Mapping[str, Pair]) -> None:
        """These and no others are told from now on."""
        self._pairs = pairs

    @property
    def pairs(self) -> Mapping[str, Pair]:
        """Those in use."""
        return self._pairs

    @property
    def senders(self) -> tuple[Sender, ...]:
        """Those in use."""
        return tuple(pair.sender for pair in self._pairs.values())

    def tell(self, message: Record | Notice) -> None:
        """To every sender, or to those that it is for."""
        if isinstance(message, Briefing):
            for name, pair in self._pairs.items():
                for notice in message.notices if name in message.uplinks else ():
                    pair.sender.post(notice)
            return
        for pair in self._pairs.values():
            pair.sender.post(message)


def rooms_of(pairs: Mapping[str, Pair]) -> tuple[Sender | MqttWire, ...]:
    """The senders first: the wires wait for their goodbyes."""
    return (*(pair.sender for pair in pairs.values()), *(pair.wire for pair in pairs.values()))
