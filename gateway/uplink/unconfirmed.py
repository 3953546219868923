"""Where only the platform's own word counts: what was sent and is not confirmed yet. Pure.

- A record is entered when it leaves, and waits from its PUBACK on. What was not confirmed within the patience goes
  again from the journal, which has it as not acknowledged all the time.
- The patience doubles each time nothing at all was confirmed meanwhile, up to an hour: a platform that is down is not
  flooded by way of its broker. Any confirmation brings it back.
- What waits is bounded. Beyond the first bound of a lane its backlog pauses, beyond the second one the lane: it goes on
  in the journal.
- An event that left before it was stored has no row yet; it is found by its number.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from gateway.model import Lane, Row
from gateway.uplink.confirmation import Confirmation

BOUNDS = {Lane.TELEMETRY: (10_000, 20_000), Lane.EVENT: (2_500, 5_000)}
"""Records of a lane that wait, at most: where its backlog pauses, and where the lane does."""

LONGEST_S = 3600.0


@dataclass(slots=True)
class _Sent:
    row_id: int  # 0: not stored yet
    since: float | None = None  # monotonic time of the PUBACK


class Unconfirmed:
    """Of one uplink; `within_s`: seconds that the platform has for its confirmation."""

    def __init__(self, within_s: float) -> None:
        self.within_s = within_s
        self.unheard_since: float | None = None  # monotonic time from which something waits and nothing was confirmed
        self._patience_s = within_s
        self._heard_at = float("-inf")
        self._sent: dict[Lane, dict[str, dict[int, _Sent]]] = {lane: {} for lane in Lane}
        self._counts = dict.fromkeys(Lane, 0)
        self._waiting: OrderedDict[tuple[Lane, str, int], float] = OrderedDict()  # their PUBACKs' times, in that order

    def __len__(self) -> int:
        return sum(self._counts.values())

    def has_room(self, lane: Lane, hist: bool) -> bool:
        """Whether more of a lane may leave."""
        return self._counts[lane] < BOUNDS[lane][0 if hist else 1]

    def row_ids(self, lane: Lane) -> Iterator[int]:
        """The rows of a lane that wait."""
        return (sent.row_id for run in self._sent[lane].values() for sent in run.values() if sent.row_id)

    def left(self, lane: Lane, rows: Iterable[Row]) -> None:
        """These are on their way."""
        for row in rows:
            run = self._sent[lane].setdefault(row.run, {})
            self._counts[lane] += row.record.seq not in run
            run[row.record.seq] = _Sent(row.id)
            self._waiting.pop((lane, row.run, row.record.seq), None)

    def taken(self, lane: Lane, row: Row, row_id: int, now: float) -> bool:
        """The broker has taken it, and it has the row `row_id` (0: not yet); False if it is confirmed already."""
        sent = self._sent[lane].get(row.run, {}).get(row.record.seq)
        if sent is None:
            return False
        sent.row_id, sent.since = row_id, now
        self.unheard_since = now if self.unheard_since is None else self.unheard_since
        self._wait((lane, row.run, row.record.seq), now)
        return True

    def stored(self, lane: Lane, row: Row) -> bool:
        """A record that left before it was stored has its row now; False if it does not wait any more."""
        sent = self._sent[lane].get(row.run, {}).get(row.record.seq)
        if sent is not None:
            sent.row_id = row.id
        return sent is not None

    def not_taken(self, lane: Lane, rows: Iterable[Row]) -> None:
        """The connection ended before the broker took these: they go again anyway."""
        for row in rows:
            self._remove(lane, row.run, row.record.seq)

    def wanted_again(self, lane: Lane, run: str, first: int, last: int) -> None:
        """The platform says that it misses these: they do not wait any longer, but for those still on their way."""
        for seq, sent in self._within(lane, run, [(first, last)]):
            if sent.since is not None:
                self._remove(lane, run, seq)

    def confirmed(self, said: Confirmation, now: float) -> tuple[list[int], bool]:
        """The rows that are acknowledged by this, and whether it speaks of nothing else."""
        ids: list[int] = []
        found = self._within(said.lane, said.run, said.ranges)
        for seq, sent in found:
            self._remove(said.lane, said.run, seq)
            if sent.row_id:
                ids.append(sent.row_id)
        if found:
            self._patience_s, self._heard_at, self.unheard_since = self.within_s, now, None
        return ids, len(found) == sum(last - first + 1 for first, last in said.ranges)

    @property
    def due_at(self) -> float | None:
        """When (monotonic) the first of them has waited too long; None if none waits."""
        return next(iter(self._waiting.values())) + self._patience_s if self._waiting else None

    def overdue(self, now: float) -> set[Lane]:
        """The lanes of what has waited too long, which does not wait any longer: it goes again."""
        lanes: set[Lane] = set()
        patience_s, first = self._patience_s, self.due_at
        while (due := self.due_at) is not None and due <= now:
            lane, run, seq = next(iter(self._waiting))
            sent = self._sent[lane][run][seq]
            if sent.row_id:
                self._remove(lane, run, seq)
                lanes.add(lane)
            else:  # only the journal could send it again, and does not have it yet
                sent.since = now
                self._wait((lane, run, seq), now)
        if lanes and first is not None and self._heard_at < first - patience_s:
            self._patience_s = min(LONGEST_S, 2 * patience_s)
        return lanes

    def _within(self, lane: Lane, run: str, ranges: Sequence[tuple[int, int]]) -> list[tuple[int, _Sent]]:
        """Those of a run in these ranges, which are in order; as cheap for huge ranges as for many."""
        sent = self._sent[lane].get(run, {})
        if sum(last - first + 1 for first, last in ranges) <= len(sent):
            return [(seq, sent[seq]) for first, last in ranges for seq in range(first, last + 1) if seq in sent]
        seqs = sorted(sent)
        found = [seqs[bisect_left(seqs, first) : bisect_right(seqs, last)] for first, last in ranges]
        return [(seq, sent[seq]) for part in found for seq in part]

    def _wait(self, name: tuple[Lane, str, int], now: float) -> None:
        self._waiting[name] = now
        self._waiting.move_to_end(name)

    def _remove(self, lane: Lane, run: str, seq: int) -> None:
        runs = self._sent[lane]
        self._waiting.pop((lane, run, seq), None)
        if runs.get(run, {}).pop(seq, None) is not None:
            self._counts[lane] -= 1
            if not runs[run]:
                del runs[run]
