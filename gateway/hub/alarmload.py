"""How many alarms people get: what ISA-18.2 and EEMUA 191 ask to be watched. Pure.

More than ten new alarms in ten minutes are a flood, until there are fewer than five. An alarm is stale after a day.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from math import inf, nextafter

from gateway.model import AlarmLoad, AlarmView, Hiding
from gateway.rules.lifecycle import ACTIVE, UNSEEN

WINDOW_S, FLOOD, CALM = 600.0, 10, 5
DAY_S = 86_400.0
MOST = 10
_KEPT = 10_000  # raises that are remembered: what came in a day, unless they came every nine seconds


class AlarmCounter:
    """The alarms that were raised in the last day, as far as this run knows. Owned by the hub alone."""

    def __init__(self) -> None:
        self._raised: deque[tuple[float, str]] = deque(maxlen=_KEPT)
        self._lately: deque[float] = deque(maxlen=_KEPT)  # when those of the last ten minutes came
        self.flood = False

    @property
    def last_10_min(self) -> int:
        """How many came lately."""
        return len(self._lately)

    @property
    def calm_at(self) -> float:
        """When (monotonic s) a flood is over, if none comes until then."""
        return nextafter(self._lately[-CALM] + WINDOW_S, inf) if len(self._lately) >= CALM else -inf

    def raised(self, alarm: str, mono: float) -> None:
        """One alarm more."""
        self._raised.append((mono, alarm))
        self._lately.append(mono)
        self.look(mono)

    def look(self, mono: float) -> None:
        """It is `mono` now."""
        while self._lately and mono - self._lately[0] > WINDOW_S:
            self._lately.popleft()
        self.flood = self.last_10_min > FLOOD or (self.flood and self.last_10_min >= CALM)

    def figures(self, views: Iterable[AlarmView], mono: float, ts: int) -> AlarmLoad:
        """The figures at this moment; `views`: the alarms that are not at rest."""
        while self._raised and mono - self._raised[0][0] > DAY_S:
            self._raised.popleft()
        self.look(mono)
        views = tuple(views)
        calling = [view for view in views if view.hidden is None]
        active = [view for view in calling if view.state in ACTIVE]
        hidden = Counter(view.hidden.how for view in views if view.hidden is not None)
        return AlarmLoad(
            active=len(active),
            unacknowledged=sum(view.state in UNSEEN for view in calling),
            stale=tuple(sorted(view.alarm for view in active if ts - view.since > DAY_S * 1000)),
            chattering=tuple(sorted(view.alarm for view in calling if view.chattering)),
            shelved=hidden[Hiding.SHELVED],
            out_of_service=hidden[Hiding.OUT_OF_SERVICE],
            last_10_min=self.last_10_min,
            flood=self.flood,
            most_in_a_day=tuple(Counter(alarm for _, alarm in self._raised).most_common(MOST)),
        )
