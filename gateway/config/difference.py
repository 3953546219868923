"""What is different between two configurations, and what of that a running gateway cannot take over. Pure.

Two things are the same if they would be handed to another process as the same: a driver has no other equality. Drivers
learn while they run, so the marks that are compared are made of a tree before it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from hashlib import blake2b
from types import BuiltinFunctionType, FunctionType
from typing import Any, Literal, SupportsIndex, TypeAlias

from gateway.config.schema import Config, Device
from gateway.driver import Derived

MOST_NAMED = 50
RESTART = "restart the daemon for this"
_PLAIN = (type(None), bool, int, float, str, bytes)

Marks: TypeAlias = Mapping[str, "Mark"]
"""By device."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What a device is to the link that polls it, and all that is said of it."""

    polled: bytes
    whole: bytes


@dataclass(frozen=True, slots=True)
class Difference:
    """What a new configuration changes. `anew`: devices that are polled otherwise than before, or were not before."""

    words: tuple[str, ...]  # for people, as in "device cold-3 added"; at most MOST_NAMED
    anew: frozenset[str]
    links: frozenset[str]  # whose settings have changed; those that are new or gone are in neither or one of the trees
    uplinks: frozenset[str]  # as with links

    @property
    def text(self) -> str:
        """In one line."""
        return ", ".join(self.words) or "nothing changed"


def marks(config: Config) -> Marks:
    """Of a configuration that has just been loaded."""
    digests = _Digests()
    return {name: _mark(device, digests) for name, device in config.devices.items()}


def _mark(device: Device, digests: _Digests) -> Mark:
    polled = digests.of((device.link, device.every, device.built))
    rest = replace(device, built=None)  # type: ignore[arg-type] # it is in `polled`
    return Mark(polled, digests.of((polled, rest)))


def unchangeable(before: Config, now: Config) -> tuple[str, ...]:
    """What cannot be changed while the daemon runs, in words; empty if all can."""
    parts = {
        "site.id": (before.site.id, now.site.id),
        "gateway.id": (before.gateway.id, now.gateway.id),
        "the folder of the configuration": (before.folder, now.folder),
    }
    return tuple(name for name, (old, new) in parts.items() if old != new)


def difference(before: Config, old: Marks, now: Config, new: Marks) -> Difference:
    """What `now` changes; `old` and `new` are the marks of both."""
    words = [
        *_told("device", _ways(old, new, _equal)),
        *_told("rule", _ways(before.rules, now.rules, _equal)),
        *_told("link", _ways(before.links, now.links, _equal)),
        *_told("uplink", _ways(before.uplinks, now.uplinks, _equal)),
        *_told("response", _ways(before.responses, now.responses, _equal)),
        *_told("hours", _ways(before.hours, now.hours, _equal)),
        *_told("fence", _ways(before.fences, now.fences, _equal)),
    ]
    parts = ("site", "storage", "reporting", "responses_by_priority", "report", "points")
    words += [f"{name} changed" for name in parts if getattr(before, name) != getattr(now, name)]
    if len(words) > MOST_NAMED:
        words[MOST_NAMED - 1 :] = [f"{len(words) - MOST_NAMED + 1} more"]
    return Difference(
        tuple(words),
        frozenset(name for name, mark in new.items() if name not in old or old[name].polled != mark.polled)
        | _by_clock(before, now),
        _changed(before.links, now.links),
        _changed(before.uplinks, now.uplinks),
    )


def _by_clock(before: Config, now: Config) -> frozenset[str]:
    """The devices that another time zone makes anew."""
    if before.site.timezone == now.site.timezone:
        return frozenset()
    return frozenset(name for name, it in now.devices.items() if isinstance(it.built, Derived) and it.built.by_clock)


def _changed(old: Mapping[str, object], new: Mapping[str, object]) -> frozenset[str]:
    return frozenset(name for name, part in new.items() if name in old and old[name] != part)


_Way = Literal["added", "removed", "changed"]


def _ways(
    old: Mapping[str, Any], new: Mapping[str, Any], same: Callable[[Any, Any], bool]
) -> Iterator[tuple[str, _Way]]:
    for name in new:
        if name not in old:
            yield name, "added"
        elif not same(old[name], new[name]):
            yield name, "changed"
    yield from ((name, "removed") for name in old if name not in new)


def _told(kind: str, ways: Iterable[tuple[str, _Way]]) -> Iterator[str]:
    return (f"{kind} {name} {way}" for name, way in ways)


def _equal(old: object, new: object) -> bool:
    return old == new


class _Digests:
    """The same digest for things that would be handed to another process as the same. Each thing is looked at once."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[object, bytes]] = {}  # with the thing, so that its id stays its own

    def of(self, thing: object) -> bytes:
        """The digest of anything that can be handed over."""
        known = self._known.get(id(thing))
        if known is not None:
            return known[1]
        digest = blake2b(digest_size=16)
        for piece in self._pieces(thing):
            digest.update(piece)
            digest.update(b"\0")
        made = digest.digest()
        self._known[id(thing)] = thing, made
        return made

    def _pieces(self, thing: Any) -> Iterator[bytes]:  # noqa: ANN401 - whatever a driver is made of
        kind = type(thing)
        yield f"{kind.__module__}.{kind.__qualname__}".encode()
        if isinstance(thing, Enum):
            yield thing.name.encode()
        elif kind in _PLAIN:
            yield repr(thing).encode()
        elif isinstance(thing, type | FunctionType | BuiltinFunctionType):
            yield f"{thing.__module__}.{thing.__qualname__}".encode()
        elif kind in {list, tuple}:
            yield from map(self.of, thing)
        elif kind is dict:
            yield from (self.of(part) for item in thing.items() for part in item)
        elif kind in {set, frozenset}:
            yield from sorted(map(self.of, thing))  # their order is another in each process
        else:
            yield self.of(_reduced(thing))


def _reduced(thing: Any) -> tuple[Any, ...] | str:  # noqa: ANN401 - see above
    """How it would be handed over: what is called to make it, and its state."""
    protocol: SupportsIndex = 4
    made = thing.__reduce_ex__(protocol)
    if isinstance(made, str):
        return made
    return tuple(tuple(part) if isinstance(part, Iterator) else part for part in made)
