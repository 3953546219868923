"""What is written to the devices of a link: outputs and settings, read back, and told.

- Outputs are at their safe values when nobody has switched them.
- A setting is written once, never again, and its outcome is told: a write of which nobody knows is said to be unknown.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from gateway.clock import Clock
from gateway.driver import Adjustable, Family, Output
from gateway.errors import LinkDown, Refused
from gateway.links.device import Attended
from gateway.links.port import Metered
from gateway.links.standing import Standing
from gateway.model import Adjust, Adjusted, Bad, Fact, Reason, Value, Write

log = logging.getLogger(__name__)


class Writing:
    """What of a link's devices can be written. Owned by the poller's thread."""

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

    def change(self, devices: Mapping[str, Attended]) -> None:
        """These devices from now on."""
        self._devices = devices

    def write_safe_values(self, devices: Iterable[Attended] | None = None) -> None:
        """Switch every output, or those of `devices`, to its safe value. Raises LinkDown."""
        for each in self._devices.values() if devices is None else devices:
            if isinstance(each.device.driver, Output):
                for point, value in each.device.driver.safe.items():
                    self._write(each, point, value)

    def adjust(self, wanted: Adjust, *, up: bool) -> None:
        """Write a setting and tell its outcome. Raises LinkDown."""
        each = self._devices.get(wanted.device)
        driver = None if each is None else each.device.driver
        if each is None or not isinstance(driver, Adjustable):
            self._tell(Adjusted(wanted.key, "failed", None, f"{wanted.device} has no settings"))
        elif not up:
            self._tell(Adjusted(wanted.key, "failed", None, f"link {wanted.link} is down; nothing was written"))
        else:
            self._adjust(each, driver, wanted)

    def _adjust(self, each: Attended, driver: Adjustable, wanted: Adjust) -> None:
        try:
            values = driver.adjust(self._offered(each), wanted.point, wanted.value)
            reading = each.reading(values, self._clock.now())
        except Refused as error:
            self._tell(Adjusted(wanted.key, "failed", None, f"refused: {error.what}"))
        except LinkDown as error:
            self._tell(Adjusted(wanted.key, "outcome_unknown", None, error.what))
            raise
        except Exception as error:  # noqa: BLE001 - a driver's bug stays its own: the other devices go on
            self._standing.faulty(each, error, counted=each.tally.has_failed)
            self._tell(Adjusted(wanted.key, "outcome_unknown", None, str(error)))
        else:
            self._tell(reading)
            self._tell(_outcome(wanted, values.get(wanted.point)))

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
            values = each.write(self._offered(each), point, value)
            reading = each.reading(values, self._clock.now())
        except LinkDown:
            self._say_not_written(each, point)
            raise
        except Exception as error:  # noqa: BLE001 - a driver's bug stays its own: the other devices go on
            self._standing.faulty(each, error, counted=each.tally.has_failed)
            self._say_not_written(each, point)
        else:
            each.state = "ok" if each.state == "waiting" else each.state
            self._tell(reading)

    def _offered(self, each: Attended) -> Any:  # noqa: ANN401 - the Protocol of its family
        """What its driver writes with; what it asks counts as its own."""
        offer = self._offers[each.device.driver.family]
        each.tally.mark()
        if isinstance(offer, Metered):
            offer.count_for(each.tally)
        return offer

    def _say_not_written(self, each: Attended, point: str) -> None:
        self._tell(each.bad(Reason.WRITE_FAILED, self._clock.now(), point))


def _outcome(wanted: Adjust, back: Value | Bad | None) -> Adjusted:
    """What reads back, compared with what was wanted."""
    if back is None or isinstance(back, Bad):
        why = "nothing" if back is None else back.reason
        return Adjusted(wanted.key, "outcome_unknown", None, f"the device confirmed it; reading it back gave {why}")
    if back != wanted.value:
        return Adjusted(wanted.key, "failed", back, f"it reads back {back}")
    return Adjusted(wanted.key, "done", back, "")
