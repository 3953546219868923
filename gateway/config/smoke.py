"""How often smoke is looked at. Pure."""

from __future__ import annotations

from gateway.driver import Driver, Family, Polled, Pushed

SMOKE_EVERY_S = 2.0
"""What is usual where the configuration does not say."""

SMOKE_WITHIN_S = 5.0
"""The longest that is accepted."""


def tells_of_smoke(driver: Driver) -> bool:
    """Whether one of its points does."""
    return any(point.kind == "smoke" for point in driver.points)


def is_looked_at(driver: Driver) -> bool:
    """Whether it is asked, or its pins are: what only talks by itself says when it likes."""
    asked = isinstance(driver, Polled) or (isinstance(driver, Pushed) and bool(driver.request))
    return asked or driver.family is Family.PINS


def usual_every_s(driver: Driver) -> float:
    """Seconds between polls of a device that is configured without."""
    if tells_of_smoke(driver) and is_looked_at(driver):
        return min(driver.every_default_s, SMOKE_EVERY_S)
    return driver.every_default_s
