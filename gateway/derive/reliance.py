"""How far a count of people can be relied on, and why no further."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from gateway.derive.headcount import Headcount

REASONS = 3  # that are told


def reliance(head: Headcount, awaited: Collection[str], doubts: Sequence[str]) -> tuple[str, str]:
    """`good`, `drifting` or `uncertain`, and the reason; `awaited`: doors that have not been heard since the start."""
    silent = [f"{door} is silent" for door in sorted(head.silent)]
    unheard = [f"{door} was not heard yet" for door in awaited if door not in head.silent]
    reasons = [*silent, *unheard, *doubts]
    if reasons:
        more = f"; and {len(reasons) - REASONS} more" if len(reasons) > REASONS else ""
        return "uncertain", "; ".join(reasons[:REASONS]) + more
    if head.drifts:
        return "drifting", f"{head.clamped} more left than had come, of {head.entries} who came"
    return "good", ""
