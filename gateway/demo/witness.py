"""What the demo has seen with its own eyes: alarms, the siren, ages and qualities while a device was silent.

Fed on one thread with each status of the gateway and with what the field reports; judged by summary.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from gateway.demo.pins_field import SirenAnswered
from gateway.demo.site import Hushed, Seen
from gateway.demo.tally import Sample
from gateway.model import AlarmState, PointStatus, Status

_ACTIVE = frozenset({AlarmState.UNACK_ACTIVE, AlarmState.ACK_ACTIVE})
_ON_THE_WIRE_S = 0.3  # an answer that was on its way when the device fell silent is no lie
_NOTICED_AFTER_S = 2.0  # beyond one interval, for the missed poll's timeouts


class Raised(NamedTuple):
    """An alarm was seen to become active, so many seconds into the story."""

    alarm: str
    at_s: float


class Waited(NamedTuple):
    """The longest that a value of `device` was old beside a silent device, and the interval it should have, seconds."""

    device: str
    worst_s: float
    every_s: float


class SirenEnded(NamedTuple):
    """An output that was on was seen off, so many seconds into the story; whether a reset had been asked for."""

    at_s: float
    by_reset: bool


@dataclass(slots=True)
class Witness:
    """Everything seen so far. `every_s`: device -> seconds between its polls; `siren`: what sounds until a reset."""

    every_s: Mapping[str, float]
    siren: str = "siren"
    raised: list[Raised] = field(default_factory=list)
    answered: list[SirenAnswered] = field(default_factory=list)
    silences: list[tuple[Hushed, Hushed | None]] = field(default_factory=list)
    waited: dict[str, Waited] = field(default_factory=dict)
    lies: list[str] = field(default_factory=list)
    siren_ended: list[SirenEnded] = field(default_factory=list)
    reset_at_s: float | None = None
    siren_on: bool = False
    _active: frozenset[str] = frozenset()

    def hear(self, seen: Seen) -> None:
        """Take what the field reports."""
        if isinstance(seen, SirenAnswered):
            self.answered.append(seen)
        elif seen.silent:
            self.silences.append((seen, None))
        else:
            self.silences = [
                (began, seen) if ended is None and began.device == seen.device else (began, ended)
                for began, ended in self.silences
            ]

    def reset_asked(self, at_s: float) -> None:
        """Take note that a person resets an alarm now, `at_s` seconds into the story."""
        self.reset_at_s = at_s

    def look(self, status: Status, at_s: float, mono: float) -> None:
        """Take a status of the gateway, asked for at the monotonic time `mono`, `at_s` seconds into the story."""
        active = frozenset(alarm.alarm for alarm in status.alarms if alarm.state in _ACTIVE)
        self.raised += [Raised(alarm, at_s) for alarm in sorted(active - self._active)]
        self._active = active
        self._look_at_siren(status, at_s)
        links = {about.device: about.link for about in status.about.devices}
        for began, ended in self.silences:
            if ended is None:
                self._look_at_silent([p for p in status.points if p.device == began.device], began, mono)
                link = links[began.device]
                self._look_beside(p for p in status.points if p.device != began.device and links[p.device] == link)

    def arrived(self, samples: Iterable[Sample]) -> None:
        """Take readings as the platform got them: none may be good from within a silence."""
        for sample in samples:
            for began, ended in self.silences:
                if sample.good and sample.device == began.device and _within(sample.ts, began, ended):
                    after_s = (sample.ts - began.ts) / 1000
                    self.lies.append(f"{sample.device} sent a good value {after_s:.1f} s after it fell silent")

    def _look_at_siren(self, status: Status, at_s: float) -> None:
        on = any(point.device == self.siren and point.value == "on" for point in status.points)
        if self.siren_on and not on:
            self.siren_ended.append(SirenEnded(at_s, self.reset_at_s is not None))
        self.siren_on = on

    def _look_at_silent(self, points: Iterable[PointStatus], began: Hushed, mono: float) -> None:
        quiet_s = mono - began.mono
        for point in points:
            if point.quality != "good" or point.age_s is None:
                continue
            if point.age_s < quiet_s - _ON_THE_WIRE_S:
                self.lies.append(f"{point.device}.{point.point} has a value from after it fell silent")
            elif quiet_s > self.every_s[point.device] + _NOTICED_AFTER_S:
                self.lies.append(f"{point.device}.{point.point} is still called good after {quiet_s:.1f} s of silence")

    def _look_beside(self, neighbours: Iterable[PointStatus]) -> None:
        for point in neighbours:
            before = self.waited.get(point.device)
            worst_s = max(point.age_s or 0.0, before.worst_s if before else 0.0)
            self.waited[point.device] = Waited(point.device, worst_s, self.every_s[point.device])


def _within(ts: int, began: Hushed, ended: Hushed | None) -> bool:
    return ts > began.ts + _ON_THE_WIRE_S * 1000 and (ended is None or ts < ended.ts)
