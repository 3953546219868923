"""The chain in the file: one link more with every event that is inserted, the oldest ones gone with their events.

The functions here run inside the store's transactions. The first link in the file is the anchor, the others follow it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import NamedTuple

from gateway.journal.chain import Event, Head, follow
from gateway.model import Record


class End(NamedTuple):
    """The last link of a chain: the head, and the id of the event that it covers."""

    head: Head
    id: int


_INSERT = "INSERT INTO event VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING"


def recall(db: sqlite3.Connection) -> End | None:
    """The last link in the file; None without any."""
    row = db.execute("SELECT link, hash, id FROM chain ORDER BY link DESC LIMIT 1").fetchone()
    if row is None:
        return None
    if not isinstance(row[1], bytes) or not isinstance(row[2], int):
        raise TypeError("a link of the chain is none")
    return End(Head(row[0], row[1]), row[2])


def anchor(db: sqlite3.Connection, end: End) -> None:
    """What is in the file stands for itself from here on: the chain goes on after the last link of another file."""
    db.execute("DELETE FROM chain")
    db.execute("INSERT INTO chain VALUES (?, ?, ?)", (end.head.length, end.id, end.head.hash))


def insert(db: sqlite3.Connection, end: End, run: str, events: Iterable[tuple[int, Record]]) -> End:
    """Insert events with their ids, each with its link unless it is there already; gives the new end."""
    for row, record in events:
        columns = row, record.ts, record.trust.value, record.mono_ms, record.text
        if db.execute(_INSERT, columns).rowcount == 1:
            (length, digest), _ = end
            event = Event(record.ts, record.trust.value.encode(), record.mono_ms, record.text.encode())
            end = End(Head(length + 1, follow(digest, run, record.seq, event)), row)
            db.execute("INSERT INTO chain VALUES (?, ?, ?)", (end.head.length, row, end.head.hash))
    return end


def prune(db: sqlite3.Connection) -> None:
    """Forget the links before the oldest event that is left, but for the one that it follows."""
    first = "SELECT link FROM chain WHERE EXISTS (SELECT 1 FROM event WHERE event.id = chain.id) ORDER BY link LIMIT 1"
    db.execute(f"DELETE FROM chain WHERE link < coalesce(({first}) - 1, (SELECT max(link) FROM chain))")  # noqa: S608 - no input
