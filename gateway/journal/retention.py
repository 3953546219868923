"""What goes when it is old or the space is used up, a slice at a time, and the gaps that this leaves.

Order when space is short: acknowledged telemetry and what is local, then telemetry that some uplink does not have, each
oldest first.
A gap is what somebody misses: of rows that every uplink has, and of local ones, which none is to have, there is none.
(What is lost before it ever was a row is one in each lane, waiting.py: the journal itself misses it.)
An uplink that holds back more than its share of the budget is moved on by itself first.
Events go only where telemetry has nothing left to give, a share of the budget is theirs: the oldest first,
whoever has it. What the chain of events loses without a gap is always its beginning (chain.py).
Pages that become free are used again; the file never shrinks, because VACUUM would write it all once more.

The functions here run inside the store's transaction and change its draft of the ledger: rows, gap and ledger go
together or not at all.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterable
from typing import NamedTuple

from gateway.journal import chaining, times
from gateway.journal.ledger import Ledger, last_of_run, run_of, seq_of
from gateway.journal.ranges import Ranges
from gateway.model import Dropped, Lane

SLICE_ROWS = 5_000
"""Rows per transaction at most, so that an event waits milliseconds for a slice, not seconds for a clean-up."""

_DAY_MS = 86_400_000


class Slice(NamedTuple):
    """What one slice deleted; `dropped` names the rows among them that some uplink did not have."""

    rows: int
    dropped: tuple[Dropped, ...] = ()


def delete_old(db: sqlite3.Connection, draft: Ledger, lane: Lane, now_ts: int, keep_s: float) -> Slice:
    """Delete rows that every uplink has and that are older than `keep_s` seconds at `now_ts` (UTC ms), oldest first.

    A time in the future was taken by a wrong clock and says nothing of the age: such rows go with their neighbours.
    """
    oldest_ts = now_ts - int(keep_s * 1000)
    budget, young = SLICE_ROWS, False
    first_unsent = _first_unsent(draft, lane)
    for first, last in list(draft.sent(lane)):
        if lane is Lane.EVENT and first > first_unsent:
            break
        rows = db.execute(_AGES[lane], (first, last, budget))
        end = None
        for row, ts in rows:
            if oldest_ts <= ts <= now_ts + _DAY_MS:
                young = True
                break
            end = row
            budget -= 1
        rows.close()
        if end is not None:
            delete(db, draft, lane, first, end)
        if not budget or (young and lane is Lane.EVENT):
            break
    return Slice(SLICE_ROWS - budget)


def delete_oldest_readings(db: sqlite3.Connection, draft: Ledger, rows: int, reason: str) -> Slice | None:
    """Delete the oldest `rows` of what is local or of telemetry that every uplink has, whichever is older.

    Where there is neither, the oldest telemetry of all, as a gap. None: there are no readings.
    """
    firsts = {lane: _oldest(db, lane, next(draft.sent(lane), None)) for lane in (Lane.TELEMETRY, Lane.LOCAL)}
    older = min(firsts, key=lambda lane: firsts[lane])
    return delete_oldest(db, draft, older if firsts[older] < _NEVER else Lane.TELEMETRY, rows, reason)


_NEVER = (math.inf, 0)


def _oldest(db: sqlite3.Connection, lane: Lane, span: tuple[int, int] | None) -> tuple[float, int]:
    """The run and the moment in it of the first row in a range of ids, or _NEVER."""
    row = None if span is None else db.execute(_FIRST[lane], span).fetchone()
    return _NEVER if row is None else (run_of(row[0]), row[1])


def delete_oldest(db: sqlite3.Connection, draft: Ledger, lane: Lane, rows: int, reason: str) -> Slice | None:
    """Delete the oldest `rows` of a lane that every uplink has; where there are none, the oldest of all, as a gap.

    Of events, the oldest of all go at any rate. None: the lane is empty.
    """
    for first, last in draft.sent(lane):
        if lane is Lane.EVENT and first > _first_unsent(draft, lane):
            break
        return Slice(delete(db, draft, lane, first, _end_of_some(db, lane, first, last, rows)))
    for first, last, uplinks in draft.unsent(lane):
        end = _end_of_some(db, lane, first, last, rows)
        when = times.of_rows(db, lane, first, end)
        records = delete(db, draft, lane, first, end)
        gap = Dropped(draft.runs.get(run_of(first), ""), lane, seq_of(first), seq_of(end), records, uplinks, reason)
        return Slice(records, (when.on(gap),) if records else ())
    return None


def delete_rows(db: sqlite3.Connection, draft: Ledger, lane: Lane, rows: Iterable[int], reason: str) -> Slice:
    """Delete these very rows, whoever has them, as gaps."""
    dropped = []
    for first, last in Ranges((row, row) for row in rows):
        without = tuple(name for name in draft.uplinks if any(draft.missing(name, lane, first, last)))
        when = times.of_rows(db, lane, first, last)
        records = delete(db, draft, lane, first, last)
        run = draft.runs.get(run_of(first), "")
        dropped.append(when.on(Dropped(run, lane, seq_of(first), seq_of(last), records, without, reason)))
    return Slice(sum(gap.records for gap in dropped), tuple(dropped))


def _first_unsent(draft: Ledger, lane: Lane) -> float:
    return next((unsent.first for unsent in draft.unsent(lane)), math.inf)


def pass_over(db: sqlite3.Connection, draft: Ledger, uplink: str, rows: int, reason: str) -> Slice:
    """Let an uplink do without its oldest `rows` of telemetry; the rows stay for the others."""
    dropped = []
    for first, last in list(draft.missing(uplink, Lane.TELEMETRY, 0, draft.top(Lane.TELEMETRY))):
        start = first
        while start <= last and rows > 0:
            end = min(last, last_of_run(run_of(start)), start + rows - 1)
            run, records = draft.runs.get(run_of(start), ""), end - start + 1
            gap = Dropped(run, Lane.TELEMETRY, seq_of(start), seq_of(end), records, (uplink,), reason)
            dropped.append(times.of_rows(db, Lane.TELEMETRY, start, end).on(gap))
            draft.acknowledge(uplink, Lane.TELEMETRY, ((start, end),))
            rows -= records
            start = end + 1
    return Slice(0, tuple(dropped))


def _end_of_some(db: sqlite3.Connection, lane: Lane, first: int, last: int, rows: int) -> int:
    """Up to which id it are `rows`, and no more than a slice, of the rows `first` to `last`."""
    beyond = db.execute(_BEYOND[lane], (first, last, max(1, min(rows, SLICE_ROWS)))).fetchone()
    return last if beyond is None else int(beyond[0]) - 1


def delete(db: sqlite3.Connection, draft: Ledger, lane: Lane, first: int, last: int) -> int:
    """Delete the rows `first` to `last`; how many there were."""
    deleted = db.execute(_DELETE[lane], (first, last)).rowcount
    draft.give_up(lane, first, last)
    if lane is Lane.EVENT and deleted:
        chaining.prune(db)
    return deleted


_AGES = {lane: f"SELECT id, ts FROM {lane} WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?" for lane in Lane}  # noqa: S608
_FIRST = {lane: f"SELECT id, mono_ms FROM {lane} WHERE id BETWEEN ? AND ? ORDER BY id LIMIT 1" for lane in Lane}  # noqa: S608
_BEYOND = {lane: f"SELECT id FROM {lane} WHERE id BETWEEN ? AND ? ORDER BY id LIMIT 1 OFFSET ?" for lane in Lane}  # noqa: S608
_DELETE = {lane: f"DELETE FROM {lane} WHERE id BETWEEN ? AND ?" for lane in Lane}  # noqa: S608 - a lane is no input
