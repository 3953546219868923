"""A time in which the disk takes nothing: since when, why, when to try again, and what memory could not hold. Pure."""

from __future__ import annotations

from gateway.journal import times
from gateway.model import Dropped

MAX_LOST = 200
"""Gaps that wait with the records; more become one."""

RETRY_S = 5.0


class Outage:
    """`since` is its beginning (monotonic seconds), None while the disk works; `what` is wrong, or "ok".

    `uplinks`: all there are.
    """

    def __init__(self, uplinks: tuple[str, ...]) -> None:
        self.uplinks = uplinks
        self.since: float | None = None
        self.what = "ok"
        self.retry_at = 0.0
        self.lost: list[Dropped] = []
        """What was given up and is not noted on the disk yet."""

    def begins(self, what: str, now: float) -> bool:
        """The disk has failed, once more; whether it had worked until then."""
        self.retry_at = now + RETRY_S
        self.what = what
        was_working = self.since is None
        if was_working:
            self.since = now
        return was_working

    def ends(self, now: float) -> float:
        """The disk has taken a write: how many seconds it did not."""
        down_s = now - (now if self.since is None else self.since)
        self.since, self.what = None, "ok"
        return down_s

    @property
    def lost_records(self) -> int:
        """How many records are in the gaps that are not noted yet."""
        return sum(gap.records for gap in self.lost)

    def lose(self, gap: Dropped) -> None:
        """Note a gap; with the one before it in its lane it becomes one, if the same uplinks miss both."""
        for at in range(len(self.lost) - 1, -1, -1):
            before = self.lost[at]
            if before.lane is gap.lane:
                if before.uplinks == gap.uplinks or len(self.lost) >= MAX_LOST:
                    without = tuple(name for name in self.uplinks if name in before.uplinks + gap.uplinks)
                    records = before.records + gap.records
                    whole = before._replace(last=gap.last, records=records, uplinks=without)
                    self.lost[at] = times.joined(before, gap).on(whole)
                    return
                break
        self.lost.append(gap)
