"""The text of records: readings and events as one JSON object each, encoded once, without `seq` and `ts`.

Pure. The shapes are those of gateway/contract/*.json; the uplink adds number and time when it sends.
"""

from __future__ import annotations

from json import JSONEncoder
from math import isfinite

from gateway.model import (
    AlarmView,
    Command,
    DeviceBack,
    DeviceLost,
    Dropped,
    JournalFailed,
    JournalRestored,
    Json,
    LinkBack,
    LinkLost,
    PreviousRun,
    Reading,
    Reply,
    RoomDied,
    UplinkDown,
    UplinkUp,
    Write,
)

encode = JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode
"""A JSON text of the least size; ValueError on NaN and infinity."""


_REMEMBERED = 4096


def telemetry(reading: Reading) -> str:
    """The text of a reading."""
    line: dict[str, object] = {"device": reading.device, "values": reading.values}
    if reading.bad:
        line["bad"] = reading.bad
    return encode(line)


class _Names(dict[str, str]):
    """Names as JSON texts, remembered."""

    def __missing__(self, name: str) -> str:
        if len(self) >= _REMEMBERED:
            self.clear()
        text = self[name] = encode(name)
        return text


class _Floats(dict[float, str]):
    """Numbers as JSON texts, remembered. Only floats: 1 is not written as 1.0."""

    def __missing__(self, value: float) -> str:
        if not isfinite(value):
            raise ValueError(f"{value} is no JSON")
        text = float.__repr__(value)
        if value == 0:  # 0.0 and -0.0 are one key
            return text
        if len(self) >= _REMEMBERED:
            self.clear()
        self[value] = text
        return text


class Telemetry:
    """The text of readings, as `telemetry` makes it, at a fifth of the cost: sensors repeat names and numbers."""

    def __init__(self) -> None:
        self._names = _Names()
        self._floats = _Floats()

    def text(self, reading: Reading) -> str:
        """The text of a reading."""
        if reading.bad:
            return telemetry(reading)
        names, floats = self._names, self._floats
        values = [
            f"{names[name]}:{floats[value] if isinstance(value, float) else encode(value)}"
            for name, value in reading.values.items()
        ]
        return f'{{"device":{names[reading.device]},"values":{{{",".join(values)}}}}}'


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


def alarm(view: AlarmView, change: str, by: str = "") -> str:
    """An alarm's transition: raised, cleared, acknowledged or reset (then `by` names who)."""
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
    return event("alarm", **fields)


def output(write: Write, result: str, why: str) -> str:
    """An output is "switched" on behalf of the alarms `why`, or has "failed" to switch."""
    return event("output", device=write.device, point=write.point, value=write.value, result=result, why=why)


def command(asked: Command, reply: Reply) -> str:
    """A command and what became of it."""
    return event(
        "command",
        id=asked.id,
        name=asked.name,
        issuer=asked.issuer,
        source=asked.source,
        result=reply.result,
        detail=reply.detail,
    )


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
    """A fact about the gateway itself; the event's fields are the fact's."""
    return event(_NAMES[type(fact)], **fact._asdict())
