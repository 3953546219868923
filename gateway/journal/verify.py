"""Checks the chain of a journal's file, row by row, beside a running daemon or without one."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from gateway.journal import faults
from gateway.journal.chain import START, Audit, Event, Head, Link, Verdict

_BUSY_S = 5.0
_EVERY = 10_000
_LINKS = (  # as blobs: sqlite3 refuses whole answers over one byte that is no UTF-8
    "SELECT link, chain.id, hash, ts, CAST(trust AS BLOB), mono_ms, CAST(text AS BLOB) "
    "FROM chain LEFT JOIN event ON event.id = chain.id ORDER BY link"
)


def verify(path: Path, expected: Head | None = None, progress: Callable[[int], None] | None = None) -> Verdict:
    """Whether the events in the file at `path` are those that were stored, and the first one that is not.

    Reads only, in one snapshot and bounded memory. `expected` is a head as `health` has told it earlier: without one, a
    chain whose end was cut or made anew is not found out. `progress` is told, now and then, how many links are checked.
    Raises JournalDown where the file cannot be read.
    """
    with (
        faults.translated(path),
        closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_BUSY_S)) as db,
    ):
        db.isolation_level = None
        db.execute("BEGIN")
        return _audited(db, expected, progress)


def _audited(db: sqlite3.Connection, expected: Head | None, progress: Callable[[int], None] | None) -> Verdict:
    runs = dict(db.execute("SELECT no, run FROM runs"))
    links = _links(db)
    audit = Audit(next(links, Link(0, 0, START.hash, None)), runs, expected)
    for count, link in enumerate(links, 1):
        audit.feed(link)
        if progress is not None and not count % _EVERY:
            progress(count)
    if audit.suspect is not None:
        _look_for_owner(db, audit)
    anchor = audit.anchor.id
    (after,) = db.execute("SELECT count(*) FROM event WHERE id > ?", (anchor,)).fetchone()
    if after > audit.present:
        unlinked = "SELECT min(id) FROM event WHERE id > ? AND id NOT IN (SELECT id FROM chain)"
        audit.added(db.execute(unlinked, (anchor,)).fetchone()[0])
    (uncovered, oldest) = db.execute("SELECT sum(id <= ?), min(id) FROM event", (anchor,)).fetchone()
    return audit.verdict(uncovered or 0, oldest)


def _links(db: sqlite3.Connection) -> Iterator[Link]:
    for number, row, digest, ts, trust, mono_ms, text in db.execute(_LINKS):
        yield Link(number, row, digest, None if text is None else Event(ts, trust, mono_ms, text))


def _look_for_owner(db: sqlite3.Connection, audit: Audit) -> None:
    """Whether the contents of the bad row are those of another one."""
    before = None
    for link in _links(db):
        if before is not None and audit.owner_is(link, before):
            audit.moved(link)
            return
        before = link.hash
