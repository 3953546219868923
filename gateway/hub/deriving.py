"""Derived points: each reading with what follows from it, and the readings of devices that are made of others.

- What follows from a reading is judged in the same Decision: smoke -> fire zone -> siren.
- A reading never waits for its derivation. One that waits is told nothing before it knows what was stored, or that
  nobody knows; the readings of that time, at most HELD_MOST of each device, are told it then, in their order.
- What is stored leaves together with what it follows from.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from gateway import records
from gateway.derive.derivation import Derivation, Outcome
from gateway.model import Command, Json, Moment, Reading, StateChange

STATE_PREFIX = "derived/"
HELD_MOST = 1000


class Consequence(NamedTuple):
    """What follows: readings to be judged, in their order, the texts of events, and state to be stored."""

    readings: tuple[Reading, ...] = ()
    events: tuple[str, ...] = ()
    state: tuple[StateChange, ...] = ()

    def then(self, other: Consequence) -> Consequence:
        """Both, in this order."""
        return Consequence(self.readings + other.readings, self.events + other.events, self.state + other.state)


class Deriving:
    """The derivations of one run, by device. Owned and changed by the hub alone; `elapse` is due at `wake`.

    `sources`: what each device that is made of others is made of; one that is not there has a derivation of its own.
    """

    def __init__(self, derivations: Mapping[str, Derivation], sources: Mapping[str, Collection[str]]) -> None:
        self._derivations = dict(derivations)
        self._sources = sources
        self._made_of = _turned(sources)
        self._held: dict[str, deque[Reading]] | None = {  # None: it is known what was stored
            device: deque(maxlen=HELD_MOST) for device, each in derivations.items() if each.remembers and each.waits
        }
        self.concerned = frozenset(derivations) | frozenset(self._made_of)

    @property
    def wake(self) -> float:
        """When (monotonic seconds) `elapse` may lead to something."""
        return min((each.wake for each in self._derivations.values()), default=float("inf"))

    @property
    def doubted(self) -> dict[str, dict[str, int]]:
        """By device how many values were not believed, by why."""
        return {device: dict(each.doubted) for device, each in self._derivations.items() if each.doubted}

    def take(self, reading: Reading, now: Moment) -> Consequence:
        """The reading with the points that follow from it, and what follows from that."""
        if reading.device not in self.concerned:
            return Consequence((reading,))
        if reading.device not in self._derivations or reading.device in self._sources:
            return Consequence((reading,)).then(self._passed_on(reading, now))
        outcome = self._told(reading.device, reading, now)
        if outcome is None:
            return Consequence((reading,)).then(self._passed_on(reading, now))
        values, bad = {**reading.values, **outcome.values}, {**reading.bad, **outcome.bad}
        whole = reading._replace(values=values, bad=bad) if outcome.has_points else reading
        beside = self._beside(reading.device, outcome)
        return Consequence((whole,)).then(beside).then(self._passed_on(whole, now))

    def elapse(self, now: Moment) -> Consequence:
        """What follows from the passing of time alone."""
        found = Consequence()
        for device, derivation in self._derivations.items():
            if derivation.wake <= now.mono and not self._waits(device):
                found = found.then(self._made(device, derivation.elapse(now), now.mono, now.ts, now))
        return found

    def act(self, command: Command, now: Moment) -> Consequence | str:
        """What follows from a command about the device that its args name; or why it is refused."""
        device = command.args.get("device")
        derivation = self._derivations.get(device) if isinstance(device, str) else None
        if not isinstance(device, str) or derivation is None or command.name not in derivation.commands:
            known = ", ".join(it for it, each in self._derivations.items() if command.name in each.commands)
            return f"{command.name} is about a device; args needs its id under 'device', one of {known}"
        if self._waits(device):
            return "this gateway has just started and does not know yet what was stored; try again in some seconds"
        outcome = derivation.act(command.name, command.args, command.issuer, now)
        return outcome if isinstance(outcome, str) else self._made(device, outcome, now.mono, now.ts, now)

    def restore(self, stored: Mapping[str, str] | None, now: Moment) -> Consequence:
        """What an earlier run has stored; None: nobody knows, as yet. The readings that waited for it are told."""
        found = Consequence()
        held, self._held = self._held or {}, None
        for device, derivation in self._derivations.items():
            if derivation.remembers:
                before = _json((stored or {}).get(STATE_PREFIX + device))
                found = found.then(self._made(device, derivation.restore(before, now), now.mono, now.ts, now))
        gone = [key for key in stored or () if key.startswith(STATE_PREFIX) and not self._has(key)]
        found = found.then(Consequence(state=tuple(StateChange(key, None) for key in gone)))
        waited = [(reading.mono, device, reading) for device, those in held.items() for reading in those]
        for _, device, reading in sorted(waited, key=lambda each: each[0]):
            outcome = self._derivations[device].take(reading, now)
            found = found.then(self._made(device, outcome, reading.mono, reading.ts, now))
        return found

    def change(
        self,
        derivations: Mapping[str, Derivation],
        sources: Mapping[str, Collection[str]],
        anew: Collection[str],
        now: Moment,
    ) -> Consequence:
        """Other devices from now on. One that is not `anew` goes on; of one that is, what was stored is kept."""
        before, held = self._derivations, self._held
        stays = {device for device in derivations if device in before and device not in anew}
        self._derivations = {device: before[device] if device in stays else it for device, it in derivations.items()}
        self._sources, self._made_of = sources, _turned(sources)
        self.concerned = frozenset(derivations) | frozenset(self._made_of)
        gone = (it for it, each in before.items() if each.remembers and it not in derivations)
        found = Consequence(state=tuple(StateChange(STATE_PREFIX + device, None) for device in gone))
        if held is not None:
            self._held = {
                device: held.get(device) or deque(maxlen=HELD_MOST)
                for device, each in self._derivations.items()
                if each.remembers and each.waits
            }
            return found
        for device, derivation in self._derivations.items():
            if device not in stays and derivation.remembers:
                outcome = derivation.restore(before[device].stored() if device in before else None, now)
                found = found.then(self._made(device, outcome, now.mono, now.ts, now))
        return found

    def _has(self, key: str) -> bool:
        derivation = self._derivations.get(key.removeprefix(STATE_PREFIX))
        return derivation is not None and derivation.remembers

    def _waits(self, device: str) -> bool:
        return self._held is not None and device in self._held

    def _told(self, device: str, reading: Reading, now: Moment) -> Outcome | None:
        """What a device's derivation makes of a reading; None while it waits."""
        if self._held is not None and device in self._held:
            self._held[device].append(reading)
            return None
        return self._derivations[device].take(reading, now)

    def _passed_on(self, reading: Reading, now: Moment) -> Consequence:
        """What follows from a reading for the devices that are made of this one."""
        found = Consequence()
        for device in self._made_of.get(reading.device, ()):
            outcome = self._told(device, reading, now)
            if outcome is not None:
                found = found.then(self._made(device, outcome, reading.mono, reading.ts, now))
        return found

    def _made(self, device: str, outcome: Outcome, mono: float, ts: int, now: Moment) -> Consequence:
        """A reading of the derived points alone, where there are any, with the events, and what follows from it."""
        found = self._beside(device, outcome)
        if not outcome.has_points:
            return found
        reading = Reading(device, mono, ts, outcome.values, outcome.bad)
        return Consequence((reading,)).then(found).then(self._passed_on(reading, now))

    def _beside(self, device: str, outcome: Outcome) -> Consequence:
        """The events of an outcome, and the state that is to be stored."""
        if not outcome.events and not outcome.changed:
            return Consequence()
        events = tuple(records.event(name, device=device, **fields) for name, fields in outcome.events)
        return Consequence(events=events, state=tuple(self._state(device)) if outcome.changed else ())

    def _state(self, device: str) -> Iterator[StateChange]:
        stored = self._derivations[device].stored()
        yield StateChange(STATE_PREFIX + device, None if stored is None else records.encode(stored))


def _turned(sources: Mapping[str, Iterable[str]]) -> dict[str, tuple[str, ...]]:
    """By source the devices that are made of it."""
    found: dict[str, tuple[str, ...]] = {}
    for device, each in sources.items():
        for source in each:
            found[source] = (*found.get(source, ()), device)
    return found


def _json(text: str | None) -> Json:
    """What was stored; None where nothing was, or where it cannot be read."""
    try:
        found: Json = None if text is None else json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found
