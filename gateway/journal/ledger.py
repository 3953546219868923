"""Which rows the journal has, which are gone, and which uplink has which: known without looking at a single row.

Pure. A row's id is `number of its run << 40 | seq`: identity and order at once (a run may hold 10^12 records, which is
35 years at 1,000 a second, and there may be 8 million runs).

Invariants:
- Every id of a run, from its first number to its last, is a row or in `gone`; so counts are exact, and cost nothing.
- `gone` holds the ids that will never be read again: deleted, given up before they were stored, or unused between runs.
  Every uplink's set holds them too, so that a lane is one range in peace.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple, TypeAlias

from gateway.journal.ranges import Ranges, common
from gateway.model import SENT_LANES, Lane

SEQ_BITS = 40
_SEQ_MASK = (1 << SEQ_BITS) - 1
GONE = ""
"""Stands where the uplink's id would, for the ids that are gone."""

MAX_PIECES = 5_000
"""Ranges in which an uplink may confirm its rows: each is a row of its own on the disk."""

Kept: TypeAlias = tuple[str, str, int, int]
"""One range as it is stored: uplink (or GONE), lane, first id, last id."""


class Unsent(NamedTuple):
    """The ids `first` to `last` of one run, which exactly these uplinks do not have."""

    first: int
    last: int
    uplinks: tuple[str, ...]


def row_id(run_no: int, seq: int) -> int:
    """The id of the record `seq` of the run with this number."""
    return run_no << SEQ_BITS | seq


def seq_of(row: int) -> int:
    """The number that a row's record has in its run and lane."""
    return row & _SEQ_MASK


def run_of(row: int) -> int:
    """The number of the run that a row is of."""
    return row >> SEQ_BITS


def last_of_run(run_no: int) -> int:
    """The greatest id that a row of this run could have."""
    return row_id(run_no, _SEQ_MASK)


