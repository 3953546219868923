"""`sitewarden journal export`: readings as CSV or JSON Lines, one point a line, or events, in constant memory.

- The columns are those of the views `readings` and `events`. Times are UTC: `ts` in milliseconds, `time` in ISO 8601.
- No cell can be taken for a formula by a spreadsheet: devices and points are ids, which begin with a letter or a digit,
  numbers are numbers, and an event's text begins with a brace. A word that a device says is guarded by an apostrophe.
- A file gets its name when it is whole; who reads it meanwhile reads the old one.
"""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from heapq import merge
from pathlib import Path
from typing import TextIO, TypeAlias

from gateway.cli.journal_tail import parsed, time_text
from gateway.cli.progress import Bar
from gateway.errors import CannotCreate, SitewardenError
from gateway.journal import copies, inspection
from gateway.journal.inspection import Line
from gateway.model import Json, Lane
from gateway.records import encode

_IDENTITY = ("run", "seq", "ts", "time", "trust")
COLUMNS = {
    Lane.TELEMETRY: (*_IDENTITY, "device", "point", "value", "bad", "lane"),
    Lane.EVENT: (*_IDENTITY, "event", "text"),
}
_LANES = {Lane.TELEMETRY: (Lane.TELEMETRY, Lane.LOCAL), Lane.EVENT: (Lane.EVENT,)}
Row: TypeAlias = tuple[Json, ...]
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which records: from `from_ts` up to but not including `to_ts` (UTC ms); "" stands for every device or point.

    What is local belongs to the telemetry here.
    """

    lane: Lane
    from_ts: int
    to_ts: int
    device: str
    point: str


def export(path: Path, wanted: Wanted, form: str, target: Path | None) -> int:
    """Write the wanted records of the journal at `path` to `target` (None: standard output); how many lines."""
    bar = Bar("exporting", drawn=None if target is not None or not sys.stdout.isatty() else False)
    with bar, output(path, target) as out:
        columns, rows = COLUMNS[wanted.lane], _rows(path, wanted, bar)
        count = _write_csv(out, columns, rows) if form == "csv" else _write_lines(out, columns, rows)
        if not count and (wanted.device or wanted.point):
            _expect_known(path, wanted)
    return count


def _rows(path: Path, wanted: Wanted, bar: Bar) -> Iterator[Row]:
    held = inspection.summary(path).lanes
    total = sum(held[lane].rows for lane in _LANES[wanted.lane])
    of_line = _points if wanted.lane is Lane.TELEMETRY else _event
    streams = (_lines(path, lane, wanted) for lane in _LANES[wanted.lane])
    for done, line in enumerate(merge(*streams, key=lambda line: line.order), 1):
        if line.text is not None:
            yield from of_line(line, wanted)
        if not done % inspection.SLICE_ROWS:
            bar.show(done / max(total, done))
    bar.show(1.0)


def _lines(path: Path, lane: Lane, wanted: Wanted) -> Iterator[Line]:
    for lines in inspection.slices(path, lane, wanted.from_ts, wanted.to_ts):
        yield from lines


def _identity(line: Line) -> tuple[Json, ...]:
    return line.run, line.seq, line.ts, time_text(line.ts), line.trust


def _points(line: Line, wanted: Wanted) -> Iterator[Row]:
    record = parsed(line.text)
    if record is None or wanted.device not in ("", record.get("device")):
        return
    start = *_identity(line), record.get("device")
    values, bad = record.get("values"), record.get("bad")
    for point, value in values.items() if isinstance(values, dict) else ():
        if wanted.point in ("", point):
            yield *start, point, value, None, line.lane
    for point, reason in bad.items() if isinstance(bad, dict) else ():
        if wanted.point in ("", point):
            yield *start, point, None, reason, line.lane


def _event(line: Line, wanted: Wanted) -> Iterator[Row]:
    record = parsed(line.text) or {}
    if wanted.device in ("", record.get("device")) and wanted.point in ("", record.get("point")):
        yield *_identity(line), record.get("event"), line.text


def _write_csv(out: TextIO, columns: Sequence[str], rows: Iterator[Row]) -> int:
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    count = 0
    for count, row in enumerate(rows, 1):  # noqa: B007 - it is the result
        writer.writerow(map(_cell, row))
    return count


def _cell(value: Json) -> str | float | None:
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULA) else value
    return json.dumps(value) if isinstance(value, bool | list | dict) else value  # type: ignore[return-value]  # None or a number


def _write_lines(out: TextIO, columns: Sequence[str], rows: Iterator[Row]) -> int:
    count = 0
    for count, row in enumerate(rows, 1):  # noqa: B007 - it is the result
        line = {column: value for column, value in zip(columns, row, strict=True) if value is not None}
        out.write(encode(line) + "\n")
    return count


def _expect_known(path: Path, wanted: Wanted) -> None:
    """Raise where the whole journal has no record of the wanted device or point."""
    known: dict[str, set[str]] = {}
    for lane in _LANES[wanted.lane]:
        for record in (parsed(line.text) for lines in inspection.slices(path, lane) for line in lines):
            if record is not None and record.get("device"):
                points = known.setdefault(str(record["device"]), set())
                for part in (record.get("values"), record.get("bad"), record.get("point")):
                    points.update(map(str, part) if isinstance(part, dict) else {part} if isinstance(part, str) else ())
    if wanted.device and wanted.device not in known:
        raise _unknown(f"{wanted.lane} of {wanted.device}", known)
    points = known[wanted.device] if wanted.device else set().union(*known.values())
    if wanted.point and wanted.point not in points:
        raise _unknown(f"{wanted.lane} of {wanted.device or 'any device'} with a point {wanted.point}", points)


def _unknown(what: str, there: Iterable[str]) -> SitewardenError:
    return SitewardenError(f"the journal has no {what}", f"it has: {', '.join(sorted(there)) or 'none at all'}")


@contextmanager
def output(path: Path, target: Path | None) -> Iterator[TextIO]:
    """The file `target`, which is there when it is whole; made of what is at `path`. None: standard output."""
    if target is None:
        yield sys.stdout
        sys.stdout.flush()
        return
    copies.expect_apart(path, target)
    part = target.with_name(f"{target.name}.part-{os.getpid()}")
    try:
        with part.open("x", encoding="utf-8", newline="") as out:
            yield out
        copies.sync(part)
        part.replace(target)
    except OSError as error:
        hint = "name a file in a folder that exists and may be written, on a disk with room"
        raise CannotCreate(f"{target} cannot be created: {error.strerror}", hint) from error
    finally:
        part.unlink(missing_ok=True)
