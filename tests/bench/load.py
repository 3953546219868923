"""The whole gateway under load, beside four sketches of the same work in the same run: `load.py [SECONDS [ROUNDS]]`.

Modbus TCP devices in one process, mosquitto, a counting subscriber, and the real daemon with a rule on every value and
a durable journal. `sketch.py` is the leanest program that does the same exchange, JSON, insert and batched publish on
the same ticks; `asyncio_sketch.py` is one as it is usually written; `pymodbus_loop.py` is what one would write first:
it neither stores nor judges, and polls each device at a moment of its own, or all on common ticks as we do. Prints CPU
seconds per 1,000 values of all, and the gateway's ratio to each: CPU, not time, since the machine may be shared, and in
turns, so that other work meets all alike. What a run starts with is not counted, and each begins and ends between two
ticks. With the second load the sketches commit and publish ten times a second, the gateway once: only the first one's
ratios to them compare like with like.
Goals: with the first load at most 1.7 times the CPU of the usual program, and 0.015 CPU-s per 1,000 values; with both
at most 0.3 times the CPU of pymodbus' loop as it is; on our ticks it costs a fifth of that.
"""

from __future__ import annotations

import math
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent.parent))

from daemon import Daemon
from rig import Rig, cpu_s, memory_mib, rig, written_bytes

SETTLE_S = 5.0
MOST_CPU_S = 0.015


class Load(NamedTuple):
    """So many devices with so many registers each, every so many seconds."""

    devices: int
    registers: int
    period_s: float


class Cost(NamedTuple):
    """What a process took for its work."""

    values_per_s: float
    cpu_s_per_1000: float
    cpu_percent: float
    rss_mib: float
    written_per_value: float


LOADS = (Load(50, 20, 1.0), Load(20, 10, 0.1))


PROFILE = """\
model: Bench
maker: tests
sources: [made up]
confidence: high
points:
{points}
"""


def config(load: Load, ports: list[int], broker: int, kind: str = "setting") -> str:
    """One link and one device a port, one rule over every value."""
    links = "\n".join(f"  l{n}: {{type: tcp, host: 127.0.0.1, port: {port}}}" for n, port in enumerate(ports))
    every = f"{round(load.period_s * 1000)}ms"
    devices = "\n".join(
        f"  d{n}: {{driver: modbus, link: l{n}, unit: 1, profile: bench, every: {every}, zone: hall}}"
        for n in range(len(ports))
    )
    return f"""
site: {{id: bench}}
gateway: {{id: gw1}}
uplinks:
  platform: {{url: "mqtt://127.0.0.1:{broker}"}}
links:
{links}
devices:
{devices}
rules:
  too-much: {{kind: {kind}, above: 70000}}
"""


def write_temperatures(folder: Path, registers: int) -> None:
    """A profile `bench` beside the configuration: temperatures in tenths of a degree."""
    (folder / "profiles").mkdir()
    points = "\n".join(
        f"  temperature-{n}: {{kind: temperature, table: holding, address: {n}, type: uint16, scale: 0.1}}"
        for n in range(registers)
    )
    (folder / "profiles" / "bench.yaml").write_text(PROFILE.format(points=points))


def between_ticks() -> None:
    """Until the middle of a second of monotonic time, whose multiples are everybody's ticks."""
    threading.Event().wait(1.5 - time.monotonic() % 1)


def measure(pid: int, load: Load, bench: Rig, seconds: float) -> Cost:
    """What the process `pid` takes in the next seconds."""
    threading.Event().wait(SETTLE_S)
    between_ticks()
    began, delivered, cpu, written = time.monotonic(), bench.delivered().values, cpu_s(pid), written_bytes(pid)
    threading.Event().wait(seconds - 1)
    between_ticks()
    took = time.monotonic() - began
    delivered, cpu, written = bench.delivered().values - delivered, cpu_s(pid) - cpu, written_bytes(pid) - written
    values = load.devices * load.registers * round(took) / load.period_s
    assert abs(delivered - values) <= load.devices * load.registers * max(1.0, 1 / load.period_s), (
        f"{delivered} values delivered of {values:.0f}"
    )
    return Cost(delivered / took, 1000 * cpu / values, 100 * cpu / took, memory_mib(pid), written / values)


