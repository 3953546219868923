"""What a replaced journal hands on to the copy in its place: run numbers, gaps not told yet, what nobody will get."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from gateway.errors import JournalDown
from gateway.journal import enrolment, inspection, times
from gateway.journal.gaps import Gaps
from gateway.journal.ledger import Ledger, row_id, run_of, seq_of
from gateway.model import Dropped, Lane

REPLACED = "journal_replaced"
"""Why records are given up that only the journal before a restored one had."""

_UNKNOWN_RUNS = 10_000
"""So many run numbers are left out where the present journal cannot say which it has used."""


class Left(NamedTuple):
    """What the journal that is being replaced knows and the next one must."""

    next_run: int
    unsent: tuple[Dropped, ...]
    untold: tuple[tuple[int, str], ...]


NOTHING = Left(0, (), ())


def left_by(present: Path, draft: Path) -> Left | None:
    """What the present journal must hand on; None where it is too damaged to tell."""
    try:
        with inspection.opened(present) as db, inspection.reading(draft) as copy:
            inspection.expect_journal(db, present)
            theirs, ours = _recalled(db), _recalled(copy)
            next_run = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'runs'").fetchone()
            untold = tuple(db.execute("SELECT ts, text FROM gaps WHERE announced = 0 ORDER BY id"))
            return Left(next_run[0] if next_run else 0, tuple(_only_theirs(db, theirs, ours)), untold)
    except (JournalDown, ValueError):  # the latter of words that no lane has
        return None


def _recalled(db: sqlite3.Connection) -> Ledger:
    names = tuple(name for (name,) in db.execute("SELECT DISTINCT uplink FROM acked WHERE uplink <> ''"))
    return enrolment.recall(db, Ledger(names))[0]


def _only_theirs(db: sqlite3.Connection, theirs: Ledger, ours: Ledger) -> Iterator[Dropped]:
    """What some uplink did not have of the rows that were stored after the copy was made."""
    for lane in Lane:
        for first, last, uplinks in theirs.unsent(lane):
            number = run_of(first)
            run = theirs.runs.get(number, "")
            if ours.runs.get(number) == run:
                first = max(first, ours.ends[lane].get(number, row_id(number, 0)) + 1)  # noqa: PLW2901 - the rest of it
            (rows,) = db.execute(f"SELECT count(*) FROM {lane} WHERE id BETWEEN ? AND ?", (first, last)).fetchone()  # noqa: S608 - a lane is no input
            if rows:
                gap = Dropped(run, lane, seq_of(first), seq_of(last), rows, uplinks, REPLACED)
                yield times.of_rows(db, lane, first, last).on(gap)


def hand_on(draft: Path, before: Left | None) -> None:
    """Note in the copy what the present journal must hand on."""
    with closing(sqlite3.connect(draft, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        (own,) = db.execute("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'runs'").fetchone()
        next_run = own + _UNKNOWN_RUNS if before is None else max(own, before.next_run)
        db.execute("INSERT OR REPLACE INTO state VALUES (?, 'true')", (enrolment.RESTORED,))
        db.execute("DELETE FROM sqlite_sequence WHERE name = 'runs'")
        db.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('runs', ?)", (next_run,))
        if before is not None:
            known = {text for (text,) in db.execute("SELECT text FROM gaps")}
            untold = [gap for gap in before.untold if gap[1] not in known]
            db.executemany("INSERT INTO gaps (ts, text) VALUES (?, ?)", untold)
            Gaps().note(db, time.time_ns() // 1_000_000, before.unsent)
        db.execute("COMMIT")
