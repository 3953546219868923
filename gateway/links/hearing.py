"""Devices of a link that talk by themselves: what they say is passed on, and so is that they say nothing any more."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence

from gateway.clock import Clock
from gateway.driver import Edge, Family, Heard, Pushed
from gateway.links.device import Attended
from gateway.links.silence import Silence
from gateway.links.standing import Standing
from gateway.model import Fact, Moment, Reason

_TALK = 32  # bytes; fewer may be the beginning of what would have been said
_DEAF_S = 10.0  # how long a device is not listened to after its driver failed


class Hearing:
    """The talking ones among a link's devices. Owned by the poller's thread."""

    def __init__(
        self, devices: Mapping[str, Attended], clock: Clock, tell: Callable[[Fact], None], standing: Standing
    ) -> None:
        self.noise_bytes = 0
        self._devices = {name: each for name, each in devices.items() if each.talks}
        self._clock = clock
        self._tell = tell
        self._standing = standing
        self._silences = {name: Silence(_expected_s(each), 0.0) for name, each in self._devices.items()}
        self._deaf_until: dict[str, float] = {}
        self._unread = dict.fromkeys(self._devices, 0)  # bytes since something in them could be read

    @property
    def any(self) -> bool:
        """Whether a device talks by itself."""
        return bool(self._devices)

    @property
    def due(self) -> float:
        """When a silence is to be said, unless somebody speaks before."""
        return min((silence.due for silence in self._silences.values()), default=math.inf)

    def change(self, devices: Mapping[str, Attended], gone: Collection[str], now: float) -> None:
        """These devices from now on; of those that are `gone` nothing is kept, though one of the same id may come."""
        self._devices = {name: each for name, each in devices.items() if each.talks}
        before = {name: silence for name, silence in self._silences.items() if name not in gone}
        self._silences = {
            name: before.get(name) or Silence(_expected_s(each), now) for name, each in self._devices.items()
        }
        self._deaf_until = {name: at for name, at in self._deaf_until.items() if name in before}
        self._unread = {name: self._unread[name] if name in before else 0 for name in self._devices}

    def begin(self, now: float) -> None:
        """They can be heard from now on."""
        for silence in self._silences.values():
            silence.restart(now)

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
        dropped = driver.dropped
        try:
            readings = [each.reading(values, at) for values in driver.hear(heard)]
        except Exception as error:  # noqa: BLE001 - a driver's bug stays its own: the other devices go on
            self._deaf_until[device.id] = heard.mono + _DEAF_S
            each.state = "missing"
            self._tell(each.bad(self._standing.faulty(each, error), at))
            return
        if driver.dropped > dropped:
            each.tally.failed("dropped", driver.dropped - dropped)
        if isinstance(heard.data, bytes):
            self._unread[device.id] = 0 if readings else self._unread[device.id] + len(heard.data)
        for reading in readings:
            each.polls += 1
            self._tell(reading)
        if readings:
            each.tally.turn(heard.mono)
            self._standing.well(each, self._silences[device.id].spoke(heard.mono))

    def say_silences(self) -> None:
        """Tell which devices have not said anything for too long."""
        now = self._clock.mono()
        if now < self.due:
            return
        for device, silence in self._silences.items():
            first = silence.since is None
            if not silence.elapse(now):
                continue
            each = self._devices[device]
            each.state = "lost"
            self._tell(each.bad(Reason.SILENT, self._clock.now()))
            if first:
                each.tally.failed("silent")
                self._say_silence(each)

    def _say_silence(self, each: Attended) -> None:
        unread = self._unread[each.device.id]
        if unread >= _TALK:
            what = f"it says nothing that can be read, in {unread} bytes"
            hint = "check `baudrate` and `parity` of its link, and that this is its driver"
            if each.tally.failures["dropped"]:
                hint += " and its profile: `sitewarden capture` shows what it says"
            self._standing.lost(each, what, hint)
        else:
            self._standing.lost(each, "it says nothing any more", "check its power, its wiring and the baud rate")


def _is_for(heard: Heard, each: Attended) -> bool:
    """Whether the device listens to this."""
    if isinstance(heard.data, Edge):
        return any(use.pin == heard.data.pin for use in each.device.driver.pins)
    return each.device.driver.family is Family.STREAM


def _expected_s(each: Attended) -> float:
    """How often a device is expected to speak: a pin says nothing while a change of it has to last yet."""
    return max(each.device.every, *(use.hold_s for use in each.device.driver.pins), 0.0)


def _when(heard: Heard, now: Moment) -> Moment:
    """The moment at which it was heard."""
    return Moment(heard.mono, now.ts - round((now.mono - heard.mono) * 1000), now.trust)
