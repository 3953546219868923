"""The life of the rooms' threads: started in order, watched, restarted, stopped in order with a deadline each.

- A room that dies by an error of ours is started again after a growing pause, counted and reported; the hub is not: it
  ends the process, and the service manager starts a new one.
- The watchdog is fed only while the hub is alive. A standing journal, link or sender is no reason to be killed.
- Stopping ends: a room that is stuck is left behind when its deadline has passed.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Protocol

from gateway.clock import Clock
from gateway.model import RoomDied

log = logging.getLogger(__name__)

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0


class Room(Protocol):
    """What the supervisor runs on a thread of its own."""

    @property
    def name(self) -> str:
        """The room's name, for threads and messages."""

    def run(self) -> None:
        """Work until stopped; called again on the same thread after it ended by an exception."""

    def stop(self) -> None:
        """Ask `run` to finish its duty and return; returns at once."""


def _nothing() -> None:
    pass


@dataclass(slots=True, eq=False)
class Stage:
    """Rooms that are started and stopped together, the seconds they have to stop, and what is waited for before."""

    rooms: tuple[Room, ...]
    deadline_s: float
    awaited: Callable[[], object] = _nothing


class Supervisor:
    """Runs rooms in stages: the first stage starts first and stops last."""

    def __init__(self, stages: tuple[Stage, ...], vital: Room, clock: Clock, died: Callable[[RoomDied], None]) -> None:
        self._stages = stages
        self._vital = vital
        self._clock = clock
        self._died = died
        self._threads: dict[str, threading.Thread] = {}
        self._stopping = threading.Event()
        self._dismissed: set[Room] = set()
        self.deaths = 0

    def start(self, failed: Callable[[str], None]) -> None:
        """Start every room on a thread of its own; `failed` gets the vital room's name if that one dies."""
        for stage in self._stages:
            stage.awaited()
            for room in stage.rooms:
                self._start(room, failed)

    def _start(self, room: Room, failed: Callable[[str], None]) -> None:
        thread = threading.Thread(target=self._keep_running, args=(room, failed), name=room.name, daemon=True)
        self._threads[room.name] = thread
        thread.start()

    def dismiss(self, stage: Stage, rooms: Collection[Room]) -> tuple[str, ...]:
        """Stop these rooms of a stage for good; returns the names of those that did not stop in time."""
        stage.rooms = tuple(room for room in stage.rooms if room not in rooms)
        self._dismissed |= set(rooms)
        return self._stop(rooms, stage.deadline_s)

    def engage(self, stage: Stage, rooms: Collection[Room], failed: Callable[[str], None]) -> None:
        """Start these rooms, which stop with the others of their stage."""
        stage.rooms = (*stage.rooms, *rooms)
        for room in rooms:
            if not self._stopping.is_set():
                self._start(room, failed)

    def stop(self) -> tuple[str, ...]:
        """Stop all rooms, the last stage first; returns the names of those that did not stop in time."""
        self._stopping.set()
        stuck: tuple[str, ...] = ()
        for stage in reversed(self._stages):
            stuck += self._stop(stage.rooms, stage.deadline_s)
        return stuck

    def _stop(self, rooms: Collection[Room], deadline_s: float) -> tuple[str, ...]:
        stuck = []
        for room in rooms:
            room.stop()
        until = self._clock.mono() + deadline_s
        for room in rooms:
            thread = self._threads.get(room.name)
            if thread is None:
                continue
            thread.join(max(0.0, until - self._clock.mono()))
            if thread.is_alive():
                log.error("%s did not stop within %g s and is left behind", room.name, deadline_s)
                stuck.append(room.name)
        return tuple(stuck)

    def _keep_running(self, room: Room, failed: Callable[[str], None]) -> None:
        times = 0
        while True:
            try:
                room.run()
            except Exception as error:  # a thread's runner: the one place where any error of ours may arrive
                log.exception("%s ended by an error of ours; please report it", room.name)
                times += 1
                self.deaths += 1
                if room is self._vital:
                    failed(room.name)
                    return
                self._died(RoomDied(room.name, f"{type(error).__name__}: {error}"[:200], times))
            else:
                return
            if room in self._dismissed or self._stopping.wait(min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** (times - 1))):
                return


class ServiceManager:
    """systemd's notification socket, as sd_notify(3) describes it; silent where there is none."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        micros = environment.get("WATCHDOG_USEC", "")
        own = environment.get("WATCHDOG_PID", "") in {"", str(os.getpid())}
        self.watchdog_s = int(micros) / 1_000_000 if micros.isdigit() and own else None
        """Seconds within which the service manager wants a sign of life; None if it does not watch."""

    def tell(self, message: str) -> bool:
        """Send `READY=1`, `WATCHDOG=1`, `STOPPING=1`, `STATUS=...`; False where nobody listens."""
        if not self._address:
            return False
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
                out.settimeout(1.0)
                out.sendto(message.encode(), address)
        except OSError as error:
            log.warning("the service manager cannot be told %s: %s", message.partition("=")[0], error)
            return False
        return True


def watch(beat: Callable[[], float], signals: SimpleQueue[str], manager: ServiceManager, clock: Clock) -> str:
    """Feed the watchdog while the hub's `beat` is fresh, until a word comes through `signals`; returns that word."""
    period = manager.watchdog_s / 3 if manager.watchdog_s is not None else 60.0
    patience = max(1.5 * period, 10.0) if manager.watchdog_s is not None else 0.0
    warned = False
    while True:
        try:
            return signals.get(timeout=period)
        except Empty:
            pass
        if manager.watchdog_s is None:
            continue
        if clock.mono() - beat() <= patience:
            manager.tell("WATCHDOG=1")
            warned = False
        elif not warned:
            warned = True
            log.error("the hub has not moved for %g s: the watchdog is not fed any more", patience)
