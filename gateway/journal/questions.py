"""What the senders have asked and was not answered yet; of backlog, each lane's newest question of an uplink counts."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from gateway.journal.reading import from_memory
from gateway.journal.store import Store
from gateway.journal.waiting import Waiting
from gateway.model import BacklogWanted, Dropped, Lane, Resend, ResendWanted


class Questions:
    """The open questions of all senders."""

    def __init__(self) -> None:
        self._wanted: dict[tuple[str, Lane], BacklogWanted] = {}
        self._resends: deque[ResendWanted] = deque()

    def ask(self, wanted: BacklogWanted | ResendWanted) -> None:
        """Note a question."""
        if isinstance(wanted, ResendWanted):
            self._resends.append(wanted)
        else:
            self._wanted[wanted.uplink, wanted.lane] = wanted

    def answer(self, store: Store, now_ts: int, tell: Callable[[tuple[Dropped, ...]], None]) -> None:
        """Answer all from the disk, and tell of the gaps that this finds. Raises JournalDown; what is open stays so."""
        while self._resends:
            taken_back = store.resend(self._resends[0], now_ts)
            self._resends.popleft().answer(taken_back)
        while self._wanted:
            key, wanted = next(iter(self._wanted.items()))
            backlog, dropped = store.backlog(wanted, now_ts)
            del self._wanted[key]
            wanted.answer(backlog)
            tell(dropped)

    def answer_from_memory(self, store: Store, waiting: Waiting, now_ts: int) -> None:
        """Answer what is asked of the telemetry that waits; the rest when the disk is back, and they ask again."""
        while self._resends:
            self._resends.popleft().answer(Resend(0, 0, "the journal's disk fails; ask again later"))
        asked = [key for key in self._wanted if key[1] is Lane.TELEMETRY]
        rows = store.rows_of(waiting.telemetry, now_ts) if asked else ()
        for key in asked:
            wanted = self._wanted.pop(key)
            wanted.answer(from_memory(rows, wanted, store.ledger))
