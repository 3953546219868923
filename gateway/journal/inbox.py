"""What the other rooms hand to the journal's thread, and when it is woken for it.

`put` may be called from any thread and never waits. One wake-up per group: it rings only where the thread does not look
by itself soon enough, and acknowledgements never ring; since when there is one is told to the thread when it looks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue
from typing import NamedTuple, TypeAlias

from gateway.config.schema import Storage
from gateway.journal.listeners import ToSenders
from gateway.model import Acked, Confirmed, Decision, Lane, ToJournal


class Rearranged(NamedTuple):
    """Other limits and uplinks from now on; `joined`: the senders that have not been told anything yet."""

    options: Storage
    uplinks: tuple[str, ...]
    tell_senders: tuple[Callable[[ToSenders], None], ...]
    joined: tuple[Callable[[ToSenders], None], ...]


Post: TypeAlias = Decision | ToJournal | Rearranged
"""What the journal takes."""


class Inbox:
    """Messages in the order they came, and a bell. `mono` is the time in monotonic seconds."""

    def __init__(self, mono: Callable[[], float]) -> None:
        self._mono = mono
        self._acked_at: float | None = None
        self._messages: SimpleQueue[Post] = SimpleQueue()
        self._bell: SimpleQueue[None] = SimpleQueue()
        self._looks_soon = False

    def __len__(self) -> int:
        return self._messages.qsize()

    def put(self, message: Post) -> None:
        """Leave a message; the thread is woken only if it must not wait."""
        self._messages.put(message)
        if isinstance(message, Acked | Confirmed):
            if self._acked_at is None:
                self._acked_at = self._mono()
        elif not (self._looks_soon and isinstance(message, Decision) and not _urgent(message)):
            self._bell.put(None)

    def ring(self) -> None:
        """Wake the thread."""
        self._bell.put(None)

    def acked_at(self) -> float | None:
        """When the first acknowledgement came since the last time this was asked; before `drain`, or one is missed."""
        at, self._acked_at = self._acked_at, None
        return at

    def drain(self) -> Iterator[Post]:
        """The messages that are there by now."""
        for _ in range(self._messages.qsize()):
            yield self._messages.get()

    def expect(self, *, looks_soon: bool) -> bool:
        """Say whether the thread will look by itself while it waits; whether it may wait at all."""
        self._looks_soon = looks_soon
        return looks_soon or self._messages.empty()  # what came since `drain` did not see that it must ring

    def wait(self, timeout_s: float) -> None:
        """Until the bell rings, or so much time has passed."""
        if timeout_s > 0:
            try:
                self._bell.get(timeout=timeout_s)
            except Empty:
                return
        while not self._bell.empty():
            self._bell.get()


def _urgent(decision: Decision) -> bool:
    return any(record.lane is Lane.EVENT for record in decision.records)
