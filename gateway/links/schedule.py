"""Who is asked next on one link, and who is asked less often. Pure: time comes in as monotonic seconds.

- A device is due at the multiples of its `every` on the monotonic clock: polls of different links fall on common ticks
  and never drift.
- A poll that comes late is made once; the ticks that it missed are counted and never made up.
- Safety devices go first, then whoever has been due longest.
- After three misses in a row a device is lost and asked at the first tick after 2, 5, 10, then each 30 s; one good
  answer restores it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

MISSES = 3
BACK_OFF_S = (2.0, 5.0, 10.0, 30.0)


class Turn(NamedTuple):
    """A device to be asked each `every` seconds."""

    device: str
    every: float
    safety: bool


@dataclass(slots=True)
class _State:
    turn: Turn
    tick: int  # due at tick * every
    misses: int = 0
    lost_at: float | None = None
    back_off: int = 0

    @property
    def due(self) -> float:
        return self.tick * self.turn.every


class Schedule:
    """The turns of the devices on one link. `late` counts the ticks at which a device should have been asked."""

    def __init__(self, turns: Iterable[Turn], now: float) -> None:
        self.late = 0
        self._states = {turn.device: _State(turn, _tick(turn, now)) for turn in turns}

    def restart(self, now: float) -> None:
        """Everyone is due at once, as after the link was away; who is lost stays so until it answers."""
        for state in self._states.values():
            state.tick = _tick(state.turn, now)

    def next_due(self) -> float:
        """When the next device is due; infinity without devices."""
        return min([state.due for state in self._states.values()], default=math.inf)

    def due(self, now: float) -> Turn | None:
        """Whose turn it is."""
        waiting = [state for state in self._states.values() if state.due <= now]
        if len(waiting) > 1:
            return min(waiting, key=lambda state: (not state.turn.safety, state.due)).turn
        return waiting[0].turn if waiting else None

    def lost(self, device: str) -> bool:
        """Whether the device is asked less often."""
        return self._states[device].lost_at is not None

    def skip(self, device: str, now: float) -> None:
        """Its turn is given up; it is due again at the next tick."""
        self._advance(self._states[device], now)

    def answered(self, device: str, now: float) -> float | None:
        """Its poll has ended well; for how many seconds it was lost, if it was."""
        state = self._states[device]
        self._advance(state, now)
        lost_at, state.lost_at, state.misses, state.back_off = state.lost_at, None, 0, 0
        return None if lost_at is None else now - lost_at

    def missed(self, device: str, now: float, *, grave: bool = False) -> bool:
        """Its poll has failed; whether it is lost with this. A grave failure loses it at once."""
        state = self._states[device]
        state.misses += 1
        if state.lost_at is None and not grave and state.misses < MISSES:
            self._advance(state, now)
            return False
        newly = state.lost_at is None
        if newly:
            state.lost_at = now
        state.tick = max(state.tick + 1, math.ceil((now + BACK_OFF_S[state.back_off]) / state.turn.every))
        state.back_off = min(state.back_off + 1, len(BACK_OFF_S) - 1)
        return newly

    def _advance(self, state: _State, now: float) -> None:
        tick = max(state.tick, _tick(state.turn, now)) + 1
        self.late += tick - state.tick - 1
        state.tick = tick


def _tick(turn: Turn, now: float) -> int:
    """The last tick that is not after `now`."""
    tick = math.floor(now / turn.every)
    return tick + 1 if (tick + 1) * turn.every <= now else tick
