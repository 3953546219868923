"""What commands print, for people: tables, durations, times, values. Nothing is cut off."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime


def table(head: Sequence[str], rows: Iterable[Sequence[object]], empty: str) -> Iterable[str]:
    """Rows under their head, each column as wide as its widest cell; `empty` where there are none."""
    cells = [head, *([str(cell) for cell in row] for row in rows)]
    if len(cells) == 1:
        yield empty
        return
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    for row in cells:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def duration(seconds: float | None) -> str:
    """Seconds in the two largest units that matter; "-" for None."""
    if seconds is None:
        return "-"
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def clock(ts: int) -> str:
    """UTC milliseconds as a date and time."""
    return datetime.fromtimestamp(ts / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def value_text(value: object, unit: str) -> str:
    """A point's value with its unit; positions with five decimals (about a metre)."""
    if value is None:
        return "-"
    if isinstance(value, list | tuple):
        return f"{value[0]:.5f}, {value[1]:.5f}"
    return f"{value} {unit}".rstrip()


def screen_width() -> int | None:
    """How many characters fit into a line of the screen; None where the output goes to a file or another program."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None
