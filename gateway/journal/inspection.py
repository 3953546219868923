"""The journal read beside the daemon that writes it, or without one: for commands, and never in the daemon's way.

- Every read is a read-only connection of its own that lasts for milliseconds: a longer one would keep the WAL from
  being played in. What is long is read in slices, each from where the last one ended.
- Stored rows never change, and are only ever added behind or deleted in front; so slices of one lane fit together.
- A row that the disk has damaged is passed on as it is, and its reader says so; it never ends a listing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from gateway.correction import PREFIX, Corrections, recalled
from gateway.errors import JournalDown
from gateway.journal import chaining, enrolment, opening, shaping
from gateway.journal import reading as rows
from gateway.journal.chain import START, Head
from gateway.journal.ledger import Ledger, run_of, seq_of
from gateway.journal.statelock import JOURNAL_FILE
from gateway.model import SENT_LANES, Lane

SLICE_ROWS = 2_000
"""Rows of one read: some ten milliseconds on a Raspberry Pi."""

_BUSY_S = 2.0
_SHAPE = {Lane.EVENT: "NULL", Lane.TELEMETRY: "shape", Lane.LOCAL: "shape"}
_COLUMNS = {  # as blobs: sqlite3 refuses whole answers over one bad byte
    lane: f"id, ts, CAST(trust AS BLOB), mono_ms, {shape}" for lane, shape in _SHAPE.items()
}
_NEWEST = {
    lane: f"SELECT {columns}, CAST(text AS BLOB) FROM {lane} ORDER BY id DESC LIMIT ?"  # noqa: S608 - a lane is no input
    for lane, columns in _COLUMNS.items()
}
_AFTER = {
    lane: f"SELECT {columns}, CASE WHEN ts >= ? AND ts < ? THEN CAST(text AS BLOB) END FROM {lane} "  # noqa: S608 - as above
    "WHERE id > ? ORDER BY id LIMIT ?"
    for lane, columns in _COLUMNS.items()
}
_END = {lane: f"SELECT ts FROM {lane} ORDER BY id LIMIT 1" for lane in Lane}  # noqa: S608 - as above
_OPEN_GAPS = "SELECT ts, text FROM gaps WHERE announced = 0 ORDER BY id"


class Line(NamedTuple):
    """One row, for people; `text` as it was told, None where it was not asked for."""

    id: int
    run: str
    lane: Lane
    ts: int  # UTC ms
    trust: str
    mono_ms: int
    text: str | None

    @property
    def seq(self) -> int:
        """The number in run and lane."""
        return seq_of(self.id)

    @property
    def order(self) -> tuple[int, int, int]:
        """Where it stands among rows of both lanes, whatever the wall clock did."""
        return run_of(self.id), self.mono_ms, self.id


class LaneSummary(NamedTuple):
    """One lane: how many rows, and the times (UTC ms) of its first and last one."""

    rows: int
    oldest_ts: int | None
    newest_ts: int | None


class Clocks(NamedTuple):
    """What is known of the clocks of the runs: in which boot each ran ("": not known), and what they were off by."""

    boots: Mapping[str, str]
    corrections: Corrections


@dataclass(frozen=True, slots=True)
class Summary:
    """What a journal's files say; `backlog` counts the rows that an uplink has not acknowledged, as stored."""

    runs: Mapping[int, str]
    lanes: Mapping[Lane, LaneSummary]
    backlog: Mapping[str, int]
    open_gaps: int
    head: Head  # of the chain of events
    files: Mapping[str, int]  # name -> bytes

    @property
    def last_run(self) -> str:
        """The run that wrote last; "" where there was none."""
        return self.runs[max(self.runs)] if self.runs else ""


def find(place: Path) -> Path:
    """The journal's file in a state directory; a `place` that is a file is one by itself (a backup, one set aside)."""
    return place / JOURNAL_FILE if place.is_dir() or not place.exists() else place


def summary(path: Path) -> Summary:
    """The journal at `path` at one moment."""
    with reading(path) as db:
        db.execute("BEGIN")
        names = tuple(name for (name,) in db.execute("SELECT DISTINCT uplink FROM acked WHERE uplink <> ''"))
        ledger, _ = enrolment.recall(db, Ledger(names))
        lanes = {lane: _lane(db, ledger, lane) for lane in Lane}
        (open_gaps,) = db.execute("SELECT count(*) FROM gaps WHERE announced = 0").fetchone()
        end = chaining.recall(db)
    backlog = {name: ledger.backlog(name) for name in names}
    return Summary(ledger.runs, lanes, backlog, open_gaps, end.head if end else START, files(path))


def clocks(path: Path) -> Clocks:
    """What the journal at `path` knows of the clocks of its runs."""
    corrections = Corrections()
    with reading(path) as db:
        boots = dict(db.execute("SELECT run, boot FROM runs"))
        state = dict(db.execute("SELECT key, text FROM state WHERE key LIKE ?", (f"{PREFIX}%",)))
    for _, correction in recalled(state):
        corrections.learn(correction)
    return Clocks(boots, corrections)


def files(path: Path) -> dict[str, int]:
    """Each file of the journal at `path` with its bytes: database, WAL, ballast, and those set aside."""
    names = sorted(name for name in path.parent.glob(f"{path.name}*") if name.is_file())
    return {name.name: name.stat().st_size for name in names}


