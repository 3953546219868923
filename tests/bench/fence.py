"""How long 1,000 checks of a position against a fence of 100 corners take: python tests/bench/fence.py. Goal: 10 ms."""

from __future__ import annotations

import sys
import time
from math import cos, pi, sin
from pathlib import Path
from random import Random

TOP = Path(__file__).parent.parent.parent
sys.path.insert(0, str(TOP))

from gateway.derive.fence import Fence  # noqa: E402 - runs from any folder
from gateway.derive.geo import Polygon, Position  # noqa: E402 - as above

GOAL_MS = 10.0
CORNERS, CHECKS = 100, 1000
ACCURACY_M = 10.0


def main() -> int:
    """Print the figures; 1 if one misses the goal."""
    fence = Fence("yard", "Yard", Polygon(tuple(ring())))
    chance = Random(1)
    inside = [place(0.0025 * chance.random(), 2 * pi * chance.random()) for _ in range(CHECKS)]
    around = [(52.0 + chance.uniform(-0.006, 0.006), 13.0 + chance.uniform(-0.009, 0.009)) for _ in range(CHECKS)]
    worst = 0.0
    for name, places in (("around it", around), ("inside", inside), ("at a corner", list(ring()) * 10)):
        took = min(timed(fence, places) for _ in range(5))
        worst = max(worst, took)
        print(
            f"fence: {CHECKS} checks of positions {name} against {CORNERS} corners: {took:.1f} ms (goal {GOAL_MS:.0f})"
        )
    return int(worst > GOAL_MS)


def ring() -> list[Position]:
    """A ragged ring of some 300 m around 52 N, 13 E."""
    return [place(0.003 + 0.001 * sin(7 * angle), angle) for angle in (2 * pi * n / CORNERS for n in range(CORNERS))]


def place(reach: float, angle: float) -> Position:
    """The place so many degrees away."""
    return 52.0 + reach * cos(angle), 13.0 + reach * sin(angle) * 1.6


def timed(fence: Fence, places: list[Position]) -> float:
    """Milliseconds of CPU."""
    begin, inside = time.process_time(), None
    for position in places:
        inside = fence.holds(position, ACCURACY_M, inside)
    return (time.process_time() - begin) * 1000


if __name__ == "__main__":
    sys.exit(main())
