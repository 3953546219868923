"""The contract of derived points: what follows from readings, as points of the same device or of one that has no link.

A derivation is owned by the hub, one for each device that has one. It waits for nothing and looks at no clock: the
reading, or `now`, tells the time; delays run on its monotonic part, wall time is a label. What it is told late or twice
must not make it wrong, and nothing in a reading or in what was stored may make it raise.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from math import inf
from types import MappingProxyType
from typing import ClassVar, NamedTuple

from gateway.model import Json, Moment, Reading, Reason, Value

_NO_VALUES: Mapping[str, Value] = MappingProxyType({})
_NO_REASONS: Mapping[str, Reason] = MappingProxyType({})


class Told(NamedTuple):
    """An event: its name in the contract, and its fields beside `device`."""

    name: str
    fields: Mapping[str, Json]


class Outcome(NamedTuple):
    """What follows: points of its device (good ones, and bad ones with the reason), and events.

    `changed`: what `stored` returns is another than before, and is stored together with all this.
    """

    values: Mapping[str, Value] = _NO_VALUES
    bad: Mapping[str, Reason] = _NO_REASONS
    events: tuple[Told, ...] = ()
    changed: bool = False

    @property
    def has_points(self) -> bool:
        """Whether it makes a reading."""
        return bool(self.values or self.bad)

    def then(self, other: Outcome) -> Outcome:
        """Both; of a point of both, what the `other` says."""
        values, bad = {**self.values, **other.values}, {**self.bad, **other.bad}
        return Outcome(values, bad, self.events + other.events, self.changed or other.changed)


NOTHING = Outcome()


class Derivation(ABC):
    """What follows from the readings of one device, or of those that a derived device is made of."""

    remembers: ClassVar[bool] = False
    """Whether it has something to store."""

    waits: ClassVar[bool] = True
    """One that remembers: whether it is told no reading before it was told what was stored, or that nobody knows; those
    of the first seconds are told it afterwards, in their order. Else, where people's safety hangs on it, at once."""

    commands: ClassVar[frozenset[str]] = frozenset()
    """The names of the commands that `act` takes."""

    wake: float = inf
    """When (monotonic seconds) `elapse` is due."""

    @property
    def doubted(self) -> Mapping[str, int]:
        """How many values were not believed in this run, by why; for the health report."""
        return {}

    @abstractmethod
    def take(self, reading: Reading, now: Moment) -> Outcome:
        """What follows from a reading: of its own device, or of one of its sources."""

    def elapse(self, now: Moment) -> Outcome:
        """What follows from the passing of time, at `wake` or a little later."""
        del now
        self.wake = inf
        return NOTHING

    def act(self, name: str, args: Mapping[str, Json], issuer: str, now: Moment) -> Outcome | str:
        """What follows from a command of a person, one of `commands`; or why it is refused, in words."""
        del args, issuer, now
        return f"{name} is nothing that can be done here"

    def stored(self) -> Json:
        """What has to survive a restart; None: nothing."""
        return None

    def restore(self, stored: Json, now: Moment) -> Outcome:
        """What an earlier run has stored, or None where there is nothing or nobody knows.

        It may come a second time, and late, when readings were taken already: what was counted since is added, and
        nothing is undone. What makes no sense is passed over.
        """
        del stored, now
        return NOTHING
