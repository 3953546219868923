"""The shapes in the file: each run writes those that it meets, with its first record of that shape.

They go with the last record of their run; so nothing needs to look who still uses one. Each is written to two tables:
readings that nobody has yet hang on it, and one byte that the disk damages must not cost them all.
"""

from __future__ import annotations

import json
import sqlite3

from gateway.journal.ledger import last_of_run, row_id
from gateway.journal.shape import Order, Shape, packed, placed
from gateway.model import Lane

MAX_SHAPES = 1_000
"""So many shapes a run may have; what needs another one is kept as it is, and so is what is shorter that way."""

MAX_OF_DEVICE = 64
"""So many of a device are looked through; one that says a part of forty points at a time needs fifty to know all."""

TABLES = ("shape", "shape_twin")

_FIND = [f"SELECT CAST(device AS BLOB), CAST(points AS BLOB) FROM {table} WHERE no = ?" for table in TABLES]  # noqa: S608 - no input
_USED = [f"SELECT 1 FROM {lane} WHERE id BETWEEN ? AND ? LIMIT 1" for lane in (Lane.TELEMETRY, Lane.LOCAL)]  # noqa: S608 - as above
_INSERT = [f"INSERT OR REPLACE INTO {table} VALUES (?, ?, ?, ?)" for table in TABLES]  # noqa: S608 - no input
_PRUNE = [f"DELETE FROM {table} WHERE run = ?" for table in TABLES]  # noqa: S608 - no input


class Shapes:
    """The shapes of the present run."""

    def __init__(self) -> None:
        self._named: dict[int, Shape] = {}
        self._of_device: dict[str, list[tuple[Shape, int]]] = {}  # the widest first
        self._orders: dict[str, Order] = {}
        self._stored = 0

    def pack(self, text: str) -> tuple[str, int | None]:
        """The text to store, and the number of its shape; None where it is the whole text."""
        parts = packed(text)
        if parts is None:
            return text, None
        own, values = parts
        for shape, number in self._of_device.get(own.device, ()):
            places = values if shape == own else placed(shape, own, values)
            if places is not None:
                return (places, number) if len(places) < len(text) else (text, None)
        added = self._add(own)
        places = None if added is None else placed(added, own, values)
        if added is None or places is None or len(places) >= len(text):
            return text, None
        return places, added.number()

    def _add(self, own: Shape) -> Shape | None:
        """A new shape, with places for what all records of the device have had; None where it cannot be."""
        if len(self._named) >= MAX_SHAPES or len(set(own.points)) < len(own.points):
            return None
        known = self._of_device.setdefault(own.device, [])
        shape = self._orders.setdefault(own.device, Order()).with_points(own)
        number = shape.number()
        if number in self._named or len(known) >= MAX_OF_DEVICE:  # by others: two checksums may be the same
            return None
        self._named[number] = shape
        known.insert(0, (shape, number))
        return shape

    def find(self, number: int) -> Shape | None:
        """A shape of this run."""
        return self._named.get(number)

    def insert(self, db: sqlite3.Connection, run_no: int) -> int:
        """Insert what is not in the file yet, in the transaction of its records; gives how many are then stored."""
        new = list(self._named.values())[self._stored :] if self._stored < len(self._named) else []
        for shape in new:
            insert(db, run_no, shape)
        return len(self._named)

    def committed(self, stored: int) -> None:
        """That transaction is on the disk."""
        self._stored = stored

    def forget_file(self) -> None:
        """It may be another file from here on."""
        self._stored = 0


class KnownShapes:
    """The shapes of all runs in a file, read as they are needed; `own` knows those of the run that writes it.

    `known`: those that an earlier connection has read.
    """

    def __init__(
        self, db: sqlite3.Connection, own: Shapes | None = None, known: dict[int, Shape | None] | None = None
    ) -> None:
        self._db = db
        self._own = own or Shapes()
        self._known: dict[int, Shape | None] = {} if known is None else known

    def find(self, number: int) -> Shape | None:
        """A shape, whichever run has met it; None where the file has no such one, or a damaged one."""
        if number not in self._known:
            self._known[number] = self._own.find(number) or self._read(number)
        return self._known[number]

    def _read(self, number: int) -> Shape | None:
        rows = (row for statement in _FIND for row in self._db.execute(statement, (number,)).fetchall())
        found = (read(number, *row) for row in rows)
        return next((shape for shape in found if shape is not None), None)


def insert(db: sqlite3.Connection, run_no: int, shape: Shape) -> None:
    """Write a shape down; one that was damaged is whole again."""
    for statement in _INSERT:
        db.execute(statement, (run_no, shape.number(), shape.device, json.dumps(shape.points)))


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
            for statement in _PRUNE:
                db.execute(statement, (run_no,))
