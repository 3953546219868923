"""One dead unit of ten on an RS-485 bus: what it costs the nine others, by default: `dead_unit.py [SECONDS]`.

Ten units of four registers, each to be asked every second at 9,600 baud, by the gateway's own configuration, poller,
driver and exchange, on a pty that is paced like a wire (paced_line.py). On one line the tenth was never there, on the
other it goes away after ten seconds. Told is how often the nine others were really asked; and the share of the time
that went into the tenth one: from its request until the line was free for others, waiting and silence included, as seen
below the exchange. The first minute is that after the first request without a reply.

Peers, the same work (one dead unit of ten, 1 s, 9,600 baud): ThingsBoard's gateway with the timeout and retries of its
sample file asks none of the nine for 40 s, with 300 ms and no retry all nine each 1,084 ms; Node-RED as it comes asks
four of the nine, each 4,235 ms, with 300 ms four, each 3,530 ms.
Goals: nine of nine each 1,000 ms +- 2 %, none later than a second and one timeout; the dead one less than 1 % of the
time after the first minute.
"""

from __future__ import annotations

import itertools
import math
import statistics
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parents[1]))

from daemon import write_profile
from paced_line import Line, paced_line

from gateway.clock import SystemClock
from gateway.config.installed import read_config
from gateway.config.schema import Config, SerialLink
from gateway.links.device import LinkDevice
from gateway.links.poller import Poller
from gateway.links.port import Wire
from gateway.links.schedule import urgency
from gateway.links.serial import SerialLine, pace
from gateway.model import Fact, LinkHealth, Reading

UNITS, DEAD, REGISTERS = 10, 10, 4
TIMEOUT_S = 0.344
WELL_S = 10.0  # for which the dead unit of the second line is well
CONFIG = """
site: {{id: bench}}
gateway: {{id: gw1}}
links:
  bus: {{type: serial, port: "{port}", baudrate: 9600}}
devices:
"""


class Use(NamedTuple):
    """For how long the line was kept after a request."""

    unit: int
    began: float
    kept_s: float


class WatchedWire(Wire):
    """A wire that notes who was asked when, and for how long the exchange then waited."""

    def __init__(self, line: Line, char_s: float) -> None:
        super().__init__("bench", "", char_s)
        self._line = line
        self.uses: list[Use] = []

    def write(self, data: bytes) -> None:
        self.uses.append(Use(data[0], time.monotonic(), 0.0))
        self._line.stamp.value = self.uses[-1].began
        super().write(data)

    def receive(self, until: float) -> bytes:
        began = time.monotonic()
        data = super().receive(until)
        if self.uses:
            last = self.uses[-1]
            self.uses[-1] = last._replace(kept_s=last.kept_s + time.monotonic() - began)
        return data


class Bus:
    """One line, and the thread that polls it."""

    def __init__(self, line: Line, folder: Path, *, dies: bool) -> None:
        self.line, self.dies = line, dies
        config = written(folder, line.path)
        part = config.links["bus"]
        assert isinstance(part, SerialLink)
        link = SerialLine("bus", part)
        self.wire = WatchedWire(line, pace(part).char_s)
        link._wire = self.wire
        self.told: list[Fact] = []
        devices = [
            LinkDevice(name, it.built, it.every, urgency(point.kind for point in it.built.points))
            for name, it in config.devices.items()
        ]
        self._poller = Poller("bus", link, devices, SystemClock(), self.told.append)
        self._thread = threading.Thread(target=self._poller.run)
        line.dead.value = 0 if dies else DEAD

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._poller.stop()
        self._thread.join()

    def print(self, began: float, ended: float) -> bool:
        """The figures since the tenth was not there; whether a goal was missed."""
        print(f"the tenth unit {'goes away after ten seconds' if self.dies else 'was never there'}:")
        died = next(use.began for use in self.wire.uses if use.unit == DEAD and use.began >= began)
        is_missed = self._print_others(math.ceil(died), ended)  # what is due at once at the start is on no tick
        return self._print_dead(died, ended) or is_missed

    def _print_others(self, began: float, ended: float) -> bool:
        intervals, worst, polls = [], 0.0, []
        for unit in range(1, UNITS):
            times = [use.began for use in self.wire.uses if use.unit == unit and began <= use.began < ended]
            gaps = [b - a for a, b in itertools.pairwise(times)]
            intervals.append(statistics.mean(gaps))
            worst = max(worst, *gaps)
            polls.append(len(times))
            jitter = [abs(gap - 1.0) for gap in gaps]
            print(
                f"  unit {unit}: {len(times)} polls in {ended - began:.0f} s, each {1000 * intervals[-1]:.1f} ms; "
                f"off by {1000 * statistics.median(jitter):.1f} ms (median), {1000 * max(jitter):.0f} ms (most)"
            )
        bad = sum(1 for it in self.told if isinstance(it, Reading) and it.bad and it.device != f"d{DEAD}")
        on_schedule = sum(abs(interval - 1.0) <= 0.02 for interval in intervals)
        print(f"  {on_schedule} of 9 on schedule; the longest gap {1000 * worst:.0f} ms; {bad} of their readings bad")
        return on_schedule < UNITS - 1 or worst > 1.0 + TIMEOUT_S or bad > 0

    def _print_dead(self, died: float, ended: float) -> bool:
        uses = [use for use in self.wire.uses if use.unit == DEAD and use.began >= died]
        first = sum(use.kept_s for use in uses if use.began < died + 60)
        later = [use for use in uses if use.began >= died + 60]
        waits = ", ".join(f"{1000 * use.kept_s:.0f}" for use in later)
        share = sum(use.kept_s for use in later) / (ended - died - 60)
        load = [fact.load for fact in self.told if isinstance(fact, LinkHealth)][-1]
        print(
            f"  the dead one: {100 * first / 60:.2f} % of the first minute ({len(uses) - len(later)} requests), then "
            f"{100 * share:.2f} % ({len(later)} requests: {waits} ms); all ten, as health has it: {load:.1%}"
        )
        return share >= 0.01


def written(folder: Path, port: str) -> Config:
    """The configuration of the bench, as a user would write it."""
    write_profile(folder, "bench", REGISTERS)
    devices = "".join(
        f"  d{unit}: {{driver: modbus, link: bus, unit: {unit}, profile: bench, every: 1s, zone: hall}}\n"
        for unit in range(1, UNITS + 1)
    )
    (folder / "sitewarden.yaml").write_text(CONFIG.format(port=port) + devices)
    return read_config(folder / "sitewarden.yaml")


def main() -> int:
    """Print the figures; 1 if a goal is missed."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 200.0
    if seconds < 100:
        raise SystemExit("it takes 100 s at least: the first minute, and what comes after it")
    with ExitStack() as stack:
        buses = [
            Bus(
                stack.enter_context(paced_line(9600)),
                Path(stack.enter_context(tempfile.TemporaryDirectory())),
                dies=dies,
            )
            for dies in (False, True)
        ]
        started = time.monotonic()
        for bus in buses:
            bus.start()
        threading.Event().wait(WELL_S)
        died = time.monotonic()
        buses[1].line.dead.value = DEAD
        threading.Event().wait(seconds)
        ended = time.monotonic()
        for bus in buses:
            bus.stop()
        missed = [bus.print(began, ended) for bus, began in zip(buses, (started, died), strict=True)]
        return int(any(missed))


if __name__ == "__main__":
    sys.exit(main())
