"""The driver contract: what the poller asks of a translator for one kind of device, and what it may use of a link.

A driver owns no port, no clock, no retry, no log and no thread. It emits what arrived when it arrived: no caching,
smoothing, gap filling or guessing of units. A value the sensor itself calls invalid is `Bad`; a point that this
exchange did not carry is absent.

A driver class names its `family` (which links fit it) and its `options` (a frozen dataclass, validated by
`gateway.config`; a field annotated `Seconds` is written with a unit, as in `200ms`). It is constructed with such
options and nothing else.

A driver is made in the process that checks the configuration and handed to the daemon by `pickle`. So its class stands
at the top of its module, and what it keeps of its options is plain data: no open file, no lambda, no generator.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from enum import StrEnum
from typing import Annotated, Any, ClassVar, NamedTuple, Protocol, TypeAlias

from gateway.derive.derivation import Derivation
from gateway.derive.fence import Fence
from gateway.model import Point, Priority, Value, Values
from gateway.units import KINDS
from gateway.wiretime import WireTime

Seconds: TypeAlias = Annotated[float, "seconds"]
"""A duration option of a driver, in seconds; the configuration writes it as `5s`, `200ms`, `10m`, `2h`, `1d`."""


_Schema: TypeAlias = dict[str, Any]

PROFILE = "profile"
"""Marks an option that the configuration writes as a profile's name: `profile: Annotated[SomeDataclass, PROFILE]`.

The configuration reads that YAML file, checks it against the dataclass and hands the driver an instance of it. It looks
in the folders of profiles, or below them in the folder that the dataclass names as its `profile_folder`.
"""


@dataclass(frozen=True, slots=True)
class Doc:
    """Marks an option, or a key of a profile, with what it is for: `Annotated[int, Doc("...")]`.

    For people and their editors; pydantic asks the mark itself, so that nobody else needs it.
    """

    text: str

    def __get_pydantic_json_schema__(self, schema: _Schema, handler: Callable[[Any], _Schema]) -> _Schema:
        """The description that an editor shows."""
        return {**handler(schema), "description": self.text}


class Family(StrEnum):
    """Which link a driver needs."""

    REGISTERS = "registers"  # Modbus, over a serial line or TCP
    STREAM = "stream"  # bytes that arrive by themselves, over a serial line or TCP
    PINS = "pins"  # the GPIO header
    FILES = "files"  # files of the kernel
    NONE = "none"  # no link: it is made of other devices


class Table(StrEnum):
    """The four Modbus tables."""

    COIL = "coil"  # bits, read by function 1, written by 5 and 15
    DISCRETE = "discrete"  # bits, read by function 2
    HOLDING = "holding"  # 16-bit registers, read by function 3, written by 6 and 16
    INPUT = "input"  # 16-bit registers, read by function 4


class PlannedRead(NamedTuple):
    """One read of a poll: `size` registers or bits from the 0-based `address` on, `used` of them by the `points`."""

    unit: int
    table: Table
    address: int
    size: int
    points: tuple[str, ...]
    used: int

    def wire_s(self, wire: WireTime) -> float:
        """How long it takes on `wire`."""
        bits = self.table in (Table.COIL, Table.DISCRETE)
        return wire.bits_s(self.size) if bits else wire.registers_s(self.size)


class Registers(Protocol):
    """A link to Modbus devices. Each call is one exchange; raises NoReply, Refused or LinkDown."""

    def read(self, unit: int, table: Table, address: int, count: int) -> Sequence[int]:
        """The `count` registers (0 to 65535) or bits (0 or 1) from the 0-based `address` on."""

    def write(self, unit: int, table: Table, address: int, values: Sequence[int], function: int | None = None) -> None:
        """Write registers or coils; returns when the device has confirmed.

        `function` for devices that want a certain one: 5 or 15, 6 or 16. With 5 the value is the word that is sent,
        0xFF00 for on where the device keeps to the specification.
        """


class Stream(Protocol):
    """A link to a device that talks by itself."""

    def write(self, data: bytes) -> None:
        """Send `data`; raises LinkDown."""


class Pins(Protocol):
    """The pins that a driver has claimed, by BCM number."""

    def read(self, pin: int) -> bool:
        """Whether the pin is electrically high now; raises LinkDown."""

    def write(self, pin: int, high: bool) -> None:
        """Drive the pin; raises LinkDown."""


class Converters(Protocol):
    """The analogue inputs behind the header's SPI bus, offered with its pins."""

    def convert(self, select: int, channel: int) -> int:
        """What an MCP3008 whose chip select is this pin makes of a channel (0 to 7): 0 to 1023; raises NoReply."""


