"""Finding the reply that a Modbus request announces in the bytes that arrive. Pure.

A request tells what its reply looks like: how the PDU begins (function, and byte count or the echoed address) and how
long it is. Nothing else is ever taken for the reply. Source: Modbus Application Protocol V1.1b3, part 6, and Modbus
over Serial Line V1.02, part 2.5.

    RTU    unit (1) | PDU | CRC (2, low byte first)
    TCP    transaction (2) | protocol 0 (2) | length of what follows (2) | unit (1) | PDU
    PDU    function (1) | data         or: function + 0x80 (1) | exception code (1)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from gateway.driver import Table
from gateway.errors import NoReply

_MOST = 1024  # bytes of noise that are looked at; a frame has 256 at most
_REFUSAL_SIZE = 2
_TCP_HEAD = 7  # bytes before the PDU
_CABLE = "check A/B polarity, termination, earth and cable, and that no two devices have one unit id"


class Read(NamedTuple):
    """One question: the `size` registers or bits of a unit's table, from the 0-based `address` on."""

    unit: int
    table: Table
    address: int
    size: int  # how many


class Ask(NamedTuple):
    """What a request announces: its unit, and how the PDU of the reply begins and how long it is."""

    unit: int
    head: bytes
    size: int
    behind_transaction: bytes  # how the frame of the reply goes on, on TCP

    @classmethod
    def of(cls, unit: int, head: bytes, size: int) -> Ask:
        """What announces a reply with a PDU of `size` bytes that begins with `head`."""
        return cls(unit, head, size, bytes((0, 0, 0, size + 1, unit)) + head)

    @property
    def refusal(self) -> bytes:
        """How the PDU begins if the device says no."""
        return bytes((self.head[0] | 0x80,))


