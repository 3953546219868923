"""What a power cut may leave of the journal: python tests/faults/power_cut.py [states] [seed]. Needs strace.

A real run of the journal is traced, write by write and sync by sync. From every place in that trace states of the disk
are made as a cut at this moment may leave them: what was synced is there, and of what was written since, all, nothing,
the beginning, or any part, the last write torn at a sector or a page. A disk that lies has not honoured the last one
to four syncs either. Each state is opened as the next run would, and must hold:
- it opens;
- on either disk every record in it is the one that was written under this identity, and the next run's are others;
- on an honest disk the journal is kept, everything that was reported as stored is there, decisions are whole, and the
  chain of the events is sound.
"""

from __future__ import annotations

import json
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

TOP = Path(__file__).parents[2]
sys.path[:0] = [str(TOP), str(TOP / "tests")]

from journal_scene import MB, NOW, event, group, opened, telemetry  # noqa: E402 - from any folder

from gateway.journal.inspection import slices  # noqa: E402 - as above
from gateway.journal.store import Store  # noqa: E402 - as above
from gateway.journal.verify import verify  # noqa: E402 - as above
from gateway.model import Acked, Lane  # noqa: E402 - as above

STATES = 5_000
COMMITS = 120
PER_COMMIT = 4
MAX_LIES = 4
SMALL = MB  # of so little the WAL gets an eighth, so that it is played in many times

_CALL = re.compile(r'^(?:\d+ +)?(\w+)\((\d+)<([^>]*)>(?:, ("[^"]*")(\.\.\.)?, (\d+))?(?:, (\d+))?\) += (-?\d+)')


class Op(NamedTuple):
    """One step of a trace: a `write` at an offset, a `cut` of a file's length, a `sync`, or a `mark`, told."""

    kind: str
    file: str
    at: int = 0
    data: bytes = b""


class Files(dict[str, bytearray]):
    """What is on a disk."""

    def play(self, op: Op, data: bytes | None = None) -> None:
        """Write, or cut to a length; `data` instead of all of it, where it was torn."""
        content = self.setdefault(op.file, bytearray())
        if op.kind == "cut":
            del content[op.at :]
            content.extend(bytes(op.at - len(content)))
        elif op.kind == "write":
            written = op.data if data is None else data
            content.extend(bytes(max(0, op.at - len(content))))
            content[op.at : op.at + len(written)] = written


def text(lane: Lane, seq: int) -> str:
    """What the traced run writes under a number; of every third reading the names are stored once (shape.py)."""
    if lane is not Lane.EVENT and seq % 3 == 0:
        return f'{{"device":"{lane}-{seq % 60}","values":{{"n":{seq},"x":{seq * 7919 % 1000003}.25}}}}'
    return f'{{"device":"{lane}-{seq}","values":{{"n":{seq},"x":"{seq * 7919 % 1000003:06d}{"y" * (seq % 200)}"}}}}'


def writer(path: Path) -> None:
    """The traced process: commits of an event and some telemetry, each told when it has returned."""
    store = opened(path, "run-1", max_size=SMALL)
    print("mark 0", flush=True)
    for number in range(1, COMMITS + 1):
        numbers = range((number - 1) * PER_COMMIT + 1, number * PER_COMMIT + 1)
        made = [telemetry(seq, NOW, text(Lane.TELEMETRY, seq)) for seq in numbers]
        made.append(telemetry(number, NOW, text(Lane.LOCAL, number))._replace(lane=Lane.LOCAL))
        rows = store.commit(group(event(number, NOW, text(Lane.EVENT, number)), *made, n=str(number)), (), NOW)
        print(f"mark {number}", flush=True)
        store.acknowledge(Acked("platform", Lane.TELEMETRY, ((rows[1].id, rows[-2].id),)))


def traced(folder: Path) -> list[Op]:
    """The steps of a run of `writer`."""
    path, log = folder / "traced" / "journal.db", folder / "trace"
    calls = "trace=pwrite64,write,ftruncate,fsync,fdatasync"
    command = ["strace", "-f", "-y", "-xx", "-s", "1000000", "-e", calls, "-o", str(log)]
    command += [sys.executable, __file__, "--writer", str(path)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=300)
    ops = list(_ops(log, str(path)))
    left = Files()
    for op in ops:
        left.play(op)
    if bytes(left["journal.db"]) != path.read_bytes():
        raise RuntimeError("the trace is not what was written")
    return ops


def _ops(log: Path, path: str) -> Iterator[Op]:
    with log.open(encoding="ascii") as lines:
        for line in lines:
            call = _CALL.match(line)
            if call is None or call[8].startswith("-"):
                continue
            name, file = call[1], bytes.fromhex(call[3].replace("\\x", "")).decode() if "\\x" in call[3] else call[3]
            data = bytes.fromhex(call[4][1:-1].replace("\\x", "")) if call[4] else b""
            if name == "write" and data.startswith(b"mark "):
                yield Op("mark", "", int(data[5:]))
            elif file in {path, f"{path}-wal"}:
                short = Path(file).name
                if name == "pwrite64":
                    yield Op("write", short, int(call[7]), data)
                elif name == "ftruncate":
                    yield Op("cut", short, int(re.search(r", (\d+)\)", line)[1]))  # type: ignore[index]  # it matched
                elif name in {"fsync", "fdatasync"}:
                    yield Op("sync", short)


