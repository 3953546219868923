"""Frames out of the bytes of a stream, however they are cut into pieces on their way. Pure.

Invariant: what is kept is never longer than the longest frame and the bytes around it, whatever comes.
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


def lines(heard: bytes, frame: Frame, *, skipping: bool) -> Cut:
    """Frames that are told by their end; of those with a start, from the last one before that end."""
    start, end = octets(frame.start), octets(frame.end)
    *whole, rest = heard.split(end)
    frames: list[bytes] = []
    for line in whole:
        if skipping:
            skipping = False
            continue
        at = line.rfind(start)  # of no start: the end of the line, which is no place
        found = line[at:] if start and at >= 0 else b"" if start else line
        if found and len(found) <= frame.longest:
            frames.append(found)
    kept = frame.longest + len(end) - 1
    if len(rest) <= kept:
        return Cut(frames, rest, skipping)
    if start:
        return Cut(frames, rest[-kept:], skipping)
    return Cut(frames, rest[len(rest) - len(end) + 1 :], skipping=True)


def blocks(heard: bytes, frame: Frame, least: int, is_whole: Callable[[bytes], bool]) -> Cut:
    """Frames of a known length, `least` bytes at least; what begins as one and is not whole is looked into again."""
    start = octets(frame.start)
    frames: list[bytes] = []
    at = heard.find(start)
    while at >= 0:
        size = _size(heard, at, frame)
        if size is None or (least <= size <= frame.most and len(heard) - at < size):
            return Cut(frames, heard[at:])
        fits = least <= size <= frame.most and is_whole(heard[at : at + size])
        if fits:
            frames.append(heard[at : at + size])
        at = heard.find(start, at + (size if fits else 1))
    return Cut(frames, _beginning(heard, start))


def _size(heard: bytes, at: int, frame: Frame) -> int | None:
    """How long the frame at `at` is; None if that takes more bytes to tell."""
    if frame.length is not None or frame.length_at is None:
        return frame.length
    place = at + frame.length_at
    return heard[place] + frame.length_adds if place < len(heard) else None


def _beginning(heard: bytes, start: bytes) -> bytes:
    """The bytes at the end that may be a start's first ones."""
    for size in range(min(len(start) - 1, len(heard)), 0, -1):
        if start.startswith(heard[-size:]):
            return heard[-size:]
    return b""
