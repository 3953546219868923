"""Devices that are made of others are told what others there are, and given their sources' pace.

One whose sources are wrong is taken out of the draft, with what is made of it; its id is still known, so that no rule
on it is blamed as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from gateway.config.draft import Draft
from gateway.config.fences import fence_of
from gateway.config.typed import blame_told
from gateway.driver import Derived, Fenced, Placed


def meet_sources(draft: Draft) -> None:
    """Have each device that is made of others find its sources, and note what is wrong with them."""
    fences = [fence_of(name, part) for name, part in draft.fences.items()]
    derived = {name: it.built for name, it in draft.devices.items() if isinstance(it.built, Derived)}
    placed = [Placed(name, device.zone, device.built.points) for name, device in draft.devices.items()]
    for name, driver in list(derived.items()):
        where = ("devices", name)
        if isinstance(driver, Fenced):
            driver.surround(fences)
        try:
            driver.meet(draft.devices[name].zone, [each for each in placed if each.device != name])
        except ValueError as error:
            blame_told(draft.tree, where, str(error))
            del draft.devices[name], derived[name]
    for name in list(derived):
        if name in _behind(name, derived):
            draft.tree.blame_key(("devices", name), "is made of itself, in the end; name other sources")
            del draft.devices[name]
    while gone := [name for name, it in derived.items() if name in draft.devices and _lacks(it, draft)]:
        for name in gone:
            del draft.devices[name]
    for name in derived.keys() & draft.devices.keys():
        every = draft.devices[name].every or derived[name].every_default_s or _pace(name, draft, derived)
        draft.devices[name] = replace(draft.devices[name], every=every)


def _lacks(driver: Derived, draft: Draft) -> bool:
    """Whether something that it is made of was wrong."""
    return any(source not in draft.devices for source in driver.sources)


def _behind(name: str, derived: Mapping[str, Derived]) -> set[str]:
    """All that a device is made of, and what that is made of."""
    found: set[str] = set()
    left = list(derived[name].sources)
    while left:
        source = left.pop()
        if source not in found:
            found.add(source)
            left += derived[source].sources if source in derived else ()
    return found


def _pace(name: str, draft: Draft, derived: Mapping[str, Derived]) -> float:
    """The longest time between readings of what a device is made of, in seconds."""
    return max(_paces(name, draft, derived), default=1.0)


def _paces(name: str, draft: Draft, derived: Mapping[str, Derived]) -> Iterator[float]:
    for source in _behind(name, derived):
        if source in draft.devices and source not in derived:
            yield draft.devices[source].every
