"""What is done with the devices of an opened link: asked on schedule, heard, written to; and what is told of that.

A device that does not answer costs its own polls. A driver's bug stays its own: one traceback, the others go on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

from gateway.clock import Clock
from gateway.driver import Family, Pushed
from gateway.links.ahead import Ahead
from gateway.links.asking import Asking
from gateway.links.device import Attended, LinkDevice
from gateway.links.hearing import Hearing
from gateway.links.standing import Standing
from gateway.links.tally import Tally, percentiles_ms
from gateway.links.writing import Writing
from gateway.model import Fact, LinkHealth, Reason


class Attendance:
    """The devices of one link. Owned by the poller's thread; whatever raises LinkDown ends the attendance."""

    def __init__(
        self, devices: Iterable[LinkDevice], clock: Clock, tell: Callable[[Fact], None], hold: Callable[[], bool]
    ) -> None:
        self._clock = clock
        self._tell = tell
        self._offers: Mapping[Family, Any] = {}
        self._busy = (0.0, 0.0)  # when the wire's load was last told, and for how long it had been in use by then
        self._devices = {device.id: Attended(device) for device in devices}
        self.beside = Tally()  # of what people ask: it counts for the link, and for no device
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
        self._offers = offers
        self.writing.begin(offers)
        self._greet(self._devices.values())
        now = self._clock.mono()
        self.asking.begin(offers, now)
        self._meter(now)
        self.hearing.begin(now)

    def change(self, devices: Sequence[LinkDevice], *, up: bool) -> None:
        """These devices from now on, which need nothing else of the link; whoever was there before goes on as it was.

        Outputs that leave, and those that come, are at their safe values. Raises LinkDown, with the change made.
        """
        before = self._devices
        kept = {device.id: each for device in devices if (each := before.get(device.id)) and each.device == device}
        self._devices = {device.id: kept.get(device.id) or Attended(device) for device in devices}
        gone = {name: each for name, each in before.items() if name not in kept}
        come = [each for name, each in self._devices.items() if name not in kept]
        now = self._clock.now()
        self.asking.change(self._devices, gone, now.mono)
        self.hearing.change(self._devices, gone, now.mono)
        self.writing.change(self._devices)
        self._meter(now.mono)
        if up:
            self.writing.write_safe_values([*gone.values(), *come])
            self._greet(come)
        else:
            for each in come:
                self._tell(each.bad(Reason.LINK_DOWN, now))

    def _greet(self, devices: Iterable[Attended]) -> None:
        for each in devices:
            driver = each.device.driver
            if isinstance(driver, Pushed):
                driver.opened()
                if driver.greeting:
                    self._offers[Family.STREAM].write(driver.greeting)

    def _meter(self, now: float) -> None:
        """The wire's load is counted from now on."""
        self._busy = (now, sum(tally.busy_s for tally in self._tallies))

    def end(self) -> None:
        """The link is down: every point of every device is bad."""
        now = self._clock.now()
        for each in self._devices.values():
            each.state = "waiting"
            self._tell(each.bad(Reason.LINK_DOWN, now))

    @property
    def _tallies(self) -> list[Tally]:
        return [*(each.tally for each in self._devices.values()), self.beside]

    def health(self, link: str, *, up: bool, opens: int, noise_bytes: int) -> LinkHealth:
        """What is reported of the link and its devices."""
        tallies = self._tallies
        p50_ms, p95_ms = percentiles_ms(chain.from_iterable(tally.times for tally in tallies), 50, 95)
        return LinkHealth(
            link,
            up,
            tuple(each.health() for each in self._devices.values()),
            opens,
            self.asking.late,
            self.asking.held,
            noise_bytes + self.hearing.noise_bytes,
            requests=sum(tally.requests for tally in tallies),
            failures=dict(sum((tally.failures for tally in tallies), Counter())),
            response_p50_ms=p50_ms,
            response_p95_ms=p95_ms,
            load=self._load(sum(tally.busy_s for tally in tallies)),
        )

    def _load(self, busy_s: float) -> float | None:
        """The share of the time since it was asked last for which the wire was in use; None where that is not known."""
        now = self._clock.mono()
        (since, before_s), self._busy = self._busy, (now, busy_s)
        if not self.asking.is_metered or now <= since:
            return None
        return min(1.0, (busy_s - before_s) / (now - since))

    def next_due(self) -> float:
        """When there is something to do, if nothing happens before."""
        due = self.asking.due
        return min(due, self.hearing.due) if self.hearing.any else due
