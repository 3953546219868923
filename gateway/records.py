"""The text of records: readings and events as one JSON object each, encoded once, without `seq` and `ts`.

Pure. The shapes are those of gateway/contract/*.json; the uplink adds number and time when it sends.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from json import JSONEncoder
from math import isfinite
from typing import NamedTuple, cast

from gateway.model import (
    AlarmView,
    Command,
    DeviceBack,
    DeviceLost,
    Dropped,
    Hidden,
    JournalFailed,
    JournalRestored,
    Json,
    LinkBack,
    LinkLost,
    PreviousRun,
    Reading,
    Reply,
    RoomDied,
    TurnedAway,
    UplinkDown,
    UplinkUp,
    Value,
    Write,
)

MAX_REASON = 256
"""Characters of what a person says why."""

MAX_ARGS = 1000
"""Characters of what a command asked for that stand in its event."""

encode = JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode
"""A JSON text of the least size; ValueError on NaN and infinity."""


def telemetry(reading: Reading) -> str:
    """The text of a reading."""
    line: dict[str, object] = {"device": reading.device, "values": reading.values}
    if reading.bad:
        line["bad"] = reading.bad
    if reading.test:
        line["test"] = True
    return encode(line)


_NUMBERS = frozenset({float, int})  # and no type made of them: True is not written as 1


class Telemetry:
    """The text of readings, as `telemetry` makes it, at a fraction of the cost: a device's names stay the same."""

    _FORMS = 1024

    def __init__(self) -> None:
        self._forms: dict[tuple[str, ...], str] = {}  # by device and names, with a place for each value

    def text(self, reading: Reading) -> str:
        """The text of a reading."""
        values = reading.values.values()
        if reading.bad or reading.test or not _NUMBERS.issuperset(map(type, values)):
            return telemetry(reading)
        if not _finite(cast("Iterable[float]", values)):
            return telemetry(reading)
        names = reading.device, *reading.values
        form = self._forms.get(names) or self._form(names)
        return form % tuple(values)

    def _form(self, names: tuple[str, ...]) -> str:
        if len(self._forms) >= self._FORMS:
            self._forms.clear()
        device, *points = (encode(name).replace("%", "%%") for name in names)
        values = ",".join(f"{point}:%s" for point in points)  # a number as Python writes it is JSON
        form = self._forms[names] = f'{{"device":{device},"values":{{{values}}}}}'
        return form


def _finite(numbers: Iterable[float]) -> bool:
    """Whether all are finite; False also where their sum does not tell."""
    try:
        return isfinite(sum(numbers))
    except OverflowError:
        return False


def event(name: str, /, **fields: Json) -> str:
    """The text of an event with this name and these fields."""
    return encode({"event": name, **fields})


def started(version: str, config: str, fate: str, previous: PreviousRun | None) -> str:
    """The first event of a run: what it runs, and what became of the journal and of the run before."""
    before: Json = None
    if previous is not None:
        before = {"run": previous.run, "event": previous.last_event, "telemetry": previous.last_telemetry}
    return event("started", version=version, config=config, journal=fate, previous=before)


def subject(view: AlarmView) -> dict[str, Json]:
    """Which rule on which point made an alarm; nothing for the gateway's own."""
    if not view.rule:
        return {}
    return {"rule": view.rule, "device": view.device, "point": view.point, "zone": view.zone}


def alarm(view: AlarmView, change: str, by: str = "", why: str = "", *, batched: bool = False) -> str:
    """An alarm's transition: raised, cleared, or what a person has done about it (then `by` names who).

    `batched`: people are told of it with others.
    """
    fields: dict[str, Json] = {
        "alarm": view.alarm,
        "change": change,
        "state": view.state,
        "priority": view.priority,
        **subject(view),
        "text": view.text,
        "say": view.say,
    }
    if view.value is not None:
        fields["value"] = view.value
    if by:
        fields["by"] = by
    if why:
        fields["why"] = why
    if batched:
        fields["batched"] = True
    return event("alarm", **fields, **marks(view))


def marks(view: AlarmView) -> dict[str, Json]:
    """What is said of an alarm only where it is so: that it is hidden, that it chatters, is of a test."""
    said: dict[str, Json] = {} if view.hidden is None else {"hidden": _hidden(view.hidden)}
    if view.chattering:
        said["chattering"] = True
    if view.report:
        said["report"] = view.report
    if view.silenced:
        said["silenced"] = True
    if view.say_in:
        said["say_in"] = dict(view.say_in)
    if view.tell:
        said["tell"] = list(view.tell)
    if view.test:
        said["test"] = True
    return said


