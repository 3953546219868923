"""What a power cut may leave of a journal that is being opened: python tests/faults/cut_openings.py [states] [seed].

Needs strace. A start is traced where there is no file yet, a file of an older version, and a damaged one with its WAL,
whose state and unsent records must not be lost: each file that is made, renamed or deleted, each write and each sync.
States of the disk are made as a cut at every step may leave them: data as in power_cut.py; names as a file system with
a journal keeps them, in their order, at least up to the last sync of the folder. Each state is opened by the next run:
- it opens, and what the first start had reported as stored is there;
- the state is kept, and every record that was there before is there, for the platform as well.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

TOP = Path(__file__).parents[2]
sys.path[:0] = [str(TOP), str(TOP / "tests"), str(TOP / "tests" / "faults")]

from journal_scene import NOW, backlog, event, group, opened, telemetry  # noqa: E402 - from any folder
from power_cut import SMALL, Op, left_by_a_cut  # noqa: E402 - as above
from sqlite_utils import Database  # noqa: E402 - as above

from gateway.journal import migrations  # noqa: E402 - as above
from gateway.journal.inspection import slices  # noqa: E402 - as above
from gateway.journal.ledger import row_id  # noqa: E402 - as above
from gateway.journal.store import Store  # noqa: E402 - as above
from gateway.model import Lane  # noqa: E402 - as above

STATES = 1_000
NAME = "journal.db"
STATE = {"alarm": '"raised"'}
ROWS = 200

_CALLS = "openat,rename,unlink,pwrite64,write,ftruncate,fsync,fdatasync"
_FILE = re.compile(r'(\w+)\(\d+<([^>]*)>(?:, "([^"]*)", \d+)?(?:, (\d+))?\) += \d')
_NAMED = re.compile(r'(openat|rename|unlink)\((?:AT_FDCWD(?:<[^>]*>)?, )?"([^"]*)"(?:, "([^"]*)")?(.*)\) += \d')


class Trace(NamedTuple):
    """The steps of a start, and before the first and after each of them, the files by name. In steps they are numbers.

    `synced`: as how many steps ago the names are on the disk for certain.
    """

    ops: list[Op]
    names: list[Mapping[str, str]]
    synced: list[int]
    inodes: Mapping[int, str]  # of the files that were there before


def nothing(_: Path) -> None:
    """No journal yet."""


def older(path: Path) -> None:
    """A journal as the first version wrote it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        migrations.steps.apply(Database(db), stop_before="event_chain")
        db.execute("BEGIN")
        db.execute("INSERT INTO runs VALUES (1, 'run-1', 'boot-1', ?)", (NOW,))
        db.execute("INSERT INTO state VALUES ('alarm', ?)", (STATE["alarm"],))
        for lane, made in ((Lane.EVENT, event), (Lane.TELEMETRY, telemetry)):
            for record in map(made, range(1, ROWS + 1)):
                columns = row_id(1, record.seq), NOW, "synced", record.mono_ms, record.text
                db.execute(f"INSERT INTO {lane} VALUES (?, ?, ?, ?, ?)", columns)
        db.execute("COMMIT")
        db.execute("PRAGMA user_version = 1")


