"""The shapes in the file: each run writes those that it meets, with its first record of that shape.

They go with the last record of their run; so nothing needs to look who still uses one.
"""

from __future__ import annotations

import json
import sqlite3

from gateway.journal.ledger import last_of_run, row_id
from gateway.journal.shape import Shape, packed
from gateway.model import Lane

MAX_SHAPES = 1_000
"""So many shapes a run may have; what comes with another one is kept as it is."""

_FIND = "SELECT CAST(device AS BLOB), CAST(points AS BLOB) FROM shape WHERE no = ?"
_USED = [f"SELECT 1 FROM {lane} WHERE id BETWEEN ? AND ? LIMIT 1" for lane in (Lane.TELEMETRY, Lane.LOCAL)]  # noqa: S608 - a lane is no input
_INSERT = "INSERT OR IGNORE INTO shape VALUES (?, ?, ?, ?)"


class Shapes:
    """The shapes of the present run."""

    def __init__(self) -> None:
        self._numbers: dict[Shape, int] = {}
        self._named: dict[int, Shape] = {}
        self._stored = 0

    def pack(self, text: str) -> tuple[str, int | None]:
        """The text to store, and the number of its shape; None where it is the whole text."""
        parts = packed(text)
        if parts is None:
            return text, None
        shape, values = parts
        number = self._numbers.get(shape)
        if number is None:
            number = shape.number()
            if len(self._numbers) >= MAX_SHAPES or number in self._named:  # by others: two checksums may be the same
                return text, None
            self._numbers[shape] = number
            self._named[number] = shape
        return values, number

    def find(self, number: int) -> Shape | None:
        """A shape of this run."""
        return self._named.get(number)

    def insert(self, db: sqlite3.Connection, run_no: int) -> int:
        """Insert what is not in the file yet, in the transaction of its records; gives how many are then stored."""
        new = list(self._numbers)[self._stored :] if self._stored < len(self._numbers) else []
        for shape in new:
            insert(db, run_no, shape)
        return len(self._numbers)

    def committed(self, stored: int) -> None:
        """That transaction is on the disk."""
        self._stored = stored

    def forget_file(self) -> None:
        """It may be another file from here on."""
        self._stored = 0


class KnownShapes:
    """The shapes of all runs in a file, read as they are needed; `own` knows those of the run that writes it."""

    def __init__(self, db: sqlite3.Connection, own: Shapes | None = None) -> None:
        self._db = db
        self._own = own or Shapes()
        self._known: dict[int, Shape | None] = {}

    def find(self, number: int) -> Shape | None:
        """A shape, whichever run has met it; None where the file has no such one, or a damaged one."""
        if number not in self._known:
            self._known[number] = self._own.find(number) or self._read(number)
        return self._known[number]

    def _read(self, number: int) -> Shape | None:
        found = (read(number, *row) for row in self._db.execute(_FIND, (number,)).fetchall())
        return next((shape for shape in found if shape is not None), None)


def insert(db: sqlite3.Connection, run_no: int, shape: Shape) -> None:
    """Write a shape down, if it is not there."""
    db.execute(_INSERT, (run_no, shape.number(), shape.device, json.dumps(shape.points)))


def read(number: int, device: bytes, points: bytes) -> Shape | None:
    """A shape from its columns; None if they are damaged."""
    try:
        shape = Shape(device.decode(), tuple(json.loads(points)))
        return shape if shape.number() == number else None
    except (ValueError, TypeError):
        return None


def prune(db: sqlite3.Connection, current: int) -> None:
    """Forget the shapes of runs that have no readings any more."""
    for (run_no,) in db.execute("SELECT DISTINCT run FROM shape WHERE run < ?", (current,)).fetchall():
        ids = row_id(run_no, 0), last_of_run(run_no)
        if not any(db.execute(statement, ids).fetchone() for statement in _USED):
            db.execute("DELETE FROM shape WHERE run = ?", (run_no,))
