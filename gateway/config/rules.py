"""What is said of rules: conditions, single and several, and what makes an alarm of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from gateway.config.written import Duration, Id, PairOrName, PerTime, Text, Within, ZonePath
from gateway.driver import Doc
from gateway.model import Priority


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """A condition on one point (`point: device.point`), or on all points of a kind (`kind`, and `zone` if not all)."""

    point: Annotated[Text | None, Doc("The one point that it is about: device.point")] = None
    kind: Annotated[Text | None, Doc("The kind of points that it is about, as in smoke")] = None
    zone: Annotated[ZonePath | None, Doc("With kind: only points in this zone and the zones in it")] = None
    above: Annotated[float | None, Doc("Alarm while the value is greater")] = None
    below: Annotated[float | None, Doc("Alarm while the value is less")] = None
    outside: Annotated[
        Annotated[tuple[float, float] | Id, PairOrName()] | None,
        Doc("Alarm below the first or above the second; or, of a position, outside of this fence"),
    ] = None
    inside: Annotated[Id | None, Doc("Of a position: alarm inside of this fence, an id of fences")] = None
    equals: Annotated[bool | int | float | str | None, Doc("Alarm while the value is this, as in open or alarm")] = None
    clear_below: Annotated[float | None, Doc("With above or outside: the alarm ends at this value, not before")] = None
    clear_above: Annotated[float | None, Doc("With below or outside: the alarm ends at this value, not before")] = None

    @property
    def limits(self) -> tuple[float | None, float | None]:
        """Below the first, or above the second, is alarm."""
        return self.outside if isinstance(self.outside, tuple) else (self.below, self.above)

    @property
    def fence(self) -> str | None:
        """The fence that it is about."""
        return self.outside if isinstance(self.outside, str) else self.inside


@dataclass(frozen=True, slots=True, kw_only=True)
class Suppression(Term):
    """What the plant does that explains an alarm: a defrost, an open dock door."""

    for_at_most: Annotated[Duration, Within(gt=0, le=14_400), Doc("After so long it explains nothing any more")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule(Term):
    """A condition, or one made of several, and what follows from it."""

    enabled: Annotated[bool, Doc("false: checked, but not used")] = True
    changes_faster_than: Annotated[PerTime | None, Doc("Alarm while it has changed by more, as in 5/10min")] = None
    silent_for: Annotated[
        Annotated[Duration, Within(gt=0)] | None, Doc("Alarm when no good value came for so long")
    ] = None
    all_of: Annotated[tuple[Term, ...], Doc("One alarm while all of these hold")] = ()
    any_of: Annotated[tuple[Term, ...], Doc("One alarm while one of these holds")] = ()
    at_least: Annotated[int | None, Within(ge=1), Doc("With of: one alarm while at least so many of these hold")] = None
    of: Annotated[tuple[Term, ...], Doc("What at_least counts; all points of a kind count one by one")] = ()
    for_: Annotated[
        Annotated[Duration, Within(ge=0)] | None,
        Doc("How long the condition must hold before the alarm (on-delay); default: that of the kind, else 0s"),
    ] = None
    clear_for: Annotated[
        Annotated[Duration, Within(ge=0)] | None,
        Doc("How long it must have ended before the alarm does (off-delay); default: that of the kind, else 0s"),
    ] = None
    during: Annotated[Id | None, Doc("A rule within these hours alone, an id of hours")] = None
    not_during: Annotated[Id | None, Doc("A rule outside of these hours alone, an id of hours")] = None
    priority: Annotated[Priority, Doc("The risk: high, medium or low")] = Priority.MEDIUM
    re_alarm_after: Annotated[
        Annotated[Duration, Within(ge=60)] | None,
        Doc("When one that was acknowledged and still stands is told again"),
    ] = None
    suppressed_while: Annotated[
        Suppression | None, Doc("While this holds the alarm is recorded and calls nobody; not for a high one")
    ] = None
    hold_chattering: Annotated[
        bool, Doc("An alarm that comes three times in a minute is held for ten; false: it comes and goes as it does")
    ] = True
    latch: Annotated[bool | None, Doc("true: stands until a person resets it; default: only of smoke")] = None
    response: Annotated[Id | None, Doc("What to do on the spot, an id of responses")] = None
    text: Annotated[Text, Doc("What is wrong, for people; default: the condition in words")] = ""