def gateway(load: Load, bench: Rig, seconds: float) -> Cost:
    with tempfile.TemporaryDirectory() as folder:
        write_temperatures(Path(folder), load.registers)
        with Daemon(Path(folder), config(load, bench.ports, bench.broker, "temperature")) as daemon:
            cost = measure(daemon.pid, load, bench, seconds)
            assert daemon.stop() == 0
            return cost


def sketch(name: str, load: Load, bench: Rig, seconds: float, options: Sequence[str] = ()) -> Cost:
    with tempfile.TemporaryDirectory() as folder:
        arguments = [*options, bench.broker, load.period_s, Path(folder) / "sketch.db", load.registers, *bench.ports]
        process = subprocess.Popen([sys.executable, str(Path(__file__).parent / f"{name}.py"), *map(str, arguments)])
        try:
            return measure(process.pid, load, bench, seconds)
        finally:
            process.kill()
            process.wait(10)


PROGRAMS: dict[str, Callable[[Load, Rig, float], Cost]] = {
    "gateway": gateway,
    "sketch": partial(sketch, "sketch"),
    "asyncio_sketch": partial(sketch, "asyncio_sketch"),
    "pymodbus_loop": partial(sketch, "pymodbus_loop"),
    "pymodbus_loop on our ticks": partial(sketch, "pymodbus_loop", options=("--aligned",)),
}
MOST_RATIO = {("asyncio_sketch", LOADS[0]): 1.7, ("pymodbus_loop", LOADS[0]): 0.3, ("pymodbus_loop", LOADS[1]): 0.3}


def median(costs: list[Cost]) -> Cost:
    """Each figure's median by itself."""
    return Cost(*map(statistics.median, zip(*costs, strict=True)))


def main() -> int:
    """Print the figures; 1 if the goal is missed."""
    is_missed = False
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 10.0
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    for load in LOADS:
        print(f"{load.devices} devices x {load.registers} values every {load.period_s:g} s, {rounds} x {seconds:g} s")
        runs: dict[str, list[Cost]] = {name: [] for name in PROGRAMS}
        with rig(load.devices) as bench:
            for _ in range(rounds):
                for name, program in PROGRAMS.items():
                    runs[name].append(program(load, bench, seconds))
        for name, costs in runs.items():
            cost, each = median(costs), sorted(run.cpu_s_per_1000 for run in costs)
            print(
                f"  {name:27}{cost.values_per_s:6.0f} values/s, {cost.cpu_s_per_1000:.5f} CPU-s/1000 "
                f"({each[0]:.5f} to {each[-1]:.5f}), {cost.cpu_percent:.2f} % of a core, RSS {cost.rss_mib:.1f} MiB, "
                f"{cost.written_per_value:.0f} B/value"
            )
        is_missed |= load is LOADS[0] and median(runs["gateway"]).cpu_s_per_1000 > MOST_CPU_S
        for name in list(PROGRAMS)[1:]:
            # Run by run, since neighbours in time have met the same other work.
            ratios = [
                ours.cpu_s_per_1000 / other.cpu_s_per_1000
                for ours, other in zip(runs["gateway"], runs[name], strict=True)
            ]
            print(
                f"  gateway / {name}: {statistics.median(ratios):.2f} of its CPU per value "
                f"({min(ratios):.2f} to {max(ratios):.2f})"
            )
            is_missed |= statistics.median(ratios) > MOST_RATIO.get((name, load), math.inf)
    return int(is_missed)


if __name__ == "__main__":
    sys.exit(main())
