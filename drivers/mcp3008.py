"""MCP3008: eight analogue inputs on the header's SPI bus, for gas elements, 4-20 mA transmitters, supervised loops.

    input          what is said of it                                    its point
    a level        nothing                                               % of the reference voltage: an indication only
    a transmitter  kind, scale [[volts, value], [volts, value]], valid   a number in the unit of the kind
    a loop         kind smoke, contact or door; normal, alarm            its two words; else a fault: open or shorted

A measurement is 10 bits: volts = reference x count / 1023. Each channel is asked three times; the middle one counts.
Beyond `valid` the transmitter or its wire is broken: below 3.6 mA on a 4-20 mA loop, as NAMUR NE 43 has it.
A loop with a resistor at its end is supervised: normal and alarm are ranges of volts, and what is in neither of them is
a cut wire, a short, a head that was taken off. Choose them with a margin of 50 mV and more around what is measured.

Source: the MCP3008 data sheet, through gpiozero's MCP3008; counts and volts against computed vectors.

Not known: whether there is a chip at all: without one all channels say 0, or 1023. An MQ-2 on such an input is no smoke
detector: it is heated, drifts with temperature and humidity, and says "level", an indication, never "smoke".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from gateway.driver import Converters, Doc, Family, PinUse, Polled, point
from gateway.model import Bad, Point, Reason, Value, Values
from gateway.units import KINDS, STATE_WORDS, Form

MOST = 1023
_SHARED = (9, 10, 11)  # MISO, MOSI and clock of the header's SPI bus
_TIMES = 3
_LOOPS = frozenset({"smoke", "contact", "door"})

Range = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Input:
    """One channel. Voltages are those at the pin of the chip."""

    channel: Annotated[int, Doc("0 to 7")]
    kind: Annotated[str, Doc("What its point measures")] = "level"
    scale: Annotated[tuple[Range, Range] | None, Doc("Two voltages with the values that they mean")] = None
    valid: Annotated[Range | None, Doc("The voltages that there are while all is well")] = None
    normal: Annotated[Range | None, Doc("Of a loop: the voltages at rest")] = None
    alarm: Annotated[Range | None, Doc("Of a loop: the voltages when it is active")] = None

    def __post_init__(self) -> None:
        """Refuse what does not fit together."""
        if not 0 <= self.channel <= 7:
            raise ValueError(f"channel: from 0 to 7, not {self.channel}")
        for name in ("valid", "normal", "alarm"):
            bounds: Range | None = getattr(self, name)
            if bounds is not None and not bounds[0] < bounds[1]:
                raise ValueError(f"{name}: the first voltage must be less than the second")
        if self.kind in _LOOPS:
            self._check_loop()
        elif self.normal is not None or self.alarm is not None:
            raise ValueError("normal: goes with alarm and a kind smoke, contact or door only")
        elif self.scale is None and self.kind not in {"level", "voltage"}:
            raise ValueError("kind: needs `scale: [[volts, value], [volts, value]]`")
        elif KINDS[self.kind].form is not Form.GAUGE:
            raise ValueError(f"kind: {self.kind} is nothing that voltages measure")
        elif self.scale is not None and self.scale[0][0] == self.scale[1][0]:
            raise ValueError("scale: needs two different voltages")

    def _check_loop(self) -> None:
        if self.normal is None or self.alarm is None:
            raise ValueError(f"kind: {self.kind} needs `normal` and `alarm`, each with two voltages")
        (a, b), (c, d) = self.normal, self.alarm
        if a < d and c < b:
            raise ValueError("alarm: must not overlap normal")

    def value(self, volts: float, reference: float) -> Value | Bad:
        """What a voltage at the pin means."""
        if self.normal is not None and self.alarm is not None:
            return self._state(volts, self.normal, self.alarm)
        if self.valid is not None and not self.valid[0] <= volts <= self.valid[1]:
            return Bad(Reason.SENSOR_FAULT)
        if self.scale is None:
            return round(volts, 4) if self.kind == "voltage" else round(100 * volts / reference, 1)
        (volts_1, value_1), (volts_2, value_2) = self.scale
        return round(value_1 + (volts - volts_1) * (value_2 - value_1) / (volts_2 - volts_1), 4)

    def _state(self, volts: float, normal: Range, alarm: Range) -> Value | Bad:
        words = STATE_WORDS[self.kind]
        if alarm[0] <= volts <= alarm[1]:
            return words[1]
        return words[0] if normal[0] <= volts <= normal[1] else Bad(Reason.SENSOR_FAULT)


@dataclass(frozen=True, slots=True)
class Mcp3008Options:
    """Where the chip is and what is on its channels."""

    inputs: Annotated[dict[str, Input], Doc("By the name of its point: what is on a channel")]
    select: Annotated[Literal[7, 8], Doc("The pin of its chip select: 8 is CE0, 7 is CE1")] = 8
    reference: Annotated[float, Doc("The voltage at its pin VREF")] = 3.3

    def __post_init__(self) -> None:
        """Refuse what cannot be measured."""
        if not 0.25 <= self.reference <= 5.5:
            raise ValueError(f"reference: from 0.25 to 5.5 V, not {self.reference:g}")
        if not self.inputs:
            raise ValueError("inputs: name one at least, as in `gas: {channel: 0}`")
        names: dict[int, str] = {}
        for name, each in self.inputs.items():
            first = names.setdefault(each.channel, name)
            if first != name:
                raise ValueError(f"inputs: {name} and {first} are both on channel {each.channel}")


class Mcp3008(Polled):
    """The inputs of one chip."""

    family: ClassVar[Family] = Family.PINS
    options: ClassVar[type[Mcp3008Options]] = Mcp3008Options
    every_default_s: ClassVar[float] = 2.0

    def __init__(self, options: Mcp3008Options) -> None:
        self._options = options

    @property
    def points(self) -> tuple[Point, ...]:
        """One for each input."""
        return tuple(point(name, each.kind) for name, each in self._options.inputs.items())

    @property
    def claims(self) -> tuple[str, ...]:
        """Its chip select; the other three wires are shared."""
        return (f"pin {self._options.select}",)

    @property
    def pins(self) -> tuple[PinUse, ...]:
        """The wires of the SPI bus."""
        return tuple(PinUse(pin, spi=True) for pin in (self._options.select, *_SHARED))

    @property
    def notes(self) -> tuple[str, ...]:
        """That a level is no measurement."""
        levels = [name for name, each in self._options.inputs.items() if each.kind == "level"]
        return (f"{', '.join(levels)}: an indication only, no measurement and no smoke detector",) if levels else ()

    def poll(self, link: Converters) -> Values:
        """All inputs; NoReply where the bus cannot be used."""
        return {name: self._measured(link, each) for name, each in self._options.inputs.items()}

    def _measured(self, link: Converters, each: Input) -> Value | Bad:
        counts = sorted(link.convert(self._options.select, each.channel) for _ in range(_TIMES))
        reference = self._options.reference
        return each.value(reference * counts[_TIMES // 2] / MOST, reference)
