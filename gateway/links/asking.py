"""Devices of a link that answer when asked: each on its turn, and what came of it told.

A device that does not answer costs its own polls. A reading carries the time at which its values arrived; an old value
is never told again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gateway.clock import Clock
from gateway.driver import Family
from gateway.errors import LinkDown, SitewardenError
from gateway.links.device import Attended
from gateway.links.foresight import Foresight
from gateway.links.schedule import Schedule, Turn
from gateway.links.standing import Standing
from gateway.model import Fact, Moment, Values


class Asking:
    """Those of a link's devices that are asked. Owned by the poller's thread; raises LinkDown alone."""

    def __init__(
        self,
        devices: Mapping[str, Attended],
        clock: Clock,
        tell: Callable[[Fact], None],
        standing: Standing,
        hold: Callable[[], bool],
    ) -> None:
        self.held = 0
        self.steady = 0  # polls in a row that asked what the same device's last poll had asked
        self.foresight: Foresight | None = None
        self._devices = {name: each for name, each in devices.items() if each.ask is not None}
        self._clock = clock
        self._tell = tell
        self._standing = standing
        self._hold = hold
        asked = (each.device for each in self._devices.values())
        self._schedule = Schedule((Turn(device.id, device.every, device.safety) for device in asked), 0.0)
        self._offers: Mapping[Family, Any] = {}

    @property
    def late(self) -> int:
        """How many ticks passed at which a device should have been asked."""
        return self._schedule.late

    @property
    def due(self) -> float:
        """When somebody is to be asked."""
        return self._schedule.next_due()

    def begin(self, offers: Mapping[Family, Any], now: float) -> None:
        """The link is open: everybody is due but outputs, which have just been written and read back."""
        self._offers = offers
        self.foresight = _foresight(offers)
        self.steady = 0
        self._schedule.restart(now)
        for name, each in self._devices.items():
            if each.is_written_again:
                self._schedule.skip(name, now)

    def take_turn(self) -> bool:
        """Ask the device whose turn it is; whether there was one."""
        now = self._clock.mono()
        turn = self._schedule.due(now)
        if turn is None:
            return False
        each = self.admitted(turn, now)
        if each is not None:
            self.ask(each, now, self._tell)
        return True

    def whose_turn(self, now: float) -> Turn | None:
        """Whose turn it is."""
        return self._schedule.due(now)

    def admitted(self, turn: Turn, now: float) -> Attended | None:
        """The device whose turn it is, unless it has to wait until hub and journal have caught up."""
        if not turn.safety and self._hold():
            self.held += 1
            self._schedule.skip(turn.device, now)
            return None
        return self._devices[turn.device]

    def ask(self, each: Attended, asked_at: float, tell: Callable[[Fact], None], arrived: Moment | None = None) -> None:
        """Poll it and `tell` what it says; `arrived` is when everything foreseen had been answered, if it had."""
        each.polls += 1
        try:
            values = self._values(each)
            if arrived is None or (self.foresight is not None and self.foresight.strayed):
                arrived = self._clock.now()
            reading = each.reading(values, arrived)
        except LinkDown:
            raise
        except Exception as error:  # noqa: BLE001 - a driver's bug stays its own: the other devices go on
            self._failed(each, error)
            return
        if reading.values or reading.bad:
            tell(reading)
        each.response_ms = (arrived.mono - asked_at) * 1000
        self._standing.well(each, self._schedule.answered(each.device.id, arrived.mono))

    def _values(self, each: Attended) -> Values:
        """What its driver makes of it; what the driver asked is kept for the next time."""
        ask, offer, ahead = each.ask, self._offers[each.device.driver.family], self.foresight
        if ask is None:
            return {}
        if ahead is None:
            return ask(offer)
        ahead.listen()
        try:
            return ask(offer)
        finally:
            asked = ahead.asked()
            self.steady = self.steady + 1 if asked and asked == each.script else 0
            each.script = asked

    def _failed(self, each: Attended, error: Exception) -> None:
        """A poll without values: the device is bad, and lost if that happens again and again."""
        self.steady = 0
        now = self._clock.now()
        self._tell(each.bad(self._standing.faulty(each, error), now))
        bug = not isinstance(error, SitewardenError)
        newly_lost = self._schedule.missed(each.device.id, now.mono, grave=bug)
        each.state = "lost" if self._schedule.lost(each.device.id) else "missing"
        if newly_lost and isinstance(error, SitewardenError):
            self._standing.lost(each, error.what, error.hint)
        elif newly_lost:
            what = f"its driver failed: {type(error).__name__}"
            self._standing.lost(each, what, "see the log, and please report it")


def _foresight(offers: Mapping[Family, Any]) -> Foresight | None:
    """What can ask ahead, where that is all the devices use."""
    offer = offers.get(Family.REGISTERS)
    return offer if isinstance(offer, Foresight) and len(offers) == 1 else None
