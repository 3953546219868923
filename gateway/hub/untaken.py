"""Outputs that did not take their value: since when, and when they are written again. Pure.

One is wrong when a write of it failed, or when it says another value although it has had RETRY_S to take its own.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from math import inf

from gateway.model import Reading, Reason, Value
from gateway.rules.responses import OutputPoint

RETRY_S = 1.0
"""Seconds after which an output that did not take its value is written again."""


class Untaken:
    """All of one gateway; times are monotonic seconds."""

    def __init__(self) -> None:
        self._retry_at: dict[OutputPoint, float] = {}
        self.since: dict[OutputPoint, float] = {}
        self._written_at: dict[OutputPoint, float] = {}

    @property
    def wake(self) -> float:
        """When one is to be written again."""
        return min(self._retry_at.values(), default=inf)

    def keep(self, outputs: Collection[OutputPoint]) -> None:
        """Nothing is known of others any more."""
        for known in (self._retry_at, self.since, self._written_at):
            for output in known.keys() - set(outputs):
                del known[output]

    def written(self, output: OutputPoint, mono: float) -> None:
        """It was written, and has its time to take that."""
        self._written_at[output] = mono

    def look(self, reading: Reading, wanted: Mapping[OutputPoint, Value]) -> list[OutputPoint]:
        """Those of which `reading` says for the first time that they are not as wanted."""
        news = []
        for output, value in wanted.items():
            if output.device != reading.device:
                continue
            if self._is_wrong(output, value, reading):
                if output not in self._retry_at:
                    news.append(output)
                    self._retry_at[output] = reading.mono + RETRY_S
                    self.since[output] = reading.mono
            elif reading.values.get(output.point) == value:
                self._retry_at.pop(output, None)
                self.since.pop(output, None)
        return news

    def due(self, mono: float) -> list[OutputPoint]:
        """Those that are to be written again now, which counts as done."""
        due = [output for output, at in self._retry_at.items() if at <= mono]
        for output in due:
            self._retry_at[output] = mono + RETRY_S
            self._written_at[output] = mono
        return due

    def _is_wrong(self, output: OutputPoint, wanted: Value, reading: Reading) -> bool:
        """Whether it did not take its value, or says another although it has had the time to take it."""
        if reading.bad.get(output.point) is Reason.WRITE_FAILED:
            return True
        said = reading.values.get(output.point)
        settled = reading.mono >= self._written_at.get(output, -RETRY_S) + RETRY_S
        return said is not None and said != wanted and settled
