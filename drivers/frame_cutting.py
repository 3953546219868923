"""Frames out of the bytes of a stream, however they are cut into pieces on their way. Pure.

Invariants: what is kept is never longer than the longest frame and the bytes around it, whatever comes; a frame that is
given has ended among the newest bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from drivers.frame_profile import Frame, octets


class Cut(NamedTuple):
    """The frames in some bytes, and what is left of these."""

    frames: list[bytes]
    rest: bytes
    skipping: bool = False  # until the next end: what comes first is no whole frame
    dropped: int = 0  # what looked like a frame, or like the beginning of one, and is none


def lines(heard: bytes, frame: Frame, *, skipping: bool) -> Cut:
    """Frames that are told by their end; of those with a start, from the last one before that end."""
    start, end = octets(frame.start), octets(frame.end)
    *whole, rest = heard.split(end)
    frames: list[bytes] = []
    dropped = 0
    for line in whole:
        if skipping:
            skipping = False
            continue
        at = line.rfind(start)  # of no start: the end of the line, which is no place
        found = line[at:] if start and at >= 0 else b"" if start else line
        if found and len(found) <= frame.longest:
            frames.append(found)
        else:
            dropped += bool(line.strip())
    kept = frame.longest + len(end) - 1
    if len(rest) <= kept:
        return Cut(frames, rest, skipping, dropped)
    if start:
        return Cut(frames, rest[-kept:], skipping, dropped)
    return Cut(frames, rest[len(rest) - len(end) + 1 :], skipping=True, dropped=dropped + (not skipping))


def blocks(
    heard: bytes,
    frame: Frame,
    least: int,
    is_whole: Callable[[bytes], bool],
    *,
    known: int = 0,
    is_late: Callable[[int, int], bool] = lambda _at, _size: False,
) -> Cut:
    """Frames of a known length, `least` bytes at least; what begins as one and is not whole is looked into again.

    The first `known` bytes have been looked into before: a frame that ends within them is an old one, which something
    that is none has held back, and is dropped. `is_late` tells of a frame at that place, and of that many bytes,
    whether it should be complete by now. Until then nothing behind it is looked at: a frame may hold in it what looks
    like another.
    """
    start = octets(frame.start)
    frames: list[bytes] = []
    dropped, missed = 0, False
    at = heard.find(start)
    while at >= 0:
        size, is_known = _size(heard, at, frame)
        end = at + size
        possible = not is_known or least <= size <= frame.most
        if possible and end > len(heard) and not is_late(at, size):
            return Cut(frames, heard[at:], dropped=dropped + missed)
        fits = possible and is_known and end <= len(heard) and is_whole(heard[at:end])
        if fits and end > known:
            frames.append(heard[at:end])
            dropped, missed = dropped + missed, False
        else:
            missed = True
        at = heard.find(start, end if fits else at + 1)
    return Cut(frames, _beginning(heard, start), dropped=dropped + missed)


def _size(heard: bytes, at: int, frame: Frame) -> tuple[int, bool]:
    """How long the frame at `at` is, and True; False with how many bytes of it it takes to tell."""
    if frame.length is not None or frame.length_at is None:
        return frame.most, True
    place = at + frame.length_at
    if place < len(heard):
        return heard[place] + frame.length_adds, True
    return frame.length_at + 1, False


def _beginning(heard: bytes, start: bytes) -> bytes:
    """The bytes at the end that may be a start's first ones."""
    for size in range(min(len(start) - 1, len(heard)), 0, -1):
        if start.startswith(heard[-size:]):
            return heard[-size:]
    return b""
