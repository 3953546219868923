"""When the records of a gap were made: the times of its first and last one, as they were recorded."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

from gateway.model import Dropped, Lane, Trust

_ENDS = {
    lane: [
        f"SELECT ts, CAST(trust AS BLOB) FROM {lane} WHERE id BETWEEN ? AND ? ORDER BY id {order} LIMIT 1"  # noqa: S608 - a lane is no input
        for order in ("", "DESC")
    ]
    for lane in Lane
}
_ORDER = list(Trust)


class Stamp(NamedTuple):
    """The number and the time (UTC ms) of one record."""

    seq: int
    ts: int
    trust: Trust


class Times(NamedTuple):
    """The times (UTC ms) of the first and the last record, and the lesser trust of both; None where nobody knows."""

    first_ts: int | None = None
    last_ts: int | None = None
    trust: Trust | None = None

    def on(self, gap: Dropped) -> Dropped:
        """A gap with these times."""
        return gap._replace(first_ts=self.first_ts, last_ts=self.last_ts, trust=self.trust)


def of_rows(db: sqlite3.Connection, lane: Lane, first: int, last: int) -> Times:
    """The times of the rows of these ids; what is damaged is not known."""
    ends = [db.execute(statement, (first, last)).fetchone() for statement in _ENDS[lane]]
    stamps = [(int(row[0]), _trust(row[1])) for row in ends if row is not None]
    return Times(stamps[0][0], stamps[-1][0], lesser(*(trust for _, trust in stamps))) if stamps else Times()


def of_stamps(stamps: Sequence[Stamp]) -> Times:
    """The times of records in memory."""
    if not stamps:
        return Times()
    return Times(stamps[0].ts, stamps[-1].ts, lesser(stamps[0].trust, stamps[-1].trust))


def joined(before: Dropped, after: Dropped) -> Times:
    """The times of two gaps, one behind the other."""
    first = before.last_ts if before.first_ts is None else before.first_ts
    return Times(
        after.first_ts if first is None else first,
        before.last_ts if after.last_ts is None else after.last_ts,
        lesser(before.trust, after.trust),
    )


def lesser(*trusts: Trust | None) -> Trust | None:
    """The least of those that are known."""
    return max((trust for trust in trusts if trust is not None), key=_ORDER.index, default=None)


def _trust(stored: bytes) -> Trust | None:
    try:
        return Trust(stored.decode())
    except ValueError:
        return None
