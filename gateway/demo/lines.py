"""The demo told in lines, for a pipe, a log or a terminal that cannot draw: what happens, and a count now and then."""

from __future__ import annotations

from typing import TextIO

from gateway.demo.view import View, clock
from gateway.model import Status

_COUNTS_EVERY_S = 5.0


class Lines:
    """Prints what is new in each view."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._caption = ""
        self._told = 0
        self._counts_due = 0.0

    def open(self) -> None:
        """Say what this is."""
        self._say("Sitewarden demo. This is a simulation: no real sensors, no real siren.")

    def close(self) -> None:
        """Nothing to give back."""

    def show(self, view: View) -> None:
        """Print the caption if it has changed, what has happened since, and every few seconds how things stand."""
        if view.caption != self._caption:
            self._caption = view.caption
            self._say(f"{clock(view.at_s)} STORY    {view.caption}")
        new = min(view.happened - self._told, len(view.happenings))
        for happening in view.happenings[len(view.happenings) - new :]:
            self._say(f"{clock(happening.at_s)} {happening.text}")
        self._told = view.happened
        if view.status is not None and view.at_s >= self._counts_due:
            self._counts_due = view.at_s + _COUNTS_EVERY_S
            self._say(f"{clock(view.at_s)} COUNTS   {_counts(view, view.status)}")

    def _say(self, line: str) -> None:
        self._out.write(line + "\n")
        self._out.flush()


def _counts(view: View, status: Status) -> str:
    good = sum(point.quality == "good" for point in status.points)
    parts = [f"{good} of {len(status.points)} points good", f"alarms: {len(status.alarms)}"]
    if journal := status.health.journal:
        parts.append(f"journal {journal.state}, {journal.rows:,} records")
    parts += [f"{u.uplink} {u.state}, {u.acked:,} acknowledged" for u in status.health.uplinks]
    if got := view.received:
        parts.append(f"platform has {got.records:,}, {got.missing:,} missing")
    return "; ".join(parts)
