"""Pulses on a GPIO pin: the output of a meter (S0, reed contact), each standing for so much of something.

    pull   the contact closes and     normally   a pulse begins when the contact
    up     the pin goes low           open       closes (the usual meter)
    none   the pin goes low           closed     opens
    down   the pin goes high

    point    is                                                                          kind
    pulses   those counted since the gateway was started                                 pulses
    total    start + all pulses ever x scale                                             `kind`
    rate     of the last minute: pulses/min, L/min, or W for energy                      by that

A level counts once it has lasted for `hold`, so a pulse and the pause after it have to be longer. S0 outputs (IEC
62053-31, class A) give pulses of 30 ms at least, with pauses of 30 ms at least. The count is told each `every`.

Not known: what came while the gateway was off or its machine too busy for as long as a pulse; there is nothing to check
the count against but the meter's own display. A kill costs what came since the last `every` and `commit_every`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import tzinfo
from typing import Annotated, ClassVar, Literal

from drivers.header_pin import on_header
from gateway.derive.counter import Range
from gateway.derive.metering import QUANTITIES, RATE, TOTAL, Metering, check_worth
from gateway.driver import Doc, Edge, Family, Heard, PinUse, Pull, Pushed, Seconds, point
from gateway.model import Point, Values

PULSES = "pulses"


@dataclass(frozen=True, slots=True)
class PulsesOptions:
    """Where the pulses come in, and what one is worth."""

    pin: Annotated[int, Doc("BCM number, 2 to 27")]
    kind: Annotated[Literal["pulses", "energy", "volume"], Doc("What is counted: pulses, kWh or L")] = "pulses"
    scale: Annotated[float, Doc("How much of that one pulse is, as 0.001 at 1000 pulses a kWh")] = 1.0
    start: Annotated[float, Doc("What the meter's display said when no pulse was counted yet")] = 0.0
    pull: Annotated[Literal["up", "down", "none"], Doc("The resistor that the pin is tied with")] = "up"
    normally: Annotated[Literal["open", "closed"], Doc("The contact between two pulses")] = "open"
    hold: Annotated[Seconds, Doc("How long a level must last to count; a pulse and its pause have to be longer")] = (
        0.005
    )

    def __post_init__(self) -> None:
        """Refuse what no header has, and what nothing can be worth."""
        on_header(pin=self.pin)
        if not 0 <= self.hold <= 1:
            raise ValueError(f"hold: from 0s to 1s, not {self.hold}s")
        check_worth(self.scale, self.start)


class Pulses(Pushed):
    """One pulse output."""

    family: ClassVar[Family] = Family.PINS
    options: ClassVar[type[PulsesOptions]] = PulsesOptions
    every_default_s: ClassVar[float] = 5.0

    def __init__(self, options: PulsesOptions) -> None:
        self._options = options
        self._high_in_pulse = (options.pull == "down") == (options.normally == "open")
        self._high: bool | None = None
        self._counted = 0

    @property
    def points(self) -> tuple[Point, ...]:
        """The pulses, what they stand for, and how much of that comes in a minute."""
        kind = self._options.kind
        return point(PULSES, "pulses"), point(TOTAL, kind), point(RATE, QUANTITIES[kind].rate_kind)

    @property
    def claims(self) -> tuple[str, ...]:
        """The pin."""
        return (f"pin {self._options.pin}",)

    @property
    def pins(self) -> tuple[PinUse, ...]:
        """An input, tied as the options say."""
        return (PinUse(self._options.pin, pull=Pull(self._options.pull), hold_s=self._options.hold),)

    def derivation(self, timezone: tzinfo) -> Metering:
        """The total and the rate."""
        del timezone
        said = self._options
        return Metering(PULSES, said.kind, said.scale, said.start, Range(), ours=True)

    def opened(self) -> None:
        """What the pin did meanwhile was not seen."""
        self._high = None

    def hear(self, heard: Heard) -> Iterable[Values]:
        """The count, each time that the pin is read again; a change is counted, and told then."""
        edge = heard.data
        if not isinstance(edge, Edge) or edge.pin != self._options.pin:
            return ()
        before, self._high = self._high, edge.high
        if before is None or before is edge.high:
            return ({PULSES: self._counted},)
        self._counted += edge.high is self._high_in_pulse
        return ()
