"""What counts as acknowledged, and which rows that are. Pure.

By a PUBACK, or where only the platform's word counts, by that (unconfirmed.py). An event that left before it was stored
is acknowledged when both are known: that it has arrived, and its row.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gateway.model import SENT_LANES, Lane, Row
from gateway.uplink.confirmation import Confirmation
from gateway.uplink.early import EarlyEvents
from gateway.uplink.unconfirmed import Unconfirmed


class Receipts:
    """Of one uplink; `unconfirmed` None: a PUBACK is enough."""

    def __init__(self, early: EarlyEvents, unconfirmed: Unconfirmed | None) -> None:
        self._early = early
        self._unconfirmed = unconfirmed
        self._acked: dict[Lane, list[int]] = {lane: [] for lane in SENT_LANES}

    def taken(self, lane: Lane, rows: Sequence[Row], now: float) -> None:
        """The broker has these."""
        if self._unconfirmed is None:
            ids = [row.id or self._early.acked(row) for row in rows]
        else:
            ids = [self._waits(self._unconfirmed, lane, row, now) for row in rows]
        self._acked[lane] += [id_ for id_ in ids if id_]

    def _waits(self, unconfirmed: Unconfirmed, lane: Lane, row: Row, now: float) -> int:
        """The row's id if it was confirmed before that was known, so that nothing has acknowledged it yet; else 0."""
        row_id = row.id or self._early.acked(row)
        return 0 if unconfirmed.taken(lane, row, row_id, now) or row.id else row_id

    def stored(self, row: Row) -> None:
        """An event that the broker has had before it was stored, has its row now."""
        if self._unconfirmed is None or not self._unconfirmed.stored(Lane.EVENT, row):
            self._acked[Lane.EVENT].append(row.id)

    def confirmed(self, said: Confirmation, now: float) -> bool:
        """The platform has these; whether all of them were known here, so that no one else need know."""
        if self._unconfirmed is None:
            return True
        ids, all_known = self._unconfirmed.confirmed(said, now)
        self._acked[said.lane] += ids
        return all_known

    def news(self) -> list[tuple[Lane, tuple[tuple[int, int], ...]]]:
        """What was acknowledged since the last call, as ranges of row ids."""
        if not any(self._acked.values()):
            return []
        news = [(lane, ranges(ids)) for lane, ids in self._acked.items() if ids]
        self._acked = {lane: [] for lane in SENT_LANES}
        return news


def ranges(ids: Iterable[int]) -> tuple[tuple[int, int], ...]:
    """The ids as first and last of each run of numbers without a hole, ascending."""
    found: list[tuple[int, int]] = []
    for id_ in sorted(ids):
        if found and id_ == found[-1][1] + 1:
            found[-1] = found[-1][0], id_
        else:
            found.append((id_, id_))
    return tuple(found)
