"""A GPS receiver for tests: what it says in one second, and a serial line on which real bytes arrive."""

from __future__ import annotations

import itertools
import os
import threading
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self

PLACE = "3113.8240,N,12128.4220,E"
SHANGHAI = (31.2304, 121.4737)


def framed(fields: str) -> bytes:
    """The sentence with these fields, without its line end."""
    checksum = 0
    for byte in fields.encode():
        checksum ^= byte
    return f"${fields}*{checksum:02X}".encode()


def burst(at: datetime, *, quality: int = 1, mode: str = "A", satellites: int = 8) -> tuple[bytes, ...]:
    """What a receiver says of one moment."""
    hms, dmy = at.strftime("%H%M%S.%f")[:-3], at.strftime("%d%m%y")
    return (
        framed(f"GNRMC,{hms},A,{PLACE},21.598,90.0,{dmy},,,{mode}"),
        framed(f"GNGGA,{hms},{PLACE},{quality},{satellites:02},0.9,14.0,M,8.0,M,,"),
        framed("GNGSA,A,3,01,02,03,04,05,06,07,08,,,,,1.5,0.9,1.2"),
        framed("GPGSV,2,1,08,01,40,083,46,02,17,308,41,03,07,344,39,04,22,228,45"),
        framed("GPGSV,2,2,08,05,40,083,46,06,17,308,41,07,07,344,39,08,22,228,45"),
    )


@contextmanager
def talking(say: Callable[[datetime], None], step: timedelta | None = None, every_s: float = 0.1) -> Iterator[None]:
    """`say` is called again and again until this ends, with the present moment, or `step` later each time."""
    done = threading.Event()

    def talk() -> None:
        began = datetime.now(UTC)
        for count in itertools.count():
            say(datetime.now(UTC) if step is None else began + count * step)
            if done.wait(every_s):
                return

    thread = threading.Thread(target=talk)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


class Line:
    """A pseudo-terminal; the gateway opens `port`."""

    def __enter__(self) -> Self:
        self._ours, self._theirs = os.openpty()
        tty.setraw(self._theirs)
        self.port = os.ttyname(self._theirs)
        return self

    def say(self, *sentences: bytes) -> None:
        """Sentences with their line ends."""
        self.send(b"".join(sentence + b"\r\n" for sentence in sentences))

    def send(self, data: bytes) -> None:
        """These bytes, as they are."""
        while data:
            data = data[os.write(self._ours, data) :]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._ours)
        os.close(self._theirs)
