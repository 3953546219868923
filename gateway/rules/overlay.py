"""What hides an alarm from people while it is judged: maintenance, what the plant does, a shelf for a time. Pure.

After ISA-18.2 / IEC 62682. Behind an overlay an alarm is raised, cleared and latched as without one, and every change
is recorded; what stays away is the calling: outputs and repetition. When the last overlay is gone the alarm is what its
condition has made of it meanwhile, and calls again if it stands.

- What the plant does explains an alarm for a time: a defrost, an open dock door. It hides none that is high or on
  smoke, and ends with what explains it or when its time is over; what is unknown explains nothing.
- So does an alarm on the same point that says more (hub/story.py), as long as it stands; the outputs stay as they are.
- A shelf ends by itself, after an hour at most for a high alarm and eight for others; an alarm on smoke takes none.
- Out of service ends by a person alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import inf
from typing import NamedTuple

from gateway.model import Hidden, Hiding, Moment, Priority
from gateway.rules.condition import Term
from gateway.rules.lifecycle import Change
from gateway.units import FIRE_KINDS

LONGEST_S: Mapping[Priority, float] = {Priority.HIGH: 3600.0, Priority.MEDIUM: 28_800.0, Priority.LOW: 28_800.0}
"""For how many seconds an alarm can be shelved."""

LONGEST_EXPLAINED_S = 14_400.0
"""For how many seconds at most the plant can explain an alarm: no defrost takes longer."""


class Note(NamedTuple):
    """Who wanted it, and why."""

    by: str
    why: str


NOBODY = Note("", "")


class Shelf(NamedTuple):
    """Hidden until monotonic `until` (s), which wall time calls `until_ts` (UTC ms)."""

    note: Note
    until: float
    until_ts: int


class Overlay(NamedTuple):
    """What lies over one alarm."""

    service: Note | None = None  # it is out of service
    plant: Shelf | None = None  # what the plant does explains it
    shelf: Shelf | None = None
    greater: Note | None = None  # an alarm on the same point says more, and explains it

    @property
    def until(self) -> float:
        """When (monotonic s) a part of it ends by itself."""
        return min(inf if part is None else part.until for part in (self.plant, self.shelf))

    def ended(self, mono: float) -> Iterator[tuple[Change, Overlay]]:
        """What has ended by itself at monotonic time `mono`, one after the other, and what is left then."""
        left = self
        if left.plant is not None and mono >= left.plant.until:
            left = left._replace(plant=None)
            yield Change.UNSUPPRESSED, left
        if left.shelf is not None and mono >= left.shelf.until:
            yield Change.UNSHELVED, left._replace(shelf=None)

    @property
    def shows(self) -> Hidden | None:
        """What people are shown: of several, the one that lasts."""
        if self.service is not None:
            return Hidden(Hiding.OUT_OF_SERVICE, *self.service)
        if self.plant is not None:
            return Hidden(Hiding.SUPPRESSED, *self.plant.note, self.plant.until_ts)
        if self.shelf is not None:
            return Hidden(Hiding.SHELVED, *self.shelf.note, self.shelf.until_ts)
        if self.greater is not None:
            return Hidden(Hiding.SUPPRESSED, *self.greater)
        return None


NOTHING = Overlay()


class Suppression(NamedTuple):
    """While this holds, and for `most_s` seconds at most, the plant explains the alarm."""

    term: Term
    most_s: float


class Act(NamedTuple):
    """What a person does about what lies over an alarm; a shelf is for `for_s` seconds."""

    change: Change
    note: Note
    for_s: float = 0.0


def covered(overlay: Overlay, act: Act, kind: str, priority: Priority, now: Moment) -> Overlay | str:
    """What lies over an alarm of this priority, on a point of this kind, after the act; or why it cannot be done."""
    match act.change:
        case Change.SHELVED:
            refused = _shelf_refusal(kind, priority, act.for_s)
            return refused or overlay._replace(shelf=_shelf(act, now))
        case Change.UNSHELVED:
            return "this alarm is not shelved" if overlay.shelf is None else overlay._replace(shelf=None)
        case Change.OUT_OF_SERVICE:
            return "already out of service" if overlay.service is not None else overlay._replace(service=act.note)
        case Change.IN_SERVICE:
            return "this alarm is in service" if overlay.service is None else overlay._replace(service=None)
    raise ValueError(f"{act.change} is about the alarm itself")


def _shelf(act: Act, now: Moment) -> Shelf:
    return Shelf(act.note, now.mono + act.for_s, now.ts + round(act.for_s * 1000))


def _shelf_refusal(kind: str, priority: Priority, for_s: float) -> str:
    if kind in FIRE_KINDS:
        return f"an alarm on {kind} is never shelved; while its detector is worked on, take it out of service"
    longest_s = LONGEST_S[priority]
    if not 0 < for_s <= longest_s:
        return f"a {priority} alarm can be shelved for at most {longest_s / 60:g} minutes"
    return ""
