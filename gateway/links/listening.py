"""Who listens in on what passes on a link: a few at a time, each for a time; nobody of them can hold the link up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from gateway.errors import SitewardenError
from gateway.links.port import Link, Tapped
from gateway.model import Answer, Passing

MOST_LISTENERS = 4


class _Listener(NamedTuple):
    hear: Callable[[Passing], object]
    until: float  # monotonic s


class Listening:
    """The listeners of one link. Owned by whichever thread serves the link."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._listeners: tuple[_Listener, ...] = ()

    def add(self, hear: Callable[[Passing], object], until: float) -> Answer:
        """Let `hear` have everything until then, or until it gives False; what is told to whoever asked for that."""
        if not isinstance(self._link, Tapped):
            fault = SitewardenError("no bytes pass on this link", "`sitewarden status` shows the levels of pins")
            return Answer(fault=fault)
        if len(self._listeners) >= MOST_LISTENERS:
            fault = SitewardenError(
                f"{MOST_LISTENERS} listen to this link already", "try again when one of them has finished"
            )
            return Answer(fault=fault)
        self._keep((*self._listeners, _Listener(hear, until)))
        return Answer()

    @contextmanager
    def meanwhile(self, hear: Callable[[Passing], object]) -> Iterator[None]:
        """Let `hear` have what passes during the block."""
        listener = _Listener(hear, float("inf"))
        self._keep((*self._listeners, listener))
        try:
            yield
        finally:
            self._keep(tuple(it for it in self._listeners if it is not listener))

    def _keep(self, listeners: tuple[_Listener, ...]) -> None:
        self._listeners = listeners
        if isinstance(self._link, Tapped):
            self._link.tap(self._pass_on if listeners else None)

    def _pass_on(self, passing: Passing) -> None:
        going_on = tuple(it for it in self._listeners if passing.mono <= it.until and it.hear(passing) is not False)
        if len(going_on) < len(self._listeners):
            self._keep(going_on)
