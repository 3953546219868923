"""How many a place may hold, and how many its doors let through."""

from __future__ import annotations

from collections.abc import Iterable

DOOR_FLOW = 82.0
"""People a minute and metre of clear width at which a level door is full.

The limit between the levels of service E and F for walking crowds; the Green Guide has the same for level exits.
"""


def capacity(area_m2: float | None, density: float | None, exits_m: Iterable[float], evacuation_s: float) -> int:
    """The lesser of what the floor holds (m², people/m²) and what the exits (clear widths, m) let out in that time.

    600 m² at 0.6 people/m² are 360; two doors of 1.8 m let out 738 in 150 s; so 360. One of the two has to be known.
    """
    limits = [] if area_m2 is None or density is None else [area_m2 * density]
    widths = tuple(exits_m)
    if widths:
        limits.append(door_flow(sum(widths)) * evacuation_s / 60)
    return int(min(limits) + 1e-9)  # 0.1 * 30 is a little less than 3 in binary


def door_flow(width_m: float) -> float:
    """People a minute whom a door of this clear width lets through."""
    return DOOR_FLOW * width_m
