"""What passes on a wire as a capture: text that the tests and `replay` links play (gateway/links/capture.py). Pure.

- Frames of Modbus TCP are written as the RTU frames that say the same, since that is what captures hold.
- A capture is bounded: what would make it longer than `most_bytes` is left out, and the last line says so.
- Wall time stands in comments; what is played is the time between two lines.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime

from gateway.model import Passing

_PAUSE_S = 0.001  # shorter ones are not written
_STAMP_S = 1.0  # after so long a pause the time of day is noted
_TCP_HEAD = 6  # transaction, protocol and length, before unit and PDU
_MOST_HELD = 1024  # bytes of a frame that never becomes whole


class Recording:
    """A capture that is being made. `wall_less_mono_s`: what makes wall time (s since 1970) of monotonic time."""

    def __init__(self, header: Mapping[str, str], wall_less_mono_s: float, most_bytes: int, *, tcp: bool) -> None:
        self.full = False
        self.pieces = 0
        self._header = header
        self._wall_less_mono_s = wall_less_mono_s
        self._left = most_bytes
        self._frames = Frames() if tcp else None
        self._last: float | None = None

    def head(self) -> Iterator[str]:
        """The header's lines."""
        return self._bounded(f"# {key}: {value}" for key, value in self._header.items())

    def lines(self, passing: Passing) -> Iterator[str]:
        """The lines for this piece."""
        pieces = (passing,) if self._frames is None else self._frames.rtu(passing)
        return self._bounded(line for piece in pieces for line in self._piece(piece))

    def lost(self, count: int) -> Iterator[str]:
        """The line that says what is missing here."""
        return self._bounded([f"# {count} pieces are missing here: they came faster than they were taken"])

    def _piece(self, passing: Passing) -> Iterator[str]:
        self.pieces += 1
        pause_s = 0.0 if self._last is None else passing.mono - self._last
        if self._last is not None and pause_s >= _STAMP_S:
            yield f"# {self._stamp(passing.mono)}"
        if pause_s >= _PAUSE_S:
            yield f". {pause_s:.3f}"
        self._last = passing.mono
        yield f"{'>' if passing.sent else '<'} {written(passing.data)}"

    def _stamp(self, mono: float) -> str:
        return stamp(mono + self._wall_less_mono_s)

    def _bounded(self, lines: Iterable[str]) -> Iterator[str]:
        for line in lines:
            self._left -= len(line) + 1
            if self.full:
                return
            if self._left < 0:
                self.full = True
                yield "# the capture ends here: it has reached its size"
                return
            yield line


def stamp(wall_s: float) -> str:
    """Seconds since 1970 as a date and time in UTC."""
    return datetime.fromtimestamp(wall_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def written(data: bytes) -> str:
    """Bytes as a capture has them: a line of text as a string, anything else in hex."""
    text = data.decode("latin-1")
    if len(data) > 1 and data.isascii() and text.rstrip("\r\n").isprintable():
        return json.dumps(text)
    return data.hex(" ").upper()


class Frames:
    """Modbus TCP frames, put together from what passes in either direction, as RTU frames."""

    def __init__(self) -> None:
        self._held = {True: b"", False: b""}

    def rtu(self, passing: Passing) -> Iterator[Passing]:
        """The frames that are whole with this."""
        data = self._held[passing.sent] + passing.data
        while len(data) > _TCP_HEAD and len(data) >= (end := _TCP_HEAD + int.from_bytes(data[4:6])):
            frame, data = data[_TCP_HEAD:end], data[end:]
            yield passing._replace(data=frame + crc(frame))
        self._held[passing.sent] = data if len(data) <= _MOST_HELD else b""


def crc(data: bytes) -> bytes:
    """The CRC of an RTU frame, low byte first. Source: Modbus over Serial Line V1.02, part 6.2.2."""
    value = 0xFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ 0xA001 if value & 1 else value >> 1
    return value.to_bytes(2, "little")
