"""Which of an uplink's brokers is tried next, and when. Pure.

- A round tries the brokers in the order of the configuration, without a pause between them; a pause follows it.
- While nobody can be reached, the pause is about a 45th of the trouble, the time since there was a connection (or since
  the start): 1 s in the first minute, 40 s from half an hour on. So what the wait adds is a small part of the outage;
  pauses that double from the first failure on would be at half a minute after a minute. Trouble is forgotten as far as
  a connection lasts: wholly after `steady_s`, so that a broker that hangs up on everybody is asked ever less.
- A broker that answers and refuses (credentials, certificate, banned) will refuse again until somebody acts: it is left
  out for 1, 2, 4, ... 40 s, whatever the others do, until a connection to it has lasted.
- Each pause is made 0.5 to 1.5 times as long by chance, the first one after a lost connection too: a thousand gateways
  that lost one broker at one moment come back one after the other.
- A broker whose connection did not last, or was of no use, or that was found wanting while another was connected, is
  tried after the others: one that accepts and hangs up, or acknowledges nothing, must not keep the gateway from one
  that works.
- Whoever is connected to a later one looks at the earlier ones from time to time: after 1 min, then ever more seldom,
  every 15 min in the end, as long as they cannot be used, or do not last.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

TROUBLE_SHARE = 1 / 45

Chance: TypeAlias = Callable[[float, float], float]
"""A number between two others, by chance."""


class Pauses(NamedTuple):
    """Seconds: of pauses, each 0.5 to 1.5 times as long by chance; and after which a connection was a good one."""

    least_s: float = 1.0
    most_s: float = 40.0
    look_back_s: float = 60.0
    look_back_most_s: float = 900.0
    steady_s: float = 30.0


PAUSES = Pauses()


class Attempts:
    """The attempts on `brokers` brokers, from `now` on. All times are seconds of one monotonic clock.

    `broker` is the one that is connected; at `look_back_at` those before it should be looked at.
    """

    def __init__(self, brokers: int, now: float, chance: Chance, pauses: Pauses) -> None:
        self._chance = chance
        self._pauses = pauses
        self._refusals = [0] * brokers
        self._left_out_until = [now] * brokers
        self._doubted: set[int] = set()
        self._round: list[int] = []
        self._round_began = self._round_at = now
        self._trouble_s = 0.0
        self._settled_at = now
        self.broker: int | None = None
        self._look_back_s = pauses.look_back_s
        self.look_back_at = float("inf")

    def next(self, now: float) -> int | None:
        """The broker to try now; None: not before `due_at`. `ended` must follow."""
        if not self._round and now >= self._round_at:
            order = sorted(range(len(self._refusals)), key=lambda broker: (broker in self._doubted, broker))
            self._round = [broker for broker in order if now >= self._left_out_until[broker]]
            self._round_began = now
        return self._round.pop(0) if self._round else None

    @property
    def due_at(self) -> float:
        """When the next attempt is due, if none is now."""
        return max(self._round_at, min(self._left_out_until))

    def connected(self, broker: int, now: float) -> None:
        """This one accepted the connection, as a round's attempt or while another was connected."""
        if self.broker is None:
            self._trouble_s += now - self._settled_at
        else:
            self._forget_trouble(self.broker, now, in_vain=False)
        self.broker, self._settled_at = broker, now
        self._plan_look_back(now)

    def ended(self, broker: int, now: float, *, refused: bool, in_vain: bool = False) -> None:
        """The attempt on this one failed, or the connection to it ended.

        `refused`: it would not have us; `in_vain`: the connection was of no use, however long it lasted.
        """
        was_connected = self.broker == broker
        if was_connected:
            self._forget_trouble(broker, now, in_vain=in_vain)
            self._round, self.broker, self.look_back_at = [], None, float("inf")
        else:
            self._trouble_s += now - self._settled_at
        self._settled_at = now
        if refused:
            self._leave_out(broker, now)
        if not self._round:
            pause = self._pause(self._trouble_s * TROUBLE_SHARE)
            began = now if was_connected else self._round_began
            self._round_at = max(began + pause, now + self._pause(0) / 2)

    def looked_back(self, now: float) -> None:
        """None of the earlier brokers can be used yet."""
        self.doubt_earlier()
        self._look_less_often()
        self._plan_look_back(now)

    def doubt_earlier(self) -> None:
        """Those before the one that is connected come after it in the next round."""
        self._doubted.update(range(self.broker or 0))

    def _forget_trouble(self, broker: int, now: float, *, in_vain: bool) -> None:
        lasted = min(now - self._settled_at, self._pauses.steady_s)
        if lasted == self._pauses.steady_s and not in_vain:
            self._trouble_s = 0.0
            self._refusals[broker] = 0
            self._doubted.discard(broker)
            if broker == 0:
                self._look_back_s = self._pauses.look_back_s
        else:
            self._trouble_s *= 1 - lasted / self._pauses.steady_s
            self._doubted.add(broker)
            if broker < len(self._refusals) - 1:
                self._look_less_often()

    def _leave_out(self, broker: int, now: float) -> None:
        self._left_out_until[broker] = now + self._pause(self._pauses.least_s * 2.0 ** min(9, self._refusals[broker]))
        self._refusals[broker] += 1

    def _pause(self, middle_s: float) -> float:
        middle_s = max(self._pauses.least_s, min(self._pauses.most_s, middle_s))
        return middle_s * self._chance(0.5, 1.5)

    def _look_less_often(self) -> None:
        self._look_back_s = min(self._pauses.look_back_most_s, 2 * self._look_back_s)

    def _plan_look_back(self, now: float) -> None:
        self.look_back_at = now + self._look_back_s * self._chance(0.5, 1.5) if self.broker else float("inf")
