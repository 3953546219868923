"""What can still be read of a damaged journal that was set aside, carried over into the new one.

Events of all runs first, and all of them; then the telemetry that some uplink does not have, then what is local, the
newest run first, in bounded time and bytes; where a page cannot be read, the ids behind it are tried. The damaged file
is only read. Its chain is not carried over: the new one goes on from its last link, and what is older stands in the new
file without links (chain.py).
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, NamedTuple

from gateway.journal import chaining, reading, shaping
from gateway.journal.chaining import End
from gateway.journal.gaps import is_gap
from gateway.journal.ledger import Ledger, last_of_run, row_id, run_of, seq_of
from gateway.journal.ranges import Ranges
from gateway.journal.shaping import KnownShapes
from gateway.model import Dropped, Lane

SALVAGE_S = 30.0
"""Meanwhile hub and senders go on from memory."""

_MOST_RUNS = 1 << 23
_AT_ONCE = 500

_LAST = {lane: f"SELECT max(id) FROM {lane} WHERE id BETWEEN ? AND ?" for lane in Lane}  # noqa: S608 - no input
_INSERT = {
    Lane.EVENT: "INSERT OR IGNORE INTO event (id, ts, trust, mono_ms, text) VALUES (?, ?, ?, ?, ?)",
    Lane.TELEMETRY: "INSERT OR IGNORE INTO telemetry (id, ts, trust, mono_ms, text, shape) VALUES (?, ?, ?, ?, ?, ?)",
    Lane.LOCAL: "INSERT OR IGNORE INTO local (id, ts, trust, mono_ms, text, shape) VALUES (?, ?, ?, ?, ?, ?)",
}
_SHAPES = [f"SELECT run, no, CAST(device AS BLOB), CAST(points AS BLOB) FROM {name}" for name in shaping.TABLES]  # noqa: S608 - no input


class Salvaged(NamedTuple):
    """What was carried over: ids by lane, and the last link of the chain, if it could be read."""

    present: Mapping[Lane, Ranges]
    end: End | None


def nothing() -> Salvaged:
    """Not a row."""
    return Salvaged({lane: Ranges() for lane in Lane}, None)


def carry_over(bad: Path, db: sqlite3.Connection, ledger: Ledger, max_bytes: int) -> Salvaged:
    """Insert into `db`, in its transaction, what can be read of `bad`; `ledger` learns what `bad` knows of its rows.

    A ledger that has rows (of a daemon that was running on) knows better than the damaged file.
    """
    ends = time.monotonic() + SALVAGE_S
    found = nothing()
    with suppress(sqlite3.DatabaseError), closing(_opened(bad)) as source:
        source.set_progress_handler(lambda: time.monotonic() > ends, 10_000)
        runs = [
            run
            for run in _readable(source, "SELECT no, run, boot, started_ts FROM runs", (int, str, str, int))
            if 0 < run[0] < _MOST_RUNS
        ]
        is_start = not ledger.runs
        for no, run, _, _ in runs:
            ledger.runs.setdefault(no, run)
        acked = [
            kept
            for kept in _readable(source, "SELECT uplink, lane, first, last FROM acked", (str, str, int, int))
            if kept[1] in set(Lane) and 0 <= kept[2] <= kept[3]
        ]
        state = [row for row in _readable(source, "SELECT key, text FROM state", (str, str)) if _is_json(row[1])]
        unannounced = "SELECT id, ts, text, announced FROM gaps WHERE announced = 0"
        gaps = [row for row in _readable(source, unannounced, (int, int, str, int)) if is_gap(row[2])]
        with suppress(sqlite3.DatabaseError, TypeError):
            found = found._replace(end=chaining.recall(source))
        db.executemany("INSERT OR IGNORE INTO runs VALUES (?, ?, ?, ?)", runs)
        db.executemany("INSERT OR IGNORE INTO gaps VALUES (?, ?, ?, ?)", gaps)
        if is_start:
            ledger.recall(acked)
            db.executemany("INSERT OR IGNORE INTO state VALUES (?, ?)", state)
        _carry_shapes(source, db)
        damaged = _Damaged(source, KnownShapes(db))
        for lane in damaged.lanes:
            max_bytes = _carry_lane(damaged, db, ledger, lane, found.present[lane], max_bytes)
        if is_start:
            _learn(ledger, found.present, known=bool(acked))
            _learn_ends(source, ledger)
            ledger.close_runs(max(ledger.runs, default=0))
    return found


def losses(ledger: Ledger, present: Mapping[Lane, Ranges], reason: str) -> tuple[Dropped, ...]:
    """Give up all rows of a ledger that are not present; the gaps of those that some uplink did not have."""
    dropped = []
    for lane in Lane:
        for first, last in list(present[lane].gaps(0, ledger.top(lane))):
            for start, end, uplinks in ledger.pieces(lane, first, last):
                if uplinks and end:  # 0 is no row: of a ledger that is empty nothing is known to be lost
                    run, records = ledger.runs.get(run_of(start), ""), end - start + 1
                    dropped.append(Dropped(run, lane, seq_of(start), seq_of(end), records, uplinks, reason))
            ledger.give_up(lane, first, last)
    return tuple(dropped)


def _opened(bad: Path) -> sqlite3.Connection:
    """Read-only; where there is no WAL, in a way that leaves no file beside it."""
    mode = "mode=ro" if Path(f"{bad}-wal").exists() else "mode=ro&immutable=1"
    return sqlite3.connect(f"{bad.absolute().as_uri()}?{mode}", uri=True, isolation_level=None)


def _readable(source: sqlite3.Connection, select: str, types: tuple[type, ...]) -> Iterator[Any]:
    """The rows that can be read, and hold what such rows hold."""
    with suppress(sqlite3.DatabaseError):
        for row in source.execute(select):
            if tuple(map(type, row)) == types:
                yield row


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _carry_shapes(source: sqlite3.Connection, db: sqlite3.Connection) -> None:
    """Carry over the shapes that can be read; a file of an older version has none, or not all tables."""
    for statement in _SHAPES:
        for run_no, number, device, points in _readable(source, statement, (int, int, bytes, bytes)):
            shape = shaping.read(number, device, points)
            if shape is not None:
                shaping.insert(db, run_no, shape)


def _carry_lane(
    source: _Damaged, db: sqlite3.Connection, ledger: Ledger, lane: Lane, present: Ranges, max_bytes: int
) -> int:
    """Carry one lane over; gives how many bytes may still follow."""
    had = ledger.had(lane) if lane is Lane.TELEMETRY else Ranges()
    for number in sorted(ledger.runs, reverse=True):
        for first, last in had.gaps(row_id(number, 0), last_of_run(number)):
            for rows in source.rows(ledger.runs[number], lane, first, last):
                max_bytes -= 0 if lane is Lane.EVENT else sum(len(row[4]) for row in rows)
                if max_bytes < 0:
                    return max_bytes
                db.executemany(_INSERT[lane], rows)
                for row in rows:
                    present.add(row[0], row[0])
    return max_bytes


class _Damaged:
    """A damaged file; the shapes are those that the new one knows by now."""

    def __init__(self, db: sqlite3.Connection, shapes: KnownShapes) -> None:
        self._db = db
        self._find = shapes.find
        self.lanes = reading.lanes(db)
        self._select = {lane: reading.select(db, lane) for lane in self.lanes}

    def rows(self, run: str, lane: Lane, first: int, last: int) -> Iterator[list[tuple[Any, ...]]]:
        """The columns of the sound rows of one run, `first` to `last`, some at a time; time that runs out ends it."""
        step = 1
        while first <= last:
            ids, rows, is_broken = [], [], False
            try:
                for columns in self._db.execute(self._select[lane], (first, last, _AT_ONCE)):
                    ids.append(columns[0])
                    if reading.row_of(lane, run, columns, self._find) is not None:
                        rows.append(_stored(lane, columns))
            except sqlite3.OperationalError as error:
                if error.sqlite_errorname == "SQLITE_INTERRUPT":
                    return
                is_broken = True
            except sqlite3.DatabaseError:
                is_broken = True
            yield rows
            if not is_broken and len(ids) < _AT_ONCE:
                return
            step = 2 * step if is_broken and not ids else 1
            first = (ids[-1] if ids else first) + step


def _stored(lane: Lane, columns: reading.Columns) -> tuple[Any, ...]:
    """What was read as blobs, as it is to be stored."""
    row, ts, trust, mono_ms, text, shape = columns
    stored = row, ts, trust.decode(), mono_ms, text.decode()
    return stored if lane is Lane.EVENT else (*stored, shape)


def _learn(ledger: Ledger, present: Mapping[Lane, Ranges], *, known: bool) -> None:
    """At a start: how far the lanes go; where the file did not say what is acknowledged, nothing is missing before."""
    for lane in Lane:
        for first, last in present[lane]:
            ledger.stored(lane, first)
            ledger.stored(lane, last)
        if not known:
            for number, end in ledger.ends[lane].items():
                starts = [first for first, _ in present[lane].within(row_id(number, 0), end)]
                ledger.give_up(lane, row_id(number, 0), starts[0] - 1)


def _learn_ends(source: sqlite3.Connection, ledger: Ledger) -> None:
    """How far the lanes went, if that can be read: not all of it need have been carried over."""
    source.set_progress_handler(None, 0)
    for lane in Lane:
        for number in ledger.runs:
            with suppress(sqlite3.DatabaseError):
                (last,) = source.execute(_LAST[lane], (row_id(number, 0), last_of_run(number))).fetchone()
                if last is not None:
                    ledger.stored(lane, last)
