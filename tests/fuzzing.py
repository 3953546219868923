"""Everything that decodes what comes from outside, fed with what nobody meant. `./dev bench fuzz` runs it at length.

Drivers are found by the registry: a new one is fed as its family and its captures say, and one of a family that is not
known here is an error. A seed and a decoder's name give the same inputs again.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC
from itertools import chain
from math import isfinite
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from fuzz_inputs import SEALS, Seal, chunk, damaged, thing
from modbus_responder import crc
from test_drivers import CAPTURES, OPTIONS, built, capture_of

import drivers
from gateway.config.installed import read_config
from gateway.derive.derivation import Derivation
from gateway.driver import Derived, Driver, Edge, Family, Heard, Polled, Pushed, Space, Table
from gateway.errors import LinkDown, NoReply, Refused, SitewardenError
from gateway.links.capture import Received, Text
from gateway.links.framing import Read, RtuAnswer, TcpAnswer
from gateway.links.port import Pace
from gateway.links.refusal import accepted
from gateway.links.request import Request, Requests, whole
from gateway.model import Bad, Moment, Point, Reading, Reason, Trust, Values
from gateway.units import KINDS, Form
from gateway.untrusted import parsed

TOP = Path(__file__).parent.parent
MOST_KEPT = 65_536
"""Bytes of memory that a decoder may take beyond what it takes when it is new."""
MOST_COUNT = 2**53
LOOK_EVERY = 5_000
PAUSES_S = (0.0, 0.0, 0.0005, 0.02, 0.3, 2.0, 60.0)

Feed = Callable[[Random], None]


class Decoder(NamedTuple):
    """One thing that is fed: `feed` gives it one input; `kept` is what it is made of, whose memory is looked at."""

    name: str
    feed: Feed
    kept: object


class Outcome(NamedTuple):
    """What came of feeding one decoder: `fault` says what must not be, "" if nothing was."""

    name: str
    inputs: int
    seconds: float
    most_kept: int
    fault: str = ""


def fed(decoder: Decoder, inputs: int, seed: int) -> Outcome:
    """So many inputs for one decoder, up to the first that it does not stand."""
    chance = Random(f"{seed}/{decoder.name}")
    new, most, number, fault = held(decoder.kept), 0, 0, ""
    began = time.perf_counter()
    for number in range(1, inputs + 1):
        try:
            decoder.feed(chance)
        except Exception as error:  # noqa: BLE001 - that is what is looked for
            fault = f"{type(error).__name__}: {error}"
        if number % LOOK_EVERY == 0 or number == inputs:
            most = max(most, held(decoder.kept) - new)
            if most > MOST_KEPT:
                fault = f"it keeps {most} bytes more than when it was new"
        if fault:
            fault = f"input {number} of seed {seed}: {fault}"
            break
    return Outcome(decoder.name, number, time.perf_counter() - began, most, fault)


def held(thing: object) -> int:
    """The memory that something and its parts take, in bytes."""
    seen: set[int] = set()
    parts, total = [thing], 0
    while parts:
        part = parts.pop()
        if id(part) in seen or isinstance(part, type) or callable(part):
            continue
        seen.add(id(part))
        total += sys.getsizeof(part)
        if isinstance(part, Mapping):
            parts += [*part, *part.values()]
        elif isinstance(part, list | tuple | set | frozenset):
            parts += part
        elif not isinstance(part, str | bytes | int | float | None):
            slots = chain.from_iterable(getattr(kind, "__slots__", ()) for kind in type(part).__mro__)
            parts += [*getattr(part, "__dict__", {}).values(), *(getattr(part, it, None) for it in slots)]
    return total


def decoders() -> dict[str, tuple[Decoder, ...]]:
    """All there are, by driver or what else they belong to."""
    found = {name: tuple(_of_driver(name)) for name in drivers.OURS}
    found["derived points"] = tuple(_examples())
    found["modbus frames"] = (_frames("rtu"), _frames("tcp"))
    found["commands"] = (Decoder("commands", _command, None),)
    return {name: each for name, each in found.items() if each}


def decodes_nothing(name: str) -> bool:
    """Whether nothing comes to a driver from outside: it is made of other devices, or is switched and not read."""
    known = drivers.find(name)
    return issubclass(known, Derived) or not issubclass(known, Polled | Pushed)


# ---------------------------------------------------------------- drivers


def _of_driver(name: str) -> Iterator[Decoder]:
    """A driver with each of the options that its captures have, and what follows from its readings."""
    if decodes_nothing(name):
        return
    written = [json.dumps(OPTIONS.get(name, {}))]
    captures = [capture_of(path) for path in CAPTURES if path.parent.name == name]
    for options in dict.fromkeys([*written, *(capture.header["options"] for capture in captures)]):
        driver = built(name, json.loads(options))
        items = [item for capture in captures for item in capture.items]
        label = f"{name} {options}"
        yield Decoder(label, checked(driver, _feeding(name, driver, items)), driver)
        derivation = driver.derivation(UTC)
        if derivation is not None:
            yield Decoder(f"{label}, derived", _derived({"device": driver.points}, derivation), derivation)


def _feeding(name: str, driver: Driver, items: Sequence[object]) -> Callable[[Random], Sequence[Values]]:
    """What gives a driver one input."""
    if isinstance(driver, Pushed) and driver.family is Family.STREAM:
        samples = [item.data for item in items if isinstance(item, Received)]
        return _Talk(driver, lambda chance: chunk(chance, samples, SEALS.get(name, ())))
    if isinstance(driver, Pushed) and driver.family is Family.PINS:
        pins = [use.pin for use in driver.pins]
        return _Talk(driver, lambda chance: Edge(chance.choice(pins), chance.random() < 0.5))
    if isinstance(driver, Polled):
        texts = [(item.text or "").encode() for item in items if isinstance(item, Text)] or [b"1"]
        seals = SEALS.get(name, ())
        return lambda chance: _polled(driver, _Anything(chance, texts, seals))
    raise AssertionError(f"nobody knows how to feed {name}, of the family {driver.family}")


class _Talk:
    """A device that talks by itself: chunks with pauses between, and the link opened anew at times."""

    def __init__(self, driver: Pushed, said: Callable[[Random], bytes | Edge]) -> None:
        self._driver = driver
        self._said = said
        self._mono = 0.0

    def __call__(self, chance: Random) -> Sequence[Values]:
        self._mono += chance.choice(PAUSES_S)
        if chance.random() < 0.001:
            self._driver.opened()
        return list(self._driver.hear(Heard(self._said(chance), self._mono)))


class _Anything:
    """A link of any family behind which anything may be answered, or nothing."""

    def __init__(self, chance: Random, texts: Sequence[bytes], seals: Sequence[Seal]) -> None:
        self._chance = chance
        self._texts = texts
        self._seals = seals

    def read(self, *asked: Any) -> Any:
        """Registers or bits of a unit, the text of a file, or the level of a pin."""
        self._fail()
        if len(asked) == 4:
            _, table, _, count = asked
            bits = table in (Table.COIL, Table.DISCRETE)
            data = self._chance.randbytes(2 * count)
            if self._chance.random() < 0.2:
                data = self._chance.choice((b"\0", b"\xff", b"\x7f\xff", b"\x80\0")) * 2 * count
            return [byte & 1 for byte in data[:count]] if bits else _words(data[: 2 * count])
        if isinstance(asked[0], str):
            return chunk(self._chance, self._texts, self._seals).decode("ascii", "replace")
        return self._chance.random() < 0.5

    def names(self, path: str) -> tuple[str, ...]:
        return tuple(f"{path[-1:]}{number}" for number in range(int(self._chance.random() * 4)))

    def space(self, path: str) -> Space:
        self._fail()
        del path
        return Space(self._chance.randrange(2**42), self._chance.randrange(2**42))

    def convert(self, select: int, channel: int) -> int:
        self._fail()
        return (self._chance.randrange(1024) + select + channel) % 1024

    def _fail(self) -> None:
        what = self._chance.random()
        if what < 0.05:
            raise NoReply("silent", "nothing came")
        if what < 0.08:
            raise Refused(2, "there is no such register")
        if what < 0.081:
            raise LinkDown("gone")


def _words(data: bytes) -> list[int]:
    return [int.from_bytes(data[at : at + 2]) for at in range(0, len(data), 2)]


def _polled(driver: Polled, link: _Anything) -> Sequence[Values]:
    try:
        return (driver.poll(link),)
    except (NoReply, Refused, LinkDown):
        return ()


def checked(driver: Driver, feed: Callable[[Random], Sequence[Values]]) -> Feed:
    """Feed, and look at what came of it: points of the driver, in the form of their kind."""
    forms = {point.name: KINDS[point.kind].form for point in driver.points}

    def checked(chance: Random) -> None:
        for values in feed(chance):
            for name, value in values.items():
                if not isinstance(value, Bad) and not _fits(forms[name], value):
                    raise AssertionError(f"{name} is {value!r}")

    return checked


def _fits(form: Form, value: object) -> bool:
    if form in (Form.STATE, Form.TEXT):
        return isinstance(value, str)
    if form is Form.POSITION:
        return isinstance(value, tuple) and abs(value[0]) <= 90 and abs(value[1]) <= 180
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def _examples() -> Iterator[Decoder]:
    """What the devices of the example configurations derive, from their own readings or those of others."""
    for path in sorted((TOP / "config").glob("*.yaml")):
        devices = read_config(path).devices
        for name, device in devices.items():
            derivation = device.built.derivation(UTC)
            if derivation is None:
                continue
            sources = device.built.sources if isinstance(device.built, Derived) else (name,)
            points = {source: devices[source].built.points for source in sources}
            yield Decoder(f"{path.stem}: {name}", _derived(points, derivation), derivation)


def _derived(points: Mapping[str, Sequence[Point]], derivation: Derivation) -> Feed:
    """Readings of any values, stored things of any form, and time that passes."""
    clock, sources = [0.0], list(points)

    def feed(chance: Random) -> None:
        clock[0] += chance.choice(PAUSES_S)
        now = Moment(clock[0], chance.randrange(2**42), Trust.SYNCED)
        source = chance.choice(sources)
        there = [it for it in points[source] if chance.random() < 0.7]
        values: dict[str, Any] = {it.name: _value(chance, it.form) for it in there}
        bad = {it.name: Reason.NO_REPLY for it in points[source] if it.name not in values and chance.random() < 0.5}
        derivation.take(Reading(source, now.mono, now.ts, values, bad), now)
        if derivation.wake <= now.mono:
            derivation.elapse(now)
        if chance.random() < 0.02:
            stored: Any = thing(chance, 3)
            derivation.restore(stored, now)
            derivation.stored()

    return feed


def _value(chance: Random, form: Form) -> object:
    """What a driver may say of a point: mostly a place or a number that can be counted with, else anything."""
    if form is Form.POSITION:
        return chance.random() * 180 - 90, chance.random() * 360 - 180
    found = thing(chance, 0)
    too_big = isinstance(found, int | float) and abs(found) > MOST_COUNT
    return 7 if found is None or too_big else found


# ---------------------------------------------------------------- what belongs to no driver


def _frames(framing: str) -> Decoder:
    """Replies to Modbus requests: as they are, damaged, and with anything behind the right checksum."""
    requests = Requests("tcp" if framing == "tcp" else "rtu", Pace())

    def feed(chance: Random) -> None:
        count = chance.choice((1, 2, 9))
        table = chance.choice((Table.HOLDING, Table.INPUT, Table.COIL, Table.DISCRETE))
        request = requests.reading(Read(1 + int(chance.random() * 2), table, 0, count))
        answer = TcpAnswer(request.ask, 7) if framing == "tcp" else _heard(request, chance)
        size = chance.choice((request.ask.size, int(chance.random() * 12)))
        pdu = chance.choice((request.ask.head, request.ask.refusal, b"")) + chance.randbytes(size)
        body = bytes([request.ask.unit]) + pdu[:size]
        head = b"\0\x07\0\0" + len(body).to_bytes(2) if framing == "tcp" else b""
        frame = head + body + (b"" if framing == "tcp" else crc(body))
        if chance.random() < 0.4:
            frame = damaged(chance, [frame])
        try:
            found = answer.feed(frame)
            if found is not None:
                request.values(accepted(request.ask, found))
        except SitewardenError:
            pass

    return Decoder(f"modbus {framing}", feed, requests)


def _heard(request: Request, chance: Random) -> RtuAnswer:
    """What collects a reply on a line, on which the adapter may hear itself."""
    return RtuAnswer(request.ask, request.frame, whole, echo=chance.random() < 0.3)


def _command(chance: Random) -> None:
    """Commands as a platform sends them."""
    text = json.dumps(thing(chance, 3)).encode()
    with suppress(ValueError):
        parsed(damaged(chance, [text, b'{"id":"c-17","name":"resend","args":{}}']), "a command")
