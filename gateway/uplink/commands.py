"""Incoming commands, checked: untrusted bytes become a Command for the hub, or a Refusal with a reason.

- They are parsed by untrusted.py; a retained command is never obeyed.
- Only names that the configuration allows pass, and `resend`, which is about nothing but the uplink's own records.
  Whether a command is still in time is said by whoever carries it out, by the clock.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from gateway.model import SENT_LANES, Command, Json, Lane, Reply
from gateway.untrusted import MAX_BYTES, MAX_ISSUER, is_command_name, is_count, is_issuer, is_run, parsed

RESEND = "resend"

_COMMAND_KEYS = frozenset({"id", "name", "args", "issuer", "expires"})
_COMMAND_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_READABLE_ID = re.compile(rb'"id"\s*:\s*"([A-Za-z0-9._:-]{1,64})"')


class Refusal(NamedTuple):
    """A command that never reaches the hub, and why; `id` None if none can be read, so that nobody can be told."""

    id: str | None
    why: str


def command(
    payload: bytes, retain: bool, source: str, allowed: Sequence[str], answer: Callable[[Reply], None]
) -> Command | Refusal:
    """The request in `payload`, checked; untrusted bytes: its size and depth are looked at before it is parsed."""
    found = _READABLE_ID.search(payload[:MAX_BYTES])
    readable = found[1].decode() if found is not None else None
    if retain:
        return Refusal(readable, "a retained command is never obeyed")
    try:
        asked = parsed(payload, "a command")
    except ValueError as error:
        return Refusal(readable, str(error))
    return _checked(asked, source, allowed, answer)


def _checked(
    asked: dict[str, Json], source: str, allowed: Sequence[str], answer: Callable[[Reply], None]
) -> Command | Refusal:
    id_, name, args = asked.get("id"), asked.get("name"), asked.get("args", {})
    issuer, expires = asked.get("issuer"), asked.get("expires")
    if not isinstance(id_, str) or not _COMMAND_ID.fullmatch(id_):
        return Refusal(None, "id must be 1 to 64 letters, digits or . _ : -")
    if not is_command_name(name):
        return Refusal(id_, "name must be a command's name")
    if not isinstance(args, dict):
        return Refusal(id_, "args must be an object")
    if not is_issuer(issuer):
        return Refusal(id_, f"issuer must be 1 to {MAX_ISSUER} printable characters")
    if not is_count(expires):
        return Refusal(id_, "expires must be a time in UTC milliseconds")
    unknown = asked.keys() - _COMMAND_KEYS
    if unknown:
        return Refusal(id_, f"unknown field {min(unknown)!r}"[:200])
    if name not in allowed and name != RESEND:
        return Refusal(id_, f"{name} is not among the commands that this gateway takes from this uplink")
    return Command(id_, name, args, issuer, source, expires, answer)


class Span(NamedTuple):
    """The records `first` to `last` of a run and lane."""

    run: str
    lane: Lane
    first: int
    last: int


def span(args: Mapping[str, Json]) -> Span | str:
    """The records that a `resend` with these arguments is about, or what is wrong with them."""
    run, lane, first, last = (args.get(name) for name in ("run", "lane", "from", "to"))
    if args.keys() != {"run", "lane", "from", "to"}:
        return "args must be run, lane, from and to, and nothing else"
    if not is_run(run):
        return "run must be the id of a run"
    if not isinstance(lane, str) or lane not in set(SENT_LANES):
        return "lane must be event or telemetry"
    if not is_count(first) or not is_count(last) or not 1 <= first <= last:
        return "from and to must be numbers of records, the smaller one first"
    return Span(run, Lane(lane), first, last)
