"""Asking before the driver does: what it asked at its last poll is sent first; it is polled when the replies are here.

So a driver that is a plain blocking function does not block, and one thread serves many links. A driver may ask what
it likes all the same: what was not foreseen is asked there and then, and waited for. Only reads are foreseen.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

from gateway.driver import Table
from gateway.errors import NoReply, Refused, SitewardenError
from gateway.links.framing import Read
from gateway.links.tally import Tally

if TYPE_CHECKING:  # pymodbus costs 30 ms: only where it is used
    from gateway.links.modbus import Exchange


class Foresight:
    """The devices on one Modbus TCP connection, as `gateway.driver.Registers`."""

    def __init__(self, exchange: Exchange) -> None:
        self.deadline = math.inf  # until when (monotonic s) the reply under way may come
        self.complete = False  # everything foreseen has been answered
        self.strayed = False  # this poll has asked what was not foreseen
        self._exchange = exchange
        self._script: Sequence[Read] = ()
        self._replies: deque[tuple[Read, Sequence[int] | NoReply | Refused]] = deque()
        self._asked: list[Read] | None = []  # None: this poll has written

    def begin(self, script: Sequence[Read]) -> None:
        """Send the first of what the driver is going to ask. Raises LinkDown."""
        self._script = script
        self._replies.clear()
        self.complete = False
        self.deadline = self._exchange.send(script[0])

    def advance(self) -> bool:
        """Take what has come without waiting, and ask on; False if it is no right reply. Raises LinkDown."""
        asked = self._script[len(self._replies)]
        try:
            reply = self._exchange.reply()
        except (NoReply, Refused) as fault:
            self._replies.append((asked, fault))
            self.deadline = math.inf
            return False
        if reply is not None:
            self._replies.append((asked, reply))
            self.complete = len(self._replies) == len(self._script)
            self.deadline = math.inf if self.complete else self._exchange.send(self._script[len(self._replies)])
        return True

    def listen(self) -> None:
        """A poll begins: from now on keep what is asked."""
        self._asked = []
        self.strayed = False

    def asked(self) -> tuple[Read, ...]:
        """The poll is over: what it asked; nothing if it wrote. No reply is kept for a later poll."""
        asked, self._asked = self._asked, []
        self._replies.clear()
        self._exchange.forget()
        self.deadline = math.inf
        return tuple(asked) if asked is not None else ()

    def read(self, unit: int, table: Table, address: int, count: int) -> Sequence[int]:
        """The registers or bits, from what has come already or asked for now; raises NoReply, Refused or LinkDown."""
        wanted = Read(unit, table, address, count)
        if self._asked is not None:
            self._asked.append(wanted)
        if self._replies:
            asked, reply = self._replies.popleft()
            if asked == wanted:
                if isinstance(reply, SitewardenError):
                    raise reply
                return reply
            self._replies.clear()
        self.strayed = True
        return self._exchange.read(unit, table, address, count)

    def write(self, unit: int, table: Table, address: int, values: Sequence[int], function: int | None = None) -> None:
        """Write registers or coils; raises NoReply, Refused or LinkDown."""
        self._asked = None
        self._replies.clear()
        self.strayed = True
        self._exchange.write(unit, table, address, values, function)

    def count_for(self, tally: Tally) -> None:
        """From now on it is this device that is asked."""
        self._exchange.count_for(tally)

    def limit(self, turnaround_s: float | None) -> None:
        """Wait for replies so long; None: as long as the link says."""
        self._exchange.limit(turnaround_s)
