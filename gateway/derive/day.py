"""Days that begin at a time of the clock on the site's wall, as at 04:00 when everybody has gone home.

Each date has one beginning, whatever that clock does: where it is put forward over that time, the day begins at the end
of the hour that is left out; where it is put back, at the first of the two.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, tzinfo
from typing import NamedTuple

from gateway.hours import Hours, stretch


class Days(NamedTuple):
    """Days that begin at `begin` in `zone`."""

    begin: time
    zone: tzinfo

    def day(self, ts: int) -> int:
        """The day (proleptic ordinal of its date) that has begun last at `ts`, UTC ms."""
        today = datetime.fromtimestamp(ts / 1000, UTC).astimezone(self.zone).date().toordinal()
        return today if ts >= self.begins(today) else today - 1

    def begins(self, day: int) -> int:
        """When that day begins, UTC ms."""
        return round(datetime.combine(date.fromordinal(day), self.begin, self.zone).timestamp() * 1000)


def opening(written: Iterable[str], zone: tzinfo) -> Hours | None:
    """The hours that are `written` as "mon-fri 06:00-22:00"; None where none are. ValueError with a hint."""
    stretches = tuple(stretch(each) for each in written)
    return Hours(stretches, zone) if stretches else None