def left_by_a_cut(ops: list[Op], at: int, lies: int, chance: random.Random) -> Files:
    """The disk after a cut behind the first `at` steps; of its syncs the last `lies` were none."""
    syncs = [number for number in range(at) if ops[number].kind == "sync"]
    honoured = set(syncs[: len(syncs) - lies])
    durable = {ops[number].file: number for number in sorted(honoured)}
    files = Files()
    pending: list[Op] = []
    for number, op in enumerate(ops[:at]):
        if op.kind in {"write", "cut"}:
            if number < durable.get(op.file, -1):
                files.play(op)
            else:
                pending.append(op)
    way = chance.choice(("all", "nothing", "beginning", "part", "part"))
    if way == "beginning":
        pending = pending[: chance.randrange(len(pending) + 1)]
    elif way == "nothing":
        pending = []
    elif way == "part":
        pending = [op for op in pending if chance.random() < 0.6]
    for op in pending:
        is_torn = op.kind == "write" and len(op.data) > 512 and (op is pending[-1] or chance.random() < 0.1)
        tear = chance.choice((512, 1024, 2048, len(op.data)))
        files.play(op, op.data[: chance.randrange(0, len(op.data) + 1, tear)] if is_torn else None)
    return files


def is_whole(stored: str | None) -> bool:
    """Whether this is a record's text; else nobody is sent it: its names, or a part of it, are of another state."""
    try:
        return isinstance(json.loads(stored or ""), dict)
    except ValueError:
        return False


def judged(files: Files, folder: Path, marks: int, *, honest: bool) -> str:
    """What became of a state; AssertionError where it does not hold."""
    path = folder / "journal.db"
    for name, content in files.items():
        (folder / name).write_bytes(content)
    store = Store(path, "run-2", "boot-1", ("platform",), SMALL)
    found, _ = store.open(NOW)
    new = store.commit(group(event(1), telemetry(1)), (), NOW)
    runs = dict(store.handle.db.execute("SELECT run, no FROM runs"))
    store.close()
    there = {lane: {line.id: line.text for lines in slices(path, lane) for line in lines} for lane in Lane}
    for made in new:
        assert there[made.record.lane].pop(made.id) == made.record.text, (
            "the next run's record has another one's identity"
        )
    for lane in Lane:
        for row, stored in there[lane].items():
            if not honest and (
                "run-1" not in runs or not is_whole(stored)
            ):  # lost with the syncs that were not honoured
                assert row >> 40 != runs["run-2"], "two runs have one number"
                continue
            assert row >> 40 == runs["run-1"]
            assert stored == text(lane, row & 0xFFFFFFFF), "a record under another one's identity"
    last = max(there[Lane.EVENT], default=0) & 0xFFFFFFFF
    if honest:
        assert found.fate == "kept"
        assert last >= marks, f"{marks} commits were reported, {last} are there"
        assert found.state == ({"n": str(last)} if last else {}), "state and records are of different commits"
        whole = {lane: {row & 0xFFFFFFFF for row in there[lane]} for lane in Lane}
        assert whole[Lane.EVENT] == set(range(1, last + 1))
        assert whole[Lane.TELEMETRY] == set(range(1, last * PER_COMMIT + 1)), "half a decision"
        assert whole[Lane.LOCAL] == set(range(1, last + 1)), "half a decision"
        assert verify(path).is_sound
    missing = "nothing reported" if last >= marks else "the end"
    return f"{found.fate}, {missing} is missing"


def cuts(states: int, seed: int) -> tuple[Counter[str], int]:
    """Judge so many states, half of them of an honest disk: what became of them, and how many steps the trace had."""
    chance = random.Random(seed)
    told: Counter[str] = Counter()
    shm = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shm if shm.is_dir() else None) as name:
        folder = Path(name)
        ops = traced(folder)
        begin = next(number for number, op in enumerate(ops) if op.kind == "mark") + 1
        for state in range(states):
            at = begin + (state * (len(ops) - begin) // states if states > 1 else 0) + chance.randrange(2)
            lies = 0 if state % 2 else chance.randint(1, MAX_LIES)
            marks = max((op.at for op in ops[:at] if op.kind == "mark"), default=0)
            disk = folder / "disk"
            disk.mkdir()
            files = left_by_a_cut(ops, min(at, len(ops)), lies, chance)
            try:
                told[f"{'lying' if lies else 'honest'} disk: {judged(files, disk, marks, honest=not lies)}"] += 1
            except Exception as error:
                error.add_note(
                    f"state {state} of {states}, seed {seed}: cut behind step {at}, {lies} syncs not honoured"
                )
                raise
            finally:
                shutil.rmtree(disk)
    return told, len(ops)


def main() -> int:
    """Print the figures."""
    if sys.argv[1:2] == ["--writer"]:
        writer(Path(sys.argv[2]))
        return 0
    states = int(sys.argv[1]) if len(sys.argv) > 1 else STATES
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(1 << 32)
    told, steps = cuts(states, seed)
    print(f"power cut: {states:,} states of a run of {COMMITS} commits, {steps:,} steps; seed {seed}")
    for what, count in sorted(told.items()):
        print(f"  {count:6,}  {what}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