class Space(NamedTuple):
    """How much a disk can take, in bytes: all of it, and what is free."""

    whole: int
    free: int


class Files(Protocol):
    """Files of the kernel, by their names from the root on, as `/sys/...`; raises NoReply, of each file by itself."""

    def read(self, path: str) -> str:
        """The text of a file, 4096 characters at most."""

    def names(self, path: str) -> tuple[str, ...]:
        """What is in a folder, sorted; empty where there is none."""

    def space(self, path: str) -> Space:
        """How much the disk that holds a folder can take."""


class Pull(StrEnum):
    """The resistor inside the processor that a pin's input is tied with."""

    UP = "up"
    DOWN = "down"
    NONE = "none"


class PinUse(NamedTuple):
    """How a driver uses a pin.

    An input is read when the link opens, at each edge that lasts `hold_s`, and each `every` of its device.
    An output is driven to `initial_high` when the link opens and when it closes.
    """

    pin: int
    output: bool = False
    pull: Pull = Pull.NONE
    hold_s: float = 0.0
    initial_high: bool = False
    spi: bool = False  # a wire of the SPI bus: the kernel's, or shared with the chips on it


class Edge(NamedTuple):
    """The level of a pin: after a change, or read again on schedule.

    `chatters`: it changes faster than anything does that is wired as it should be; `high` is what lasted last.
    """

    pin: int
    high: bool
    chatters: bool = False


class Heard(NamedTuple):
    """What a device said by itself, stamped by the link on arrival (monotonic seconds)."""

    data: bytes | Edge
    mono: float


class UsualRule(NamedTuple):
    """A rule that a device brings along: on its own point, with the id `DEVICE-name`, unless the site has one there.

    One of `above`, `below` and `equals` is the condition; `clear` is where an alarm beyond a limit ends.
    """

    name: str
    point: str
    priority: Priority
    text: str  # what is wrong, for people
    above: float | None = None
    below: float | None = None
    equals: str | float | None = None
    clear: float | None = None
    for_s: float = 0.0
    clear_for_s: float = 0.0
    latch: bool = False


def point(
    name: str, kind: str, *, writable: bool = False, least: float | None = None, most: float | None = None
) -> Point:
    """The point `name`; its form and unit follow from `kind`. Beyond `least` and `most` its values are bad."""
    known = KINDS[kind]
    return Point(name, kind, known.form, known.unit, writable, least, most)


class Driver(ABC):
    """One kind of device. Construct it with an instance of its `options` class."""

    family: ClassVar[Family]
    options: ClassVar[type[Any]]
    every_default_s: ClassVar[float] = 10.0
    """`every` of a device that is configured without it, in seconds."""

    @property
    @abstractmethod
    def points(self) -> tuple[Point, ...]:
        """What this device can say; never empty."""

    @property
    @abstractmethod
    def claims(self) -> tuple[str, ...]:
        """What of the link this device needs for itself (`unit 1`, `pin 17`, `the stream`); claimed twice: refused."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What is not certain about this device: told by `sitewarden check`."""
        return ()

    @property
    def usual_rules(self) -> tuple[UsualRule, ...]:
        """Rules on its points that every site wants."""
        return ()

    @property
    def pins(self) -> tuple[PinUse, ...]:
        """The pins of a driver of the family PINS."""
        return ()

    def derivation(self, timezone: tzinfo) -> Derivation | None:
        """A new one, where some of its `points` follow from its readings and are not in them; `timezone`: the site's.

        The hub adds them to the reading from which they follow.
        """
        del timezone
        return None


