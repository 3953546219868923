"""The sender's thread of one uplink: hears from hub, journal and wire, and sends what is next. Owns window and order.

- Everything comes through one inbox; nobody waits for this thread and it waits for nothing but its inbox.
- It tells the hub how the uplink stands (standing.py), its health when it is awake anyway, and commands that passed the
  check (incoming.py); the journal what is acknowledged, and what it needs read again.
- Messages that are not acknowledged for a keep-alive break the connection, and go again over the next one.
- Stopping: no more telemetry; events get two seconds; then the status says that we stopped, and why nothing comes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from queue import Empty, SimpleQueue

from gateway.clock import Clock
from gateway.config import schema
from gateway.model import (
    About,
    Acked,
    AlarmsKnown,
    AlarmView,
    Backlog,
    BacklogWanted,
    Correction,
    Fact,
    HealthReport,
    JournalRestored,
    Record,
    Reply,
    Stored,
    TimePassed,
    ToJournal,
    Unstored,
)
from gateway.uplink import contract
from gateway.uplink.board import Board
from gateway.uplink.incoming import Incoming
from gateway.uplink.lanes import CHUNK
from gateway.uplink.outbox import Options, Outbox, Refused
from gateway.uplink.packing import Form
from gateway.uplink.post import Answer, NotKnown, Post, Resent, Said, Stop, Told
from gateway.uplink.refusals import FOR_GOOD
from gateway.uplink.standing import Standing
from gateway.uplink.sweep import Step, Sweep
from gateway.uplink.window import Message
from gateway.uplink.wire import Down, Heard, Landed, NotSubscribed, Received, Up, Wire

FLUSH_S = 2.0
"""Seconds that events have to leave when stopping."""

MAX_TURN = 500
"""Messages of the inbox that are taken before something is sent."""

LONGEST_WAIT_S = 60.0


class Sender:
    """One uplink's sender. `post` may be called from any thread and never waits."""

    def __init__(
        self,
        uplink_id: str,
        options: schema.Uplink,
        about: About,
        run: str,
        wire: Wire,
        clock: Clock,
        tell_hub: Callable[[Fact], None],
        tell_journal: Callable[[ToJournal], None],
        inbox: SimpleQueue[Post],
    ) -> None:
        self.name = f"uplink {uplink_id}"
        self._uplink = uplink_id
        self._options = options
        self._about = about
        self._run = run
        self._wire = wire
        self._clock = clock
        self._tell_hub = tell_hub
        self._tell_journal = tell_journal
        self._inbox = inbox
        self._topics = contract.Topics.of(about)
        within_s = options.confirm_within if options.acknowledged_by == "platform" else None
        form = Form(options.compression == "gzip", options.expire_live)
        sending = Options(options.window, options.linger, options.backlog_rate, within_s, form)
        self._outbox = Outbox(run, self._topics, Board(about, uplink_id), sending)
        self._standing = Standing(uplink_id, clock, tell_hub)
        self._sweep = Sweep()
        self._incoming = Incoming(
            uplink_id,
            options,
            self._topics,
            self._outbox,
            self._sweep,
            clock,
            tell_hub,
            tell_journal,
            self._tell_acked,
            inbox.put,
        )
        self._up: Up | None = None
        self._stop_by: float | None = None
        self._goodbye = self._has_said_goodbye = False
        self._ended = False

    @property
    def post(self) -> Callable[[Post], None]:
        """Tell the sender something; never waits."""
        return self._inbox.put

    def stop(self) -> None:
        """Let the sender flush its events, say goodbye and end."""
        self._inbox.put(Stop())

    def run(self) -> None:
        """Send until stopped."""
        self._begin()
        while not self._ended:
            self._wait()
            self.turn()

    def _begin(self) -> None:
        """After an error of ours the connection's state is unknown: start over with a new one."""
        self._ended = self._goodbye = self._has_said_goodbye = False
        self._stop_by = None
        if self._up is not None:
            self._break_off("the sender was started again after an error of ours", "")

    def _wait(self) -> None:
        due = self._due_at()
        timeout = LONGEST_WAIT_S if due is None else min(LONGEST_WAIT_S, due - self._clock.mono())
        try:
            self.handle(self._inbox.get(timeout=timeout) if timeout > 0 else self._inbox.get_nowait())
            for _ in range(MAX_TURN):
                self.handle(self._inbox.get_nowait())
        except Empty:
            pass

    def _due_at(self) -> float | None:
        now = self._clock.mono()
        outbox = self._outbox.due_at(now, self._options.keepalive, self._stop_by is not None)
        times = [outbox, self._stop_by, self._sweep.due_at]
        return min((time for time in times if time is not None), default=None)

    # ------------------------------------------------------------ what comes in

    def handle(self, message: Post) -> None:
        """Take in one message; sends nothing yet."""
        now = self._clock.mono()
        match message:
            case Stored() | Unstored() | JournalRestored() | Answer() | Resent() | NotKnown():
                self._journal_said(message, now)
            case Up() | Down() | Landed() | Received() | NotSubscribed():
                self._heard(message, now)
            case Stop():
                self._stop_by = now + FLUSH_S
            case _:
                self._hub_said(message, now)

    def _hub_said(self, told: Told, now: float) -> None:
        match told:
            case Record():
                self._outbox.handed_over(told, now)
            case TimePassed():
                self._wire.has_passed(told.ts)
            case AlarmsKnown():
                self._sweep.alarms_known()
                self._outbox.hub_started()
            case About():
                self._outbox.board.describe(told)
            case AlarmView():
                self._outbox.board.alarm(told)
            case HealthReport():
                self._outbox.board.health(told)
            case Correction():
                self._outbox.corrections.learn(told)
            case Reply():
                self._outbox.board.reply(told)

    def _journal_said(self, said: Said, now: float) -> None:
        match said:
            case Answer():
                self._outbox.answered(said.number, said.backlog)
            case JournalRestored():
                self._outbox.read_again()
            case Resent():
                self._incoming.resent(said)
            case NotKnown():
                self._incoming.requests.unknown()
            case _:
                self._outbox.stored(said.rows, now)

    def _heard(self, heard: Heard, now: float) -> None:
        match heard:
            case Up():
                self._connected(heard)
            case Down():
                self._disconnected(heard)
            case Landed():
                self._landed(heard, now)
            case Received():
                self._incoming.received(heard)
            case NotSubscribed():
                self._standing.not_subscribed(heard)

    def _connected(self, up: Up) -> None:
        now = self._clock.now()
        self._up = up
        self._outbox.connected(up)
        self._outbox.board.connected(contract.status("online", self._run, now.ts, self._about.version))
        self._wire.subscribe(up.connection, self._incoming.filters)
        self._sweep.connected(now.mono)
        self._standing.up(up)
        if self._options.expire_live is not None and up.version != "5":
            self._standing.no_expiry()
        self._tell_health(now.mono)

    def _disconnected(self, down: Down) -> None:
        if self._up is not None and self._up.connection == down.connection:
            self._forget_connection()
        if self._standing.down(down, stopping=self._stop_by is not None):
            self._tell_health(self._clock.mono())

    def _break_off(self, what: str, hint: str) -> None:
        if self._up is not None:
            self._wire.break_off(self._up.connection, what, hint)
            self._forget_connection()

    def _forget_connection(self) -> None:
        self._up = None
        self._standing.lost()
        self._sweep.disconnected()
        self._outbox.disconnected()

    def _landed(self, landed: Landed, now: float) -> None:
        if self._up is None or landed.connection != self._up.connection:
            return
        answered = self._outbox.landed(landed.token, landed.code, now)
        if isinstance(answered, Refused):
            self._standing.refused(answered, landed.reason)
        elif answered is not None:
            self._standing.accepted(answered, landed.code)
            if self._goodbye and answered.publication.topic == self._topics.status:
                self._has_said_goodbye = True

    # ------------------------------------------------------------ what goes out

    def turn(self) -> None:
        """Send what may go now, and tell hub and journal what is new."""
        now = self._clock.mono()
        self._look_for_leftovers(now)
        self._outbox.look_for_overdue(now)
        overdue = self._outbox.window.overdue_at(self._options.keepalive)
        if overdue is not None and now >= overdue:
            waited = f"the broker has not acknowledged anything for {self._options.keepalive:g} s"
            self._break_off(waited, "Connecting again; if this repeats, look at the broker's log")
        if self._stop_by is not None:
            self._say_goodbye(now)
        self._send(now)
        self._tell_acked()
        if self._stop_by is None:
            self._ask_journal(now)
        if self._standing.is_due(now):
            self._tell_health(now)

    def _send(self, now: float) -> None:
        while self._up is not None:
            message = self._outbox.next(now, self._stop_by is not None)
            if message is None:
                return
            if isinstance(message, Refused):
                self._standing.refused(message, FOR_GOOD[message.code])
                continue
            self._launch(message, now, self._up)

    def _launch(self, message: Message, now: float, up: Up) -> None:
        publication = message.publication
        if publication.retain and not up.retains:
            publication = publication._replace(retain=False)
        self._wire.publish(up.connection, self._outbox.launch(message, now), publication)
        self._standing.sent(message)

    def _ask_journal(self, now: float) -> None:
        for lane, question in self._outbox.questions(now):
            answer = partial(self._answered, question.number)
            self._tell_journal(BacklogWanted(self._uplink, lane, question.after, question.upto, CHUNK, answer))

    def _tell_acked(self) -> None:
        for lane, acked in self._outbox.acknowledged():
            self._standing.acknowledged(sum(last - first + 1 for first, last in acked))
            self._tell_journal(Acked(self._uplink, lane, acked))

    def _answered(self, number: int, backlog: Backlog) -> None:
        self._inbox.put(Answer(number, backlog))

    def _look_for_leftovers(self, now: float) -> None:
        step = self._sweep.step(now)
        filters = self._topics.retained_filters
        if step is Step.SUBSCRIBE and self._up is not None:
            self._wire.subscribe(self._up.connection, tuple((name, 0) for name in filters))
        elif step is Step.UNSUBSCRIBE and self._up is not None:
            self._wire.unsubscribe(self._up.connection, filters)

    def _say_goodbye(self, now: float) -> None:
        """When stopping: the last status once the events have left, then the end; or the end when time is up."""
        late = self._stop_by is not None and now >= self._stop_by
        if self._up is not None and not self._goodbye and (late or self._outbox.events_are_done()):
            self._goodbye = True
            self._stop_by = now + FLUSH_S / 4
            stopped = contract.status("stopped", self._run, self._clock.now().ts, self._about.version)
            self._outbox.board.status(stopped)
        elif self._up is None or late or (self._goodbye and not len(self._outbox.window)):
            self._wire.finish(with_will=not self._has_said_goodbye)  # or `online` would stay
            self._ended = True

    def _tell_health(self, now: float) -> None:
        in_flight = len(self._outbox.window)
        self._standing.tell_health(now, in_flight, self._incoming.requests, self._outbox.unconfirmed)
