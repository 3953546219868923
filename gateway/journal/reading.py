"""Rows read back from the journal, as records; a row that the disk has damaged is told from a sound one."""

from __future__ import annotations

import json
import sqlite3
from bisect import bisect_left
from collections.abc import Sequence

from gateway.journal.ledger import Ledger, run_of, seq_of
from gateway.model import Backlog, BacklogWanted, Lane, Record, Row, Trust

_SELECT = {  # as blobs: sqlite3 refuses whole answers over one byte that is no UTF-8
    lane: f"SELECT id, ts, CAST(trust AS BLOB), mono_ms, CAST(text AS BLOB) FROM {lane} "  # noqa: S608 - no input
    "WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?"
    for lane in Lane
}


def backlog(db: sqlite3.Connection, ledger: Ledger, wanted: BacklogWanted, upto: int) -> tuple[list[Row], list[int]]:
    """One row more than wanted, if there is one; and the ids of damaged rows on the way, which end the reading."""
    rows: list[Row] = []
    unsound: list[int] = []
    for first, last in ledger.missing(wanted.uplink, wanted.lane, wanted.after + 1, upto):
        limit = wanted.limit + 1 - len(rows)
        for columns in db.execute(_SELECT[wanted.lane], (first, last, limit)).fetchall():
            row = row_of(wanted.lane, ledger.runs.get(run_of(columns[0])), columns)
            if row is None:
                unsound.append(columns[0])
            else:
                rows.append(row)
        if len(rows) > wanted.limit or unsound:
            break
    return rows, unsound


def from_memory(rows: Sequence[Row], wanted: BacklogWanted, ledger: Ledger) -> Backlog:
    """The answer that rows in memory, in the order of their ids, give by themselves."""
    last = rows[-1].id if rows else wanted.after
    upto = max(last, ledger.top(wanted.lane), wanted.after) if wanted.upto is None else wanted.upto
    found: list[Row] = []
    at = 0
    for first, end in ledger.missing(wanted.uplink, wanted.lane, wanted.after + 1, upto):
        at = bisect_left(rows, first, at, key=_id)
        while at < len(rows) and rows[at].id <= end and len(found) <= wanted.limit:
            found.append(rows[at])
            at += 1
    return Backlog(wanted.lane, tuple(found[: wanted.limit]), upto, len(found) <= wanted.limit)


def _id(row: Row) -> int:
    return row.id


_COLUMNS = (int, int, bytes, int, bytes)


def row_of(lane: Lane, run: str | None, columns: tuple[int, int, bytes, int, bytes]) -> Row | None:
    """None if it is damaged. Of the text it can be checked that it is JSON, and a batch must not be without that."""
    number, ts, trust, mono_ms, text = columns
    if run is None or tuple(map(type, columns)) != _COLUMNS:
        return None
    try:
        json.loads(text)
        return Row(number, run, Record(lane, seq_of(number), ts, Trust(trust.decode()), mono_ms, text.decode()))
    except ValueError:
        return None
