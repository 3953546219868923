"""Where the gateway's CPU goes: `threads.py [SECONDS]`, the load of load.py with the gateway in this process.

Prints for each kind of thread CPU milliseconds per 1,000 delivered values, and how often a second it went to sleep and
was put to sleep. Devices, broker and subscriber are processes of their own.
"""

from __future__ import annotations

import sys
import tempfile
import threading
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from daemon import write_profile
from load import LOADS, Load, config
from rig import Rig, rig

from gateway.app import Gateway
from gateway.config.installed import read_config

SETTLE_S = 8.0


class Spent(NamedTuple):
    """What threads of one kind have used so far."""

    cpu_ms: float = 0.0
    waits: int = 0
    preempted: int = 0

    def plus(self, other: Spent) -> Spent:
        return Spent(self.cpu_ms + other.cpu_ms, self.waits + other.waits, self.preempted + other.preempted)

    def since(self, before: Spent) -> Spent:
        return Spent(self.cpu_ms - before.cpu_ms, self.waits - before.waits, self.preempted - before.preempted)


def spent() -> dict[str, Spent]:
    """By kind of thread: a link's own and those that many share are one kind."""
    found: defaultdict[str, Spent] = defaultdict(Spent)
    for thread in threading.enumerate():
        task = Path(f"/proc/self/task/{thread.native_id}")
        try:
            cpu_ns = int((task / "schedstat").read_text().split()[0])
            lines = dict(line.split(":", 1) for line in (task / "status").read_text().splitlines())
        except FileNotFoundError:
            continue  # it has just ended
        kind = "links" if thread.name.startswith("link") else thread.name
        waits, preempted = int(lines["voluntary_ctxt_switches"]), int(lines["nonvoluntary_ctxt_switches"])
        found[kind] = found[kind].plus(Spent(cpu_ns / 1e6, waits, preempted))
    return found


def run(load: Load, bench: Rig, seconds: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_profile(Path(folder), "bench", load.registers)
        path = Path(folder) / "sitewarden.yaml"
        path.write_text(config(load, bench.ports, bench.broker))
        gateway = Gateway(read_config(path), Path(folder) / "state")
        gateway.start()
        threading.Event().wait(SETTLE_S)
        before, values = spent(), bench.delivered().values
        threading.Event().wait(seconds)
        after, values = spent(), bench.delivered().values - values
        gateway.stop()
    for kind, total in sorted(after.items(), key=lambda item: -item[1].cpu_ms):
        used = total.since(before.get(kind, Spent()))
        print(
            f"  {kind:20} {1000 * used.cpu_ms / max(1, values):6.2f} ms per 1,000 values, "
            f"{used.waits / seconds:.1f} waits and {used.preempted / seconds:.1f} preemptions a second"
        )


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 20.0
    for load in LOADS:
        print(f"{load.devices} devices x {load.registers} values every {load.period_s:g} s, {seconds:g} s")
        with rig(load.devices) as bench:
            run(load, bench, seconds)


if __name__ == "__main__":
    main()
