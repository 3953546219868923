"""What the daemon has written to the disk, by the kernel's count: python tests/bench/disk.py [SECONDS].

1,000, 100 and 10 values a second, ten in a reading, names of nine letters and two decimals, 1 s commits, everything
acknowledged by mosquitto. All that the process writes counts from the first second to its end, the database that the
last checkpoint writes with it; what its start writes is given apart.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from daemon import Daemon
from rig import Rig, rig, written_bytes

GOAL_BYTES = 60.0
GOAL_AT = 100  # devices of ten values each second
SETTLE_S = 5.0
BLOCK_BYTES = 512  # in which ru_oublock counts, getrusage(2)
POINTS = "\n".join(
    f"  quantity{n}: {{kind: setting, table: holding, address: {n}, type: uint16, scale: 0.01}}" for n in range(10)
)
PROFILE = f"model: Bench\nmaker: tests\nsources: [made up]\nconfidence: high\npoints:\n{POINTS}\n"


def config(bench: Rig) -> str:
    """One link and one device of ten values a port."""
    lines = ["site: {id: bench}", "gateway: {id: gw1}", "uplinks:"]
    lines += [f'  platform: {{url: "mqtt://127.0.0.1:{bench.broker}"}}', "links:"]
    lines += [f"  l{n}: {{type: tcp, host: 127.0.0.1, port: {port}}}" for n, port in enumerate(bench.ports)]
    lines += ["devices:"]
    device = "driver: modbus, unit: 1, profile: bench, every: 1s, zone: hall"
    lines += [f"  device-{n}: {{{device}, link: l{n}}}" for n in range(len(bench.ports))]
    return "\n".join(lines) + "\n"


def ended_bytes() -> int:
    """Bytes that all processes which have ended were counted for."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_oublock * BLOCK_BYTES


def written(devices: int, seconds: float) -> float:
    """Bytes per value that so many devices cost."""
    with rig(devices) as bench, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "profiles").mkdir()
        (folder / "profiles" / "bench.yaml").write_text(PROFILE)
        ended = ended_bytes()
        with Daemon(folder, config(bench)) as daemon:
            threading.Event().wait(SETTLE_S)
            before, values = written_bytes(daemon.pid), bench.delivered().values
            threading.Event().wait(seconds)
            values = bench.delivered().values - values
            running = written_bytes(daemon.pid) - before
            assert daemon.stop() == 0
        total = ended_bytes() - ended
    per_value = (total - before) / values
    print(
        f"disk: {per_value:.0f} bytes per value at {values / seconds:.0f} values/s over {seconds:.0f} s "
        f"({running / values:.0f} while running, {(total - before - running) / values:.0f} at the end; "
        f"its start {before / 1000:.0f} kB)"
    )
    return per_value


def main() -> int:
    """Print the figures; 1 if the goal is missed."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    costs = {devices: written(devices, seconds) for devices in (GOAL_AT, 10, 1)}
    print(f"goal: {GOAL_BYTES:.0f} at 1,000 values/s")
    return int(costs[GOAL_AT] > GOAL_BYTES)


if __name__ == "__main__":
    sys.exit(main())
