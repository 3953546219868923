"""One sync of the disk for a group of records, none for an acknowledgement: a real gateway's system calls, counted."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
TURNS = 60

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="syncs are counted by strace")

SCRIPT = """
import json, os, sys, threading, time
from pathlib import Path
sys.path[:0] = [{tests!r}, {top!r}]
from gateway.demo.broker import Broker
from gateway.journal.thread import JournalThread
from gateway.model import Lane
from linkless import Linkless, config

quiet, broker = threading.Event(), Broker()

def settled(linkless, journal, events):
    until = time.monotonic() + 30
    while True:
        ledger = journal._store.ledger
        stored, left = ledger.rows_in(Lane.EVENT), ledger.backlog("platform")
        if stored >= events and not left and not linkless.gateway._hub._hub.not_stored:
            return {{"commits": journal._commits, "events": stored}}
        assert time.monotonic() < until, (stored, left)
        quiet.wait(0.05)

text = config(broker.start(), 1, limit=50.0) + "storage: {{commit_every: 200ms}}\\n"
with Linkless(Path(sys.argv[1]), text, 10 * {turns}) as linkless:
    rooms = [room for stage in linkless.gateway._supervisor._stages for room in stage.rooms]
    (journal,) = [room for room in rooms if isinstance(room, JournalThread)]
    linkless.reading("device-00", {{f"r{{point}}": 1.0 for point in range(20)}})
    before = settled(linkless, journal, 2)  # started, and the uplink's connection
    os.write(1, b"mark before\\n")
    for turn in range({turns}):
        value = 60.0 if turn % 2 == 0 else 40.0
        first = 10 * (turn - turn % 2)  # other points each time: an alarm that comes three times in a minute is held
        linkless.reading("device-00", {{f"r{{point}}": value for point in range(first, first + 20)}})
        quiet.wait(0.1)
    after = settled(linkless, journal, before["events"] + 20 * {turns})
    os.write(1, b"mark after\\n")
broker.stop()
print(json.dumps([before, after]))
"""


def test_a_group_costs_one_sync_and_an_acknowledgement_none(tmp_path: Path) -> None:
    log = tmp_path / "trace"
    code = SCRIPT.format(tests=str(TESTS), top=str(TESTS.parent), turns=TURNS)
    command = ["strace", "-f", "-y", "-qq", "-o", str(log), "-e", "trace=fsync,fdatasync,sync_file_range,write"]
    done = subprocess.run(
        [*command, sys.executable, "-c", code, str(tmp_path / "gw1")],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    before, after = json.loads(done.stdout.splitlines()[-1])
    commits, acked = after["commits"] - before["commits"], after["events"] - before["events"]
    between = log.read_text().split('"mark before\\n"')[1].split('"mark after\\n"')[0]
    synced = re.findall(r"(?:fsync|fdatasync|sync_file_range)\(\d+<([^>]*)>", between)
    assert commits >= TURNS, "each turn raises or clears twenty alarms, in one decision"
    assert acked == 20 * TURNS + 1, "each event, and that there is a flood, is a message that is acknowledged by itself"
    assert set(synced) == {str(tmp_path / "gw1" / "state" / "journal.db-wal")}
    assert len(synced) == commits
