"""What the hub costs: python tests/bench/hub.py. CPU of its thread alone, per reading of ten values, a rule on each.

Once through Hub.handle, once through its thread at 1,000 readings a second, with a journal that confirms what it is
given once a second; of each 1,000 readings the best of several, since the machine may have other things to do. Goal: at
most 15 µs per reading.
"""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from queue import SimpleQueue

TOP = Path(__file__).parent.parent.parent
sys.path[:0] = [str(TOP), str(TOP / "tests")]

from gateway.clock import SystemClock  # noqa: E402 - from any folder
from gateway.driver import point  # noqa: E402 - as above
from gateway.hub.alarm import Target  # noqa: E402 - as above
from gateway.hub.decide import Hub  # noqa: E402 - as above
from gateway.hub.plan import Plan  # noqa: E402 - as above
from gateway.hub.room import HubRoom  # noqa: E402 - as above
from gateway.model import (  # noqa: E402 - as above
    About,
    Adjust,
    Calibration,
    Command,
    Decision,
    DeviceAbout,
    Notice,
    Question,
    Reading,
    Record,
    Recovered,
    Row,
    Stored,
    Write,
)
from gateway.refine.exception import Limit  # noqa: E402 - as above
from gateway.refine.quality import Check, Rate  # noqa: E402 - as above
from gateway.rules.condition import Above  # noqa: E402 - as above
from gateway.rules.judge import Rule  # noqa: E402 - as above

GOAL_US = 15.0
DEVICES, POINTS = 50, 10
NAMES = [f"quantit{n}" for n in range(POINTS)]
READINGS, TIMES, TICK_S, TICKS, PER_TICK = 1_000, 20, 0.1, 10, 100


def main() -> int:
    """Print the figures; 1 if one misses its goal."""
    worst = 0.0
    for what, limit in (("every reading recorded", None), ("a deadband on each", Limit(0.5, 60.0))):
        direct, threaded = handled(plan(limit)), through_the_thread(plan(limit))
        print(f"{what}: {direct:.1f} µs a reading of {POINTS} values, {threaded:.1f} µs through the thread")
        worst = max(worst, direct, threaded)
    checked = handled(plan(None, Check(Calibration(1.002, -0.1), -40.0, 60.0, Rate(5.0, 60.0))))
    print(f"a calibration, a range and a rate on each: {checked:.1f} µs a reading")
    print(f"goal: at most {GOAL_US:.0f} µs, without these")
    return int(worst > GOAL_US)


def plan(limit: Limit | None, check: Check | None = None) -> Plan:
    """Fifty devices of ten points; each point has a rule that never comes true."""
    points = tuple(point(name, "temperature") for name in NAMES)
    devices = tuple(DeviceAbout(f"sensor-{n}", "", "modbus", "bus1", "hall", points, ()) for n in range(DEVICES))
    rules = tuple(
        (Rule(f"{device.device}-{name}", Above(60.0, 59.0), 60.0), (target(device.device, name),))
        for device in devices
        for name in NAMES
    )
    return Plan(
        about=About("site", "Site", "gw1", "0", "abc", ("hall",), devices),
        rules=rules,
        responses={},
        outputs={},
        every_s={device.device: 1.0 for device in devices},
        safety_devices=frozenset(),
        version="0",
        uplinks=("platform",),
        run="run1",
        checks={} if check is None else {device.device: dict.fromkeys(NAMES, check) for device in devices},
        limits={device.device: {} if limit is None else dict.fromkeys(NAMES, limit) for device in devices},
    )


def target(device: str, name: str) -> Target:
    """The alarm of one point."""
    return Target(f"{device}-{name}", device, name, "hall")


def reading(number: int, clock: SystemClock) -> Reading:
    """The reading `number`, of one device after the other; values of two decimals."""
    now = clock.now()
    values: dict[str, float] = {name: 20.25 + (number + n) % 37 / 100 for n, name in enumerate(NAMES)}
    return Reading(f"sensor-{number % DEVICES}", now.mono, now.ts, values, {})


def handled(site: Plan) -> float:
    """Microseconds of CPU per reading, decided one after the other; what is decided counts as stored at once."""
    clock = SystemClock()
    hub = Hub(site, clock.now())
    hub.handle(Recovered("new", None, {}), clock.now())
    spent = []
    for _ in range(TIMES):
        readings = [reading(number, clock) for number in range(READINGS)]
        begin = time.thread_time()
        made = [hub.handle(one, clock.now()) for one in readings]
        spent.append(time.thread_time() - begin)
        rows = tuple(Row(n, "run1", record) for n, record in enumerate(r for one in made for r in one.records))
        hub.handle(Stored(rows), clock.now())
    return min(spent) / READINGS * 1e6


class Rooms:
    """A journal that confirms on a thread of its own, and uplinks that take everything."""

    def __init__(self) -> None:
        self.posted: SimpleQueue[Decision] = SimpleQueue()
        self.journal = self.posted.put

    def write(self, write: Write | Adjust) -> None:
        """No outputs here."""

    def ask(self, question: Question) -> None:
        """No links here."""

    def reload(self, command: Command) -> None:
        """No file here."""

    def uplinks(self, message: Record | Notice) -> None:
        """Gone."""

    def confirm(self, room: HubRoom) -> None:
        """What a commit does: everything that was posted is stored."""
        rows: list[Row] = []
        while not self.posted.empty():
            rows += [Row(record.seq, "run1", record) for record in self.posted.get().records]
        room.post(Stored(tuple(rows)))


def through_the_thread(site: Plan) -> float:
    """Microseconds of the hub thread's CPU per reading; PER_TICK come each TICK_S, as from pollers on one tick."""
    clock, rooms = SystemClock(), Rooms()
    room = HubRoom(site, clock, rooms)
    thread = threading.Thread(target=room.run)
    thread.start()
    room.post(Recovered("new", None, {}))
    cpu, pause, spent = time.pthread_getcpuclockid(thread.ident or 0), threading.Event(), []
    for _ in range(TIMES // 4):
        begin, start = time.monotonic(), time.clock_gettime(cpu)
        for tick in range(TICKS):
            pause.wait(max(0.0, begin + tick * TICK_S - time.monotonic()))
            for number in range(PER_TICK):
                room.post(reading(tick * PER_TICK + number, clock))
        rooms.confirm(room)
        pause.wait(TICK_S)
        spent.append(time.clock_gettime(cpu) - start)
    room.stop()
    thread.join(10)
    return min(spent) / (TICKS * PER_TICK) * 1e6


if __name__ == "__main__":
    sys.exit(main())
