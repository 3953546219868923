"""The past as the journal has it, for rules to be tried on: readings and events with the times that are right by now.

- It is read beside the daemon, slice by slice (inspection.py), and both lanes of telemetry come in one order.
- Values go straight from a row into numbers, without the text between, and those of a slice at once: that is most of
  the speed of a replay. Where one of them is damaged, each is looked at by itself.
- A row that the disk has damaged is passed over and counted.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from gateway.correction import Corrections
from gateway.journal import inspection, shaping
from gateway.journal.inspection import Line
from gateway.journal.ledger import last_of_run, run_of, seq_of
from gateway.journal.shape import Shape, arrays_of, values_in, values_of
from gateway.journal.shaping import KnownShapes
from gateway.model import Lane, Reading, Trust, Value
from gateway.replaying.heard import Heard, reading_of, woven

_SELECT = {
    lane: "SELECT id, ts, CAST(trust AS BLOB), mono_ms, shape, CASE WHEN (ts >= ? AND ts < ?) "  # noqa: S608 - a lane is no input
    "OR trust NOT IN ('synced', 'gps', 'estimated') THEN CAST(text AS BLOB) END "
    f"FROM {lane} WHERE id > ? AND id <= ? ORDER BY id LIMIT ?"
    for lane in (Lane.TELEMETRY, Lane.LOCAL)
}
_SKIP = {
    lane: "SELECT max(id), count(*), max((ts >= ? AND ts < ?) "  # noqa: S608 - as above
    "OR trust NOT IN ('synced', 'gps', 'estimated')) "
    f"FROM (SELECT id, ts, trust FROM {lane} WHERE id > ? AND id <= ? ORDER BY id LIMIT ?)"
    for lane in _SELECT
}
_SLICE_ROWS = 5_000  # which takes a few milliseconds, as little as the opening before it
_SKIP_ROWS = 20_000  # which takes no longer
_TOP = {lane: f"SELECT max(id) FROM {lane}" for lane in _SELECT}  # noqa: S608 - as above
_TRUSTS = {trust.value.encode(): trust for trust in Trust}
_UNSYNCED = Trust.UNSYNCED.value.encode()
_Array = Sequence[float | None]
_Columns = tuple[int, int, bytes, int, int | None, bytes | None]


class Past:
    """The journal at `path`, from `from_ts` up to but not including `to_ts` (UTC ms).

    `look` first: it puts `from_ts` off to the oldest reading. `rows` counts what has been looked at of `total`,
    `damaged` what could not be read, `corrected` what had a wrong time, `undated` what has none that can be right.
    """

    has_events = has_clocks = True

    def __init__(self, path: Path, from_ts: int, to_ts: int) -> None:
        self._path = path
        self.from_ts = self._from_ts = from_ts
        self._to_ts = to_ts
        self.begins_later = False
        self._corrections = Corrections()
        self._runs: dict[int, str] = {}
        self._shapes: dict[int, Shape | None] = {}
        self.boots: dict[str, str] = {}
        self.total = self.rows = self.damaged = self.corrected = self.undated = 0
        self.first_damaged = ""

    def look(self) -> None:
        """What is there: runs, rows, what is known of clocks."""
        held = inspection.summary(self._path)
        clocks = inspection.clocks(self._path)
        self._runs, self.boots, self._corrections = dict(held.runs), dict(clocks.boots), clocks.corrections
        self.total = sum(held.lanes[lane].rows for lane in _SELECT)
        oldest = [ts for lane in _SELECT if (ts := held.lanes[lane].oldest_ts) is not None]
        if oldest and min(oldest) > self.from_ts:
            self.from_ts, self.begins_later = min(oldest), True

    def events(self) -> Iterator[Line]:
        """All events up to the end of the time that is wanted, with their right times."""
        for lines in inspection.slices(self._path, Lane.EVENT):
            for line in lines:
                ts = self._corrections.time_of(line.run, line.trust, line.mono_ms) or line.ts
                if ts < self._to_ts:
                    yield line._replace(ts=ts)

    def readings(self) -> Iterator[Heard]:
        """The readings of that time."""
        yield from woven(self._lane(Lane.TELEMETRY), self._lane(Lane.LOCAL))

    def _lane(self, lane: Lane) -> Iterator[Heard]:
        last, heard = -1, list[Heard]()
        with inspection.reading(self._path) as db:
            (top,) = db.execute(_TOP[lane]).fetchone()
        while top is not None and last < top:
            if not heard:
                last = self._skipped(lane, last, top)
            with inspection.reading(self._path) as db:
                rows = db.execute(_SELECT[lane], (self._from_ts, self._to_ts, last, top, _SLICE_ROWS)).fetchall()
                heard = list(self._slice(rows, shaping.KnownShapes(db, known=self._shapes)))
            if not rows:
                return
            last = rows[-1][0]
            self.rows += len(rows)
            del rows  # one form of them is enough
            yield from heard

    def _skipped(self, lane: Lane, last: int, top: int) -> int:
        """The id behind which the first rows come that may be wanted; what is older is not even looked at."""
        while True:
            with inspection.reading(self._path) as db:
                given = (self._from_ts, self._to_ts, last, top, _SKIP_ROWS)
                end, count, is_wanted = db.execute(_SKIP[lane], given).fetchone()
            if is_wanted or not count:
                return last
            self.rows += count
            last = end

    def _slice(self, rows: list[_Columns], shapes: KnownShapes) -> Iterator[Heard]:
        """A slice of rows as readings, cut where run or trust change."""
        heard = Heard(-1, "", Trust.SYNCED, [])
        trust_text, append, upto = b"", heard.readings.append, -1
        decoded = arrays_of([text for *_, shape, text in rows if shape is not None and text is not None])
        arrays, find = None if decoded is None else iter(decoded), shapes.find
        for id_, ts, trust, mono_ms, shape, text in rows:
            if text is None:
                continue
            array = next(arrays) if arrays is not None and shape is not None else None
            if id_ > upto or trust != trust_text:
                if heard.readings:
                    yield heard
                trust_text, number = trust, run_of(id_)
                upto = last_of_run(number)
                heard = Heard(number, self._runs.get(number, "?"), _TRUSTS.get(trust, Trust.UNSYNCED), [])
                append, is_doubtful = heard.readings.append, heard.trust in {Trust.RTC, Trust.UNSYNCED}
            if is_doubtful:
                ts = self._right_time(heard, mono_ms, ts)  # noqa: PLW2901 - the right one from here on
                if not self._from_ts <= ts < self._to_ts:
                    self.undated += trust_text == _UNSYNCED and ts < self._from_ts
                    continue
            known = None if array is None or shape is None else find(shape)
            if array is not None and known is not None and len(array) == len(known.points) and None not in array:
                values: dict[str, Value] = dict(zip(known.points, array, strict=True))  # type: ignore[arg-type]
                append(Reading(known.device, mono_ms / 1000, ts, values, {}))
                continue
            reading = _reading(mono_ms / 1000, ts, shape, array, text, shapes)
            if reading is None:
                self.damaged += 1
                self.first_damaged = self.first_damaged or f"record {seq_of(id_)} of run {heard.run}"
            else:
                append(reading)
        if heard.readings:
            yield heard

    def _right_time(self, heard: Heard, mono_ms: int, ts: int) -> int:
        right = self._corrections.time_of(heard.run, heard.trust, mono_ms)
        if right is None:
            return ts
        self.corrected += 1
        return right


def _reading(
    mono: float, ts: int, shape_no: int | None, array: _Array | None, text: bytes, shapes: KnownShapes
) -> Reading | None:
    try:
        if shape_no is None:
            return reading_of(json.loads(text), mono, ts)
        shape = shapes.find(shape_no)
        if shape is None:
            return None
        values = values_of(shape, text.decode()) if array is None else values_in(shape, array)
        return Reading(shape.device, mono, ts, values, {})
    except (ValueError, RecursionError):
        return None
