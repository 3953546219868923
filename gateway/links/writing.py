"""The outputs of a link: switched, read back, and told; at their safe values when nobody has switched them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from gateway.clock import Clock
from gateway.driver import Family, Output
from gateway.errors import LinkDown
from gateway.links.device import Attended
from gateway.links.port import Metered
from gateway.links.standing import Standing
from gateway.model import Fact, Reason, Value, Write

log = logging.getLogger(__name__)


class Writing:
    """The outputs among a link's devices. Owned by the poller's thread."""

    def __init__(
        self, devices: Mapping[str, Attended], clock: Clock, tell: Callable[[Fact], None], standing: Standing
    ) -> None:
        self._devices = devices
        self._clock = clock
        self._tell = tell
        self._standing = standing
        self._offers: Mapping[Family, Any] = {}

    def begin(self, offers: Mapping[Family, Any]) -> None:
        """The link is open: every output goes to its safe value. Raises LinkDown."""
        self._offers = offers
        self.write_safe_values()

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
        offer = self._offers[each.device.driver.family]
        if isinstance(offer, Metered):
            offer.count_for(each.tally)
        try:
            values = each.write(offer, point, value)
            reading = each.reading(values, self._clock.now())
        except LinkDown:
            self._say_not_written(each, point)
            raise
        except Exception as error:  # noqa: BLE001 - a driver's bug stays its own: the other devices go on
            self._standing.faulty(each, error)
            self._say_not_written(each, point)
        else:
            each.state = "ok" if each.state == "waiting" else each.state
            self._tell(reading)

    def _say_not_written(self, each: Attended, point: str) -> None:
        self._tell(each.bad(Reason.WRITE_FAILED, self._clock.now(), point))
