"""The GPIO header, or a simulated one; the only user of gpiozero.

- An edge arrives in a thread of gpiozero's, which puts it into the inbox and does nothing more.
- Debouncing is ours and alike on every machine; gpiozero's `bounce_time` is not used. A change is as old as its edge.
- Every input is read again each `every`, so that a level is never stale and an edge that was missed is made good. While
  an edge has to last yet nothing is told, so that the readings of a pin are in the order of their times.
- A pin that gives more edges than can be taken in costs neither memory nor the other pins their turn: edges beyond
  `MOST_WAITING` are dropped, and the level is read again as ever.
- An output is at its first level when the link opens and when it closes.
"""

from __future__ import annotations

import math
import sys
import time
import warnings
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

from gpiozero import (
    MCP3008,
    BadPinFactory,
    Device,
    GPIOPinInUse,
    GPIOZeroError,
    InputDevice,
    OutputDevice,
    PinFactoryFallback,
)
from gpiozero.pins.mock import MockFactory, MockPin

from gateway.config import schema
from gateway.driver import Edge, Family, Heard, Pins, PinUse, Pull
from gateway.errors import LinkDown, NoReply
from gateway.links.debounce import Change, Debounce

_SELECTS = {8: 0, 7: 1}  # the chip selects of the header's SPI bus, as the kernel numbers them
MOST_WAITING, AT_ONCE = 10_000, 1_000
"""Edges that wait to be taken in, and that are taken in before anything else is done."""

_PULL_UP = {Pull.UP: True, Pull.DOWN: False, Pull.NONE: None}


class _Edge(NamedTuple):
    pin: int
    high: bool
    mono: float


@dataclass(slots=True)
class _Input:
    device: Any  # gpiozero's InputDevice; the library is untyped
    every: float
    debounce: Debounce
    call_back: partial[None]  # gpiozero keeps only a weak reference
    read_at: float


class GpioHeader:
    """The pins that devices use, as a link. `uses`: each pin with the seconds after which it is read again."""

    def __init__(self, name: str, header: schema.GpioLink, uses: Iterable[tuple[PinUse, float]]) -> None:
        self.noise_bytes = 0
        self._name = name
        self._factory = header.factory
        self._uses = tuple(uses)
        self._inbox: SimpleQueue[_Edge | None] = SimpleQueue()
        self._inputs: dict[int, _Input] = {}
        self._outputs: dict[int, tuple[Any, bool]] = {}  # gpiozero's OutputDevice, and its first level
        self._converters: dict[tuple[int, int], Any] = {}  # gpiozero's MCP3008, by chip select and channel
        self._first: list[Heard] = []

    def open(self) -> None:
        """Claim the pins, drive the outputs to their first level and read the inputs; raises LinkDown."""
        try:
            _choose_factory(self._factory)
            for use, every in self._uses:
                if not use.spi:  # which is claimed as it is used
                    self._claim(use, every)
        except _faults() as error:
            self.close()
            raise self._unusable(error) from error

    def close(self) -> None:
        """Drive the outputs to their first level and release the pins."""
        for device, first in self._outputs.values():
            with suppress(*_faults()):
                device.value = first
                device.close()
        for each in self._inputs.values():
            with suppress(*_faults()):
                each.device.close()
        for converter in self._converters.values():
            with suppress(*_faults()):
                converter.close()
        self._converters.clear()
        self._outputs.clear()
        self._inputs.clear()
        self._first.clear()

    def offer(self, family: Family) -> Pins:
        """The claimed pins."""
        del family  # a header has nothing else
        return self

    def read(self, pin: int) -> bool:
        """Whether the pin is electrically high now; raises LinkDown."""
        each = self._inputs.get(pin)
        device = self._outputs[pin][0] if each is None else each.device
        try:
            return bool(device.pin.state)
        except _faults() as error:
            raise self._unusable(error) from error

    def write(self, pin: int, high: bool) -> None:
        """Drive the pin; raises LinkDown."""
        try:
            self._outputs[pin][0].value = high
        except _faults() as error:
            raise self._unusable(error) from error

    def convert(self, select: int, channel: int) -> int:
        """What the MCP3008 with this chip select makes of a channel, 0 to 1023.

        Raises NoReply where the bus fails: contacts and sirens on the header do not depend on it. It is opened anew.
        """
        try:
            converter = self._converters.get((select, channel))
            if converter is None:
                converter = MCP3008(channel=channel, port=0, device=_SELECTS[select])
                self._converters[select, channel] = converter
            return int(converter.raw_value)
        except _faults() as error:
            broken = self._converters.pop((select, channel), None)
            if broken is not None:
                with suppress(*_faults()):
                    broken.close()
            hint = "check its wires, and that SPI is switched on: sudo raspi-config, Interface Options, SPI"
            raise NoReply("device_failure", f"{self._name}: the SPI bus: {error}", hint) from error

    def wait(self, until: float) -> Sequence[Heard]:
        """Levels after an edge that lasted, and those read again; returns at a `wake` or at `until`."""
        if self._first:
            first, self._first = self._first, []
            return first
        while True:
            woken, heard = self._take(min(until, self._next_timer()))
            now = time.monotonic()
            heard += self._timers(now)
            heard.sort(key=_when)  # between two pins, as of light beams, the order can be the meaning
            if woken or heard or now >= until:
                return heard

    def wake(self) -> None:
        """Make `wait` return; from any thread."""
        self._inbox.put(None)

    def _claim(self, use: PinUse, every: float) -> None:
        pin = use.pin
        if use.output:
            self._outputs[pin] = (OutputDevice(pin, initial_value=use.initial_high), use.initial_high)
            return
        device = InputDevice(pin, pull_up=_PULL_UP[use.pull], active_state=True if use.pull is Pull.NONE else None)
        call_back = partial(_notice, self._inbox, pin)
        now = time.monotonic()
        each = _Input(device, every, Debounce(use.hold_s, high=False), call_back, _tick(now, every))
        self._inputs[pin] = each
        device.pin.edges = "both"
        device.pin.when_changed = call_back
        each.debounce = Debounce(use.hold_s, bool(device.pin.state))
        self._first.append(Heard(Edge(pin, each.debounce.high), now))

    def _take(self, until: float) -> tuple[bool, list[Heard]]:
        """Whether somebody woke us, and what the edges in the inbox led to; waits until then for the first."""
        woken, heard = False, list[Heard]()
        timeout_s = until - time.monotonic()
        try:
            item = self._inbox.get(timeout=timeout_s) if timeout_s > 0 else self._inbox.get_nowait()
            for left in reversed(range(AT_ONCE)):
                if item is None:
                    woken = True
                elif item.pin in self._inputs:  # an edge may be older than the last opening
                    changes = self._inputs[item.pin].debounce.edge(item.high, item.mono)
                    heard += _heard(item.pin, changes)
                if left:
                    item = self._inbox.get_nowait()
        except Empty:
            pass
        return woken, heard

    def _next_timer(self) -> float:
        return min(
            (min(each.read_at, each.debounce.due or math.inf) for each in self._inputs.values()), default=math.inf
        )

    def _timers(self, now: float) -> list[Heard]:
        """What held levels and the reading again led to."""
        heard: list[Heard] = []
        for pin, each in self._inputs.items():
            heard += _heard(pin, each.debounce.settle(now))
            if now >= each.read_at:
                each.read_at = _tick(now, each.every)
                heard += _heard(pin, each.debounce.edge(self.read(pin), now))
                heard += _seen(pin, each.debounce, now)
        return heard

    def _unusable(self, error: Exception) -> LinkDown:
        if isinstance(error, GPIOPinInUse):
            return LinkDown(f"{self._name}: {error}", "each pin belongs to one device of one program")
        hint = "check that this is a Raspberry Pi and the user is in the group gpio; `factory: mock` simulates pins"
        return LinkDown(f"{self._name}: {error}", hint)


