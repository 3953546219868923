"""The one thread on which all simulated devices live: files that become readable, and moments that come.

Every device's state belongs to this thread; others only `post` to it.
"""

from __future__ import annotations

import heapq
import os
import selectors
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from queue import Empty, SimpleQueue
from typing import TypeAlias

Act: TypeAlias = Callable[[], None]


class Wiring:
    """A loop over file descriptors and moments on the monotonic clock."""

    def __init__(self) -> None:
        self._selector = selectors.PollSelector()  # holds no file of its own
        self._posted: SimpleQueue[Act | None] = SimpleQueue()
        self._moments: list[tuple[float, int, Act]] = []
        self._order = count()
        self._wake_read = self._wake_write = -1

    def open(self) -> None:
        """Make the pipe that wakes the loop; before anything else."""
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        self._selector.register(self._wake_read, selectors.EVENT_READ)

    def post(self, act: Act | None) -> None:
        """Have `act` done on the loop's thread; None ends the loop. From any thread."""
        self._posted.put(act)
        with suppress(BlockingIOError):  # a full pipe wakes the loop as well as one more byte would
            os.write(self._wake_write, b"!")

    def listen(self, fd: int, readable: Act) -> None:
        """Call `readable` whenever `fd` has something to read."""
        self._selector.register(fd, selectors.EVENT_READ, readable)

    def deafen(self, fd: int) -> None:
        """Call nobody for `fd` any more."""
        self._selector.unregister(fd)

    def at(self, mono: float, act: Act) -> None:
        """Call `act` at the monotonic time `mono` (seconds). From the loop's thread, or before it runs."""
        heapq.heappush(self._moments, (mono, next(self._order), act))

    def run(self) -> None:
        """Loop until None is posted. What was posted before a byte came is done before that byte is looked at."""
        while True:
            ready = self._selector.select(self._wait_s())
            self._drain_wake()  # before the queue is emptied: a post that comes later has to wake the loop again
            if not self._obey():
                return
            for key, _ in ready:
                if key.fd != self._wake_read:
                    key.data()
            while self._moments and self._moments[0][0] <= time.monotonic():
                heapq.heappop(self._moments)[2]()

    def close(self) -> None:
        """Give the pipe back. Idempotent; after `run` has returned."""
        if self._wake_read != -1:
            os.close(self._wake_read)
            os.close(self._wake_write)
            self._wake_read = self._wake_write = -1

    def _wait_s(self) -> float | None:
        return max(0.0, self._moments[0][0] - time.monotonic()) if self._moments else None

    def _obey(self) -> bool:
        with suppress(Empty):
            while True:
                act = self._posted.get_nowait()
                if act is None:
                    return False
                act()
        return True

    def _drain_wake(self) -> None:
        with suppress(BlockingIOError):
            while os.read(self._wake_read, 512):
                pass
