"""Messages that the broker refused, and when each may be tried again. Pure.

- What is refused for the moment (quota, no reason given) closes its lane for 1 s, 2 s, 4 s, ... at most a minute.
- What is refused for good (payload, topic, not authorised) steps aside and is tried again after 1 to 60 minutes, while
  the rest of its lane goes on. When ten have stepped aside, their lane waits for them: then it is no single bad record.
- Nothing is given up here: what is not acknowledged stays in the journal.
"""

from __future__ import annotations

from collections.abc import Iterator

from gateway.uplink.window import Message

MAX_ASIDE = 10
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
    first, longest = _GOOD_S if code in FOR_GOOD else _MOMENT_S
    return min(longest, first * 2.0 ** min(refusals - 1, 20))


class Aside:
    """The refused messages of one lane, in the order of their refusal."""

    def __init__(self) -> None:
        self._messages: list[tuple[float, bool, Message]] = []

    def __iter__(self) -> Iterator[Message]:
        return (message for _, _, message in self._messages)

    def refused(self, message: Message, code: int, now: float) -> Message:
        """Set `message` aside; returns it with its refusals counted."""
        counted = message._replace(refusals=message.refusals + 1)
        self._messages.append((now + pause_s(code, counted.refusals), code in FOR_GOOD, counted))
        return counted

    def is_closed(self, now: float) -> bool:
        """Whether nothing else of the lane may go."""
        return len(self._messages) >= MAX_ASIDE or any(not good and due > now for due, good, _ in self._messages)

    def due_at(self) -> float | None:
        """When (monotonic) the next one may be tried again; None if there is none."""
        return min((due for due, _, _ in self._messages), default=None)

    def take(self, now: float) -> Message | None:
        """The first message that may be tried again now."""
        for index, (due, _, message) in enumerate(self._messages):
            if due <= now:
                del self._messages[index]
                return message
        return None

    def accepted(self) -> None:
        """The broker took something of this lane: those refused for the moment may be tried at once."""
        self._messages = [(due if good else 0.0, good, message) for due, good, message in self._messages]

    def clear(self) -> list[Message]:
        """Forget all; returns them."""
        left = [message for _, _, message in self._messages]
        self._messages = []
        return left
