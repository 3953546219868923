"""How many people are in a zone, from the totals of its doors; how full it is, and how far that can be relied on.

- The count is exact where every passage is counted; over restarts of ours too, for what the doors counted meanwhile.
- It is put right at a time of the day, in closed hours when hardly anybody is left, by a person, and where more have
  left than had come. Each of these is an event.
- A door that is silent makes it uncertain, never smaller (headcount.py).
- Of a day whose beginning the gateway missed: if no door has counted anybody meanwhile, the zone is empty. Else nobody
  knows when they passed, so that the count goes on, uncertain until it is put right.
- While the clock is not set, no day begins and nothing is closed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import ClassVar, NamedTuple

from gateway.derive.capacity import door_flow
from gateway.derive.day import Days
from gateway.derive.derivation import NOTHING, Derivation, Outcome, Told
from gateway.derive.flow import Flow
from gateway.derive.headcount import Follower, Headcount, Kept, kept
from gateway.derive.reliance import reliance
from gateway.hours import Hours
from gateway.model import Json, Moment, Reading, Trust, Value

SET = "set_occupancy"
CORRECTED = "occupancy_corrected"
MOST_PEOPLE = 1_000_000

TOLD_EVERY_S = 1.0  # at most so often, however many pass
AGAIN_S = 60.0  # at least so often, though nobody passes
FLOW_EVERY_S = 5.0  # so often, while a flow falls
CLAMPS_EVERY_S = 60.0  # so often at most it is an event that more have left than had come
DOORS_KNOWN_S = 900.0  # a door that has not been heard for so long has counted nobody while the gateway was off
PUT_BACK_MS = 3_600_000  # a clock that is put back by more than that was wrong about the day
QUIET_S = 900.0  # so long nobody has passed when a closed zone is taken to be empty


class Door(NamedTuple):
    """A door of a zone: its points with the totals of those who come into the zone and of those who leave it.

    `width`: clear, in metres; 0: not known. `ours`: it counts nobody while the gateway is off.
    """

    device: str
    came: str
    left: str
    width: float = 0.0
    ours: bool = False


class Setup(NamedTuple):
    """A zone: its doors, how many it may hold (0: not known), when its day begins, when it is open (None: always)."""

    doors: tuple[Door, ...]
    capacity: int = 0
    days: Days | None = None
    open: Hours | None = None


@dataclass(slots=True)
class _Watched:
    door: Door
    came: Follower = field(default_factory=Follower)
    left: Follower = field(default_factory=Follower)
    flow: Flow = field(default_factory=Flow)
    heard_at: float | None = None  # mono, in this run
    awaited: bool = True  # not heard yet, or not since it is known what was stored


@dataclass(slots=True)
class _Before:
    """What the run before has left, until it is settled whether its people are still inside."""

    found: Kept | None = None
    began: float = -inf  # when that was known, mono
    day_checked: bool = True  # whether the clock has told since if a day has begun meanwhile
    overnight: bool = False  # one has
    meanwhile: int = 0  # passages that the doors have counted while the gateway was off


class Occupancy(Derivation):
    """The people in one zone."""

    remembers: ClassVar[bool] = True
    commands: ClassVar[frozenset[str]] = frozenset({SET})

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._doors = {it.device: _Watched(it) for it in setup.doors}
        self._came, self._left = Flow(), Flow()
        self._head = Headcount()
        self._doubts: list[str] = []  # why it is uncertain until it is put right
        self._is_put = False  # whether it was put right in this run
        self._before = _Before()
        self._day: int | None = None
        self._passed_at = self._told_at = self._clamps_told_at = -inf
        self._clamped = 0  # how many were put right and not told yet
        self._said: Mapping[str, Value] = {}
        self._bent = False  # whether the totals of the doors no longer lead from what is stored to what is told

    def take(self, reading: Reading, now: Moment) -> Outcome:
        """What follows from a reading of a door."""
        watched = self._doors.get(reading.device)
        if watched is None or not {watched.door.came, watched.door.left} & (reading.values.keys() | reading.bad.keys()):
            return NOTHING
        events = list(self._days(now))  # who passes now belongs to the day that it is
        self._count(watched, reading)
        events += self._corrections(now)
        return self._outcome(events, reading.mono)

    def elapse(self, now: Moment) -> Outcome:
        """What follows from the time of the day, and flows that are less."""
        return self._outcome([*self._days(now), *self._corrections(now)], now.mono)

    def act(self, name: str, args: Mapping[str, Json], issuer: str, now: Moment) -> Outcome | str:
        """Somebody has counted: so many are inside."""
        people, reason = args.get("value"), args.get("reason")
        if type(people) is not int or not 0 <= people <= MOST_PEOPLE:
            return f"{name} needs the number of people under 'value', 0 to {MOST_PEOPLE}"
        if not isinstance(reason, str) or not reason.strip():
            return f"{name} needs a reason"
        told = self._put(people, "set", issuer=issuer, reason=reason)
        return self._outcome([told], now.mono, at_once=True)

    # -- what survives

    def stored(self) -> Json:
        """The count with its doubts, the day, and the totals up to which the doors were followed."""
        doors: dict[str, Json] = {name: [it.came.expected, it.left.expected] for name, it in self._doors.items()}
        return {**self._head.kept(), "day": self._day, "doubts": list(self._doubts), "doors": doors}

    def restore(self, stored: Json, now: Moment) -> Outcome:
        """Go on from what an earlier run has stored; what was counted since is added."""
        found = kept(stored)
        if found is None or self._before.found is not None:
            if not (self._is_put or self._before.found or self._day is not None):
                self._doubts = ["nobody knows how many were inside at the start"]
        else:
            self._go_on(found, now)
        return self._outcome([*self._days(now)], now.mono, at_once=True)

    def _go_on(self, found: Kept, now: Moment) -> None:
        doubts = list(found.doubts)
        for name, watched in self._doors.items():
            watched.awaited = True
            came, left = found.doors.get(name, (None, None))
            watched.came.restore(came)
            watched.left.restore(left)
            if watched.door.ours:
                doubts.append(f"{name} did not count while the gateway was off")
        if self._is_put:
            return
        found = found._replace(silent=found.silent & self._doors.keys())
        self._before = _Before(found, now.mono, day_checked=False)
        self._day, self._doubts = found.day, list(dict.fromkeys(doubts))
        self._head.go_on(found)

    # -- counting

    def _count(self, watched: _Watched, reading: Reading) -> None:
        """The passages that a reading of a door tells of; or that it is silent."""
        door, head = watched.door, self._head
        came, left = reading.values.get(door.came), reading.values.get(door.left)
        whole, was_silent = came is not None and left is not None, bool(head.silent)
        if door.came in reading.bad or door.left in reading.bad:
            head.silent.add(door.device)
        elif whole and door.device in head.silent:
            head.silent.discard(door.device)
            if door.ours:
                self._doubt(f"{door.device} was silent for a time")
        self._bent |= whole and None in (watched.came.expected, watched.left.expected)
        passed_in = watched.came.take(came) if isinstance(came, int) else 0
        passed_out = watched.left.take(left) if isinstance(left, int) else 0
        corrected = head.count(passed_in, passed_out)
        self._clamped += corrected
        self._bent |= bool(corrected or head.silent or was_silent)
        if whole:
            self._flowed(watched, passed_in, passed_out, reading.mono)

    def _flowed(self, watched: _Watched, came: int, left: int, mono: float) -> None:
        """People passed a door; what it counted while the gateway was off is no flow of now."""
        if watched.awaited:
            watched.awaited = False
            self._before.meanwhile += came + left
        elif watched.heard_at is not None:
            over_s = mono - watched.heard_at
            self._came.add(came, mono, over_s)
            self._left.add(left, mono, over_s)
            if watched.door.width:
                watched.flow.add(came + left, mono, over_s)
        watched.heard_at = mono
        if came or left:
            self._passed_at = mono

    # -- putting right

    def _days(self, now: Moment) -> Iterator[Told]:
        """That a day has begun."""
        if self._setup.days is None or now.trust is Trust.UNSYNCED:
            return
        day, before = self._setup.days.day(now.ts), self._day
        if before is not None and day < before and now.ts >= self._setup.days.begins(before) - PUT_BACK_MS:
            day = before  # a clock that is put back a little begins no day twice
        self._day = day
        missed, self._before.day_checked = not self._before.day_checked, True
        if before is None or day <= before:
            return
        if missed and self._before.found is not None:
            self._head.end_day(self._before.found)
            self._before.overnight = True
        else:
            told = self._put(0, "daily_reset", late=False)
            self._head.begin_day()
            yield told

    def _corrections(self, now: Moment) -> Iterator[Told]:
        """What is put right because of what is known by now."""
        before, head = self._before, self._head
        if before.overnight and before.found is not None and self._knows_meanwhile(now.mono):
            before.overnight = False
            if before.meanwhile:
                self._doubt("the gateway was off when the day began")
            else:
                yield self._put(max(0, head.inside - before.found.inside), "daily_reset", late=True)
        if self._is_closed(now) and now.mono - self._passed_at >= QUIET_S and head.hardly_anybody:
            yield self._put(0, "closed")
        if self._clamped and now.mono >= self._clamps_told_at + CLAMPS_EVERY_S:
            corrected, self._clamped, self._clamps_told_at = self._clamped, 0, now.mono
            yield _corrected("below_zero", -corrected, 0)

    def _knows_meanwhile(self, mono: float) -> bool:
        return mono >= self._before.began + DOORS_KNOWN_S or not any(it.awaited for it in self._doors.values())

    def _put(self, people: int, why: str, **fields: Json) -> Told:
        """So many are inside now; the doubts are over, but for doors that are silent just now."""
        was, self._is_put, self._before.overnight = self._head.told, True, False
        self._head.put(people)
        self._doubts = [f"{door} was silent when it was put right" for door in sorted(self._head.silent)]
        return _corrected(why, was, people, **fields)

    def _is_closed(self, now: Moment) -> bool:
        hours = self._setup.open
        return hours is not None and now.trust is not Trust.UNSYNCED and not hours.hold(now.ts)

    def _doubt(self, why: str) -> None:
        if why not in self._doubts:
            self._doubts.append(why)

    # -- telling

    def _outcome(self, events: list[Told], mono: float, *, at_once: bool = False) -> Outcome:
        """What is told now, and when there will be something again."""
        values = self._values(mono)
        due = self._told_at + (TOLD_EVERY_S if values != self._said else AGAIN_S)
        if not (events or at_once or mono >= due):
            self.wake = min(due, max(self._falls, self._told_at + FLOW_EVERY_S))
            bent, self._bent = self._bent, False
            return Outcome(changed=True) if bent else NOTHING
        self._said, self._told_at, self._bent = values, mono, False
        self.wake = min(mono + AGAIN_S, max(self._falls, mono + FLOW_EVERY_S))
        return Outcome(values, events=tuple(events), changed=True)

    @property
    def _falls(self) -> float:
        """When a flow is less, if nobody passes."""
        flows = (self._came, self._left, *(it.flow for it in self._doors.values()))
        return min(flow.next for flow in flows)

    def _values(self, mono: float) -> dict[str, Value]:
        head, capacity = self._head, self._setup.capacity
        awaited = [name for name, it in self._doors.items() if it.awaited]
        quality, reason = reliance(head, awaited, self._doubts)
        values: dict[str, Value] = {
            "occupancy": head.told,
            "entries_today": head.entries,
            "exits_today": head.exits,
            "entries_1min": self._came.at(mono),
            "exits_1min": self._left.at(mono),
            "drift_clamped_today": head.clamped,
            "quality": quality,
            "quality_reason": reason,
        }
        if capacity:
            values |= {"capacity": capacity, "fullness": round(100 * head.told / capacity, 1)}
        for name, watched in self._doors.items():
            if watched.door.width:
                crowding = 100 * watched.flow.at(mono) / door_flow(watched.door.width)
                values[crowding_of(name)] = round(crowding, 1)
        return values


def crowding_of(door: str) -> str:
    """The point that says how much of what a door lets through passes it."""
    return f"{door}_crowding"


def _corrected(why: str, was: int, now: int, **fields: Json) -> Told:
    return Told(CORRECTED, {"why": why, "was": was, "now": now, **fields})
