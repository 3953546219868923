"""The hub's thread: takes facts by urgency, lets `Hub` decide, and passes on what follows. The safety path.

- It touches neither disk nor network: passing on is a `put` into another room's queue.
- Contacts, smoke, outputs and commands overtake other readings, and the inbox is looked at again after every fact.
- Facts that lead to nothing by themselves wake nobody: they are taken in with the next fact that does, before it.
- Writes to outputs leave first, then events, at once; telemetry is passed on when the inbox is drained, in one piece.
- Records of the first moments wait for `started`, event number 1, which waits for the journal: HOLD_S at most.
  What alarms tell waits longer (early.py).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from threading import Event
from typing import Protocol, TypeAlias

from gateway.clock import Clock
from gateway.hub.decide import Hub
from gateway.hub.plan import Plan, Reconfigured
from gateway.model import (
    Adjust,
    Adjusted,
    Answer,
    Command,
    Decision,
    Fact,
    JournalHealth,
    Lane,
    LinkHealth,
    Notice,
    PollWanted,
    Question,
    Reading,
    Record,
    Recovered,
    SoonRead,
    StateChange,
    Stopping,
    Stored,
    Tick,
    UplinkHealth,
    Write,
)

TICK = Tick()
MAX_IDLE_S = 5.0
"""Seconds after which the hub looks around even if nothing happens, so that the watchdog sees it alive."""

MAX_BATCH = 500
"""Records of telemetry that are passed on at the latest, however full the inbox is."""

QUIET = frozenset({Stored, LinkHealth, JournalHealth, UplinkHealth})
"""Facts that need not wake the hub, unless it holds polls back until they come."""

URGENT = QUIET | {Command, Adjusted, Question, SoonRead, Reconfigured, Recovered}
"""Facts that overtake readings: somebody waits for what follows from them, and what is quiet costs next to nothing."""

BEHIND = 2_000
"""Facts that wait, or records not yet stored, from which on polls that are no safety polls are held back."""

NOT_STORED_BEHIND = 20_000

_Fact: TypeAlias = Fact | Reconfigured

INFORMED_WITHIN_S = 1.0
"""How long the links wait at start for what the journal knows: whether a zone is under test, what was acknowledged."""

HOLD_S = 1.0
"""Seconds for which events wait for the run's first one; later they leave without it."""


class Rooms(Protocol):
    """Where the hub's decisions go. Every call returns at once."""

    def write(self, write: Write | Adjust) -> None:
        """Give a write to the poller of its link."""

    def ask(self, question: Question) -> None:
        """Give a question to the poller of its link."""

    def reload(self, command: Command) -> None:
        """Have another configuration loaded, since `command` wants that."""

    @property
    def journal(self) -> Callable[[Decision], None]:
        """Gives records and state to the journal."""

    def uplinks(self, message: Record | Notice) -> None:
        """Give an event that is not stored yet, or a notice, to every sender."""


