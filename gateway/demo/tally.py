"""What reached the platform, counted as a consumer of the MQTT contract should: by (run, lane, number).

Invariants: memory stays small however long it listens (runs of numbers, not numbers); what arrives twice is counted and
dropped; a payload that is not as the contract says is counted as `wrong` and never an error.
"""

from __future__ import annotations

import json
import zlib
from typing import Any, NamedTuple

from gateway.demo.view import Received
from gateway.journal.ranges import Ranges
from gateway.model import Lane

_GZIP = b"\x1f\x8b"
_MOST_BYTES = 1 << 20  # that a payload is unpacked to


class Sample(NamedTuple):
    """A reading as it arrived: the device, the time of the sample (UTC ms), and whether any point of it was good."""

    device: str
    ts: int
    good: bool


class Tally:
    """Everything that arrived, as numbers."""

    def __init__(self) -> None:
        self.wrong = 0
        self._numbers: dict[tuple[str, Lane], Ranges] = {}
        self._twice = 0
        self._late = 0

    def take(self, topic: str, payload: bytes) -> list[Sample]:
        """Count one message of the gateway; returns the readings that are new in it."""
        try:
            match topic.rpartition("/")[2]:
                case "telemetry":
                    return self._telemetry(json.loads(_unpacked(payload)))
                case "event":
                    event = json.loads(payload)
                    self._count(event["run"], Lane.EVENT, event["seq"], bool(event.get("hist")))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, zlib.error):
            self.wrong += 1
        return []

    def received(self) -> Received:
        """The totals over all runs and lanes; `missing` counts what is not there between first and last number."""
        spans = [(ranges, *_span(ranges)) for ranges in self._numbers.values()]
        records = sum(ranges.count(first, last) for ranges, first, last in spans)
        return Received(
            records=records,
            twice=self._twice,
            missing=sum(last - first + 1 for _, first, last in spans) - records,
            late=self._late,
        )

    def whole(self, run: str, lane: Lane) -> int:
        """The number up to which everything of a run's lane is here, from 1 on; 0 if not even that is."""
        ranges = self._numbers.get((run, lane))
        first, last = next(iter(ranges), (1, 0)) if ranges is not None else (1, 0)
        return last if first == 1 else 0

    def _telemetry(self, batch: Any) -> list[Sample]:  # noqa: ANN401 - whatever JSON somebody published
        new = []
        for record in batch["records"]:
            sample = Sample(record["device"], int(record["ts"]), bool(record["values"]))
            if self._count(batch["run"], Lane.TELEMETRY, record["seq"], bool(batch.get("hist"))):
                new.append(sample)
        return new

    def _count(self, run: object, lane: Lane, number: object, late: bool) -> bool:
        if not isinstance(run, str) or not isinstance(number, int):
            raise TypeError(f"run {run!r}, number {number!r}")
        ranges = self._numbers.setdefault((run, lane), Ranges())
        if number in ranges:
            self._twice += 1
            return False
        ranges.add(number, number)
        self._late += late
        return True


def _span(ranges: Ranges) -> tuple[int, int]:
    """First and last number."""
    pairs = list(ranges)
    return pairs[0][0], pairs[-1][1]


def _unpacked(payload: bytes) -> bytes:
    """The text of a payload, which a gateway may send as gzip; never more than a megabyte of it."""
    if not payload.startswith(_GZIP):
        return payload
    return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(payload, _MOST_BYTES)
