"""Checks the chain of a journal's file, row by row, beside a running daemon or without one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from gateway.journal.chain import Head, Verdict


def verify(path: Path, expected: Head | None = None, progress: Callable[[int], None] | None = None) -> Verdict:
    """Whether the events in the file at `path` are those that were stored, and the first one that is not.

    Reads only, in one snapshot and bounded memory. `expected` is a head as `health` has told it earlier: without one, a
    chain whose end was cut or made anew is not found out. `progress` is told, now and then, how many links are checked.
    Raises JournalDown where the file cannot be read at all.
    """
    raise NotImplementedError
