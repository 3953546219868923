"""What has to happen to a high alarm in its first ten minutes, so that an incident is reported in time. Pure.

A platform confirms it, where one does; a person acknowledges it. What did not happen by its time is a step, made once:
`unconfirmed`, `re_alarmed`, `escalated`, `report_overdue`. It is followed until a person has seen it, and until it is
confirmed or told to be unconfirmed. Who hides it has seen it, until it is back: then people have their time anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from gateway.rules.lifecycle import Change

STEPS = (Change.UNCONFIRMED, Change.RE_ALARMED, Change.ESCALATED, Change.REPORT_OVERDUE)


class Times(NamedTuple):
    """By when (seconds after it was raised) each step is made; no `confirm_s` where no platform confirms."""

    confirm_s: float | None = 100.0
    re_alarm_s: float = 300.0
    escalate_s: float = 480.0
    report_s: float = 600.0


UNCONFIRMED_NEVER = Times(confirm_s=None)


class Followed(NamedTuple):
    """A high alarm that was raised at monotonic `since` (s), and the steps that were made."""

    since: float
    confirmed: bool = False
    seen: bool = False  # a person has acknowledged it
    made: tuple[Change, ...] = ()

    def over(self, times: Times) -> bool:
        """Whether nothing is waited for any more."""
        answered = self.confirmed or times.confirm_s is None or Change.UNCONFIRMED in self.made
        return self.seen and answered

    def anew(self, mono: float) -> Followed:
        """The alarm is to be seen again, from monotonic `mono` (s) on; what the platform has said of it stays."""
        return Followed(mono, self.confirmed, made=tuple(step for step in self.made if step is Change.UNCONFIRMED))

    def calls(self, step: Change) -> bool:
        """Whether a step was made, and what it is about has not happened since."""
        happened = self.confirmed if step is Change.UNCONFIRMED else self.seen
        return step in self.made and not happened

    def coming(self, times: Times) -> Iterator[tuple[float, Change]]:
        """The steps that are still to be made, and when (monotonic s)."""
        for step, after_s in zip(STEPS, times, strict=True):
            happened = self.confirmed if step is Change.UNCONFIRMED else self.seen
            if after_s is not None and not happened and step not in self.made:
                yield self.since + after_s, step
