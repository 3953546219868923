"""Waiting for a connection's socket, and for others who have something to say, on the one thread that touches it."""

from __future__ import annotations

import selectors
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Self

from gateway.uplink.mqtt import Connection


class Bell:
    """Wakes a thread that waits for sockets. `ring` may be called from any thread, at any time, and never waits."""

    def __init__(self) -> None:
        self._near: socket.socket | None = None
        self._far: socket.socket | None = None

    def __enter__(self) -> Self:
        self._near, self._far = socket.socketpair()
        self._near.setblocking(False)
        self._far.setblocking(False)
        return self

    def __exit__(self, *_: object) -> None:
        for end in (self._near, self._far):
            if end is not None:
                end.close()

    def ring(self) -> None:
        """Wake the thread now, or at its next wait."""
        far = self._far
        if far is not None:
            with suppress(OSError):  # full: it is awake; closed: nobody waits any more
                far.send(b"!")

    def rung(self) -> None:
        """It has been heard."""
        if self._near is not None:
            with suppress(BlockingIOError):
                self._near.recv(4096)

    def wait(self, seconds: float) -> None:
        """Wait for the bell alone."""
        with selectors.DefaultSelector() as selector:
            if self._near is not None:
                selector.register(self._near, selectors.EVENT_READ)
            selector.select(None if seconds == float("inf") else max(0.0, seconds))

    def listen(self, selector: selectors.BaseSelector) -> None:
        """Let `selector` wait for the bell as well."""
        if self._near is not None:
            selector.register(self._near, selectors.EVENT_READ)


def carry(current: Connection, bell: Bell, wait_s: Callable[[], float], turn: Callable[[], bool]) -> None:
    """Carry bytes both ways until the connection has ended or `turn`, called after each wait, says that it is enough.

    `wait_s` gives the longest wait, asked for before each.
    """
    fileno = current.fileno()
    if fileno is None:
        return
    with selectors.DefaultSelector() as selector:
        bell.listen(selector)
        key = selector.register(fileno, selectors.EVENT_READ)
        while current.fileno() is not None:
            wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if current.wants_write else 0)
            if wanted != key.events:
                key = selector.modify(fileno, wanted)
            ready = selector.select(max(0.0, min(current.ping_s, wait_s())))
            bell.rung()
            for found, events in ready:
                if found.fd == fileno:
                    _pass_on(current, events)
            current.tend()
            if turn():
                return


def _pass_on(current: Connection, events: int) -> None:
    if events & selectors.EVENT_READ:
        current.read()
    if events & selectors.EVENT_WRITE and current.fileno() is not None:
        current.write()
