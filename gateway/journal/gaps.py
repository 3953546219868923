"""Gaps in the journal: what was given up unsent, noted in the same transaction, until an event has announced it.

A gap is kept as the text of the event that announces it. The hub makes this very text from the Dropped that it is told
(records.gateway_fact); when the event is stored, the gap is announced, in one transaction with it.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable

from gateway import records
from gateway.model import Dropped, Lane, Record, Trust

_KEPT = 1000
"""So many announced gaps stay for people to look at."""


class Gaps:
    """The gaps of the file that no event has announced yet."""

    def __init__(self) -> None:
        self._open: set[str] = set()
        self._told: set[str] = set()

    def recall(self, db: sqlite3.Connection) -> tuple[Dropped, ...]:
        """Read the open gaps; gives those not told yet in this life of the process, and takes them as told."""
        self._open = {text for (text,) in db.execute("SELECT text FROM gaps WHERE announced = 0 ORDER BY id")}
        untold = self._open - self._told
        self._told |= untold
        return tuple(_parse(text) for text in untold)

    def note(self, db: sqlite3.Connection, now_ts: int, dropped: Iterable[Dropped]) -> None:
        """Write gaps down, inside the transaction that makes them."""
        new = [(now_ts, records.gateway_fact(gap)) for gap in dropped]
        if new:
            db.executemany("INSERT INTO gaps (ts, text) VALUES (?, ?)", new)
            db.execute("DELETE FROM gaps WHERE announced AND id <= (SELECT max(id) FROM gaps) - ?", (_KEPT,))

    def committed(self, dropped: Iterable[Dropped]) -> None:
        """The transaction that noted these is on the disk; they are being told."""
        texts = {records.gateway_fact(gap) for gap in dropped}
        self._open |= texts
        self._told |= texts

    def announce(self, db: sqlite3.Connection, events: Iterable[Record]) -> None:
        """Mark the gaps that these events announce, inside the transaction that stores the events."""
        if self._open:
            texts = [(event.text,) for event in events if event.text in self._open]
            db.executemany("UPDATE gaps SET announced = 1 WHERE announced = 0 AND text = ?", texts)

    def announced(self, events: Iterable[Record]) -> None:
        """The transaction that stored these events is on the disk."""
        if self._open:
            texts = {event.text for event in events}
            self._open -= texts
            self._told -= texts


def is_gap(text: str) -> bool:
    """Whether this is the text of a gap."""
    try:
        _parse(text)
    except (ValueError, TypeError, KeyError, AttributeError):
        return False
    return True


def _parse(text: str) -> Dropped:
    gap = json.loads(text)
    gap.pop("event")
    trust = Trust(gap["trust"]) if "trust" in gap else None
    return Dropped(**{**gap, "lane": Lane(gap["lane"]), "uplinks": tuple(gap["uplinks"]), "trust": trust})
