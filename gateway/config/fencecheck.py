"""Fences: whether they are places on the earth, large enough to be told apart from a receiver's errors."""

from __future__ import annotations

from gateway.config.draft import Draft
from gateway.config.fences import ring
from gateway.config.problems import Where
from gateway.config.schema import FencePart
from gateway.derive.fence import LEAST_WIDTH_M
from gateway.derive.geo import (
    M_PER_DEGREE,
    MOST_LATITUDE,
    Polygon,
    Position,
    crossing,
    goes_round_a_pole,
)

FENCE_HINT = "{centre: [52.5, 13.4], radius: 150}"
MOST_CORNERS = 500
MOST_RADIUS_M = 200_000.0


def check_fences(draft: Draft) -> None:
    """Note what is wrong with the fences in the draft's tree; those are left out of it."""
    for name, part in list(draft.fences.items()):
        before = len(draft.tree.problems)
        where: Where = ("fences", name)
        if _has_one_shape(draft, part, where):
            if part.centre is not None:
                _check_circle(draft, part.centre, part.radius or 0.0, where)
            else:
                _check_polygon(draft, part, where)
        if len(draft.tree.problems) > before:
            del draft.fences[name]


def _has_one_shape(draft: Draft, part: FencePart, where: Where) -> bool:
    tree = draft.tree
    if part.polygon and (part.centre is not None or part.radius is not None):
        tree.blame_key(where, "is a circle and a polygon; keep centre and radius, or polygon")
    elif part.polygon:
        return True
    elif part.centre is None and part.radius is None:
        tree.blame_key(where, "has no shape; add centre and radius, or `polygon:` with its corners")
    elif part.centre is None:
        tree.blame_key((*where, "radius"), "goes with centre; add `centre: [latitude, longitude]`")
    elif part.radius is None:
        tree.blame_key((*where, "centre"), "goes with radius; add `radius:` in metres")
    else:
        return True
    return False


def _check_circle(draft: Draft, centre: Position, radius_m: float, where: Where) -> None:
    least = LEAST_WIDTH_M / 2
    if not least <= radius_m <= MOST_RADIUS_M:
        told = f"must be from {least:g} to {MOST_RADIUS_M:g} metres, not {radius_m:g}"
        why = "; positions are off by up to 15 m, so a smaller one could not be told" if radius_m < least else ""
        draft.tree.blame((*where, "radius"), told + why)
    elif _is_on_earth(draft, centre, (*where, "centre")):
        _check_latitude(draft, abs(centre[0]) + radius_m / M_PER_DEGREE, (*where, "centre"))


def _check_polygon(draft: Draft, part: FencePart, where: Where) -> None:
    where, corners, tree = (*where, "polygon"), ring(part), draft.tree
    placed = [_is_on_earth(draft, corner, (*where, number)) for number, corner in enumerate(part.polygon)]
    if not all(placed):
        return
    if not 3 <= len(corners) <= MOST_CORNERS:
        hint = "add some" if len(corners) < 3 else "leave out those that matter least"
        tree.blame_key(where, f"must have from 3 to {MOST_CORNERS} corners, not {len(corners)}; {hint}")
    elif goes_round_a_pole(corners):
        tree.blame_key(where, "goes around the whole earth; leave out the pole")
    elif (crossed := crossing(corners)) is not None:
        first, second = (f"{number + 1} to {(number + 1) % len(corners) + 1}" for number in crossed)
        told = f"its sides from corner {first} and from corner {second} cross or touch"
        tree.blame_key(where, f"{told}; give the corners in the order in which one walks around it")
    elif _check_latitude(draft, max(abs(corner[0]) for corner in corners), where):
        longer, area = Polygon(corners).size_m
        width = area / longer
        if width < LEAST_WIDTH_M:
            told = f"is {width:.0f} m wide; positions are off by up to 15 m, so make it {LEAST_WIDTH_M:g} m at least"
            tree.blame_key(where, told)


def _is_on_earth(draft: Draft, place: Position, where: Where) -> bool:
    latitude, longitude = place
    if abs(latitude) <= 90 and abs(longitude) <= 180:
        return True
    told = "must be [latitude, longitude] in degrees, at most 90 and 180"
    turned = abs(longitude) <= 90 and abs(latitude) <= 180
    hint = f"these seem to be swapped, write [{longitude:g}, {latitude:g}]" if turned else "as in [52.5, 13.4]"
    draft.tree.blame_key(where, f"{told}, not [{latitude:g}, {longitude:g}]; {hint}")
    return False


def _check_latitude(draft: Draft, most: float, where: Where) -> bool:
    if most <= MOST_LATITUDE:
        return True
    draft.tree.blame_key(where, f"reaches beyond {MOST_LATITUDE:g} degrees of latitude, where there can be no fence")
    return False
