"""The page of a replay: one HTML file by itself, with a plot for each alarm as inline SVG.

No script, no style sheet, font or picture from elsewhere: it can be mailed, kept, and opened without a network. All
that comes from a journal or a configuration is escaped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from html import escape
from math import isfinite
from typing import NamedTuple

from gateway.model import Value
from gateway.replaying.history import Course
from gateway.replaying.traces import Slice, Trace
from gateway.rules.condition import Above, Below, Condition, Equals, Outside

_WIDTH, _HEIGHT, _LEFT, _BAND = 960, 150, 70, 12
_PLOT = _WIDTH - _LEFT
_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:1000px;padding:0 1em;color:#222}
h1{font-size:1.5em;line-height:1.25}h2{font-size:1.15em;margin:2em 0 .2em}p{margin:.4em 0}.note{color:#555}
.wide{overflow-x:auto}
table{border-collapse:collapse;margin:.6em 0;font-size:.93em}
th,td{text-align:left;white-space:nowrap;padding:.3em 1.4em .3em 0;border-bottom:1px solid #ddd}
th{font-weight:600;font-size:.8em;color:#555;border-bottom-color:#999}
.number{text-align:right;font-variant-numeric:tabular-nums}
svg{width:100%;min-width:640px;height:auto;font:11px system-ui,sans-serif}text{fill:#444}
.value{fill:none;stroke:#246;stroke-width:1.2}.grid{stroke:#eee}
.limit{stroke:#c33;stroke-dasharray:5 3}.clear{stroke:#c93;stroke-dasharray:2 3}
.happened{fill:#888}.tried{fill:#c33}.axis{stroke:#ccc}
@media print{h2,svg{break-inside:avoid;break-after:avoid}svg{min-width:0}}
"""


