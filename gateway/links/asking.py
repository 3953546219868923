"""Devices of a link that answer when asked: each on its turn, and what came of it told.

A device that does not answer costs its own polls. A reading carries the time at which its values arrived; an old value
is never told again. Nobody is asked twice in a poll but a smoke detector, once, if it has answered the last time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from typing import Any

from gateway.clock import Clock
from gateway.driver import Family
from gateway.errors import LinkDown, NoReply, Refused, SitewardenError
from gateway.links.device import Attended
from gateway.links.foresight import Foresight
from gateway.links.patience import patience_s
from gateway.links.port import Metered
from gateway.links.schedule import Schedule, Turn, Urgency
from gateway.links.standing import Standing
from gateway.links.suspicion import suspicion
from gateway.model import Bad, Fact, Moment, Reason, Values

_UNANSWERED = Bad(Reason.NO_REPLY)


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
        self._schedule = Schedule(map(_turn, self._devices.values()), 0.0)
        self._offers: Mapping[Family, Any] = {}
        self._metered: Metered | None = None

    @property
    def late(self) -> int:
        """How many ticks passed at which a device should have been asked."""
        return self._schedule.late(self._clock.mono())

    @property
    def is_metered(self) -> bool:
        """Whether the link tells how long its wire was in use."""
        return self._metered is not None

    @property
    def due(self) -> float:
        """When somebody is to be asked."""
        return self._schedule.next_due()

    def change(self, devices: Mapping[str, Attended], gone: Collection[str], now: float) -> None:
        """These devices from now on; of those that are `gone` nothing is kept, though one of the same id may come."""
        self._devices = {name: each for name, each in devices.items() if each.ask is not None}
        turns = [_turn(each) for each in self._devices.values()]
        self._schedule.change([turn for turn in turns if turn.device not in gone], now)
        self._schedule.change(turns, now)
        self.steady = 0

    def begin(self, offers: Mapping[Family, Any], now: float) -> None:
        """The link is open: everybody is due but outputs, which have just been written and read back."""
        self._offers = offers
        self.foresight = _foresight(offers)
        registers = offers.get(Family.REGISTERS)
        self._metered = registers if isinstance(registers, Metered) else None
        self.steady = 0
        self._schedule.restart(now)
        for name, each in self._devices.items():
            each.tally.begin()
            if each.is_written_again:
                self._schedule.skip(name, now)

    def take_turn(self) -> bool:
        """Ask the device whose turn it is; whether there was one."""
        now = self._clock.mono()
        each = self.whose_turn(now)
        if each is None:
            return False
        if not self.admitted(each, now):
            return True
        if each.talks:
            each.request(self._offers[each.device.driver.family])
            self._schedule.answered(each.device.id, now)  # whether it speaks is the business of Hearing
        else:
            self.ask(each, now, self._tell)
        return True

    def safety_due(self) -> bool:
        """Whether it is a safety device's turn."""
        each = self.whose_turn(self._clock.mono())
        return each is not None and each.device.safety

    def whose_turn(self, now: float) -> Attended | None:
        """Whose turn it is."""
        turn = self._schedule.due(now)
        return None if turn is None else self._devices[turn.device]

    def lost(self, each: Attended) -> bool:
        """Whether it is asked less often."""
        return self._schedule.lost(each.device.id)

    def admitted(self, each: Attended, now: float) -> bool:
        """Whether it is asked on its turn, which is noted; not if it has to wait for hub and journal to catch up."""
        if not each.device.safety and self._hold():
            self.held += 1
            self._schedule.skip(each.device.id, now)
            return False
        if not each.talks:
            each.tally.turn(now)
        return True

    def ask(self, each: Attended, asked_at: float, tell: Callable[[Fact], None], arrived: Moment | None = None) -> None:
        """Poll it and `tell` what it says; `arrived` is when everything foreseen had been answered, if it had."""
        each.polls += 1
        try:
            values = self._asked_again(each) if each.device.urgency is Urgency.SMOKE else self._values(each)
            if arrived is None or (self.foresight is not None and self.foresight.strayed):
                arrived = self._clock.now()
            reading = each.reading(values, arrived)
        except LinkDown:
            raise
        except Exception as error:  # noqa: BLE001 - a driver's bug stays its own: the other devices go on
            self._failed(each, error, asked_at)
            return
        if reading.values or reading.bad:
            tell(reading)
        each.whole = Reason.NO_REPLY not in reading.bad.values()
        each.response_ms = (arrived.mono - asked_at) * 1000
        self._standing.well(each, self._schedule.answered(each.device.id, arrived.mono))
        self._standing.learned(each)
        self._standing.partly(each, reading.bad)

    def _asked_again(self, each: Attended) -> Values:
        """What its driver makes of it, asked once more where that may help: not of a device already missing.

        The second attempt only adds: what was said at the first, an alarm maybe, may be gone by then.
        """
        first: Values = {}
        try:
            first = self._values(each)
        except NoReply:
            if not each.whole:
                raise
        else:
            if not each.whole or _UNANSWERED not in first.values():
                return first
        try:
            second = self._values(each)
        except LinkDown:
            if first:
                self._tell(each.reading(first, self._clock.now()))
            raise
        except (NoReply, Refused):
            if not first:
                raise
            return first
        return {**second, **{name: value for name, value in first.items() if value != _UNANSWERED}}

    def _values(self, each: Attended) -> Values:
        """What its driver makes of it, counted; nobody waits for a lost device as for the others."""
        metered = self._metered
        if metered is None:
            return self._polled(each)
        metered.count_for(each.tally)
        if not self.lost(each):
            return self._polled(each)
        # A Modbus TCP gateway asks its devices one after the other: whoever turns away from it early waits there.
        on_tcp = isinstance(metered, Foresight)
        probes = self._schedule.probes(each.device.id)
        metered.limit(math.inf if on_tcp else patience_s(probes, each.tally.slowest_s))
        try:
            return self._polled(each)
        finally:
            metered.limit(None)

    def _polled(self, each: Attended) -> Values:
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

    def _failed(self, each: Attended, error: Exception, asked_at: float) -> None:
        """A poll without values: the device is bad, and lost if that happens again and again."""
        self.steady = 0
        each.whole = False
        now = self._clock.now()
        self._tell(each.bad(self._standing.faulty(each, error, counted=each.tally.has_failed), now))
        bug = not isinstance(error, SitewardenError)
        newly_lost = self._schedule.missed(each.device.id, now.mono, took_s=now.mono - asked_at, grave=bug)
        each.state = "lost" if self.lost(each) else "missing"
        if newly_lost and isinstance(error, SitewardenError):
            self._standing.lost(each, error.what, self._suspicion(each) or error.hint)
        elif newly_lost:
            what = f"its driver failed: {type(error).__name__}"
            self._standing.lost(each, what, "see the log, and please report it")

    def _suspicion(self, each: Attended) -> str:
        """What a device on a line suffers from, by how the others do; on Modbus TCP nothing follows from them."""
        if self.foresight is not None or not self.is_metered:
            return ""
        return suspicion(each.tally, (other.tally for other in self._devices.values() if other is not each))


def _turn(each: Attended) -> Turn:
    return Turn(each.device.id, each.device.every, each.device.urgency)


def _foresight(offers: Mapping[Family, Any]) -> Foresight | None:
    """What can ask ahead, where that is all the devices use."""
    offer = offers.get(Family.REGISTERS)
    return offer if isinstance(offer, Foresight) and len(offers) == 1 else None
