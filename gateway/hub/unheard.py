"""Rules that cannot be judged, since the values that they are about do not come: an alarm of the gateway's own. Pure.

- A device has `no-data@DEVICE` while a point of it that has rules has had no good value for three of its intervals, and
  for half a minute at least; for ten minutes where positions come from satellites, which a hall or tunnel hides.
  What is bad or missing is unknown, never normal: the rules' own alarms stay as they are.
- While its link is down a device says nothing of its own: there is `link-down@LINK`, after half a minute.
- Where smoke is looked at both are told within half a minute, with the time between two looks: its patience is 15 s.
- A device that is made of others is silent with them: where one of those, or its link, is told of already, it is not.
- A rule on silence says the same in its own words; its point is left to it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from math import inf
from typing import NamedTuple

from gateway.hub.own import Trouble
from gateway.hub.points import Points
from gateway.model import LinkBack, LinkLost, Priority

PATIENCE_S, INTERVALS, SATELLITE_PATIENCE_S = 30.0, 3, 600.0
"""How long values may be missing: so many seconds at least, and so many intervals; and how long positions may."""

SMOKE_PATIENCE_S = 15.0

LOOK_EVERY_S = 10.0


class Watched(NamedTuple):
    """The points of one device that rules are about, its link, and how long they may be missing (s)."""

    link: str  # "": none, it is made of other devices
    points: tuple[str, ...]
    patience_s: float
    smoke: bool  # whether it is a detector of smoke, or a zone of such
    sources: tuple[tuple[str, str], ...] = ()  # what it is made of, down to devices that have a link: with that link


class Unheard:
    """Who has not been heard. Owned by the hub alone; worth a look from `wake` (monotonic s) on."""

    def __init__(self, watched: Mapping[str, Watched], mono: float) -> None:
        self._watched = watched
        self._links = frozenset(each.link for each in watched.values() if each.link)
        self._patience_s = _by_link(watched)
        self._start = mono
        self._down: dict[str, tuple[float, LinkLost]] = {}
        self._up: dict[str, float] = {}  # since when
        self._begun: dict[str, float] = {}  # since when devices are watched that were not at the start
        self.wake = mono + LOOK_EVERY_S if watched else inf

    def change(
        self, watched: Mapping[str, Watched], links: Collection[str], anew: Collection[str], mono: float
    ) -> None:
        """Other points are watched from now on. Devices that are `anew` have as much time as at the start."""
        begun = {device: mono for device in watched if device in anew or device not in self._watched}
        self._begun = {device: at for device, at in self._begun.items() if device in watched} | begun
        self._watched = watched
        self._links = frozenset(each.link for each in watched.values() if each.link)
        self._patience_s = _by_link(watched)
        self._down = {link: how for link, how in self._down.items() if link in links}
        self._up = {link: at for link, at in self._up.items() if link in links}
        self.wake = min(self.wake, mono + LOOK_EVERY_S) if watched else inf

    def lost(self, fact: LinkLost, mono: float) -> None:
        """A link is down."""
        self._up.pop(fact.link, None)
        self._down.setdefault(fact.link, (mono, fact))

    def back(self, fact: LinkBack, mono: float) -> None:
        """A link is back; its devices have as much time from now on as at the start."""
        self._down.pop(fact.link, None)
        self._up[fact.link] = mono

    def look(self, points: Points, mono: float) -> dict[str, Trouble | None]:
        """What is wrong now, by alarm; None where nothing is. Of what is not known yet, nothing: it stays as it was."""
        self.wake = mono + LOOK_EVERY_S
        return dict(self._of_links(mono)) | dict(self._of_devices(points, mono))

    def _of_links(self, mono: float) -> Iterator[tuple[str, Trouble | None]]:
        for link in self._links:
            since, lost = self._down.get(link, (inf, None))
            if lost is not None and mono - since >= self._patience_s[link]:
                text = f"link {link} is down, and with it all that it reads: {lost.what}"
                yield link_down(link), Trouble(Priority.HIGH, text, lost.hint)
            elif link in self._up:
                yield link_down(link), None

    def _of_devices(self, points: Points, mono: float) -> Iterator[tuple[str, Trouble | None]]:
        for device, watched in self._watched.items():
            since, _ = self._down.get(watched.link, (inf, None))
            heard = self._heard(points, device, watched)
            link_told = mono - since >= self._patience_s.get(watched.link, PATIENCE_S)
            if mono - heard < watched.patience_s or link_told or self._is_behind(watched, points, mono):
                yield no_data(device), None
            elif mono - max(heard, self._awaited(device, watched.link)) >= watched.patience_s and since == inf:
                yield no_data(device), _missing(device, watched)

    def _is_behind(self, watched: Watched, points: Points, mono: float) -> bool:
        """Whether what is missing is a source's; of smoke nothing is left to others."""
        return not watched.smoke and any(self._is_told(points, *source, mono) for source in watched.sources)

    def _is_told(self, points: Points, source: str, link: str, mono: float) -> bool:
        """Whether what is missing of a source is another alarm already, or is about to be."""
        if link in self._down and link in self._links:
            return True
        watched = self._watched.get(source)
        return watched is not None and mono - self._heard(points, source, watched) >= watched.patience_s

    def _heard(self, points: Points, device: str, watched: Watched) -> float:
        return min(points.heard(device, name) for name in watched.points)

    def _awaited(self, device: str, link: str) -> float:
        """Since when something could have been heard of a device."""
        return max(self._up.get(link, self._start), self._begun.get(device, -inf))


def _by_link(watched: Mapping[str, Watched]) -> dict[str, float]:
    """How long each link may be down: as long as a smoke detector on it may be silent, or longer without one."""
    found = {each.link: PATIENCE_S for each in watched.values()}
    for each in watched.values():
        if each.smoke:
            found[each.link] = min(found[each.link], each.patience_s)
    return found


def no_data(device: str) -> str:
    """The alarm on a device whose values do not come."""
    return f"no-data@{device}"


def link_down(link: str) -> str:
    """The alarm on a link that is down."""
    return f"link-down@{link}"


def alarms_of(watched: Mapping[str, Watched]) -> tuple[str, ...]:
    """The ids of the alarms that this may lead to."""
    links = dict.fromkeys(each.link for each in watched.values() if each.link)
    return (*map(no_data, watched), *map(link_down, links))


def _missing(device: str, watched: Watched) -> Trouble:
    priority = Priority.HIGH if watched.smoke else Priority.MEDIUM
    text = f"{device} gives no good value of what its rules are about, so they cannot be judged"
    return Trouble(priority, text, "Check its power, wiring and address; sitewarden status tells what each point lacks")
