"""A meter behind a pulse counter: the total and the rate of a counter that another device has, as a Modbus module's.

    point   is                                                     kind
    total   start + all pulses ever x scale                        `kind`
    rate    of the last minute: pulses/min, L/min, W for energy    by that

Roll-over, restart of the counter and implausible jumps are told apart and are events. Where the counter rolls over is
known from the profile (`maximum` of the point), or from `wraps`.

Source: the rules by which steps of a counter are told apart, with eight decided cases (gateway/derive/counter.py).

Not known: what came between the last reading and a loss of power of the counter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo
from math import inf, isfinite
from typing import Annotated, ClassVar, Literal

from drivers.source_point import point_named
from gateway.derive.counter import Range
from gateway.derive.metering import QUANTITIES, RATE, TOTAL, Metering, check_worth
from gateway.driver import Derived, Doc, Placed, point
from gateway.model import Point

_SOURCE_KIND = "pulses"


@dataclass(frozen=True, slots=True)
class MeterOptions:
    """Which counter, and what one pulse is worth."""

    of: Annotated[str, Doc("The counter, as device.point; or a device that has one alone")]
    kind: Annotated[Literal["pulses", "energy", "volume"], Doc("What is counted: pulses, kWh or L")] = "pulses"
    scale: Annotated[float, Doc("How much of that one pulse is, as 0.001 at 1000 pulses a kWh")] = 1.0
    start: Annotated[float, Doc("What the meter's display said when the counter was read for the first time")] = 0.0
    wraps: Annotated[
        int | None, Doc("After how many pulses the counter is at 0 again; left out: as its profile says")
    ] = None
    max_per_s: Annotated[float | None, Doc("More pulses a second than can be are not believed; left out: any")] = None

    def __post_init__(self) -> None:
        """Refuse what nothing can be worth."""
        check_worth(self.scale, self.start)
        if self.wraps is not None and self.wraps < 4:
            raise ValueError(f"wraps: 65536 for a register of 16 bits, 4294967296 for two, not {self.wraps}")
        if self.max_per_s is not None and not (isfinite(self.max_per_s) and self.max_per_s > 0):
            raise ValueError(f"max_per_s: pulses a second, more than 0, not {self.max_per_s:g}")


class Meter(Derived):
    """One meter."""

    options: ClassVar[type[MeterOptions]] = MeterOptions

    def __init__(self, options: MeterOptions) -> None:
        self._options = options
        self._device, self._point = "", ""
        self._range = Range(options.wraps, options.max_per_s or inf)

    @property
    def points(self) -> tuple[Point, ...]:
        """What the pulses stand for, and how much of that comes in a minute."""
        kind = self._options.kind
        return point(TOTAL, kind), point(RATE, QUANTITIES[kind].rate_kind)

    def meet(self, zone: str, devices: Sequence[Placed]) -> None:
        """Find the counter, and where it rolls over."""
        del zone
        self._device, counter = point_named(
            self._options.of, "of", _SOURCE_KIND, "counter", "it counts no pulses", devices
        )
        self._point, most = counter.name, counter.most
        if self._range.modulus is None and most is not None:
            self._range = self._range._replace(modulus=int(most) + 1)

    @property
    def sources(self) -> tuple[str, ...]:
        """The device that counts."""
        return (self._device,)

    def derivation(self, timezone: tzinfo) -> Metering:
        """A new one."""
        del timezone
        said = self._options
        return Metering(self._point, said.kind, said.scale, said.start, self._range, source=self._device)
