"""A potential-free contact on a GPIO pin: a smoke detector's relay, a door contact, anything that opens or closes.

    pull   contact closed   contact open        wired between the pin and
    up     pin low          pin high            ground
    none   pin low          pin high            ground, with a resistor of its own to 3.3 V
    down   pin high         pin low             3.3 V

    kind      normally (default)   as it is normally   otherwise
    smoke     open                 normal              alarm
    contact   open                 off                 on
    door      closed               closed              open

A door also has `openings`, `open_time` and `open_for`: how often it was opened, for how long in all, and for how long
now (gateway/derive/openings.py).

A detector base with four wires has a second relay for its faults: `fault_pin`, closed while all is well unless
`fault_normally: open`. Its point is then `alarm` if it signals, else `fault` while that relay says so.

`normally` is the state of the loop while all is well. Choose `closed` for smoke where the detector offers it: then a
cut wire is an alarm. With `open` a cut wire looks like "no smoke" for ever.

There is nothing to check a level against; a change that does not last for `hold` is not reported, one that does is as
old as its edge. An input with 40 edges within 2 s, as one that floats or has a loose wire, is a fault until it has been
calm for 1 s. Not known: a shorted or cut wire from a contact at rest (that takes an end-of-line resistor and an
analogue input).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import tzinfo
from typing import Annotated, ClassVar, Literal

from drivers.header_pin import on_header
from gateway.derive.openings import POINTS, Openings
from gateway.driver import Doc, Edge, Family, Heard, PinUse, Pull, Pushed, Seconds, point
from gateway.model import Bad, Point, Reason, Values
from gateway.units import STATE_WORDS


@dataclass(frozen=True, slots=True)
class ContactOptions:
    """Where the contact is and what it means."""

    pin: Annotated[int, Doc("BCM number, 2 to 27")]
    kind: Annotated[Literal["contact", "smoke", "door"], Doc("What its closing or opening means")] = "contact"
    pull: Annotated[Literal["up", "down", "none"], Doc("The resistor that the pin is tied with")] = "up"
    normally: Annotated[
        Literal["open", "closed"] | None, Doc("The circuit at rest; left out: closed for a door, else open")
    ] = None
    hold: Annotated[Seconds, Doc("How long a change must last to count")] = 0.02
    fault_pin: Annotated[int | None, Doc("BCM number, with kind smoke: the detector's own fault contact")] = None
    fault_normally: Annotated[
        Literal["open", "closed"], Doc("The circuit of the fault contact while the detector is in order")
    ] = "closed"

    def __post_init__(self) -> None:
        """Refuse what no header has."""
        on_header(pin=self.pin)
        if not 0 <= self.hold <= 10:
            raise ValueError(f"hold: from 0s to 10s, not {self.hold}s")
        if self.fault_pin is not None and self.kind != "smoke":
            raise ValueError(f"fault_pin: is of smoke detectors; leave it out with kind {self.kind}")
        on_header(fault_pin=self.fault_pin)
        if self.fault_pin == self.pin:
            raise ValueError("fault_pin: must be another pin than pin")


class Contact(Pushed):
    """One contact; its point is named after its kind."""

    family: ClassVar[Family] = Family.PINS
    options: ClassVar[type[ContactOptions]] = ContactOptions
    every_default_s: ClassVar[float] = 2.0

    def __init__(self, options: ContactOptions) -> None:
        self._options = options
        closed_when_high = options.pull == "down"
        normally_closed = (options.normally or ("closed" if options.kind == "door" else "open")) == "closed"
        self._high_at_rest = closed_when_high == normally_closed
        self._fault_high_at_rest = closed_when_high == (options.fault_normally == "closed")
        self._word, self._faulty = "", False  # what the two contacts said last; nothing yet

    @property
    def points(self) -> tuple[Point, ...]:
        """The one contact, and of a door what follows from its openings."""
        kind = self._options.kind
        counts = POINTS if kind == "door" else ()
        return (point(kind, kind), *(point(name, name) for name in counts))

    @property
    def claims(self) -> tuple[str, ...]:
        """The pin, or both."""
        return tuple(f"pin {use.pin}" for use in self.pins)

    @property
    def pins(self) -> tuple[PinUse, ...]:
        """An input, tied as the options say."""
        options = self._options
        pins = (options.pin,) if options.fault_pin is None else (options.pin, options.fault_pin)
        return tuple(PinUse(pin, pull=Pull(options.pull), hold_s=options.hold) for pin in pins)

    def derivation(self, timezone: tzinfo) -> Openings | None:
        """The openings of a door."""
        del timezone
        return Openings() if self._options.kind == "door" else None

    def hear(self, heard: Heard) -> Iterable[Values]:
        """The state that the level means, a fault if it chatters; nothing for other pins."""
        edge, kind = heard.data, self._options.kind
        if isinstance(edge, Edge) and edge.pin == self._options.fault_pin:
            return self._fault_heard(edge)
        if not isinstance(edge, Edge) or edge.pin != self._options.pin:
            return ()
        if edge.chatters:
            self._word = ""
            return ({kind: Bad(Reason.SENSOR_FAULT)},)
        self._word = STATE_WORDS[kind][edge.high != self._high_at_rest]
        return ({kind: self._told},)

    def opened(self) -> None:
        """What the contacts said before does not count."""
        self._word, self._faulty = "", False

    @property
    def _told(self) -> str:
        return "fault" if self._faulty and self._word != STATE_WORDS["smoke"][1] else self._word

    def _fault_heard(self, edge: Edge) -> Iterable[Values]:
        """What the fault contact makes of the detector; nothing where it is not known yet whether that signals."""
        self._faulty = edge.chatters or edge.high != self._fault_high_at_rest
        return ({"smoke": self._told},) if self._word or self._faulty else ()
