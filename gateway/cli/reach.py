"""How a command reaches devices: by opening the wire itself, or through the running daemon that attends it.

Both are used alike, as `gateway.driver.Registers` that also tells which bytes have passed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from gateway.cli.direct import opened
from gateway.cli.held import Attended, attended
from gateway.cli.talking import Lost, talking
from gateway.cli.wire import Wire
from gateway.driver import Family, Table
from gateway.model import Passing


class Reach(Protocol):
    """The devices on a wire."""

    @property
    def via(self) -> Attended | None:
        """The daemon through which they are reached; None: directly."""

    def read(self, unit: int, table: Table, address: int, count: int) -> Sequence[int]:
        """Registers or bits, in one exchange; raises NoReply, Refused, LinkDown, or SitewardenError."""

    def write(self, unit: int, table: Table, address: int, values: Sequence[int], function: int | None = None) -> None:
        """Refused: nothing is changed this way."""

    def passed(self) -> tuple[Passing, ...]:
        """What has passed on the wire with the exchanges since the last call."""

    def listen(self, seconds: float) -> Iterator[Passing | Lost]:
        """Everything that passes from now on, for so long; raises LinkDown or SitewardenError."""


@contextmanager
def reach(wire: Wire, state_dir: Path | None, name: str, of: str, family: Family = Family.REGISTERS) -> Iterator[Reach]:
    """The devices on `wire`, however they are reached: `name` is the command's, `of` says in words what it looks at."""
    daemon = attended(wire, state_dir)
    if daemon is not None:
        with talking(daemon.state_dir, daemon.link, name, of, daemon) as talk:
            yield talk
        return
    with opened(wire.name, wire.part, family) as direct:
        yield direct