def newest(path: Path, lanes: tuple[Lane, ...], count: int) -> list[Line]:
    """The last `count` rows of these lanes together, in their order."""
    with reading(path) as db:
        of = _Lines(db)
        lines = [of.line(lane, row) for lane in lanes for row in db.execute(_NEWEST[lane], (count,)).fetchall()]
    return sorted(lines, key=lambda line: line.order)[-count:] if count else []


def after(path: Path, lane: Lane, id_: int, from_ts: int, to_ts: int) -> list[Line]:
    """The next SLICE_ROWS rows behind the id; with their text where `from_ts` <= ts < `to_ts` (UTC ms)."""
    with reading(path) as db:
        of = _Lines(db)
        return [of.line(lane, row) for row in db.execute(_AFTER[lane], (from_ts, to_ts, id_, SLICE_ROWS)).fetchall()]


def slices(path: Path, lane: Lane, from_ts: int = 0, to_ts: int = 1 << 62) -> Iterator[list[Line]]:
    """All rows of a lane that are there when it begins, slice by slice."""
    with reading(path) as db:
        (top,) = db.execute(f"SELECT max(id) FROM {lane}").fetchone()  # noqa: S608 - a lane is no input
    last = -1
    while top is not None and last < top:
        lines = after(path, lane, last, from_ts, to_ts)
        if not lines:
            return
        last = lines[-1].id
        yield [line for line in lines if line.id <= top]


def open_gaps(path: Path) -> list[tuple[int, str]]:
    """The gaps that no event has announced yet: when each was noted (UTC ms), and the text of its event to be."""
    with reading(path) as db:
        return [(int(ts), str(text)) for ts, text in db.execute(_OPEN_GAPS)]


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A read-only connection to the journal at `path`, for one short read. JournalDown where there can be none."""
    with opened(path) as db:
        version = expect_journal(db, path)
        if version < opening.SCHEMA:
            hint = "start the daemon once with this version: it brings it up to date"
            raise JournalDown(f"{path} has the older schema {version}", hint)
        yield db


@contextmanager
def opened(path: Path, called: Path | None = None) -> Iterator[sqlite3.Connection]:
    """A read-only connection to any SQLite file; what goes wrong while it is used leaves this block as JournalDown.

    `called` is what people know the file by, where it has another name for now.
    """
    name = called or path
    try:
        there = path.exists()
    except PermissionError as error:
        raise JournalDown(
            f"{name.parent} may not be looked into", "it is its owner's alone: try it with sudo"
        ) from error
    if not there:
        raise JournalDown(f"there is no journal at {name}", "name the daemon's folder, or a journal's file: --state")
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_BUSY_S)) as db:
            db.isolation_level = None
            yield db
    except sqlite3.DatabaseError as error:
        raise _explained(error, name) from error


def expect_journal(db: sqlite3.Connection, path: Path) -> int:
    """The file's schema. Raises JournalDown where it is no journal, or one of a later version."""
    version: int = db.execute("PRAGMA user_version").fetchone()[0]
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not {"runs", "acked", "gaps", *SENT_LANES} <= tables:
        raise JournalDown(f"{path} is no journal of Sitewarden", "name the daemon's state directory: --state DIR")
    if version > opening.SCHEMA:
        what = f"{path} has schema {version}, this version knows {opening.SCHEMA}"
        raise JournalDown(what, "use the newer version that wrote it")
    return version


def _explained(error: sqlite3.DatabaseError, path: Path) -> JournalDown:
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith("SQLITE_NOTADB"):
        return JournalDown(f"{path} is no journal: it is no SQLite database", "name the daemon's state directory")
    if name.startswith("SQLITE_CORRUPT"):
        return JournalDown(f"{path} is damaged ({error})", "the daemon sets it aside by itself; check dmesg")
    if name.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_PERM")):
        return JournalDown(f"{path} cannot be opened ({error})", "it is its owner's alone: try it with sudo")
    return JournalDown(f"{path} cannot be read ({name or type(error).__name__}: {error})", "try again; check dmesg")


def _lane(db: sqlite3.Connection, ledger: Ledger, lane: Lane) -> LaneSummary:
    first = db.execute(_END[lane]).fetchone()
    last = db.execute(_NEWEST[lane], (1,)).fetchone()
    return LaneSummary(ledger.rows_in(lane), first and first[0], last and last[1])


class _Lines:
    """Rows as lines, with the names of runs and points that the file has."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._runs: dict[int, str] = dict(db.execute("SELECT no, run FROM runs"))
        self._find = shaping.KnownShapes(db).find

    def line(self, lane: Lane, row: tuple[int, int, bytes, int, int | None, bytes | None]) -> Line:
        id_, ts, trust, mono_ms, shape, text = row
        told = None if text is None else text.decode("utf-8", "replace")
        if told is not None and shape is not None:
            with suppress(ValueError):  # damaged: as it is
                told = rows.whole(told, shape, self._find)
        return Line(id_, self._runs.get(run_of(id_), "?"), lane, ts, trust.decode("utf-8", "replace"), mono_ms, told)
