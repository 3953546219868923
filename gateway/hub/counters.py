"""The highest counter of each key that has signed a command: a signed command is taken once, whatever the clock says.

Stored under `counter/<key>` with the decision that the command led to, done or refused. Nothing is forgotten: of a key
that is no more in the configuration sixteen letters and a number stay.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gateway.model import Command, StateChange

_PREFIX = "counter/"


class Counters:
    """Owned and changed by the hub alone."""

    def __init__(self) -> None:
        self._highest: dict[str, int] = {}
        self.known = False  # whether it is known what earlier runs have taken

    def refusal(self, command: Command) -> str:
        """Why a signed command is not taken; "" if it may be."""
        signed = command.signed
        highest = -1 if signed is None else self._highest.get(signed.key, -1)
        if signed is None or signed.counter > highest:
            return ""
        return f"its counter is used up: {signed.counter} is not more than {highest}, the last one of this key"

    def take(self, command: Command) -> tuple[StateChange, ...]:
        """The state to store now that this one is taken."""
        if command.signed is None:
            return ()
        key, counter = command.signed
        self._highest[key] = counter
        return (StateChange(_PREFIX + key, str(counter)),)

    def restore(self, stored: Mapping[str, str]) -> Iterator[StateChange]:
        """What earlier runs have taken is merged; the state to store where this run is ahead."""
        self.known = True
        for key, text in stored.items():
            if not key.startswith(_PREFIX) or not (text.isascii() and text.isdigit() and len(text) <= 16):
                continue
            name = key.removeprefix(_PREFIX)
            mine = self._highest.get(name, -1)
            self._highest[name] = max(mine, int(text))
            if mine > int(text):
                yield StateChange(key, str(mine))
