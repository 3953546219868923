"""A building of many doors through which people pass at random, and the obvious slow way to count them.

The building does what doors do: counters roll over, lose their power, fall silent and come back; the gateway is killed,
and what it had stored comes at once or late; days begin and people put the count right. `Crowd` plays that to the real
derivations, as the hub drives them, and keeps a history of who really passed. `recount` tells from that history alone
how many must be inside, person by person and from the beginning.

Left out is what nobody can tell from a counter: a restart of a device whose counter stood so low that it has already
counted on past it, or so high that its new value might be the way round; and a journal that comes late while the zone
is nearly empty or a door silent (what was put right before it came is counted again).
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from typing import NamedTuple

from gateway.derive.day import Days
from gateway.derive.doors import counting
from gateway.derive.occupancy import Door, Occupancy, Setup
from gateway.derive.totals import Totals
from gateway.hub.deriving import Consequence, Deriving
from gateway.model import Command, Json, Moment, Reading, Reason, Trust, Value

MODULI = (65_536, 10_000)
READ_EVERY_S = 1.0
NIGHT = round(datetime(2026, 3, 10, 3, 0, tzinfo=UTC).timestamp() * 1000)  # the day begins an hour later
FOUR_S = 3600.0
LOW, HIGH = 500, 1500  # restarts of a device are told from steps and roll-overs where its counter is not near its ends
CROWDED_S = 40  # as many as pass in so many seconds cannot have left before a late journal has come


class Happening(NamedTuple):
    """What really was: people who were read at a door, a door that fell silent, a count that was put right."""

    what: str  # "passed", "silent", "put", "day"
    door: str = ""
    ways: str = ""  # of those who passed: + came, - left
    people: int = 0


class Recount(NamedTuple):
    """How many are inside, and today's figures."""

    told: int
    entries: int
    exits: int
    clamped: int
    silent: int = 0  # doors


def recount(history: Iterable[Happening]) -> Recount:
    """The obvious slow model: everybody once more, from the beginning."""
    inside = told = entries = exits = clamped = 0
    silent: set[str] = set()
    for happening in history:
        if happening.what == "day":
            inside = told = entries = exits = clamped = 0
        elif happening.what == "put":
            inside = told = happening.people
        elif happening.what == "silent":
            silent.add(happening.door)
        else:
            silent.discard(happening.door)
            for way in happening.ways:
                entries += way == "+"
                exits += way == "-"
                inside += 1 if way == "+" else -1
        if silent:
            told = max(told, inside)
        else:
            clamped += max(0, -inside)
            inside = told = max(0, inside)
    return Recount(told, entries, exits, clamped, len(silent))


@dataclass(slots=True)
class Counted:
    """A door with its counting device."""

    modulus: int
    raw: dict[str, int]
    unread: str = ""  # the ways of those who passed since it was read
    silent_until: float = 0.0
    counted: Counter[str] = field(default_factory=Counter)  # of those who were read, ever

    def turn(self, way: str) -> None:
        self.raw[way] = (self.raw[way] + 1) % self.modulus
        self.unread += way

    @property
    def is_in_the_middle(self) -> bool:
        return all(LOW < raw < self.modulus - HIGH for raw in self.raw.values())

    def lose_power(self) -> None:
        """What was not read is lost for everybody."""
        self.raw = dict.fromkeys(self.raw, 0)
        self.unread = ""


