"""How far a long command is, as a bar on standard error: only for a person at a terminal."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self, TextIO

_WIDTH = 30
_EVERY_S = 0.1


class Bar:
    """A bar with a title, drawn at most ten times a second and wiped away at the end; not `drawn`, it is silent."""

    def __init__(self, title: str, drawn: bool | None = None, out: TextIO | None = None) -> None:
        self._title = title
        self._out = out or sys.stderr
        self._drawn = self._out.isatty() if drawn is None else drawn
        self._next = 0.0
        self._width = 0

    def show(self, share: float) -> None:
        """This share is done, 0 to 1."""
        if not self._drawn or (time.monotonic() < self._next and share < 1):
            return
        self._next = time.monotonic() + _EVERY_S
        full = round(min(1.0, max(0.0, share)) * _WIDTH)
        self._write(f"{self._title} [{'#' * full}{'.' * (_WIDTH - full)}] {share:4.0%}")

    def count(self, done: int) -> None:
        """So many are done, of nobody knows how many."""
        if self._drawn:
            self._write(f"{self._title} {done}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._width:
            self._write("")
            self._out.write("\r")
            self._out.flush()

    def _write(self, text: str) -> None:
        self._out.write(f"\r{text.ljust(self._width)}")
        self._out.flush()
        self._width = len(text)
