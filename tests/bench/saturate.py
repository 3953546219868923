"""The whole gateway as fast as it can: `saturate.py [SECONDS]`.

50 Modbus TCP devices x 20 values, at a period that shrinks until delivery stops growing, and then at half of the best
one: twice the load that saturates it. Prints what a subscriber got per second, CPU, memory and how it grew, and of the
polls that were due how many were done, counted as late or held back, and not accounted for; the bench's devices, broker
and subscriber share the machine. Goals: at twice the load at least 90 % of the best; memory that stays; every poll that
was due is counted, to 2 % (health comes each 10 s, at a moment of each link's own; so SECONDS are best full tens).
"""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent.parent))

from daemon import Daemon, write_profile
from load import Load, config
from rig import Rig, cpu_s, memory_mib, rig

DEVICES, REGISTERS, FIRST_PERIOD_MS = 50, 20, 20
WARM_S = 15.0
"""Each link has told its health once by then, and memory has come to rest."""

SHRINKS, GROWS = 1.4, 1.05  # by which factor the period (whole ms), and from which one on delivery has grown


class Polls(NamedTuple):
    """Of all links since the start, as their health says each ten seconds."""

    done: int
    late: int
    held: int


class Found(NamedTuple):
    """What came of one period."""

    offered: float
    delivered: float
    cpu_percent: float
    rss_mib: float
    growth_mib: float
    due: float
    polls: Polls

    @property
    def uncounted_percent(self) -> float:
        return 100 * (1 - sum(self.polls) / self.due)

    def __str__(self) -> str:
        return (
            f"offered {self.offered:7.0f} values/s, delivered {self.delivered:7.0f}, {self.cpu_percent:.0f} % CPU, "
            f"RSS {self.rss_mib:.1f} MiB ({self.growth_mib:+.1f}); of {self.due:.0f} polls due {self.polls.done} done, "
            f"{self.polls.late} late, {self.polls.held} held, {self.uncounted_percent:+.1f} % not counted"
        )


def counted(daemon: Daemon) -> Polls:
    status = daemon.status()
    assert status is not None
    links = status["health"]["links"]
    polls = sum(device["polls"] for link in links for device in link["devices"])
    return Polls(polls, sum(link["late"] for link in links), sum(link["held"] for link in links))


def run(period_ms: int, bench: Rig, seconds: float) -> Found:
    period_s = period_ms / 1000
    with tempfile.TemporaryDirectory() as folder:
        write_profile(Path(folder), "bench", REGISTERS)
        with Daemon(Path(folder), config(Load(DEVICES, REGISTERS, period_s), bench.ports, bench.broker)) as daemon:
            threading.Event().wait(WARM_S)
            before, rss = counted(daemon), memory_mib(daemon.pid)
            began, values, cpu = time.monotonic(), bench.delivered().values, cpu_s(daemon.pid)
            threading.Event().wait(seconds)
            took, values, cpu = time.monotonic() - began, bench.delivered().values - values, cpu_s(daemon.pid) - cpu
            peak, after = memory_mib(daemon.pid, "VmHWM"), counted(daemon)
            assert daemon.stop() == 0
    polls = Polls(*(now - then for now, then in zip(after, before, strict=True)))
    offered = DEVICES * REGISTERS / period_s
    return Found(
        offered, values / took, 100 * cpu / took, peak, peak - rss, round(seconds, -1) * DEVICES / period_s, polls
    )


def main() -> int:
    """Print the figures; 1 if a goal is missed."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 20.0
    period_ms, best_period_ms, best, uncounted = FIRST_PERIOD_MS, FIRST_PERIOD_MS, 0.0, 0.0
    with rig(DEVICES) as bench:
        while True:
            found = run(period_ms, bench, seconds)
            uncounted = max(uncounted, abs(found.uncounted_percent))
            print(f"every {period_ms} ms: {found}", flush=True)
            if found.delivered < GROWS * best:
                break
            best, best_period_ms, period_ms = found.delivered, period_ms, round(period_ms / SHRINKS)
        found = run(best_period_ms // 2, bench, seconds)
    uncounted = max(uncounted, abs(found.uncounted_percent))
    print(f"every {best_period_ms // 2} ms: {found}")
    share = 100 * found.delivered / best
    print(f"best {best:.0f} values/s; at twice the load {share:.0f} % of it; {uncounted:.1f} % not counted")
    return int(share < 90 or uncounted > 2.0)


if __name__ == "__main__":
    sys.exit(main())
