"""A fire zone: what the smoke detectors of a zone say together, and how many signals make an alarm of it.

    point       is
    fire        alarm, prealarm (a signal that nothing has confirmed), fault (a detector is faulty or silent), test,
                disabled (all detectors are taken out) or normal: the first of these that is so
    detectors   which detectors are not normal, as in `smoke-1 alarm, smoke-3 fault`

    mode          an alarm is                                                           within
    single        any signal; the default                                               -
    verify        a signal that lasts 10 s, comes again, or is joined by another        60 s (10 s to 60 s)
                  detector's
    coincidence   signals of `detectors` detectors, 2 unless said                       120 s (10 s to 10m)

The first signal is a prealarm at once, whatever the mode. A zone is made of all smoke points in it and in the zones in
it; one that is switched off in the configuration is a fault of the zone.

Source: the ways of confirming are those of EN 54-2 (types A and B of dependency); the figures are usual ones. Not
known: how often a detector signals by mistake at a place, which alone tells whether a mode is right there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Annotated, ClassVar, Literal

from gateway.derive.fire import DETECTORS, FIRE, Confirmation, Fire, Mode, Source
from gateway.driver import Derived, Doc, Placed, Seconds, UsualRule, point
from gateway.model import Point, Priority
from gateway.zones import in_zone

_WITHIN_S = {Mode.SINGLE: (0.0, 0.0, 0.0), Mode.VERIFY: (60.0, 10.0, 60.0), Mode.COINCIDENCE: (120.0, 10.0, 600.0)}
"""By mode: usual, least and most seconds of its window."""


@dataclass(frozen=True, slots=True)
class FireZoneOptions:
    """What confirms a signal."""

    mode: Annotated[Literal["single", "verify", "coincidence"], Doc("What makes an alarm of a signal")] = "single"
    within: Annotated[Seconds, Doc("The window for the second signal; 0s: 60s with verify, 120s with coincidence")] = (
        0.0
    )
    detectors: Annotated[int, Doc("With coincidence: how many detectors")] = 2

    def __post_init__(self) -> None:
        """Refuse windows and numbers that confirm nothing."""
        _, least, most = _WITHIN_S[Mode(self.mode)]
        if self.within and self.mode == "single":
            raise ValueError("within: single needs no second signal; leave it out, or write mode: coincidence")
        if self.within and not least <= self.within <= most:
            raise ValueError(f"within: from {least:g}s to {most:g}s with {self.mode}, not {self.within:g}s")
        if not 2 <= self.detectors <= 64:
            raise ValueError(f"detectors: from 2 to 64, not {self.detectors}")
        if self.detectors != 2 and self.mode != "coincidence":
            raise ValueError("detectors: goes with mode: coincidence only; leave it out")


class FireZone(Derived):
    """The smoke detectors of its zone, as one."""

    options: ClassVar[type[FireZoneOptions]] = FireZoneOptions

    def __init__(self, options: FireZoneOptions) -> None:
        mode = Mode(options.mode)
        within_s = options.within or _WITHIN_S[mode][0]
        self._confirmation = Confirmation(mode, within_s, options.detectors)
        self._made_of: tuple[Source, ...] = ()

    @property
    def points(self) -> tuple[Point, ...]:
        """The zone's word, and who it comes from."""
        return (point(FIRE, "fire"), point(DETECTORS, "text"))

    @property
    def usual_rules(self) -> tuple[UsualRule, ...]:
        """An alarm that stands until it is reset, and a lesser one for what nothing has confirmed."""
        return (
            UsualRule("alarm", FIRE, Priority.HIGH, "fire", equals="alarm", latch=True),
            UsualRule("prealarm", FIRE, Priority.MEDIUM, "smoke that nothing has confirmed yet", equals="prealarm"),
        )

    def meet(self, zone: str, devices: Sequence[Placed]) -> None:
        """All smoke points in its zone; ValueError where there are too few for its mode."""
        self._made_of = tuple(
            Source(it.device, each.name)
            for it in devices
            if in_zone(it.zone, zone)
            for each in it.points
            if each.kind == "smoke"
        )
        if not self._made_of:
            raise ValueError(f"zone: there is no smoke detector in {zone}")
        wanted = self._confirmation.detectors
        if self._confirmation.mode is Mode.COINCIDENCE and len(self._made_of) < wanted:
            one = "is one smoke detector" if len(self._made_of) == 1 else f"are {len(self._made_of)} smoke detectors"
            raise ValueError(
                f"mode: there {one} in {zone}, and coincidence wants {wanted}; write mode: single or verify"
            )

    @property
    def sources(self) -> tuple[str, ...]:
        """The detectors."""
        return tuple(dict.fromkeys(source.device for source in self._made_of))

    def derivation(self, timezone: tzinfo) -> Fire:
        """A new one."""
        del timezone
        return Fire(self._made_of, self._confirmation)
