"""A scan: what answers on a port or at TCP peers, and which profiles fit it.

- Nothing is asked but what was named, and nothing is ever written: read requests alone.
- A reply that comes late never counts for another question (gateway/links/late.py). Where bytes came that were no
  reply in time, the unit is asked again with more patience: it may be slow, garbled, or two units with one id.
- `found` and the rest are right at any time, so a scan may be ended anywhere.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple, TypeAlias

from drivers.modbus_profile import Bus, Profile
from gateway.commissioning.answers import Answers
from gateway.commissioning.matching import Match, candidates
from gateway.commissioning.survey import PRESENT, Question, Settings, Sign, rounds, sign
from gateway.config.schema import SerialLink, TcpLink
from gateway.driver import Family, Registers
from gateway.errors import LinkDown, NoReply, Refused
from gateway.links.choice import link
from gateway.links.port import Link

Part: TypeAlias = SerialLink | TcpLink

_PATIENT_S = 1.0  # for a unit that has said something, if nothing useful
_PATIENT_TIMES = 3
_REQUEST = 8  # bytes of each question, which an adapter may hear itself say
_SAID = 4  # bytes; fewer are what drivers of a line make when they are switched
_SHORT_REPLY = 17  # characters of a request for one register, its reply, and two more


class Reaction(NamedTuple):
    """What a question has brought, in words where it was no answer, after how long (s)."""

    sign: Sign
    detail: str
    reply_s: float


class Garbled(NamedTuple):
    """A unit, at these settings, from which something came that was no reply, again and again."""

    where: str
    settings: Settings | None
    unit: int
    detail: str


@dataclass(frozen=True, slots=True)
class Found:
    """A unit that is there: where, how the line was set, what it did, and what it looks like, best first."""

    where: str  # the port, or host:port
    unit: int
    settings: Settings | None  # of a serial port
    reaction: Reaction
    doubled: bool  # more came than one reply to one request
    matches: tuple[Match, ...] = ()


@dataclass(slots=True)
class Results:
    """What a scan has seen so far."""

    found: list[Found] = field(default_factory=list)
    garbled: list[Garbled] = field(default_factory=list)
    unusable: dict[str, str] = field(default_factory=dict)  # peers and settings that could not be used, and why
    requests: int = 0
    ended: LinkDown | None = None  # the port went away


class Line(NamedTuple):
    """An opened wire."""

    link: Link
    registers: Registers


@dataclass(frozen=True, slots=True)
class Scope:
    """What is to be scanned: one serial port at these `settings`, or TCP peers; the units, and what they are asked."""

    parts: Sequence[Part]
    settings: Sequence[Settings]
    units: Sequence[int]
    questions: Sequence[Question]
    timeout_s: float  # for an answer, beside its time on the wire
    first: bool = False  # end with the first unit

    @property
    def requests(self) -> int:
        """How many questions there are, if nobody answers."""
        return len(self.parts) * max(1, len(self.settings)) * len(self.units) * len(self.questions)

    @property
    def estimate_s(self) -> float:
        """How long it takes if nobody answers: on a serial line, as long again for a reply that is late."""
        per_round = len(self.units) * len(self.questions)
        if not self.settings:
            return len(self.parts) * (1 + per_round) * self.timeout_s
        return sum(2 * per_round * _wait_s(it, self.timeout_s) for it in self.settings)


class Scan:
    """One scan of `scope`; `profiles` are held against every unit that is found."""

    def __init__(self, scope: Scope, profiles: Mapping[str, Profile], show: Callable[[float], None]) -> None:
        self.results = Results()
        self._scope = scope
        self._profiles = profiles
        self._show = show
        self._done = 0

    def run(self) -> None:
        """Ask everything; LinkDown where the port cannot be opened at all."""
        for part in self._scope.parts:
            if isinstance(part, SerialLink):
                self._scan_port(part)
            else:
                self._scan_peer(part)

    @property
    def over(self) -> bool:
        """Whether what was wanted has been found, or nothing more can be."""
        return self.results.ended is not None or (self._scope.first and bool(self.results.found))

    def _scan_port(self, port: SerialLink) -> None:
        with opened(port):  # what is wrong with the port itself is told at once
            pass
        for turn in rounds(self._scope.settings, self._scope.units):
            part = _set(port, turn.settings, _wait_s(turn.settings, self._scope.timeout_s))
            units = [unit for unit in turn.units if not self._is_known(unit, turn.settings)]
            self._pass((len(turn.units) - len(units)) * len(self._scope.questions))
            try:
                self._take_turn(part, turn.settings, units)
            except LinkDown as error:
                self._lose(part, turn.settings, error)
            if self.over:
                return

    def _scan_peer(self, peer: TcpLink) -> None:
        done = self._done + len(self._scope.units) * len(self._scope.questions)
        try:
            self._take_turn(replace(peer, timeout=self._scope.timeout_s), None, self._scope.units)
        except LinkDown as error:
            self.results.unusable[where(peer)] = str(error)
        self._pass(done - self._done)

    def _take_turn(self, part: Part, settings: Settings | None, units: Sequence[int]) -> None:
        """Ask these units on one wire that is set in one way."""
        first = len(self.results.found)
        with opened(part) as line:
            suspects = self._ask_all(line, part, settings, units)
            if settings is not None:  # a reply that is late must not be heard at the next setting
                line.link.wait(time.monotonic() + (part.timeout or 0.0))
        for unit in () if self.over else suspects:
            self._look_again(part, settings, unit)
        for place in range(first, len(self.results.found)):
            self._identify(_patient(part), place)

    def _ask_all(self, line: Line, part: Part, settings: Settings | None, units: Sequence[int]) -> list[int]:
        """Ask each unit; those that said something that was no reply."""
        suspects = []
        for unit in units:
            noise = line.link.noise_bytes
            seen = self._ask(line, unit)
            if seen.sign in PRESENT:
                self._keep(line, part, settings, unit, seen)
            elif _has_spoken(line.link.noise_bytes - noise):
                suspects.append(unit)
            if self.over:
                break
        return suspects

    def _ask(self, line: Line, unit: int, *, again: bool = False) -> Reaction:
        """What the unit does, to the first question that it reacts to."""
        worst = Reaction(Sign.SILENT, "", 0.0)
        for number, question in enumerate(self._scope.questions, 1):
            seen = self._put(line, unit, question)
            self._pass(0 if again else 1)
            if seen.sign in PRESENT:
                self._pass(0 if again else len(self._scope.questions) - number)
                return seen
            worst = seen if seen.sign is Sign.GARBLED else worst
        return worst

    def _put(self, line: Line, unit: int, question: Question) -> Reaction:
        """One question."""
        began = time.monotonic()
        error: NoReply | Refused | None = None
        try:
            line.registers.read(unit, question.table, question.address, 1)
        except (NoReply, Refused) as fault:
            error = fault
        self.results.requests += 1
        return Reaction(sign(error), "" if error is None else error.what, time.monotonic() - began)

    def _look_again(self, part: Part, settings: Settings | None, unit: int) -> None:
        """Ask a unit that said something with more patience; one that is garbled even then is noted."""
        garbled = ""
        with opened(replace(part, timeout=_PATIENT_S)) as line:
            for _ in range(_PATIENT_TIMES):
                seen = self._ask(line, unit, again=True)
                if seen.sign in PRESENT:
                    is_late = seen.reply_s > (part.timeout or _PATIENT_S)
                    self._keep(line, part, settings, unit, seen._replace(sign=Sign.LATE) if is_late else seen)
                    return
                if seen.sign is Sign.SILENT:
                    break
                garbled = seen.detail
        if garbled:
            self.results.garbled.append(Garbled(where(part), settings, unit, garbled))

    def _keep(self, line: Line, part: Part, settings: Settings | None, unit: int, seen: Reaction) -> None:
        """Note a unit that is there, and whether more than one reply comes to a question, which shows with the next."""
        noise = line.link.noise_bytes
        for _ in range(2):
            self._put(line, unit, self._scope.questions[0])
        doubled = _has_spoken(line.link.noise_bytes - noise)
        self.results.found.append(Found(where(part), unit, settings, seen, doubled))

    def _identify(self, part: Part, place: int) -> None:
        """Hold the profiles against a unit that was found."""
        it = self.results.found[place]
        with opened(part) as line:
            answers = Answers(line.registers, it.unit)
            for profile in self._profiles.values():
                answers.ask(profile)
        bus = None if it.settings is None else Bus(*it.settings, it.unit)
        self.results.found[place] = replace(it, matches=candidates(self._profiles, answers.seen, bus))

    def _is_known(self, unit: int, settings: Settings) -> bool:
        """Whether it was found at this baud rate: stop bits and parity that differ often pass for right."""
        return any(
            it.unit == unit and it.settings and it.settings.baudrate == settings.baudrate for it in self.results.found
        )

    def _lose(self, part: SerialLink, settings: Settings, error: LinkDown) -> None:
        """The port does not take these settings, or it has gone."""
        self.results.unusable[str(settings)] = str(error)
        try:
            with opened(replace(part, baudrate=9600, parity="none", stopbits=1)):
                pass
        except LinkDown as gone:
            self.results.ended = gone

    def _pass(self, questions: int) -> None:
        self._done += questions
        self._show(self._done / self._scope.requests)


def _has_spoken(noise_bytes: int) -> bool:
    """Whether bytes that were no reply come from a device, and are not only the echo of what was asked."""
    return noise_bytes >= _SAID and noise_bytes % _REQUEST != 0


def where(part: Part) -> str:
    """The port, or host and TCP port."""
    return part.port if isinstance(part, SerialLink) else f"{part.host}:{part.port}"


@contextmanager
def opened(part: Part) -> Iterator[Line]:
    """The wire, until the block ends; raises LinkDown."""
    it = link("wire", part, (), Path())
    try:
        it.open()
        registers: Registers = it.offer(Family.REGISTERS)  # type: ignore[assignment]
        yield Line(it, registers)
    finally:
        it.close()


def _set(port: SerialLink, settings: Settings, timeout_s: float) -> SerialLink:
    baudrate, parity, stopbits = settings
    return replace(port, baudrate=baudrate, parity=parity, stopbits=stopbits, timeout=timeout_s)


def _patient(part: Part) -> Part:
    """The wire with the time for an answer that it has when nothing is said of it."""
    return replace(part, timeout=None) if isinstance(part, SerialLink) else part


def _wait_s(settings: Settings, timeout_s: float) -> float:
    """How long an answer to a short question may take."""
    return timeout_s + _SHORT_REPLY * (9 + (settings.parity != "none") + settings.stopbits) / settings.baudrate
