"""Which messages wait for their acknowledgement, and whether one more may go. Pure.

- Our window is the only one: at most `limit` messages are unacknowledged, as the broker or the configuration says.
- A part of it is closed to bulk (telemetry, descriptions), in messages and in bytes, so that an event always finds room
  in the window and never has much telemetry before it on a slow line (line.py). Of the rest, the backlog gets at most
  half.
- Only a PUBACK takes a message out. Unknown, late and doubled ones change nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from gateway.model import Lane, Row
from gateway.uplink.line import Line
from gateway.uplink.wire import Publication


class Message(NamedTuple):
    """A publication, and what it carries: `rows` of one lane, or nothing that is a record (`lane` None)."""

    publication: Publication
    bulk: bool = False
    lane: Lane | None = None
    rows: tuple[Row, ...] = ()
    hist: bool = False
    refusals: int = 0  # how often the broker has refused it


@dataclass(slots=True)
class _Flight:
    message: Message
    sent: float
    held_back: bool = False  # no more could have left with it
    overtaken: bool = False


class Window:
    """The unacknowledged messages of one connection after the other, oldest first."""

    def __init__(self) -> None:
        self._limit = 0
        self._flights: dict[int, _Flight] = {}
        self._token = 0
        self._last_landing = 0.0
        self._bulk = 0
        self._bulk_hist = 0
        self._bulk_bytes = 0
        self._line = Line()

    def __len__(self) -> int:
        return len(self._flights)

    def __iter__(self) -> Iterator[Message]:
        return (flight.message for flight in self._flights.values())

    def open(self, limit: int) -> None:
        """Begin with a new connection, on which `limit` messages may be unacknowledged."""
        self.close()
        self._limit = limit
        self._line = Line()

    def close(self) -> list[Message]:
        """End with the connection; returns what was not acknowledged, oldest first."""
        left = [flight.message for flight in self._flights.values()]
        self._flights.clear()
        self._limit = self._bulk = self._bulk_hist = self._bulk_bytes = 0
        return left

    @property
    def has_room(self) -> bool:
        """Whether a message that is no bulk may go."""
        return len(self._flights) < self._limit

    def has_room_for_bulk(self, hist: bool) -> bool:
        """Whether a message of bulk may go."""
        share = max(1, self._limit - max(2, self._limit // 4))
        if not self.has_room or self._bulk >= share or self._line.is_filled_by(self._bulk_bytes):
            return False
        return not hist or self._bulk_hist < max(1, share // 2)

    @property
    def most_bytes(self) -> int:
        """How big a message of bulk should be at most."""
        return self._line.most_bytes

    def launch(self, message: Message, now: float) -> int:
        """Count `message` as sent at the monotonic time `now`; returns the token that names it from now on."""
        self._token += 1
        self._count(message, 1)
        held_back = message.bulk and self._line.is_filled_by(self._bulk_bytes)
        self._flights[self._token] = _Flight(message, now, held_back)
        return self._token

    def land(self, token: int, now: float) -> Message | None:
        """The message that is now answered for; None if this token is not waited for."""
        flight = self._flights.get(token)
        if flight is None:
            return None
        for other, earlier in self._flights.items():
            if other == token:
                break
            earlier.overtaken = True
        del self._flights[token]
        self._last_landing = now
        self._count(flight.message, -1)
        self._line.landed(len(flight.message.publication.payload), flight.sent, now, held_back=flight.held_back)
        return flight.message

    def overdue_at(self, patience_s: float) -> float | None:
        """When (monotonic) the connection counts as dead: no PUBACK for so long, or one left out. None if none waits.

        A PUBACK for a later message does not excuse the one left out: brokers answer in order (MQTT 5.0, 4.6).
        """
        for oldest in self._flights.values():
            since = oldest.sent if oldest.overtaken else max(oldest.sent, self._last_landing)
            return since + patience_s
        return None

    def _count(self, message: Message, by: int) -> None:
        if message.bulk:
            self._bulk += by
            self._bulk_hist += by * message.hist
            self._bulk_bytes += by * len(message.publication.payload)
