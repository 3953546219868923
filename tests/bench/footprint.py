"""What the daemon costs when little happens: `python tests/bench/footprint.py [SECONDS]`.

One Modbus TCP device at a 10 s poll, one rule, one uplink to a broker in this process; no part of the demo. Prints the
time from exec to the first acknowledged message (median of five starts), then memory and CPU of an idle daemon.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from consumer import Consumer
from daemon import Daemon, write_profile
from modbus_responder import TcpDevices

from gateway.demo.broker import Broker

CONFIG = """
site: {{id: bench}}
gateway: {{id: gw1}}
uplinks:
  platform: {{url: "mqtt://127.0.0.1:{broker}"}}
links:
  io: {{type: tcp, host: 127.0.0.1, port: {device}}}
devices:
  meter-1: {{driver: modbus, link: io, unit: 1, profile: ten, every: 10s, zone: hall}}
rules:
  too-much: {{point: meter-1.r0, above: 70000}}
"""
TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK_S


def memory_mib(pid: int, name: str) -> float:
    for line in Path(f"/proc/{pid}/{'smaps_rollup' if name == 'Pss' else 'status'}").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    raise LookupError(name)


def start_s(daemon: Daemon, broker: Broker) -> float:
    """From exec to the first message at a subscriber, which the broker has acknowledged a moment before."""
    with Consumer(broker.port, remembers=False) as consumer:
        began = time.perf_counter()
        daemon.start()
        consumer.wait_for(lambda: bool(consumer.counts), 30, "the first record")
        return time.perf_counter() - began


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    with tempfile.TemporaryDirectory() as folder, TcpDevices() as devices:
        write_profile(Path(folder), "ten", 10)
        broker = Broker()
        broker.start()
        config = CONFIG.format(broker=broker.port, device=devices.port)
        with Daemon(Path(folder), config) as daemon:
            daemon.kill()
            starts = []
            for _ in range(5):
                starts.append(start_s(daemon, broker))
                daemon.stop()
            print(f"exec to first record acknowledged: median {statistics.median(starts):.3f} s of {len(starts)}")
            daemon.start()
            threading.Event().wait(10)
            before = cpu_s(daemon.pid)
            threading.Event().wait(seconds)
            used = cpu_s(daemon.pid) - before
            print(
                f"idle for {seconds:g} s: CPU {100 * used / seconds:.3f} % of a core, +- {100 * TICK_S / seconds:.3f}"
            )
            print(f"RSS {memory_mib(daemon.pid, 'VmRSS'):.1f} MiB, PSS {memory_mib(daemon.pid, 'Pss'):.1f} MiB")
            daemon.stop()
        broker.stop()


if __name__ == "__main__":
    main()
