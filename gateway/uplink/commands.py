"""Incoming commands, checked: untrusted bytes become a Command for the hub, or a Refusal with a reason.

- Size and depth are looked at before anything is parsed; a retained command is never obeyed.
- What passes can be written out as JSON again: no NaN, no infinity, no half surrogate pair, no field twice.
- Only names that the configuration allows pass, and `resend`, which is about nothing but the uplink's own records.
  Whether a command is still in time is said by whoever carries it out, by the clock.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, NoReturn, TypeGuard

from gateway.model import Command, Json, Lane, Reply
from gateway.records import encode

MAX_COMMAND_BYTES = 16_384
MAX_COMMAND_DEPTH = 8

RESEND = "resend"

_COMMAND_KEYS = frozenset({"id", "name", "args", "issuer", "expires"})
_COMMAND_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_COMMAND_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_MAX_ISSUER = 128
_JSON_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_READABLE_ID = re.compile(rb'"id"\s*:\s*"([A-Za-z0-9._:-]{1,64})"')
_MAX_TS = 2**53
_RUN = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Refusal(NamedTuple):
    """A command that never reaches the hub, and why; `id` None if none can be read, so that nobody can be told."""

    id: str | None
    why: str


def command(
    payload: bytes, retain: bool, source: str, allowed: Sequence[str], answer: Callable[[Reply], None]
) -> Command | Refusal:
    """The request in `payload`, checked; untrusted bytes: its size and depth are looked at before it is parsed."""
    if len(payload) > MAX_COMMAND_BYTES:
        return Refusal(None, f"a command has at most {MAX_COMMAND_BYTES} bytes, not {len(payload)}")
    found = _READABLE_ID.search(payload)
    readable = found[1].decode() if found is not None else None
    if retain:
        return Refusal(readable, "a retained command is never obeyed")
    if _depth(payload) > MAX_COMMAND_DEPTH:
        return Refusal(readable, f"a command is nested at most {MAX_COMMAND_DEPTH} deep")
    try:
        asked = _parse(payload)
    except ValueError as error:
        return Refusal(readable, f"not a command: {error}"[:200])
    return _checked(asked, source, allowed, answer)


def _checked(
    asked: dict[str, Json], source: str, allowed: Sequence[str], answer: Callable[[Reply], None]
) -> Command | Refusal:
    id_, name, args = asked.get("id"), asked.get("name"), asked.get("args", {})
    issuer, expires = asked.get("issuer"), asked.get("expires")
    if not isinstance(id_, str) or not _COMMAND_ID.fullmatch(id_):
        return Refusal(None, "id must be 1 to 64 letters, digits or . _ : -")
    if not isinstance(name, str) or not _COMMAND_NAME.fullmatch(name):
        return Refusal(id_, "name must be a command's name")
    if not isinstance(args, dict):
        return Refusal(id_, "args must be an object")
    if not isinstance(issuer, str) or not 0 < len(issuer) <= _MAX_ISSUER or not issuer.isprintable():
        return Refusal(id_, f"issuer must be 1 to {_MAX_ISSUER} printable characters")
    if isinstance(expires, bool) or not isinstance(expires, int) or not 0 <= expires <= _MAX_TS:
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
    if not isinstance(run, str) or not _RUN.fullmatch(run):
        return "run must be the id of a run"
    if not isinstance(lane, str) or lane not in set(Lane):
        return "lane must be event or telemetry"
    if not is_count(first) or not is_count(last) or not 1 <= first <= last:
        return "from and to must be numbers of records, the smaller one first"
    return Span(run, Lane(lane), first, last)


def is_count(value: Json) -> TypeGuard[int]:
    """Whether this is a whole number that JSON can carry exactly."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 2**53


def _depth(payload: bytes) -> int:
    """How deep brackets are nested outside strings."""
    depth = deepest = 0
    for byte in _JSON_STRING.sub(b"", payload):
        if byte in b"{[":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"}]":
            depth -= 1
    return deepest


def _parse(payload: bytes) -> dict[str, Json]:
    """The object in `payload`; ValueError for what is no JSON object that could be written out again."""
    parsed = json.loads(
        payload.decode("utf-8"), parse_constant=_no_constant, parse_float=_finite, object_pairs_hook=_unique
    )
    if not isinstance(parsed, dict):
        raise ValueError("an object is expected")  # noqa: TRY004 - wrong bytes, not a wrong call
    encode(parsed).encode("utf-8")  # half a surrogate pair can be read but not written: UnicodeEncodeError
    return parsed


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number is too big")
    return number


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a field stands twice")
    return fields
