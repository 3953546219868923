"""The wires on the GPIO header: smoke detector contacts that open and close, and an eye on the siren's relay.

A detector's contact is normally closed and pulls its pin to ground; an alarm, or a cut wire, lets the pull-up win.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import NamedTuple, Protocol

from gateway.demo.wiring import Wiring

_LOOK_EVERY_S = 0.005
_GIVE_UP_S = 2.0
_STRIDE_S = 0.1  # from one beam to the next, and through each


class Level(Protocol):
    """A level that a simulated pin took, and the seconds it had the one before."""

    @property
    def timestamp(self) -> float:
        """Seconds since the change before."""

    @property
    def state(self) -> bool:
        """High or low."""


class MockPin(Protocol):
    """A simulated pin of the GPIO header, as gateway/links/gpio.py makes it."""

    @property
    def state(self) -> bool:
        """The electrical level now."""

    @property
    def states(self) -> Sequence[Level]:
        """The levels since `clear_states`."""

    def clear_states(self) -> None:
        """Begin a new list of levels, and a new stopwatch."""

    def wire(self, high: bool) -> None:
        """Have the wire pull the pin, an input, to this level."""


class SirenAnswered(NamedTuple):
    """The siren's relay switched on so many seconds after a smoke contact opened; None: it did not within 2 s."""

    device: str
    after_s: float | None


class PinsField:
    """The contacts by device, each with its level at rest, and the siren's pin. Lives on the wiring's thread."""

    def __init__(
        self,
        wiring: Wiring,
        contacts: Mapping[str, tuple[MockPin, bool]],
        beams: Mapping[str, tuple[MockPin, MockPin]],
        siren: MockPin | None,
        seen: Callable[[SirenAnswered], None],
    ) -> None:
        self._wiring = wiring
        self._contacts = contacts
        self._beams = beams
        self._siren = siren
        self._seen = seen

    def rest(self) -> None:
        """All contacts as they are while all is well: no smoke, no cut wire, doors closed."""
        for pin, rest_high in self._contacts.values():
            pin.wire(high=rest_high)
        for pin in chain.from_iterable(self._beams.values()):
            pin.wire(high=False)

    def walk(self, device: str, inward: bool) -> None:
        """Somebody breaks one beam, both, then only the other, and has passed."""
        outer, inner = self._beams[device]
        first, second = (outer, inner) if inward else (inner, outer)
        now = time.monotonic()
        for step, (pin, broken) in enumerate(((first, True), (second, True), (first, False), (second, False))):
            self._wiring.at(now + step * _STRIDE_S, partial(pin.wire, broken))

    def switch(self, device: str, active: bool) -> None:
        """The contact of `device` is no more at rest, or is again."""
        pin, rest_high = self._contacts[device]
        pin.wire(high=rest_high != active)

    def smoke(self, device: str, alarm: bool) -> None:
        """Smoke at `device`: time the siren if it is off; or no smoke any more."""
        siren = self._siren
        if alarm and siren is not None and not siren.state:
            siren.clear_states()
            self._look(siren, device, time.monotonic() + _GIVE_UP_S)
        self.switch(device, alarm)

    def _look(self, siren: MockPin, device: str, until: float) -> None:
        """Look again and again whether the siren is on; the pin itself has noted when it switched."""
        now = time.monotonic()
        if siren.state:
            self._seen(SirenAnswered(device, siren.states[1].timestamp))
        elif now >= until:
            self._seen(SirenAnswered(device, None))
        else:
            self._wiring.at(now + _LOOK_EVERY_S, lambda: self._look(siren, device, until))
