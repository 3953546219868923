"""The contract of links, and the byte port that serial lines and TCP peers share.

- One thread, the poller's, calls everything here; `wake` alone may be called by any thread at any time.
- Every wait has a deadline. `wake` ends a `wait`; it never cuts an exchange short.
- A link that nobody listens to (Modbus) does not wake its thread for bytes: they stay with the kernel until the next
  exchange drops them. That the other end has gone is noticed at once.
"""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, TypeAlias, runtime_checkable

from gateway.driver import Family, Files, Heard, Pins, Registers, Stream
from gateway.errors import LinkDown
from gateway.links.tally import Tally
from gateway.model import Passing
from gateway.wiretime import reply_within_s

_CHUNK = 4096  # what one read takes at most: the size of the kernel's buffer of a serial port
_SEND_S = 2.0  # a request of 256 bytes takes 1.9 s at 1200 baud
_SHORT_S = 0.02  # shorter waits are made by select, to the microsecond: poll rounds up to whole milliseconds
_MOST_SELECTED = 1024  # file descriptors that select can watch: FD_SETSIZE
_ENDED = select.POLLHUP | select.POLLERR | select.POLLNVAL | select.POLLRDHUP


class Link(Protocol):
    """An opened physical connection that devices may share."""

    def open(self) -> None:
        """Open it; raises LinkDown with what happened and a hint."""

    def close(self) -> None:
        """Close it; harmless when it is not open, and on a connection that has died."""

    def offer(self, family: Family) -> Registers | Stream | Pins | Files:
        """What drivers of `family` may use of the opened link."""

    def wait(self, until: float) -> Sequence[Heard]:
        """What devices said by themselves; returns at a `wake` or at `until` (monotonic s). Raises LinkDown."""

    def wake(self) -> None:
        """Make `wait` return, now or when it is called next; from any thread."""

    @property
    def noise_bytes(self) -> int:
        """Bytes so far that belonged to no reply."""


@runtime_checkable
class Watched(Protocol):
    """A link that another thread can watch for its poller, together with others."""

    @property
    def watched(self) -> tuple[int, int]:
        """The file descriptors of the connection and of `wake`; -1: not there."""


@runtime_checkable
class Metered(Protocol):
    """What is offered by a link whose exchanges are counted, and whose waits can be cut short for a silent device."""

    def count_for(self, tally: Tally) -> None:
        """From now on it is this device that is asked."""

    def limit(self, turnaround_s: float | None) -> None:
        """Wait for replies so long beside their time on the wire; None: as long as the link says."""


Tap: TypeAlias = Callable[[Passing], None]
"""Is told of all bytes that pass, by whichever thread serves the link; must not wait."""


@runtime_checkable
class Tapped(Protocol):
    """A link whose bytes can be listened in on."""

    def tap(self, tap: Tap | None) -> None:
        """Tell `tap` of everything that passes from now on; None: nobody."""


@runtime_checkable
class Traced(Protocol):
    """A link whose other end can be seen without opening it: a port has a name below /dev."""

    @property
    def trace(self) -> tuple[object, ...] | None:
        """What the name leads to; None if nothing is there."""


class Port(Protocol):
    """Bytes to and from devices that answer when asked."""

    @property
    def last(self) -> float:
        """Monotonic seconds of the last byte in or out."""

    def prepare(self) -> None:
        """Make ready for a request; raises LinkDown."""

    def renew(self) -> bool:
        """The connection has ended: whether `prepare` can make it anew."""

    def write(self, data: bytes) -> None:
        """Send all of `data`; raises LinkDown."""

    def receive(self, until: float) -> bytes:
        """What has arrived, waiting for it until `until`; empty only when nothing came by then. Raises LinkDown."""

    def noise(self, count: int) -> None:
        """Count bytes that belonged to no reply."""


class Pace(NamedTuple):
    """How fast a line is, in seconds; `timeout_s` None: 300 ms and twice the time on the wire."""

    char_s: float = 0.0
    gap_s: float = 0.0  # silence before a request
    timeout_s: float | None = None
    echo: bool = False  # what is sent is heard
    switching_s: float = 0.0  # before and after a request, where the port's driver switches direction

    def response_s(self, characters: int) -> float:
        """How long a reply may take, from the sending of a request; both together have `characters` characters."""
        return self.switching_s + reply_within_s(characters, self.char_s, self.timeout_s)


