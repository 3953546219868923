"""Fences as they are written. Pure."""

from __future__ import annotations

from gateway.config.schema import FencePart
from gateway.derive.fence import Fence
from gateway.derive.geo import Circle, Polygon, Position


def fence_of(name: str, part: FencePart) -> Fence:
    """The fence that is written so; only of what passed the check."""
    corners = ring(part)
    if part.centre is None or part.radius is None:
        return Fence(name, part.name or name, Polygon(corners))
    return Fence(name, part.name or name, Circle(part.centre, part.radius))


def ring(part: FencePart) -> tuple[Position, ...]:
    """The corners, the first one not again at the end."""
    corners = part.polygon
    return corners[:-1] if len(corners) > 1 and corners[0] == corners[-1] else corners
