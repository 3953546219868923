"""Wall and monotonic time. Every timer runs on monotonic time; wall time is only a label, with its trust.

- `synced`: the kernel itself says so (adjtimex, state TIME_ERROR = not). `rtc`: the kernel set its clock from a
  hardware clock, which still agrees with it. Else `unsynced`.
- A wall time below the floor is never trusted, whatever the kernel says: no real one is older than this version, or
  than the epoch that the system was shipped with.
- What only the run can know (jumps, other sources, the last trusted time of the run before) is the hub's.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Protocol

from gateway.model import Moment, Trust
from gateway.release import BUILD_TS

EPOCH_FILE = Path("/usr/lib/clock-epoch")
"""Its mtime is a time that has passed already. Source: systemd(1), section "Environment", since 247."""

RTC_FOLDER = Path("/sys/class/rtc")

_TIME_ERROR = 5  # adjtimex(2): "the system clock is not synchronised"
_ASK_EVERY_S = 1.0
_MOVED_MS = 500  # wall time has moved against monotonic time: somebody has set it, so the kernel is asked at once
_RTC_AGREES_MS = 5_000


class Clock(Protocol):
    """What a room may know of time."""

    def mono(self) -> float:
        """Monotonic seconds, for every delay and interval."""

    def now(self) -> Moment:
        """Monotonic seconds and wall time together, with the wall time's trust."""


class SystemClock:
    """The machine's own clock. Any thread may read it: the worst of a race is that the kernel is asked twice."""

    def __init__(
        self,
        is_synced: Callable[[], bool] | None = None,
        wall_ts: Callable[[], int] | None = None,
        rtc: Path = RTC_FOLDER,
        epoch: Path = EPOCH_FILE,
    ) -> None:
        self._is_synced = is_synced or kernel_is_synced
        self._wall_ts = wall_ts or _wall_ts
        self._floor = floor_ts(epoch)
        self._otherwise = Trust.RTC if hardware_clock_agrees(rtc, self._wall_ts(), self._floor) else Trust.UNSYNCED
        self._trust = self._otherwise
        self._ask_after = 0.0
        self._offset_ms = 0.0

    def mono(self) -> float:
        """Monotonic seconds since an unknown start."""
        return time.monotonic()

    def now(self) -> Moment:
        """Monotonic seconds, wall time in UTC milliseconds, and its trust."""
        mono = time.monotonic()
        ts = self._wall_ts()
        if mono >= self._ask_after or abs(ts - mono * 1000 - self._offset_ms) >= _MOVED_MS:
            self._ask_after, self._offset_ms = mono + _ASK_EVERY_S, ts - mono * 1000
            self._trust = Trust.SYNCED if self._is_synced() else self._otherwise
        return Moment(mono, ts, self._trust if ts >= self._floor else Trust.UNSYNCED)


def _wall_ts() -> int:
    return time.time_ns() // 1_000_000


def floor_ts(epoch: Path = EPOCH_FILE) -> int:
    """The wall time (UTC ms) below which a clock is wrong for certain."""
    with suppress(OSError):
        return max(BUILD_TS, epoch.stat().st_mtime_ns // 1_000_000)
    return BUILD_TS


def hardware_clock_agrees(folder: Path, ts: int, floor: int) -> bool:
    """Whether the kernel set its clock from a hardware clock that shows a plausible time, close to `ts` (UTC ms).

    The comparison tells it from a clock that was set by something else since: a hardware clock with an empty battery,
    and a wall time that was saved at the last shutdown. Source: Linux, Documentation/admin-guide/rtc.rst.
    """
    for clock in folder.glob("rtc*"):
        with suppress(OSError, ValueError):
            if (clock / "hctosys").read_text(encoding="ascii").strip() == "1":
                shown = int((clock / "since_epoch").read_text(encoding="ascii")) * 1000
                return shown >= floor and abs(shown - ts) <= _RTC_AGREES_MS
    return False


def kernel_is_synced() -> bool:
    """Whether the kernel calls its clock synchronised; False where it cannot be asked. Source: adjtimex(2)."""
    timex = ctypes.create_string_buffer(512)  # struct timex, all zero: modes = 0 only reads
    try:
        state: int = _libc().adjtimex(timex)
    except (OSError, AttributeError):
        return False
    return 0 <= state != _TIME_ERROR


@cache
def _libc() -> ctypes.CDLL:
    """Opened once: that takes a hundred times as long as asking."""
    return ctypes.CDLL(None)
