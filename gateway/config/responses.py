"""What is said of responses to alarms, and of what has to happen to a high one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal, TypeAlias

from gateway.config.written import Duration, Filled, Id, Text, TextOrMap, Within
from gateway.driver import Doc

_Pulse: TypeAlias = Annotated[Duration, Within(ge=0.2, le=3600)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What happens on the spot while an alarm stands."""

    set: Annotated[dict[str, Literal["on", "off"]], Doc("Outputs to switch: device: on or device: off")] = field(
        default_factory=dict
    )
    pulse: Annotated[
        dict[str, tuple[_Pulse, _Pulse]],
        Doc("By output that is switched on: how long on and how long off, again and again, as in [3s, 1s]"),
    ] = field(default_factory=dict)
    at_most: Annotated[
        dict[str, Annotated[Duration, Within(ge=1, le=86400)]], Doc("By output: after how long it is given up")
    ] = field(default_factory=dict)
    audible: Annotated[tuple[Text, ...], Doc("The outputs that sound: `sitewarden silence` switches them off")] = ()
    until: Annotated[
        Literal["cleared", "acknowledged", "reset"],
        Doc("When it is undone: the alarm is over; somebody has seen it; it is over and somebody has seen it"),
    ] = "cleared"
    say: Annotated[
        str | dict[str, Filled], TextOrMap(), Doc("What people should do: a text, or one in each language of the site")
    ] = ""
    tell: Annotated[tuple[Filled, ...], Doc("Who is to be told, names or roles: it stands in the alarm")] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponsesByPriority:
    """What is done on the spot for rules that name no response of their own."""

    high: Annotated[Id | None, Doc("Of rules of high priority, an id of responses")] = None
    medium: Annotated[Id | None, Doc("Of rules of medium priority")] = None
    low: Annotated[Id | None, Doc("Of rules of low priority")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reporting:
    """What has to happen to a high alarm in its first minutes; what does not is an event, and can be a response."""

    confirm_within: Annotated[
        Duration, Within(gt=0), Doc("By when a platform confirms it, if one may: `commands: [confirm]` at its uplink")
    ] = 100.0
    re_alarm_after: Annotated[Duration, Within(gt=0), Doc("When it is told again, unless a person has seen it")] = 300.0
    escalate_after: Annotated[Duration, Within(gt=0), Doc("When it escalates, unless a person has seen it")] = 480.0
    report_within: Annotated[Duration, Within(gt=0), Doc("When its report counts as overdue")] = 600.0
    unconfirmed: Annotated[Id | None, Doc("What to do while it is not confirmed, an id of responses")] = None
    escalated: Annotated[Id | None, Doc("What to do while it is escalated, an id of responses")] = None
