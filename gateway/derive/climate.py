"""The dew point and absolute humidity of a place, and how far a surface is from getting wet. Pure.

Temperature and humidity may come from two devices, the temperature of a surface from a third. A value holds for
`holds_s`; where one is bad, or older than that, what is made of it is bad for the same reason.
"""

from __future__ import annotations

from typing import NamedTuple

from gateway.derive.derivation import Derivation, Outcome
from gateway.derive.humid_air import VALID_C, absolute_humidity, dew_point
from gateway.model import Moment, Reading, Reason, Value

_DECIMALS = 2  # of what sensors with one or two decimals can tell


class Place(NamedTuple):
    """A point of a device."""

    device: str
    point: str


class Climate(Derivation):
    """`dew_point` (°C) and `absolute_humidity` (g/m³); with a `surface` also `condensation_margin` (K)."""

    def __init__(self, temperature: Place, humidity: Place, surface: Place | None, holds_s: float) -> None:
        self._places = {"temperature": temperature, "humidity": humidity}
        if surface is not None:
            self._places["surface"] = surface
        self._holds_s = holds_s
        self._last: dict[str, tuple[float, float | Reason]] = {}  # mono s; a number, or why not

    def take(self, reading: Reading, now: Moment) -> Outcome:
        """What follows from the newest of all; nothing from a reading that has none of them."""
        del now
        heard = [name for name, place in self._places.items() if place.device == reading.device]
        found = {name: said for name in heard if (said := _said(reading, self._places[name].point)) is not None}
        self._last.update((name, (reading.mono, said)) for name, said in found.items())
        if not found:
            return Outcome()
        newest = {name: self._newest(name, reading.mono) for name in self._places}
        return _outcome(newest["temperature"], newest["humidity"], newest.get("surface"))

    def _newest(self, name: str, mono: float) -> float | Reason:
        heard, said = self._last.get(name, (0.0, Reason.SILENT))
        return said if mono - heard <= self._holds_s else Reason.SILENT


def _said(reading: Reading, point: str) -> float | Reason | None:
    value = reading.values.get(point)
    if isinstance(value, int | float):
        return float(value)
    return reading.bad.get(point)


def _outcome(temperature: float | Reason, humidity: float | Reason, surface: float | Reason | None) -> Outcome:
    points = ("dew_point", "absolute_humidity", *(() if surface is None else ("condensation_margin",)))
    if isinstance(temperature, Reason):
        return Outcome(bad=dict.fromkeys(points, temperature))
    if isinstance(humidity, Reason):
        return Outcome(bad=dict.fromkeys(points, humidity))
    low, high = VALID_C
    if not (low <= temperature <= high and 0 < humidity <= 100):
        return Outcome(bad=dict.fromkeys(points, Reason.OUT_OF_RANGE))
    dew = dew_point(temperature, humidity)
    values: dict[str, Value] = {
        "dew_point": round(dew, _DECIMALS),
        "absolute_humidity": round(absolute_humidity(temperature, humidity), _DECIMALS),
    }
    if isinstance(surface, float):
        values["condensation_margin"] = round(surface - dew, _DECIMALS)
    bad = {"condensation_margin": surface} if isinstance(surface, Reason) else {}
    return Outcome(values, bad)
