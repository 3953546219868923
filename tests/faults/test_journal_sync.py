"""A disk that cannot write or sync, or takes seconds over it: strace makes a real journal's system calls fail."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from journal_scene import opened

TESTS = Path(__file__).parents[1]

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="system calls are made to fail by strace")

SCRIPT = """
import json, sys, time
from pathlib import Path
sys.path[:0] = [{tests!r}, {top!r}]
from journal_scene import HandClock, event, running, telemetry
from gateway.model import JournalFailed, JournalRestored, Lane, Stored, Unstored
clock, path = HandClock(), Path(sys.argv[1])
with running(path, clock, run="run-2") as scene:
    scene.post(event(1))
    scene.stored(1)
    told = {{}}
    def until(kind):
        return scene.hub.wait(kind)
{script}
print(json.dumps(told))
"""


def told_by(path: Path, fault: str, script: str, call: str = "fdatasync") -> dict[str, Any]:
    """What a script around a running journal tells, whose syncs (or writes) of the WAL fail in this way."""
    opened(path).close()  # so that the run's own opening is one commit
    lines = "".join(f"    {line}\n" for line in script.strip().splitlines())
    code = SCRIPT.format(tests=str(TESTS), top=str(TESTS.parent), script=lines)
    command = ["strace", "-f", "-qq", "-o", str(path.parent.parent / "trace"), "-P", f"{path}-wal"]
    command += ["-e", f"inject={call}:{fault}", "-e", f"trace={call}"]
    done = subprocess.run(
        [*command, sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


FAILING = """
scene.post(event(2), telemetry(1), telemetry(2), alarm="raised")
failed = until(JournalFailed)
told["what"], told["hint"] = failed.what, failed.hint
told["sent"] = [row.record.seq for row in scene.sender.wait(Unstored).rows]
scene.post(event(3))
while not scene.hub.so_far(JournalRestored):
    clock.advance(5.0)
    scene.post(n=str(clock.mono()))
    scene.ask(Lane.TELEMETRY)
told["failures"] = len(scene.hub.so_far(JournalFailed))
told["events"] = [row.record.seq for row in scene.ask(Lane.EVENT).rows]
told["telemetry"] = [row.record.seq for row in scene.ask(Lane.TELEMETRY).rows]
"""


def test_an_io_error_of_a_sync_costs_the_handle_and_nothing_else(tmp_path: Path) -> None:
    told = told_by(tmp_path / "state" / "journal.db", "error=EIO:when=4..6", FAILING)
    assert "the disk reports an error (SQLITE_IOERR_FSYNC" in told["what"]
    assert "replace the SD card" in told["hint"]
    assert told["sent"] == [1, 2]  # while the disk fails
    assert (told["failures"], told["events"], told["telemetry"]) == (1, [1, 2, 3], [1, 2])


def writes_until_then(folder: Path) -> int:
    """How often the WAL is written by a journal that is opened, stores its first event and ends."""
    told_by(folder / "state" / "journal.db", "delay_enter=0", "pass", "pwrite64")
    return (folder / "trace").read_text().count("pwrite64(")


def test_an_io_error_of_a_write_is_overcome_in_the_same_way(tmp_path: Path) -> None:
    first = writes_until_then(tmp_path / "dry") + 1
    told = told_by(tmp_path / "state" / "journal.db", f"error=EIO:when={first}..{first + 2}", FAILING, "pwrite64")
    assert "the disk reports an error (SQLITE_IOERR_WRITE" in told["what"]
    assert told["sent"] == [1, 2]
    assert (told["failures"], told["events"], told["telemetry"]) == (1, [1, 2, 3], [1, 2])


def test_a_disk_that_is_full_in_the_middle_of_a_commit_takes_it_at_the_second_attempt(tmp_path: Path) -> None:
    first = writes_until_then(tmp_path / "dry") + 1
    script = """
scene.post(event(2), telemetry(1))
scene.stored(2)
told["failures"] = len(scene.hub.so_far(JournalFailed))
told["events"] = [row.record.seq for row in scene.ask(Lane.EVENT).rows]
"""
    told = told_by(tmp_path / "state" / "journal.db", f"error=ENOSPC:when={first + 1}", script, "pwrite64")
    assert told == {"failures": 0, "events": [1, 2]}
    assert "ENOSPC" in (tmp_path / "trace").read_text()


HANGING = """
began = time.monotonic()
scene.post(event(2), telemetry(1))
scene.post(event(3), telemetry(2))
told["posting_s"] = time.monotonic() - began
rows = scene.stored(3).rows
told["stored_s"] = time.monotonic() - began
told["events"] = [row.record.seq for row in scene.ask(Lane.EVENT).rows]
told["failures"] = len(scene.hub.so_far(JournalFailed))
"""


def test_a_sync_that_hangs_for_seconds_holds_up_nobody_who_posts_and_loses_nothing(tmp_path: Path) -> None:
    told = told_by(tmp_path / "state" / "journal.db", "delay_enter=2000000:when=4", HANGING)
    assert told["posting_s"] < 0.5
    assert told["stored_s"] > 1.9
    assert (told["events"], told["failures"]) == ([1, 2, 3], 0)
