"""A simulated serial port: a pseudo-terminal under a stable name, on which characters arrive at the line's pace.

Invariants: the far end is kept open, so that the port stays whatever the gateway does; what nobody reads is lost when
the buffer is full, as on a real line; nothing is ever echoed.
"""

from __future__ import annotations

import os
import time
import tty
from contextlib import suppress
from functools import partial
from pathlib import Path

from gateway.demo.wiring import Act, Wiring

_CHARACTER_BITS = 10  # start, eight data, stop
_FIFO = 4  # characters that a receiver hands over together


class SerialPort:
    """The device's end of a serial line of `baudrate`; the gateway opens `name`, a symbolic link."""

    def __init__(self, wiring: Wiring, name: Path, baudrate: int) -> None:
        self.name = name
        self._wiring = wiring
        self._character_s = _CHARACTER_BITS / baudrate
        self._ours: int | None = None
        self._theirs = -1
        self._free = 0.0  # when the line has carried all that was said, monotonic

    def open(self, readable: Act | None = None) -> None:
        """Make the port; `readable` is called on the wiring's thread when the gateway has written."""
        self._ours, self._theirs = os.openpty()
        tty.setraw(self._theirs)
        os.set_blocking(self._ours, False)
        self.name.unlink(missing_ok=True)
        self.name.symlink_to(os.ttyname(self._theirs))
        if readable is not None:
            self._wiring.listen(self._ours, readable)

    def close(self) -> None:
        """Take the port away. Idempotent; only while the wiring does not run."""
        if self._ours is None:
            return
        self.name.unlink(missing_ok=True)
        os.close(self._theirs)
        os.close(self._ours)
        self._ours = None

    def heard(self) -> bytes:
        """What the gateway has written since the last call."""
        with suppress(BlockingIOError, OSError):
            if self._ours is not None:
                return os.read(self._ours, 4096)
        return b""

    def say(self, data: bytes, after_s: float = 0.0) -> None:
        """Send `data` to the gateway, beginning in `after_s` seconds or when the line is free."""
        begin = max(self._free, time.monotonic() + after_s)
        for first in range(0, len(data), _FIFO):
            piece = data[first : first + _FIFO]
            self._wiring.at(begin + (first + len(piece)) * self._character_s, partial(self._arrive, piece))
        self._free = begin + len(data) * self._character_s

    def carried_s(self, characters: int) -> float:
        """How long the line takes for so many characters, seconds."""
        return characters * self._character_s

    def _arrive(self, piece: bytes) -> None:
        with suppress(BlockingIOError, OSError):
            if self._ours is not None:
                os.write(self._ours, piece)
