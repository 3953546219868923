r"""The hash chain over the events, and how a broken one is told: flipped, cut, reordered, replaced. Pure.

A link covers the hash before it and the row as stored: sha256(previous hash + "run\nseq\nts\ntrust\nmono_ms\ntext"),
numbers in decimal, everything in UTF-8. The first event follows 32 zero bytes. Links are numbered from 1, over all
runs; the head, number and hash of the last one, travels in `health`: with it a platform can prove what it was told.

What a sound chain may miss: the events before its anchor, which is the first link in the file and what the others
follow (retention takes the oldest events only); those which a later event of the chain, a `gap`, names as given up; and
number 1 of a run, a `started` that was not made in time.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
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

    FLIPPED = "flipped"  # bytes of it were damaged: one byte makes it right, or it is no record any more
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
    checked: int  # events that are what their hash says
    uncovered: int  # events that are older than the chain in this file: brought along from an older or a damaged one
    anchor: Head  # what the first of them follows; its length counts the events that were before
    anchor_name: tuple[str, int]  # run and number of the event that the anchor covers; ("", 0) at a chain's beginning
    head: Head
    met: bool  # the expected head was compared (one from before the anchor cannot be)

    @property
    def is_sound(self) -> bool:
        """Whether nothing bad was found."""
        return self.bad is None


class Event(NamedTuple):
    """An event's row as it is stored, but for its identity."""

    ts: int
    trust: bytes
    mono_ms: int
    text: bytes


class Link(NamedTuple):
    """A link as it is stored, with the event that it covers; None where that is missing."""

    number: int
    id: int
    hash: bytes
    event: Event | None


def follow(previous: bytes, run: str, seq: int, event: Event) -> bytes:
    """The hash of an event that follows a hash."""
    return sha256(previous + _canonical(run, seq, event)).digest()


def _canonical(run: str, seq: int, event: Event) -> bytes:
    return b"%s\n%d\n%d\n%s\n%d\n%s" % (run.encode(), seq, event.ts, event.trust, event.mono_ms, event.text)