class Wire:
    """A byte port over a non-blocking file descriptor that somebody else opens and closes."""

    def __init__(self, name: str, hint: str, char_s: float = 0.0) -> None:
        self.last = 0.0
        self.noise_bytes = 0
        self.tap: Tap | None = None  # who is told of all bytes
        self._name = name
        self._hint = hint  # what to look for when the other end has gone
        self._char_s = char_s
        self._fd = -1
        self._bell = -1  # an eventfd; it outlives the connection, so that `wake` never meets a closed or foreign one
        self._reading = select.poll()
        self._idling = select.poll()

    def __del__(self) -> None:
        if self._bell >= 0:
            os.close(self._bell)

    def attach(self, fd: int) -> None:
        """Use the opened `fd` from now on."""
        if self._bell < 0:
            self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
            self._idling.register(self._bell, select.POLLIN)
        os.set_blocking(fd, False)
        self._reading.register(fd, select.POLLIN)
        self._idling.register(fd, select.POLLRDHUP)
        self._fd = fd
        self.last = time.monotonic()

    @property
    def watched(self) -> tuple[int, int]:
        """The file descriptors of the connection and of `wake`, for a thread that watches several; -1: not there."""
        return self._fd, self._bell

    def listen(self) -> None:
        """From now on `wait` returns what arrives."""
        self._idling.modify(self._fd, select.POLLIN | select.POLLRDHUP)

    def detach(self) -> None:
        """Forget the file descriptor, before it is closed."""
        if self._fd >= 0:
            self._reading.unregister(self._fd)
            self._idling.unregister(self._fd)
            self._fd = -1

    def wake(self) -> None:
        """Make `wait` return; from any thread."""
        if self._bell >= 0:
            os.eventfd_write(self._bell, 1)

    def wait(self, until: float) -> bytes:
        """What has arrived where somebody listens; returns at a `wake` or at `until`. Raises LinkDown."""
        data = b""
        for fd, event in self._idling.poll(_ms(until)):
            if fd == self._bell:
                os.eventfd_read(fd)
            elif event & select.POLLIN:
                data = self._read()
            else:
                raise self._gone("the other end has gone")
        return data

    def prepare(self) -> None:
        """A line is always ready."""

    def renew(self) -> bool:
        """A line that has gone must be opened again."""
        return False

    def receive(self, until: float) -> bytes:
        """What has arrived, waiting for it until `until`; empty only when nothing came by then. Raises LinkDown."""
        if until <= 0.0:  # without waiting: whoever asks knows that there is something
            return self._read()
        while True:
            ready = self._wait_for_bytes(until)
            if not ready:
                return b""
            if not ready[0][1] & select.POLLIN:
                raise self._gone("the other end has gone")
            if data := self._read():
                return data

    def write(self, data: bytes) -> None:
        """Send all of `data`; raises LinkDown."""
        sent, deadline = self._write(data), None
        while sent < len(data):
            deadline = deadline or time.monotonic() + _SEND_S
            self._wait_for_room(deadline)
            sent += self._write(data[sent:])
        self.last = time.monotonic() + len(data) * self._char_s

    def noise(self, count: int) -> None:
        """Count bytes that belonged to no reply."""
        self.noise_bytes += count

    def _read(self) -> bytes:
        try:
            data = os.read(self._fd, _CHUNK)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise self._gone(error.strerror or str(error)) from error
        if not data:  # readable without a byte: closed, or unplugged
            raise self._gone("the other end has gone")
        self.last = time.monotonic()
        if self.tap is not None:
            self.tap(Passing(self.last, sent=False, data=data))
        return data

    def _write(self, data: bytes) -> int:
        """How many bytes of `data` were taken."""
        began = time.monotonic() if self.tap is not None else 0.0
        try:
            taken = os.write(self._fd, data)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise self._gone(error.strerror or str(error)) from error
        if self.tap is not None:
            self.tap(Passing(began, sent=True, data=data[:taken]))
        return taken

    def _wait_for_bytes(self, until: float) -> list[tuple[int, int]]:
        """What poll says of the file descriptor, by then. A short wait, as for the gap on a line, is exact."""
        if self._fd < 0:
            raise self._gone("the connection has been closed")
        wait_s = max(0.0, until - time.monotonic())
        if 0.0 < wait_s < _SHORT_S and self._fd < _MOST_SELECTED:
            select.select((self._fd,), (), (), wait_s)
            wait_s = 0.0
        return self._reading.poll(wait_s * 1000)

    def _wait_for_room(self, deadline: float) -> None:
        room = select.poll()
        room.register(self._fd, select.POLLOUT)
        if not room.poll(_ms(deadline)):
            raise self._gone(f"nothing can be sent for {_SEND_S:.0f} s")

    def _gone(self, what: str) -> LinkDown:
        return LinkDown(f"{self._name}: {what}", self._hint)


def _ms(until: float) -> float:
    """Milliseconds until then, for poll (which rounds up)."""
    return max(0.0, (until - time.monotonic()) * 1000)
