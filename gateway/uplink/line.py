"""How much bulk may be under way on a line, so that an event behind it waits a fifth of a second. Pure.

Nobody tells how fast a line is, but each PUBLISH tells how long it took until its PUBACK came. What that is above the
time that one takes which has the line for itself is time in a queue, and where bulk fills the line the queue is ours.
So, as RFC 6817 (LEDBAT) does it for other data:

- While messages do not wait, and the limit is what holds bulk back, it grows by what has arrived: it may double with
  each round. Where messages have waited before, it grows by an eighth of that.
- Once each of LOOKS messages in a row has taken WAIT_S too long, the limit becomes what the line carries in that time.
  One late message alone is the network's doing, and changes nothing.
- How long a message takes for itself is found out when it matters, once a minute at most: LOOKS messages go alone.
"""

from __future__ import annotations

from collections import deque
from math import inf

WAIT_S = 0.2
LOOKS = 4
LOOK_AGAIN_S = 60.0

LEAST_BYTES, FIRST_BYTES, MOST_BYTES = 2_048, 16_384, 65_536
"""Bytes of bulk that are unacknowledged, at most, unless a single message is bigger."""


class Line:
    """One connection. `room`: bytes of bulk that may be under way."""

    def __init__(self) -> None:
        self.room = FIRST_BYTES
        self._took: deque[float] = deque(maxlen=LOOKS)
        self._alone_s = 0.0
        self._grows_by = 1.0  # of what has arrived
        self._since = -inf  # what left before has met another limit
        self._look_at = -inf
        self._carries = 0.0  # bytes a second, as seen before a look; 0: there is none

    @property
    def most_bytes(self) -> int:
        """How big a message of bulk should be, at most: a fourth of what fills the line, unless that is too little."""
        return max(LEAST_BYTES // 2, self.room // 4)

    def is_filled_by(self, under_way: int) -> bool:
        """Whether so many bytes of bulk under way are enough."""
        return under_way > max(0, self.room - self.most_bytes)

    def landed(self, size: int, sent: float, now: float, *, held_back: bool) -> None:
        """A message of `size` bytes that left at `sent` was acknowledged (monotonic s); `held_back`: by the limit."""
        if sent < self._since:
            return
        self._took.append(now - sent)
        if self._carries:
            self._look(now)
            return
        self._alone_s = min(self._alone_s, now - sent)
        too_long_s = min(self._took) - self._alone_s
        if too_long_s > WAIT_S:
            self._slow_down(min(self._took), now)
        elif held_back and too_long_s < WAIT_S / 2:
            self.room = min(MOST_BYTES, self.room + int(size * self._grows_by))

    def _slow_down(self, took_s: float, now: float) -> None:
        if len(self._took) < LOOKS:
            return
        carries = self.room / took_s
        if now < self._look_at:
            self._limit(carries * (self._alone_s + WAIT_S / 2), now)
        else:
            self._carries = carries
            self._begin(1, now)

    def _look(self, now: float) -> None:
        if len(self._took) == LOOKS:
            self._alone_s, self._look_at = min(self._took), now + LOOK_AGAIN_S
            carries, self._carries = self._carries, 0.0
            self._limit(carries * (self._alone_s + WAIT_S / 2), now)

    def _limit(self, room: float, now: float) -> None:
        self._grows_by = 1 / 8
        self._begin(min(MOST_BYTES, max(LEAST_BYTES, int(room))), now)

    def _begin(self, room: int, now: float) -> None:
        self.room = room
        self._since = now
        self._took.clear()
