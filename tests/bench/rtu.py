"""A full RS-485 bus at wire speed: `rtu.py [SECONDS]`.

Ten units of four registers, polled by the daemon's own poller, driver, planner and exchange as fast as the line lets
them, on a pty that is paced like a wire (paced_line.py: characters at their time, units that take 5 ms). Registers one
after the other, and with gaps (0, 4, 8, 12) that the planner has to read over by itself. Prints how long a cycle of ten
takes beside the least that the standard allows (characters, 5 ms, 3.5 characters of silence), how many requests began
within the silence, and the CPU of the gateway's side. Where time was lost is told too: by the line itself, which is a
Python process; until the last character was taken; and after the silence was over.
Goals: 0 requests too early; a cycle, without the line's own delay, of at most 1.05 times the least at 9,600 baud and
1.15 times at 115,200; there at most 15 % of a core.
"""

from __future__ import annotations

import itertools
import statistics
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parents[1]))

from paced_line import TURNAROUND_S, Line, Transfer, paced_line

from drivers.modbus_point import RegisterPoint
from drivers.modbus_profile import Profile
from drivers.modbus_table import ModbusOptions, ModbusTable
from gateway.clock import SystemClock
from gateway.config import schema
from gateway.links.device import LinkDevice
from gateway.links.poller import Poller
from gateway.links.port import Wire
from gateway.links.schedule import Urgency
from gateway.links.serial import SerialLine, pace
from gateway.model import Fact, Reading
from gateway.wiretime import of_line

UNITS = 10
EVERY_S = 0.001  # far more often than the line can: who was asked longest ago is next
CONTIGUOUS, WITH_GAPS = (0, 1, 2, 3), (0, 4, 8, 12)
MOST_OF_LIMIT = {9600: 1.05, 115_200: 1.15}
MOST_CPU_PERCENT = 15.0
_REQUEST, _OVERHEAD = 8, 5  # characters: a request; a reply's unit, function, byte count and CRC


class StampedWire(Wire):
    """A wire that says when it writes, to the line and for the books."""

    def __init__(self, line: Line, char_s: float) -> None:
        super().__init__("bench", "", char_s)
        self._stamp = line.stamp
        self._read_at = 0.0
        self.taken: list[float] = []  # when the last byte before each request was taken

    def write(self, data: bytes) -> None:
        self.taken.append(self._read_at)
        self._stamp.value = time.monotonic()
        super().write(data)

    def _read(self) -> bytes:
        data = super()._read()
        self._read_at = time.monotonic()
        return data


class Found(NamedTuple):
    """What came of one line; times in ms."""

    cycle: float
    limit: float
    early: int
    requests: int
    cpu_percent: float
    readings: int
    bad: int
    line_late: Sequence[float]
    taken_late: Sequence[float]
    begun_late: Sequence[float]

    @property
    def on_a_real_line(self) -> float:
        """The cycle without what this line, a Python process, was late by itself."""
        return self.cycle - UNITS * statistics.fmean(self.line_late)

    @property
    def of_limit(self) -> float:
        return self.on_a_real_line / self.limit

    def __str__(self) -> str:
        return (
            f"cycle {self.cycle:.1f} ms, {self.cycle / self.limit:.3f} of the least {self.limit:.1f}; without what "
            f"the line was late {self.on_a_real_line:.1f}, {self.of_limit:.3f}; {self.early} of {self.requests} "
            f"requests too early; {self.cpu_percent:.1f} % of a core; {self.readings} readings, {self.bad} bad\n"
            f"    lost per request, median / p99 ms: by the line itself {spread(self.line_late)}, until the reply was "
            f"taken {spread(self.taken_late)}, after the silence {spread(self.begun_late)}"
        )


def spread(times: Sequence[float]) -> str:
    return f"{statistics.median(times):.2f} / {statistics.quantiles(times, n=100)[-1]:.2f}"