class RtuAnswer:
    """Collects bytes of a serial line until they hold the announced reply, whatever noise is around it.

    What an adapter that hears itself sends back is taken out wherever it is: the request for register 0x0210 looks like
    a reply with a wrong CRC. A write by function 5 or 6 is confirmed by repeating it, so there `echo` must say that it
    comes twice, and only the second is the device's word.
    """

    def __init__(self, ask: Ask, frame: bytes, whole: Callable[[bytes], bool], *, echo: bool) -> None:
        self.spoilt = False  # a frame that looked like the reply has arrived, with a wrong CRC
        self.echoed: bool | None = None  # whether the request was heard itself, once that is known
        self._ask = ask
        self._frame = frame
        self._whole = whole
        self._repeats = frame[1:-2] == ask.head  # the reply is the request once more
        self._echo = echo and self._repeats
        self._seen = bytearray()
        self._next = 0  # what is before this place has been decided on
        self._heard = 0
        self._meant = 0

    @property
    def noise_bytes(self) -> int:
        """How many bytes belonged neither to the reply nor to the echo."""
        return self._heard - self._meant

    @property
    def is_silence(self) -> bool:
        """Whether nothing at all has been heard."""
        return not self._heard

    def feed(self, data: bytes) -> bytes | None:
        """The PDU of the reply, once it is complete."""
        self._seen += data
        self._heard += len(data)
        if len(self._seen) > _MOST:
            self._forget(len(self._seen) - _MOST // 2)
        if self._echo:
            at = self._seen.find(self._frame)
            if at < 0:
                return None
            self._forget(at + len(self._frame))
            self._meant += len(self._frame)
            self._echo = False
        return self._found()

    def fault(self, response_s: float) -> NoReply:
        """Why there is no reply, from what has been seen instead."""
        seen, ask = bytes(self._seen), self._ask
        if self._echo and seen:
            hint = "if this link is configured with echo: remove `echo` if the adapter does not hear what it sends"
            return NoReply("noise", f"unit {ask.unit}: the request was not echoed", hint)
        seen = seen.removeprefix(self._frame)
        if not seen:
            hint = "check that it has power, its unit id, the wiring (A/B), baud rate and parity"
            if self._repeats and self._meant:
                hint += "; only the echo was heard: remove `echo` if the adapter does not hear what it sends"
            return NoReply("silent", f"unit {ask.unit}: no answer within {response_s * 1000:.0f} ms", hint)
        if len(seen) > 3 and self._whole(seen):
            return _mismatch(ask, seen[0], seen[1:-2])
        if self.spoilt:
            return NoReply("checksum", f"unit {ask.unit}: a reply with a wrong checksum", _CABLE)
        if self._next < len(self._seen):
            return NoReply("half_frame", f"unit {ask.unit}: half a reply ({len(seen)} bytes)", _CABLE)
        return NoReply("noise", f"unit {ask.unit}: {len(seen)} bytes that are no reply", _CABLE)

    def _found(self) -> bytes | None:
        """The first right frame, looking at each place where one could begin."""
        seen, decided = self._seen, True
        at = seen.find(self._ask.unit, self._next)
        while at >= 0:
            if seen.startswith(self._frame, at) and not self._repeats:
                at = self._skip_echo(at, decided=decided)
                continue
            size = self._announced(at)
            if size is None:
                decided = False
            elif size:
                end = at + size + 3
                if self._whole(bytes(seen[at:end])):
                    self._meant += end - at
                    self._look_for_echo(before=at)
                    return bytes(seen[at + 1 : end - 2])
                self.spoilt = True
            if decided:
                self._next = at + 1
            at = seen.find(self._ask.unit, at + 1)
        if decided:
            self._next = len(seen)
        return None

    def _announced(self, at: int) -> int | None:
        """The size of the PDU after the unit at `at`; 0 if it is none of ours, None if more bytes must tell."""
        if len(self._seen) - at < len(self._frame) and self._frame.startswith(self._seen[at:]) and not self._repeats:
            return None  # this may become an echo
        rest = self._seen[at + 1 : at + 1 + self._ask.size]
        for head, size in ((self._ask.head, self._ask.size), (self._ask.refusal, _REFUSAL_SIZE)):
            if rest.startswith(head):
                return size if len(self._seen) >= at + size + 3 else None
            if head.startswith(rest):
                return None
        return 0

    def _skip_echo(self, at: int, *, decided: bool) -> int:
        """Where a reply may begin behind the echo at `at`; -1 if nowhere yet."""
        end = at + len(self._frame)
        if not self.echoed:
            self.echoed = True
            self._meant += len(self._frame)
        if decided:
            self._next = end
        return self._seen.find(self._ask.unit, end)

    def _look_for_echo(self, before: int) -> None:
        """A reply behind so many bytes: without any the adapter does not hear itself; behind noise nobody knows."""
        if not self.echoed and self._heard == len(self._seen):  # else an expected echo has been taken out already
            self.echoed = None if before else False

    def _forget(self, count: int) -> None:
        del self._seen[:count]
        self._next = max(0, self._next - count)


class TcpAnswer:
    """Collects bytes of a Modbus TCP connection until they hold the reply to one transaction."""

    __slots__ = ("_ask", "_expected", "_seen", "_transaction", "noise_bytes")

    def __init__(self, ask: Ask, transaction: int) -> None:
        self.noise_bytes = 0  # that did not belong to the reply
        self._ask = ask
        self._transaction = transaction
        self._expected = transaction.to_bytes(2) + ask.behind_transaction
        self._seen = b""

    def feed(self, data: bytes) -> bytes | None:
        """The PDU of the reply, once it is complete. Raises NoReply at a frame that is none, or a wrong one."""
        if data.startswith(self._expected) and len(data) == _TCP_HEAD + self._ask.size and not self._seen:
            return data[_TCP_HEAD:]  # the announced reply and nothing else, as nearly always
        self.noise_bytes += len(data)
        self._seen += data
        while len(self._seen) > _TCP_HEAD:
            seen = self._seen
            length = int.from_bytes(seen[4:6])
            if seen[2:4] != b"\0\0" or not 3 <= length <= 254:
                hint = "check that this port speaks Modbus TCP; a serial server needs framing: rtu"
                raise NoReply("noise", f"unit {self._ask.unit}: bytes that are no Modbus TCP frame", hint)
            end = 6 + length
            if len(seen) < end:
                return None
            self._seen = seen[end:]
            transaction = int.from_bytes(seen[:2])
            if transaction == self._transaction:
                checked = self._checked(seen[6], seen[7:end])
                self.noise_bytes -= end
                return checked
            if not 0 < (self._transaction - transaction) & 0xFFFF < 0x8000:
                what = f"unit {self._ask.unit}: a reply to transaction {transaction}, asked was {self._transaction}"
                raise NoReply("wrong_transaction", what, "the device or gateway mixes up its connections")
        return None

    def fault(self, response_s: float) -> NoReply:
        """Why there is no reply, from what has been seen instead."""
        if self._seen:
            return NoReply("half_frame", f"unit {self._ask.unit}: half a reply ({len(self._seen)} bytes)")
        if self.noise_bytes:
            what = f"unit {self._ask.unit}: only replies to earlier requests"
            return NoReply("wrong_transaction", what, "the device is slower than this link's timeout")
        hint = "check the unit id, and behind a gateway that the device has power"
        return NoReply("silent", f"unit {self._ask.unit}: no answer within {response_s * 1000:.0f} ms", hint)

    def _checked(self, unit: int, pdu: bytes) -> bytes:
        ask = self._ask
        if unit == ask.unit and (
            (len(pdu) == ask.size and pdu.startswith(ask.head))
            or (len(pdu) == _REFUSAL_SIZE and pdu.startswith(ask.refusal))
        ):
            return pdu
        raise _mismatch(ask, unit, pdu)


def _mismatch(ask: Ask, unit: int, pdu: bytes) -> NoReply:
    """What distinguishes a sound frame from the reply that was announced."""
    if unit != ask.unit:
        return NoReply("wrong_unit", f"unit {ask.unit}: unit {unit} answered instead", "two devices talk at once")
    if pdu[0] & 0x7F != ask.head[0]:
        what = f"unit {unit}: a reply to function {pdu[0] & 0x7F}, asked was {ask.head[0]}"
        return NoReply("wrong_function", what, "another master on the line, or a device that is no Modbus device")
    if len(pdu) == ask.size and pdu[0] == ask.head[0] and ask.head[0] > 4:
        return NoReply("wrong_echo", f"unit {unit}: it confirmed something else than was written")
    what = f"unit {unit}: a reply of {len(pdu)} bytes, announced were {ask.size}"
    return NoReply("wrong_length", what, "the device ignores how many registers are asked for: check its profile")
