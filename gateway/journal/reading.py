"""Rows read back from the journal, as records; a row that the disk has damaged is told from a sound one."""

from __future__ import annotations

import json
import sqlite3
from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import TypeAlias

from gateway.journal.ledger import Ledger, run_of, seq_of
from gateway.journal.shape import Shape, unpacked
from gateway.journal.shaping import KnownShapes, Shapes
from gateway.model import Backlog, BacklogWanted, Lane, Record, Row, Trust

Columns: TypeAlias = tuple[int, int, bytes, int, bytes, int | None]
FindShape: TypeAlias = Callable[[int], Shape | None]
"""The shape with a number."""


def lanes(db: sqlite3.Connection) -> tuple[Lane, ...]:
    """The lanes that a file has: one of an older version has not all."""
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    return tuple(lane for lane in Lane if lane in tables)


def select(db: sqlite3.Connection, lane: Lane) -> str:
    """The statement for the Columns of rows from one id to another, at most so many; of older files too.

    As blobs: sqlite3 refuses whole answers over one byte that is no UTF-8.
    """
    names = {name for _, name, *_ in db.execute(f"PRAGMA table_info({lane})")}
    shape = "shape" if "shape" in names else "NULL"
    return (
        f"SELECT id, ts, CAST(trust AS BLOB), mono_ms, CAST(text AS BLOB), {shape} FROM {lane} "  # noqa: S608 - no input
        "WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?"
    )


def backlog(
    db: sqlite3.Connection, ledger: Ledger, wanted: BacklogWanted, upto: int, shapes: Shapes
) -> tuple[list[Row], list[int]]:
    """One row more than wanted, if there is one; and the ids of damaged rows on the way, which end the reading."""
    rows: list[Row] = []
    unsound: list[int] = []
    find, statement = KnownShapes(db, shapes).find, select(db, wanted.lane)
    for first, last in ledger.missing(wanted.uplink, wanted.lane, wanted.after + 1, upto):
        limit = wanted.limit + 1 - len(rows)
        for columns in db.execute(statement, (first, last, limit)).fetchall():
            row = row_of(wanted.lane, ledger.runs.get(run_of(columns[0])), columns, find)
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


_TYPES = (int, int, bytes, int, bytes)


def row_of(lane: Lane, run: str | None, columns: Columns, find: FindShape) -> Row | None:
    """None if it is damaged. Of the text it can be checked that it is JSON, and a batch must not be without that."""
    number, ts, trust, mono_ms, text, shape_no = columns
    if run is None or tuple(map(type, columns[:5])) != _TYPES:
        return None
    try:
        told = text.decode()
        if shape_no is not None:
            told = whole(told, shape_no, find)
        elif not isinstance(json.loads(told), dict):  # values that have lost their shape are no record in a batch
            return None
        return Row(number, run, Record(lane, seq_of(number), ts, Trust(trust.decode()), mono_ms, told))
    except ValueError:
        return None


def whole(text: str, shape_no: int, find: FindShape) -> str:
    """The text of a record whose values are stored. Raises ValueError where they or their shape are damaged."""
    shape = find(shape_no)
    if shape is None:
        raise ValueError(f"there is no shape {shape_no}")
    return unpacked(shape, text)
