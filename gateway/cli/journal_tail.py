"""`sitewarden journal tail` and `gaps`: records of the journal as lines that a person can read."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from gateway.cli.table import table
from gateway.errors import JournalDown
from gateway.journal import inspection
from gateway.journal.inspection import Line
from gateway.model import Json, Lane

FOLLOW_S = 0.5
_HEAD = ("NOTED", "UPLINKS", "RUN", "LANE", "FIRST", "LAST", "RECORDS", "FROM", "TO", "REASON", "ANNOUNCED")
_GAP = '{"event":"gap",'


def tail(path: Path, lanes: tuple[Lane, ...], count: int) -> Iterator[str]:
    """The last `count` records."""
    return map(line_text, inspection.newest(path, lanes, count))


def follow(path: Path, lanes: tuple[Lane, ...], count: int, end: threading.Event) -> Iterator[str]:
    """The last `count` records, then each new one within FOLLOW_S seconds, until `end` is set.

    Each look is a connection of its own: the journal may be replaced meanwhile, and comes back with greater ids.
    """
    last = {lane: line.id for lane in lanes for line in inspection.newest(path, (lane,), 1)}
    yield from (line_text(line) for line in inspection.newest(path, lanes, count) if line.id <= last.get(line.lane, -1))
    while not end.wait(FOLLOW_S):
        try:
            new = [line for lane in lanes for line in inspection.after(path, lane, last.get(lane, -1), 0, _FOR_EVER)]
        except JournalDown:  # between a journal that was set aside and the next one
            continue
        last |= {line.lane: line.id for line in new}
        yield from map(line_text, sorted(new, key=lambda line: line.order))


_FOR_EVER = 1 << 62


def line_text(line: Line) -> str:
    """One record as one line: when, lane, run and number, and what it says."""
    trust = "" if line.trust == "synced" else f" ({line.trust})"
    return f"{time_text(line.ts)}{trust}  {line.run[:6]}/{line.seq:<6}  {_contents(line)}"


def time_text(ts: int) -> str:
    """UTC milliseconds in ISO 8601; the number itself where no calendar has such a day."""
    try:
        return datetime.fromtimestamp(ts / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{ts % 1000:03d}Z"
    except (ValueError, OverflowError, OSError):
        return str(ts)


def parsed(text: str | None) -> Mapping[str, Json] | None:
    """What a record says; None where the disk has damaged it."""
    try:
        record = json.loads(text or "")
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def _contents(line: Line) -> str:
    record = parsed(line.text)
    if record is None:
        return f"damaged row: {printable(line.text or '')}"
    if line.lane is not Lane.EVENT:
        values, bad = _part(record, "values"), _part(record, "bad")
        points = [*(f"{name}={_word(value)}" for name, value in values.items())]
        points += [f"{name}: {_word(reason)}" for name, reason in bad.items()]
        not_sent = "  (not sent)" if line.lane is Lane.LOCAL else ""
        return f"{_word(record.get('device'))}  {', '.join(points)}{not_sent}"
    fields = [f"{name}={_word(value)}" for name, value in record.items() if name != "event" and value not in (None, "")]
    return f"EVENT {_word(record.get('event'))}  {', '.join(fields)}"


def _part(record: Mapping[str, Json], name: str) -> Mapping[str, Json]:
    part = record.get(name)
    return part if isinstance(part, dict) else {}


def _word(value: Json) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return printable(text)


def printable(text: str) -> str:
    """The text without what a terminal would obey; names and issuers may come from anywhere."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


# ---------------------------------------------------------------- gaps


def gaps(path: Path) -> Iterable[str]:
    """A table of all gaps: those that an event of the journal tells of, then those that none has announced yet."""
    told = [
        _gap_row(line.ts, line.text, "yes")
        for lines in inspection.slices(path, Lane.EVENT)
        for line in lines
        if line.text is not None and line.text.startswith(_GAP)
    ]
    untold = [_gap_row(ts, text, "not yet") for ts, text in inspection.open_gaps(path)]
    return table(_HEAD, [*told, *untold], "no gaps: nothing that was stored has been given up unsent")


def _gap_row(ts: int, text: str, announced: str) -> tuple[str, ...]:
    gap = parsed(text) or {"reason": "damaged row"}
    named = gap.get("uplinks")
    uplinks = ", ".join(map(str, named)) if isinstance(named, list) and named else "-"
    fields = [printable(str(gap.get(name, "-"))) for name in ("of_run", "lane", "first", "last", "records", "reason")]
    trust = gap.get("trust")
    doubt = "" if trust in (None, "synced") else f" ({printable(str(trust))})"
    when = (gap.get(name) for name in ("first_ts", "last_ts"))
    between = [f"{time_text(each)}{doubt}" if isinstance(each, int) else "-" for each in when]
    return time_text(ts), printable(uplinks), *fields[:-1], *between, fields[-1], announced