class Audit:
    """Goes along a chain from its `anchor`; `runs` names the runs by number."""

    def __init__(self, anchor: Link, runs: Mapping[int, str], expected: Head | None) -> None:
        self.anchor = anchor
        self.checked = 0
        self.present = 0
        self.suspect: tuple[Link, bytes] | None = None  # the link that is `bad` for its contents, and the hash before
        self._runs = runs
        self._expected = expected
        self._last = anchor
        self._top = anchor.id
        self._bad: BadRow | None = None
        self._bad_id = 0
        self._holes = Ranges()
        self._excused = Ranges()
        self._wrong_head = self._head_is_wrong(anchor)

    def feed(self, link: Link) -> None:
        """The next link in the order of numbers."""
        before, self._last = self._last, link
        self.present += link.event is not None
        cut = self._missed(link)
        self._wrong_head = self._wrong_head or self._head_is_wrong(link)
        run, seq = self._name(link.id)
        if link.number != before.number + 1:
            missing_run, missing_seq = self._name(before.id + 1)
            self._blame(Finding.CUT, before.number + 1, missing_run, missing_seq, "is missing", before.id + 1)
        elif link.id <= self._top and not (seq == 1 and run_of(link.id) == run_of(self._top)):
            self._out_of_order(link)
        elif link.event is None:
            self._holes.add(link.id, link.id)
        elif follow(before.hash, run, seq, link.event) == link.hash:
            self.checked += 1
            self._excuse(link.event)
        elif cut:
            missing_run, missing_seq = self._name(cut)
            self._blame(Finding.CUT, link.number, missing_run, missing_seq, "is missing, and its link", cut)
        elif self._bad is None:
            finding, what = _diagnosis(before.hash, run, seq, link)
            self.suspect = link, before.hash
            self._blame(finding, link.number, run, seq, what, link.id)
        self._top = max(self._top, link.id)

    def owner_is(self, link: Link, before: bytes) -> bool:
        """Whether what stands in the suspect's place is the event of `link`, which follows the hash `before`."""
        if self.suspect is None or self.suspect[0].event is None:
            return False
        return follow(before, *self._name(link.id), self.suspect[0].event) == link.hash

    def moved(self, owner: Link) -> None:
        """The suspect is the event of `owner`."""
        if self._bad is not None:
            run, seq = self._name(owner.id)
            what = f"holds what belongs to number {seq} of run {run}"
            self._bad = self._bad._replace(finding=Finding.REORDERED, what=what)

    def added(self, row: int) -> None:
        """There is an event with this id that no link covers."""
        if self._bad is None:
            self._blame(Finding.ADDED, 0, *self._name(row), "is no part of the chain", row)

    def verdict(self, uncovered: int, oldest: int | None) -> Verdict:
        """What was found; `oldest` is the least id of the events in the file."""
        for first, last in self._holes:
            for at, _ in self._excused.gaps(first, last):
                if seq_of(at) == 1 and oldest is not None and at < oldest:
                    continue  # made late, it is among the first to go, but not in the chain
                if self._bad is None or at < self._bad_id:
                    self._bad = BadRow(Finding.CUT, 0, *self._name(at), "is missing, and no gap names it")
                    self._bad_id = at
        head = Head(self._last.number, self._last.hash)
        met = self._expected is not None and self._expected.length >= self.anchor.number
        if met and self._bad is None:
            self._check_head(head)
        anchor = Head(self.anchor.number, self.anchor.hash)
        return Verdict(self._bad, self.checked, uncovered, anchor, self._name(self.anchor.id), head, met)

    def _check_head(self, head: Head) -> None:
        run, seq = self._name(self._last.id)
        if self._expected is not None and self._expected.length > head.length:
            what = f"and {self._expected.length - head.length} events in all are missing at the end"
            self._blame(Finding.CUT, head.length + 1, run, seq + 1, what, self._last.id + 1)
        elif self._wrong_head is not None:
            run, seq = self._name(self._wrong_head.id)
            what = (
                "is not what was reported: it, or one before it, was replaced, and all hashes after it were made anew"
            )
            self._blame(Finding.REPLACED, self._wrong_head.number, run, seq, what, self._wrong_head.id)

    def _head_is_wrong(self, link: Link) -> Link | None:
        expected = self._expected
        return link if expected is not None and link.number == expected.length and link.hash != expected.hash else None

    def _missed(self, link: Link) -> int:
        """Note the numbers between this event and those before it, which are not in the chain; gives the first id."""
        if link.id <= self._top:
            return 0
        same_run = run_of(link.id) == run_of(self._top)
        first = self._top + 1 if same_run else row_id(run_of(link.id), 2)
        if seq_of(first) == 1:
            first += 1
        if first >= link.id:
            return 0
        self._holes.add(first, link.id - 1)
        return first

    def _out_of_order(self, link: Link) -> None:
        if self._bad is not None and self._bad.finding is Finding.CUT and self._bad_id == link.id:  # here it is
            self._bad = self._bad._replace(finding=Finding.REORDERED, what=f"has become link {link.number}")
        self._blame(Finding.REORDERED, link.number, *self._name(link.id), "follows one with a higher number", link.id)

    def _excuse(self, event: Event) -> None:
        if not event.text.startswith(b'{"event":"gap"'):
            return
        gap = json.loads(event.text)
        if gap["lane"] == Lane.EVENT:
            for number in (number for number, run in self._runs.items() if run == gap["of_run"]):
                self._excused.add(row_id(number, gap["first"]), row_id(number, gap["last"]))

    def _blame(self, finding: Finding, link: int, run: str, seq: int, what: str, row: int) -> None:
        if self._bad is None:
            self._bad, self._bad_id = BadRow(finding, link, run, seq, what), row

    def _name(self, row: int) -> tuple[str, int]:
        return self._runs.get(run_of(row), ""), seq_of(row)


def _diagnosis(before: bytes, run: str, seq: int, link: Link) -> tuple[Finding, str]:
    """What is wrong with a row that does not have its hash."""
    event = link.event or Event(0, b"", 0, b"")
    try:
        json.loads(event.text)
    except ValueError:
        return Finding.FLIPPED, "is no record any more"
    found = _canonical(run, seq, event)
    if any(sha256(before + repaired).digest() == link.hash for repaired in _one_byte_off(found)):
        return Finding.FLIPPED, "has one wrong byte"
    return Finding.REPLACED, "is not what was stored, or the one before it is not"


def _one_byte_off(found: bytes) -> Iterator[bytes]:
    for at in range(len(found)):
        for byte in range(256):
            yield found[:at] + bytes((byte,)) + found[at + 1 :]
