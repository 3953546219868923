"""The hash chain over the events, and how a broken one is told: flipped, cut, reordered, replaced. Pure.

A link covers the hash before it and the row as stored: sha256(previous hash + "run\\nseq\\nts\\ntrust\\nmono_ms\\ntext"),
numbers in decimal, everything in UTF-8. The first event follows 32 zero bytes. Links are numbered from 1, over all runs;
number and hash of the last one, the head, travel in `health`, so that a platform can prove later what it was told.

What a sound chain may miss: the events before the first one that is still there (retention takes the oldest only; the
last link before them stays as the anchor), those which a later event of the chain, a `gap`, names as given up, and number
1 of a run, the `started` that was not made in time.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from enum import StrEnum
from hashlib import sha256
from typing import NamedTuple

from gateway.journal.ledger import row_id, run_of, seq_of
from gateway.journal.ranges import Ranges
from gateway.model import Lane


class Head(NamedTuple):
    """How many events were ever chained, and the hash of the last one."""

    length: int
    hash: bytes


START = Head(0, bytes(32))
"""The head of a chain without events."""


class Finding(StrEnum):
    """What is wrong with a row."""

    FLIPPED = "flipped"  # it can be told that bytes of it were changed: one byte makes it right, or it is no record
    REPLACED = "replaced"  # another record stands in its place (or in that of the one before, whose hash was made anew)
    REORDERED = "reordered"  # it stands in another one's place
    CUT = "cut"  # it is missing
    ADDED = "added"  # it is no part of the chain


class BadRow(NamedTuple):
    """The first bad row: its link, the run and number of its record as far as known, and what is wrong in words."""

    finding: Finding
    link: int
    run: str
    seq: int
    what: str


class Verdict(NamedTuple):
    """What became of the chain."""

    bad: BadRow | None
    checked: int  # events whose hash was computed anew
    uncovered: int  # events that are older than the chain in this file: brought along from an older or a damaged one
    anchor: Head  # what the first of them follows; its length counts the events that were before
    head: Head
    met: bool  # the expected head was compared (one from before the anchor cannot be)

    @property
    def is_sound(self) -> bool:
        """Whether nothing bad was found."""
        return self.bad is None


class Linked(NamedTuple):
    """A link as it is stored, with its row; `text` is None where the row is missing."""

    link: int
    id: int
    hash: bytes
    run: str
    ts: int = 0
    trust: bytes = b""
    mono_ms: int = 0
    text: bytes | None = None


def follow(previous: bytes, run: str, seq: int, ts: int, trust: bytes, mono_ms: int, text: bytes) -> bytes:
    """The hash of a row that follows a hash."""
    return sha256(previous + _canonical(run, seq, ts, trust, mono_ms, text)).digest()


def _canonical(run: str, seq: int, ts: int, trust: bytes, mono_ms: int, text: bytes) -> bytes:
    return b"%s\n%d\n%d\n%s\n%d\n%s" % (run.encode(), seq, ts, trust, mono_ms, text)
