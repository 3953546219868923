"""The reads of one Modbus device, round by round: what is asked, and what its refusals and silences teach.

- A range that the device refuses is cut in two, at its widest gap, until the pieces are answered; the cuts are kept.
  Nothing is called refused but a point that was refused by itself. A round cuts a few times only, because each refusal
  costs the bus an exchange: what it did not come to is absent from it, and asked in the next.
- A range that stays silent round after round, where the device should refuse, is tried by one of its points alone. When
  that one answers and, there and then, the whole does not, three tries in a row, the range is cut at its gaps, or else
  in two: a line that loses a reply now and then does not do that. Such a try takes the place of asking for the whole,
  so that it costs a dead device nothing. What was cut for silence is tried now and then as it was planned.
- What has failed again and again while the rest answers is asked less often, but for smoke, doors and contacts.
- Two requests without a reply end a round, so that a device which dies, at whatever moment, costs no more. What the
  round did not come to is asked first in the next; what has failed is asked last, and stays Bad until it answers.
- After every round the ranges hold exactly the points that were planned.
- All this is forgotten at a restart: learning it again costs a few exchanges, and the device may be another by then.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from drivers.modbus_decode import BlockDecode, block_decoder
from drivers.modbus_plan import Block, alone, halves, pieces
from gateway.driver import Registers, Table
from gateway.errors import NoReply, Refused
from gateway.model import Bad, Reason, Value

_SILENCES = 2  # requests without a reply that end a round
_CUTS = 16  # refusals in one round that teach something new
_AGAIN = 3  # failures in a row after which a range is tried by one point, and rests
_TRIES = 3  # in a row in which one point answered and the whole did not, before a range is cut for that
_LONGEST_REST = 7  # rounds
_HEALED = 360  # rounds between tries of what was cut for silence: an hour of polls each 10 s
_RESTLESS = frozenset({"smoke", "door", "contact"})
_SILENT = frozenset({"silent", "half_frame", "wrong_length", "gateway", "device_failure"})
"""The faults by which a device may mean that it was asked for too much."""

_TABLES = tuple(Table)


@dataclass(slots=True, eq=False)
class _Range:
    """A block, and how it has fared."""

    block: Block
    failures: int = 0  # in a row
    silences: int = 0  # in a row, as a device may keep where it should refuse
    tries: int = 0  # in a row in which one of its points answered and the whole did not
    passed_over: bool = False  # the last round did not come to it
    rest: int = 0  # rounds in which it is not asked
    reason: Reason = Reason.NO_REPLY  # of the last failure
    _decode: BlockDecode | None = None

    def decoded(self, raw: Sequence[int]) -> dict[str, Value | Bad]:
        """The values. How they are decoded is worked out when first asked: until then this is plain data."""
        if self._decode is None:
            self._decode = _decoder(self.block)
        return self._decode(raw)

    def bad(self) -> dict[str, Value | Bad]:
        return {name: Bad(self.reason) for name, _ in self.block.points}

    def answer(self) -> None:
        self.failures = self.silences = self.tries = self.rest = 0

    def fail(self, fault: NoReply | Refused) -> None:
        self.failures += 1
        silent = isinstance(fault, NoReply)
        self.silences = self.silences + 1 if isinstance(fault, NoReply) and fault.fault in _SILENT else 0
        self.reason = Reason.NO_REPLY if silent else Reason.REFUSED

    def take_a_rest(self) -> None:
        if self.failures >= _AGAIN and not any(it.kind in _RESTLESS for _, it in self.block.points):
            self.rest = min(2 ** (self.failures - _AGAIN + 1) - 1, 1 if self.tries else _LONGEST_REST)

    def sample(self) -> Block | None:
        """What to ask for in its place this time, if anything: every second time, one of its points after the other."""
        number, whole = divmod(self.silences - _AGAIN, 2)
        if number < 0 or whole or not pieces(self.block):
            return None
        return alone(self.block, number % len(self.block.points))


@dataclass(slots=True)
class _Round:
    """What came of one round so far."""

    waiting: deque[_Range]
    values: dict[str, Value | Bad] = field(default_factory=dict)
    asked: list[_Range] = field(default_factory=list)  # what is to be asked again in the next round
    failed: list[_Range] = field(default_factory=list)  # of them
    fault: NoReply | Refused | None = None  # the first silence, else the first refusal
    answered: bool = False
    silences: int = 0
    cuts: int = 0
    learned: bool = False  # the ranges are others now

    @property
    def is_over(self) -> bool:
        """Whether everything was asked for, or enough."""
        return not self.waiting or self.silences >= _SILENCES or self.cuts >= _CUTS

    def answer(self, each: _Range, values: Mapping[str, Value | Bad]) -> None:
        self.answered = True
        self.asked.append(each)
        self.values |= values
        each.answer()

    def fail(self, each: _Range, fault: NoReply | Refused) -> None:
        silent = isinstance(fault, NoReply)
        each.fail(fault)
        self.asked.append(each)
        self.failed.append(each)
        self.values |= each.bad()
        self.silences += silent
        if self.fault is None or (silent and isinstance(self.fault, Refused)):
            self.fault = fault

    def refuse(self, each: _Range, fault: Refused) -> None:
        parts = halves(each.block)
        if parts:
            self.cut(parts)
        else:
            self.cuts += not each.failures
            self.fail(each, fault)

    def cut(self, parts: Sequence[Block]) -> None:
        self.cuts += 1
        self.learned = True
        self.waiting += map(_Range, parts)

    def leave_out(self, resting: Sequence[_Range]) -> None:
        for each in resting:
            each.rest -= 1
            self.values |= each.bad()
        for each in self.waiting:
            each.passed_over = True
            if each.failures:
                self.values |= each.bad()


class Rounds:
    """The reads of the device `unit`: at first those that were `planned`."""

    def __init__(self, unit: int, planned: tuple[Block, ...]) -> None:
        self._unit = unit
        self.blocks = planned  # what is asked for, as learned so far; the same object until something is learned
        self._planned = planned
        self._ranges = [_Range(block) for block in planned]
        self._silent: deque[Block] = deque()  # planned blocks that were cut for silence
        self._heal_in = 0  # rounds, until the first of them is tried

    def take(self, link: Registers) -> dict[str, Value | Bad]:
        """Ask for everything once. What was not answered is Bad; NoReply or Refused when nothing was."""
        answers = not self._silent or self._heal(link)
        due = [it for it in self._ranges if not it.rest] or self._ranges
        resting = [it for it in self._ranges if it.rest] if len(due) < len(self._ranges) else []
        this = _Round(deque(sorted(due, key=_turn)), silences=0 if answers else 1)
        while not this.is_over:
            each = this.waiting.popleft()
            each.passed_over = False
            self._ask(link, each, this)
        ranges = (*this.asked, *this.waiting, *resting)
        if not this.answered:
            return self._learn_from_nothing(this, ranges)
        this.leave_out(resting)
        if this.learned:
            self._keep(ranges)
        for each in this.failed:
            each.take_a_rest()
        return this.values

    def _ask(self, link: Registers, each: _Range, this: _Round) -> None:
        sample = each.sample() if each.silences else None
        try:
            if sample is None:
                this.answer(each, each.decoded(self._read(link, each.block)))
            else:
                self._read(link, sample)
                self._confirm(link, each, this)
        except NoReply as fault:
            this.fail(each, fault)
        except Refused as fault:
            this.refuse(each, fault)

    def _confirm(self, link: Registers, each: _Range, this: _Round) -> None:
        """A point of it has answered: if the whole does not, time and again, the device is silent about that."""
        this.answered = True
        try:
            this.answer(each, each.decoded(self._read(link, each.block)))
        except NoReply:
            each.tries += 1
            if each.tries < _TRIES:
                raise
            this.silences += 1
            this.cut(pieces(each.block))
            self._silent.append(next(it for it in self._planned if each.block.points[0] in it.points))
            self._heal_in = _HEALED

    def _heal(self, link: Registers) -> bool:
        """Now and then, ask for what was cut as it was planned; False if there was no reply."""
        self._heal_in -= 1
        if self._heal_in >= 0:
            return True
        self._heal_in = _HEALED
        block = self._silent.popleft()
        try:
            self._read(link, block)
        except (NoReply, Refused) as fault:
            self._silent.append(block)
            return isinstance(fault, Refused)
        here = dict(block.points)
        self._keep([_Range(block), *(it for it in self._ranges if it.block.points[0][0] not in here)])
        return True

    def _learn_from_nothing(self, this: _Round, ranges: Iterable[_Range]) -> dict[str, Value | Bad]:
        """Nothing was answered: all was refused, or not everything has been asked for yet, or the device is absent."""
        for each in self._ranges:
            each.rest = 0
        if isinstance(this.fault, NoReply):
            raise this.fault
        if this.waiting:
            self._keep(ranges)
            return {}
        self._keep([_Range(block) for block in self._planned])
        if this.fault is not None:
            raise this.fault
        return {}

    def _keep(self, ranges: Iterable[_Range]) -> None:
        self._ranges = sorted(ranges, key=_place)
        blocks = tuple(it.block for it in self._ranges)
        self.blocks = self.blocks if blocks == self.blocks else blocks

    def _read(self, link: Registers, block: Block) -> Sequence[int]:
        return link.read(self._unit, block.table, block.address, block.size)


@lru_cache(maxsize=256)
def _decoder(block: Block) -> BlockDecode:
    """The same for all devices of one model: what is used again and again stays in the processor's cache."""
    return block_decoder((name, it.address - block.address, it) for name, it in block.points)


def _turn(each: _Range) -> tuple[bool, int]:
    return not each.passed_over, each.failures


def _place(each: _Range) -> tuple[int, int]:
    return _TABLES.index(each.block.table), each.block.address
