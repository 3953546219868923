"""What log and hub are told of how a link's devices do. A fault is logged once, until the device is well again."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping

from gateway.driver import PlannedRead, Polled
from gateway.errors import NoReply, Refused
from gateway.links.device import Attended
from gateway.model import DeviceBack, DeviceLost, Fact, Reason

log = logging.getLogger(__name__)

_STAYS = 3  # polls in a row after which what is missing of a device is worth a line


class Standing:
    """How the devices of one link do. Owned by the poller's thread."""

    def __init__(self, tell: Callable[[Fact], None]) -> None:
        self._tell = tell

    def faulty(self, each: Attended, error: Exception, *, counted: bool = False) -> Reason:
        """Count the fault unless its exchange was, log it if it is new, and name it for the reading."""
        bug = None
        match error:
            case NoReply():
                fault, reason, level = error.fault, Reason.NO_REPLY, logging.DEBUG
            case Refused():
                fault, reason, level = "refused", Reason.REFUSED, logging.ERROR
            case _:
                fault, reason, level, bug = "driver_bug", Reason.DRIVER_BUG, logging.ERROR, error
        if not counted or reason is not Reason.NO_REPLY:
            each.tally.failed(fault)
        if fault not in each.blamed:
            each.blamed.add(fault)
            log.log(level, "device %s: %s", each.device.id, error, exc_info=bug)
        return reason

    def well(self, each: Attended, lost_s: float | None) -> None:
        """It has said something, after having been lost for `lost_s` seconds if it was."""
        each.state = "ok"
        each.blamed.clear()
        if lost_s is not None:
            log.info("device %s is back after %.1f s", each.device.id, lost_s)
            self._tell(DeviceBack(each.device.id, lost_s))

    def partly(self, each: Attended, bad: Mapping[str, Reason]) -> None:
        """Count once what it refuses, and log once what stays without an answer, while the rest of it answers."""
        refuses, each.refuses = each.refuses, Reason.REFUSED in bad.values()
        if each.refuses and not refuses:
            each.tally.failed("refused")
        silent = [name for name, reason in bad.items() if reason is Reason.NO_REPLY]
        each.parts_missed = each.parts_missed + 1 if silent else 0
        if each.parts_missed == _STAYS:
            log.warning("device %s answers, but stays silent about %s", each.device.id, ", ".join(silent))

    def learned(self, each: Attended) -> None:
        """Log when its driver has learned to ask for something else than before."""
        driver = each.device.driver
        reads = driver.reads if isinstance(driver, Polled) else ()
        if reads is each.reads:
            return
        before, each.reads = each.reads, reads
        if reads != before:
            told = "device %s is read in %d requests now, %d before: %s instead of %s, by what it refuses or leaves out"
            new, old = ([it for it in some if it not in others] for some, others in ((reads, before), (before, reads)))
            log.info(told, each.device.id, len(reads), len(before), _what(new), _what(old))

    def lost(self, each: Attended, what: str, hint: str) -> None:
        """It has said nothing for too long, or nothing that can be used."""
        log.warning("device %s is lost: %s (%s)", each.device.id, what, hint)
        self._tell(DeviceLost(each.device.id, what, hint))


def _what(reads: Iterable[PlannedRead]) -> str:
    """The registers or bits and their points, as the plan has them: `holding 8 to 9 (t8, t9)`."""
    return " and ".join(map(_range, reads)) or "nothing"


def _range(read: PlannedRead) -> str:
    last = f" to {read.address + read.size - 1}" if read.size > 1 else ""
    return f"{read.table} {read.address}{last} ({', '.join(read.points)})"
