"""What the journal's file says at start, and the new run's place in it."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from gateway.journal import reading, shaping
from gateway.journal.faults import JournalDamaged
from gateway.journal.ledger import Kept, Ledger, last_of_run, row_id, run_of
from gateway.model import Lane, PreviousRun

_LAST = {lane: f"SELECT max(id) FROM {lane} WHERE id BETWEEN ? AND ?" for lane in Lane}  # noqa: S608 - a lane is no input
_FIRST = {lane: f"SELECT min(id) FROM {lane} WHERE id BETWEEN ? AND ?" for lane in Lane}  # noqa: S608 - as above

_Y2020_MS = 1_577_836_800_000
_QUARTER_MS = 900_000
_LAST_WISH = 1 << 22


RESTORED = "journal_restored"
"""The key of the state that tells the next run, and no other, that a copy was put in the journal's place."""


class Identity(NamedTuple):
    """A run as the file names it; `number` is 0 until it has one, and stays the same in whatever file follows.

    `wish`: the number that the run has told its uplinks already, for want of a file to give it one; 0: none.
    """

    run: str
    boot: str
    number: int
    wish: int = 0


def wished(now_ts: int) -> int:
    """A number that no file has given yet, unless one run a quarter of an hour has begun since 2020; 1 without a clock.

    It is nowhere near the end of all numbers (2^23).
    """
    steps = (now_ts - _Y2020_MS) // _QUARTER_MS
    return steps if 0 < steps < _LAST_WISH else 1


def is_free(db: sqlite3.Connection, number: int) -> bool:
    """Whether a run with this number would be the last one of the file."""
    (last,) = db.execute("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'runs'").fetchone()
    return number > int(last)


def recall(db: sqlite3.Connection, known: Ledger) -> tuple[Ledger, set[Kept]]:
    """A draft of the ledger from the file and what is `known` already, and its ranges as the file has them."""
    draft = known.copy()
    draft.runs = dict(db.execute("SELECT no, run FROM runs ORDER BY no"))
    draft.ends = {lane: {} for lane in Lane}
    for lane in reading.lanes(db):
        for number in draft.runs:
            (last,) = db.execute(_LAST[lane], (row_id(number, 0), last_of_run(number))).fetchone()
            if last is not None:
                draft.stored(lane, last)
    kept: set[Kept] = set(db.execute("SELECT uplink, lane, first, last FROM acked"))
    draft.recall(kept)
    return draft, kept


def enrol(db: sqlite3.Connection, draft: Ledger, own: Identity, now_ts: int) -> tuple[int, PreviousRun | None]:
    """The number of the run, which is given one where it has none in this file, and the run before it.

    Inside a transaction. Runs before it are closed, those without a row are forgotten. Raises JournalDamaged where a
    later run has rows: the file is not the one that this process was writing.
    """
    number = next((number for number, run in draft.runs.items() if run == own.run), 0)
    if not number:
        if own.number and max(draft.runs, default=0) >= own.number:
            raise JournalDamaged("the journal was replaced by another one while in use", "stop the daemon before that")
        row = (own.number or own.wish or None, own.run, own.boot, now_ts)
        number = db.execute("INSERT INTO runs VALUES (?, ?, ?, ?)", row).lastrowid or 0
        draft.runs[number] = own.run
    before = max((other for other in draft.runs if other < number), default=0)
    previous = None
    if before:
        last_event, last_telemetry = draft.last_seq(Lane.EVENT, before), draft.last_seq(Lane.TELEMETRY, before)
        previous = PreviousRun(draft.runs[before], last_event, last_telemetry)
    _close_starts(db, draft, number)
    draft.close_runs(number)
    _forget_empty(db, draft, before)
    shaping.prune(db, number)
    return number, previous


def was_restored(db: sqlite3.Connection) -> bool:
    """Whether this is the first run of a copy that was put in place, which from now on is the journal."""
    return db.execute("DELETE FROM state WHERE key = ?", (RESTORED,)).rowcount > 0


def _close_starts(db: sqlite3.Connection, draft: Ledger, current: int) -> None:
    """What a run before this one has not got below its first row never comes: a `started` that was not made in time."""
    for lane in Lane:
        for number, end in draft.ends[lane].items():
            if number < current:
                (first,) = db.execute(_FIRST[lane], (row_id(number, 0), end)).fetchone()
                draft.give_up(lane, row_id(number, 0), first - 1)


def _forget_empty(db: sqlite3.Connection, draft: Ledger, before: int) -> None:
    full = {number for ends in draft.ends.values() for number in ends}
    (anchor,) = db.execute("SELECT id FROM chain ORDER BY link LIMIT 1").fetchone() or (0,)
    full.add(run_of(anchor))  # for who looks at the chain
    empty = [number for number in draft.runs if number < before and number not in full]
    db.executemany("DELETE FROM runs WHERE no = ?", [(number,) for number in empty])
    for number in empty:
        del draft.runs[number]
