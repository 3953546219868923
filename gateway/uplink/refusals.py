"""Messages that the broker refused, and when each may be tried again. Pure.

- What is refused for the moment (quota, no reason given) closes its lane for 1 s, 2 s, 4 s, ... at most a minute.
- What is refused for good (payload, topic, not authorised) steps aside and is tried again after 1 to 60 minutes, while
  the rest of its lane goes on. When ten in a row were, it is no single bad record: their lane waits for 1 s, 2 s, ...
  at most a minute, and goes on with what is next, so that one that is taken opens it again.
- What we know to be bigger than the broker takes steps aside unsent, and holds up nobody.
- When very many have stepped aside, the rest is left to the next connection.
- Of what is no record, nothing waits for what was refused for good: who may not publish `about` can still raise alarms.
- Nothing is given up here: what is not acknowledged stays in the journal.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from gateway.uplink.window import Message

MAX_IN_A_ROW = 10
MAX_ASIDE = 500
TOO_LARGE = 0x95
FOR_GOOD = {
    0x87: "the broker's access list does not let this user publish here",
    0x90: "the broker does not take this topic",
    0x95: "the message is bigger than the broker takes",
    0x99: "the broker does not take what is in the message",
}
"""Reason codes of a PUBACK that another attempt will hardly change, in words. Source: MQTT 5.0, 3.4.2.1."""

_MOMENT_S = (1.0, 60.0)
_GOOD_S = (60.0, 3600.0)


def pause_s(code: int, refusals: int) -> float:
    """Seconds until a message that was refused `refusals` times, now with `code`, may be tried again."""
    return _in_bounds(_GOOD_S if code in FOR_GOOD else _MOMENT_S, refusals - 1)


def _in_bounds(bounds: tuple[float, float], doublings: int) -> float:
    return min(bounds[1], bounds[0] * 2.0 ** min(doublings, 20))


class _Waiting(NamedTuple):
    due: float
    for_good: bool
    by_us: bool  # the broker was not even asked
    message: Message


class Aside:
    """The refused messages of one lane, in the order of their refusal.

    `has_left_out`: something was left to the next connection.
    """

    def __init__(self, *, waits_in_a_row: bool = True) -> None:
        self.has_left_out = False
        self._waits_in_a_row = waits_in_a_row
        self._waiting: list[_Waiting] = []
        self._in_a_row = 0
        self._closed_until: float | None = None

    def __iter__(self) -> Iterator[Message]:
        return (waiting.message for waiting in self._waiting)

    def refused(self, message: Message, code: int, now: float) -> Message:
        """Set `message` aside, which the broker did not take; returns it with its refusals counted."""
        self._in_a_row += 1
        if self._in_a_row >= MAX_IN_A_ROW and self._waits_in_a_row:
            self._closed_until = now + _in_bounds(_MOMENT_S, self._in_a_row - MAX_IN_A_ROW)
        return self._set_aside(message, code, now, by_us=False)

    def too_large(self, message: Message, now: float) -> Message:
        """Set `message` aside, which the broker has said that it would not take; of very many, some only."""
        return self._set_aside(message, TOO_LARGE, now, by_us=True)

    def _set_aside(self, message: Message, code: int, now: float, *, by_us: bool) -> Message:
        counted = message._replace(refusals=message.refusals + 1)
        if len(self._waiting) < MAX_ASIDE:
            due = now + pause_s(code, counted.refusals)
            self._waiting.append(_Waiting(due, code in FOR_GOOD, by_us, counted))
        else:
            self.has_left_out = True
        return counted

    def is_closed(self, now: float) -> bool:
        """Whether nothing else of the lane may go."""
        if self._closed_until is not None and now < self._closed_until:
            return True
        return any(not waiting.for_good and waiting.due > now for waiting in self._waiting)

    def due_at(self) -> float | None:
        """When (monotonic) the next one may be tried again; None if there is none."""
        times = [waiting.due for waiting in self._waiting]
        return min(times if self._closed_until is None else [*times, self._closed_until], default=None)

    def take(self, now: float) -> Message | None:
        """The first message that may be tried again now."""
        for index, waiting in enumerate(self._waiting):
            if waiting.due <= now:
                del self._waiting[index]
                return waiting.message
        return None

    def accepted(self) -> None:
        """The broker took something of this lane: those refused for the moment may be tried at once."""
        self._in_a_row, self._closed_until = 0, None
        self._waiting = [waiting if waiting.for_good else waiting._replace(due=0.0) for waiting in self._waiting]

    def clear(self) -> list[Message]:
        """Forget all; returns them."""
        left = [waiting.message for waiting in self._waiting]
        self._waiting = []
        self._in_a_row, self._closed_until, self.has_left_out = 0, None, False
        return left
