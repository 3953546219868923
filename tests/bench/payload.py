"""Bytes of MQTT payload per value: one value a reading, ten, and ten compressed. No timing: the same on every machine.

The goals are those of 50 devices that are read once a second; fewer share the head of a message among fewer.
"""

from __future__ import annotations

import sys
from pathlib import Path

TOP = Path(__file__).parent.parent.parent
sys.path[:0] = [str(TOP), str(TOP / "tests")]

from payload_weight import SHAPES, bytes_per_value  # noqa: E402 - runs from any folder


def main() -> int:
    """Print the figures; 1 if one misses its goal."""
    missed = 0
    for name, points, compress, goal in SHAPES:
        figures = {devices: bytes_per_value(devices, points, compress) for devices in (10, 50, 100)}
        told = ", ".join(f"{figure:.1f} with {devices} devices" for devices, figure in figures.items())
        print(f"payload, {name}: {told}, in bytes per value (goal {goal} with 50)")
        missed += figures[50] > goal
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