def device(unit: int, addresses: Sequence[int], baudrate: int) -> LinkDevice:
    points = {f"t{at}": RegisterPoint("temperature", "holding", at, "uint16", scale=0.1) for at in addresses}
    profile = Profile("Bench", "tests", ("made up",), "high", points)
    driver = ModbusTable(ModbusOptions(unit, profile))
    driver.meet(of_line(baudrate))
    return LinkDevice(f"d{unit}", driver, EVERY_S, Urgency.MEASUREMENT)


def limit_ms(baudrate: int, addresses: Sequence[int]) -> float:
    """The shortest cycle that keeps the silence, of 3.5 characters as the line has them, or of 1.75 ms."""
    char_s = 10 / baudrate
    silence_s = 3.5 * char_s if baudrate <= 19_200 else 0.001_75
    registers = max(addresses) - min(addresses) + 1
    return UNITS * 1000 * ((_REQUEST + _OVERHEAD + 2 * registers) * char_s + TURNAROUND_S + silence_s)


def run(baudrate: int, addresses: Sequence[int], seconds: float) -> Found:
    with paced_line(baudrate) as line:
        part = schema.SerialLink(type="serial", port=line.path, baudrate=baudrate)
        link = SerialLine("bus", part)
        wire = StampedWire(line, pace(part).char_s)
        link._wire = wire
        told: list[Fact] = []
        poller = Poller(
            "bus", link, [device(unit, addresses, baudrate) for unit in range(1, UNITS + 1)], SystemClock(), told.append
        )
        thread = threading.Thread(target=poller.run)
        thread.start()
        threading.Event().wait(1.0)  # until everything was asked once
        began, cpu = time.monotonic(), time.process_time()
        threading.Event().wait(seconds)
        ended, cpu = time.monotonic(), time.process_time() - cpu
        poller.stop()
        thread.join()
        transfers = line.end()
    readings = [fact for fact in told if isinstance(fact, Reading)]
    assert len(wire.taken) == len(transfers)
    return judged(transfers, wire.taken, began, ended, limit_ms(baudrate, addresses), pace(part).gap_s)._replace(
        cpu_percent=100 * cpu / (ended - began), readings=len(readings), bad=sum(bool(it.bad) for it in readings)
    )


def judged(
    transfers: Sequence[Transfer], taken: Sequence[float], began: float, ended: float, limit: float, gap_s: float
) -> Found:
    """The figures of the time between `began` and `ended`."""
    early = 0
    line_late, taken_late, begun_late, asked = [], [], [], []
    for (before, transfer), last in zip(itertools.pairwise(transfers), taken[1:], strict=True):
        if not began <= transfer.began < ended:
            continue
        # Nobody takes a character that has not come: the earlier of both is the latest that it can have come.
        early += transfer.began - min(before.arrived_before, last) < gap_s
        line_late.append(1000 * before.late_s)
        taken_late.append(1000 * (last - before.arrived_before))
        begun_late.append(1000 * (transfer.began - last - gap_s))
        asked.append(transfer)
    assert {it.unit for it in asked[:UNITS]} == {it.unit for it in asked[-UNITS:]} == set(range(1, UNITS + 1))
    cycle = 1000 * UNITS * (asked[-1].began - asked[0].began) / (len(asked) - 1)
    return Found(cycle, limit, early, len(line_late), 0.0, 0, 0, line_late, taken_late, begun_late)


def main() -> int:
    """Print the figures; 1 if a goal is missed."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 6.0
    is_missed = False
    for baudrate, addresses in itertools.product(MOST_OF_LIMIT, (CONTIGUOUS, WITH_GAPS)):
        found = run(baudrate, addresses, seconds)
        print(f"{baudrate} baud, registers {', '.join(map(str, addresses))}: {found}", flush=True)
        is_missed |= found.early > 0 or found.of_limit > MOST_OF_LIMIT[baudrate]
        is_missed |= baudrate == 115_200 and found.cpu_percent > MOST_CPU_PERCENT
    return int(is_missed)


if __name__ == "__main__":
    sys.exit(main())
