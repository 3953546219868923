"""What the demo shows at one moment, and how a value, an age or an alarm reads to a person. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from gateway.model import AlarmState, PointStatus, Status, Value


class Received(NamedTuple):
    """What the demo's platform has: different records, those that came twice, those missing, those from the backlog."""

    records: int
    twice: int
    missing: int
    late: int


class Happening(NamedTuple):
    """Something that happened `at_s` seconds into the demo, told in one sentence."""

    at_s: float
    text: str


class View(NamedTuple):
    """Everything a screen or a line printer needs. `received` is None where the broker is not the demo's own."""

    at_s: float
    ends_s: float
    caption: str
    status: Status | None
    received: Received | None
    happenings: Sequence[Happening]  # the last ones
    happened: int  # how many there have been in all


STATES = {
    AlarmState.NORMAL: "normal",
    AlarmState.UNACK_ACTIVE: "active",
    AlarmState.ACK_ACTIVE: "acknowledged",
    AlarmState.RTN_UNACK: "over",
    AlarmState.LATCHED_UNACK: "latched",
    AlarmState.LATCHED_ACK: "latched, ack",
}
"""The states of an alarm in at most twelve characters; "over" still waits for an acknowledgement."""

_WORDS = {"people": "inside", "people_in": "in", "people_out": "out"}
_MINOR = frozenset({"contact", "output", "setting", "satellites", "hdop", "course", "altitude"})


def written(kind: str, unit: str, value: Value | None) -> str:
    """A value as people write it, with its unit."""
    match value:
        case None:
            return "-"
        case (latitude, longitude):
            north, east = "N" if latitude >= 0 else "S", "E" if longitude >= 0 else "W"
            return f"{abs(latitude):.4f}°{north} {abs(longitude):.4f}°{east}"
        case bool() | str():
            return str(value)
        case float():
            return f"{value:.1f} {_WORDS.get(kind, unit)}".rstrip()
    return f"{value} {_WORDS.get(kind, unit)}".rstrip()


def age(seconds: float | None) -> str:
    """How old something is, short."""
    if seconds is None:
        return "-"
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min"


def clock(seconds: float) -> str:
    """A time of the story: minutes and seconds."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def size(count: int) -> str:
    """A number of bytes, short."""
    return f"{count / 1e6:.1f} MB" if count >= 1_000_000 else f"{count / 1e3:.0f} kB"


class Row(NamedTuple):
    """One device in the table: its place, its telling points as text, the worst quality and the age of that point.

    `on`: it is an output, and switched on.
    """

    zone: str
    device: str
    values: str
    age: str
    quality: str
    on: bool


def rows(status: Status) -> list[Row]:
    """The table of devices, in the order of the configuration."""
    return [
        _row(device.zone, [p for p in status.points if p.device == device.device]) for device in status.about.devices
    ]


def telling(points: Sequence[PointStatus]) -> list[PointStatus]:
    """The points of a device that a person asks for first: not its spare inputs, settings and side values."""
    main = [p for p in points if p.kind not in _MINOR] or list(points[:1])
    return sorted(main, key=lambda p: p.kind != "people")[:3]  # how many are inside goes before who came and left


def _row(zone: str, points: Sequence[PointStatus]) -> Row:
    shown = telling(points)
    if not shown:
        return Row(zone, "", "", "", "", on=False)
    kinds = [p.kind for p in shown]
    values = [
        f"{p.point} {written(p.kind, p.unit, p.value)}" if kinds.count(p.kind) > 1 else written(p.kind, p.unit, p.value)
        for p in shown
    ]
    worst = next((p for p in shown if p.quality != "good"), shown[0])
    return Row(zone, worst.device, "  ".join(values), age(worst.age_s), worst.quality, _on(shown))


def _on(points: Sequence[PointStatus]) -> bool:
    return any(p.kind == "output" and p.value == "on" for p in points)
