"""How often one issuer may ask, how often about one thing, and how many refusals are told one by one. Pure.

- Of what comes over an uplink: a burst, then a command a second from one issuer, and one in ten seconds about one
  alarm, output, setting, response or zone: a relay is not made to chatter, nor a setting's memory worn.
- What ends a noise or a hold is never held up: `silence`, and an output that goes off or back to the alarms. Nor does
  what the issuer asked before hold up an output that goes on, a siren, or a platform that confirms a hundred alarms.
- A person on the spot is held to neither, but for settings: who may open the socket is let in by its file's mode.
- The first refusals of a kind are events one by one; beyond that they are counted, and the count goes with the next.
- Of issuers and things the latest MOST are known: who makes up more is still held to the rate of the uplink.
"""

from __future__ import annotations

from collections.abc import Hashable

from gateway.hub.acts import SILENCE
from gateway.hub.holding import SET_OUTPUT
from gateway.hub.writes import WRITE_POINT
from gateway.model import Command
from gateway.pace import Pace

ISSUER_PER_S, ISSUER_BURST = 1.0, 10.0
THING_PER_S, THING_BURST = 0.1, 5.0
TOLD_PER_S, TOLD_BURST = 1 / 60, 5.0
MOST = 256

_APART = frozenset({SET_OUTPUT, "confirm"})  # by what they are about alone
_THINGS = ("alarm", "output", "device", "point", "response", "zone")


class Paces:
    """An allowance for each key; the MOST that were used last are remembered."""

    def __init__(self, per_s: float, burst: float) -> None:
        self._per_s, self._burst = per_s, burst
        self._paces: dict[Hashable, Pace] = {}

    def allows(self, key: Hashable, now: float) -> bool:
        """Whether there is something left for `key` at the monotonic time `now`."""
        pace = self._paces.pop(key, None) or Pace(self._per_s, self._burst)
        self._paces[key] = pace  # the latest
        if len(self._paces) > MOST:
            del self._paces[next(iter(self._paces))]
        return pace.allows(now)

    def spend(self, key: Hashable) -> None:
        """Take one of what `allows` was asked about before."""
        self._paces[key].spend(1)


class Limits:
    """Owned by the hub alone."""

    def __init__(self) -> None:
        self._issuers = Paces(ISSUER_PER_S, ISSUER_BURST)
        self._things = Paces(THING_PER_S, THING_BURST)

    def refusal(self, command: Command, now: float) -> str:
        """Why the command comes too soon at the monotonic time `now`; "" if it does not, and then it counts."""
        if command.name == SILENCE or (command.name == SET_OUTPUT and command.args.get("value") != "on"):
            return ""
        local = command.source == "local"
        if local and command.name != WRITE_POINT:
            return ""
        issuer, thing = (command.source, command.issuer), thing_of(command)
        counts = not local and command.name not in _APART
        if counts and not self._issuers.allows(issuer, now):
            return f"too many commands by {command.issuer}: {ISSUER_PER_S:g} a second"
        if thing and not self._things.allows(thing, now):
            return f"too many commands about {'.'.join(thing)}: one in {1 / THING_PER_S:g} seconds"
        if counts:
            self._issuers.spend(issuer)
        if thing:
            self._things.spend(thing)
        return ""


class Told:
    """Which refusals are told one by one, by where they come from and their kind. Owned by the hub alone."""

    def __init__(self) -> None:
        self._paces = Paces(TOLD_PER_S, TOLD_BURST)
        self._untold: dict[tuple[str, str], int] = {}
        self.count = 0  # that were not told, in all

    def worth(self, source: str, kind: str, now: float) -> int | None:
        """How many were not told before this one, which is; None if this one is not told either."""
        key = (source, kind)
        if source == "local":
            return 0
        if not self._paces.allows(key, now):
            self.count += 1
            self._untold[key] = self._untold.get(key, 0) + 1
            return None
        self._paces.spend(key)
        return self._untold.pop(key, 0)


def thing_of(command: Command) -> tuple[str, ...]:
    """What a command is about, as far as it names that."""
    named = (command.args.get(name) for name in _THINGS)
    return tuple(name[:70] for name in named if isinstance(name, str))
