"""What a configuration says of recording, for the hub: when each point of a device is worth a record. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf

from gateway.config.schema import Device, Report, Send
from gateway.model import Point
from gateway.refine.exception import REPEAT_S, Limit, Sending, Thinning
from gateway.units import STEADY_KINDS, Form

TIME_EVERY_S = 3600.0
"""How often a time that a device tells is recorded: it is never the same, and beside the reading's own says little."""

_WORDS = frozenset({Form.STATE, Form.TEXT})
_USUAL = Thinning()
_APART = STEADY_KINDS | {"time"}
_OF_A_TRACK = Report()


def limits(device: Device, by_kind: Mapping[str, Report]) -> dict[str, Limit]:
    """A point's own report, else that of its kind; what stays as it is, as a state or text, when it changes.

    A position of which something is said is thinned, as that of a track is in any case; then what is beside it goes
    with it, unless something is said of that.
    """
    points = device.built.points
    said = {it.name: found for it in points if (found := device.report.get(it.name, by_kind.get(it.kind))) is not None}
    if any(it.kind == "motion" for it in points):
        said |= {it.name: _OF_A_TRACK for it in points if it.kind == "position" and it.name not in said}
    track = next((it.name for it in points if it.form is Form.POSITION and it.name in said), None)
    if track is None:
        own = {it.name: _limit(it, said.get(it.name)) for it in points}
        return {name: limit for name, limit in own.items() if limit is not None}
    return _of_track(track, points, said)


def _of_track(track: str, points: tuple[Point, ...], said: Mapping[str, Report]) -> dict[str, Limit]:
    speed, course = (next((it.name for it in points if it.kind == kind), "") for kind in ("speed", "course"))
    thinning = _thinning(said[track], _USUAL._replace(speed=speed, course=course))
    most_s = max(thinning.moving_every_s, thinning.resting_every_s)
    send = said[track].send
    sent = None if send is None else _thinning(send, thinning)
    follower = Limit(inf, most_s, follows=True)
    apart = {it.name for it in points if it.name in said or it.kind in _APART}
    found = {it.name: (_limit(it, said.get(it.name)) if it.name in apart else None) or follower for it in points}
    return found | {track: Limit(0.0, most_s, thinning=thinning, sent_thinning=sent)}


def _thinning(said: Report | Send, otherwise: Thinning) -> Thinning:
    return otherwise._replace(
        distance_m=_or(said.distance, otherwise.distance_m),
        turn=_or(said.turn, otherwise.turn),
        moving_every_s=_or(said.max_every, otherwise.moving_every_s),
        resting_every_s=_or(said.at_rest_every, max(otherwise.resting_every_s, _or(said.max_every, 0.0))),
    )


def _or(given: float | None, otherwise: float) -> float:
    return otherwise if given is None else given


def _limit(point: Point, report: Report | None) -> Limit | None:
    if report is not None:
        every_s = _or(report.max_every, REPEAT_S)
        return Limit(report.deadband, every_s, _sending(report, every_s))
    if point.kind == "time":
        return Limit(inf, TIME_EVERY_S)
    return Limit() if point.form in _WORDS or point.kind in STEADY_KINDS else None


def _sending(report: Report, every_s: float) -> Sending | None:
    """What is not said of sending is as for recording."""
    send = report.send
    if send is None:
        return None
    return Sending(_or(send.deadband, report.deadband), _or(send.max_every, every_s))
