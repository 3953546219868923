"""What one Modbus unit answers to reads, each asked once however many profiles would ask it. It never writes.

A table whose function the unit does not know, or about which it keeps silent twice, is not asked further: that much
less time is spent on a bus that may be slow.
"""

from __future__ import annotations

from collections import Counter

from drivers.modbus_plan import Block, Limits, halves, plan
from drivers.modbus_profile import Profile
from gateway.commissioning.matching import Place, Seen, Span, Verdict
from gateway.driver import Registers, Table
from gateway.errors import NoReply, Refused

_ILLEGAL_FUNCTION = 1
_ENOUGH = 2  # requests to a table without any answer, after which it counts as not there


class Answers:
    """The answers of one unit, as they are asked for."""

    def __init__(self, link: Registers, unit: int) -> None:
        self._link = link
        self._unit = unit
        self._raw: dict[Place, int] = {}
        self._refused: set[Span] = set()
        self._silent: set[Span] = set()
        self._unanswered: Counter[Table] = Counter()
        self._absent: dict[Table, set[Span]] = {}  # tables that are not asked further, and what they count as

    @property
    def seen(self) -> Seen:
        """Everything so far."""
        return Seen(dict(self._raw), frozenset(self._refused), frozenset(self._silent))

    def ask(self, profile: Profile) -> None:
        """Read what a device with this profile would be read for; raises LinkDown."""
        blocks = list(plan(profile.points, Limits(profile.max_registers, profile.max_gap)))
        while blocks:
            block = blocks.pop(0)
            if not self._known(block):
                blocks[:0] = self._ask(block)

    def _known(self, block: Block) -> bool:
        """Whether it is known of each of its points what becomes of it."""
        seen = Seen(self._raw, self._refused, self._silent)
        return all(seen.verdict(span) is not Verdict.NOT_ASKED for span in _spans(block))

    def _ask(self, block: Block) -> tuple[Block, ...]:
        """Read the block; its halves, if it is refused and can be cut."""
        if block.table in self._absent:
            self._absent[block.table].update(_spans(block))
            return ()
        try:
            raw = self._link.read(self._unit, block.table, block.address, block.size)
        except Refused as fault:
            return self._note_refused(block, fault)
        except NoReply:
            self._note_silent(block)
            return ()
        self._raw.update({(block.table, block.address + i): value for i, value in enumerate(raw)})
        return ()

    def _note_refused(self, block: Block, fault: Refused) -> tuple[Block, ...]:
        parts = halves(block)
        if fault.code == _ILLEGAL_FUNCTION:
            self._absent[block.table] = self._refused
        if fault.code == _ILLEGAL_FUNCTION or not parts:
            self._refused.update(_spans(block))
            return ()
        return parts

    def _note_silent(self, block: Block) -> None:
        self._silent.update(_spans(block))
        self._unanswered[block.table] += 1
        if self._unanswered[block.table] >= _ENOUGH and not any(table is block.table for table, _ in self._raw):
            self._absent[block.table] = self._silent


def _spans(block: Block) -> set[Span]:
    """Where its points are; the gaps between them do not count."""
    return {Span.of(it) for _, it in block.points}
