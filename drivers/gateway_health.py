"""The gateway's own machine: is it hot, does its supply hold, is there room on its disk and in its memory?

    point             is                                                          from
    cpu_temperature   °C                                                          /sys/class/thermal/thermal_zone0/temp
    undervoltage      fault: the supply is below 4.63 V                           hwmon `rpi_volt`: in0_lcrit_alarm
    throttled         on: slowed down, for heat or for its supply                 .../soc:firmware/get_throttled
    disk_free         % of the disk that holds `disk`, as an ordinary user        statvfs
    memory_free       % of the memory that programs can have                      /proc/meminfo: MemAvailable

A point whose file is not there or makes no sense is bad. Set `board: other` on a machine that is no Raspberry Pi, which
has neither undervoltage nor throttled. A contact of a UPS or of the mains is a device of the driver `contact`.

Source: the kernel's documentation of thermal zones, hwmon and proc; bits 0 to 3 of get_throttled are now, those from 16
on since the start (Raspberry Pi documentation, vcgencmd).

Not known: where get_throttled is on every model and kernel; it is looked for below /sys/devices/platform/soc*. Of none
of it was a Raspberry Pi asked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from gateway.driver import Doc, Family, Files, Polled, UsualRule, point
from gateway.errors import NoReply
from gateway.model import Bad, Point, Priority, Reason, Value, Values

_THROTTLED_NOW = 0b1110  # the frequency capped, throttled, at the soft limit of temperature; bit 0 is the voltage
_MEMORY = re.compile(r"^(MemTotal|MemAvailable):\s+(\d{1,15}) kB$", re.MULTILINE)
_HEX = re.compile(r"(?:0x)?([0-9a-f]{1,8})\s*", re.IGNORECASE)
_NUMBER = re.compile(r"(-?\d{1,7})\s*")
_NOTHING = Bad(Reason.NO_REPLY)


@dataclass(frozen=True, slots=True)
class GatewayHealthOptions:
    """What machine it is."""

    board: Annotated[Literal["raspberry_pi", "other"], Doc("other: without undervoltage and throttled")] = (
        "raspberry_pi"
    )
    disk: Annotated[str, Doc("A folder on the disk that is watched")] = "/"

    def __post_init__(self) -> None:
        """Refuse what is no folder's name."""
        if not self.disk.startswith("/"):
            raise ValueError("disk: must begin with /, as in /var/lib/sitewarden")


class GatewayHealth(Polled):
    """The machine that the gateway runs on."""

    family: ClassVar[Family] = Family.FILES
    options: ClassVar[type[GatewayHealthOptions]] = GatewayHealthOptions
    every_default_s: ClassVar[float] = 30.0

    def __init__(self, options: GatewayHealthOptions) -> None:
        self._is_pi = options.board == "raspberry_pi"
        self._disk = options.disk

    @property
    def points(self) -> tuple[Point, ...]:
        """What it has."""
        supply = (point("undervoltage", "fault"), point("throttled", "status")) if self._is_pi else ()
        room = (point("disk_free", "level"), point("memory_free", "level"))
        return (point("cpu_temperature", "device_temperature"), *supply, *room)

    @property
    def claims(self) -> tuple[str, ...]:
        """The machine, which there is once."""
        return ("the machine",)

    @property
    def usual_rules(self) -> tuple[UsualRule, ...]:
        """What a machine must not come to."""
        hot = UsualRule(
            "hot", "cpu_temperature", Priority.MEDIUM, "the gateway is hot, and soon slow: see to its air", above=80
        )
        full = UsualRule("disk", "disk_free", Priority.MEDIUM, "the gateway's disk is nearly full", below=10, clear=12)
        memory = UsualRule(
            "memory", "memory_free", Priority.LOW, "the gateway has little memory left", below=10, clear=15
        )
        weak = UsualRule(
            "supply", "undervoltage", Priority.MEDIUM, "the gateway's supply is too weak: see to cable and adapter"
        )
        slow = UsualRule("slow", "throttled", Priority.LOW, "the gateway slows down, for heat or for its supply")
        supply = (
            weak._replace(equals="fault", clear_for_s=60),
            slow._replace(equals="on", for_s=60, clear_for_s=60),
        )
        room = (
            hot._replace(clear=75, for_s=60, clear_for_s=60),
            full._replace(for_s=60),
            memory._replace(for_s=120, clear_for_s=60),
        )
        return (*room, *supply) if self._is_pi else room

    def poll(self, link: Files) -> Values:
        """All of it; NoReply where nothing is to be had."""
        asked: dict[str, Callable[[Files], Value | Bad]] = {
            "cpu_temperature": _cpu_temperature,
            "undervoltage": _undervoltage,
            "throttled": _throttled,
            "disk_free": self._disk_free,
            "memory_free": _memory_free,
        }
        said = {each.name: _said(asked[each.name], link) for each in self.points}
        if all(isinstance(value, Bad) for value in said.values()):
            raise NoReply(
                "silent", "this machine says nothing of itself", "is `root` of the link the root of a machine?"
            )
        return said

    def _disk_free(self, link: Files) -> Value | Bad:
        whole, free = link.space(self._disk)
        return round(100 * free / whole, 1) if whole > 0 else _NOTHING


def _said(ask: Callable[[Files], Value | Bad], link: Files) -> Value | Bad:
    try:
        return ask(link)
    except NoReply:
        return _NOTHING


def _cpu_temperature(link: Files) -> Value | Bad:
    found = _NUMBER.fullmatch(link.read("/sys/class/thermal/thermal_zone0/temp"))
    if found is None:
        return _NOTHING
    celsius = int(found[1]) / 1000
    return celsius if -60 < celsius < 200 else Bad(Reason.OUT_OF_RANGE)


def _undervoltage(link: Files) -> Value | Bad:
    for folder in link.names("/sys/class/hwmon"):
        if link.read(f"/sys/class/hwmon/{folder}/name").strip() == "rpi_volt":
            said = link.read(f"/sys/class/hwmon/{folder}/in0_lcrit_alarm").strip()
            return {"0": "normal", "1": "fault"}.get(said, "") or _NOTHING
    return _NOTHING


def _throttled(link: Files) -> Value | Bad:
    for path in _firmware(link):
        found = _HEX.fullmatch(link.read(f"{path}/get_throttled"))
        if found is not None:
            return "on" if int(found[1], 16) & _THROTTLED_NOW else "off"
    return _NOTHING


def _firmware(link: Files) -> Iterator[str]:
    platform = "/sys/devices/platform"
    for folder in link.names(platform):
        if folder.startswith("soc"):
            names = link.names(f"{platform}/{folder}")
            yield from (f"{platform}/{folder}/{name}" for name in names if name.endswith(":firmware"))


def _memory_free(link: Files) -> Value | Bad:
    said = {name: int(number) for name, number in _MEMORY.findall(link.read("/proc/meminfo"))}
    whole, free = said.get("MemTotal", 0), said.get("MemAvailable", 0)
    return round(100 * free / whole, 1) if whole > 0 and free <= whole else _NOTHING
