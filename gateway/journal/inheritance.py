"""What a new file takes over from the one before it, which was set aside as damaged, or deleted.

It is tried in the transaction that enrols the run: where that fails, the next opening tries again, in the next start
too. Salvage that fails again and again is done without.
"""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path
from typing import NamedTuple

from gateway.journal import chaining, salvage, setaside
from gateway.journal.chain import START
from gateway.journal.chaining import End
from gateway.journal.faults import JournalDamaged
from gateway.journal.ledger import Ledger
from gateway.journal.space import Space, pragma
from gateway.model import Dropped, Lane

_TRIES = 100
"""After so many transactions that failed with it, minutes later, salvage may be the reason."""

log = logging.getLogger(__name__)


class Inherited(NamedTuple):
    """The ledger with what was carried over, the gaps of what was not, and whether anything was."""

    ledger: Ledger
    lost: tuple[Dropped, ...]
    is_salvaged: bool


class Inheritance:
    """What the files before left to the journal at `path`; `end` is the last link of the chain, as on the disk."""

    def __init__(self, path: Path, space: Space) -> None:
        self.end = End(START, 0)
        self._path = path
        self._space = space
        self._lost: tuple[Dropped, ...] = ()  # with a file that was set aside, not noted yet
        self._aside: Path | None = None  # a damaged file whose rows are not in a new one yet
        self._left: Path | None = None  # one of an earlier start, unless the file is a new one that has its rows
        self._tries_left = _TRIES

    @property
    def is_open(self) -> bool:
        """Whether there is a damaged file whose rows are not in a new one yet."""
        return self._aside is not None

    @property
    def aside(self) -> str:
        """What that file is called; "" if there is none, or none any longer, since the journal needed its room."""
        return self._aside.name if self._aside is not None and self._aside.exists() else ""

    def set_aside(self, why: JournalDamaged, now_ts: int) -> None:
        """Rename the damaged file; one that has nothing but what another gives, which is there, is begun again."""
        before = self._aside or self._left
        if before is not None and before.exists():
            self._aside = before
            log.error("%s: it was new, and is begun again", why)
            setaside.delete(self._path)
            return
        aside = setaside.move(self._path, now_ts)
        log.error("%s: it is kept as %s, and a new one begun", why, aside)
        self._aside = aside

    def resume(self) -> None:
        """Before the file is opened: go on with one that was damaged, where a start was cut off."""
        if self._aside is None:
            self._left = setaside.unfinished(self._path)

    def forget_rows(self, ledger: Ledger, reason: str) -> None:
        """The rows are out of reach: what some uplink did not have becomes a gap, noted when there is a file again."""
        self._lost += salvage.losses(ledger, salvage.nothing().present, reason)

    def written(self) -> None:
        """The transaction with all of it is on the disk: no start needs to do it again."""
        setaside.finished(self._path)

    def taken(self) -> None:
        """The file is open, and nothing is left to do."""
        self._lost, self._aside, self._left, self._tries_left = (), None, None, _TRIES

    def chain(self, db: sqlite3.Connection) -> End:
        """The last link of the chain; a file that has none yet goes on with the one that it follows."""
        found = chaining.recall(db)
        if found is None or (found.head == START and self.end.head != START):
            found = self.end
            chaining.anchor(db, found)
        return found

    def take(self, db: sqlite3.Connection, known: Ledger) -> Inherited:
        """Carry over what a file that was set aside still gives."""
        if self._left is not None and not pragma(db, "user_version"):
            self._aside = self._left
        if self._aside is None:
            return Inherited(known, self._lost, is_salvaged=False)
        ledger, found = known.copy(), salvage.nothing()
        if self._tries_left:
            self._tries_left -= 1
            ledger, found = self._salvaged(self._aside, db, known)
        if self.end.head == START and found.end is not None:
            self.end = found.end
        lost = salvage.losses(ledger, found.present, "journal_damaged")
        carried = {lane: sum(last - first + 1 for first, last in found.present[lane]) for lane in Lane}
        (states,) = db.execute("SELECT count(*) FROM state").fetchone()
        log.warning(
            "carried over from %s: %d events, %d records of telemetry, %d local ones; %d unsent are lost",
            self._aside,
            carried[Lane.EVENT],
            carried[Lane.TELEMETRY],
            carried[Lane.LOCAL],
            sum(gap.records for gap in lost),
        )
        return Inherited(ledger, self._lost + lost, any(carried.values()) or states > 0)

    def _salvaged(self, aside: Path, db: sqlite3.Connection, known: Ledger) -> tuple[Ledger, salvage.Salvaged]:
        ledger = known.copy()
        db.execute("SAVEPOINT salvage")
        try:
            return ledger, salvage.carry_over(aside, db, ledger, self._space.salvage_bytes())
        except (
            ArithmeticError,
            ValueError,
            TypeError,
            LookupError,
            AttributeError,
        ):  # a damaged file may hold anything
            log.exception("nothing can be carried over from %s", aside)
            db.execute("ROLLBACK TO salvage")
            return known.copy(), salvage.nothing()
