"""Humid air: what temperature and relative humidity say of the water in it. Pure.

Formula: Magnus, with the constants of Sonntag (1990), for -45 to 60 °C. Relative humidity is over water, also below
0 °C, as sensors state it; the dew point of such air over ice is its frost point.
"""

from __future__ import annotations

from math import exp, log
from typing import NamedTuple


class _Magnus(NamedTuple):
    factor: float
    offset: float  # °C

    def exponent(self, temperature: float) -> float:
        return self.factor * temperature / (self.offset + temperature)

    def temperature(self, exponent: float) -> float:
        return self.offset * exponent / (self.factor - exponent)


_WATER = _Magnus(17.62, 243.12)
_ICE = _Magnus(22.46, 272.62)
_SATURATED_HPA = 6.112  # the vapour pressure at 0 °C
_DENSITY = 216.68  # g K / (m³ hPa): of water vapour, from its gas constant
_ZERO_K = 273.15

VALID_C = (-45.0, 60.0)
"""Where the formula holds, in °C."""


def vapour_pressure(temperature: float, humidity: float) -> float:
    """The pressure of the water vapour, hPa, in air of `temperature` (°C) and relative `humidity` (%)."""
    return humidity / 100 * _SATURATED_HPA * exp(_WATER.exponent(temperature))


def dew_point(temperature: float, humidity: float) -> float:
    """The temperature (°C) at which water begins to condense on a surface; `humidity` (%) is above 0."""
    return _WATER.temperature(log(humidity / 100) + _WATER.exponent(temperature))


def frost_point(temperature: float, humidity: float) -> float:
    """The temperature (°C, below 0) at which frost begins to form; `humidity` (%) is above 0."""
    return _ICE.temperature(log(humidity / 100) + _WATER.exponent(temperature))


def absolute_humidity(temperature: float, humidity: float) -> float:
    """The water in a cubic metre of air, in grams."""
    return _DENSITY * vapour_pressure(temperature, humidity) / (_ZERO_K + temperature)
