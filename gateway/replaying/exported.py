"""What `sitewarden journal export` wrote, read back: readings and events, as CSV or JSON Lines, line by line.

- An export has no monotonic time: the time between two readings is that between their wall times. Where these go back
  within a run, the clock was set, and time goes on from where it was.
- A line that is damaged is passed over and counted; it costs no other.
- CSV has no types: what a point is by the configuration (`forms`) tells words from numbers.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, TypeAlias, TypeVar

from gateway.errors import SitewardenError
from gateway.model import Json, Lane, Reading, Reason, Trust, Value
from gateway.replaying.heard import Heard, value_of
from gateway.units import Form

READINGS = ("run", "seq", "ts", "time", "trust", "device", "point", "value", "bad", "lane")
EVENTS = ("run", "seq", "ts", "time", "trust", "event", "text")
"""The columns of an export."""

_MOST_BYTES = 1 << 20  # of a line
_END_BYTES = 1 << 16
_BATCH = 2_000
_BACK_S = 1.0
_TRUSTS = {trust.value: trust for trust in Trust}
_REASONS = {reason.value: reason for reason in Reason}
_GUARDED = ("'=", "'+", "'-", "'@", "'\t", "'\r")
T = TypeVar("T")
Line: TypeAlias = Mapping[str, Json]


class Event(NamedTuple):
    """An exported event; monotonic time is not in an export, so it is the wall time."""

    run: str
    ts: int
    trust: str
    text: str | None

    @property
    def mono_ms(self) -> int:
        """As for the readings of an export."""
        return self.ts


class _File(NamedTuple):
    path: Path
    lane: Lane
    is_csv: bool


class _Point(NamedTuple):
    """One line of an export of readings."""

    run: str
    ts: int
    trust: str
    device: str
    point: str
    value: Value | None
    bad: Reason | None


class Export:
    """Files of one export, or of several that follow each other. `forms`: (device, point) -> form.

    `look` first: it puts `from_ts` off to the first reading. `rows` counts bytes that have been read, of `total`;
    `damaged` lines, `first_damaged` names the first one.
    """

    has_clocks = False  # what the clocks were off by is not in an export

    def __init__(self, paths: list[Path], forms: Mapping[tuple[str, str], Form], from_ts: int, to_ts: int) -> None:
        self._paths, self._forms = paths, forms
        self.from_ts = self._from_ts = from_ts
        self._to_ts = self._last_ts = to_ts
        self.begins_later = False
        self._files: list[_File] = []
        self.boots: dict[str, str] = {}
        self.total = self.rows = self.damaged = self.corrected = self.undated = 0
        self.first_damaged = ""

    def look(self) -> None:
        """Which file is what. SitewardenError where one is no export."""
        self._files = [_file(path) for path in self._paths]
        self.total = sum(it.path.stat().st_size for it in self._files if it.lane is Lane.TELEMETRY)
        if not any(it.lane is Lane.TELEMETRY for it in self._files):
            hint = (
                "give the readings, too: sitewarden journal export -o readings.csv; --file can be given several times"
            )
            raise SitewardenError("there are events alone in what was given, and no readings to judge", hint)
        files = [it for it in self._files if it.lane is Lane.TELEMETRY]
        first = next((point.ts for file in files for point in self._parsed(file, self._point, _nothing)), self.from_ts)
        last = max((ts for file in files for ts in self._last(file)), default=first)
        self.begins_later = 0 < self.from_ts < first
        self.from_ts, self._last_ts = max(self.from_ts, first), last
        self.damaged, self.first_damaged = 0, ""

    @property
    def has_events(self) -> bool:
        """Whether what really happened is there, too."""
        return any(it.lane is Lane.EVENT for it in self._files)

    def events(self) -> Iterator[Event]:
        """All events up to the end of the time that is wanted."""
        for file in self._files:
            if file.lane is Lane.EVENT:
                for event in self._parsed(file, _event, _nothing):
                    if event.ts < self._to_ts and event.ts <= self._last_ts:
                        yield event

    def readings(self) -> Iterator[Heard]:
        """The readings of that time, run by run."""
        number, run, trust, shift, last = 0, None, "", 0.0, 0.0
        batch: list[Reading] = []
        for points in self._grouped():
            first = points[0]
            mono = first.ts / 1000 + (shift if first.run == run else 0.0)
            if first.run != run or first.trust != trust or len(batch) >= _BATCH:
                if batch:
                    yield Heard(number, run or "", _TRUSTS.get(trust, Trust.UNSYNCED), batch)
                if first.run != run:
                    number, shift, last = number + 1, 0.0, mono
                run, trust, batch = first.run, first.trust, []
            if mono < last - _BACK_S:
                shift += last - mono
                mono = last
            last = max(last, mono)
            batch.append(_reading(points, mono))
        if batch:
            yield Heard(number, run or "", _TRUSTS.get(trust, Trust.UNSYNCED), batch)

    def _grouped(self) -> Iterator[list[_Point]]:
        """The lines of each reading: those of one time stand together, whatever devices and lanes they are of."""
        group: dict[str, list[_Point]] = {}
        last = ("", 0)
        for point in self._points():
            if (point.run, point.ts) != last:
                yield from group.values()
                group, last = {}, (point.run, point.ts)
            group.setdefault(point.device, []).append(point)
        yield from group.values()

    def _points(self) -> Iterator[_Point]:
        for file in self._files:
            if file.lane is Lane.TELEMETRY:
                for point in self._parsed(file, self._point, self._count):
                    if self._from_ts <= point.ts < self._to_ts:
                        yield point

    def _last(self, file: _File) -> Iterator[int]:
        """The times of the last lines of a file."""
        with file.path.open("rb") as end:
            end.seek(max(0, file.path.stat().st_size - _END_BYTES))
            end.readline()
            for raw in end:
                point = self._said(file, raw, self._point)
                if point is not None:
                    yield point.ts

    def _count(self, read: int) -> None:
        self.rows += read

    def _parsed(self, file: _File, parse: Callable[[Line], T], count: Callable[[int], None]) -> Iterator[T]:
        """What the lines of a file say."""
        for number, raw in enumerate(_lines(file.path), 1):
            count(len(raw))
            if file.is_csv and number == 1:
                continue
            said = self._said(file, raw, parse)
            if said is not None:
                yield said
            else:
                self.damaged += 1
                self.first_damaged = self.first_damaged or f"line {number} of {file.path.name}"

    def _said(self, file: _File, raw: bytes, parse: Callable[[Line], T]) -> T | None:
        """What a line says; None if it is damaged."""
        columns = READINGS if file.lane is Lane.TELEMETRY else EVENTS
        try:
            return parse(_of_csv(raw.decode(), columns) if file.is_csv else _of_json(raw.decode()))
        except (ValueError, KeyError, TypeError, RecursionError, csv.Error):
            return None

    def _point(self, line: Line) -> _Point:
        """One point of a reading. ValueError, KeyError or TypeError where the line is damaged."""
        device, point = str(line["device"]), str(line["point"])
        told, bad = line.get("value"), line.get("bad")
        if isinstance(told, _Cell):
            told = _value(told, self._forms.get((device, point)))
        value = None if told is None else value_of(told)
        reason = None if bad is None else _REASONS[str(bad)]
        if (value is None) is (reason is None):
            raise ValueError("neither a value nor a reason why there is none")
        return _Point(str(line["run"]), int(str(line["ts"])), str(line["trust"]), device, point, value, reason)


def _nothing(_: int) -> None:
    """It is not counted."""


class _Cell(str):
    """A value as CSV has it: without a type."""

    __slots__ = ()


def _event(line: Line) -> Event:
    return Event(str(line["run"]), int(str(line["ts"])), str(line["trust"]), str(line["text"]))


def _of_csv(text: str, columns: tuple[str, ...]) -> Line:
    (cells,) = csv.reader((text,), strict=True)
    line: dict[str, Json] = {name: cell for name, cell in zip(columns, cells, strict=True) if cell}
    if "value" in line:
        line["value"] = _Cell(line["value"])
    return line


def _of_json(text: str) -> Line:
    line = json.loads(text)
    if not isinstance(line, dict):
        raise TypeError("no object")
    return line


def _value(cell: str, form: Form | None) -> Json:
    """What a cell stands for."""
    word = cell[1:] if cell.startswith(_GUARDED) else cell
    if form is Form.TEXT:
        return word
    if cell in {"true", "false"}:
        return cell == "true"
    try:
        told: Json = json.loads(cell)
    except ValueError:
        return word
    is_number = type(told) in (int, float)
    return word if (form is Form.STATE and is_number) or told is None else told


def _file(path: Path) -> _File:
    first = next(_lines(path), b"").decode("utf-8", "replace").strip()
    for lane, columns in ((Lane.TELEMETRY, READINGS), (Lane.EVENT, EVENTS)):
        if first == ",".join(columns):
            return _File(path, lane, is_csv=True)
    if first.startswith('{"run":'):
        return _File(path, Lane.EVENT if '"event":' in first else Lane.TELEMETRY, is_csv=False)
    hint = "make one: sitewarden journal export --format jsonl -o readings.jsonl; a journal itself: --state"
    raise SitewardenError(f"{path} is no export of a journal", hint)


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while line := file.readline(_MOST_BYTES):
                yield line
    except OSError as error:
        raise SitewardenError(
            f"{path} cannot be read: {error.strerror}", "name a file that journal export made"
        ) from error


def _reading(points: list[_Point], mono: float) -> Reading:
    first = points[0]
    values = {it.point: it.value for it in points if it.value is not None}
    bad = {it.point: it.bad for it in points if it.bad is not None}
    return Reading(first.device, mono, first.ts, values, bad)
