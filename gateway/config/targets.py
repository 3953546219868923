"""What rules and responses can be about: the points and outputs of the devices."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from typing import NamedTuple

from gateway.config.problems import Where
from gateway.config.schema import Device, ResponsesByPriority, Rule, Term
from gateway.driver import Output
from gateway.model import Point
from gateway.zones import in_zone

GROUPS = ("all_of", "any_of", "of")
"""The keys of a rule that make one condition of several."""


class Group(NamedTuple):
    """Terms of which `needed` points, at least, have to hold; None: all."""

    key: str
    terms: tuple[Term, ...]
    needed: int | None


def group(rule: Rule) -> Group | None:
    """What a rule makes one condition of; None if it has one of its own."""
    counts = {"all_of": None, "any_of": 1, "of": rule.at_least or 1}
    return next((Group(key, terms, counts[key]) for key in GROUPS if (terms := getattr(rule, key))), None)


def parts(rule: Rule, where: Where) -> tuple[tuple[Term, Where], ...]:
    """The conditions of a rule, each with its place: its own, or its terms."""
    made_of = group(rule)
    if made_of is None:
        return ((rule, where),)
    return tuple((term, (*where, made_of.key, number)) for number, term in enumerate(made_of.terms))


def targets(term: Term, devices: Mapping[str, Device]) -> tuple[tuple[str, Point], ...]:
    """The points that a condition is about, as (device, point): the one it names, or all of its kind (in its zone).

    Of a rule that is made of several conditions the points of all; none, if one of them has none.
    """
    made_of = group(term) if isinstance(term, Rule) else None
    if made_of is not None:
        found = [targets(each, devices) for each in made_of.terms]
        return tuple(dict.fromkeys(chain.from_iterable(found))) if all(found) else ()
    device, _, name = (term.point or "").partition(".")
    return tuple(
        (own, point)
        for own, about in devices.items()
        for point in about.built.points
        if (own == device and point.name == name)
        or (term.kind == point.kind and (term.zone is None or in_zone(about.zone, term.zone)))
    )


FENCE_DELAY_S = 30.0
"""How long a position has to be on the other side of a fence, where a rule does not say so; positions jump."""


def delays(rule: Rule) -> tuple[float, float]:
    """The seconds until an alarm is raised, and until it ends."""
    has_fence = any(term.fence is not None for term, _ in parts(rule, ()))
    usual = FENCE_DELAY_S if has_fence else 0.0
    return usual if rule.for_ is None else rule.for_, usual if rule.clear_for is None else rule.clear_for


def called(rule: Rule, by_priority: ResponsesByPriority) -> str | None:
    """The response that a rule calls for: its own, else that of its priority."""
    return rule.response or getattr(by_priority, rule.priority)


def writable(device: Device) -> tuple[Point, ...]:
    """The outputs of a device."""
    return tuple(point for point in device.built.points if point.writable) if isinstance(device.built, Output) else ()
