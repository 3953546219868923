"""A changeover contact on two GPIO pins: one of its circuits is closed at rest, the other while it is active.

    rest      active    it is              as a detector's relay with three terminals (normally closed, common, normally
    closed    open      at rest            open), or the two limit switches of a gate
    open      closed    active
    open      open      between the two: as it moves, for up to `travel`; after that a fault: a wire is cut
    closed    closed    a fault, after `travel`: a wire is shorted

    pull   circuit closed   circuit open    wired between the pin and
    up     pin low          pin high        ground
    none   pin low          pin high        ground, with a resistor of its own to 3.3 V
    down   pin high         pin low         3.3 V

    kind      at rest   active
    smoke     normal    alarm
    contact   off       on
    door      closed    open, and open as well while it moves

A door also has `openings`, `open_time` and `open_for` (gateway/derive/openings.py). What one contact cannot tell, two
can: a cut wire and a shorted one are no state at all, whichever it would have been. A change is as old as the edge
after which both circuits say the same.

Not known: a fault that leaves one circuit closed and the other open, as a contact that is welded.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import tzinfo
from typing import Annotated, ClassVar, Literal

from drivers.header_pin import on_header
from gateway.derive.openings import POINTS, Openings
from gateway.driver import Doc, Edge, Family, Heard, PinUse, Pull, Pushed, Seconds, point
from gateway.model import Bad, Point, Reason, Value, Values
from gateway.units import STATE_WORDS


@dataclass(frozen=True, slots=True)
class ChangeoverOptions:
    """Where its two circuits are and what it means."""

    rest: Annotated[int, Doc("BCM number, 2 to 27: the circuit that is closed at rest")]
    active: Annotated[int, Doc("BCM number, 2 to 27: the circuit that is closed while it is active")]
    kind: Annotated[Literal["contact", "smoke", "door"], Doc("What it tells of")] = "contact"
    pull: Annotated[Literal["up", "down", "none"], Doc("The resistor that both pins are tied with")] = "up"
    hold: Annotated[Seconds, Doc("How long a change must last to count")] = 0.02
    travel: Annotated[Seconds, Doc("How long it may take from the one to the other")] = 1.0

    def __post_init__(self) -> None:
        """Refuse what no header has, and a travel that would pass for silence."""
        on_header(rest=self.rest, active=self.active)
        if self.rest == self.active:
            raise ValueError("active: must be another pin than rest")
        if not 0 <= self.hold <= 10:
            raise ValueError(f"hold: from 0s to 10s, not {self.hold}s")
        most = 120 if self.kind == "door" else 5
        if not 0 <= self.travel <= most:
            raise ValueError(f"travel: from 0s to {most}s for a {self.kind}, not {self.travel}s")


class Changeover(Pushed):
    """One contact with two circuits; its point is named after its kind."""

    family: ClassVar[Family] = Family.PINS
    options: ClassVar[type[ChangeoverOptions]] = ChangeoverOptions
    every_default_s: ClassVar[float] = 2.0

    def __init__(self, options: ChangeoverOptions) -> None:
        self._options = options
        self._high_when_closed = options.pull == "down"
        self.opened()

    @property
    def points(self) -> tuple[Point, ...]:
        """The contact, and of a door what follows from its openings."""
        kind = self._options.kind
        counts = POINTS if kind == "door" else ()
        return (point(kind, kind), *(point(name, name) for name in counts))

    @property
    def claims(self) -> tuple[str, ...]:
        """The pins."""
        return tuple(f"pin {use.pin}" for use in self.pins)

    @property
    def pins(self) -> tuple[PinUse, ...]:
        """Two inputs, tied as the options say."""
        said = self._options
        return tuple(PinUse(pin, pull=Pull(said.pull), hold_s=said.hold) for pin in (said.rest, said.active))

    def derivation(self, timezone: tzinfo) -> Openings | None:
        """The openings of a door."""
        del timezone
        return Openings() if self._options.kind == "door" else None

    def opened(self) -> None:
        """How its pins were before is not known to hold."""
        self._closed: dict[int, bool] = {}
        self._chatter: set[int] = set()
        self._odd_since: float | None = None  # since when both circuits say the same

    def hear(self, heard: Heard) -> Iterable[Values]:
        """What both circuits mean, at each change and each time that they are read again."""
        edge, said = heard.data, self._options
        if not isinstance(edge, Edge) or edge.pin not in (said.rest, said.active):
            return ()
        closed = edge.high is self._high_when_closed
        is_news = self._closed.get(edge.pin) is not closed
        self._closed[edge.pin] = closed
        (self._chatter.add if edge.chatters else self._chatter.discard)(edge.pin)
        if len(self._closed) < 2 or not (is_news or edge.pin == said.active):
            return ()
        value = self._value(heard.mono)
        return () if value is None else ({said.kind: value},)

    def _value(self, mono: float) -> Value | Bad | None:
        """What is known by now; None: it moves."""
        at_rest, active = self._closed[self._options.rest], self._closed[self._options.active]
        words = STATE_WORDS[self._options.kind]
        if at_rest is not active:
            self._odd_since = None
            return Bad(Reason.SENSOR_FAULT) if self._chatter else words[active]
        if self._odd_since is None:
            self._odd_since = mono
        if self._chatter or mono - self._odd_since >= self._options.travel:
            return Bad(Reason.SENSOR_FAULT)
        return words[1] if self._options.kind == "door" and not active else None
