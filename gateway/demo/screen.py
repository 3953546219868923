"""The live picture of the demo in a terminal, by ANSI codes alone.

Invariants: a frame never has more lines or wider lines than the terminal, whatever its size; lines that did not change
are not sent again; the terminal is as before when `close` returns.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import NamedTuple, TextIO

from gateway.demo.view import STATES, View, age, clock, rows, size
from gateway.model import AlarmState, AlarmView, HealthReport, Priority, Status

_ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l"  # the other screen, no cursor, no wrapping
_LEAVE = "\x1b[?7h\x1b[?25h\x1b[?1049l"
_STYLES: Mapping[str, str] = {
    "": "",
    "bold": "1",
    "dim": "2",
    "banner": "1;7",
    "good": "32",
    "warn": "33",
    "bad": "1;31",
    "info": "36",
}
_USUAL = os.terminal_size((80, 24))
_URGENCY = {Priority.HIGH: "bad", Priority.MEDIUM: "warn", Priority.LOW: "info"}
_OVER = frozenset({AlarmState.RTN_UNACK})


class Span(NamedTuple):
    """A piece of a line in one style."""

    text: str
    style: str = ""


def frame(view: View, columns: int, lines: int) -> list[str]:
    """The picture: at most `lines` lines of at most `columns` characters beside the codes, most important first."""
    top = _head(view, columns)
    if view.status is None:
        body = [[Span(" The gateway is starting ...", "dim")]]
    else:
        body = [*_table(view.status, columns), [], *_alarms(view.status), [], *_counters(view, view.status.health)]
    picture = [*top, *body]
    room = lines - len(picture) - 1
    if room < 0:  # a low terminal: the blank lines go first, then the end of the list
        picture = [line for line in picture if line]
        room = lines - len(picture) - 1
    if view.happenings and room > 0:
        picture += [[], *([Span(f" {clock(h.at_s)}  {h.text}", "dim")] for h in view.happenings[-room:])]
    return [_drawn(line, columns) for line in picture[:lines]]


def _head(view: View, columns: int) -> list[list[Span]]:
    left = " SITEWARDEN demo   A simulation: no real sensors, no real siren"
    right = f"{clock(view.at_s)} of {clock(view.ends_s)} " if view.at_s < view.ends_s else "Ctrl-C ends "
    banner = left + right.rjust(max(0, columns - len(left)))
    return [[Span(banner, "banner")], [Span(f" ▸ {view.caption}", "bold")], []]


def _table(status: Status, columns: int) -> list[list[Span]]:
    wide = max(20, columns - 51)  # what the other columns leave; "out_of_range" is the widest quality
    table = [[Span(f" {'ZONE':<18} {'DEVICE':<10} {'VALUES':<{wide}} {'AGE':>5}  QUALITY", "dim")]]
    alarmed = {a.device: a for a in status.alarms if a.state not in _OVER}
    for row in rows(status):
        fine = row.quality == "good"
        alarm = alarmed.get(row.device)
        style = "dim" if not fine else "bad" if row.on else _URGENCY[alarm.priority] if alarm else ""
        table.append(
            [
                Span(f" {row.zone:<18.18} ", "dim"),
                Span(f"{row.device:<10.10} "),
                Span(f"{row.values:<{wide}.{wide}} ", style),
                Span(f"{row.age:>5}  ", "" if fine else "warn"),
                Span(row.quality, "good" if fine else "dim" if row.quality == "waiting" else "bad"),
            ]
        )
    return table


def _alarms(status: Status) -> list[list[Span]]:
    if not status.alarms:
        return [[Span(" ALARMS   "), Span("none", "good")]]
    return [_alarm(alarm, status.ts) for alarm in sorted(status.alarms, key=lambda a: (a.state in _OVER, -a.since))]


def _alarm(alarm: AlarmView, now_ts: int) -> list[Span]:
    style = "dim" if alarm.state in _OVER else _URGENCY[alarm.priority]
    since = age(max(0.0, (now_ts - alarm.since) / 1000))
    told = f" {alarm.priority.upper():<6} {STATES[alarm.state]:<12} {since:>6}  {alarm.device:<10} {alarm.text}"
    return [Span(told, style)]


def _counters(view: View, health: HealthReport) -> list[list[Span]]:
    lines = [[Span(" JOURNAL  has said nothing yet", "warn")]]
    if journal := health.journal:
        recorded = health.counts.get("telemetry", 0) + health.counts.get("events", 0)
        not_stored = health.counts.get("not_stored", 0)
        told = f" JOURNAL  {recorded:,} recorded  {not_stored:,} in memory  {size(journal.bytes)}  "
        lines = [[Span(told), Span(journal.state, "good" if journal.state == "ok" else "bad")]]
    for uplink in health.uplinks:
        online = uplink.state == "online"
        waiting = health.journal.backlog.get(uplink.uplink, 0) if health.journal else 0
        lines.append(
            [
                Span(f" UPLINK   {uplink.acked:,} acknowledged  "),
                Span(f"{waiting:,} waiting  ", "" if online else "warn"),
                Span(f"online, MQTT {uplink.version}" if online else uplink.state, "good" if online else "bad"),
            ]
        )
    if got := view.received:
        missing = Span(f"{got.missing:,} missing", "warn" if got.missing else "good")
        told = f"  {got.twice:,} twice  {got.late:,} came later, from the disk"
        lines.append([Span(f" PLATFORM {got.records:,} received  "), missing, Span(told)])
    return lines


def _drawn(line: Iterable[Span], columns: int) -> str:
    """One line with its codes, cut to `columns` visible characters."""
    drawn, room = "", columns
    for span in line:
        text = span.text[:room]
        room -= len(text)
        code = _STYLES[span.style]
        drawn += f"\x1b[{code}m{text}\x1b[0m" if code and text else text
    return drawn


class Screen:
    """Owns the terminal behind `out` between `open` and `close`."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._shown: list[str] = []
        self._size = os.terminal_size((0, 0))
        self._opened = False

    def open(self) -> None:
        """Take the terminal over; what it showed comes back on `close`."""
        self._opened = True
        self._out.write(_ENTER)

    def close(self) -> None:
        """Give the terminal back. Idempotent."""
        if self._opened:
            self._opened = False
            self._out.write(_LEAVE)
            self._out.flush()

    def show(self, view: View) -> None:
        """Draw what has changed; all of it after the terminal changed its size."""
        now = self._measured()
        drawn = frame(view, now.columns, now.lines)
        if now != self._size:
            self._out.write("\x1b[2J")
            self._shown, self._size = [], now
        for number in range(max(len(drawn), len(self._shown))):
            line = drawn[number] if number < len(drawn) else ""
            if number >= len(self._shown) or self._shown[number] != line:
                self._out.write(
                    f"\x1b[{number + 1};1H\x1b[K{line}"
                )  # erased first: at full width the cursor stays on it
        self._out.flush()
        self._shown = drawn

    def _measured(self) -> os.terminal_size:
        """The terminal's size now (the environment's COLUMNS would not follow a resize); serial ones do not know it."""
        try:
            found = os.get_terminal_size(self._out.fileno())
        except OSError:
            found = _USUAL
        return found if all(found) else _USUAL
