"""A sender on a desk: a clock moved by hand, a wire that notes what it is told, a journal that answers when told to."""

from __future__ import annotations

import json
from collections import deque
from queue import SimpleQueue
from typing import Any

from uplink_scene import ABOUT, ROOT, RUN, TS, MemoryJournal

from gateway.config.schema import Uplink
from gateway.model import BacklogWanted, Fact, Moment, Record, ToJournal, Trust
from gateway.uplink.line import MOST_BYTES
from gateway.uplink.post import Post
from gateway.uplink.sender import Sender
from gateway.uplink.wire import Down, Landed, Publication, Received, Up


class HandClock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.at = 1000.0

    def mono(self) -> float:
        return self.at

    def now(self) -> Moment:
        return Moment(self.at, TS, Trust.SYNCED)


class PaperWire:
    """A wire that notes what it is told."""

    def __init__(self) -> None:
        self.sent: list[tuple[int, int, Publication]] = []
        self.subscribed: list[tuple[tuple[str, int], ...]] = []
        self.unsubscribed: list[tuple[str, ...]] = []
        self.broken: list[str] = []
        self.passed: list[int] = []
        self.finishes = 0
        self.leaves_will = False

    def publish(self, connection: int, token: int, publication: Publication) -> None:
        self.sent.append((connection, token, publication))

    def subscribe(self, connection: int, filters: tuple[tuple[str, int], ...]) -> None:
        self.subscribed.append(filters)

    def unsubscribe(self, connection: int, filters: tuple[str, ...]) -> None:
        self.unsubscribed.append(filters)

    def break_off(self, connection: int, what: str, hint: str) -> None:
        self.broken.append(what)

    def has_passed(self, ts: int) -> None:
        self.passed.append(ts)

    def finish(self, with_will: bool = False) -> None:
        self.finishes += 1
        self.leaves_will = with_will


class Desk:
    """A sender on a paper wire, with a journal in memory that answers when told to."""

    def __init__(self, *, run: str = RUN, journal: MemoryJournal | None = None, **options: Any) -> None:
        self.clock = HandClock()
        self.wire = PaperWire()
        self.journal = journal or MemoryJournal()
        self.facts: list[Fact] = []
        self.questions: deque[BacklogWanted] = deque()
        self.inbox: SimpleQueue[Post] = SimpleQueue()
        settings_ = Uplink(**{"url": "mqtt://127.0.0.1", "window": 20, **options})
        self.sender = Sender(
            "platform", settings_, ABOUT, run, self.wire, self.clock, self.facts.append, self._journal, self.inbox
        )
        self.connection = 0

    def on_a_fast_line(self) -> None:
        """The line has shown what it can carry."""
        self.sender._outbox.window._line.room = MOST_BYTES

    def _journal(self, message: ToJournal) -> None:
        if isinstance(message, BacklogWanted):
            self.questions.append(message)
        else:
            self.journal.tell(message)

    def tell(self, *messages: Post, later: float = 0.0) -> None:
        self.clock.at += later
        for message in messages:
            self.sender.handle(message)
        self.sender.turn()

    def connect(self, version: str = "5", **limits: Any) -> None:
        self.connection += 1
        self.tell(Up(self.connection, version, **limits))

    def disconnect(self) -> None:
        self.tell(Down(self.connection, "lost", ""))
        self.wire.sent.clear()

    def connect_in_peace(self, **limits: Any) -> None:
        """Connected, everything acknowledged, no backlog."""
        self.connect(**limits)
        self.answer_all()
        self.ack_all()
        self.wire.sent.clear()

    def answer_all(self) -> None:
        while self.questions or not self.inbox.empty():
            while not self.inbox.empty():
                self.tell(self.inbox.get())
            if self.questions:
                wanted = self.questions.popleft()
                wanted.answer(self.journal.answer(wanted))

    def ack(self, count: int = 1, code: int = 0) -> None:
        for _ in range(count):
            connection, token, _ = self.wire.sent.pop(0)
            self.tell(Landed(connection, token, code, "Quota exceeded" if code else "Success"))

    def ack_all(self) -> None:
        while self.wire.sent:
            self.ack()
            self.answer_all()

    def store(self, *made: Record) -> None:
        self.tell(self.journal.store(made))

    def names(self) -> list[str]:
        return [publication.topic.removeprefix(ROOT + "/") for _, _, publication in self.wire.sent]

    def payloads(self, name: str) -> list[Any]:
        return [json.loads(p.payload) for _, _, p in self.wire.sent if p.topic == f"{ROOT}/{name}"]

    def told(self, kind: type) -> list[Any]:
        return [fact for fact in self.facts if isinstance(fact, kind)]

    def hear(self, name: str, payload: bytes) -> None:
        """The broker delivers this under a topic of the gateway."""
        self.tell(Received(self.connection, f"{ROOT}/{name}", payload, retain=False))