class WiredPin(MockPin):  # type: ignore[misc]  # the library is untyped
    """A simulated pin with something wired to it, which is stronger than the pull resistor, as on a real header."""

    _wired: bool | None = None

    def wire(self, high: bool) -> None:
        """Have the wire pull the pin, an input, to this level."""
        self._wired = high
        self.drive_high() if high else self.drive_low()

    def _set_pull(self, value: str) -> None:
        super()._set_pull(value)
        if self._wired is not None:
            self._change_state(self._wired)


def mock_pin(number: int) -> WiredPin:
    """The simulated pin with this BCM number; makes gpiozero simulate, if it does not yet."""
    if getattr(Device.pin_factory, "pin_class", None) is not WiredPin:
        Device.pin_factory = MockFactory(pin_class=WiredPin)
    pin: WiredPin = Device.pin_factory.pin(number)
    return pin


def _faults() -> tuple[type[Exception], ...]:
    """What pin factories raise: errors of gpiozero, of the kernel, of RPi.GPIO and of lgpio (which has its own)."""
    own = getattr(sys.modules.get("lgpio"), "error", None)
    lgpio = (own,) if isinstance(own, type) and issubclass(own, Exception) else ()
    return (GPIOZeroError, OSError, RuntimeError, *lgpio)


def _notice(inbox: SimpleQueue[_Edge | None], pin: int, ticks: float, state: float) -> None:
    """An edge, in gpiozero's thread. `ticks` are of another clock on each factory."""
    del ticks
    if inbox.qsize() < MOST_WAITING:
        inbox.put(_Edge(pin, bool(state), time.monotonic()))


def _when(heard: Heard) -> float:
    return heard.mono


def _heard(pin: int, changes: Iterable[Change]) -> list[Heard]:
    return [Heard(Edge(pin, change.high), change.mono) for change in changes]


def _seen(pin: int, debounce: Debounce, now: float) -> list[Heard]:
    """What can be told of the present."""
    if debounce.chatters(now):
        return [Heard(Edge(pin, debounce.high, chatters=True), now)]
    return [Heard(Edge(pin, debounce.high), now)] if debounce.due is None else []


def _tick(now: float, every: float) -> float:
    """The next multiple of `every`: pins of one interval are read again together."""
    return (math.floor(now / every) + 1) * every


def _choose_factory(wanted: str) -> None:
    """Make gpiozero use real pins, or simulated ones unless somebody simulates already; raises BadPinFactory."""
    if wanted == "mock":
        if not isinstance(Device.pin_factory, MockFactory):
            Device.pin_factory = MockFactory(pin_class=WiredPin)
        return
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", PinFactoryFallback)
        try:
            Device.ensure_pin_factory()
        except (BadPinFactory, ImportError) as error:
            tried = [str(each.message).removeprefix("Falling back from ") for each in caught] or [str(error)]
            raise BadPinFactory(f"no usable GPIO on this machine ({'; '.join(tried)})") from error
