"""Records that a platform wants once more: asked of the journal, answered, and told to the hub for the record.

- Nothing is read or kept here: what the journal takes back as acknowledged goes again as any backlog does, at its rate.
- A platform may always ask: it is about nothing but what this uplink has sent it.
- A command that is repeated, since its answer was lost, is answered and not done again, as far as this run remembers.
  One that a failing disk refused is asked again.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from gateway.clock import Clock
from gateway.model import Answered, Command, Fact, Moment, Reply, Resend, ResendWanted, Trust
from gateway.uplink import commands
from gateway.uplink.commands import Span
from gateway.uplink.post import Resent

REMEMBERED = 256
NOT_CHECKED = "its expiry was not checked: this gateway's clock is not set"


class Resends:
    """Of one uplink; used on its sender's thread alone, which hears of answers by `post`."""

    def __init__(
        self,
        uplink: str,
        clock: Clock,
        tell_hub: Callable[[Fact], None],
        tell_journal: Callable[[ResendWanted], None],
        post: Callable[[Resent], None],
    ) -> None:
        self._uplink = uplink
        self._clock = clock
        self._tell_hub = tell_hub
        self._tell_journal = tell_journal
        self._post = post
        self._answered: dict[tuple[str, str], Reply] = {}

    def asked(self, command: Command) -> Reply | None:
        """Ask the journal; or the reply, where there is nothing to ask it."""
        known = self._answered.get((command.issuer, command.id))
        if known is not None:
            return known
        span = commands.span(command.args)
        late = _refusal(command, self._clock.now())
        if isinstance(span, str) or late:
            return self._reply(command, "refused", late or str(span))
        answered = partial(self._heard, command, span)
        self._tell_journal(ResendWanted(self._uplink, *span, answered))
        return None

    def answered(self, resent: Resent) -> Reply:
        """What the platform is told."""
        asked, span, answer = resent
        if answer.refusal:
            return self._reply(asked, "refused", answer.refusal, answer)
        told = f"{span.lane} {span.first} to {span.last} of run {span.run}"
        told += f": {answer.again} records go again, {answer.gone} are gone for good"
        unsure = f"; {NOT_CHECKED}" if self._clock.now().trust is Trust.UNSYNCED else ""
        return self._reply(asked, "done", told + unsure, answer)

    def _heard(self, command: Command, span: Span, answer: Resend) -> None:
        self._post(Resent(command, span, answer))

    def _reply(self, command: Command, result: str, detail: str, answer: Resend | None = None) -> Reply:
        reply = Reply(command.id, result, detail)
        if answer is not None and (answer.gone or not answer.refusal):
            reply = reply._replace(again=answer.again, gone=answer.gone)
        if answer is None or reply.gone is not None:  # else the journal may say otherwise when it is asked again
            self._answered[command.issuer, command.id] = reply
        if len(self._answered) > REMEMBERED:
            del self._answered[next(iter(self._answered))]
        self._tell_hub(Answered(command, reply))
        return reply


def _refusal(command: Command, now: Moment) -> str:
    is_late = command.expires is not None and command.expires < now.ts and now.trust is not Trust.UNSYNCED
    return "expired" if is_late else ""
