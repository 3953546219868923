"""Whether a vehicle moves, has stopped or is parked, from its speed over time. Pure.

    stopped, parked ── faster than 1.5 m/s for 5 s, or the ignition comes on ──▶ moving
    moving ── slower than 0.6 m/s for 120 s, or the ignition goes off while it is slow ──▶ stopped
    stopped ── slower than 0.6 m/s for 300 s in all ──▶ parked

Judged when its speed is told, never by time alone: where nothing comes, as in a tunnel, it stays what it was.
"""

from __future__ import annotations

from enum import StrEnum
from math import inf

START_M_S, START_S = 1.5, 5.0
"""It moves that was faster for so long."""

STILL_M_S, STOP_S, PARK_S = 0.6, 120.0, 300.0
"""It has stopped that was slower for so long, and is parked after so long."""


class State(StrEnum):
    """What a vehicle does."""

    MOVING = "moving"
    STOPPED = "stopped"
    PARKED = "parked"


class Motion:
    """The state of one vehicle, and when (monotonic s) it began."""

    def __init__(self, state: State = State.STOPPED, since: float = -inf) -> None:
        self.state = state
        self.since = since
        self._fast: float | None = None  # since when it is faster than START_M_S
        self._slow: float | None = None  # since when it is slower than STILL_M_S
        self._ignition: bool | None = None

    @property
    def is_still(self) -> bool:
        """Whether its speed was last told to be that of one that stands."""
        return self._slow is not None

    @property
    def is_starting(self) -> bool:
        """Whether it is fast, and not yet known to move."""
        return self._fast is not None and self.state is not State.MOVING

    def take(self, speed_m_s: float, mono: float) -> bool:
        """A speed; whether the state is another now."""
        self._fast = (mono if self._fast is None else self._fast) if speed_m_s > START_M_S else None
        self._slow = (mono if self._slow is None else self._slow) if speed_m_s < STILL_M_S else None
        if self.state is not State.MOVING and self._fast is not None and mono - self._fast >= START_S:
            return self._become(State.MOVING, self._fast)
        if self.state is State.MOVING and self._slow is not None and mono - self._slow >= STOP_S:
            return self._become(State.STOPPED, self._slow)
        if self.state is State.STOPPED and self._slow is not None and mono - self._slow >= PARK_S:
            return self._become(State.PARKED, self._slow)
        return False

    def ignite(self, on: bool, mono: float) -> bool:
        """The ignition is on or off; whether the state is another now. The first time that it is told is no change."""
        before, self._ignition = self._ignition, on
        if before is None or before is on:
            return False
        if on:
            return self.state is not State.MOVING and self._become(State.MOVING, mono)
        return self.state is State.MOVING and self._fast is None and self._become(State.STOPPED, mono)

    def _become(self, state: State, since: float) -> bool:
        self.state, self.since = state, since
        return True
