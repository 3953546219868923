"""A serial line at wire speed: a pty whose characters arrive when their last bit would, with Modbus units behind it.

It runs in a process of its own. The time of a request is what its sender has put into the shared `stamp` just before
writing, so that nothing that this process does late makes a request look late. A character comes at its time or, where
the machine is busy, after it; how late the last one of each reply was is told, and by how much that is uncertain.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import pty
import select
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import c_double, c_int
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

from modbus_responder import answer, rtu

TURNAROUND_S = 0.005
_SET_TIMER_SLACK = 29  # prctl: how far the kernel may put off a timer, in ns; 50,000 by default
_REQUEST_SIZE = 8
_SPAWN = multiprocessing.get_context("spawn")


class Transfer(NamedTuple):
    """One request and its reply, in monotonic seconds."""

    unit: int
    began: float  # the request's first bit
    ended: float  # the last bit of the reply, as the line should have had it
    arrived_after: float  # the last character was handed over between these
    arrived_before: float

    @property
    def late_s(self) -> float:
        """How much later than its time the last character of the reply came, at most."""
        return self.arrived_before - self.ended


class Line(NamedTuple):
    """A running line; `end` stops it and gives its transfers."""

    path: str
    stamp: Any  # a c_double, shared
    dead: Any  # the unit that does not answer (0: all do), a c_int, shared
    pipe: Connection

    def end(self) -> list[Transfer]:
        self.pipe.send(None)
        transfers: list[Transfer] = self.pipe.recv()
        return transfers


@contextmanager
def paced_line(baudrate: int) -> Iterator[Line]:
    """A line of 8N1 characters."""
    stamp, dead = _SPAWN.Value(c_double, 0.0, lock=False), _SPAWN.Value(c_int, 0, lock=False)
    ours, theirs = _SPAWN.Pipe()
    process = _SPAWN.Process(target=_serve, args=(10 / baudrate, stamp, dead, theirs), daemon=True)
    process.start()
    try:
        yield Line(ours.recv(), stamp, dead, ours)
    finally:
        process.terminate()
        process.join(10)


def _serve(char_s: float, stamp: Any, dead: Any, pipe: Connection) -> None:
    ctypes.CDLL(None).prctl(_SET_TIMER_SLACK, 1, 0, 0, 0)
    master, slave = pty.openpty()
    tty.setraw(slave)
    pipe.send(os.ttyname(slave))
    replies: dict[bytes, bytes] = {}
    transfers: list[Transfer] = []
    while True:
        ready = select.select([master, pipe.fileno()], [], [])[0]
        if pipe.fileno() in ready:
            pipe.send(transfers)
            return
        request = b""
        while len(request) < _REQUEST_SIZE:
            request += os.read(master, _REQUEST_SIZE - len(request))
        began = stamp.value
        if request[0] == dead.value:
            continue
        if request not in replies:
            replies[request] = rtu(request[0], answer(request[0], request[1:-2]))
        reply = replies[request]
        start = began + len(request) * char_s + TURNAROUND_S
        after, before = _send(master, reply, start, char_s)
        transfers.append(Transfer(request[0], began, start + len(reply) * char_s, after, before))


def _send(master: int, reply: bytes, start: float, char_s: float) -> tuple[float, float]:
    """Each character when its last bit would arrive; between which times the last one was handed over."""
    sent, before, after = 0, 0.0, 0.0
    while sent < len(reply):
        wait_s = start + (sent + 1) * char_s - time.monotonic()
        if wait_s > 0:
            select.select([], [], [], wait_s)
        before = time.monotonic()
        due = min(len(reply), max(sent + 1, int((before - start) / char_s)))
        sent += os.write(master, reply[sent:due])
        after = time.monotonic()
    return before, after
