"""The dew point and absolute humidity of a place, from a temperature and a relative humidity that are measured there.

    point                 is                                                                            unit
    dew_point             the temperature at which water condenses on a surface there                   °C
    absolute_humidity     the water in a cubic metre of the air                                         g/m³
    condensation_margin   with `surface`: its temperature less the dew point; below 1 K it may get wet  K

It brings a rule along on the last one: `DEVICE-condensation`, low priority.

Source: the Magnus formula with the constants of Sonntag (1990), valid from -45 to 60 °C; relative humidity is over
water, also below 0 °C, as sensors state it. Beyond that, and at 0 %RH, the points are bad.

Not known: how far the sensors are off. At 85 %RH an error of 3 %RH moves the dew point by about 0.6 °C.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Annotated, ClassVar

from drivers.source_point import device_named
from gateway.derive.climate import Climate, Place
from gateway.driver import Derived, Doc, Placed, Seconds, UsualRule, point
from gateway.model import Point, Priority


@dataclass(frozen=True, slots=True)
class ClimateOptions:
    """What it is made of: one device with both, or two points."""

    of: Annotated[str, Doc("A device with one temperature and one humidity")] = ""
    temperature: Annotated[str, Doc("In place of `of`: the temperature, device.point")] = ""
    humidity: Annotated[str, Doc("In place of `of`: the relative humidity, device.point")] = ""
    surface: Annotated[str, Doc("The temperature of a surface that must not get wet, device.point")] = ""
    holds: Annotated[Seconds, Doc("For how long a value counts where they do not come together")] = 300.0

    def __post_init__(self) -> None:
        """Refuse what says too little or too much."""
        if self.of and (self.temperature or self.humidity):
            raise ValueError("of: goes without temperature and humidity; keep one or the other")
        if not self.of and not (self.temperature and self.humidity):
            raise ValueError("needs `of:` with a device, or temperature and humidity as device.point")


class ClimateOf(Derived):
    """The climate of one place."""

    options: ClassVar[type[ClimateOptions]] = ClimateOptions

    def __init__(self, options: ClimateOptions) -> None:
        self._options = options
        self._temperature = self._humidity = Place("", "")
        self._surface: Place | None = None

    @property
    def points(self) -> tuple[Point, ...]:
        """What it derives."""
        margin = point("condensation_margin", "temperature_difference")
        both = (point("dew_point", "dew_point"), point("absolute_humidity", "absolute_humidity"))
        return (*both, margin) if self._options.surface else both

    @property
    def usual_rules(self) -> tuple[UsualRule, ...]:
        """That the surface is about to get wet."""
        told = "water is about to condense on the surface"
        wet = UsualRule("condensation", "condensation_margin", Priority.LOW, told, below=1.0, clear=2.0, for_s=600)
        return (wet._replace(clear_for_s=600),) if self._options.surface else ()

    def meet(self, zone: str, devices: Sequence[Placed]) -> None:
        """Find the points that it is made of; their zone is their own."""
        del zone
        said = self._options
        self._temperature = _found("temperature", said.temperature, said.of, devices)
        self._humidity = _found("humidity", said.humidity, said.of, devices)
        self._surface = _found("temperature", said.surface, "", devices, "surface") if said.surface else None

    @property
    def sources(self) -> tuple[str, ...]:
        """The devices of its two or three points."""
        places = (self._temperature, self._humidity, *((self._surface,) if self._surface else ()))
        return tuple(dict.fromkeys(place.device for place in places if place.device))

    def derivation(self, timezone: tzinfo) -> Climate:
        """A new one."""
        del timezone
        return Climate(self._temperature, self._humidity, self._surface, self._options.holds)


def _found(kind: str, written: str, of: str, devices: Sequence[Placed], option: str = "") -> Place:
    """The one point of a kind: `written` as device.point, or the only one of the device `of`. ValueError, in words."""
    key = option or kind
    device, _, name = written.partition(".")
    at = device_named(of or device, "of" if of else key, devices)
    of_kind = [each.name for each in at.points if each.kind == kind]
    if of and len(of_kind) != 1:
        number = "no point" if not of_kind else f"{len(of_kind)} points"
        raise ValueError(f"of: {of} has {number} of the kind {kind}; write {kind} as device.point in place of `of`")
    if not of and name not in of_kind:
        right = f"write one of {', '.join(of_kind)}" if of_kind else f"it has no {kind}"
        raise ValueError(f"{key}: {device} has no {kind} {name!r}; {right}")
    return Place(at.device, of_kind[0] if of else name)
