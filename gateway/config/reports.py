"""When a point is recorded, and when it is sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, TypeAlias

from gateway.config.written import Duration, Within
from gateway.driver import Doc

_Degrees: TypeAlias = Annotated[float, Within(ge=1, le=180)]
_Every: TypeAlias = Annotated[Duration, Within(gt=0, le=86400)]
_Metres: TypeAlias = Annotated[float, Within(ge=0, le=1_000_000)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """When a point that is recorded is also sent; until then it is only stored."""

    deadband: Annotated[
        Annotated[float, Within(ge=0)] | None,
        Doc("Sent when it has moved by more than this from what was sent last; default: that of recording"),
    ] = None
    max_every: Annotated[
        _Every | None,
        Doc("Sent after this time at the latest, changed or not; default: that of recording"),
    ] = None
    distance: Annotated[_Metres | None, Doc("As in report; default: that of recording")] = None
    turn: Annotated[_Degrees | None, Doc("As in report; default: that of recording")] = None
    at_rest_every: Annotated[_Every | None, Doc("As in report; default: that of recording")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """When a point is recorded: when it has changed, and from time to time even if it has not."""

    deadband: Annotated[
        float, Within(ge=0), Doc("Recorded when it has moved by more than this, in the point's unit; numbers only")
    ] = 0.0
    max_every: Annotated[
        _Every | None,
        Doc("Recorded after this time at the latest, changed or not; default: 60s, for a position that moves 30s"),
    ] = None
    distance: Annotated[
        _Metres | None, Doc("Of a position: recorded when it is so far from the last one, in metres; default: 200")
    ] = None
    turn: Annotated[
        _Degrees | None, Doc("Of a position: recorded when its course has changed by so many degrees; default: 10")
    ] = None
    at_rest_every: Annotated[
        _Every | None, Doc("Of a position: recorded after this time where it has not moved by 30 m; default: 5m")
    ] = None
    send: Annotated[
        Send | None, Doc("When it is sent, where that is less often; without it all that is recorded is")
    ] = None
