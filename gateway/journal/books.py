"""What is known of the rows and kept with them: the ledger and the gaps, in memory and as the disk has them.

The ledger in memory becomes what a transaction made of it only when that has been committed. Acknowledgements are true
anyway: they go into it at once, and to the disk with a later commit.
"""

from __future__ import annotations

import sqlite3

from gateway.journal.gaps import Gaps
from gateway.journal.ledger import Kept, Ledger


class Books:
    """The ledger and the gaps of one journal; `kept` is the ledger as on the disk."""

    def __init__(self, uplinks: tuple[str, ...]) -> None:
        self.ledger = Ledger(uplinks)
        self.kept: set[Kept] = set()
        self.gaps = Gaps()

    def write(self, db: sqlite3.Connection, ledger: Ledger) -> set[Kept]:
        """Write down what has changed in the ledger; gives what the disk has when this is committed."""
        kept = ledger.kept()
        old, new = self.kept - kept, kept - self.kept
        db.executemany("DELETE FROM acked WHERE uplink = ? AND lane = ? AND first = ?", [range_[:3] for range_ in old])
        db.executemany("INSERT OR REPLACE INTO acked VALUES (?, ?, ?, ?)", new)
        return kept
