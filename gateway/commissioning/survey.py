"""What a scan asks, in which order, how long that takes, and what an answer means. Pure.

What is common comes first, so that a lone sensor as it left the factory is found within seconds: the usual unit 1 at
every setting before any other unit, and of the settings 9600 baud without parity.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Literal, NamedTuple, TypeAlias

from gateway.driver import Table
from gateway.errors import NoReply, Refused, SitewardenError

BAUDRATES = (9600, 4800, 19200, 2400, 115200, 38400, 57600, 1200)
"""The usual ones, the commonest first."""

Parity: TypeAlias = Literal["none", "even", "odd"]
Stopbits: TypeAlias = Literal[1, 2]

PARITIES: tuple[Parity, ...] = ("none", "even", "odd")
_PARITY_LETTERS = {"none": "N", "even": "E", "odd": "O"}
_FIRST_UNIT = 1


class Settings(NamedTuple):
    """How a serial line is set."""

    baudrate: int
    parity: Parity
    stopbits: Stopbits

    def __str__(self) -> str:
        """As people write it: 9600 8N1."""
        return f"{self.baudrate} 8{_PARITY_LETTERS[self.parity]}{self.stopbits}"


class Question(NamedTuple):
    """One register or bit: any reply to it shows that a unit is there, a refusal too."""

    table: Table
    address: int


QUESTIONS = (Question(Table.HOLDING, 0), Question(Table.INPUT, 0))
MORE_QUESTIONS = (Question(Table.INPUT, 1), Question(Table.DISCRETE, 0), Question(Table.COIL, 0))
"""For devices that keep silent, instead of refusing, about what they do not have."""


class Sign(StrEnum):
    """What a question has brought."""

    ANSWERED = "answers"
    REFUSED = "refuses"
    BUSY = "is busy"
    FAILED = "reports a fault of its own"
    LATE = "answers late"
    GARBLED = "garbled"
    SILENT = "silent"


PRESENT = frozenset({Sign.ANSWERED, Sign.REFUSED, Sign.BUSY, Sign.FAILED, Sign.LATE})
"""A unit that says no, or that it cannot, is there all the same."""

_FAULTS = {"silent": Sign.SILENT, "gateway": Sign.SILENT, "busy": Sign.BUSY, "device_failure": Sign.FAILED}


def sign(error: SitewardenError | None) -> Sign:
    """What the outcome of a question means; None: it was answered."""
    if error is None:
        return Sign.ANSWERED
    if isinstance(error, Refused):
        return Sign.REFUSED
    return _FAULTS.get(error.fault, Sign.GARBLED) if isinstance(error, NoReply) else Sign.SILENT


def settings_of(
    baudrates: Iterable[int], parities: Iterable[Parity], stopbits: Iterable[Stopbits]
) -> tuple[Settings, ...]:
    """Every combination, the commonest first."""
    rates, kinds, stops = tuple(baudrates), tuple(parities), tuple(stopbits)
    found = [Settings(rate, parity, stop) for rate in rates for parity in kinds for stop in stops]
    return tuple(sorted(found, key=_rareness))


def _rareness(it: Settings) -> tuple[int, int, int]:
    framing = (PARITIES.index(it.parity), it.stopbits)
    rate = BAUDRATES.index(it.baudrate) if it.baudrate in BAUDRATES else len(BAUDRATES)
    return int(framing != (0, 1)), rate, 3 * framing[0] + it.stopbits


class Round(NamedTuple):
    """Units to be asked at one setting."""

    settings: Settings
    units: tuple[int, ...]


def rounds(settings: Sequence[Settings], units: Sequence[int]) -> Iterator[Round]:
    """The usual unit at every setting, then all others at every setting."""
    first = tuple(unit for unit in units if unit == _FIRST_UNIT)
    rest = tuple(unit for unit in units if unit != _FIRST_UNIT)
    for group in (first, rest):
        for it in settings if group else ():
            yield Round(it, group)


def numbers(written: str, least: int, most: int) -> tuple[int, ...]:
    """The numbers of "1", "1-10" or "1,3,10-12", each once, in that order; ValueError in words."""
    found: list[int] = []
    for part in written.split(","):
        first, dash, last = part.strip().partition("-")
        if not (first.isascii() and first.isdecimal() and (not dash or (last.isascii() and last.isdecimal()))):
            raise ValueError(f"write numbers as in 1-10 or 1,5,20-30, not {written!r}")
        low, high = int(first), int(last or first)
        if not least <= low <= high <= most:
            raise ValueError(f"numbers from {least} to {most}, the lower one first, not {part.strip()}")
        found += range(low, high + 1)
    return tuple(dict.fromkeys(found))


def hosts(written: str) -> tuple[str, ...]:
    """The hosts of "NAME", "10.0.0.7" or "10.0.0.10-20"; ValueError in words."""
    head, dash, last = written.rpartition("-")
    first = head.rpartition(".")[2]
    if not (dash and first.isdecimal() and last.isdecimal() and head.count(".") == 3):
        return (written,)
    prefix = head.removesuffix(first)
    return tuple(f"{prefix}{number}" for number in numbers(f"{first}-{last}", 0, 255))


def words(numbers_: Sequence[int]) -> str:
    """The numbers as they are written: 1-10, 20."""
    parts: list[str] = []
    run: list[int] = []
    for number in (*sorted(numbers_), None):
        if run and (number is None or number != run[-1] + 1):
            parts.append(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}")
            run = []
        if number is not None:
            run.append(number)
    return ", ".join(parts)
