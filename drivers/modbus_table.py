"""Any Modbus device whose registers a profile describes: most sensors need a profile and no Python.

What it reads and writes are the four Modbus tables (coils, discrete inputs, holding and input registers); the frames,
their checksums and time limits are the link's. Source: Modbus application protocol 1.1b3, sections 6.1 to 6.6.

Invariants:
- Points are read in as few requests as the profile's limits allow. A range that the device refuses is cut in two, at
  its widest gap, until the pieces are answered; the cuts are kept, if the device has answered anything at all.
- A range without an answer makes its own points Bad. Only a device that has answered nothing raises; one that left the
  first two requests without a reply is taken as absent and asked no further, because each silence holds up the bus.
- Nothing is written but outputs that the profile marks writable and the installation hands to this gateway; what is
  reported is what was read back, or where the profile says that it cannot be read, what the device has confirmed.

Not known here: a device that keeps silent, where it should refuse, about registers it does not have. Its profile
needs `max_gap: 0`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Annotated, ClassVar, NamedTuple

from drivers.modbus_decode import BlockDecode, Settle, block_decoder, decoder, settler
from drivers.modbus_plan import Block, halves, plan
from drivers.modbus_point import RegisterPoint
from drivers.modbus_profile import Profile
from drivers.modbus_writing import USUAL
from gateway.driver import PROFILE, Family, Output, Polled, Registers, Table, point
from gateway.errors import NoReply, Refused
from gateway.model import Bad, Point, Reason, Value, Values
from gateway.units import STATE_WORDS

_INPUTS = tuple(kind for kind in STATE_WORDS if kind != "output")
_ACCEPT = "say `accept_beta: true` at this device"
_ABSENT = 2  # requests without any reply, after which a device is not asked further


@dataclass(frozen=True, slots=True)
class ModbusOptions:
    """One Modbus device: its unit id, its profile, and what this installation has connected to its inputs."""

    unit: int  # 1 to 247; some devices use up to 255
    profile: Annotated[Profile, PROFILE]
    kinds: Mapping[str, str] = field(default_factory=dict)  # input -> smoke, door, contact, status or fault
    inverted: tuple[str, ...] = ()  # inputs and outputs that are wired the other way round
    outputs: tuple[str, ...] = ()  # outputs that this gateway switches; it only reads the others
    unused: tuple[str, ...] = ()  # points that are neither read nor reported: channels with nothing connected
    accept_beta: bool = False  # a beta profile is refused without

    def __post_init__(self) -> None:
        """Refuse what the profile does not have."""
        if not 1 <= self.unit <= 255:
            raise ValueError(f"unit: from 1 to 255, not {self.unit}")
        if self.profile.beta and not self.accept_beta:
            raise ValueError(f"profile: {_beta(self.profile)}; compare its values with the device, then {_ACCEPT}")
        points = self.profile.points
        states = tuple(name for name, it in points.items() if it.is_state)
        outputs = tuple(name for name, it in points.items() if it.writable)
        inputs = tuple(name for name in states if name not in outputs)
        self._refuse_others("kinds", self.kinds, inputs)
        self._refuse_others("inverted", self.inverted, states)
        self._refuse_others("outputs", self.outputs, outputs)
        if not self.outputs and not any(it.readable for it in points.values()):
            raise ValueError(
                f"outputs: name one at least, of {_listed(outputs)}: nothing of {self.profile.model} is read"
            )
        self._check_unused()
        for name, kind in self.kinds.items():
            if kind not in _INPUTS:
                raise ValueError(f"kinds: {name} can be {_listed(_INPUTS)}, not {kind!r}")

    def _check_unused(self) -> None:
        """Refuse what is used all the same, and a device of which nothing is left."""
        points = self.profile.points
        self._refuse_others("unused", self.unused, points)
        scales = {it.scale_by.point for name, it in points.items() if it.scale_by and name not in self.unused}
        for name in self.unused:
            if name in self.outputs or name in self.kinds or name in self.inverted:
                raise ValueError(f"unused: {name} is used: it stands in kinds, inverted or outputs, too")
            if name in scales:
                raise ValueError(f"unused: {name} is used: it tells the scale of other points")
        if not set(points) - set(self.unused):
            raise ValueError(f"unused: nothing is left of {self.profile.model}; take the device out instead")

    def _refuse_others(self, option: str, written: Iterable[str], known: Collection[str]) -> None:
        for name in written:
            if name not in known:
                raise ValueError(f"{option}: {self.profile.model} has no {name!r} there, but {_listed(known)}")


class _Answer(NamedTuple):
    """What came of a block: values, the blocks to ask for next time, and the error if nothing of it was answered."""

    values: dict[str, Value | Bad]
    blocks: tuple[Block, ...]
    fault: NoReply | Refused | None


class ModbusTable(Polled, Output):
    """A Modbus device after its profile."""

    family: ClassVar[Family] = Family.REGISTERS
    options: ClassVar[type[ModbusOptions]] = ModbusOptions
    every_default_s: ClassVar[float] = 10.0

    def __init__(self, options: ModbusOptions) -> None:
        self._unit = options.unit
        self._model = options.profile.model
        self._notes = (_beta(options.profile),) if options.profile.beta else ()
        self._registers = dict(_as_installed(options))
        self._points = tuple(point(name, it.kind, writable=it.writable) for name, it in self._registers.items())
        readable = {name: it for name, it in self._registers.items() if it.readable}
        self._blocks = plan(readable, options.profile.max_registers, options.profile.max_gap)
        self._decoders: dict[tuple[Table, int, int], BlockDecode] = {}
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
        return {name: "off" for name, it in self._registers.items() if it.writable}

    @property
    def unread(self) -> frozenset[str]:
        """The outputs that can only be written."""
        return frozenset(name for name in self.safe if not self._registers[name].readable)

    def poll(self, link: Registers) -> Values:
        """Every point that can be read, good or Bad; NoReply or Refused when nothing answered."""
        values = self._read(link)
        if self._scales_told:
            if self._settle is None:  # not before the first poll, as the decoders
                self._settle = settler(self._registers)
            self._settle(values)
        return values

    def _read(self, link: Registers) -> dict[str, Value | Bad]:
        answers: list[_Answer] = []
        for block in self._blocks:
            answers.append(self._ask(link, block))
            if len(answers) == _ABSENT and all(isinstance(it.fault, NoReply) for it in answers):
                break
        if len(answers) == 1 and answers[0].fault is None:  # as most devices are
            self._blocks = answers[0].blocks
            return answers[0].values
        faults = [it.fault for it in answers if it.fault is not None]
        if faults and len(faults) == len(answers):
            raise next((it for it in faults if isinstance(it, NoReply)), faults[0])
        self._blocks = tuple(block for it in answers for block in it.blocks)
        return _together(answers)

    def write(self, link: Registers, point: str, value: Value) -> Values:
        """Switch the output `point` to "on" or "off", and read it back; Refused for anything else."""
        it = self._registers.get(point)
        if it is None or not it.writable:
            outputs = _listed(self.safe)
            raise Refused(2, f"{self._model}, unit {self._unit}, has no output {point!r}", f"it can switch {outputs}")
        if value not in ("on", "off"):
            raise Refused(3, f"output {point!r} of unit {self._unit} cannot be {value!r}", "write on or off")
        table, way = Table(it.table), it.write or USUAL
        function = 5 if table is Table.COIL and way.has_words else way.function
        link.write(self._unit, table, it.address, (way.word(on=(value == "on") != it.inverted),), function)
        return {point: decoder(it)(link.read(self._unit, table, it.address, 1), 0) if it.readable else value}

    def _ask(self, link: Registers, block: Block) -> _Answer:
        try:
            raw = link.read(self._unit, block.table, block.address, block.size)
        except NoReply as fault:
            return _Answer(_all_bad(block, Reason.NO_REPLY), (block,), fault)
        except Refused as fault:
            return self._ask_parts(link, block, fault)
        return _Answer(self._decoder_of(block)(raw), (block,), None)

    def _decoder_of(self, block: Block) -> BlockDecode:
        """Worked out when first asked: until then the device is plain data, which can be handed to another process."""
        where = block[:3]
        found = self._decoders.get(where)
        if found is None:
            found = self._decoders[where] = _decoder(block)
        return found

    def _ask_parts(self, link: Registers, block: Block, fault: Refused) -> _Answer:
        """The two halves of a refused block, each by itself."""
        answers = [self._ask(link, part) for part in halves(block)]
        if not answers:
            return _Answer(_all_bad(block, Reason.REFUSED), (block,), fault)
        values = _together(answers)
        blocks = tuple(part for it in answers for part in it.blocks)
        return _Answer(values, blocks, fault if all(it.fault for it in answers) else None)


@lru_cache(maxsize=256)
def _decoder(block: Block) -> BlockDecode:
    """The same for all devices of one model: what is used again and again stays in the processor's cache."""
    return block_decoder((name, it.address - block.address, it) for name, it in block.points)


def _together(answers: Iterable[_Answer]) -> dict[str, Value | Bad]:
    return {name: value for it in answers for name, value in it.values.items()}


def _as_installed(options: ModbusOptions) -> Iterator[tuple[str, RegisterPoint]]:
    """The profile's points, changed by what this installation says of them.

    What is unused is none of its points, nor an output that can only be written and is not for this gateway to write.
    """
    for name, it in options.profile.points.items():
        handed = name in options.outputs
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


def _beta(profile: Profile) -> str:
    """That it is, and why."""
    why = profile.verified or "its confidence is medium"
    return f"the profile of {profile.model} is beta: {why}"


def _all_bad(block: Block, reason: Reason) -> dict[str, Value | Bad]:
    return {name: Bad(reason) for name, _ in block.points}


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"
