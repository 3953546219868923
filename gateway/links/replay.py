"""A link that plays a capture (capture.py) in place of a wire."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from queue import Empty, SimpleQueue

from gateway.driver import Edge, Family, Files, Heard, Pins, Registers, Space, Stream
from gateway.errors import LinkDown, NoReply
from gateway.links.capture import Item, Level, Passed, Received, Sent, Text, parse
from gateway.links.port import Pace, Tap
from gateway.model import Passing

_PAUSE_S = 1.0  # between two rounds of a capture that is played for ever


class Replay:
    """A capture as a link: what was pushed comes with the times of the capture, what was asked for when it is asked.

    A request is answered with what followed it in the capture, looking onward from the request before; a request that
    the capture does not hold is met by silence, without waiting for the timeout.
    """

    def __init__(self, path: Path, *, loop: bool) -> None:
        self.last = 0.0
        self.noise_bytes = 0
        self._path = path
        self._loop = loop
        self._items: tuple[Item, ...] = ()
        self._next = 0
        self._due = 0.0  # when the next item that comes by itself comes
        self._pushes = False
        self._reply = b""
        self._levels: dict[int, bool] = {}
        self._texts: dict[str, str | None] = {}
        self._inbox: SimpleQueue[None] = SimpleQueue()
        self._tap: Tap | None = None

    def open(self) -> None:
        """Read the capture; raises LinkDown."""
        try:
            self._items = parse(self._path.read_text(encoding="utf-8")).items
        except (OSError, ValueError) as error:
            raise LinkDown(
                f"{self._path} cannot be replayed: {error}", "check the path and the capture's lines"
            ) from error
        self._next, self._due, self._reply = 0, time.monotonic(), b""

    def close(self) -> None:
        """Stop playing."""
        self._items, self._pushes = (), False

    def offer(self, family: Family) -> Registers | Stream | Pins | Files:
        """The devices of the capture, behind Modbus RTU, as bytes, as pins or as files."""
        if family is Family.REGISTERS:
            from gateway.links.modbus import Exchange  # noqa: PLC0415 - pymodbus costs 30 ms: only where it is used

            return Exchange(self, "rtu", Pace())
        self._pushes = True
        if family in {Family.FILES, Family.PINS}:
            first = takewhile(lambda item: isinstance(item, Text), self._items)
            self._texts.update((item.path, item.text) for item in first if isinstance(item, Text))
        if family is Family.FILES:
            return ReplayedFiles(self._texts)
        return ReplayedPins(self._levels, self._texts) if family is Family.PINS else self

    def wait(self, until: float) -> Sequence[Heard]:
        """The next thing that was pushed; returns at a `wake` or at `until`."""
        while True:
            heard = self._pushed(time.monotonic()) if self._pushes else None
            if heard is not None:
                return (heard,)
            due = self._due if self._pushes and self._next < len(self._items) else until
            timeout_s = min(until, due) - time.monotonic()
            try:
                self._inbox.get(timeout=max(0.0, timeout_s))
            except Empty:
                if time.monotonic() < until:
                    continue
            return ()

    def wake(self) -> None:
        """Make `wait` return; from any thread."""
        self._inbox.put(None)

    def tap(self, tap: Tap | None) -> None:
        """Tell `tap` of everything that passes from now on; None: nobody."""
        self._tap = tap

    def prepare(self) -> None:
        """A capture is always ready."""

    def renew(self) -> bool:
        """A capture does not end."""
        return False

    def write(self, data: bytes) -> None:
        """Look for the request and have its reply ready."""
        self._tell(sent=True, data=data)
        order = range(self._next, len(self._items))
        for at in (*order, *range(self._next)) if self._loop else order:
            if self._items[at] == Sent(data) and not self._pushes:
                self._next, self._reply = self._reply_after(at)
                return

    def receive(self, until: float) -> bytes:
        """The reply, at once; nothing where there is none."""
        del until
        reply, self._reply = self._reply, b""
        if reply:
            self._tell(sent=False, data=reply)
        return reply

    def _tell(self, *, sent: bool, data: bytes) -> None:
        if self._tap is not None:
            self._tap(Passing(time.monotonic(), sent, data))

    def noise(self, count: int) -> None:
        """Count bytes that belonged to no reply."""
        self.noise_bytes += count

    def _reply_after(self, at: int) -> tuple[int, bytes]:
        reply, end = b"", at + 1
        while end < len(self._items) and not isinstance(item := self._items[end], Sent):
            if isinstance(item, Received):
                reply += item.data
            end += 1
        return end, reply

    def _pushed(self, now: float) -> Heard | None:
        """The next item that came by itself, if its time has come."""
        while now >= self._due and self._items:
            if self._next == len(self._items):
                if not self._loop:
                    return None
                self._next, self._due = 0, now + _PAUSE_S
                return None
            item = self._items[self._next]
            self._next += 1
            match item:
                case Passed(seconds):
                    self._due += seconds
                case Received(data):
                    self._tell(sent=False, data=data)
                    return Heard(data, now)
                case Level(pin, high):
                    self._levels[pin] = high
                    return Heard(Edge(pin, high), now)
                case Text(path, text):
                    self._texts[path] = text
                case Sent():
                    pass
        return None


class ReplayedPins:
    """Levels as the capture has them, and as they are written."""

    def __init__(self, levels: dict[int, bool], texts: Mapping[str, str | None]) -> None:
        self._levels = levels
        self._texts = texts

    def read(self, pin: int) -> bool:
        """The level of the pin; low before the first."""
        return self._levels.get(pin, False)

    def write(self, pin: int, high: bool) -> None:
        """Drive the pin."""
        self._levels[pin] = high

    def convert(self, select: int, channel: int) -> int:
        """What stands in the capture as the file /spi/SELECT/CHANNEL; raises NoReply."""
        text = self._texts.get(f"/spi/{select}/{channel}")
        if text is None or not text.isdecimal():
            raise NoReply("silent", f"there is no /spi/{select}/{channel} in the capture")
        return int(text)


class ReplayedFiles:
    """Files as the capture has them. A disk is a file too, with the bytes of all and of what is free: "1000 600"."""

    def __init__(self, texts: Mapping[str, str | None]) -> None:
        self._texts = texts

    def read(self, path: str) -> str:
        """The text of a file; raises NoReply."""
        text = self._texts.get(path)
        if text is None:
            raise NoReply("silent", f"there is no {path} in the capture")
        return text

    def names(self, path: str) -> tuple[str, ...]:
        """What is in a folder, sorted."""
        inside = path.rstrip("/") + "/"
        there = (known.removeprefix(inside) for known, text in self._texts.items() if text is not None)
        below = (name.partition("/")[0] for name in there if not name.startswith("/"))
        return tuple(sorted(set(below)))

    def space(self, path: str) -> Space:
        """How much the disk with a folder can take; raises NoReply."""
        try:
            whole, free = map(int, self.read(path).split())
        except ValueError as error:
            raise NoReply("device_failure", f"{path} is no disk in the capture") from error
        return Space(whole, free)
