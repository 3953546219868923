"""What the journal itself says, after the daemon has stopped, of records that nobody has acknowledged."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from gateway.errors import JournalDown
from gateway.journal.ledger import run_of, seq_of
from gateway.journal.statelock import JOURNAL_FILE
from gateway.journal.store import Store
from gateway.model import Lane

_MOST_BYTES = 1_000_000_000


def unacknowledged(state_dir: Path, run: str, uplink: str, numbered: Mapping[Lane, int]) -> int | None:
    """How many stored records of `run`, up to the number given for each lane, `uplink` has not acknowledged.

    Looks at a copy, because to open a journal is to write into it. None where it cannot be read.
    """
    with tempfile.TemporaryDirectory(prefix="sitewarden-demo-") as folder:
        try:
            copy = Path(shutil.copy2(state_dir / JOURNAL_FILE, folder))
            store = Store(copy, run, "", (uplink,), _MOST_BYTES)
            store.open(time.time_ns() // 1_000_000)
        except (OSError, JournalDown):
            return None
        left = [
            min(seq_of(unsent.last), last) - seq_of(unsent.first) + 1
            for lane, last in numbered.items()
            for unsent in store.ledger.unsent(lane)
            if store.ledger.runs[run_of(unsent.first)] == run and seq_of(unsent.first) <= last
        ]
        store.close()
        return sum(left)
