"""A link's thread at work, for tests: small drivers, what its poller tells, and a link on which time is moved."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, ClassVar, TypeVar

import pytest
from modbus_responder import value_of

from gateway.clock import SystemClock
from gateway.config import schema
from gateway.driver import Driver, Family, Heard, Output, Polled, Pushed, Registers, Table, point
from gateway.links.choice import link as chosen
from gateway.links.device import LinkDevice
from gateway.links.poller import Poller
from gateway.links.port import Link
from gateway.links.schedule import Urgency
from gateway.model import Fact, Moment, Point, Reading, Reason, Trust, Value, Values

EVERY_S = 0.1
TIMEOUT_S = 0.05
DAY_S = 86_400.0
T = TypeVar("T")


@dataclass(frozen=True)
class NoOptions:
    pass


class Thermometer(Polled):
    """Two input registers of a unit, as they are."""

    family: ClassVar[Family] = Family.REGISTERS
    options: ClassVar[type[Any]] = NoOptions

    def __init__(self, unit: int) -> None:
        self.unit = unit

    @property
    def points(self) -> tuple[Point, ...]:
        return (point("temperature", "temperature"), point("humidity", "humidity"))

    @property
    def claims(self) -> tuple[str, ...]:
        return (f"unit {self.unit}",)

    @property
    def right(self) -> dict[str, int]:
        return {"temperature": value_of(self.unit, 4, 1), "humidity": value_of(self.unit, 4, 2)}

    def poll(self, link: Registers) -> Values:
        temperature, humidity = link.read(self.unit, Table.INPUT, 1, 2)
        return {"temperature": temperature, "humidity": humidity}


class Says(Thermometer):
    """A driver that does whatever it is told."""

    def __init__(self, act: Callable[[], Any]) -> None:
        super().__init__(99)
        self.act = act

    def poll(self, link: Registers) -> Values:
        del link
        answer: Values = self.act()
        return answer


class Siren(Output):
    """A coil that is switched and not read back."""

    family: ClassVar[Family] = Family.REGISTERS
    options: ClassVar[type[Any]] = NoOptions

    def __init__(self, unit: int) -> None:
        self.unit = unit

    @property
    def points(self) -> tuple[Point, ...]:
        return (point("output", "output", writable=True),)

    @property
    def claims(self) -> tuple[str, ...]:
        return (f"unit {self.unit}",)

    @property
    def safe(self) -> Mapping[str, Value]:
        return {"output": "off"}

    def write(self, link: Registers, point: str, value: Value) -> Values:
        link.write(self.unit, Table.COIL, 7, (int(value == "on"),))
        return {point: value}


class Lines(Pushed):
    """A device that says numbers, one a line."""

    family: ClassVar[Family] = Family.STREAM
    options: ClassVar[type[Any]] = NoOptions
    greeting: ClassVar[bytes] = b"START\r\n"

    def __init__(self) -> None:
        self.rest = b""

    @property
    def points(self) -> tuple[Point, ...]:
        return (point("people_in", "people_in"),)

    @property
    def claims(self) -> tuple[str, ...]:
        return ("the stream",)

    def hear(self, heard: Heard) -> Iterable[Values]:
        assert isinstance(heard.data, bytes)
        *lines, self.rest = (self.rest + heard.data).split(b"\n")
        return [{"people_in": int(line)} for line in lines]


def device(
    name: str,
    driver: Driver,
    every: float = EVERY_S,
    *,
    safety: bool = False,
    urgency: Urgency = Urgency.MEASUREMENT,
) -> LinkDevice:
    return LinkDevice(name, driver, every, Urgency.CONTACT if safety else urgency)


class Told:
    """The facts that a running poller tells, in order."""

    def __init__(self, poller_of: Callable[[Callable[[Fact], None]], Poller]) -> None:
        self.queue: SimpleQueue[Fact] = SimpleQueue()
        self.facts: list[Fact] = []
        self.poller = poller_of(self.queue.put)
        self.thread = threading.Thread(target=self.poller.run, daemon=True)

    def first(self, wanted: Callable[[Fact], bool], within_s: float = 3.0) -> Fact:
        """The next fact that is wanted."""
        until = time.monotonic() + within_s
        while True:
            try:
                fact = self.queue.get(timeout=max(0.0, until - time.monotonic()))
            except Empty:
                pytest.fail(f"not told within {within_s} s; told was {self.facts[-10:]}")
            self.facts.append(fact)
            if wanted(fact):
                return fact

    def next(self, kind: type[T], within_s: float = 3.0) -> T:
        fact = self.first(lambda it: isinstance(it, kind), within_s)
        assert isinstance(fact, kind)
        return fact

    def reading(self, name: str, within_s: float = 3.0) -> Reading:
        fact = self.first(lambda it: isinstance(it, Reading) and it.device == name, within_s)
        assert isinstance(fact, Reading)
        return fact

    def good(self, name: str) -> Reading:
        fact = self.first(lambda it: isinstance(it, Reading) and it.device == name and not it.bad)
        assert isinstance(fact, Reading)
        return fact

    def bad(self, name: str, reason: Reason) -> Reading:
        fact = self.first(lambda it: isinstance(it, Reading) and it.device == name and reason in it.bad.values())
        assert isinstance(fact, Reading)
        return fact

    def all(self) -> list[Fact]:
        while not self.queue.empty():
            self.facts.append(self.queue.get())
        return self.facts

    def stop(self) -> None:
        self.poller.stop()
        self.thread.join(3)
        assert not self.thread.is_alive()


@contextmanager
def polling(
    link: Link, *devices: LinkDevice, hold: Callable[[], bool] = lambda: False, retry_s: Sequence[float] = (0.02,)
) -> Iterator[Told]:
    told = Told(lambda tell: Poller("bus1", link, devices, SystemClock(), tell, hold, retry_s))
    told.thread.start()
    try:
        yield told
    finally:
        told.stop()


def serial_line(path: Path) -> Link:
    part = schema.SerialLink(type="serial", port=str(path), baudrate=115_200, timeout=TIMEOUT_S)
    return chosen("bus1", part, (), Path())


class Quiet:
    """A link on which nothing happens, and on which waiting takes no time: it moves the clock."""

    noise_bytes = 0

    def __init__(self, end: float = float("inf"), speech: Sequence[tuple[float, bytes]] = ()) -> None:
        self.now = 1000.0
        self.end = end
        self.speech = list(speech)
        self.done: Callable[[], None] = lambda: None

    def open(self) -> None:
        pass

    def close(self) -> None:
        pass

    def offer(self, family: Family) -> Any:
        del family
        return self

    def wake(self) -> None:
        pass

    def wait(self, until: float) -> Sequence[Heard]:
        if self.speech and self.speech[0][0] <= max(until, self.now):
            at, data = self.speech.pop(0)
            self.now = max(self.now, at)
            return (Heard(data, self.now),)
        self.now = max(self.now, min(until, self.end))
        if self.now >= self.end:
            self.done()
        return ()

    def write(self, data: bytes) -> None:
        pass

    def mono(self) -> float:
        return self.now

    def moment(self) -> Moment:
        return Moment(self.now, round(self.now * 1000), Trust.SYNCED)


class Simulated:
    """The clock of a Quiet link."""

    def __init__(self, link: Quiet) -> None:
        self.mono = link.mono
        self.now = link.moment


def simulate(link: Quiet, *devices: LinkDevice) -> list[Fact]:
    facts: list[Fact] = []
    poller = Poller("quiet", link, devices, Simulated(link), facts.append)
    link.done = poller.stop
    poller.run()
    return facts
