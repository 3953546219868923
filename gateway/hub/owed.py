"""Answers that are owed until the disk has what they speak of. Pure.

What a command changes is in force at once; that it is done is said when the commit has come. After STORE_S, or as soon
as the disk is known to fail, the answer is `not_stored` in its place: a crash may still take it back. Who asks again
with the same id is told how it stands by then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from math import inf
from typing import TypeAlias

from gateway.hub.answered import key_of
from gateway.model import Command, Lane, Moment, Reply, Row

STORE_S = 1.0
"""Seconds that the disk has until the answer goes without it."""

MOST = 512
"""Commands that are kept in mind while the disk takes nothing."""

NOT_STORED = "it is in force, but not on the disk yet; ask again with the same id to learn whether it is"

Replies: TypeAlias = tuple[tuple[Callable[[Reply], None], Reply], ...]


@dataclass(slots=True)
class _Owed:
    seq: int  # of the event of its command
    reply: Reply
    until: float  # monotonic; infinity when it was answered without the disk
    answers: list[Callable[[Reply], None]] = field(default_factory=list)

    def told(self, *, stored: bool) -> Replies:
        """To all who wait, who then wait no longer."""
        answers, self.answers = self.answers, []
        self.until = inf
        return tuple((answer, self.reply if stored else _unstored(self.reply)) for answer in answers)


class Owed:
    """The answers of one run. Owned and changed by the hub alone; `elapse` is due at `wake` (monotonic s)."""

    def __init__(self, run: str) -> None:
        self._run = run
        self._owed: dict[str, _Owed] = {}

    @property
    def waits(self) -> bool:
        """Whether any waits for the disk; may be read by any thread."""
        return bool(self._owed)

    @property
    def wake(self) -> float:
        """When (monotonic) the next answer goes without the disk."""
        return min((it.until for it in self._owed.values()), default=inf)

    def owe(self, command: Command, reply: Reply, seq: int, now: Moment) -> None:
        """This is the answer as soon as the event `seq` is on the disk."""
        self._owed[key_of(command)] = _Owed(seq, reply, now.mono + STORE_S, [command.answer])
        answered = [key for key, it in self._owed.items() if it.until == inf]
        for key in answered[: max(0, len(self._owed) - MOST)]:
            del self._owed[key]

    def again(self, command: Command) -> Replies | None:
        """To a repetition of one whose answer is owed; None where none is."""
        owed = self._owed.get(key_of(command))
        if owed is None:
            return None
        owed.answers.append(command.answer)
        return owed.told(stored=False) if owed.until == inf else ()

    def stored(self, rows: Iterable[Row]) -> Replies:
        """These rows are on the disk, in the order of their numbers: one that was passed over never comes."""
        replies = tuple(reply for key in self._among(rows) for reply in self._owed.pop(key).told(stored=True))
        newest = max(self._seqs(rows), default=0) if self._owed else 0
        self._owed = {key: it for key, it in self._owed.items() if it.until < inf or it.seq > newest}
        return replies

    def unstored(self, rows: Iterable[Row]) -> Replies:
        """These rows wait in memory for a disk that fails."""
        return tuple(reply for key in self._among(rows) for reply in self._owed[key].told(stored=False))

    def elapse(self, now: Moment) -> Replies:
        """What goes without the disk by now."""
        late = [it for it in self._owed.values() if it.until <= now.mono]
        return tuple(reply for it in late for reply in it.told(stored=False))

    def end(self) -> Replies:
        """All go without the disk."""
        return tuple(reply for it in self._owed.values() for reply in it.told(stored=False))

    def _among(self, rows: Iterable[Row]) -> list[str]:
        if not self._owed:
            return []
        seqs = self._seqs(rows)
        return [key for key, it in self._owed.items() if it.seq in seqs]

    def _seqs(self, rows: Iterable[Row]) -> set[int]:
        return {row.record.seq for row in rows if row.run == self._run and row.record.lane is Lane.EVENT}


def _unstored(reply: Reply) -> Reply:
    detail = f"{reply.detail}; {NOT_STORED}" if reply.detail else NOT_STORED
    return reply._replace(result="not_stored", detail=detail)
