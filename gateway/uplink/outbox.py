"""What leaves next over one uplink, and what its acknowledgements mean. Pure: time is an argument, nothing waits.

- The order: status, alarms and replies; events; events of the backlog; descriptions and health; then telemetry, live
  and backlog in turns. What comes later in this list never takes the last places in the window.
- A record is acknowledged by a successful PUBACK and by nothing else; where only the platform's word counts, by that
  and by nothing else (unconfirmed.py).
- When a connection ends, events that are not acknowledged stay in memory (a bounded number) and go first over the next
  one; everything else is read from the journal again. Meanwhile no telemetry is kept here.
- Telemetry is sent only when it is stored; an event also when the disk has taken a second over it (early.py).
- Records of an earlier run whose clock was not trusted wait for the hub's first event, `started`: what can be said of
  their time comes before it.
- A batch that is refused for what is in it, or for its size, goes again in halves, until the record that the broker
  does not take stands aside alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from functools import partial
from typing import NamedTuple

from gateway.correction import DOUBTFUL
from gateway.model import Backlog, Lane, Record, Row
from gateway.pace import Pace
from gateway.uplink import contract
from gateway.uplink.board import Board
from gateway.uplink.confirmation import Confirmation
from gateway.uplink.early import EarlyEvents, Fate
from gateway.uplink.lanes import LaneQueue, Question
from gateway.uplink.packing import Form, Packing
from gateway.uplink.receipts import Receipts
from gateway.uplink.refusals import TOO_LARGE, Aside
from gateway.uplink.unconfirmed import Unconfirmed
from gateway.uplink.window import Message, Window
from gateway.uplink.wire import FAILED, Up

KEEP_EVENTS = 256
KEEP_TELEMETRY = 2_000
"""Rows that are held in memory, at most; two seconds at a thousand readings a second."""

NOT_AS_IT_IS = {TOO_LARGE, 0x99}
"""Reason codes that may be the fault of a single record. Source: MQTT 5.0, 3.4.2.1."""


class Options(NamedTuple):
    """How one uplink sends: messages in flight, seconds that telemetry waits for more, backlog in records a second."""

    window: int
    linger_s: float
    backlog_rate: int
    confirm_within_s: float | None = None  # None: a PUBACK is enough
    form: Form = Form()


class Refused(NamedTuple):
    """The broker refused a message, or would: the reason code of the PUBACK."""

    message: Message
    code: int


class Outbox:
    """All that one uplink has to send. Every method is called on the sender's thread."""

    def __init__(self, run: str, topics: contract.Topics, board: Board, options: Options) -> None:
        self._options = options
        self.board = board
        self.window = Window()
        self._packing = Packing(topics, options.form)
        self.corrections = self._packing.corrections
        self._run = run
        self._hub_started = False
        self._early = EarlyEvents(run)
        self._lanes = {Lane.EVENT: LaneQueue(KEEP_EVENTS), Lane.TELEMETRY: LaneQueue(KEEP_TELEMETRY)}
        self._aside = {Lane.EVENT: Aside(), Lane.TELEMETRY: Aside()}
        self._board_aside = Aside(waits_in_a_row=False)
        self._halves: deque[Message] = deque()  # of batches that were refused for good
        self._pace = Pace(options.backlog_rate)
        self.unconfirmed = None if options.confirm_within_s is None else Unconfirmed(options.confirm_within_s)
        self._receipts = Receipts(self._early, self.unconfirmed)
        self._limits: Up | None = None
        self._hist_turn = False

    # ------------------------------------------------------------ what comes in

    def connected(self, limits: Up) -> None:
        """A connection begins."""
        self._limits = limits
        self._packing.max_packet = limits.max_packet
        self.window.open(min(self._options.window, limits.receive_maximum))

    def disconnected(self) -> None:
        """The connection has ended; nothing that was on its way counts as arrived."""
        self._limits = None
        left = self.window.close()
        has_left_out = self._aside[Lane.EVENT].has_left_out
        for aside in (*self._aside.values(), self._board_aside):
            left += aside.clear()
        left += self._halves
        self._halves.clear()
        for message in left:
            if self.unconfirmed is not None and message.lane is not None:
                self.unconfirmed.not_taken(message.lane, message.rows)
        rows = [row for message in left if message.lane is Lane.EVENT and not message.hist for row in message.rows]
        rows = [row for row in rows if row.id] + self._early.put_back([row for row in rows if not row.id])
        if has_left_out:  # what is in memory has holes: all of it is read again
            self._lanes[Lane.EVENT].forget()
        else:
            self._lanes[Lane.EVENT].reset(sorted(rows, key=lambda row: row.id))
        self._lanes[Lane.TELEMETRY].forget()
        self.board.disconnected([message for message in left if message.lane is None])

    def hub_started(self) -> None:
        """The hub knows of the run before."""
        self._hub_started = True

    def handed_over(self, record: Record, now: float) -> None:
        """The hub made an event; the journal has it in hand, too."""
        self._hub_started = self._hub_started or record.seq == 1
        self._early.handed_over(record, now)

    def stored(self, rows: Iterable[Row], now: float) -> None:
        """These rows are on the disk, in the order of their ids within each lane."""
        for row in rows:
            if row.record.lane is Lane.EVENT:
                self._event_stored(row, now)
            elif self._limits is not None:
                self._lanes[Lane.TELEMETRY].stored(row, now)

    def _event_stored(self, row: Row, now: float) -> None:
        queue = self._lanes[Lane.EVENT]
        match self._early.stored(row):
            case Fate.SEND:
                queue.stored(row, now)
            case Fate.LATE:
                queue.left_behind(row)
            case Fate.SENT:
                queue.passed(row)
            case Fate.ACKED:
                queue.passed(row)
                self._receipts.stored(row)

    def answered(self, number: int, answer: Backlog) -> None:
        """The journal's answer to one of `questions`."""
        self._lanes[answer.lane].answered(number, answer)

    def read_again(self) -> None:
        """The journal can read all that it has again, which it could not while its disk failed."""
        for queue in self._lanes.values():
            queue.read_again()

    def start_over(self, lane: Lane, run: str, first: int, last: int) -> None:
        """Rows that had been acknowledged are not any longer: they go again, as backlog."""
        if self.unconfirmed is not None:
            self.unconfirmed.wanted_again(lane, run, first, last)
        self._lanes[lane].start_over()

    def confirmed(self, said: Confirmation, now: float) -> bool:
        """The platform has stored these records; whether all of them were known here, so that no one else need know."""
        return self._receipts.confirmed(said, now)

    def look_for_overdue(self, now: float) -> None:
        """What the platform has not confirmed in time goes again, as backlog."""
        if self.unconfirmed is not None and self._limits is not None:
            for lane in self.unconfirmed.overdue(now):
                self._lanes[lane].start_over()

    def landed(self, token: int, code: int, now: float) -> Refused | Message | None:
        """A PUBACK came: the message that it answers, or that message's refusal, or None if nothing waits for it."""
        message = self.window.land(token, now)
        if message is None:
            return None
        aside = self._board_aside if message.lane is None else self._aside[message.lane]
        if code >= FAILED:
            if code in NOT_AS_IT_IS and len(message.rows) > 1:
                self._halves.extendleft(reversed(self._packing.halves(message)))
                return Refused(message, code)
            return Refused(aside.refused(message, code, now), code)
        aside.accepted()
        if message.lane is not None:
            self._receipts.taken(message.lane, message.rows, now)
        return message

    # ------------------------------------------------------------ what goes out

    def acknowledged(self) -> list[tuple[Lane, tuple[tuple[int, int], ...]]]:
        """What was acknowledged since the last call, as ranges of row ids."""
        return self._receipts.news()

    def questions(self, now: float) -> list[tuple[Lane, Question]]:
        """What to ask the journal for now."""
        if self._limits is None:
            return []
        asked = [(lane, queue.question(partial(self._held, lane), now)) for lane, queue in self._lanes.items()]
        return [(lane, question) for lane, question in asked if question is not None]

    def _held(self, lane: Lane) -> list[int]:
        ids = [row.id for message in self.window if message.lane is lane for row in message.rows]
        ids += [row.id for message in self._aside[lane] for row in message.rows]
        ids += [row.id for message in self._halves if message.lane is lane for row in message.rows]
        ids += self.unconfirmed.row_ids(lane) if self.unconfirmed is not None else []
        return ids + (self._early.row_ids() if lane is Lane.EVENT else [])

    def launch(self, message: Message, now: float) -> int:
        """The message leaves at the monotonic time `now`; returns the token that its PUBACK will name."""
        if self.unconfirmed is not None and message.lane is not None:
            self.unconfirmed.left(message.lane, message.rows)
        return self.window.launch(message, now)

    def next(self, now: float, stopping: bool = False) -> Message | Refused | None:
        """The message that leaves now, or one that the broker would refuse, or None. `stopping`: no telemetry."""
        if self._limits is None or not self.window.has_room:
            return None
        message = self._next_urgent(now) or self._next_event(now, stopping)
        if message is None and self.window.has_room_for_bulk(hist=False) and not stopping:
            message = self._next_bulk(now)
        if message is None:
            return None
        if not self._packing.fits(message):
            aside = self._board_aside if message.lane is None else self._aside[message.lane]
            return Refused(aside.too_large(message, now), TOO_LARGE)
        return message

    def _next_urgent(self, now: float) -> Message | None:
        while (refused := self._board_aside.take(now)) is not None:
            self.board.put_back(refused)
        return None if self._board_aside.is_closed(now) else self.board.next_urgent()

    def _next_event(self, now: float, stopping: bool) -> Message | None:
        aside, queue = self._aside[Lane.EVENT], self._lanes[Lane.EVENT]
        again = aside.take(now)
        if again is not None or aside.is_closed(now):
            return again
        if not self._may_leave(Lane.EVENT, hist=False):
            return None
        for row in queue.live:
            queue.take_live()
            return self._packing.event(row, hist=False)
        due = self._early.due_at
        if due is not None and (stopping or now >= due):
            return self._packing.event(self._early.take(), hist=False)
        if not stopping and self._backlog_may_leave(Lane.EVENT):
            for row in queue.chunk if self._pace.allows(now) else ():
                queue.take_chunk()
                self._pace.spend(1)
                return self._packing.event(row, hist=True)
        return None

    def _next_bulk(self, now: float) -> Message | None:
        if not self._board_aside.is_closed(now):
            message = self.board.next_calm()
            if message is not None:
                return message
        aside = self._aside[Lane.TELEMETRY]
        again = aside.take(now)
        if again is not None or aside.is_closed(now):
            return again
        if self._halves:
            return self._halves.popleft()
        self._hist_turn = not self._hist_turn
        if self._hist_turn:
            return self._next_backlog(now) or self._next_live(now)
        return self._next_live(now) or self._next_backlog(now)

    def _next_live(self, now: float) -> Message | None:
        queue = self._lanes[Lane.TELEMETRY]
        since = queue.live_since
        if since is None or not self._may_leave(Lane.TELEMETRY, hist=False):
            return None
        batch = self._packing.batch(queue.live, self.window.most_bytes)
        if not batch.full and now < since + self._options.linger_s:
            return None
        message = self._packing.telemetry(batch.rows, hist=False)
        queue.take_live(len(message.rows))
        return message

    def _next_backlog(self, now: float) -> Message | None:
        queue = self._lanes[Lane.TELEMETRY]
        if (
            not self._backlog_may_leave(Lane.TELEMETRY)
            or not self.window.has_room_for_bulk(hist=True)
            or not self._pace.allows(now)
        ):
            return None
        batch = self._packing.batch(queue.chunk, self.window.most_bytes)
        message = self._packing.telemetry(batch.rows, hist=True)
        queue.take_chunk(len(message.rows))
        self._pace.spend(len(message.rows))
        return message

    def _may_leave(self, lane: Lane, *, hist: bool) -> bool:
        return self.unconfirmed is None or self.unconfirmed.has_room(lane, hist)

    def _backlog_may_leave(self, lane: Lane) -> bool:
        queue = self._lanes[lane]
        if not self.window.has_room_for_bulk(hist=True) or not self._may_leave(lane, hist=True):
            return False
        return queue.has_chunk and not self._must_wait(next(iter(queue.chunk)))

    def _must_wait(self, row: Row) -> bool:
        return not self._hub_started and row.run != self._run and row.record.trust in DOUBTFUL

    # ------------------------------------------------------------ when to look again

    def due_at(self, now: float, patience_s: float, stopping: bool = False) -> float | None:
        """When (monotonic) something may leave, be asked or be overdue, if nothing comes before; None: never.

        What cannot leave for want of room in the window is not counted: a PUBACK comes first, or is overdue.
        """
        if self._limits is None:
            return None
        times = [self.window.overdue_at(patience_s), *(queue.ask_again_at for queue in self._lanes.values())]
        if self.unconfirmed is not None:
            times.append(self.unconfirmed.due_at)
        if self.window.has_room:
            times += [self._board_aside.due_at(), self._aside[Lane.EVENT].due_at()]
            if not self._aside[Lane.EVENT].is_closed(now) and self._may_leave(Lane.EVENT, hist=False):
                times.append(self._early.due_at)
                if not stopping and self._backlog_may_leave(Lane.EVENT):
                    times.append(self._pace.due_at())
        if self.window.has_room_for_bulk(hist=False) and not stopping:
            times += self._bulk_times(now)
        return min((time for time in times if time is not None), default=None)

    def _bulk_times(self, now: float) -> list[float | None]:
        aside, queue = self._aside[Lane.TELEMETRY], self._lanes[Lane.TELEMETRY]
        if aside.is_closed(now):
            return [aside.due_at()]
        since = queue.live_since
        linger = (
            since + self._options.linger_s
            if since is not None and self._may_leave(Lane.TELEMETRY, hist=False)
            else None
        )
        backlog = (
            self._pace.due_at()
            if self._backlog_may_leave(Lane.TELEMETRY) and self.window.has_room_for_bulk(hist=True)
            else None
        )
        return [aside.due_at(), linger, backlog]

    def events_are_done(self) -> bool:
        """Whether no event waits in memory to be sent or acknowledged."""
        waiting = len(self._early) or self._lanes[Lane.EVENT].live_since is not None
        return not waiting and all(message.lane is not Lane.EVENT for message in self.window)
