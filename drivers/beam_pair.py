"""Two light beams across a door, each a receiver's contact on a GPIO pin: people who go in and who go out.

    pull   contact closed   contact open        wired between the pin and
    up     pin low          pin high            ground
    none   pin low          pin high            ground, with a resistor of its own to 3.3 V
    down   pin high         pin low             3.3 V

    normally           beam free    beam broken, receiver without power, wire cut
    closed (default)   closed       open
    open               open         closed (a cut wire looks like "nobody" for ever)

Mount both beams at the height of the hip, 5 to 15 cm apart, `outer` on the side from which people come in: a body then
breaks both at once, one after the other (gateway/derive/beams.py tells what counts). A light barrier whose output is at
12 or 24 V needs an opto-coupler or a relay between it and the pin.

Integrity: the order of the beams, and times. A beam that is broken for `blocked` or flutters is a fault, and the counts
are bad meanwhile: nobody knows who passes.

Source: the truth tables above. Not known, because no two beams can tell: people side by side, and people of whom the
next breaks a beam before the one before has left it, count as one. What passes while the gateway is off is not counted.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import tzinfo
from typing import Annotated, ClassVar, Literal

from drivers.header_pin import on_header
from gateway.derive.beams import Beams, Passage, Timing
from gateway.derive.doors import counting, made
from gateway.derive.totals import Totals
from gateway.driver import Doc, Edge, Family, Heard, PinUse, Pull, Pushed, Seconds, point
from gateway.model import Bad, Point, Reason, Values
from gateway.units import STATE_WORDS

_KINDS = ("passages_in", "passages_out")


@dataclass(frozen=True, slots=True)
class BeamPairOptions:
    """Where the beams are and how they are wired."""

    outer: Annotated[int, Doc("BCM number of the beam that is broken first by who comes in, 2 to 27")]
    inner: Annotated[int, Doc("BCM number of the other beam, 2 to 27")]
    pull: Annotated[Literal["up", "down", "none"], Doc("The resistor that the pins are tied with")] = "up"
    normally: Annotated[Literal["open", "closed"], Doc("The circuit while a beam is free")] = "closed"
    hold: Annotated[Seconds, Doc("How long a beam must be broken, or free, to count")] = 0.03
    gap: Annotated[Seconds, Doc("What passes sooner behind a person, the same way, is none")] = 0.25
    blocked: Annotated[Seconds, Doc("A beam that is broken for so long is a fault")] = 30.0

    def __post_init__(self) -> None:
        """Refuse what no header has, and times in which nobody is seen."""
        on_header(outer=self.outer, inner=self.inner)
        if self.outer == self.inner:
            raise ValueError(f"inner: each beam has a pin of its own, and {self.outer} is the outer one's")
        if not 0 <= self.hold <= 0.1:
            raise ValueError(f"hold: from 0s to 100ms, not {self.hold}s; who walks breaks a beam for some 200 ms")
        if not 0 <= self.gap <= 2:
            raise ValueError(f"gap: from 0s to 2s, not {self.gap}s")
        if not 2 <= self.blocked <= 3600:
            raise ValueError(f"blocked: from 2s to 1h, not {self.blocked}s")


class BeamPair(Pushed):
    """The two beams of one door; its counts begin at 0 with each start, their totals do not."""

    family: ClassVar[Family] = Family.PINS
    options: ClassVar[type[BeamPairOptions]] = BeamPairOptions
    every_default_s: ClassVar[float] = 5.0

    def __init__(self, options: BeamPairOptions) -> None:
        self._options = options
        closed_when_high = options.pull == "down"
        self._high_when_free = closed_when_high == (options.normally == "closed")
        self._counted = dict.fromkeys((Passage.IN, Passage.OUT), 0)
        self._flutters: set[int] = set()
        self.opened()

    @property
    def points(self) -> tuple[Point, ...]:
        """Passages each way, what follows from them, and whether the beams are in order."""
        counts = tuple(point(kind, kind) for kind in _KINDS)
        derived = tuple(point(name, kind) for name, kind in made((counting(it, it), it) for it in _KINDS))
        return (*counts, *derived, point("beams", "fault"))

    @property
    def claims(self) -> tuple[str, ...]:
        """The pins."""
        return tuple(f"pin {use.pin}" for use in self.pins)

    @property
    def pins(self) -> tuple[PinUse, ...]:
        """Two inputs, tied as the options say."""
        said = self._options
        return tuple(PinUse(pin, pull=Pull(said.pull), hold_s=said.hold) for pin in (said.outer, said.inner))

    def derivation(self, timezone: tzinfo) -> Totals:
        """Totals and flow each way."""
        del timezone
        return Totals([counting(kind, kind) for kind in _KINDS])

    def opened(self) -> None:
        """Who is between the beams now was not seen coming."""
        self._beams = Beams(Timing(self._options.gap, self._options.blocked))
        self._levels: dict[int, bool] = {}

    def hear(self, heard: Heard) -> Iterable[Values]:
        """The counts after each passage, after each change of the fault, and when the inner beam is read again."""
        edge = heard.data
        if not isinstance(edge, Edge) or edge.pin not in (self._options.outer, self._options.inner):
            return ()
        was_faulty, known, before = self._faulty, len(self._levels), self._levels.get(edge.pin)
        self._levels[edge.pin] = edge.high
        (self._flutters.add if edge.chatters else self._flutters.discard)(edge.pin)
        broken = edge.high is not self._high_when_free
        passage = self._beams.feed(edge.pin == self._options.outer, broken, heard.mono)
        passed = passage in self._counted and not self._faulty
        if passage is not None and passed:
            self._counted[passage] += 1
        begins = known < len(self._levels) == 2
        read_again = before is edge.high and edge.pin == self._options.inner
        return (self._values(),) if passed or begins or read_again or was_faulty is not self._faulty else ()

    @property
    def _faulty(self) -> bool:
        return self._beams.blocked or bool(self._flutters)

    def _values(self) -> Values:
        word = STATE_WORDS["fault"][self._faulty]
        if self._faulty:
            return {**dict.fromkeys(_KINDS, Bad(Reason.SENSOR_FAULT)), "beams": word}
        return {"passages_in": self._counted[Passage.IN], "passages_out": self._counted[Passage.OUT], "beams": word}
