"""The shapes in the file: numbered by the run that met them first, written with its first record of that shape.

Shapes are of their run, and go with the last of its records; so nothing needs to look who still uses one.
"""

from __future__ import annotations

import json
import sqlite3

from gateway.journal.ledger import last_of_run, row_id
from gateway.journal.shape import Shape, packed
from gateway.model import Lane

MAX_SHAPES = 1_000
"""So many shapes a run may have; what comes with another one is kept as it is."""

_FIND = "SELECT CAST(device AS BLOB), CAST(points AS BLOB) FROM shape WHERE run = ? AND no = ?"
_USED = [f"SELECT 1 FROM {lane} WHERE id BETWEEN ? AND ? LIMIT 1" for lane in (Lane.TELEMETRY, Lane.LOCAL)]  # noqa: S608 - a lane is no input
_INSERT = "INSERT OR IGNORE INTO shape VALUES (?, ?, ?, ?)"


class Shapes:
    """The shapes of the present run."""

    def __init__(self) -> None:
        self._numbers: dict[Shape, int] = {}
        self._stored = 0

    def pack(self, text: str) -> tuple[str, int | None]:
        """The text to store, and the number of its shape; None where it is the whole text."""
        parts = packed(text)
        if parts is None:
            return text, None
        shape, values = parts
        number = self._numbers.get(shape)
        if number is None:
            if len(self._numbers) >= MAX_SHAPES:
                return text, None
            number = self._numbers[shape] = len(self._numbers) + 1
        return values, number

    def insert(self, db: sqlite3.Connection, run_no: int) -> int:
        """Insert what is not in the file yet, in the transaction of its records; gives how many are then stored."""
        new = list(self._numbers)[self._stored :] if self._stored < len(self._numbers) else []
        for shape in new:
            insert(db, run_no, self._numbers[shape], shape)
        return len(self._numbers)

    def committed(self, stored: int) -> None:
        """That transaction is on the disk."""
        self._stored = stored

    def forget_file(self) -> None:
        """It may be another file from here on."""
        self._stored = 0


class KnownShapes:
    """The shapes of all runs in a file, read as they are needed."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._known: dict[tuple[int, int], Shape | None] = {}

    def find(self, run_no: int, number: int) -> Shape | None:
        """A shape; None where the file has no such one, or a damaged one."""
        key = run_no, number
        if key not in self._known:
            self._known[key] = self._read(key)
        return self._known[key]

    def _read(self, key: tuple[int, int]) -> Shape | None:
        row = self._db.execute(_FIND, key).fetchone()
        return None if row is None else read(*row)


def insert(db: sqlite3.Connection, run_no: int, number: int, shape: Shape) -> None:
    """Write a shape down, if it is not there."""
    db.execute(_INSERT, (run_no, number, shape.device, json.dumps(shape.points)))


def read(device: bytes, points: bytes) -> Shape | None:
    """A shape from its columns; None if they are damaged."""
    try:
        names = tuple(json.loads(points))
        return Shape(device.decode(), names) if all(isinstance(name, str) for name in names) else None
    except (ValueError, TypeError):
        return None


def prune(db: sqlite3.Connection, current: int) -> None:
    """Forget the shapes of runs that have no readings any more."""
    for (run_no,) in db.execute("SELECT DISTINCT run FROM shape WHERE run < ?", (current,)).fetchall():
        ids = row_id(run_no, 0), last_of_run(run_no)
        if not any(db.execute(statement, ids).fetchone() for statement in _USED):
            db.execute("DELETE FROM shape WHERE run = ?", (run_no,))
