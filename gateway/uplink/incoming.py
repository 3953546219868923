"""What comes in over one uplink's topics, and what follows from it.

Commands go to the hub; what concerns nothing but this uplink's own records, a `resend` or a confirmation, to the
journal; retained topics of ours that are no more are cleared.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

from gateway.clock import Clock
from gateway.config import schema
from gateway.model import Confirmed, Fact, Reply, ToJournal, TurnedAway
from gateway.signature import Keys
from gateway.uplink.commands import RESEND, Refusal, Terms
from gateway.uplink.contract import Topics
from gateway.uplink.outbox import Outbox
from gateway.uplink.post import NotKnown, Post, Resent
from gateway.uplink.requests import Requests
from gateway.uplink.resends import Resends
from gateway.uplink.sweep import Sweep
from gateway.uplink.wire import Received

log = logging.getLogger(__name__)


class Incoming:
    """Of one uplink; used on its sender's thread, which hears of answers by `post`. `tell_acked`: to the journal."""

    def __init__(
        self,
        uplink: str,
        options: schema.Uplink,
        topics: Topics,
        outbox: Outbox,
        sweep: Sweep,
        clock: Clock,
        tell_hub: Callable[[Fact], None],
        tell_journal: Callable[[ToJournal], None],
        tell_acked: Callable[[], None],
        post: Callable[[Post], None],
    ) -> None:
        self._uplink = uplink
        self._topics = topics
        self._outbox = outbox
        self._sweep = sweep
        self._clock = clock
        self._tell_hub = tell_hub
        self._tell_journal = tell_journal
        self._tell_acked = tell_acked
        self._post = post
        keys = Keys(options.command_key) if options.command_key else None
        self.requests = Requests(Terms(uplink, options.commands, topics.gateway, keys), post)
        self._resends = Resends(uplink, clock, tell_hub, tell_journal, post)

    @property
    def filters(self) -> tuple[tuple[str, int], ...]:
        """What to subscribe to, with its QoS: requests, and where the platform's word counts, what it has stored."""
        confirms = () if self._outbox.unconfirmed is None else ((self._topics.stored, 1),)
        return ((self._topics.command, 1), *confirms)

    def received(self, message: Received) -> None:
        """A message came."""
        if message.topic == self._topics.command:
            self._command(message)
        elif message.topic == self._topics.stored:
            self._confirmation(message)
        elif message.retain and self._sweep.is_on and self._outbox.board.found(message.topic):
            log.info("uplink %s: clearing %s, which is gone", self._uplink, message.topic)

    def _command(self, message: Received) -> None:
        asked = self.requests.command(message, self._clock.mono())
        if isinstance(asked, Refusal):
            self._tell_hub(TurnedAway(self._uplink, *asked))
            if asked.id:
                self._outbox.board.reply(Reply(asked.id, "refused", asked.why))
        elif asked is not None and asked.name == RESEND:
            self._tell_acked()  # what was acknowledged before is wanted again, too
            reply = self._resends.asked(asked)
            if reply is not None:
                self._outbox.board.reply(reply)
        elif asked is not None:
            self._tell_hub(asked)

    def resent(self, resent: Resent) -> None:
        """The journal has answered what became of a `resend`."""
        span = resent.span
        if resent.answer.again:
            self._outbox.start_over(span.lane, span.run, span.first, span.last)
        self._outbox.board.reply(self._resends.answered(resent))

    def _confirmation(self, message: Received) -> None:
        now = self._clock.mono()
        said = self.requests.confirmation(message, now)
        if said is not None and not self._outbox.confirmed(said, now):
            self._tell_journal(Confirmed(self._uplink, *said, partial(self._post, NotKnown())))
