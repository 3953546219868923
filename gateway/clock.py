"""Wall and monotonic time. Every timer runs on monotonic time; wall time is only a label, with its trust.

The kernel says itself whether its clock is synchronised (adjtimex, state TIME_ERROR = not). A wall time before the day
this version was made is never trusted, whatever the kernel says.
"""

from __future__ import annotations

import ctypes
import time
from typing import Protocol

from gateway.model import Moment, Trust

BUILD_TS = 1_795_219_200_000
"""2026-11-21 00:00 UTC in milliseconds: no real sample of this version is older."""

_TIME_ERROR = 5  # adjtimex(2): "the system clock is not synchronised"
_TRUST_FOR_S = 10.0  # the kernel is asked at most this often


class Clock(Protocol):
    """What a room may know of time."""

    def mono(self) -> float:
        """Monotonic seconds, for every delay and interval."""

    def now(self) -> Moment:
        """Monotonic seconds and wall time together, with the wall time's trust."""


class SystemClock:
    """The machine's own clock."""

    def __init__(self) -> None:
        self._trust = Trust.UNSYNCED
        self._ask_after = 0.0

    def mono(self) -> float:
        """Monotonic seconds since an unknown start."""
        return time.monotonic()

    def now(self) -> Moment:
        """Monotonic seconds, wall time in UTC milliseconds, and its trust."""
        mono = time.monotonic()
        ts = time.time_ns() // 1_000_000
        if mono >= self._ask_after:
            self._ask_after = mono + _TRUST_FOR_S
            self._trust = Trust.SYNCED if kernel_is_synced() else Trust.UNSYNCED
        return Moment(mono, ts, self._trust if ts >= BUILD_TS else Trust.UNSYNCED)


def kernel_is_synced() -> bool:
    """Whether the kernel calls its clock synchronised; False where it cannot be asked. Source: adjtimex(2)."""
    timex = ctypes.create_string_buffer(512)  # struct timex, all zero: modes = 0 only reads
    try:
        state: int = ctypes.CDLL(None, use_errno=True).adjtimex(timex)
    except (OSError, AttributeError):
        return False
    return 0 <= state != _TIME_ERROR