def damaged(path: Path) -> None:
    """A journal with a page that cannot be read, and with a WAL, as a power cut leaves it."""
    store = opened(path.with_name("whole.db"), "run-1", max_size=SMALL)
    for seq in range(1, ROWS + 1):
        store.commit(group(event(seq), telemetry(seq), **STATE), (), NOW)
    for part in ("", "-wal"):
        shutil.copy(path.with_name(f"whole.db{part}"), f"{path}{part}")
    store.close()
    for left in path.parent.glob("whole.db*"):
        left.unlink()
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as db:
        (page,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'acked'").fetchone()
    with path.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xff" * 4096)


BEGINNINGS: Mapping[str, Callable[[Path], None]] = {"no file": nothing, "older": older, "damaged": damaged}


def starter(path: Path) -> None:
    """The traced process: a start, and a commit; it is not ended in an orderly way."""
    store = opened(path, "run-2", max_size=SMALL)
    print("mark 0", flush=True)
    store.commit(group(event(1), telemetry(1)), (), NOW)
    print("mark 1", flush=True)
    os._exit(0)


def traced(folder: Path, log: Path) -> Trace:
    """A start in this folder."""
    before = sorted(folder.iterdir())
    names = {path.name: str(number) for number, path in enumerate(before)}
    inodes = {path.stat().st_ino: names[path.name] for path in before}
    kept = [
        op
        for path in before
        for op in (Op("write", names[path.name], 0, path.read_bytes()), Op("sync", names[path.name]))
    ]
    trace = Trace(kept, [dict(names)] * (len(kept) + 1), [0] * (len(kept) + 1), inodes)
    command = ["strace", "-f", "-y", "-xx", "-s", "1000000", "-e", f"trace={_CALLS}", "-o", str(log)]
    command += [sys.executable, __file__, "--starter", str(folder / NAME)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=300)
    with log.open(encoding="ascii") as lines:
        for op in _steps(lines, folder, names):
            trace.ops.append(op)
            trace.names.append(dict(names))
            trace.synced.append(len(trace.ops) if op.kind == "folder" else trace.synced[-1])
    return trace


def _steps(lines: Iterable[str], folder: Path, names: dict[str, str]) -> Iterator[Op]:
    """The steps in this folder; `names` follows them."""
    made = len(names)
    for line in lines:
        if (call := _NAMED.search(line)) is not None:
            name, to = (_inside(_text(part), folder) for part in (call[2], call[3] or ""))
            if call[1] == "rename" and name in names:
                names[to] = names.pop(name)
            elif call[1] == "unlink" and name in names:
                del names[name]
            elif call[1] == "openat" and "O_CREAT" in call[4] and name and name not in names:
                names[name] = str(made)
                made += 1
            else:
                continue
            yield Op("names", "")
        elif (call := _FILE.search(line)) is not None:
            path, data = _text(call[2]), bytes.fromhex((call[3] or "").replace("\\x", ""))
            if call[1] == "write" and data.startswith(b"mark "):
                yield Op("mark", "", int(data[5:]))
            elif path == str(folder):
                yield Op("folder", "")
            elif (name := _inside(path, folder)) in names and not name.endswith("-shm"):
                yield from _on_file(call[1], names[name], data, call[4])


def _on_file(call: str, file: str, data: bytes, number: str | None) -> Iterator[Op]:
    if call == "pwrite64":
        yield Op("write", file, int(number or 0), data)
    elif call == "write":  # the files that are written so are written at once
        yield Op("write", file, 0, data)
    elif call == "ftruncate":
        yield Op("cut", file, int(number or 0))
    else:
        yield Op("sync", file)


def _text(told: str) -> str:
    return bytes.fromhex(told.replace("\\x", "")).decode() if "\\x" in told else told


def _inside(path: str, folder: Path) -> str:
    return Path(path).name if Path(path).parent == folder else ""


def put_back(trace: Trace, at: int, folder: Path, chance: random.Random) -> None:
    """Write a state of the disk after a cut behind the first `at` steps."""
    files = left_by_a_cut(trace.ops, at, 0, chance)
    names = trace.names[chance.randint(trace.synced[at], at)]
    for name, number in names.items():
        if not name.endswith("-shm"):
            (folder / name).write_bytes(files.get(number, b""))
    mark = folder / f"{NAME}-damaged"
    if mark.exists():  # it names the file by its inode, which is another one here
        told = json.loads(mark.read_text())
        number = trace.inodes[told["file"]]
        inode = next((folder / name).stat().st_ino for name, its in names.items() if its == number)
        mark.write_text(json.dumps(told | {"file": inode}))


def judged(folder: Path, marks: int, beginning: str) -> str:
    """What became of a state; AssertionError where it does not hold."""
    path = folder / NAME
    store = Store(path, "run-3", "boot-1", ("platform",), SMALL)
    found, _ = store.open(NOW)
    numbers = {run: number for number, run in store.ledger.runs.items()}
    store.commit(group(event(1), telemetry(1)), (), NOW)
    unsent = {row.id for lane in (Lane.EVENT, Lane.TELEMETRY) for row in backlog(store, lane).rows}
    store.close()
    there = {line.id for lane in (Lane.EVENT, Lane.TELEMETRY) for lines in slices(path, lane) for line in lines}
    assert there == unsent, "the platform gets something else than what there is"
    if beginning != "no file":
        assert found.state == STATE
        assert {row_id(numbers["run-1"], seq) for seq in range(1, ROWS + 1)} <= there, "what was there is not there"
    if marks:
        assert row_id(numbers["run-2"], 1) in there, "what was reported as stored is not there"
    return found.fate


def cuts(beginning: str, states: int, seed: int) -> Counter[str]:
    """Judge so many states of one beginning: what became of them."""
    chance = random.Random(seed)
    told: Counter[str] = Counter()
    shm = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shm if shm.is_dir() else None) as name:
        folder, disk = Path(name, "traced"), Path(name, "disk")
        folder.mkdir()
        BEGINNINGS[beginning](folder / NAME)
        trace = traced(folder, Path(name, "trace"))
        for state in range(states):
            at = min(len(trace.ops), len(trace.inodes) * 2 + state * len(trace.ops) // states)
            marks = max((op.at for op in trace.ops[:at] if op.kind == "mark"), default=0)
            disk.mkdir()
            put_back(trace, at, disk, chance)
            try:
                told[judged(disk, marks, beginning)] += 1
            except Exception as error:
                error.add_note(f"{beginning}: state {state} of {states}, seed {seed}: cut behind step {at}")
                raise
            finally:
                shutil.rmtree(disk)
    return told


def main() -> int:
    """Print the figures."""
    if sys.argv[1:2] == ["--starter"]:
        starter(Path(sys.argv[2]))
    states = int(sys.argv[1]) if len(sys.argv) > 1 else STATES
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(1 << 32)
    for beginning in BEGINNINGS:
        told = cuts(beginning, states, seed)
        print(f"cut openings: {beginning}, {states:,} states, seed {seed}: {dict(told)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
