"""A relay, siren or lamp on a GPIO pin.

    active   output on   output off (also when the link opens, and when the daemon stops)
    high     pin high    pin low
    low      pin low     pin high    most relay boards with optocouplers

What is reported is the level that the pin really has, which a shorted pin does not share with the level driven. Not
known: whether the relay, the siren or its supply works behind the pin.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from drivers.header_pin import on_header
from gateway.driver import Doc, Family, Output, Pins, PinUse, point
from gateway.errors import Refused
from gateway.model import Point, Value, Values
from gateway.units import STATE_WORDS


@dataclass(frozen=True, slots=True)
class RelayOptions:
    """Where the relay is and which level switches it on."""

    pin: Annotated[int, Doc("BCM number, 2 to 27")]
    active: Annotated[Literal["high", "low"], Doc("The level that switches it on")] = "high"

    def __post_init__(self) -> None:
        """Refuse what no header has."""
        on_header(pin=self.pin)


class Relay(Output):
    """One switched pin: the point `output`, "on" or "off"."""

    family: ClassVar[Family] = Family.PINS
    options: ClassVar[type[RelayOptions]] = RelayOptions
    every_default_s: ClassVar[float] = 2.0

    def __init__(self, options: RelayOptions) -> None:
        self._pin = options.pin
        self._on_is_high = options.active == "high"

    @property
    def points(self) -> tuple[Point, ...]:
        """The one output."""
        return (point("output", "output", writable=True),)

    @property
    def claims(self) -> tuple[str, ...]:
        """The pin."""
        return (f"pin {self._pin}",)

    @property
    def pins(self) -> tuple[PinUse, ...]:
        """An output that is off at first."""
        return (PinUse(self._pin, output=True, initial_high=not self._on_is_high),)

    @property
    def safe(self) -> Mapping[str, Value]:
        """Off."""
        return {"output": "off"}

    def write(self, link: Pins, point: str, value: Value) -> Values:
        """Switch the output to "on" or "off" and read the pin back; Refused for anything else."""
        if point != "output" or value not in STATE_WORDS["output"]:
            raise Refused(3, f"pin {self._pin} cannot set {point!r} to {value!r}", "its point is output: on or off")
        link.write(self._pin, (value == "on") == self._on_is_high)
        return {"output": STATE_WORDS["output"][link.read(self._pin) == self._on_is_high]}
