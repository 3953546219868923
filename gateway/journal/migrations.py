"""The schema, step by step. Imported only where a file is behind it: sqlite-utils costs 100 ms and 10 MB.

Tables of rows, one per lane, whose primary key is the identity (ledger.py): an insert is idempotent without a
second index, and every row is written once. `readings` and `events` are views for people, with one row per
point and per event.
A step that was released is never changed; the next one follows it, and SCHEMA in opening.py counts them.
"""

from __future__ import annotations

import sqlite3

from sqlite_utils import Database, Migrations

steps = Migrations("sitewarden-journal")

_TABLES = """
CREATE TABLE runs (no INTEGER PRIMARY KEY AUTOINCREMENT, run TEXT NOT NULL UNIQUE, boot TEXT NOT NULL,
  started_ts INTEGER NOT NULL) STRICT;
CREATE TABLE event (id INTEGER PRIMARY KEY, ts INTEGER NOT NULL, trust TEXT NOT NULL, mono_ms INTEGER NOT NULL,
  text TEXT NOT NULL) STRICT;
CREATE TABLE telemetry (id INTEGER PRIMARY KEY, ts INTEGER NOT NULL, trust TEXT NOT NULL, mono_ms INTEGER NOT NULL,
  text TEXT NOT NULL) STRICT;
CREATE TABLE state (key TEXT PRIMARY KEY, text TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE acked (uplink TEXT NOT NULL, lane TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
  PRIMARY KEY (uplink, lane, first)) STRICT, WITHOUT ROWID;
CREATE TABLE gaps (id INTEGER PRIMARY KEY, ts INTEGER NOT NULL, text TEXT NOT NULL,
  announced INTEGER NOT NULL DEFAULT 0) STRICT;
"""

_VIEWS = """
CREATE VIEW readings AS
  SELECT run, t.id & 0xFFFFFFFFFF AS seq, ts, strftime('%Y-%m-%dT%H:%M:%fZ', ts / 1000.0, 'unixepoch') AS time, trust,
    text ->> 'device' AS device, point.key AS point, point.value AS value, NULL AS bad
  FROM telemetry t JOIN runs ON runs.no = t.id >> 40, json_each(t.text, '$.values') point
  UNION ALL
  SELECT run, t.id & 0xFFFFFFFFFF, ts, strftime('%Y-%m-%dT%H:%M:%fZ', ts / 1000.0, 'unixepoch'), trust,
    text ->> 'device', point.key, NULL, point.value
  FROM telemetry t JOIN runs ON runs.no = t.id >> 40, json_each(t.text, '$.bad') point;
CREATE VIEW events AS
  SELECT run, e.id & 0xFFFFFFFFFF AS seq, ts, strftime('%Y-%m-%dT%H:%M:%fZ', ts / 1000.0, 'unixepoch') AS time, trust,
    text ->> 'event' AS event, text
  FROM event e JOIN runs ON runs.no = e.id >> 40;
"""


@steps()
def first_schema(db: Database) -> None:
    """The tables and views of the first release."""
    for statement in f"{_TABLES}{_VIEWS}".split(";"):
        db.execute(statement)


@steps()
def event_chain(db: Database) -> None:
    """The hash chain of the events (chain.py). It begins here: what an older file holds is not covered."""
    db.execute("CREATE TABLE chain (link INTEGER PRIMARY KEY, id INTEGER NOT NULL, hash BLOB NOT NULL) STRICT")
    db.execute("INSERT INTO chain SELECT 0, coalesce(max(id), 0), zeroblob(32) FROM event")


_ONCE = """
ALTER TABLE telemetry ADD COLUMN shape INTEGER;
CREATE TABLE local (id INTEGER PRIMARY KEY, ts INTEGER NOT NULL, trust TEXT NOT NULL, mono_ms INTEGER NOT NULL,
  text TEXT NOT NULL, shape INTEGER) STRICT;
CREATE TABLE shape (run INTEGER NOT NULL, no INTEGER NOT NULL, device TEXT NOT NULL, points TEXT NOT NULL,
  PRIMARY KEY (run, no)) STRICT, WITHOUT ROWID;
DROP VIEW readings
"""

_READINGS = """
  SELECT run, t.id & 0xFFFFFFFFFF AS seq, ts, strftime('%Y-%m-%dT%H:%M:%fZ', ts / 1000.0, 'unixepoch') AS time, trust,
    text ->> 'device' AS device, point.key AS point, point.value AS value, NULL AS bad, '{lane}' AS lane
  FROM {lane} t JOIN runs ON runs.no = t.id >> 40, json_each(t.text, '$.values') point WHERE shape IS NULL
  UNION ALL
  SELECT run, t.id & 0xFFFFFFFFFF, ts, strftime('%Y-%m-%dT%H:%M:%fZ', ts / 1000.0, 'unixepoch'), trust,
    text ->> 'device', point.key, NULL, point.value, '{lane}'
  FROM {lane} t JOIN runs ON runs.no = t.id >> 40, json_each(t.text, '$.bad') point WHERE shape IS NULL
  UNION ALL
  SELECT runs.run, t.id & 0xFFFFFFFFFF, ts, strftime('%Y-%m-%dT%H:%M:%fZ', ts / 1000.0, 'unixepoch'), trust,
    s.device, s.points ->> point.key, point.value, NULL, '{lane}'
  FROM {lane} t JOIN runs ON runs.no = t.id >> 40
    JOIN (SELECT DISTINCT no, device, points FROM shape) s ON s.no = t.shape, json_each(t.text) point
"""


@steps()
def names_once_and_local_lane(db: Database) -> None:
    """Names once, values in the rows (shape.py), and a third lane, of what is stored and not sent.

    Rows that are there stay as they are: not one is written again.
    """
    for statement in _ONCE.split(";"):
        db.execute(statement)
    lanes = (_READINGS.format(lane=lane) for lane in ("telemetry", "local"))
    db.execute(f"CREATE VIEW readings AS {' UNION ALL '.join(lanes)}")


_PLACES = "replace(replace(replace(replace(t.text, '[,', '[null,'), ',,', ',null,'), ',,', ',null,'), ',]', ',null]')"


@steps()
def empty_places(db: Database) -> None:
    """A place without a value (shape.py) is no row of `readings`; rows stay as they are."""
    db.execute("DROP VIEW readings")
    lanes = (_READINGS.format(lane=lane) for lane in ("telemetry", "local"))
    one_shape = "SELECT no, device, points FROM shape GROUP BY no"
    view = " UNION ALL ".join(lanes).replace("SELECT DISTINCT no, device, points FROM shape", one_shape)
    filled = view.replace("json_each(t.text) point", f"json_each({_PLACES}) point WHERE point.value IS NOT NULL")
    db.execute(f"CREATE VIEW readings AS {filled}")


@steps()
def names_twice(db: Database) -> None:
    """A second table of names (shaping.py)."""
    columns = "run INTEGER NOT NULL, no INTEGER NOT NULL, device TEXT NOT NULL, points TEXT NOT NULL"
    db.execute(f"CREATE TABLE shape_twin ({columns}, PRIMARY KEY (run, no)) STRICT, WITHOUT ROWID")
    db.execute("INSERT INTO shape_twin SELECT * FROM shape")


def bring_up_to_date(connection: sqlite3.Connection) -> None:
    """Run the steps that the file has not had yet, each in a transaction of its own."""
    steps.apply(Database(connection, recursive_triggers=False, execute_plugins=False))
