"""Replies that may still come when their time is over, and when a line may be used again. Pure: monotonic seconds.

An RTU reply does not say which request it answers; it names its unit, its function and its length alone. So

- after a request without its reply the line stays silent for one more response time, or until the reply has come late;
- after one that nobody expected an answer to (`Exchange.limit`) only its own unit is left alone for that long. What it
  may still say cannot pass for another unit's reply. It can spoil one, though, so this is for units that were asked in
  vain before.
"""

from __future__ import annotations

from gateway.links.framing import RtuAnswer


class LateReplies:
    """What one line still has to expect."""

    def __init__(self) -> None:
        self._until = 0.0
        self._expected: RtuAnswer | None = None  # it collects the reply that did not come in time
        self._units: dict[int, float] = {}

    def expect(self, answer: RtuAnswer, until: float) -> None:
        """The reply may come until then; the whole line waits for it."""
        self._until, self._expected = until, answer

    def leave_alone(self, unit: int, until: float) -> None:
        """Its reply may come until then; nobody but this unit waits for it."""
        self._units[unit] = until

    def hear(self, data: bytes) -> bool:
        """Take bytes that belong to no request; whether the reply that the line waits for has come with them."""
        return self._expected is not None and self._expected.feed(data) is not None

    def settle(self) -> None:
        """Nothing is expected any more, but of units that are left alone."""
        self._until, self._expected = 0.0, None

    def free_at(self, unit: int) -> float:
        """When the line may be used for a request to `unit`."""
        if not self._units:
            return self._until
        return max(self._until, self._units.pop(unit, 0.0))
