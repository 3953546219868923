"""The track of a vehicle, from the positions of a receiver: what of them is believed, motion, trips, fences. Pure.

- What is not believed (fixes.py) is bad with its reason, and counted.
- A vehicle that is parked stays where it is until it has moved by 30 m.
- Nothing believed for 30 s, of a vehicle that moves, or 300 s of one that does not, and at the start: `positioning` is
  at fault, and an event says where it was last, and how long ago.
- Stored with each change, and after each 100 m: so much may a power cut cost of the odometer.
- What a receiver says in sentences of their own (satellites, dilution, speed) counts for `HOLDS_S` seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import inf, isfinite
from typing import ClassVar, NamedTuple

from gateway.derive.derivation import NOTHING, Derivation, Outcome, Told
from gateway.derive.fence import Fence
from gateway.derive.fixes import NONE, Doubt, Fix, Fixes
from gateway.derive.geo import Position, distance
from gateway.derive.motion import Motion, State
from gateway.derive.presence import Crossing, Presence
from gateway.derive.trips import Trip, Trips
from gateway.model import Json, Moment, Reading, Reason, Value

LOST_MOVING_S, LOST_STANDING_S = 30.0, 300.0
"""After so long without a believed position `positioning` is at fault."""

HOLDS_S = 15.0
SPEED_OVER_S = 10.0
"""Where its speed is not told, it is that between positions which are so far apart in time, at least."""

STORE_EVERY_M = 100.0

NOWHERE = "-"
"""What `fence` is outside of all fences: no id looks so."""


class Ignition(NamedTuple):
    """The contact of the ignition: a point of a device that is on or off."""

    device: str
    point: str


class Receiver(NamedTuple):
    """A device with a position, and its points; "" where it has none of a kind."""

    device: str
    position: str
    speed: str = ""
    course: str = ""
    satellites: str = ""
    hdop: str = ""


class Track(Derivation):
    """One vehicle."""

    remembers: ClassVar[bool] = True

    def __init__(self, receiver: Receiver, fences: Sequence[Fence] = (), ignition: Ignition | None = None) -> None:
        self._receiver = receiver
        self._ignition = ignition
        self._fixes = Fixes()
        self._motion = Motion()
        self._trips = Trips()
        self._presence = Presence(fences)
        self._has_fences = bool(fences)
        self._heard: dict[str, tuple[float, float]] = {}  # point -> number, and when
        self._pace: Fix | None = None  # from where a speed that is not told is measured
        self._last: tuple[float, int] | None = None  # when (mono, ts) a position was believed
        self._lost = False
        self._stored_m = 0.0
        self._stored_known: dict[str, bool] = {}
        self._is_first = True

    @property
    def doubted(self) -> Mapping[str, int]:
        """How many positions were not believed, or not there, by why."""
        return self._fixes.doubted

    def take(self, reading: Reading, now: Moment) -> Outcome:
        """A reading of the receiver, or of the ignition."""
        del now
        found = NOTHING
        if self._ignition is not None and reading.device == self._ignition.device:
            found = self._ignited(reading, self._ignition.point)
        if reading.device != self._receiver.device:
            return found
        for name, value in reading.values.items():
            if isinstance(value, int | float) and isfinite(value):
                self._heard[name] = value, reading.mono
        of = self._receiver
        if reading.bad.get(of.hdop) is Reason.NO_FIX and of.position not in reading.bad:
            self._heard[of.hdop] = inf, reading.mono  # there is none, as it says
        position = reading.values.get(of.position)
        if isinstance(position, tuple):
            return found.then(self._fixed(position, reading))
        reason = reading.bad.get(of.position)
        if reason is None:
            return found
        self._fixes.missed(NONE if reason is Reason.NO_FIX else Doubt(reason, reason))
        return found.then(self._unknown(reason))

    def elapse(self, now: Moment) -> Outcome:
        """Nothing was believed for too long."""
        if now.mono < self.wake:
            return NOTHING
        self.wake = inf
        self._lost = True
        return Outcome({"positioning": "fault"}, events=(Told("position_lost", dict(self._whereabouts(now))),))

    def _whereabouts(self, now: Moment) -> Iterable[tuple[str, Json]]:
        """Where it was last, and how old that is."""
        if self._trips.place is not None:
            yield "position", list(self._trips.place)
        if self._last is not None:
            yield "age_s", round(now.mono - self._last[0], 1)

    def _unknown(self, reason: Reason) -> Outcome:
        """No position; at the start nobody knows whether that was a fault before."""
        word = "fault" if self._lost else "normal" if self._last is not None else None
        return Outcome({"positioning": word} if word else {}, {"position": reason, "speed": reason})

    # -- a position

    def _fixed(self, position: Position, reading: Reading) -> Outcome:
        of = self._receiver
        fix = Fix(position, reading.mono, self._now(of.satellites, reading), self._now(of.hdop, reading))
        doubt = self._fixes.doubt(fix)
        if doubt is not None:
            return self._unknown(doubt.reason)
        events = [Told("position_back", {"position": list(position)})] if self._lost else []
        before, self._last, self._lost = self._last, (reading.mono, reading.ts), False
        speed = self._speed(fix, reading)
        moved = speed is not None and self._motion.take(speed, reading.mono)
        if moved:
            events += self._trip_events(reading)
        self._follow(fix)
        crossings = self._presence.take(fix)
        events += (self._crossed(crossing, reading) for crossing in crossings)
        self._watch(reading.mono)
        found = self._points(fix, speed, reading)
        is_far = abs(self._trips.odometer_m - self._stored_m) >= STORE_EVERY_M
        known = self._presence.known
        changed = moved or known != self._stored_known or is_far or before is None
        if changed:
            self._stored_m, self._stored_known = self._trips.odometer_m, known
        return Outcome(found, events=tuple(events), changed=changed)

    def _now(self, name: str, reading: Reading) -> float | None:
        """What the receiver has said of a point lately."""
        value, mono = self._heard.get(name, (0.0, -inf))
        return value if reading.mono - mono <= HOLDS_S else None

    def _speed(self, fix: Fix, reading: Reading) -> float | None:
        """How fast it is (m/s), as the receiver says or as its positions do; None: not known yet."""
        told = self._now(self._receiver.speed, reading)
        if told is not None:
            return told
        if self._pace is None or self._fixes.jumped:
            self._pace = fix
            return None
        seconds = fix.mono - self._pace.mono
        if seconds < SPEED_OVER_S:
            return None
        way, self._pace = distance(self._pace.position, fix.position), fix
        return round(way / seconds, 2)

    def _follow(self, fix: Fix) -> None:
        is_parked = self._motion.state is State.PARKED
        if self._fixes.jumped or (self._is_first and not is_parked):
            self._trips.jump(fix.position)
        elif not self._motion.is_starting:
            is_still = self._motion.is_still or self._motion.state is not State.MOVING
            self._trips.follow(fix.position, still=is_still, parked=is_parked)
        self._is_first = False

    def _points(self, fix: Fix, speed: float | None, reading: Reading) -> dict[str, Value]:
        is_parked = self._motion.state is State.PARKED
        held = self._trips.place if is_parked and self._trips.place is not None else fix.position
        found: dict[str, Value] = {"position": held, "motion": self._motion.state.value}
        if speed is not None:
            found["speed"] = speed
        course, mono = self._heard.get(self._receiver.course, (0.0, -inf))
        if mono == reading.mono and not is_parked:
            found["course"] = course
        found["trips"] = self._trips.number
        found["trip_distance"] = round(self._trips.trip_m)
        found["odometer"] = round(self._trips.odometer_m)
        inside = self._presence.inside
        if inside is not None and self._has_fences:
            found["fence"] = ",".join(inside) or NOWHERE
        found["positioning"] = "normal"
        return found

    # -- what follows

    def _ignited(self, reading: Reading, point: str) -> Outcome:
        value = reading.values.get(point)
        if value is None or not self._motion.ignite(value == "on", reading.mono):
            return NOTHING
        events = tuple(self._trip_events(reading))
        self._watch(reading.mono)
        points = {"motion": self._motion.state.value, "trips": self._trips.number}
        return Outcome(points, events=events, changed=True)

    def _trip_events(self, reading: Reading) -> list[Told]:
        """The motion has changed: what that means for the trip."""
        since = _ts_at(self._motion.since, reading)
        place: dict[str, Json] = {} if self._trips.place is None else {"position": list(self._trips.place)}
        if self._motion.state is State.MOVING:
            begun = self._trips.begin(since)
            return [] if begun is None else [Told("trip_started", {"trip": begun.number, "begin": since, **place})]
        ended = self._trips.end() if self._motion.state is State.PARKED else None
        if ended is None:
            return []
        way = round(self._trips.trip_m)
        told = {"trip": ended.number, "begin": ended.begin, "end": since, "distance": way, **place}
        return [Told("trip_ended", told)]

    def _crossed(self, crossing: Crossing, reading: Reading) -> Told:
        fields: dict[str, Json] = {
            "fence": crossing.fence.id,
            "name": crossing.fence.name,
            "since": _ts_at(crossing.mono, reading),
            "position": list(crossing.position),
        }
        return Told("fence_entered" if crossing.entered else "fence_left", fields)

    def _watch(self, mono: float) -> None:
        """When it is too long without a position from now on."""
        since = mono if self._last is None else self._last[0]
        moves = self._motion.state is State.MOVING and self._last is not None  # one just switched on takes its time
        self.wake = inf if self._lost else since + (LOST_MOVING_S if moves else LOST_STANDING_S)

    # -- restarts

    def stored(self) -> Json:
        """The odometer, the trip, the motion, the place and the fences."""
        trips = self._trips
        found: dict[str, Json] = {
            "odometer": round(trips.odometer_m, 1),
            "trips": trips.number,
            "trip_distance": round(trips.trip_m, 1),
            "motion": self._motion.state.value,
            "fences": dict(self._presence.known),
        }
        if trips.trip is not None:
            found["begin"] = trips.trip.begin
        if trips.place is not None:
            found["position"] = list(trips.place)
        return found

    def restore(self, stored: Json, now: Moment) -> Outcome:
        """What was counted before is added; what is known better by now stays."""
        if self.wake == inf and not self._lost:
            self._watch(now.mono)
        if not isinstance(stored, Mapping):
            return NOTHING
        trips, before = self._trips, stored
        odometer, number = _amount(before.get("odometer")), int(_amount(before.get("trips")))
        trips.odometer_m += odometer
        trips.number += number
        if trips.trip is not None:
            trips.trip = trips.trip._replace(number=trips.number)
        elif self._last is None:
            self._go_on(before)
        elif isinstance(begin := before.get("begin"), int) and self._motion.state is not State.PARKED:
            trips.trip, trips.trip_m = Trip(trips.number, begin), _amount(before.get("trip_distance"))
        fences = before.get("fences")
        if isinstance(fences, Mapping):
            self._presence.recall(fences)
        return Outcome(changed=self._last is not None)

    def _go_on(self, before: Mapping[str, Json]) -> None:
        """With the motion and the trip of the run before."""
        trips, motion = self._trips, before.get("motion")
        if isinstance(motion, str) and motion in set(State):
            self._motion = Motion(State(motion))
        trips.trip_m = _amount(before.get("trip_distance"))
        begin, place = before.get("begin"), before.get("position")
        if isinstance(begin, int) and self._motion.state is not State.PARKED:
            trips.trip = Trip(trips.number, begin)
        if isinstance(place, list) and len(place) == 2 and all(isinstance(it, int | float) for it in place):
            latitude, longitude = float(place[0]), float(place[1])
            if abs(latitude) <= 90 and abs(longitude) <= 180:
                trips.place = latitude, longitude


def _ts_at(mono: float, reading: Reading) -> int:
    """The wall time (UTC ms) of an earlier moment, by the clock of now."""
    return reading.ts - max(0, round((reading.mono - mono) * 1000)) if isfinite(mono) else reading.ts


def _amount(stored: object) -> float:
    """A stored count; 0 where it is none that can be."""
    return float(stored) if isinstance(stored, int | float) and 0 <= stored < 1e12 else 0.0
