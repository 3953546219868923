"""One Modbus request, one checked reply. The wire is ours.

- A value is given only from the reply that the request announces: unit, function, byte count, and CRC or transaction
  id are right. Everything else is a NoReply with the name of its fault.
- An RTU reply does not say which request it answers. So late bytes are dropped before a request is sent, and after a
  request without its reply the line stays silent as long as that may still come (late.py): a device that takes up to
  twice the timeout costs its poll, and its reply never meets another request. A device that is slower still needs a
  longer `timeout` on its link. A connection that ended in between changes nothing: a serial server sends what the line
  says to whoever is connected.
- A write by function 5 or 6 is confirmed by repeating it, as an echo does. Whether the adapter hears itself shows when
  something is read; until it has shown, what is to be written is read first.
- A request is sent once. Asking again is the poller's business. So is a connection that ends under a request: it costs
  that poll if it had worked before, and is made anew for the next; if that ends likewise, the link is down.
- On TCP a read may be sent before it is asked for, and its reply taken without waiting: how links share a thread. One
  request at most is under way; a read of exactly what is under way waits for its reply, anything else first lets it
  come.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Literal, NamedTuple

from gateway.driver import Table
from gateway.errors import LinkDown, NoReply, Refused
from gateway.links.framing import Read, RtuAnswer, TcpAnswer
from gateway.links.late import LateReplies
from gateway.links.port import Pace, Port
from gateway.links.refusal import accepted
from gateway.links.request import Request, Requests, whole
from gateway.links.tally import Tally

_QUIET_S = 0.02  # USB adapters hand bytes over in lumps of 16 ms: a shorter silence is none


class _Sent(NamedTuple):
    """A request whose reply is expected for `response_s`, until `deadline` (monotonic s)."""

    request: Request
    answer: RtuAnswer | TcpAnswer
    response_s: float
    deadline: float

    @property
    def at(self) -> float:
        """When it was sent."""
        return self.deadline - self.response_s


class Exchange:
    """The devices on one port, as `gateway.driver.Registers`; framing `rtu` fits serial lines and serial servers."""

    def __init__(self, port: Port, framing: Literal["rtu", "tcp"], pace: Pace) -> None:
        self._port = port
        self._rtu = framing == "rtu"
        self._pace = pace
        self._echo: bool | None = pace.echo or None  # whether the adapter hears itself, once it is known
        self._transaction = 0
        self._requests = Requests(framing, pace)
        self._ahead: _Sent | None = None  # a read that nobody has asked for yet
        self._late = LateReplies()
        self._turnaround_s: float | None = None
        self._in_vain = -1  # the unit that has left a limited request unanswered
        self._tally = Tally()  # of the device that is asked
        self._works = False  # a reply has come since the connection ended under a request

    def read(self, unit: int, table: Table, address: int, count: int) -> Sequence[int]:
        """The `count` registers (0 to 65535) or bits (0 or 1) from the 0-based `address` on.

        Raises NoReply, Refused or LinkDown; ValueError when the request itself is impossible.
        """
        request = self._requests.reading(Read(unit, table, address, count))
        if self._ahead is not None and self._ahead.request is request:
            sent, self._ahead = self._ahead, None
            return request.values(self._reply_to(sent))
        return request.values(self._exchange(request))

    def write(self, unit: int, table: Table, address: int, values: Sequence[int], function: int | None = None) -> None:
        """Write registers (functions 6, 16) or coils (5, 15); returns when the device has confirmed.

        Raises NoReply, Refused or LinkDown; ValueError when the request itself is impossible.
        """
        request = self._requests.writing(unit, table, address, values, function)
        if self._rtu and self._echo is None and request.is_repeated:
            self._listen_for_echo(unit, table, address)
        self._exchange(request)

    def count_for(self, tally: Tally) -> None:
        """From now on it is this device that is asked."""
        self._tally = tally

    def limit(self, turnaround_s: float | None) -> None:
        """From now on wait for replies so long beside their time on the wire; None: as long as the link says.

        For a device that was asked in vain before: the others do not wait for what it may say late (late.py), and the
        first of its requests without a reply is the last: what else it is asked is a NoReply that was not sent.
        """
        self._turnaround_s, self._in_vain = turnaround_s, -1

    # -- ahead of the asking; on TCP alone, where a reply names its request

    def send(self, wanted: Read) -> float:
        """Send a read and return at once; until when (monotonic s) its reply may come. Raises LinkDown."""
        sent = self._ahead = self._send(self._requests.reading(wanted))
        return sent.deadline

    def reply(self) -> Sequence[int] | None:
        """What answers the read that was sent, if it has come; never waits. Raises NoReply, Refused or LinkDown."""
        sent = self._ahead
        if sent is None:
            return None
        answer, done = sent.answer, True
        try:
            pdu = answer.feed(self._received(0.0))
            if pdu is None:
                done = False
                return None
        except NoReply as fault:
            self._tally.unanswered(fault.fault)
            raise
        finally:
            if done:
                self._ahead = None
                self._tally.busy_s += self._port.last - sent.at
                if answer.noise_bytes:
                    self._port.noise(answer.noise_bytes)
        return sent.request.values(self._accepted(sent, pdu))

    def forget(self) -> None:
        """Nobody wants the reply to what was sent ahead: it must not pass for the answer to a later question."""
        self._ahead = None

    # -- one exchange

    def _exchange(self, request: Request) -> bytes:
        """The PDU of the reply."""
        unit = request.ask.unit
        if unit == self._in_vain:
            raise NoReply("silent", f"unit {unit}: asked no further, since it has just left a request unanswered")
        began = time.monotonic()
        try:
            self._settle(unit)
            sent = self._send(request)
        finally:
            self._tally.busy_s += time.monotonic() - began
        return self._reply_to(sent)

    def _settle(self, unit: int) -> None:
        """Wait until the line may be used for `unit`: no late reply is to come, and it is quiet for the gap."""
        port, late = self._port, self._late
        if self._ahead is not None:
            unwanted, self._ahead = self._ahead, None
            with suppress(NoReply, LinkDown):  # `prepare` makes the connection anew
                self._collect(unwanted.answer, unwanted.deadline)
        port.prepare()
        free_at = late.free_at(unit)
        until = max(port.last + self._pace.gap_s, free_at)
        give_up = None
        while unasked := port.receive(until):
            port.noise(len(unasked))
            if late.hear(unasked):
                free_at = 0.0
            until = max(self._quiet_at(), free_at)
            give_up = give_up or until + self._pace.response_s(256)
            if until > give_up:
                self._tally.failed("noise")
                hint = "check baud rate and parity, and that no other master and no talking device is on this line"
                raise NoReply("noise", "the line is never quiet", hint)
        late.settle()

    def _send(self, request: Request) -> _Sent:
        frame, response_s = request.frame, request.response_s
        if self._turnaround_s is not None:
            response_s = min(response_s, request.wire_s + self._turnaround_s)
        answer: RtuAnswer | TcpAnswer
        if self._rtu:
            answer = RtuAnswer(request.ask, frame, whole, echo=self._echo is not False)
        else:
            self._transaction = self._transaction % 0xFFFF + 1
            answer = TcpAnswer(request.ask, self._transaction)
            frame = self._transaction.to_bytes(2) + frame
        self._port.write(frame)
        return _Sent(request, answer, response_s, time.monotonic() + response_s)

    def _reply_to(self, sent: _Sent) -> bytes:
        """The PDU of the reply, waited for."""
        answer = sent.answer
        try:
            pdu = self._collect(answer, sent.deadline)
            if pdu is None:
                fault = answer.fault(sent.response_s)
                self._notice_no_echo(answer, fault)
                raise fault
        except NoReply as none:
            self._tally.unanswered(none.fault)
            self._expect_late(sent)
            raise
        except LinkDown:
            self._expect_late(sent)
            raise
        finally:
            self._tally.busy_s += time.monotonic() - sent.at
            self._port.noise(answer.noise_bytes)
            self._notice_echo(answer)
        return self._accepted(sent, pdu)

    def _accepted(self, sent: _Sent, pdu: bytes) -> bytes:
        """The PDU of the reply that has come, unless the device says no with it."""
        self._works = True
        self._tally.answered(self._port.last - sent.at)
        try:
            return accepted(sent.request.ask, pdu)
        except NoReply as fault:
            self._tally.failed(fault.fault)
            raise

    def _collect(self, answer: RtuAnswer | TcpAnswer, deadline: float) -> bytes | None:
        """The PDU of the reply; None at the deadline, or when a spoilt reply has come to its end."""
        until = deadline
        while data := self._received(until):
            pdu = answer.feed(data)
            if pdu is not None:
                return pdu
            if isinstance(answer, RtuAnswer) and answer.spoilt:
                until = min(deadline, self._quiet_at())
        return None

    def _received(self, until: float) -> bytes:
        """What has come by then of the reply; NoReply where the connection has ended and can be made anew."""
        try:
            return self._port.receive(until)
        except LinkDown as gone:
            if not (self._works and self._port.renew()):
                raise
            self._works = False
            raise NoReply("disconnected", gone.what, gone.hint) from gone

    def _notice_echo(self, answer: RtuAnswer | TcpAnswer) -> None:
        """See whether the adapter hears itself: then its echo must not pass for the confirmation of a write."""
        if isinstance(answer, RtuAnswer) and answer.echoed is not None:
            self._echo = answer.echoed

    def _notice_no_echo(self, answer: RtuAnswer | TcpAnswer, fault: NoReply) -> None:
        """Where nothing is heard in all the time of a reply, or another frame alone, the adapter hears not itself."""
        if self._echo is None and self._turnaround_s is None and isinstance(answer, RtuAnswer):
            self._echo = False if answer.is_silence or fault.fault.startswith("wrong_") else None

    def _listen_for_echo(self, unit: int, table: Table, address: int) -> None:
        """See by a read whether the adapter hears itself; whether the device answers does not matter."""
        with suppress(NoReply, Refused):
            self.read(unit, table, address, 1)
        self._in_vain = -1  # it may be a device that can only be written

    def _expect_late(self, sent: _Sent) -> None:
        """Keep an RTU line silent; a TCP reply that comes late is known by its transaction id."""
        request, answer = sent.request, sent.answer
        if self._turnaround_s is not None:
            self._in_vain = request.ask.unit
        if not isinstance(answer, RtuAnswer):
            return
        until = sent.at + 2 * request.response_s
        if self._turnaround_s is None:
            self._late.expect(answer, until)
        else:
            self._late.leave_alone(request.ask.unit, until)

    def _quiet_at(self) -> float:
        """When the line has been quiet for long enough, if nothing more comes."""
        return self._port.last + max(self._pace.gap_s, _QUIET_S)
