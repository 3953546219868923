"""10,000 values a second through hub, journal and uplink: `flow.py [SECONDS]`, a minute by default.

A gateway without links, in a process of its own, is told 1,000 readings of ten values a second, ten times a second a
hundred at once, as links on common ticks would; one rule judges every value; the journal is durable; a mosquitto takes
them at QoS 1, and a subscriber counts. Prints CPU of the gateway's process, that of telling it apart, memory, what is
on the way from reading to subscriber at the beginning and at the end, and bytes written. Goals: at most 60 % of a core
with all of it delivered: nothing held back, and no more on the way at the end than a few seconds hold.
"""

from __future__ import annotations

import multiprocessing
import sys
import tempfile
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

TOP = Path(__file__).parent.parent.parent
sys.path[:0] = [str(TOP), str(TOP / "tests")]

from linkless import Linkless, config  # noqa: E402 - from any folder
from rig import Rig, cpu_s, memory_mib, rig, written_bytes  # noqa: E402 - as above

GOAL_PERCENT = 60.0
DEVICES, POINTS, TICK_S = 100, 10, 0.1
MOST_ON_THE_WAY = 30_000
SETTLE_S, LOOK_EVERY_S = 10.0, 5.0


class Told(NamedTuple):
    """What the gateway's process has told its hub so far, what it held back, and the CPU of doing so."""

    values: int
    held: int
    cpu_s: float


def gateway(folder: Path, broker: int, pipe: Connection) -> None:
    """Tell the hub a reading of each device a tick; answers each question with a Told, until nobody asks any more."""
    values = held = number = 0
    text = config(broker, DEVICES, site="bench", limit=70_000.0)
    with Linkless(folder, text, POINTS) as linkless:
        due = time.monotonic()
        while True:
            due += TICK_S
            if pipe.poll(max(0.0, due - time.monotonic())):
                if not pipe.recv():
                    break
                pipe.send(Told(values, held, time.thread_time()))
                due -= TICK_S
                continue
            number += 1
            if linkless.gateway._hub.behind():
                held += DEVICES * POINTS
                continue
            for device in range(DEVICES):
                base = number % 5000 / 100 + device
                linkless.reading(f"device-{device:02}", {f"r{point}": base + point for point in range(POINTS)})
            values += DEVICES * POINTS


class Sample(NamedTuple):
    """One look at everything."""

    at: float
    told: Told
    delivered: int
    cpu_s: float
    rss_mib: float
    written: int

    @property
    def on_the_way(self) -> int:
        return self.told.values - self.delivered


def look(pid: int, pipe: Connection, bench: Rig) -> Sample:
    pipe.send(True)
    told = pipe.recv()
    return Sample(time.monotonic(), told, bench.delivered().values, cpu_s(pid), memory_mib(pid), written_bytes(pid))


def main() -> int:
    """Print the figures; 1 if the goal is missed."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    pipe, end = multiprocessing.Pipe()
    with tempfile.TemporaryDirectory() as folder, rig(0) as bench:
        process = multiprocessing.get_context("spawn").Process(target=gateway, args=(Path(folder), bench.broker, end))
        process.start()
        assert process.pid is not None
        try:
            threading.Event().wait(SETTLE_S)
            samples = [look(process.pid, pipe, bench)]
            while samples[-1].at < samples[0].at + seconds:
                threading.Event().wait(LOOK_EVERY_S)
                samples.append(look(process.pid, pipe, bench))
        finally:
            pipe.send(False)
            process.join(30)
    return report(samples)


def report(samples: list[Sample]) -> int:
    first, last = samples[0], samples[-1]
    took, values = last.at - first.at, last.delivered - first.delivered
    cpu, telling = 100 * (last.cpu_s - first.cpu_s) / took, 100 * (last.told.cpu_s - first.told.cpu_s) / took
    print(f"{took:.0f} s, {values / took:.0f} values/s delivered, {last.told.held - first.told.held} held back")
    print(f"CPU {cpu:.1f} % of a core, of which {telling:.1f} % to make and tell the readings")
    print(f"    {10 * (cpu - telling) / max(1, values / took):.4f} CPU-s per 1,000 values without that")
    print("on the way, every 5 s: " + " ".join(str(sample.on_the_way) for sample in samples))
    print("RSS MiB, every 5 s: " + " ".join(f"{sample.rss_mib:.1f}" for sample in samples))
    print(f"{(last.written - first.written) / max(1, values):.0f} bytes written to the disk per value")
    print(f"goals: at most {GOAL_PERCENT:.0f} %; nothing held back; at most {MOST_ON_THE_WAY} on the way")
    held, waiting = last.told.held - first.told.held, last.on_the_way
    return int(cpu > GOAL_PERCENT or held > 0 or waiting > MOST_ON_THE_WAY)


if __name__ == "__main__":
    sys.exit(main())
