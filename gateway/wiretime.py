"""How long Modbus reads take on a wire: what reading over a gap is worth, and how busy a bus is. Pure: arithmetic.

    read = silence and guard before it + 8 characters of request + turnaround of the device + characters of its answer
         + what the port's driver takes for switching direction, where it does
    answer = 5 + 2 N characters for N registers, 5 + N / 8 (rounded up) for N bits

Sources: Modbus over Serial Line V1.02, part 2.5.1.1 (silence of 3.5 characters of 11 bits, 1.75 ms above 19,200 baud);
Modbus Application Protocol V1.1b3, parts 6.1 to 6.4 (lengths). A device knows that a request is over by that silence,
so its turnaround is that long at least.
"""

from __future__ import annotations

from math import inf
from typing import Literal, NamedTuple

TURNAROUND_S = 0.005
"""Assumed of a device on a serial line. Many take longer; none is known to take much less."""

ROUND_TRIP_S = 0.002
"""Assumed of a Modbus TCP device in a local network: the way there and back, and the device."""

_REQUEST = 8  # characters: unit, function, address, count, CRC
_ANSWER = 5  # characters beside the values: unit, function, how many bytes, CRC
_FAST = 19_200  # baud; above it the silence is fixed
_FAST_SILENCE_S = 0.001_75
_SILENT_S = 0.3  # how long a reply is waited for beside twice its time on the wire, where the link does not say


class WireTime(NamedTuple):
    """What one link takes for its exchanges, in seconds. `of_line` and `of_network` make one."""

    character_s: float
    silence_s: float  # that ends a frame
    guard_s: float = 0.0  # more silence before a request
    switching_s: float = 0.0  # before and after a request, where the port's driver switches direction
    turnaround_s: float = TURNAROUND_S
    timeout_s: float | None = None  # for a reply, as configured

    def registers_s(self, count: int) -> float:
        """A read of so many registers."""
        return self._read_s(_ANSWER + 2 * count)

    def bits_s(self, count: int) -> float:
        """A read of so many bits."""
        return self._read_s(_ANSWER + (count + 7) // 8)

    @property
    def gap_registers(self) -> float:
        """How many registers that nobody wants can be read in the time that one read more takes; infinity: any."""
        return self.registers_s(0) / (2 * self.character_s) if self.character_s else inf

    def reply_within_s(self, characters: int) -> float:
        """How long a reply is waited for, from the sending of a request; both have so many characters together."""
        return self.switching_s + reply_within_s(characters, self.character_s, self.timeout_s)

    def unanswered_s(self) -> float:
        """A short read without an answer. A line then stays silent as long once more, in case the answer comes late."""
        waits = 2 if self.silence_s else 1
        return self.silence_s + self.guard_s + waits * self.reply_within_s(_REQUEST + _ANSWER + 2)

    def _read_s(self, answer: int) -> float:
        characters_s = (_REQUEST + answer) * self.character_s
        return self.silence_s + self.guard_s + self.switching_s + characters_s + max(self.turnaround_s, self.silence_s)


def of_line(
    baudrate: int,
    parity: Literal["none", "even", "odd"] = "none",
    stopbits: int = 1,
    guard_s: float = 0.0,
    timeout_s: float | None = None,
    switching_s: float = 0.0,
) -> WireTime:
    """A serial line with these settings."""
    bits = 1 + 8 + (parity != "none") + stopbits
    # The standard counts 11 bits to a character of silence, whatever the line uses.
    silence_s = _FAST_SILENCE_S if baudrate > _FAST else 3.5 * 11 / baudrate
    return WireTime(bits / baudrate, silence_s, guard_s, switching_s, timeout_s=timeout_s)


def of_network(timeout_s: float | None = None) -> WireTime:
    """A Modbus TCP peer: what is read costs nothing, asking costs a round trip."""
    return WireTime(0.0, 0.0, turnaround_s=ROUND_TRIP_S, timeout_s=timeout_s)


def reply_within_s(characters: int, character_s: float, timeout_s: float | None) -> float:
    """As configured, else 300 ms and twice the time on the wire of `characters`, those of the request among them."""
    return _SILENT_S + 2 * characters * character_s if timeout_s is None else timeout_s