class Crowd:
    """The building, its people and its gateway. Time is stepped: `per_s` people pass each second."""

    def __init__(self, seed: int, doors: int = 20, per_s: int = 50) -> None:
        self.random = random.Random(seed)
        self.happened: Counter[str] = Counter()
        self._per_s = per_s
        self._doors = {f"d{n:02}": self._door() for n in range(doors)}
        self._history: list[Happening] = []
        self._setup = Setup(tuple(Door(it, "in_total", "out_total") for it in self._doors), 5000, Days(time(4), UTC))
        self._now = 0.0
        self._day_begun = False
        self._stored: dict[str, str] = {}
        self._late: tuple[float, dict[str, str]] | None = None  # when it comes, and what
        self.said: dict[str, dict[str, Value]] = {}
        self._begin({})
        self._read_all()
        self._put(0)

    def pass_through(self, people: int) -> None:
        """So many pass, and everything else happens beside."""
        for _ in range(0, people, self._per_s):
            self._second(self._per_s)

    def settle(self) -> None:
        """Nobody passes for some seconds, nothing happens, and what was stored has come."""
        while self._late is not None or self._now < FOUR_S <= self._now + 300:
            self._second(0)
        self._second(0, calm=True)
        self._now += READ_EVERY_S  # a door may have been heard again just now: what is held back is told
        self._take(self._deriving.elapse(self._moment))

    def differences(self) -> list[str]:
        """Where the gateway says something else than the slow model; nothing if all is right."""
        self.settle()
        zone, true = self.said["zone"], recount(self._history)._replace(silent=0)
        said = Recount(
            *(int(str(zone[it])) for it in ("occupancy", "entries_today", "exits_today", "drift_clamped_today"))
        )
        found = [] if said == true else [f"the zone says {said}, and {true} is true"]
        for name, door in self._doors.items():
            totals = {way: self.said[name][point] for way, point in (("+", "in_total"), ("-", "out_total"))}
            if totals != {way: door.counted[way] for way in "+-"}:
                found.append(f"{name} says {totals}, and {dict(door.counted)} is true")
        return found

    def forget(self) -> None:
        """Go on from here with a short history that tells the same, unless a door is silent: it was right so far."""
        true = recount(self._history)
        if true.silent:
            return
        self._history = [
            Happening("passed", ways="+" * true.entries),
            Happening("put", people=true.exits - true.clamped),
            Happening("passed", ways="-" * true.exits),
            Happening("put", people=true.told),
        ]

    # -- a second of the building

    def _second(self, people: int, *, calm: bool = False) -> None:
        self._now += READ_EVERY_S
        rush = 0.5 + 0.3 * (1 if int(self._now / 1800) % 2 == 0 else -1)  # half an hour in, half an hour out
        for _ in range(people):
            way = "+" if self.random.random() < rush else "-"
            self.random.choice(list(self._doors.values())).turn(way)
        if not calm:
            self._mishaps()
        if self._now >= FOUR_S and not self._day_begun:
            self._day_begun = True
            self._note(Happening("day"))
        if self._late is not None and self._now >= self._late[0]:
            self._take(self._deriving.restore(self._late[1], self._moment))
            self._late = None
        self._read_all()
        if self._deriving.wake <= self._now:
            self._take(self._deriving.elapse(self._moment))

    def _mishaps(self) -> None:
        chance = self.random.random()
        near_four = abs(self._now - FOUR_S) < 300
        door = self.random.choice(list(self._doors.values()))
        if self._late is None and chance < 0.01:
            self.happened["silences"] += door.silent_until <= self._now
            door.silent_until = max(door.silent_until, self._now + self.random.randint(2, 60))
        elif chance < 0.02 and door.is_in_the_middle and door.silent_until <= self._now:
            self.happened["restarts of a device"] += 1
            door.lose_power()
        elif chance < 0.025 and self._late is None and not near_four:
            self._kill(late=chance < 0.0225)
        elif chance < 0.026 and self._late is None:
            self._put(self.random.randint(0, 2000))

    def _kill(self, *, late: bool) -> None:
        """The gateway dies, people go on passing, another run begins."""
        is_silent = any(door.silent_until > self._now for door in self._doors.values())
        late = late and not is_silent and recount(self._history).told > CROWDED_S * self._per_s
        self.happened["late journals" if late else "restarts of ours"] += 1
        off_s = self.random.randint(1, 60)
        for _ in range(off_s * self._per_s):
            self.random.choice(list(self._doors.values())).turn(self.random.choice("+-"))
        self._now += off_s
        stored = dict(self._stored)
        self._begin(stored if not late else None)
        if late:
            self._late = self._now + self.random.randint(2, 30), stored

    def _put(self, people: int) -> None:
        self.happened["counts set by a person"] += 1
        args: dict[str, Json] = {"device": "zone", "value": people, "reason": "counted"}
        command = Command("c", "set_occupancy", args, "maria", "local", None, print)
        outcome = self._deriving.act(command, self._moment)
        assert isinstance(outcome, Consequence), outcome
        self._take(outcome)
        self._note(Happening("put", people=people))

    # -- the gateway

    def _begin(self, stored: dict[str, str] | None) -> None:
        totals = {
            name: Totals([counting(kind, kind, door.modulus) for kind in ("people_in", "people_out")])
            for name, door in self._doors.items()
        }
        self._deriving = Deriving({**totals, "zone": Occupancy(self._setup)}, {"zone": tuple(self._doors)})
        self._take(self._deriving.restore(stored, self._moment))

    @property
    def _moment(self) -> Moment:
        return Moment(self._now, NIGHT + round(self._now * 1000), Trust.SYNCED)

    def _read_all(self) -> None:
        for name, door in self._doors.items():
            bad: dict[str, Reason] = {}
            values: dict[str, Value] = {}
            if door.silent_until > self._now:
                points = ("people_in", "people_out", "in_total", "out_total")
                bad = dict.fromkeys(points, Reason.NO_REPLY)
                self._note(Happening("silent", name))
            else:
                values = {"people_in": door.raw["+"], "people_out": door.raw["-"]}
                self._note(Happening("passed", name, door.unread))
                door.counted.update(door.unread)
                door.unread = ""
            self._take(self._deriving.take(Reading(name, self._now, self._moment.ts, values, bad), self._moment))

    def _take(self, outcome: Consequence) -> None:
        for reading in outcome.readings:
            self.said.setdefault(reading.device, {}).update(reading.values)
        for change in outcome.state:
            if change.text is not None:
                self._stored[change.key] = change.text
        self.happened["roll-overs"] += sum('"counter_rolled_over"' in event for event in outcome.events)

    def _note(self, happening: Happening) -> None:
        if happening.what == "passed" and not happening.ways and self._history[-1:] == [happening]:
            return
        self._history.append(happening)

    def _door(self) -> Counted:
        modulus = self.random.choice(MODULI)
        return Counted(modulus, {way: self.random.randrange(modulus) for way in "+-"})