class Polled(Driver):
    """A device that answers when asked."""

    def meet(self, wire: WireTime) -> None:
        """Told what exchanges take on its link, when the configuration is put together."""

    @property
    def reads(self) -> tuple[PlannedRead, ...]:
        """What a poll asks as it stands now; empty where that is not known beforehand."""
        return ()

    @abstractmethod
    def poll(self, link: Any) -> Values:  # noqa: ANN401 - the Protocol of the driver's family
        """Ask once; several exchanges where it takes several.

        A block without an answer makes its points Bad; raises NoReply or Refused only when nothing answered, and
        LinkDown always.
        """


class Pushed(Driver):
    """A device that talks by itself."""

    greeting: ClassVar[bytes] = b""
    """Sent when the link opens."""

    def meet(self, wire: WireTime) -> None:
        """Told what characters take on its link, when the configuration is put together."""

    @property
    def request(self) -> bytes:
        """Sent each `every`, to a device that speaks when it is asked."""
        return b""

    @property
    def dropped(self) -> int:
        """How often it has heard what looked like a frame, or the beginning of one, and did not believe it."""
        return 0

    def opened(self) -> None:
        """The link was opened: what was heard before does not go on. From the link's thread."""

    @abstractmethod
    def hear(self, heard: Heard) -> Iterable[Values]:
        """The readings that `heard` completes; never waits, never raises on bad bytes, keeps bounded memory."""


class Output(Driver):
    """A device that can be switched."""

    @abstractmethod
    def write(self, link: Any, point: str, value: Value) -> Values:  # noqa: ANN401 - the Protocol of the driver's family
        """Switch `point`; returns what was read back where the device can be read, else what was written.

        Raises NoReply, Refused or LinkDown.
        """

    @property
    @abstractmethod
    def safe(self) -> Mapping[str, Value]:
        """The values written when the link opens and when the daemon stops."""

    @property
    def unread(self) -> frozenset[str]:
        """Outputs that no poll tells of: they are written again on the device's turn, which confirms them."""
        return frozenset()


class Adjustable(Driver):
    """A device with settings: numbers in it that a command may change, as a set point or a delay."""

    @property
    @abstractmethod
    def settings(self) -> frozenset[str]:
        """The points that may be written, by profile and configuration."""

    @abstractmethod
    def refusal(self, point: str, value: Value) -> str:
        """Why the setting `point` cannot be `value`, in words for who asked; "" if it can. Any thread may ask."""

    @abstractmethod
    def adjust(self, link: Any, point: str, value: Value) -> Values:  # noqa: ANN401 - the Protocol of the driver's family
        """Write the setting `point`, once; returns what was read back, Bad where that was not to be had.

        Where a setting can only be written, what the device has confirmed. Raises Refused where the device said no;
        NoReply or LinkDown where nobody knows whether it was done.
        """


class Placed(NamedTuple):
    """A device of the configuration, as one that is made of others sees it."""

    device: str
    zone: str
    points: tuple[Point, ...]


class Derived(Driver):
    """A device without a link: all its points follow from readings of other devices, its sources."""

    family: ClassVar[Family] = Family.NONE
    every_default_s: ClassVar[float] = 0.0  # as its sources, whichever of them speaks the least often
    by_clock: ClassVar[bool] = False
    """Whether its derivation goes by the clock on the site's wall: then another time zone is another derivation."""

    @property
    def claims(self) -> tuple[str, ...]:
        """Nothing."""
        return ()

    @abstractmethod
    def meet(self, zone: str, devices: Sequence[Placed]) -> None:
        """Told its zone and what other devices there are, when the configuration is put together.

        Raises ValueError, in words for who configures, where they are not what it needs.
        """

    @property
    @abstractmethod
    def sources(self) -> tuple[str, ...]:
        """The devices that it is made of, once it has met them; never empty."""

    @abstractmethod
    def derivation(self, timezone: tzinfo) -> Derivation:
        """A new one, which is told each reading of the sources."""


class Fenced(Derived):
    """A derived device that is about the fences of the site, too."""

    @abstractmethod
    def surround(self, fences: Sequence[Fence]) -> None:
        """Told all of them, when the configuration is put together."""
