"""What is done with the devices of an opened link: asked on schedule, heard, written to; and what is told of that.

- A device that does not answer costs its own polls. A driver's bug stays its own: one traceback, the others go on.
- A reading carries the time at which its values arrived. An old value is never told again.
- A link in good order can be attended without waiting: `ask_ahead` sends, `take_reply` takes, `conclude` polls. At the
  first thing that is not as it was they say so, and the poll is made by waiting, where it harms no other link.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from gateway.clock import Clock
from gateway.driver import Edge, Family, Heard, Output, Polled, Pushed
from gateway.errors import LinkDown, NoReply, Refused, SitewardenError
from gateway.links.device import Attended, LinkDevice
from gateway.links.foresight import Foresight
from gateway.links.schedule import Schedule, Turn
from gateway.links.silence import Silence
from gateway.model import DeviceBack, DeviceHealth, DeviceLost, Fact, Moment, Reason, Value, Values, Write

log = logging.getLogger(__name__)

_STRAYS = 2  # after so many a driver is known to ask now this, now that
_STEADY = 3  # polls in a row that went as the ones before: then a link is in good order
_DEAF_S = 10.0  # how long a talking device is not listened to after its driver failed


class Attendance:
    """The devices of one link. Owned by the poller's thread; whatever raises LinkDown ends the attendance."""

    def __init__(
        self, devices: Iterable[LinkDevice], clock: Clock, tell: Callable[[Fact], None], hold: Callable[[], bool]
    ) -> None:
        self.held = 0
        self.noise_bytes = 0
        self._clock = clock
        self._tell = tell
        self._hold = hold
        self._devices = {device.id: Attended(device) for device in devices}
        asked = (each.device for each in self._devices.values() if each.ask is not None)
        self._schedule = Schedule((Turn(device.id, device.every, device.safety) for device in asked), 0.0)
        talking = (each.device for each in self._devices.values() if each.talks)
        self._silences = {device.id: Silence(device.every, 0.0) for device in talking}
        self._deaf_until: dict[str, float] = {}
        self._offers: Mapping[Family, Any] = {}
        self._foresight: Foresight | None = None
        self._under_way: tuple[Attended, float] | None = None  # who was asked ahead, and when
        self._steady = 0
        self._strays = 0  # polls on a shared thread that asked something else, and so kept it waiting

    @property
    def families(self) -> set[Family]:
        """What the devices need of their link."""
        return {each.device.driver.family for each in self._devices.values()}

    @property
    def late(self) -> int:
        """How many ticks passed at which a device should have been asked."""
        return self._schedule.late

    @property
    def listens(self) -> bool:
        """Whether a device talks by itself."""
        return bool(self._silences)

    def begin(self, offers: Mapping[Family, Any]) -> None:
        """The link is open: outputs go to their safe values, and devices that wait for a greeting get it."""
        self._offers = offers
        self._foresight = _foresight(offers)
        self._under_way, self._steady = None, 0
        self.write_safe_values()
        for each in self._devices.values():
            driver = each.device.driver
            if isinstance(driver, Pushed) and driver.greeting:
                offers[Family.STREAM].write(driver.greeting)
        now = self._clock.mono()
        self._schedule.restart(now)
        for each in self._devices.values():
            if each.written and not isinstance(each.device.driver, Polled | Pushed):
                self._schedule.skip(each.device.id, now)  # it has just been written and read back
        for silence in self._silences.values():
            silence.restart(now)

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
        due = self._schedule.next_due()
        return min(due, self._next_silence()) if self._silences else due

    # -- asking

    def take_turn(self) -> bool:
        """Ask the device whose turn it is; whether there was one."""
        now = self._clock.mono()
        turn = self._schedule.due(now)
        if turn is None:
            return False
        if not turn.safety and self._hold():
            self.held += 1
            self._schedule.skip(turn.device, now)
        else:
            self._ask(self._devices[turn.device], now, self._tell)
        return True

    def _ask(
        self, each: Attended, asked_at: float, tell: Callable[[Fact], None], arrived: Moment | None = None
    ) -> None:
        """Poll it and `tell` what it says; `arrived` is when everything foreseen had been answered, if it had."""
        each.polls += 1
        try:
            values = self._values(each)
            if arrived is None or self._has_strayed:
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
        self._is_well(each, self._schedule.answered(each.device.id, arrived.mono))

    def _values(self, each: Attended) -> Values:
        """What its driver makes of it; what the driver asked is kept for the next time."""
        ask, offer, ahead = each.ask, self._offers[each.device.driver.family], self._foresight
        if ask is None:
            return {}
        if ahead is None:
            return ask(offer)
        ahead.listen()
        try:
            return ask(offer)
        finally:
            asked = ahead.asked()
            self._steady = self._steady + 1 if asked and asked == each.script else 0
            each.script = asked

    def _failed(self, each: Attended, error: Exception) -> None:
        """A poll without values: the device is bad, and lost if that happens again and again."""
        self._steady = 0
        now = self._clock.now()
        self._tell(each.bad(self._blame(each, error), now))
        bug = not isinstance(error, SitewardenError)
        newly_lost = self._schedule.missed(each.device.id, now.mono, grave=bug)
        each.state = "lost" if self._schedule.lost(each.device.id) else "missing"
        if newly_lost and isinstance(error, SitewardenError):
            self._say_lost(each, error.what, error.hint)
        elif newly_lost:
            self._say_lost(each, f"its driver failed: {type(error).__name__}", "see the log, and please report it")

    def _blame(self, each: Attended, error: Exception) -> Reason:
        """Count the fault, log it if it is new, and name it for the reading."""
        bug = None
        match error:
            case NoReply():
                fault, reason, level = error.fault, Reason.NO_REPLY, logging.DEBUG
            case Refused():
                fault, reason, level = "refused", Reason.REFUSED, logging.ERROR
            case _:
                fault, reason, level, bug = "driver_bug", Reason.DRIVER_BUG, logging.ERROR, error
        each.failures[fault] += 1
        if fault not in each.blamed:
            each.blamed.add(fault)
            log.log(level, "device %s: %s", each.device.id, error, exc_info=bug)
        return reason

    def _is_well(self, each: Attended, lost_s: float | None) -> None:
        each.state = "ok"
        each.blamed.clear()
        if lost_s is not None:
            log.info("device %s is back after %.1f s", each.device.id, lost_s)
            self._tell(DeviceBack(each.device.id, lost_s))

    def _say_lost(self, each: Attended, what: str, hint: str) -> None:
        log.warning("device %s is lost: %s (%s)", each.device.id, what, hint)
        self._tell(DeviceLost(each.device.id, what, hint))

    # -- asking without waiting

    @property
    def in_good_order(self) -> bool:
        """Whether the devices answer, and their drivers ask the same each time."""
        return self._steady >= _STEADY and self._strays < _STRAYS

    @property
    def deadline(self) -> float:
        """Until when (monotonic s) a reply may come to what was asked ahead; infinity if nothing was."""
        return math.inf if self._foresight is None else self._foresight.deadline

    def ask_ahead(self, now: float) -> bool:
        """Send what the device whose turn it is will ask; False if that is not known. Raises LinkDown."""
        turn = self._schedule.due(now)
        if turn is None:
            return True
        each = self._devices[turn.device]
        if not turn.safety and self._hold():
            self.held += 1
            self._schedule.skip(turn.device, now)
        elif each.script and self._foresight is not None:
            self._under_way = each, now
            self._foresight.begin(each.script)
        else:
            return False
        return True

    def take_reply(self) -> bool:
        """Take what has come, and ask on; False at anything unusual. Raises LinkDown."""
        return self._foresight is not None and self._under_way is not None and self._foresight.advance()

    def conclude(self, arrived: Moment, tell: Callable[[Fact], None]) -> bool:
        """Poll the device that was asked ahead, if all it asks has been answered; False at anything unusual.

        `tell` gets what it says, and may pass it on when the link is attended no further in this round.
        """
        ahead = self._foresight
        if ahead is None or not ahead.complete:
            return True
        self._finish_turn(tell, arrived)
        self._strays += ahead.strayed
        return self._steady > 0

    @property
    def _has_strayed(self) -> bool:
        """Whether the driver has just asked what was not foreseen."""
        return self._foresight is not None and self._foresight.strayed

    def take_back(self) -> None:
        """Attend by waiting again, and end the poll that is under way, if one is. Raises LinkDown."""
        self._finish_turn(self._tell)
        self._steady = 0

    def _finish_turn(self, tell: Callable[[Fact], None], arrived: Moment | None = None) -> None:
        """Poll the device that was asked ahead, if one was, with what has come; waits for the rest."""
        if self._under_way is not None:
            each, asked_at = self._under_way
            self._under_way = None
            self._ask(each, asked_at, tell, arrived)

    # -- hearing

    def hear(self, said: Sequence[Heard]) -> None:
        """Pass on what devices said by themselves."""
        for heard in said:
            listeners = [each for each in self._devices.values() if _is_for(heard, each)]
            for each in listeners:
                self._pass_on(each, heard)
            if not listeners and isinstance(heard.data, bytes):
                self.noise_bytes += len(heard.data)

    def _pass_on(self, each: Attended, heard: Heard) -> None:
        device, driver = each.device, each.device.driver
        if not isinstance(driver, Pushed) or heard.mono < self._deaf_until.get(device.id, 0.0):
            return
        at = _when(heard, self._clock.now())
        try:
            readings = [each.reading(values, at) for values in driver.hear(heard)]
        except Exception as error:  # noqa: BLE001 - a driver's bug stays its own: the other devices go on
            self._deaf_until[device.id] = heard.mono + _DEAF_S
            each.state = "missing"
            self._tell(each.bad(self._blame(each, error), at))
            return
        for reading in readings:
            each.polls += 1
            self._tell(reading)
        if readings:
            self._is_well(each, self._silences[device.id].spoke(heard.mono))

    def say_silences(self) -> None:
        """Tell which devices have not said anything for too long."""
        now = self._clock.mono()
        if now < self._next_silence():
            return
        for device, silence in self._silences.items():
            first = silence.since is None
            if not silence.elapse(now):
                continue
            each = self._devices[device]
            each.state = "lost"
            self._tell(each.bad(Reason.SILENT, self._clock.now()))
            if first:
                each.failures["silent"] += 1
                self._say_lost(each, "it says nothing any more", "check its power, its wiring and the baud rate")

    def _next_silence(self) -> float:
        return min((silence.due for silence in self._silences.values()), default=math.inf)

    # -- writing

    def write_safe_values(self) -> None:
        """Switch every output to its safe value. Raises LinkDown."""
        for each in self._devices.values():
            if isinstance(each.device.driver, Output):
                for point, value in each.device.driver.safe.items():
                    self._write(each, point, value)

    def write(self, wanted: Write, *, up: bool) -> None:
        """Switch an output and tell what it reads back, or that it failed. Raises LinkDown."""
        each = self._devices.get(wanted.device)
        if each is None:
            log.error("there is no device %s on link %s to write to", wanted.device, wanted.link)
        elif up:
            self._write(each, wanted.point, wanted.value)
        else:
            self._say_not_written(each, wanted.point)

    def _write(self, each: Attended, point: str, value: Value) -> None:
        try:
            values = each.write(self._offers[each.device.driver.family], point, value)
            reading = each.reading(values, self._clock.now())
        except LinkDown:
            self._say_not_written(each, point)
            raise
        except Exception as error:  # noqa: BLE001 - a driver's bug stays its own: the other devices go on
            self._blame(each, error)
            self._say_not_written(each, point)
        else:
            each.state = "ok" if each.state == "waiting" else each.state
            self._tell(reading)

    def _say_not_written(self, each: Attended, point: str) -> None:
        self._tell(each.bad(Reason.WRITE_FAILED, self._clock.now(), point))


def _foresight(offers: Mapping[Family, Any]) -> Foresight | None:
    """What can ask ahead, where that is all the devices use."""
    offer = offers.get(Family.REGISTERS)
    return offer if isinstance(offer, Foresight) and len(offers) == 1 else None


def _is_for(heard: Heard, each: Attended) -> bool:
    """Whether the device listens to this."""
    if not each.talks:
        return False
    if isinstance(heard.data, Edge):
        return any(use.pin == heard.data.pin for use in each.device.driver.pins)
    return each.device.driver.family is Family.STREAM


def _when(heard: Heard, now: Moment) -> Moment:
    """The moment at which it was heard."""
    return Moment(heard.mono, now.ts - round((now.mono - heard.mono) * 1000), now.trust)
