"""Humid air: what temperature and relative humidity say of the water in it. Pure.

Formula: Magnus, with the constants of Sonntag (1990), for -45 to 60 °C. Relative humidity is over water, also below
0 °C, as sensors state it; frost forms there a little above the dew point.
"""

from __future__ import annotations

from math import exp, log

_FACTOR, _OFFSET_C = 17.62, 243.12  # over water
_SATURATED_HPA = 6.112  # the vapour pressure at 0 °C
_DENSITY = 216.68  # g K / (m³ hPa): of water vapour, from its gas constant
_ZERO_K = 273.15

VALID_C = (-45.0, 60.0)
"""Where the formula holds, in °C."""


def vapour_pressure(temperature: float, humidity: float) -> float:
    """The pressure of the water vapour, hPa, in air of `temperature` (°C) and relative `humidity` (%)."""
    return humidity / 100 * _SATURATED_HPA * exp(_exponent(temperature))


def dew_point(temperature: float, humidity: float) -> float:
    """The temperature (°C) at which water begins to condense on a surface; `humidity` (%) is above 0."""
    exponent = log(humidity / 100) + _exponent(temperature)
    return _OFFSET_C * exponent / (_FACTOR - exponent)


def absolute_humidity(temperature: float, humidity: float) -> float:
    """The water in a cubic metre of air, in grams."""
    return _DENSITY * vapour_pressure(temperature, humidity) / (_ZERO_K + temperature)


def _exponent(temperature: float) -> float:
    return _FACTOR * temperature / (_OFFSET_C + temperature)
