"""When alarms came and went, and how many came at once. Pure; bounded, however often they come.

A flood is what it is in the daemon (hub/alarmload.py): more than ten new alarms in ten minutes, until fewer than five.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from gateway.hub.alarmload import CALM, FLOOD, WINDOW_S

_WITHIN_MS = round(WINDOW_S * 1000)
MAX_EPISODES = 1_000
"""Of one alarm so many are kept with their times; more are counted."""


class Episode(NamedTuple):
    """An alarm from `began` to `ended` (UTC ms); None: before the time that was looked at, or not until its end."""

    began: int | None
    ended: int | None
    chattering: bool = False


class Load:
    """How many new alarms there are in ten minutes."""

    def __init__(self) -> None:
        self._lately: deque[int] = deque()
        self._since: int | None = None  # a flood
        self.alarms = self.worst = self.floods = self.flooded_ms = 0
        self.worst_ts: int | None = None

    def raised(self, ts: int) -> None:
        """One more."""
        self.alarms += 1
        self.passed(ts)
        self._lately.append(ts)
        if len(self._lately) > self.worst:
            self.worst, self.worst_ts = len(self._lately), ts
        if self._since is None and len(self._lately) > FLOOD:
            self._since, self.floods = ts, self.floods + 1

    def passed(self, ts: int) -> None:
        """Time has passed until then."""
        while self._lately and self._lately[0] <= ts - _WITHIN_MS:
            left = self._lately.popleft() + _WITHIN_MS
            if self._since is not None and len(self._lately) < CALM:
                self.flooded_ms += left - self._since
                self._since = None

    def ended(self, ts: int) -> None:
        """Nothing is known of what comes after."""
        self.passed(ts)
        if self._since is not None:
            self.flooded_ms += max(0, ts - self._since)
            self._since = None


@dataclass(slots=True)
class Course:
    """What one alarm did: how often it came, how often it was held for chattering, and when."""

    raised: int = 0
    chattered: int = 0
    stood_ms: int = 0
    episodes: list[Episode] = field(default_factory=list)
    open: Episode | None = None

    def all(self) -> Iterator[Episode]:
        """Its episodes that are kept, the one that goes on, too."""
        yield from self.episodes
        if self.open is not None and len(self.episodes) < MAX_EPISODES:
            yield self.open


class History:
    """What all alarms did, told in the order of time; it begins at `from_ts` (UTC ms)."""

    def __init__(self, from_ts: int) -> None:
        self.from_ts = from_ts
        self.courses: dict[str, Course] = {}
        self.load = Load()

    def of(self, alarm: str) -> Course:
        """What one alarm did."""
        return self.courses.setdefault(alarm, Course())

    def stood(self, alarm: str) -> None:
        """It stood from the beginning."""
        self.of(alarm).open = Episode(None, None)

    def raised(self, alarm: str, ts: int, *, chattering: bool = False, hidden: bool = False) -> None:
        """It came; `chattering`: too often, so that it is held. One that is hidden from people is part of no flood."""
        course = self.of(alarm)
        course.raised += 1
        course.chattered += chattering
        if not hidden:
            self.load.raised(ts)
        if course.open is None:
            course.open = Episode(ts, None, chattering)

    def cleared(self, alarm: str, ts: int) -> None:
        """It went."""
        course = self.of(alarm)
        if course.open is not None:
            self._end(course, ts)
            if len(course.episodes) < MAX_EPISODES:
                course.episodes.append(course.open._replace(ended=ts))
            course.open = None

    def ended(self, ts: int) -> None:
        """Nothing is known of what comes after: what stands then has stood until then."""
        self.load.ended(ts)
        for course in self.courses.values():
            if course.open is not None:
                self._end(course, ts)

    def _end(self, course: Course, ts: int) -> None:
        began = course.open.began if course.open is not None else None
        course.stood_ms += max(0, ts - (self.from_ts if began is None else began))
