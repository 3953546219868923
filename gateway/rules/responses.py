"""Responses: which outputs have to be on, by which owners. Pure.

An output belongs to its owners: alarms, the late steps of one, a person for a time, a response that is tried. The first
owner of the highest rank has it: a high alarm before a person before other alarms before a trial. Without an owner that
counts, an output is at its safe value; one does not count when its time is over, or where it sounds and is silenced.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from math import floor, inf
from typing import NamedTuple

from gateway.model import AlarmState, AlarmView, Priority, Value
from gateway.rules.lifecycle import UNSEEN

PERSON, TRIAL = 1, 9
RANKS: Mapping[Priority, int] = {Priority.HIGH: 0, Priority.MEDIUM: 2, Priority.LOW: 3}
"""Who has an output before whom: the least first."""

_EDGE_S = 1e-6  # an edge is there when it is this near: sums of seconds are not exact


class OutputPoint(NamedTuple):
    """Where an output is: its link, device and point."""

    link: str
    device: str
    point: str


class Pulse(NamedTuple):
    """On for so many seconds, then off for so many, again and again."""

    on_s: float
    off_s: float


class Pace(NamedTuple):
    """For how many seconds an output stays on, and off, at least: a motor, a compressor or a contactor wants that."""

    min_on_s: float = 0.0
    min_off_s: float = 0.0

    def least_s(self, value: Value) -> float:
        """How long it stays at `value` at least."""
        return self.min_on_s if value == "on" else self.min_off_s


class Way(NamedTuple):
    """How an owner wants an output: at `value`, in pulses or steadily, for so long at most."""

    value: Value
    pulse: Pulse | None = None
    at_most_s: float = inf
    audible: bool = False  # it sounds, and can be silenced


class Until(StrEnum):
    """When a response is undone."""

    CLEARED = "cleared"  # the alarm is over: its condition has ended, and if it latches it was reset
    ACKNOWLEDGED = "acknowledged"  # a person has seen it, whether it has ended or not
    RESET = "reset"  # it has ended, was seen, and if it latches was reset


@dataclass(frozen=True, slots=True)
class Response:
    """What happens on the spot while an alarm stands: outputs to switch, text for people, and who is to be told."""

    id: str
    outputs: Mapping[OutputPoint, Way]
    say: str = ""
    say_in: Mapping[str, str] = field(default_factory=dict)  # the same in the site's other languages
    tell: tuple[str, ...] = ()
    until: Until = Until.CLEARED


_OVER = {
    Until.CLEARED: frozenset({AlarmState.NORMAL, AlarmState.RTN_UNACK}),
    Until.ACKNOWLEDGED: frozenset(AlarmState) - UNSEEN,
    Until.RESET: frozenset({AlarmState.NORMAL}),
}


def wants(view: AlarmView, until: Until) -> bool:
    """Whether an alarm holds the outputs of its response; also while one that says more stands: it has got worse."""
    return view.state not in _OVER[until] and (view.hidden is None or view.hidden.by_alarm)


class Claim(NamedTuple):
    """What an owner wants of an output since monotonic `since` (s); `words` say who that is."""

    words: str
    way: Way
    rank: int
    since: float
    silenced: bool = False

    def counts(self, mono: float) -> bool:
        """Whether it has a say."""
        return mono + _EDGE_S < self.since + self.way.at_most_s and not (self.silenced and self.way.audible)

    def value(self, mono: float) -> Value:
        """What the output is at `mono`."""
        return self.way.value if self.way.pulse is None or self._phase(mono)[1] else "off"

    def next_change(self, mono: float) -> float:
        """When (monotonic) it will be something else, by itself."""
        end = self.since + self.way.at_most_s
        pulse = self.way.pulse
        if pulse is None:
            return end
        begin, is_on = self._phase(mono)
        return min(end, begin + pulse.on_s if is_on else begin + pulse.on_s + pulse.off_s)

    def _phase(self, mono: float) -> tuple[float, bool]:
        """When its present pulse began, counted from `since` so that nothing adds up, and whether that is on."""
        on_s, off_s = self.way.pulse or (inf, 0.0)
        passed = floor((mono - self.since + _EDGE_S) / (on_s + off_s))
        begin = self.since + passed * (on_s + off_s)
        return begin, mono + _EDGE_S < begin + on_s


class Owners:
    """Who wants which output how. Changed only by the hub."""

    def __init__(self) -> None:
        self._claims: dict[OutputPoint, dict[str, Claim]] = {}

    def claim(self, owner: str, outputs: Mapping[OutputPoint, Claim]) -> None:
        """The owner wants these outputs, and no others; it keeps its place among equals."""
        for output in self.of(owner) - outputs.keys():
            del self._claims[output][owner]
        for output, claim in outputs.items():
            self._claims.setdefault(output, {})[owner] = claim

    def release(self, owner: str) -> set[OutputPoint]:
        """The owner wants nothing any more; the outputs that it had."""
        had = self.of(owner)
        for output in had:
            del self._claims[output][owner]
        return had

    def of(self, owner: str) -> set[OutputPoint]:
        """The outputs that an owner wants."""
        return {output for output, claims in self._claims.items() if owner in claims}

    def get(self, owner: str, output: OutputPoint) -> Claim | None:
        """How an owner wants an output."""
        return self._claims.get(output, {}).get(owner)

    def all_owners(self) -> set[str]:
        """Whoever wants something."""
        return {owner for claims in self._claims.values() for owner in claims}

    def holder(self, output: OutputPoint, mono: float) -> tuple[str, Claim] | None:
        """Who has the output at `mono`: of those that count, the first one of the highest rank."""
        return min(self.counting(output, mono), key=lambda owned: owned[1].rank, default=None)

    def counting(self, output: OutputPoint, mono: float) -> Iterator[tuple[str, Claim]]:
        """The owners that have a say, in the order in which they came."""
        return (owned for owned in self.all(output) if owned[1].counts(mono))

    def all(self, output: OutputPoint) -> Iterator[tuple[str, Claim]]:
        """All owners, in the order in which they came."""
        return iter(self._claims.get(output, {}).items())

    def next_change(self, mono: float) -> float:
        """When (monotonic) any output may be something else by itself."""
        changes = (it.next_change(mono) for output in self._claims for _, it in self.counting(output, mono))
        return min(changes, default=inf)
