"""Any Modbus device whose registers a profile describes: most sensors need a profile and no Python.

What it reads and writes are the four Modbus tables (coils, discrete inputs, holding and input registers); the frames,
their checksums and time limits are the link's. Source: Modbus application protocol 1.1b3, sections 6.1 to 6.6.

Invariants:
- Points are read in the least time that the limits of the device allow on its link (modbus_plan.py). What it refuses or
  leaves unanswered is asked for in pieces, or less often (modbus_rounds.py), and makes its own points Bad.
- Nothing is written but outputs and settings that the profile marks writable and the installation names; what is
  reported is what was read back, or where the profile says that it cannot be read, what the device has confirmed.

Not known: whether the registers of the device at hand mean what its profile says, which tells what it was made from.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from functools import partial
from typing import Annotated, ClassVar

from drivers.modbus_counts import countings
from drivers.modbus_decode import Settle, decoder, settler
from drivers.modbus_encode import encoded
from drivers.modbus_plan import UNKNOWN, Block, Limits, plan
from drivers.modbus_point import RegisterPoint
from drivers.modbus_profile import Profile
from drivers.modbus_rounds import Rounds
from drivers.modbus_writing import USUAL
from drivers.profile_rules import refuse_unaccepted
from gateway.derive.doors import made
from gateway.derive.totals import Totals
from gateway.driver import PROFILE, Adjustable, Doc, Family, Output, PlannedRead, Polled, Registers, Table, point
from gateway.errors import NoReply, Refused
from gateway.model import Bad, Point, Reason, Value, Values
from gateway.units import STATE_WORDS
from gateway.wiretime import WireTime

_INPUTS = tuple(kind for kind in STATE_WORDS if kind not in ("output", "fix", "motion"))


@dataclass(frozen=True, slots=True)
class ModbusOptions:
    """One Modbus device: its unit id, its profile, and what this installation has connected to its inputs."""

    unit: Annotated[int, Doc("The device's own address, 1 to 247; some use up to 255")]
    profile: Annotated[Profile, PROFILE, Doc("Which registers it has: a profile of ours, or in profiles/ beside this")]
    kinds: Annotated[Mapping[str, str], Doc("What is connected to inputs: smoke, door, contact, status or fault")] = (
        field(default_factory=dict)
    )
    inverted: Annotated[tuple[str, ...], Doc("Inputs and outputs that are wired the other way round")] = ()
    outputs: Annotated[tuple[str, ...], Doc("Outputs that this gateway switches; it only reads the others")] = ()
    settings: Annotated[tuple[str, ...], Doc("Numbers that a command may write; the others are only read")] = ()
    unused: Annotated[tuple[str, ...], Doc("Points that are neither read nor reported: nothing is connected")] = ()
    accept_beta: Annotated[bool, Doc("true: its profile is beta, and its values were compared with the device")] = False
    max_registers: Annotated[
        int | None, Doc("Most in one read, 16 times as many bits; left out: as the profile says")
    ] = None
    max_gap: Annotated[
        int | None, Doc("Most that one read may run over without a use for them; left out: as the profile says")
    ] = None

    def __post_init__(self) -> None:
        """Refuse what the profile does not have."""
        if not 1 <= self.unit <= 255:
            raise ValueError(f"unit: from 1 to 255, not {self.unit}")
        refuse_unaccepted(self.profile.doubt, accepted=self.accept_beta)
        points = self.profile.points
        states = tuple(name for name, it in points.items() if it.is_state)
        writable = tuple(name for name, it in points.items() if it.writable)
        outputs = tuple(name for name in writable if name in states)
        inputs = tuple(name for name in states if name not in outputs)
        self._refuse_others("kinds", self.kinds, inputs)
        self._refuse_others("inverted", self.inverted, states)
        self._refuse_others("outputs", self.outputs, outputs)
        self._refuse_others("settings", self.settings, tuple(name for name in writable if name not in states))
        if not self.outputs and not any(it.readable for it in points.values()):
            raise ValueError(
                f"outputs: name one at least, of {_listed(outputs)}: nothing of {self.profile.model} is read"
            )
        self._check_unused()
        self._check_limits()
        for name, kind in self.kinds.items():
            if kind not in _INPUTS:
                raise ValueError(f"kinds: {name} can be {_listed(_INPUTS)}, not {kind!r}")

    def _check_unused(self) -> None:
        """Refuse what is used all the same, and a device of which nothing is left."""
        points = self.profile.points
        self._refuse_others("unused", self.unused, points)
        scales = {it.scale_by.point for name, it in points.items() if it.scale_by and name not in self.unused}
        for name in self.unused:
            if name in (*self.outputs, *self.settings, *self.kinds, *self.inverted):
                raise ValueError(f"unused: {name} is used: it stands in kinds, inverted, outputs or settings, too")
            if name in scales:
                raise ValueError(f"unused: {name} is used: it tells the scale of other points")
        if not set(points) - set(self.unused):
            raise ValueError(f"unused: nothing is left of {self.profile.model}; take the device out instead")

    @property
    def limits(self) -> Limits:
        """Of one read: the profile's, or this device's own."""
        profile = self.profile
        return Limits(
            profile.max_registers if self.max_registers is None else self.max_registers,
            profile.max_gap if self.max_gap is None else self.max_gap,
        )

    def _check_limits(self) -> None:
        most, gap = self.limits
        widest, point = max(self.profile.points.items(), key=lambda named: named[1].width)
        if not point.width <= most <= 125:
            least = f"{point.width} ({widest} takes as many)" if point.width > 1 else "1"
            raise ValueError(f"max_registers: from {least} to 125, not {most}")
        if not 0 <= gap <= 125:
            raise ValueError(f"max_gap: from 0 to 125, not {gap}")

    def _refuse_others(self, option: str, written: Iterable[str], known: Collection[str]) -> None:
        for name in written:
            if name not in known:
                raise ValueError(f"{option}: {self.profile.model} has no {name!r} there, but {_listed(known)}")


class ModbusTable(Polled, Output, Adjustable):
    """A Modbus device after its profile."""

    family: ClassVar[Family] = Family.REGISTERS
    options: ClassVar[type[ModbusOptions]] = ModbusOptions
    every_default_s: ClassVar[float] = 10.0

    def __init__(self, options: ModbusOptions) -> None:
        self._unit = options.unit
        self._model = options.profile.model
        self._notes = (options.profile.doubt,) if options.profile.doubt else ()
        self._registers = dict(_as_installed(options))
        self._points = tuple(
            point(name, it.kind, writable=it.writable, least=it.minimum, most=it.maximum)
            for name, it in self._registers.items()
        )
        self._countings = countings(self._registers)
        self._points += tuple(point(name, kind) for name, kind in made(self._countings))
        readable = {name: it for name, it in self._registers.items() if it.readable}
        self._plan = partial(plan, readable, options.limits)
        self.meet(UNKNOWN)
        self._scales_told = any(it.scale_by is not None for it in self._registers.values())
        self._settle: Settle | None = None

    @property
    def points(self) -> tuple[Point, ...]:
        """The points of the profile."""
        return self._points

    @property
    def claims(self) -> tuple[str, ...]:
        """The unit id on its link."""
        return (f"unit {self._unit}",)

    @property
    def notes(self) -> tuple[str, ...]:
        """That its profile is beta."""
        return self._notes

    @property
    def safe(self) -> Mapping[str, Value]:
        """All outputs off."""
        return {name: "off" for name, it in self._registers.items() if it.writable and it.is_state}

    @property
    def settings(self) -> frozenset[str]:
        """The numbers that may be written."""
        return frozenset(name for name, it in self._registers.items() if it.writable and not it.is_state)

    @property
    def unread(self) -> frozenset[str]:
        """The outputs that can only be written."""
        return frozenset(name for name in self.safe if not self._registers[name].readable)

    def derivation(self, timezone: tzinfo) -> Totals | None:
        """Totals and flow of the people that it counts."""
        del timezone
        return Totals([counting for counting, _ in self._countings]) if self._countings else None

    def meet(self, wire: WireTime) -> None:
        """Plan the reads that take the least time on `wire`."""
        self._rounds = Rounds(self._unit, self._plan(wire))
        self._reads = self._rounds.blocks, self._reads_of(self._rounds.blocks)

    @property
    def reads(self) -> tuple[PlannedRead, ...]:
        """The plan, with what was learned since."""
        blocks, reads = self._reads
        if blocks is not self._rounds.blocks:
            blocks = self._rounds.blocks
            reads = self._reads_of(blocks)
            self._reads = blocks, reads
        return reads

    def _reads_of(self, blocks: Iterable[Block]) -> tuple[PlannedRead, ...]:
        return tuple(
            PlannedRead(self._unit, it.table, it.address, it.size, tuple(name for name, _ in it.points), it.used)
            for it in blocks
        )

    def poll(self, link: Registers) -> Values:
        """Every point that can be read and this round comes to, good or Bad; NoReply or Refused: nothing answered."""
        values = self._rounds.take(link)
        if self._scales_told:
            if self._settle is None:  # not before the first poll, as the decoders
                self._settle = settler(self._registers)
            self._settle(values)
        return values

    def write(self, link: Registers, point: str, value: Value) -> Values:
        """Switch the output `point` to "on" or "off", and read it back; Refused for anything else."""
        it = self._registers.get(point)
        if it is None or point not in self.safe:
            outputs = _listed(self.safe)
            raise Refused(2, f"{self._model}, unit {self._unit}, has no output {point!r}", f"it can switch {outputs}")
        if value not in ("on", "off"):
            raise Refused(3, f"output {point!r} of unit {self._unit} cannot be {value!r}", "write on or off")
        table, way = Table(it.table), it.write or USUAL
        function = 5 if table is Table.COIL and way.has_words else way.function
        link.write(self._unit, table, it.address, (way.word(on=(value == "on") != it.inverted),), function)
        return {point: decoder(it)(link.read(self._unit, table, it.address, 1), 0) if it.readable else value}

    def refusal(self, point: str, value: Value) -> str:
        """Why the setting cannot be `value`: it has no such setting, or the value does not fit."""
        if point not in self.settings:
            return f"{self._model} has no setting {point!r}; it has {_listed(sorted(self.settings))}"
        try:
            encoded(self._registers[point], value)
        except ValueError as error:
            return str(error)
        return ""

    def adjust(self, link: Registers, point: str, value: Value) -> Values:
        """Write the setting once, and read it back; a write that was not confirmed is told from what reads back."""
        if refusal := self.refusal(point, value):
            raise Refused(3, f"{point} of unit {self._unit}: {refusal}")
        it = self._registers[point]
        unconfirmed: NoReply | None = None
        try:
            function = None if it.write is None else it.write.function
            link.write(self._unit, Table(it.table), it.address, encoded(it, value), function)
        except NoReply as fault:
            if not it.readable:
                raise
            unconfirmed = fault
        if not it.readable:
            return {point: value}
        try:
            return {point: decoder(it)(link.read(self._unit, Table(it.table), it.address, it.width), 0)}
        except (NoReply, Refused) as fault:
            if unconfirmed is not None:
                raise unconfirmed from fault
            return {point: Bad(Reason.REFUSED if isinstance(fault, Refused) else Reason.NO_REPLY)}


def _as_installed(options: ModbusOptions) -> Iterator[tuple[str, RegisterPoint]]:
    """The profile's points, changed by what this installation says of them.

    What is unused is none of its points, nor what can only be written and is not for this gateway to write.
    """
    for name, it in options.profile.points.items():
        handed = name in options.outputs or name in options.settings
        if name not in options.unused and (it.readable or handed):
            yield (
                name,
                replace(
                    it,
                    kind=options.kinds.get(name, it.kind),
                    inverted=it.inverted != (name in options.inverted),
                    writable=handed,
                    write=it.write if handed else None,
                ),
            )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"
