"""One thread for many links: a wake-up serves all of their devices that are due on the same tick.

- A link is lent to this thread while it is in good order, and given back to its own at the first thing that is not: a
  reply that is late or wrong, a connection that ends, a write that was posted, bytes that nobody asked for, a driver
  that asks something new. So nothing waits here: connecting, waiting for the slow, writing are done elsewhere. But
  for one thing: what a driver asks beyond what it asked before is waited for there and then, twice in a link's life at
  most; after that it keeps its own thread.
- All requests that are due are sent first, those of safety devices before others; then replies are taken as they come.
- What safety devices say is told at once. Other readings that came together are told together: to be told one by one
  wakes the hub for each, and with it the journal.
- Whatever ends this thread gives all links back.
"""

from __future__ import annotations

import math
import os
import select
from collections.abc import Callable, Iterator
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Protocol

from gateway.clock import Clock
from gateway.model import Fact, Moment

LINKS_PER_THREAD = 64
"""Links that share a thread at most: what the last one waits for on a common tick, some 0.1 ms a link."""

_LONGEST_WAIT_S = 60.0
_EVENTS = select.EPOLLIN | select.EPOLLRDHUP


class Lent(Protocol):
    """A link in good order. Everything is called by the shared thread alone; what is raised is for the link's own."""

    @property
    def watched(self) -> tuple[int, int]:
        """The file descriptors of its connection and of what wakes its own thread."""

    @property
    def safety(self) -> bool:
        """Whether it has safety devices."""

    @property
    def due(self) -> float:
        """When (monotonic s) `elapse` is to be called."""

    def elapse(self, now: float) -> bool:
        """It is due: ask. False if the link needs its own thread."""

    def take(self) -> bool:
        """Bytes have come: take them. False if the link needs its own thread."""

    def conclude(self, arrived: Moment, tell: Callable[[Fact], None]) -> bool:
        """Tell what had come by then, if that is all of it. False if the link needs its own thread."""

    def give_back(self, error: Exception | None) -> None:
        """The link belongs to its own thread again, which raises `error` if there is one."""


class SharedThread:
    """Serves the links that are lent to it. `lend` and `stop` may be called from any thread; `run` is the thread."""

    def __init__(self, name: str, clock: Clock, tell: Callable[[Fact], None]) -> None:
        self.name = name
        self._clock = clock
        self._tell = tell
        self._inbox: SimpleQueue[Lent] = SimpleQueue()
        self._lent: list[Lent] = []
        self._by_fd: dict[int, Lent] = {}
        self._bell = -1  # an eventfd; it outlives `run`, so that nobody rings a closed or foreign one
        self._running = False
        self._stopping = False

    def __del__(self) -> None:
        if self._bell >= 0:
            os.close(self._bell)

    def lend(self, link: Lent) -> bool:
        """Serve `link` until it is given back; False if this thread does not run."""
        if self._ended():
            return False
        self._inbox.put(link)
        os.eventfd_write(self._bell, 1)
        if self._ended():  # meanwhile: it may not have seen this one
            self._refuse()
        return True

    def _ended(self) -> bool:
        return not self._running

    def stop(self) -> None:
        """Make `run` give all links back and return."""
        self._stopping = True
        if self._bell >= 0:
            os.eventfd_write(self._bell, 1)

    def run(self) -> None:
        """Serve links until stopped."""
        if self._bell < 0:
            self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        with select.epoll() as watch:
            watch.register(self._bell, select.EPOLLIN)
            try:
                self._running = True
                while not self._stopping:
                    self._serve(watch)
            finally:
                self._running = False
                self._refuse()
                for link in self._lent:
                    link.give_back(None)
                self._lent.clear()
                self._by_fd.clear()

    def _serve(self, watch: select.epoll) -> None:
        """Take what comes until somebody is due, then ask whoever is."""
        until = min((link.due for link in self._lent), default=math.inf)
        ready = watch.poll(max(0.0, min(until - self._clock.mono(), _LONGEST_WAIT_S)))
        arrived = self._clock.now()
        heard = []
        for fd, _ in ready:
            if fd == self._bell:
                os.eventfd_read(fd)
                self._admit(watch)
                continue
            spoke = self._by_fd.get(fd)
            if spoke is None:
                continue  # it was given back in this round
            if fd != spoke.watched[0]:
                self._return(watch, spoke, None)
            elif self._do(watch, spoke, spoke.take):
                heard.append(spoke)
        self._conclude(watch, heard, arrived)
        now = self._clock.mono()
        for link in [link for link in self._lent if link.due <= now]:
            self._do(watch, link, link.elapse, now)

    def _conclude(self, watch: select.epoll, heard: list[Lent], arrived: Moment) -> None:
        """Have told what has come."""
        together: list[Fact] = []
        heard.sort(key=_urgency)
        for link in heard:
            if link.watched[0] in self._by_fd:
                self._do(watch, link, link.conclude, arrived, self._tell if link.safety else together.append)
        for fact in together:
            self._tell(fact)

    def _do(self, watch: select.epoll, link: Lent, act: Callable[..., bool], *at: object) -> bool:
        error = None
        try:
            if act(*at):
                return True
        except Exception as raised:  # noqa: BLE001 - it is raised again where it belongs, on the link's own thread
            error = raised
        self._return(watch, link, error)
        return False

    def _admit(self, watch: select.epoll) -> None:
        for link in self._arrived():
            for fd in link.watched:
                watch.register(fd, _EVENTS)
                self._by_fd[fd] = link
            self._lent.append(link)
        self._lent.sort(key=_urgency)

    def _return(self, watch: select.epoll, link: Lent, error: Exception | None) -> None:
        for fd in link.watched:
            with suppress(OSError):  # a driver that asked something new may have had its link connected again
                watch.unregister(fd)
            del self._by_fd[fd]
        self._lent.remove(link)
        link.give_back(error)

    def _refuse(self) -> None:
        """Give back what was lent too late."""
        for link in self._arrived():
            link.give_back(None)

    def _arrived(self) -> Iterator[Lent]:
        with suppress(Empty):
            while True:
                yield self._inbox.get_nowait()


def _urgency(link: Lent) -> bool:
    return not link.safety