def _hidden(about: Hidden) -> dict[str, Json]:
    fields: dict[str, Json] = {"how": about.how, "by": about.by, "why": about.why}
    return fields if about.until is None else fields | {"until": about.until}


def output(
    write: Write, result: str, why: str, pulse: tuple[float, float] | None = None, *, trial: bool = False
) -> str:
    """An output is "switched" on behalf of the owners `why`, or has "failed" to switch."""
    more: dict[str, Json] = {} if pulse is None else {"pulse_s": list(pulse)}
    if trial:
        more["test"] = True
    return event("output", device=write.device, point=write.point, value=write.value, result=result, why=why, **more)


def held(device: str, point: str, value: Value, note: tuple[str, str], trial: str, until: int) -> str:
    """A person (`note`: who, and why) holds an output until `until` (UTC ms), or tries the response `trial`."""
    return event("output", device=device, point=point, value=value, result="held", until=until, **_by(note, trial))


def let_go(device: str, point: str, note: tuple[str, str], trial: str) -> str:
    """What a person held belongs to the alarms alone again."""
    return event("output", device=device, point=point, result="let_go", **_by(note, trial))


def _by(note: tuple[str, str], trial: str) -> dict[str, Json]:
    by, why = note
    fields: dict[str, Json] = {"by": by, "why": why}
    return fields | {"test": True, "response": trial} if trial else fields


class Wanted(NamedTuple):
    """A write that a command asks for: what, by whom, over which uplink ("local": on the spot), and why."""

    device: str
    point: str
    value: int | float
    id: str
    by: str
    source: str
    reason: str


def write(wanted: Wanted, result: str, was: Value | None = None, back: Value | None = None, detail: str = "") -> str:
    """A write to a setting is "requested", or what became of it; `was` before it, `back` after it, where known."""
    known = {name: value for name, value in (("was", was), ("back", back)) if value is not None}
    return event("write", **wanted._asdict(), result=result, detail=detail, **known)


def command(asked: Command | TurnedAway, reply: Reply, untold: int = 0) -> str:
    """A command and what became of it; `untold`: how many like it were refused before and are on no record."""
    fields: dict[str, Json] = {
        "id": asked.id,
        "name": asked.name,
        "issuer": asked.issuer,
        "source": asked.source,
        "result": reply.result,
        "detail": reply.detail,
    }
    if isinstance(asked, Command):
        fields |= _asked(asked.args)
        fields |= {} if asked.signed is None else {"signed": asked.signed.key}
    return event("command", **(fields | {"untold": untold} if untold else fields))


def _asked(args: Mapping[str, Json]) -> dict[str, Json]:
    """What was asked for, and why, as far as that is short enough to stand on record."""
    reason, rest = args.get("reason"), {name: it for name, it in args.items() if name not in {"reason", "of"}}
    said: dict[str, Json] = {"args": rest} if rest and _fits(rest) else {}
    return said | {"reason": reason} if isinstance(reason, str) and 0 < len(reason) <= MAX_REASON else said


def _fits(args: Mapping[str, Json]) -> bool:
    try:
        return len(encode(args)) <= MAX_ARGS
    except ValueError:  # a number that JSON cannot hold
        return False


def configured(config: str, before: str, asked: Command, words: tuple[str, ...]) -> str:
    """The configuration with the hash `config` is in use in place of `before`; `words`: what has changed."""
    return event("configured", config=config, before=before, by=asked.issuer, source=asked.source, changed=list(words))


GatewayFact = (
    LinkLost
    | LinkBack
    | DeviceLost
    | DeviceBack
    | UplinkUp
    | UplinkDown
    | JournalFailed
    | JournalRestored
    | Dropped
    | RoomDied
)

_NAMES = {
    LinkLost: "link_lost",
    LinkBack: "link_back",
    DeviceLost: "device_lost",
    DeviceBack: "device_back",
    UplinkUp: "uplink_up",
    UplinkDown: "uplink_down",
    JournalFailed: "journal_failed",
    JournalRestored: "journal_restored",
    Dropped: "gap",
    RoomDied: "room_died",
}


def gateway_fact(fact: GatewayFact) -> str:
    """A fact about the gateway itself; the event's fields are the fact's, as far as they are known."""
    return event(_NAMES[type(fact)], **{name: value for name, value in fact._asdict().items() if value is not None})