class Table(NamedTuple):
    """A table with its heading."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[object]]


class Line(NamedTuple):
    """One point of an alarm: its values, what they are called, and the conditions on it."""

    name: str
    unit: str
    trace: Trace
    conditions: tuple[Condition, ...]


class Plot(NamedTuple):
    """One alarm: what it is, its points, and what it did in both histories."""

    alarm: str
    rule: str
    lines: tuple[Line, ...]
    happened: Course
    tried: Course


class Page(NamedTuple):
    """All that is shown, from `from_ts` to `to_ts` (UTC ms); `band` is what the first band of a plot is called.

    `beside`: what that shows.
    """

    title: str
    intro: Sequence[str]
    beside: str
    band: str
    from_ts: int
    to_ts: int
    tables: Sequence[Table]
    plots: Iterable[Plot]
    notes: Sequence[str]


def html(page: Page) -> Iterator[str]:
    """The page, piece by piece."""
    title = escape(page.title)
    yield '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
    yield f'<meta name="viewport" content="width=device-width"><title>{title}</title>'
    yield f"<style>{_STYLE}</style></head><body>\n<h1>{title}</h1>\n"
    yield from (f"<p>{escape(line)}</p>\n" for line in page.intro)
    for table in page.tables:
        yield from _table(table)
    yield f"<p>In each plot: grey, when it stood ({escape(page.beside)}); red, when it would have; dashed, the limits "
    yield "that are tried: red where it comes, orange where it ends. Times are in UTC.</p>\n"
    for plot in page.plots:
        yield from _plot(plot, page)
    yield "<h2>What this can tell, and what not</h2>\n<ul>"
    yield from (f'<li class="note">{escape(note)}</li>\n' for note in page.notes)
    yield "</ul></body></html>\n"


def _table(table: Table) -> Iterator[str]:
    kinds = [_kind(column) for column in zip(*table.rows, strict=True)] or [""] * len(table.head)
    yield f'<h2>{escape(table.title)}</h2>\n<div class="wide"><table><thead><tr>'
    yield "".join(f"<th{kind}>{escape(name)}</th>" for name, kind in zip(table.head, kinds, strict=True))
    yield "</tr></thead><tbody>\n"
    for row in table.rows:
        cells = zip(row, kinds, strict=True)
        yield f"<tr>{''.join(f'<td{kind}>{escape(str(cell))}</td>' for cell, kind in cells)}</tr>\n"
    yield "</tbody></table></div>\n"


def _kind(column: Sequence[object]) -> str:
    """Numbers stand below one another."""
    are_numbers = all(isinstance(cell, int | float) or str(cell).replace(".", "").isdecimal() for cell in column)
    return ' class="number"' if are_numbers else ""


def _plot(plot: Plot, page: Page) -> Iterator[str]:
    yield f'<h2 id="{escape(plot.alarm)}">{escape(plot.alarm)}</h2>\n<p class="note">{escape(plot.rule)}</p>\n'
    height = len(plot.lines) * (_HEIGHT + 20) + 2 * (_BAND + 4) + 32
    yield f'<div class="wide"><svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(plot.alarm)}">\n'
    yield from _grid(height - 22)
    top = 10
    for line in plot.lines:
        yield from _values(line, page, top)
        top += _HEIGHT + 20
    for name, label, course in (("happened", page.band, plot.happened), ("tried", "tried", plot.tried)):
        yield from _band(name, label, course, page, top)
        top += _BAND + 4
    yield from _axis(page, top)
    yield "</svg></div>\n"


def _grid(height: int) -> Iterator[str]:
    for part in range(5):
        x = _LEFT + _PLOT * part / 4
        yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="14" y2="{height}"/>\n'


def _values(line: Line, page: Page, top: int) -> Iterator[str]:
    slices = list(line.trace.slices())
    limits = [(kind, _level(line, value)) for kind, value in _limits(line.conditions)]
    levels = [level for _, level in limits if level is not None]
    lows, highs = [it.low for it in slices] + levels, [it.high for it in slices] + levels
    yield f'<text x="{_LEFT}" y="{top}">{escape(f"{line.name} {line.unit}".strip())}</text>\n'
    if not slices:
        yield f'<text x="{_LEFT + 10}" y="{top + _HEIGHT // 2}">no values</text>\n'
        return
    low, high = min(lows), max(highs)
    room = (high - low) * 0.05 or 0.5
    low, high = low - room, high + room

    def y_of(value: float) -> float:
        return top + 4 + (_HEIGHT - 8) * (high - value) / (high - low)

    for part in _parts(slices):
        yield f'<polyline class="value" points="{" ".join(_points(part, page, y_of))}"/>\n'
    for kind, level in limits:
        if level is not None:
            y = y_of(level)
            yield f'<line class="{kind}" x1="{_LEFT}" x2="{_WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>\n'
    labels = {word: float(at) for word, at in line.trace.words.items()} or {
        f"{value:.4g}": value for value in (min(lows), max(highs))
    }
    for name, value in labels.items():
        yield f'<text x="{_LEFT - 6}" y="{y_of(value) + 4:.1f}" text-anchor="end">{escape(name[:10])}</text>\n'


def _parts(slices: Sequence[Slice]) -> Iterator[Sequence[Slice]]:
    """Those between which there was a value all the time."""
    begins = [place for place, it in enumerate(slices) if it.is_new]
    return (slices[begin:end] for begin, end in zip(begins, [*begins[1:], len(slices)], strict=True))


def _points(part: Sequence[Slice], page: Page, y_of: Callable[[float], float]) -> Iterator[str]:
    """A value counts until the next one: up to there the line is level."""
    y = 0.0
    for before, it in zip((None, *part), part, strict=False):
        x = _x(it.ts + it.length_ms // 2, page)
        if before is not None and it.ts > before.ts + before.length_ms:
            yield f"{x:.1f},{y:.1f}"
        for value in dict.fromkeys((it.low, it.high)):
            y = y_of(value)
            yield f"{x:.1f},{y:.1f}"


def _limits(conditions: Iterable[Condition]) -> Iterator[tuple[str, Value]]:
    for condition in conditions:
        match condition:
            case Above(limit, clear) | Below(limit, clear):
                yield "limit", limit
                if clear != limit:
                    yield "clear", clear
            case Outside(low, high):
                yield from _limits((low, high))
            case Equals(value):
                yield "limit", value


def _level(line: Line, value: Value) -> float | None:
    """Where a limit lies among the values; None for a word that never came."""
    if isinstance(value, str):
        return line.trace.words.get(value)
    return float(value) if isinstance(value, int | float) and isfinite(value) else None


def _band(name: str, label: str, course: Course, page: Page, top: int) -> Iterator[str]:
    yield f'<text x="{_LEFT - 6}" y="{top + _BAND - 2}" text-anchor="end">{escape(label)}</text>\n'
    for episode in course.all():
        begin = page.from_ts if episode.began is None else episode.began
        end = page.to_ts if episode.ended is None else episode.ended
        x, width = _x(begin, page), max(1.0, _x(end, page) - _x(begin, page))
        told = f"{time_text(begin)} to {'the end' if episode.ended is None else time_text(end)}"
        yield f'<rect class="{name}" x="{x:.1f}" y="{top}" width="{width:.1f}" height="{_BAND}">'
        yield f"<title>{told}</title></rect>\n"


def _axis(page: Page, top: int) -> Iterator[str]:
    yield f'<line class="axis" x1="{_LEFT}" x2="{_WIDTH}" y1="{top}" y2="{top}"/>\n'
    for part, anchor in ((0, "start"), (1, "middle"), (2, "middle"), (3, "middle"), (4, "end")):
        ts = page.from_ts + (page.to_ts - page.from_ts) * part // 4
        x = _x(ts, page)
        yield f'<text x="{x:.1f}" y="{top + 14}" text-anchor="{anchor}">{time_text(ts)[:16]}</text>\n'


def _x(ts: int, page: Page) -> float:
    share = (ts - page.from_ts) / max(1, page.to_ts - page.from_ts)
    return _LEFT + _PLOT * min(1.0, max(0.0, share))


def time_text(ts: int) -> str:
    """UTC milliseconds as a date and time; the number itself where no calendar has such a day."""
    try:
        return datetime.fromtimestamp(ts / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return str(ts)
