"""Hours of the week by the clock on the site's wall, as in `mon-fri 06:00-22:00`. Pure.

- A stretch may run over midnight: `fri 22:00-06:00` ends on Saturday morning. Days alone (`sun`) are whole days.
- When that clock is put forward, what lies in the hour that is left out does not come; when it is put back, the hour
  that comes twice counts twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import NamedTuple

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
STRETCH_PATTERN = r"^(mon|tue|wed|thu|fri|sat|sun)(-(mon|tue|wed|thu|fri|sat|sun))?( \d\d:\d\d-\d\d:\d\d)?$"
STRETCH_HINT = "write days and times as in mon-fri 06:00-22:00, sat 22:00-06:00 or sun"
_DAY_MIN = 24 * 60


class Stretch(NamedTuple):
    """On these days (0 is Monday) from minute `begin` of the day to minute `end`, which may lie in the next day."""

    days: frozenset[int]
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Hours:
    """Stretches of the week in the site's time zone."""

    stretches: tuple[Stretch, ...]
    zone: tzinfo

    def hold(self, ts: int) -> bool:
        """Whether the moment `ts` (UTC ms) lies in one of the stretches."""
        wall = datetime.fromtimestamp(ts / 1000, UTC).astimezone(self.zone)
        minute = wall.hour * 60 + wall.minute
        today, yesterday = wall.weekday(), (wall.weekday() - 1) % 7
        return any(
            (today in each.days and each.begin <= minute < each.end)
            or (yesterday in each.days and minute + _DAY_MIN < each.end)
            for each in self.stretches
        )


def stretch(written: str) -> Stretch:
    """The stretch that is `written` as "mon-fri 06:00-22:00"; ValueError with a hint."""
    if not re.fullmatch(STRETCH_PATTERN, written):
        raise ValueError(STRETCH_HINT)
    days, _, times = written.partition(" ")
    first, _, last = days.partition("-")
    return Stretch(frozenset(_days(first, last or first)), *(_minutes(times) if times else (0, _DAY_MIN)))


def _days(first: str, last: str) -> Iterator[int]:
    day, end = DAYS.index(first), DAYS.index(last)
    yield day
    while day != end:
        day = (day + 1) % 7
        yield day


def _minutes(times: str) -> tuple[int, int]:
    begin, end = (int(clock[:2]) * 60 + int(clock[3:]) for clock in times.split("-"))
    if begin >= _DAY_MIN or end > _DAY_MIN or any(int(clock[3:]) > 59 for clock in times.split("-")):
        raise ValueError("a day has the minutes from 00:00 to 24:00")
    if begin == end:
        raise ValueError("a stretch from a time to the same time is none; leave the times out for the whole day")
    return begin, end if end > begin else end + _DAY_MIN
