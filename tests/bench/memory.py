"""Memory over a long outage: `memory.py [RECORDS [READINGS_PER_S]]`, 1,000,000 records at 4,000 a second by default.

The rooms of a real gateway but for its links (hub, journal, sender and the connection, each on its thread) in a process
of its own take readings of ten values, ten times a second. For a while they go to a mosquitto; then it is ended, and so
many records are stored without a broker. Prints the resident memory before and every tenth of the way. Goal: it grows
by at most 10 MiB.
"""

from __future__ import annotations

import multiprocessing
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from multiprocessing.connection import Connection
from pathlib import Path

TOP = Path(__file__).parent.parent.parent
sys.path[:0] = [str(TOP), str(TOP / "tests")]

from linkless import Linkless, config  # noqa: E402 - from any folder
from mosquitto import mosquitto  # noqa: E402 - as above
from rig import memory_mib  # noqa: E402 - as above

GOAL_MIB = 10.0
POINTS, TICK_S, ONLINE_S = 10, 0.1, 15.0
SAMPLES = 10


def gateway(folder: Path, broker: int, per_s: float, pipe: Connection) -> None:
    """Tell the hub so many readings a second; answers each question with how many it has taken, until told to end."""
    taken, per_tick = 0, round(per_s * TICK_S)
    with Linkless(folder, config(broker, 1, site="bench", limit=70_000.0), POINTS) as linkless:
        due = time.monotonic()
        while True:
            due += TICK_S
            while pipe.poll(max(0.0, due - time.monotonic())):
                if not pipe.recv():
                    return
                pipe.send(taken)
            if linkless.gateway._hub.behind():
                continue
            for _ in range(per_tick):
                taken += 1
                linkless.reading("device-00", {f"r{point}": taken % 5000 / 100 + point for point in range(POINTS)})


def main() -> int:
    """Print the figures; 1 if the goal is missed."""
    records = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    per_s = float(sys.argv[2]) if len(sys.argv) > 2 else 4000.0
    context = multiprocessing.get_context("spawn")
    pipe, end = context.Pipe()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        broker = stack.enter_context(mosquitto(folder / "broker", "allow_anonymous true", "max_queued_messages 0"))
        process = context.Process(target=gateway, args=(folder / "gw1", broker.port, per_s, end))
        process.start()
        stack.callback(process.join, 30)
        stack.callback(pipe.send, False)
        assert process.pid is not None

        def taken() -> int:
            pipe.send(True)
            answer: int = pipe.recv()
            return answer

        threading.Event().wait(ONLINE_S)
        before_mib, begun = memory_mib(process.pid), taken()
        broker.end()
        seen = []
        for part in range(1, SAMPLES + 1):
            while taken() - begun < records * part // SAMPLES:
                threading.Event().wait(0.5)
            seen.append(memory_mib(process.pid))
        total = taken() - begun
    print(f"before the outage {before_mib:.1f} MiB; every {records // SAMPLES:,} records of it:")
    print("  " + " ".join(f"{mib:.1f}" for mib in seen))
    growth = max(seen) - before_mib
    print(f"grown by {growth:.1f} MiB at most over {total:,} records (goal {GOAL_MIB:.0f})")
    return int(growth > GOAL_MIB)


if __name__ == "__main__":
    sys.exit(main())
