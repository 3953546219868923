"""What was asked of one device, and what became of it: counted, in memory that does not grow. Pure."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterable, Sequence

_TIMES = 100  # response times that are kept: the last ones
_ASKED = 16  # moments that are kept: a mean over them follows a change within as many intervals


class Tally:
    """One device's exchanges since the start, and how it answered lately. Times are seconds."""

    __slots__ = ("_asked", "_before", "_faults", "busy_s", "failures", "requests", "times")

    def __init__(self) -> None:
        self.requests = 0
        self.failures: Counter[str] = Counter()  # by the name of the fault
        self._faults = self._before = 0  # all of them; those before the last mark
        self.busy_s = 0.0  # for which the wire was kept: sending, waiting for the reply, and for silence before
        self.times: deque[float] = deque(maxlen=_TIMES)  # from the sending of a request to the end of its reply
        self._asked: deque[float] = deque(maxlen=_ASKED)

    def answered(self, response_s: float) -> None:
        """A request has been answered."""
        self.requests += 1
        self.times.append(response_s)

    def unanswered(self, fault: str) -> None:
        """A request has not been answered, or not as it should be."""
        self.requests += 1
        self.failed(fault)

    def failed(self, fault: str, times: int = 1) -> None:
        """Something else has failed."""
        self.failures[fault] += times
        self._faults += times

    def turn(self, now: float) -> None:
        """It is asked, or has spoken by itself, at the monotonic time `now`."""
        self._asked.append(now)
        self.mark()

    def mark(self) -> None:
        """Something is going to be asked."""
        self._before = self._faults

    @property
    def has_failed(self) -> bool:
        """Whether something has failed since its turn came, or since the last `mark`."""
        return self._faults > self._before

    def begin(self) -> None:
        """The link was away: what was before tells nothing about intervals."""
        self._asked.clear()

    @property
    def slowest_s(self) -> float | None:
        """The longest response time lately; None if there was none."""
        return max(self.times, default=None)

    @property
    def interval_s(self) -> float | None:
        """How often its turn has really come lately; None before the second time."""
        asked = self._asked
        return (asked[-1] - asked[0]) / (len(asked) - 1) if len(asked) > 1 else None


def percentiles_ms(times_s: Iterable[float], *percent: int) -> Sequence[float | None]:
    """For each of `percent` the least response time (ms) that so many of a hundred did not exceed; None without any."""
    ranked = sorted(times_s)
    if not ranked:
        return [None] * len(percent)
    return [1000 * ranked[math.ceil(len(ranked) * each / 100) - 1] for each in percent]
