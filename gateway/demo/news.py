"""What has changed between two looks at the gateway, as sentences. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.model import AlarmState, AlarmView, Status

_TOLD = {
    AlarmState.UNACK_ACTIVE: "raised",
    AlarmState.ACK_ACTIVE: "acknowledged, still active",
    AlarmState.RTN_UNACK: "over, waits for an acknowledgement",
    AlarmState.LATCHED_UNACK: "cause is over, latched: waits for an acknowledgement",
    AlarmState.LATCHED_ACK: "acknowledged, waits for a reset",
}


def news(before: Status | None, now: Status) -> Iterator[str]:
    """Changes of alarms, outputs, devices, journal and uplinks."""
    old_alarms = {alarm.alarm: alarm for alarm in before.alarms} if before else {}
    for alarm in now.alarms:
        old = old_alarms.pop(alarm.alarm, None)
        if old is None or old.state is not alarm.state:
            yield _alarm(alarm)
    for gone in old_alarms:
        yield f"ALARM    {gone}: normal"
    yield from _states("OUTPUT", _outputs(before), _outputs(now), rest="off")
    yield from _states("DEVICE", _devices(before), _devices(now), rest="good")
    yield from _states("UPLINK", _uplinks(before), _uplinks(now))
    yield from _states("JOURNAL", _journal(before), _journal(now))


def _alarm(alarm: AlarmView) -> str:
    if alarm.state is AlarmState.NORMAL and alarm.hidden is not None:
        return f"ALARM    {alarm.alarm}: would not call now, {alarm.hidden.how.replace('_', ' ')}: {alarm.hidden.why}"
    told = f"ALARM    {alarm.alarm}: {_TOLD.get(alarm.state, alarm.state)}"
    return f"{told}. {alarm.text} ({alarm.priority})" if alarm.state is AlarmState.UNACK_ACTIVE else told


def _states(head: str, before: dict[str, str], now: dict[str, str], rest: str = "") -> Iterator[str]:
    """What is in another state than before; a name that is new is no news at `rest`."""
    for name, state in now.items():
        if before.get(name, rest) != state:
            yield f"{head:<8} {name}: {state}"


def _outputs(status: Status | None) -> dict[str, str]:
    """Outputs as they were read back, not as they are wanted."""
    points = status.points if status else ()
    return {f"{p.device}.{p.point}": str(p.value) for p in points if p.kind == "output" and p.value is not None}


def _devices(status: Status | None) -> dict[str, str]:
    """The worst quality among each device's points; a device that is only waited for is no news."""
    worst: dict[str, str] = {}
    for point in status.points if status else ():
        if point.quality != "waiting" and worst.get(point.device, "good") == "good":
            worst[point.device] = point.quality
    return worst


def _uplinks(status: Status | None) -> dict[str, str]:
    return {uplink.uplink: uplink.state for uplink in status.health.uplinks} if status else {}


def _journal(status: Status | None) -> dict[str, str]:
    return {"on disk": status.health.journal.state} if status and status.health.journal else {}
