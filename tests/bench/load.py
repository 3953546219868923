"""The whole gateway under load, beside a bare sketch of the same work in the same run: `load.py [SECONDS]`.

Modbus TCP devices in one process, mosquitto, a counting subscriber, and the real daemon with a rule on every value and
a durable journal. Prints CPU seconds per 1,000 delivered values of both, and their ratio; CPU, not time, since the
machine may be shared.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent.parent))

from daemon import Daemon, write_profile
from rig import Rig, cpu_s, memory_mib, rig, written_bytes

SETTLE_S = 5.0


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


def config(load: Load, ports: list[int], broker: int) -> str:
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
  too-much: {{kind: setting, above: 70000}}
"""


def measure(pid: int, bench: Rig, seconds: float) -> Cost:
    """What the process `pid` takes in the next seconds, by what the subscriber gets meanwhile."""
    threading.Event().wait(SETTLE_S)
    values, cpu, written = bench.delivered().values, cpu_s(pid), written_bytes(pid)
    threading.Event().wait(seconds)
    values, cpu, written = bench.delivered().values - values, cpu_s(pid) - cpu, written_bytes(pid) - written
    return Cost(
        values / seconds, 1000 * cpu / max(1, values), 100 * cpu / seconds, memory_mib(pid), written / max(1, values)
    )


def gateway(load: Load, bench: Rig, seconds: float) -> Cost:
    with tempfile.TemporaryDirectory() as folder:
        write_profile(Path(folder), "bench", load.registers)
        with Daemon(Path(folder), config(load, bench.ports, bench.broker)) as daemon:
            cost = measure(daemon.pid, bench, seconds)
            assert daemon.stop() == 0
            return cost


def sketch(load: Load, bench: Rig, seconds: float) -> Cost:
    with tempfile.TemporaryDirectory() as folder:
        arguments = [bench.broker, load.period_s, Path(folder) / "sketch.db", load.registers, *bench.ports]
        process = subprocess.Popen([sys.executable, str(Path(__file__).parent / "sketch.py"), *map(str, arguments)])
        try:
            return measure(process.pid, bench, seconds)
        finally:
            process.kill()
            process.wait(10)


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 20.0
    for load in LOADS:
        print(f"{load.devices} devices x {load.registers} values every {load.period_s:g} s, {seconds:g} s each")
        with rig(load.devices) as bench:
            costs = {"gateway": gateway(load, bench, seconds), "sketch": sketch(load, bench, seconds)}
        for name, cost in costs.items():
            print(
                f"  {name:8} {cost.values_per_s:7.0f} values/s, {cost.cpu_s_per_1000:.4f} CPU-s/1000, "
                f"{cost.cpu_percent:.1f} % of a core, RSS {cost.rss_mib:.1f} MiB, {cost.written_per_value:.0f} B/value"
            )
        bare = costs["sketch"].cpu_s_per_1000
        print(
            f"  ratio of CPU per value {costs['gateway'].cpu_s_per_1000 / bare:.2f}"
            if bare
            else "  too short for a ratio"
        )


if __name__ == "__main__":
    main()
