"""A wire that a command has opened for itself, with its own links as the daemon uses them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gateway.cli.talking import Lost, read_only
from gateway.config.schema import Link as LinkPart
from gateway.driver import Driver, Family, Heard, PinUse, Registers, Table
from gateway.links.choice import link as chosen
from gateway.links.device import Attended, LinkDevice
from gateway.links.port import Link, Tapped
from gateway.links.schedule import Urgency
from gateway.model import Moment, Passing, Reading, Trust, Values

NOT_HERE = Path()


@contextmanager
def opened(
    name: str, part: LinkPart, family: Family, uses: Iterable[tuple[PinUse, float]] = (), folder: Path = NOT_HERE
) -> Iterator[Direct]:
    """The link `name`, until the block ends; raises LinkDown."""
    link = chosen(name, part, uses, folder)
    try:
        link.open()
        yield Direct(link, family)
    finally:
        link.close()


class Direct:
    """A link that this process has opened."""

    def __init__(self, link: Link, family: Family) -> None:
        self.via: None = None
        self._link = link
        self._passed: list[Passing] = []
        if isinstance(link, Tapped):
            link.tap(self._passed.append)
        self.offer: Any = link.offer(family)

    def read(self, unit: int, table: Table, address: int, count: int) -> Sequence[int]:
        """Registers or bits."""
        registers: Registers = self.offer
        return registers.read(unit, table, address, count)

    def write(self, unit: int, table: Table, address: int, values: Sequence[int], function: int | None = None) -> None:
        """Refused."""
        del unit, table, address, values, function
        raise read_only()

    def wait(self, until: float) -> Sequence[Heard]:
        """What devices said by themselves; returns at `until` (monotonic s) at the latest."""
        return self._link.wait(until)

    def passed(self) -> tuple[Passing, ...]:
        """What has passed since the last call."""
        passed = tuple(self._passed)
        self._passed.clear()
        return passed

    def listen(self, seconds: float) -> Iterator[Passing | Lost]:
        """Everything that is heard, for so long."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.wait(until)
            yield from self.passed()


def reading(name: str, driver: Driver, values: Values) -> Reading:
    """What a device has just said, as its link would tell it; ValueError if its driver says what it must not."""
    each = Attended(LinkDevice(name, driver, 1.0, Urgency.METER))
    return each.reading(values, Moment(time.monotonic(), time.time_ns() // 1_000_000, Trust.SYNCED))
