"""A monotonic moment as it is stored, so that a later run finds it again. Pure.

In the same boot monotonic time runs on. After another boot wall time counts, if the clock is known; else nobody knows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gateway.model import Json, Moment, Trust


def stored(mono: float, now: Moment, boot: str) -> list[Json]:
    """The moment `mono` (s) as wall time (UTC ms), monotonic time and the boot that this belongs to."""
    return [now.ts + round((mono - now.mono) * 1000), mono, boot]


def recalled(kept: Sequence[Any], boot: str, now: Moment) -> float | None:
    """The moment in this boot's monotonic time (s); None: not known. ValueError or TypeError for other data."""
    ts, mono, its_boot = kept
    if boot and its_boot == boot:
        return float(mono)
    return now.mono + (int(ts) - now.ts) / 1000 if now.trust is not Trust.UNSYNCED else None
