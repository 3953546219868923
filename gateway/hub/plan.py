"""What the hub is told once, at its construction: the site in terms of the rules, without any wire."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.hub.alarms import Target
from gateway.model import About, Value
from gateway.rules.judge import Rule
from gateway.rules.responses import OutputPoint, Response


@dataclass(frozen=True, slots=True)
class Plan:
    """Devices and rules of one configuration. `every_s`: device -> seconds between its readings."""

    about: About
    rules: tuple[tuple[Rule, tuple[Target, ...]], ...]
    responses: Mapping[str, Response]
    outputs: Mapping[OutputPoint, Value]  # every output and its safe value
    every_s: Mapping[str, float]
    safety_devices: frozenset[str]  # their readings are taken first
    version: str
    run: str
