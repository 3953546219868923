"""What is recorded of every device: its reporter (gateway/refine), and when that is urged."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from gateway.hub.alarm import Changed
from gateway.hub.plan import Plan
from gateway.model import Reading
from gateway.refine.exception import Worth
from gateway.refine.thinning import TrackReporter, reporter_of
from gateway.rules.lifecycle import Change


class Reporters:
    """The reporters of all devices. Owned and changed by the hub alone."""

    def __init__(self, plan: Plan) -> None:
        self._of = {device: reporter_of(limits, plan.every_s[device]) for device, limits in plan.limits.items()}

    def worth(self, reading: Reading) -> Worth | None:
        """What of a reading is worth a record; None: its device is not known, and nothing is."""
        reporter = self._of.get(reading.device)
        return None if reporter is None else reporter.worth(reading)

    def urge(self, changes: Iterable[Changed]) -> None:
        """The value that an alarm was raised or cleared by is sent; where time alone has done that, the next one.

        So is the next position of each track: where the vehicle was at that time.
        """
        urgent = [changed.view for changed in changes if changed.change in {Change.RAISED, Change.CLEARED}]
        for view in urgent:
            reporter = self._of.get(view.device)
            if reporter is not None:
                reporter.urge(view.point)
        for reporter in self._of.values() if urgent else ():
            if isinstance(reporter, TrackReporter):
                reporter.urge_position()

    def change(self, before: Plan, plan: Plan, anew: Collection[str]) -> None:
        """Go on by another configuration; a device that is `anew`, or is recorded otherwise, has recorded nothing."""
        self._of = {
            device: self._of[device]
            if device in self._of and device not in anew and _records_as(before, plan, device)
            else reporter_of(limits, plan.every_s[device])
            for device, limits in plan.limits.items()
        }


def _records_as(before: Plan, plan: Plan, device: str) -> bool:
    """Whether what is recorded of a device is the same by both."""
    return before.limits[device] == plan.limits[device] and before.every_s[device] == plan.every_s[device]
