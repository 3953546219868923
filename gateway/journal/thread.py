"""The journal's thread: group commit, what waits while the disk fails, acknowledgements, answers for the senders.

- A group is committed `commit_every` after its first record came, at once if there is an event in it. Hub and senders
  are told `Stored` when the commit has returned, never before.
- One wake-up per group (inbox.py). Acknowledgements go to the disk with a group every few seconds (acknowledged.py),
  and when stopping.
- After a failure the records wait in bounded memory, the oldest telemetry goes first, and the disk is tried again every
  few seconds (outage.py). Failed and restored are told once each; what was given up is told as a gap, which is on the
  disk by then. Of what every uplink had by that time the gap says so: only the journal misses it.
- Meanwhile telemetry goes to the senders from memory (events do without the journal), and so do answers about it. When
  the disk is back, the senders are told, and ask for the rest.
- A full disk is a usual day: room is made inside the file, at once, and only if that does not help it is a failure.
- What waits outlives an error of ours: `run` may be called again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from gateway.clock import Clock
from gateway.config.schema import Storage
from gateway.correction import recalled
from gateway.errors import JournalDown
from gateway.journal.acknowledged import Acknowledgements
from gateway.journal.faults import JournalFull
from gateway.journal.inbox import Inbox, Post, Rearranged
from gateway.journal.listeners import Listeners, ToSenders
from gateway.journal.outage import Outage
from gateway.journal.questions import Questions
from gateway.journal.store import Store
from gateway.journal.waiting import Waiting
from gateway.model import (
    Acked,
    BacklogWanted,
    Confirmed,
    Decision,
    Fact,
    JournalFailed,
    JournalHealth,
    JournalRestored,
    JournalSetAside,
    Lane,
    ResendWanted,
    Stored,
    Unstored,
)

MAX_WAITING = 20_000
MAX_WAITING_BYTES = 8_000_000
"""Records, and bytes of their texts, that wait in memory while the disk fails."""

TIDY_EVERY_S = 10.0
HEALTH_EVERY_S = 1.0
MAX_IDLE_S = 10.0

log = logging.getLogger(__name__)


class JournalThread:
    """The journal of one run in the file at `path`. `post` may be called from any thread and never waits."""

    name = "journal"

    def __init__(
        self,
        path: Path,
        run: str,
        boot: str,
        options: Storage,
        uplinks: tuple[str, ...],
        clock: Clock,
        tell_hub: Callable[[Fact], None],
        tell_senders: Sequence[Callable[[ToSenders], None]],
    ) -> None:
        self._store = Store(path, run, boot, uplinks, options.max_size, options.event_share / 100)
        self._run = run
        self._uplinks = uplinks
        self._outage = Outage(uplinks)
        self._options = options
        self._clock = clock
        self._tell = Listeners(tell_hub, tell_senders)
        self._inbox = Inbox(clock.mono)
        self._stopping = False
        self._waiting = Waiting()
        self._questions = Questions()
        self._acked = Acknowledgements()
        self._recovered = False
        self._tidy_at = 0.0
        self._health_at = 0.0
        self._bytes = 0
        self._commits = 0

    # ------------------------------------------------------------ for the other threads

    def post(self, message: Post) -> None:
        """Hand over a decision, an acknowledgement or a question. The thread is woken only if it must not wait."""
        self._inbox.put(message)

    def stop(self) -> None:
        """Let the thread store what it has, close the file cleanly and end."""
        self._stopping = True
        self._inbox.ring()

    # ------------------------------------------------------------ the thread

    def run(self) -> None:
        """Keep the journal until stopped."""
        self._outage.retry_at = self._tidy_at = self._clock.mono()
        try:
            while not self._stopping:
                self._turn()
                self._wait()
            self._finish()
        finally:
            self._store.close()

    def _turn(self) -> None:
        """Everything that is due now."""
        now = self._clock.mono()
        self._drain(now)
        try:
            if self._store.is_open or now >= self._outage.retry_at:
                self._keep(now)
        except JournalDown as down:
            self._fall(down)
        if self._outage.since is not None:
            self._hand_over()
            self._questions.answer_from_memory(self._store, self._waiting, self._clock.now().ts)
            self._trim()
        self._report(now)

    def _keep(self, now: float) -> None:
        if not self._store.is_open:
            self._open()
        if self._due_at() <= now:
            self._commit()
        self._restored()
        self._questions.answer(self._store, self._clock.now().ts, self._tell.gaps)
        if now >= self._tidy_at:
            self._tidy(now)

    def _finish(self) -> None:
        """The last commit. The records that the disk does not take now are lost, and say so here."""
        self._drain(self._clock.mono())
        if self._waiting.since is None and self._acked.since is None and not self._outage.lost:
            return
        try:
            if not self._store.is_open:
                self._open()
            self._commit()
        except JournalDown as down:
            log.error("%d records could not be stored before the end: %s", len(self._waiting), down)

    def _wait(self) -> None:
        """Until something is due, or the bell rings."""
        due = min(self._due_at(), self._tidy_at if self._store.is_open else self._outage.retry_at)
        if not self._inbox.expect(looks_soon=self._waiting.since is not None):
            return
        if not self._store.is_open:
            due = max(due, min(self._outage.retry_at, self._clock.mono() + self._options.commit_every))
        self._inbox.wait(min(due - self._clock.mono(), MAX_IDLE_S))

    def _due_at(self) -> float:
        """When the next commit is due."""
        due = float("inf")
        if self._waiting.since is not None:
            due = self._waiting.since + (0.0 if self._waiting.events else self._options.commit_every)
        return min(due, self._acked.due_at)

    # ------------------------------------------------------------ what comes in

    def _drain(self, now: float) -> None:
        acked_at = self._inbox.acked_at() or now
        for message in self._inbox.drain():
            match message:
                case Decision():
                    self._waiting.add(message, now)
                case Acked():
                    if self._store.acknowledge(message):
                        self._acked.come(acked_at)
                case Rearranged():
                    self._rearrange(message)
                case _ if message.uplink not in self._uplinks:
                    log.debug("%s is no more", message.uplink)
                case Confirmed():
                    self._confirm(message, acked_at)
                case BacklogWanted() | ResendWanted():
                    self._questions.ask(message)

    def _rearrange(self, now_is: Rearranged) -> None:
        """Go on with other limits, for other uplinks. One that has joined is told what dates the records before."""
        options = self._options = now_is.options
        self._uplinks = self._outage.uplinks = now_is.uplinks
        self._store.ledger.serve(now_is.uplinks)
        self._tell.each_sender = now_is.tell_senders
        state = {key: text for key, text in (*self._store.state.items(), *self._waiting.state.items()) if text}
        for _, correction in recalled(state):
            for tell in now_is.joined:
                tell(correction)
        try:
            self._store.handle.limit(options.max_size, options.event_share / 100)
        except JournalDown as down:
            self._fall(down)
        self._tidy_at = self._clock.mono()

    def _confirm(self, confirmed: Confirmed, at: float) -> None:
        if not self._store.confirm(confirmed):
            confirmed.unknown()
        else:
            self._acked.come(at)

    # ------------------------------------------------------------ the disk

    def _open(self) -> None:
        found, dropped = self._store.open(self._clock.now().ts)
        if not self._recovered:
            self._recovered = True
            self._tell.hub(found)
            for _, correction in recalled(found.state):  # before any row that it is about
                self._tell.senders(correction)
        elif found.aside:
            self._tell.hub(JournalSetAside(found.aside))
        self._tell.gaps(dropped)

    def _commit(self) -> None:
        """Store the group; where the disk is full, make room and try it once more."""
        try:
            self._store_group()
        except JournalFull as full:
            if self._outage.since is None:
                log.info("%s: making room in the journal", full)
            self._trim()
            self._open()
            self._tell.gaps(self._store.upkeep.make_room(self._waiting.text_bytes, self._clock.now().ts))
            self._store_group()

    def _store_group(self) -> None:
        lost, told = tuple(self._outage.lost), dict(self._waiting.told)
        acks_are_due = self._acked.go(self._clock.mono(), stopping=self._stopping)
        rows = self._store.commit(self._waiting, lost, self._clock.now().ts, with_acks=acks_are_due)
        events, readings = len(self._waiting.events), len(self._waiting.telemetry)
        self._waiting.clear()
        if acks_are_due:
            self._acked.kept(self._clock.mono())
        self._outage.lost.clear()
        self._commits += 1
        if rows:
            self._tell.hub(Stored(rows, sum(told.values())))
        to_send = rows[:events] + rows[events + told[Lane.TELEMETRY] : events + readings]
        if to_send:
            self._tell.senders(Stored(to_send))
        self._tell.gaps(lost)
        self._tell.gaps(self._store.upkeep.relieve(self._clock.now().ts))

    def _tidy(self, now: float) -> None:
        """What is old goes, in slices; the files are kept in shape."""
        keep = self._options
        telemetry_s = max(keep.keep_telemetry, keep.keep_acknowledged)
        events_s = max(keep.keep_events, keep.keep_acknowledged)
        more = self._store.upkeep.forget_old(self._clock.now().ts, telemetry_s, events_s)
        self._store.upkeep.tend()
        self._bytes = self._store.upkeep.size_bytes()
        self._tidy_at = now if more else now + TIDY_EVERY_S

    # ------------------------------------------------------------ failure

    def _fall(self, down: JournalDown) -> None:
        """The handle is gone; try again later, and say so once."""
        if self._outage.begins(down.what, self._clock.mono()):
            log.error("the journal has stopped: %s. Records wait in memory", down)
            self._tell.hub(JournalFailed(down.what, down.hint, self._tell.dropped))

    def _restored(self) -> None:
        """Say once that the disk has taken a write again."""
        if self._outage.since is not None:
            down_s = self._outage.ends(self._clock.mono())
            log.info("the journal works again after %.0f s", down_s)
            self._tell.hub(JournalRestored(down_s))
            self._tell.senders(JournalRestored(down_s))

    def _hand_over(self) -> None:
        """Give what waits to the senders, each record once; the hub does not wait for it any longer."""
        rows = self._store.rows_of(self._waiting.tell(), self._clock.now().ts)
        if rows:
            self._tell.hub(Unstored(rows))
            self._tell.senders(Unstored(tuple(row for row in rows if row.record.lane is Lane.TELEMETRY)))

    def _trim(self) -> None:
        """Keep what waits within bounds; what goes are gaps until they can be noted."""
        bounds = MAX_WAITING, min(MAX_WAITING_BYTES, self._options.max_size // 8)
        if not self._waiting.exceeds(*bounds):
            return
        self._hand_over()
        for lost in self._waiting.trim(*bounds):
            for gap in self._store.given_up(lost, self._clock.now().ts):
                self._outage.lose(gap)

    # ------------------------------------------------------------ health

    def _report(self, now: float) -> None:
        if now < self._health_at:
            return
        self._health_at = now + HEALTH_EVERY_S
        ledger = self._store.ledger
        self._tell.hub(
            JournalHealth(
                state=self._outage.what,
                rows=ledger.rows(),
                bytes=self._bytes,
                waiting=len(self._waiting),
                commits=self._commits,
                backlog={uplink: ledger.backlog(uplink) for uplink in self._uplinks},
                dropped=self._tell.dropped + self._outage.lost_records,
                commit_every_s=self._options.commit_every,
                chain_length=self._store.head.length,
                chain_head=self._store.head.hash.hex(),
            )
        )
