"""Who is asked next on one link, and who is asked less often. Pure: time comes in as monotonic seconds.

- A device is due at the multiples of its `every` on the monotonic clock: polls of different links fall on common ticks
  and never drift.
- A poll that comes late is made once; the ticks that it missed are counted, while it waits, and never made up.
- Smoke goes first, then contacts and doors, then measurements, then meters; among equals, who has been due longest. Who
  has waited for a whole interval goes as a contact does: a bus that is too busy starves nobody.
- After three misses in a row a device is lost and asked at the first tick after 2, 5, 10, then each 30 s; one good
  answer restores it.
- A device that has just missed, smoke excepted, or is lost is asked when nobody else waits, or after a whole interval.
  Where somebody always waits, asking all of these takes a twentieth of the time at most.

A device is one unit id of its link: a configuration in which two share one is refused.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from gateway.units import METER_KINDS, SAFETY_KINDS

MISSES = 3
BACK_OFF_S = (2.0, 5.0, 10.0, 30.0)
LOST_SHARE = 0.05
"""What asking devices that have missed may take of the time of those that wait for it."""


class Urgency(IntEnum):
    """Who is asked before whom; the least first."""

    SMOKE = 0
    CONTACT = 1
    MEASUREMENT = 2
    METER = 3


def urgency(kinds: Iterable[str]) -> Urgency:
    """Of a device with points of these kinds: that of the most urgent one."""
    found = frozenset(kinds)
    if "smoke" in found:
        return Urgency.SMOKE
    if found & SAFETY_KINDS:
        return Urgency.CONTACT
    return Urgency.METER if found <= METER_KINDS else Urgency.MEASUREMENT


class Turn(NamedTuple):
    """A device to be asked each `every` seconds."""

    device: str
    every: float
    urgency: Urgency


@dataclass(slots=True)
class _State:
    turn: Turn
    tick: int  # due at tick * every
    misses: int = 0
    lost_at: float | None = None
    probes: int = 0  # since it was lost

    @property
    def due(self) -> float:
        return self.tick * self.turn.every


class Schedule:
    """The turns of the devices on one link."""

    def __init__(self, turns: Iterable[Turn], now: float) -> None:
        self._late = 0  # ticks missed by polls that have been made
        self._states = {turn.device: _State(turn, _tick(turn, now)) for turn in turns}
        self._spared_until = 0.0  # until when those that wait are not kept waiting by one that has missed

    def change(self, turns: Iterable[Turn], now: float) -> None:
        """These turns from now on; those that were there before go on as they were, the others are due at once."""
        before = self._states
        self._states = {
            turn.device: before[turn.device]
            if turn.device in before and before[turn.device].turn == turn
            else _State(turn, _tick(turn, now))
            for turn in turns
        }

    def restart(self, now: float) -> None:
        """Everyone is due at once, as after the link was away; who is lost stays so until it answers."""
        for state in self._states.values():
            state.tick = _tick(state.turn, now)

    def late(self, now: float) -> int:
        """How many ticks have passed at which a device should have been asked, and was not."""
        return self._late + sum(_missed(state, now) for state in self._states.values())

    def next_due(self) -> float:
        """When the next device is due; infinity without devices."""
        return min([state.due for state in self._states.values()], default=math.inf)

    def due(self, now: float) -> Turn | None:
        """Whose turn it is."""
        waiting = [state for state in self._states.values() if state.due <= now]
        if len(waiting) > 1:
            return min(waiting, key=lambda state: (self._rank(state, now), state.due)).turn
        return waiting[0].turn if waiting else None

    def _rank(self, state: _State, now: float) -> int:
        """The least is asked first."""
        urgency, has_waited = state.turn.urgency, now - state.due >= state.turn.every
        suspect = state.lost_at is not None or (state.misses > 0 and urgency is not Urgency.SMOKE)
        if suspect and not (has_waited and now >= self._spared_until):
            return len(Urgency)
        return min(urgency, Urgency.CONTACT) if has_waited else urgency

    def lost(self, device: str) -> bool:
        """Whether the device is asked less often."""
        return self._states[device].lost_at is not None

    def probes(self, device: str) -> int:
        """How often it has been asked in vain since it was lost."""
        return self._states[device].probes

    def skip(self, device: str, now: float) -> None:
        """Its turn is given up; it is due again at the next tick."""
        self._advance(self._states[device], now)

    def answered(self, device: str, now: float) -> float | None:
        """Its poll has ended well; for how many seconds it was lost, if it was."""
        state = self._states[device]
        self._advance(state, now)
        lost_at, state.lost_at, state.misses, state.probes = state.lost_at, None, 0, 0
        return None if lost_at is None else now - lost_at

    def missed(self, device: str, now: float, *, took_s: float = 0.0, grave: bool = False) -> bool:
        """Its poll, which took so long, has failed; whether it is lost with this. A grave failure loses it at once."""
        state = self._states[device]
        state.misses += 1
        self._spared_until = now + took_s * (1 / LOST_SHARE - 1)
        if state.lost_at is None and not grave and state.misses < MISSES:
            self._advance(state, now)
            return False
        newly = state.lost_at is None
        if newly:
            state.lost_at = now
        else:
            state.probes += 1
        self._late += _missed(state, now)
        pause_s = BACK_OFF_S[min(state.probes, len(BACK_OFF_S) - 1)]
        state.tick = max(state.tick + 1, math.ceil((now + pause_s) / state.turn.every))
        return newly

    def _advance(self, state: _State, now: float) -> None:
        missed = _missed(state, now)
        self._late += missed
        state.tick += missed + 1


def _tick(turn: Turn, now: float) -> int:
    """The last tick that is not after `now`."""
    tick = math.floor(now / turn.every)
    return tick + 1 if (tick + 1) * turn.every <= now else tick


def _missed(state: _State, now: float) -> int:
    """How many ticks have passed since it was due."""
    return max(0, _tick(state.turn, now) - state.tick)
