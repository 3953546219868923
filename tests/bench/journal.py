"""What the journal costs: python tests/bench/journal.py [folder on the disk to measure]. CPU of its thread alone.

Goals: at most 2 % of a core at 1,000 decisions a second, 50,000 values a second read back. What is written per value is
shown for 1,000, 100 and 10 values a commit, ten in a reading, with acknowledgements stored with every fifth.
"""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from pathlib import Path

TOP = Path(__file__).parent.parent.parent
sys.path[:0] = [str(TOP), str(TOP / "tests")]

from journal_scene import NOW, Scene, backlog, event, group, opened, storage, telemetry  # noqa: E402 - from any folder

from gateway.clock import SystemClock  # noqa: E402 - as above
from gateway.model import Acked, Lane, Record  # noqa: E402 - as above

GOAL_PERCENT, GOAL_VALUES_S, GOAL_BYTES = 2.0, 50_000, 60
SECONDS, TICK_S, PER_TICK = 5, 0.01, 10
VALUES = ",".join(f'"quantit{n}":{n}.25' for n in range(10))
TEXT = f'{{"device":"cold-store-1","values":{{{VALUES}}}}}'


def main() -> int:
    """Print the figures; 1 if one misses its goal."""
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as name:
        folder = Path(name)
        missed = [
            busy_thread(folder / "thread") > GOAL_PERCENT,
            read_back(folder / "read") < GOAL_VALUES_S,
        ]
        for rows in (100, 10, 1):
            written(folder / f"written-{rows}", rows)
        event_latency(folder / "event")
    return int(any(missed))


def reading(seq: int) -> Record:
    """One reading of ten values."""
    return telemetry(seq, NOW, TEXT)


def busy_thread(folder: Path) -> float:
    """Percent of a core that the journal's thread takes at 1,000 decisions a second, each posted by itself."""
    scene = Scene(folder / "journal.db", SystemClock(), storage(), ("platform",), "run-1")
    thread = threading.Thread(target=scene.journal.run)
    thread.start()
    scene.post(event(1))
    scene.stored(1)
    clock, task = time.pthread_getcpuclockid(thread.ident or 0), Path(f"/proc/self/task/{thread.native_id}/status")
    cpu, wakes, posting, seq = time.clock_gettime(clock), switches(task), 0.0, 0
    begin = time.monotonic()
    pause = threading.Event()
    for tick in range(int(SECONDS / TICK_S)):
        pause.wait(max(0.0, begin + tick * TICK_S - time.monotonic()))
        before = time.thread_time()
        for _ in range(PER_TICK):
            seq += 1
            scene.post(reading(seq))
        posting += time.thread_time() - before
    taken = time.monotonic() - begin
    percent = 100 * (time.clock_gettime(clock) - cpu) / taken
    per_second = (switches(task) - wakes) / taken
    scene.journal.stop()
    thread.join()
    print(f"thread: {percent:.2f} % of a core at {seq / taken:.0f} decisions/s (goal {GOAL_PERCENT:.0f}), ", end="")
    print(f"{per_second:.0f} switches/s; posting takes its caller {posting / seq * 1e6:.1f} µs, the record included")
    return percent


def switches(task: Path) -> int:
    """How often a thread has gone to sleep."""
    lines = dict(line.split(":\t", 1) for line in task.read_text(encoding="ascii").splitlines() if ":\t" in line)
    return int(lines["voluntary_ctxt_switches"])


def written(folder: Path, rows: int) -> None:
    """Bytes that reach the disk per value: so many readings in each of 600 commits, acknowledged with every fifth."""
    store = opened(folder / "journal.db")
    before = disk_bytes()
    for commit in range(600):
        readings = group(*(reading(commit * rows + n) for n in range(1, rows + 1)))
        stored = store.commit(readings, (), NOW, with_acks=not commit % 5)
        store.acknowledge(Acked("platform", Lane.TELEMETRY, ((stored[0].id, stored[-1].id),)))
    store.close()
    per_value = (disk_bytes() - before) / (600 * rows * 10)
    print(f"disk: {per_value:.0f} bytes per value at {rows * 10} values per commit", end="")
    print(f" ({len(TEXT) / 10:.0f} in the text; goal {GOAL_BYTES} at 1,000)")


def disk_bytes() -> int:
    """Bytes that this process has sent to disks."""
    lines = dict(line.split(": ") for line in Path("/proc/self/io").read_text(encoding="ascii").splitlines())
    return int(lines["write_bytes"])


def read_back(folder: Path) -> float:
    """Values a second that a backlog of 100,000 readings gives, in chunks of 500."""
    store = opened(folder / "journal.db")
    for start in range(0, 100_000, 1000):
        store.commit(group(*(reading(start + n) for n in range(1, 1001))), (), NOW)
    begin, after, count = time.process_time(), 0, 0
    while True:
        answer = backlog(store, Lane.TELEMETRY, after=after, limit=500)
        count += len(answer.rows)
        if answer.done:
            break
        after = answer.rows[-1].id
    rate = count * 10 / (time.process_time() - begin)
    store.close()
    print(f"backlog: {rate:,.0f} values per CPU second read back (goal {GOAL_VALUES_S:,})")
    return rate


def event_latency(folder: Path) -> None:
    """Milliseconds from handing an event over to hearing that it is on the disk."""
    scene = Scene(folder / "journal.db", SystemClock(), storage(), ("platform",), "run-1")
    thread = threading.Thread(target=scene.journal.run)
    thread.start()
    times = []
    for seq in range(1, 301):
        begin = time.perf_counter()
        scene.post(event(seq))
        scene.stored(seq)
        times.append((time.perf_counter() - begin) * 1000)
    scene.journal.stop()
    thread.join()
    times.sort()
    print(f"event: on the disk after {times[150]:.1f} ms (p50), {times[297]:.1f} ms (p99)")


if __name__ == "__main__":
    sys.exit(main())
