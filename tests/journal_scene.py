"""What tests of the journal are made of: records, a clock moved by hand, a hub and a sender that only listen."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue
from time import monotonic
from typing import TypeVar

from gateway.clock import Clock
from gateway.config.schema import Storage
from gateway.journal.store import Store
from gateway.journal.thread import JournalThread
from gateway.journal.waiting import Waiting
from gateway.model import (
    Backlog,
    BacklogWanted,
    Decision,
    Fact,
    JournalHealth,
    Lane,
    Moment,
    Record,
    StateChange,
    Stored,
    Trust,
)

T = TypeVar("T")

NOW = 1_795_300_000_000
LONG_S = 10.0
MB = 1_000_000


def event(seq: int, ts: int = NOW, text: str = "") -> Record:
    return Record(Lane.EVENT, seq, ts, Trust.SYNCED, seq * 10, text or f'{{"event":"test","n":{seq}}}')


def telemetry(seq: int, ts: int = NOW, text: str = "") -> Record:
    """Every second one has a point that is bad, and is stored as it is; of the others the names are stored once."""
    values, bad = f'"values":{{"temperature":{seq}.5,"humidity":40}}', ',"bad":{"door":"no_reply"}' if seq % 2 else ""
    text = text or f'{{"device":"cold-1",{values}{bad}}}'
    return Record(Lane.TELEMETRY, seq, ts, Trust.SYNCED, seq * 10, text)


def local(seq: int, ts: int = NOW) -> Record:
    """Telemetry that is stored and not sent."""
    return telemetry(seq, ts)._replace(lane=Lane.LOCAL)


def heavy(seq: int, ts: int = NOW) -> Record:
    """About 1 kB of telemetry."""
    return telemetry(seq, ts, f'{{"device":"cold-1","values":{{"note":"{"x" * 1000}"}}}}')


def group(*records: Record, **state: str | None) -> Waiting:
    """What one commit stores; the numbers before its first ones have come earlier."""
    waiting = Waiting()
    for lane in waiting._newest:
        waiting._newest[lane] = min((record.seq for record in records if record.lane is lane), default=1) - 1
    waiting.add(Decision(records, tuple(StateChange(key, text) for key, text in state.items())), 0.0)
    return waiting


def opened(
    path: Path,
    run: str = "run-1",
    uplinks: tuple[str, ...] = ("platform",),
    max_size: int = 50 * MB,
    now_ts: int = NOW,
) -> Store:
    store = Store(path, run, "boot-1", uplinks, max_size)
    store.open(now_ts)
    return store


def backlog(
    store: Store, lane: Lane, after: int = 0, upto: int | None = None, limit: int = 1000, uplink: str = "platform"
) -> Backlog:
    return store.backlog(BacklogWanted(uplink, lane, after, upto, limit, lambda _: None), NOW)[0]


def numbers(answer: Backlog) -> list[tuple[str, int]]:
    return [(row.run, row.record.seq) for row in answer.rows]


def storage(commit_every: float = 1.0, max_size: int = 50 * MB, **ages: float) -> Storage:
    return Storage(commit_every=commit_every, max_size=max_size, event_share=10, **ages)


class HandClock:
    """Time moves when `advance` is called."""

    def __init__(self) -> None:
        self._mono = 100.0

    def mono(self) -> float:
        return self._mono

    def now(self) -> Moment:
        return Moment(self._mono, NOW + int(self._mono * 1000), Trust.SYNCED)

    def advance(self, seconds: float) -> None:
        self._mono += seconds


def _short(message: object) -> str:
    return f"Stored of {len(message.rows)}" if isinstance(message, Stored) else repr(message)


class Ear:
    """A room that only listens, and can be asked whether it has heard something."""

    def __init__(self) -> None:
        self._heard: SimpleQueue[object] = SimpleQueue()
        self.kept: list[object] = []
        self.tell: Callable[[object], None] = self._heard.put

    def wait(self, kind: type[T], that: Callable[[T], bool] = lambda _: True) -> T:
        """The next message of this kind that fits; what came before it is only kept."""
        until = monotonic() + LONG_S
        while True:
            try:
                message = self._heard.get(timeout=max(0.0, until - monotonic()))
            except Empty:
                raise AssertionError(
                    f"no such {kind.__name__} within {LONG_S} s; heard: {[_short(m) for m in self.kept]}"
                ) from None
            self.kept.append(message)
            if isinstance(message, kind) and that(message):
                return message

    def so_far(self, kind: type[T]) -> list[T]:
        while not self._heard.empty():
            self.kept.append(self._heard.get())
        return [message for message in self.kept if isinstance(message, kind)]


class Scene:
    """One journal thread with listeners around it."""

    def __init__(self, path: Path, clock: Clock, options: Storage, uplinks: tuple[str, ...], run: str) -> None:
        self.hub, self.sender = Ear(), Ear()
        self.journal = JournalThread(path, run, "boot-1", options, uplinks, clock, self._tell_hub, [self.sender.tell])

    def _tell_hub(self, fact: Fact) -> None:
        self.hub.tell(fact)

    def post(self, *records: Record, **state: str | None) -> None:
        self.journal.post(Decision(records, tuple(StateChange(key, text) for key, text in state.items())))

    def ask(
        self, lane: Lane, after: int = 0, upto: int | None = None, limit: int = 1000, uplink: str = "platform"
    ) -> Backlog:
        answers: SimpleQueue[Backlog] = SimpleQueue()
        self.journal.post(BacklogWanted(uplink, lane, after, upto, limit, answers.put))
        return answers.get(timeout=LONG_S)

    def stored(self, seq: int, lane: Lane = Lane.EVENT) -> Stored:
        return self.hub.wait(Stored, lambda told: any(r.record.seq == seq and r.record.lane is lane for r in told.rows))

    def health(self) -> JournalHealth:
        return self.hub.wait(JournalHealth)


@contextmanager
def running(
    path: Path,
    clock: Clock,
    options: Storage | None = None,
    uplinks: tuple[str, ...] = ("platform",),
    run: str = "run-1",
) -> Iterator[Scene]:
    """A journal on a thread of its own, stopped and waited for at the end."""
    scene = Scene(path, clock, options or storage(), uplinks, run)
    thread = threading.Thread(target=scene.journal.run)
    thread.start()
    try:
        yield scene
    finally:
        scene.journal.stop()
        thread.join(LONG_S)
        assert not thread.is_alive()
