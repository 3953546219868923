"""A small site with drivers of its own: what the configuration may expect of any driver, without one of ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from gateway.config.load import load
from gateway.config.schema import Config
from gateway.driver import (
    PROFILE,
    Driver,
    Family,
    Heard,
    Output,
    PinUse,
    PlannedRead,
    Polled,
    Pushed,
    Seconds,
    Table,
    point,
)
from gateway.model import Point, Value, Values


@dataclass(frozen=True, slots=True)
class Register:
    kind: str
    address: int
    scale: float = 1.0
    minimum: float | None = None
    maximum: float | None = None


@dataclass(frozen=True, slots=True)
class Sheet:
    model: str
    points: Mapping[str, Register]

    def __post_init__(self) -> None:
        if not self.points:
            raise ValueError("points: a sheet needs at least one")


@dataclass(frozen=True, slots=True)
class MeterOptions:
    unit: int
    profile: Annotated[Sheet, PROFILE]
    gap: Seconds = 0.1
    settle: Seconds | None = None
    order: Literal["low", "high"] = "high"
    skip: tuple[str, ...] = ()
    names: dict[str, str] = field(default_factory=dict)
    token: str = ""

    def __post_init__(self) -> None:
        if not 1 <= self.unit <= 247:
            raise ValueError(f"unit: from 1 to 247, not {self.unit}")


class Meter(Polled):
    family: ClassVar[Family] = Family.REGISTERS
    options: ClassVar[type[MeterOptions]] = MeterOptions

    def __init__(self, options: MeterOptions) -> None:
        for name in options.skip:
            if name not in options.profile.points:
                raise ValueError(f"{options.profile.model} cannot skip {name}, it has no such point")
        self.told = options

    @property
    def points(self) -> tuple[Point, ...]:
        registers = self.told.profile.points.items()
        return tuple(point(name, it.kind, least=it.minimum, most=it.maximum) for name, it in registers)

    @property
    def claims(self) -> tuple[str, ...]:
        return (f"unit {self.told.unit}",)

    @property
    def reads(self) -> tuple[PlannedRead, ...]:
        return tuple(
            PlannedRead(self.told.unit, Table.HOLDING, it.address, 1, (name,), 1)
            for name, it in self.told.profile.points.items()
        )

    def poll(self, link: object) -> Values:
        return {}


@dataclass(frozen=True, slots=True)
class SwitchOptions:
    pin: int
    kind: Literal["smoke", "door", "contact"] = "contact"


class Switch(Pushed):
    family: ClassVar[Family] = Family.PINS
    options: ClassVar[type[SwitchOptions]] = SwitchOptions
    every_default_s: ClassVar[float] = 2.0

    def __init__(self, options: SwitchOptions) -> None:
        self.told = options

    @property
    def points(self) -> tuple[Point, ...]:
        return (point(self.told.kind, self.told.kind),)

    @property
    def claims(self) -> tuple[str, ...]:
        return (f"pin {self.told.pin}",)

    @property
    def pins(self) -> tuple[PinUse, ...]:
        return (PinUse(self.told.pin),)

    def hear(self, heard: Heard) -> Iterable[Values]:
        return ()


class Horn(Switch, Output):
    @property
    def points(self) -> tuple[Point, ...]:
        return (point("output", "output", writable=True),)

    @property
    def safe(self) -> Mapping[str, Value]:
        return {"output": "off"}

    def write(self, link: object, point: str, value: Value) -> Values:
        return {point: value}


@dataclass(frozen=True, slots=True)
class TalkerOptions:
    talker: str = "GP"


class Talker(Pushed):
    family: ClassVar[Family] = Family.STREAM
    options: ClassVar[type[TalkerOptions]] = TalkerOptions

    def __init__(self, options: TalkerOptions) -> None:
        self.told = options

    @property
    def points(self) -> tuple[Point, ...]:
        return (point("position", "position"), point("speed", "speed"))

    @property
    def claims(self) -> tuple[str, ...]:
        return ("the stream",)

    def hear(self, heard: Heard) -> Iterable[Values]:
        return ()


DRIVERS: dict[str, type[Driver]] = {"meter": Meter, "switch": Switch, "horn": Horn, "talker": Talker}

SITE = """\
site: {id: dc3, timezone: Asia/Shanghai}
gateway: {id: gw1}
storage: {commit_every: 1s, max_size: 2GB}
uplinks:
  platform: {url: "mqtts://mqtt.example.com:8883"}
links:
  bus1: {type: serial, port: /dev/ttyUSB0, baudrate: 9600}
  gpio: {type: gpio}
  gps: {type: tcp, host: gps.example.com, port: 2000}
devices:
  cold-1: {driver: meter, link: bus1, unit: 1, profile: thermo, zone: cold/room-1}
  smoke-1: {driver: switch, link: gpio, pin: 17, kind: smoke, zone: hall}
  siren: {driver: horn, link: gpio, pin: 22, zone: hall}
  gps-1: {driver: talker, link: gps, zone: truck, every: 1s}
rules:
  warm: {point: cold-1.temperature, above: -15, clear_below: -16, for: 10m, priority: high}
  smoke: {kind: smoke, equals: alarm, latch: true, response: evacuate}
responses:
  evacuate: {set: {siren: on}, say: Leave by the nearest exit}
"""

THERMO = """\
model: Thermo 1
points:
  temperature: {kind: temperature, address: 1, scale: 0.1}
  humidity: {kind: humidity, address: 2}
"""


def find(name: str) -> type[Driver]:
    if name not in DRIVERS:
        raise LookupError(f"there is no driver {name!r}; there are {', '.join(DRIVERS)}")
    return DRIVERS[name]


def loaded(path: Path, overrides: Mapping[tuple[str, ...], object] | None = None) -> Config:
    """The configuration at `path` with this site's drivers, and the profiles beside it only."""
    return load(path, find_driver=find, profile_folders=(), overrides=overrides or {})


def written(folder: Path, text: str = SITE, name: str = "site.yaml", **profiles: str) -> Path:
    """The path of a file with `text`, and profiles beside it."""
    (folder / "profiles").mkdir(exist_ok=True)
    for profile, sheet in {"thermo": THERMO, **profiles}.items():
        (folder / "profiles" / f"{profile}.yaml").write_text(sheet, encoding="utf-8")
    (folder / name).write_text(text, encoding="utf-8", newline="")
    return folder / name
