"""What is done with the devices of an opened link: asked on schedule, heard, written to; and what is told of that.

A device that does not answer costs its own polls. A driver's bug stays its own: one traceback, the others go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from gateway.clock import Clock
from gateway.driver import Family, Pushed
from gateway.links.ahead import Ahead
from gateway.links.asking import Asking
from gateway.links.device import Attended, LinkDevice
from gateway.links.hearing import Hearing
from gateway.links.standing import Standing
from gateway.links.writing import Writing
from gateway.model import DeviceHealth, Fact, Reason


class Attendance:
    """The devices of one link. Owned by the poller's thread; whatever raises LinkDown ends the attendance."""

    def __init__(
        self, devices: Iterable[LinkDevice], clock: Clock, tell: Callable[[Fact], None], hold: Callable[[], bool]
    ) -> None:
        self._clock = clock
        self._tell = tell
        self._devices = {device.id: Attended(device) for device in devices}
        standing = Standing(tell)
        self.asking = Asking(self._devices, clock, tell, standing, hold)
        self.ahead = Ahead(self.asking, tell)
        self.hearing = Hearing(self._devices, clock, tell, standing)
        self.writing = Writing(self._devices, clock, tell, standing)

    @property
    def families(self) -> set[Family]:
        """What the devices need of their link."""
        return {each.device.driver.family for each in self._devices.values()}

    def begin(self, offers: Mapping[Family, Any]) -> None:
        """The link is open: outputs go to their safe values, and devices that wait for a greeting get it."""
        self.ahead.begin()
        self.writing.begin(offers)
        for each in self._devices.values():
            driver = each.device.driver
            if isinstance(driver, Pushed) and driver.greeting:
                offers[Family.STREAM].write(driver.greeting)
        now = self._clock.mono()
        self.asking.begin(offers, now)
        self.hearing.begin(now)

    def end(self) -> None:
        """The link is down: every point of every device is bad."""
        now = self._clock.now()
        for each in self._devices.values():
            each.state = "waiting"
            self._tell(each.bad(Reason.LINK_DOWN, now))

    def health(self) -> tuple[DeviceHealth, ...]:
        """What is reported of the devices."""
        return tuple(each.health() for each in self._devices.values())

    def next_due(self) -> float:
        """When there is something to do, if nothing happens before."""
        due = self.asking.due
        return min(due, self.hearing.due) if self.hearing.any else due
