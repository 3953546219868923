"""Records as messages: how many go into one, and what it looks like on the wire. Pure.

- A batch has at most MAX_BATCH_BYTES before it is compressed, and as much as suits the line when it is, as far as the
  last one tells; what is sent keeps within the broker's Maximum Packet Size, for which a batch is halved until it fits.
- A record of a time when the clock was not trusted leaves with its corrected time, as soon as that is known.
- Compressed is what gets smaller by it; the same records give the same bytes.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import NamedTuple

from gateway.correction import Corrections
from gateway.model import Lane, Row
from gateway.uplink import contract
from gateway.uplink.lanes import Batch, first_batch
from gateway.uplink.window import Message
from gateway.uplink.wire import Publication

PACKET_OVERHEAD = 40
"""Bytes of a PUBLISH beside topic and payload, at most, with content type and expiry. Source: MQTT 5.0, 3.3."""

_GZIP_FORMAT = 31  # zlib's word for the largest window in a gzip frame; its time is left 0. Source: zlib.h


class Form(NamedTuple):
    """What telemetry looks like on the wire: compressed, and for how long a broker keeps what is live (None: ever)."""

    compress: bool = False
    expire_live_s: float | None = None


class Packing:
    """Of one uplink; `max_packet` is the broker's limit in bytes."""

    def __init__(self, topics: contract.Topics, form: Form) -> None:
        self._topics = topics
        self._form = form
        self.corrections = Corrections()
        self.max_packet = 0
        self._shrunk_to = 1.0  # what compressing left of the last batch

    def batch(self, rows: Iterable[Row], most_bytes: int = contract.MAX_BATCH_BYTES) -> Batch:
        """Of the rows that wait, those that go into the next message, of so many bytes as it is sent."""
        if self.corrections:
            rows = map(self.corrections.of, rows)
        room = min(contract.MAX_BATCH_BYTES, int(most_bytes / self._shrunk_to))
        if not self._form.compress:
            room = min(room, self.max_packet - PACKET_OVERHEAD - len(self._topics.telemetry))
        return first_batch(rows, contract.MAX_RECORDS, room - contract.BATCH_OVERHEAD, contract.RECORD_OVERHEAD)

    def telemetry(self, rows: tuple[Row, ...], hist: bool) -> Message:
        """A message of these rows, which are of one run and trust, or of the first of them if they are too many."""
        message = self._telemetry(rows, hist)
        while not self.fits(message) and len(message.rows) > 1:
            message = self._telemetry(message.rows[: len(message.rows) // 2], hist)
        return message

    def _telemetry(self, rows: tuple[Row, ...], hist: bool) -> Message:
        first, content = rows[0], ""
        payload = contract.telemetry(first.run, first.record.trust, hist, [row.record for row in rows])
        if self._form.compress:
            packed = zlib.compress(payload, wbits=_GZIP_FORMAT)
            self._shrunk_to = min(1.0, len(packed) / len(payload))
            if len(packed) < len(payload):
                payload, content = packed, contract.COMPRESSED
        expires_s = None if hist else self._form.expire_live_s
        publication = Publication(self._topics.telemetry, payload, content=content, expires_s=expires_s)
        return Message(publication, True, Lane.TELEMETRY, rows, hist)

    def event(self, row: Row, hist: bool) -> Message:
        """One event; never compressed, never with an expiry."""
        row = self.corrections.of(row)
        payload = contract.event(row.run, row.record, hist)
        return Message(Publication(self._topics.event, payload), hist, Lane.EVENT, (row,), hist)

    def halves(self, message: Message) -> tuple[Message, Message]:
        """Two messages of the rows of one."""
        middle = len(message.rows) // 2
        rows, hist = message.rows, message.hist
        return self._telemetry(rows[:middle], hist), self._telemetry(rows[middle:], hist)

    def fits(self, message: Message) -> bool:
        """Whether the broker takes a packet of this size."""
        topic, payload = message.publication.topic, message.publication.payload
        return len(topic.encode()) + len(payload) + PACKET_OVERHEAD <= self.max_packet
