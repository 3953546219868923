"""Zones: places in places, as `cold-store/room-1`. Pure."""

from __future__ import annotations


def in_zone(zone: str, around: str) -> bool:
    """Whether `zone` is `around` or lies in it: `cold-store/room-1` lies in `cold-store`."""
    return zone == around or zone.startswith(around + "/")