class HubRoom:
    """One hub on one thread. `post` may be called from any thread; `beat` is when (monotonic) it was last alive."""

    name = "hub"

    def __init__(self, plan: Plan, clock: Clock, rooms: Rooms) -> None:
        self._safety = plan.safety_devices
        self._clock = clock
        self._rooms = rooms
        self._inbox: SimpleQueue[_Fact] = SimpleQueue()
        self._quiet: SimpleQueue[_Fact] = SimpleQueue()
        self._urgent: deque[_Fact] = deque()
        self._usual: deque[_Fact] = deque()
        self._hub = Hub(plan, clock.now())
        self._batch: list[Record] = []
        self._state: dict[str, StateChange] = {}  # that is stored with the batch: the newest of each key
        self._held: list[Decision] | None = []  # None: nothing is held any more
        self._hold_until = clock.mono() + HOLD_S
        self.beat = clock.mono()
        self._informed = Event()

    def wait_informed(self) -> None:
        """Until the hub knows what the journal does; not for long, since smoke does not wait for a disk that hangs."""
        self._informed.wait(INFORMED_WITHIN_S)

    def post(self, fact: Fact) -> None:
        """Tell the hub a fact; never waits."""
        waits = type(fact) in QUIET and not self.behind() and not (type(fact) is Stored and self._hub.awaits_stored)
        (self._quiet if waits else self._inbox).put(fact)

    def behind(self) -> bool:
        """Whether polls that are no safety polls should be held back."""
        return self._inbox.qsize() + len(self._usual) > BEHIND or self._hub.not_stored > NOT_STORED_BEHIND

    def reconfigure(self, fact: Reconfigured) -> None:
        """Have the hub go on by another configuration; never waits."""
        self._inbox.put(fact)

    def stop(self) -> None:
        """Let the hub finish what it has been told, say that it stops, and end."""
        self._inbox.put(Stopping("stopped by the operator or the system"))

    def run(self) -> None:
        """Decide until stopped."""
        while True:
            self.beat = self._clock.mono()
            self._wait()
            while self._urgent or self._usual:
                fact = self._urgent.popleft() if self._urgent else self._usual.popleft()
                self._decide(fact)
                if isinstance(fact, Recovered):
                    self._informed.set()
                if isinstance(fact, Stopping):
                    self._release()
                    self._pass_on_batch()
                    return
                self._drain()
            self._pass_on_batch()

    def _wait(self) -> None:
        """Until a fact comes or time itself is one."""
        wake = self._hub.wake if self._held is None else min(self._hub.wake, self._hold_until)
        timeout = min(MAX_IDLE_S, wake - self._clock.mono())
        if timeout > 0:
            with suppress(Empty):
                self._sort(self._inbox.get(timeout=timeout))
        self._drain()
        if self._held is not None and self._clock.mono() >= self._hold_until:
            self._release()
        if self._clock.mono() >= self._hub.wake:
            self._urgent.append(TICK)

    def _drain(self) -> None:
        while not self._quiet.empty():
            self._sort(self._quiet.get())
        while not self._inbox.empty():
            self._sort(self._inbox.get())
        if len(self._usual) > MAX_BATCH and self._clock.mono() >= self._hub.wake:
            self._urgent.append(TICK)

    def _sort(self, fact: _Fact) -> None:
        told = fact.answer.found if isinstance(fact, SoonRead) else fact  # what a device says stays in its order
        urgent = told.device in self._safety if isinstance(told, Reading) else type(fact) in URGENT
        (self._urgent if urgent else self._usual).append(fact)

    def _decide(self, fact: _Fact) -> None:
        now = self._clock.now()
        self.beat = now.mono
        if isinstance(fact, Reconfigured):
            self._safety = fact.plan.safety_devices
        decision = self._hub.handle(fact, now)
        for write in decision.writes:
            self._rooms.write(write)
        for question in decision.questions:
            self._rooms.ask(question)
        for wanted in decision.reads:
            back = partial(self._read, wanted.key)
            self._rooms.ask(Question(wanted.link, PollWanted(wanted.device), wanted.until, back))
        for command in decision.reloads:
            self._rooms.reload(command)
        if self._held is None:
            self._pass_on(decision)
        elif self._hub.started:  # first `started`, then what waited for it, then what came of it: by their numbers
            started, *others = decision.records
            self._pass_on(Decision((started,), notices=decision.notices) if others else decision)
            self._release()
            if others:
                self._pass_on(decision._replace(records=tuple(others), notices=()))
        else:
            self._held.append(decision)
        for answer, reply in decision.replies:
            answer(reply)

    def _read(self, key: str, answer: Answer) -> None:
        """A link has asked a device that a command wanted read; called from its thread."""
        self._inbox.put(SoonRead(key, answer))

    def _release(self) -> None:
        held, self._held = self._held or [], None
        for decision in held:
            self._pass_on(decision)

    def _pass_on(self, decision: Decision) -> None:
        """Records and state to the journal, events and notices to the uplinks; telemetry alone can wait for company."""
        events = [record for record in decision.records if record.lane is Lane.EVENT]
        for notice in decision.notices:  # first: what is known of the clock comes before `started`
            self._rooms.uplinks(notice)
        if events:
            self._pass_on_batch()
            self._rooms.journal(decision)
            for event in events:
                self._rooms.uplinks(event)
            return
        self._batch += decision.records
        self._state.update((change.key, change) for change in decision.state)
        if len(self._batch) >= MAX_BATCH:
            self._pass_on_batch()

    def _pass_on_batch(self) -> None:
        if self._batch or self._state:
            batch, self._batch = self._batch, []
            state, self._state = self._state, {}
            self._rooms.journal(Decision(tuple(batch), tuple(state.values())))
