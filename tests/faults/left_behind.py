"""What a killed gateway has left in its journal: read from a copy of the files, which stay as the kill left them."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from feed import Key, event_content, reading_content

from gateway.journal.ledger import row_id
from gateway.journal.ranges import Ranges
from gateway.journal.verify import verify
from gateway.model import SENT_LANES, Lane

FILES = ("journal.db", "journal.db-wal")


@dataclass
class LeftBehind:
    """`runs` by number, in order, `contents` of the last one's records (or of all), and what is acknowledged.

    Runs that have left no record are forgotten in the end.
    """

    runs: dict[str, int] = field(default_factory=dict)
    contents: dict[Key, str] = field(default_factory=dict)
    gaps: int = 0
    acked: dict[str, Ranges] = field(default_factory=dict)
    is_sound: bool = True

    def has_acked(self, key: Key) -> bool:
        """Whether the disk knew that the uplink had this record."""
        run, lane, seq = key
        return run in self.runs and row_id(self.runs[run], seq) in self.acked[lane]

    @property
    def last_run(self) -> str | None:
        return next(reversed(self.runs), None)

    def lasts(self) -> dict[str, int]:
        """The last number of each lane of the last run."""
        last = self.last_run
        return {
            lane: max((seq for run, of, seq in self.contents if (run, of) == (last, lane)), default=0)
            for lane in SENT_LANES
        }


def left_behind(state: Path, scratch: Path, *, whole: bool = False) -> LeftBehind:
    """Read the journal in the folder `state`; `whole`: all runs, and whether the chain of events is sound."""
    found = LeftBehind(acked={lane.value: Ranges() for lane in Lane})
    for name in FILES:
        (scratch / name).unlink(missing_ok=True)
        if (state / name).exists():
            shutil.copy(state / name, scratch / name)
    path = scratch / FILES[0]
    if not path.exists():
        return found
    with closing(sqlite3.connect(path)) as db:
        if not db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'gaps'").fetchone()[0]:
            return found  # killed before it had made its tables
        found.runs = dict(db.execute("SELECT run, no FROM runs ORDER BY no"))
        (found.gaps,) = db.execute("SELECT count(*) FROM gaps").fetchone()
        for lane, first, last in db.execute("SELECT lane, first, last FROM acked WHERE uplink != ''"):
            found.acked[lane].add(first, last)
        for run in found.runs if whole else list(found.runs)[-1:]:
            found.contents |= contents(db, run)
    if whole:
        found.is_sound = verify(path).is_sound
    return found


def contents(db: sqlite3.Connection, run: str) -> dict[Key, str]:
    """All records of a run, as people read them by the journal's views."""
    found: dict[Key, str] = {
        (run, Lane.EVENT.value, seq): event_content(ts, json.loads(text))
        for seq, ts, text in db.execute("SELECT seq, ts, text FROM events WHERE run = ?", (run,))
    }
    rows: dict[int, tuple[int, str, dict[str, object], dict[str, str]]] = {}
    points = "SELECT seq, ts, device, point, value, bad FROM readings WHERE run = ?"
    for seq, ts, device, point, value, bad in db.execute(points, (run,)):
        _, _, good, reasons = rows.setdefault(seq, (ts, device, {}, {}))
        if bad is None:
            good[point] = value
        else:
            reasons[point] = bad
    return found | {(run, Lane.TELEMETRY.value, seq): reading_content(*row) for seq, row in rows.items()}