class Ledger:
    """What is known of the rows; `runs` names them by number, `ends` holds each run's last id by lane."""

    def __init__(self, uplinks: tuple[str, ...]) -> None:
        self.uplinks = uplinks
        self.runs: dict[int, str] = {}
        self.ends: dict[Lane, dict[int, int]] = {lane: {} for lane in Lane}
        self._sets = {(name, lane): Ranges() for lane in Lane for name in (*self._takers(lane), GONE)}

    def _takers(self, lane: Lane) -> tuple[str, ...]:
        """The uplinks that are to have the rows of a lane: none is to have what is local, so nobody misses it."""
        return self.uplinks if lane in SENT_LANES else ()

    def serve(self, uplinks: tuple[str, ...]) -> None:
        """There are these uplinks from now on. One that is new has nothing yet, one that goes is forgotten."""
        before, self.uplinks = self._sets, uplinks
        self._sets = {
            (name, lane): before.get((name, lane)) or Ranges() for lane in Lane for name in (*self._takers(lane), GONE)
        }
        self.recall(())

    def copy(self) -> Ledger:
        """An independent ledger that says the same: a draft that becomes true with a commit."""
        twin = Ledger(self.uplinks)
        twin.runs = dict(self.runs)
        twin.ends = {lane: dict(ends) for lane, ends in self.ends.items()}
        twin._sets = {key: ranges.copy() for key, ranges in self._sets.items()}
        return twin

    def kept(self) -> set[Kept]:
        """All ranges, as they are stored."""
        return {
            (name, lane.value, first, last) for (name, lane), ranges in self._sets.items() for first, last in ranges
        }

    def recall(self, kept: Iterable[Kept]) -> None:
        """Add what was stored; ranges of uplinks that are no longer configured are passed over."""
        for name, lane, first, last in kept:
            if (name, Lane(lane)) in self._sets:
                self._sets[name, Lane(lane)].add(first, last)
        for lane in Lane:
            for name in self._takers(lane):  # an uplink that is new here can never get what is gone
                self._sets[name, lane].merge(self._sets[GONE, lane])

    def stored(self, lane: Lane, row: int) -> None:
        """Rows up to the id `row` exist in its run."""
        ends = self.ends[lane]
        ends[run_of(row)] = max(row, ends.get(run_of(row), 0))

    def acknowledge(self, uplink: str, lane: Lane, ids: Iterable[tuple[int, int]]) -> bool:
        """An uplink has these rows; False if it is not configured."""
        members = self._sets.get((uplink, lane)) if uplink != GONE else None
        if members is None:
            return False
        for first, last in ids:
            members.add(first, last)
        return True

    def confirm(self, uplink: str, lane: Lane, ids: Iterable[tuple[int, int]]) -> None:
        """An uplink has these rows, by a platform's word, which may be anything: so only in so many pieces."""
        members = self._sets[uplink, lane]
        for first, last in ids:
            if len(members) < MAX_PIECES or first in members or first - 1 in members:
                members.add(first, last)

    def take_back(self, uplink: str, lane: Lane, first: int, last: int) -> int:
        """An uplink does not have the rows of `first` to `last` any longer; how many of them there are."""
        members, rows = self._sets[uplink, lane], 0
        for start, end in self._sets[GONE, lane].gaps(first, last):
            members.remove(start, end)
            rows += end - start + 1
        return rows

    def number_of(self, run: str) -> int | None:
        """The number of a run that has rows, or had some lately; None if it is not known."""
        return next((number for number, name in self.runs.items() if name == run), None)

    def give_up(self, lane: Lane, first: int, last: int) -> None:
        """These ids are gone, for every uplink."""
        for name in (*self._takers(lane), GONE):
            self._sets[name, lane].add(first, last)

    def close_runs(self, current: int) -> None:
        """No run before the number `current` gets another row: its unused ids are gone."""
        numbers = [*sorted(run_no for run_no in self.runs if run_no < current), current]
        for lane in Lane:
            self.give_up(lane, 0, row_id(numbers[0], 0))
            for run_no, after in pairwise(numbers):
                end = self.ends[lane].get(run_no, row_id(run_no, 0))
                self.give_up(lane, end + 1, row_id(after, 0))

    def last_seq(self, lane: Lane, run_no: int) -> int:
        """The last number that is known of a run that has not been closed; 0: none."""
        base, top = row_id(run_no, 0), last_of_run(run_no)
        gone = [last for _, last in self._sets[GONE, lane].within(base, top) if last < top]
        return seq_of(max([self.ends[lane].get(run_no, base), *gone]))

    def top(self, lane: Lane) -> int:
        """The greatest id of a row that was ever stored in a lane; 0: none."""
        return max(self.ends[lane].values(), default=0)

    def missing(self, uplink: str, lane: Lane, first: int, last: int) -> Iterator[tuple[int, int]]:
        """The ranges of `first` to `last` that an uplink does not have; all for an uplink that is not known."""
        return self._sets.get((uplink, lane), Ranges()).gaps(first, last)

    def had(self, lane: Lane) -> Ranges:
        """The ids that every uplink has, rows or not; none where there is no uplink."""
        top = last_of_run(max(self.runs, default=0))
        takers = self._takers(lane)
        return common((self._sets[name, lane] for name in takers), 0, top) if takers else Ranges()

    def sent(self, lane: Lane) -> Iterator[tuple[int, int]]:
        """The ranges of rows that every uplink has, oldest first; rows, and nothing that is gone."""
        for first, last in common((self._sets[name, lane] for name in self._takers(lane)), 0, self.top(lane)):
            yield from self._sets[GONE, lane].gaps(first, last)

    def unsent(self, lane: Lane) -> Iterator[Unsent]:
        """The ranges of rows that some uplink does not have, oldest first, one run and one set of uplinks each."""
        top = self.top(lane)
        for first, last in common((self._sets[name, lane] for name in self._takers(lane)), 0, top).gaps(0, top):
            yield from self.pieces(lane, first, last)

    def pieces(self, lane: Lane, first: int, last: int) -> Iterator[Unsent]:
        """The ids `first` to `last`, in pieces of one run and one set of uplinks that do not have them each."""
        sets = {name: self._sets[name, lane] for name in self._takers(lane)}
        while first <= last:
            edges = (members.edge_after(first) for members in sets.values())
            stop = min([last, last_of_run(run_of(first)), *(edge - 1 for edge in edges if edge is not None)])
            yield Unsent(first, stop, tuple(name for name, members in sets.items() if first not in members))
            first = stop + 1

    def rows(self) -> int:
        """How many rows there are."""
        return sum(map(self.rows_in, Lane))

    def rows_in(self, lane: Lane) -> int:
        """How many rows a lane has."""
        return self._count(GONE, lane)

    def backlog(self, uplink: str, lane: Lane | None = None) -> int:
        """How many rows an uplink does not have, of one lane or of both that it is sent."""
        return sum(self._count(uplink, each) for each in SENT_LANES if lane in {None, each})

    def _count(self, name: str, lane: Lane) -> int:
        """How many ids of all runs, up to their ends, are not in a set."""
        members = self._sets[name, lane]
        spans = ((row_id(run_no, 1), end) for run_no, end in self.ends[lane].items())
        return sum(end - first + 1 - members.count(first, end) for first, end in spans)
