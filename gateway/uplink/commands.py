"""Incoming commands, checked: untrusted bytes become a Command for the hub, or a Refusal with a reason.

- They are parsed by untrusted.py; a retained command is never obeyed.
- A signed one carries what is signed as text: the signature is over those bytes, which are then parsed as any other.
  Whether its counter is used up is said by the hub.
- Only names that the configuration allows pass, and `resend`, which is about nothing but the uplink's own records.
  Whether a command is still in time is said by whoever carries it out, by the clock.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeGuard, cast

from gateway.model import NEED_SIGNATURE, SENT_LANES, Command, Json, Lane, Reply, Signed
from gateway.signature import Keys, signature
from gateway.untrusted import MAX_BYTES, MAX_ISSUER, is_command_name, is_count, is_issuer, is_run, parsed

RESEND = "resend"

_COMMAND_KEYS = frozenset({"id", "name", "args", "issuer", "expires"})
_SIGNED_KEYS = frozenset({"gateway", "counter"})
_COMMAND_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_READABLE_ID = re.compile(rb'"id"\s*:\s*"([A-Za-z0-9._:-]{1,64})"')


class Refusal(NamedTuple):
    """A command that never reaches the hub, as far as it can be read, and why; without an id nobody can be told."""

    id: str
    name: str
    issuer: str
    kind: str  # as in model.TurnedAway
    why: str


class Terms(NamedTuple):
    """On what terms an uplink takes commands; `gateway` is `site/gateway`, as what is signed for it names it."""

    source: str
    allowed: Sequence[str]
    gateway: str = ""
    keys: Keys | None = None  # None: none is signed


def command(payload: bytes, retain: bool, terms: Terms, answer: Callable[[Reply], None]) -> Command | Refusal:
    """The request in `payload`, checked; untrusted bytes: its size and depth are looked at before it is parsed."""
    try:
        outer = asked = parsed(payload, "a command")
        signed = "signed" in outer or "signature" in outer
        text = _signed_text(outer) if signed else ""
        if signed:
            asked = parsed(text.encode(), "a command")
    except ValueError as error:
        found = _READABLE_ID.search(payload[:MAX_BYTES])
        return Refusal("" if found is None else found[1].decode(), "", "", "malformed", str(error))
    key = ""
    wrong = _wrong(asked, retain, terms.allowed, _COMMAND_KEYS | _SIGNED_KEYS if signed else _COMMAND_KEYS)
    if wrong is None and signed:
        key, why = _signer(asked, text, outer["signature"], terms)
        wrong = ("signature", why) if why else None
    elif wrong is None and terms.keys is not None and asked["name"] in NEED_SIGNATURE:
        wrong = "signature", f"{asked['name']} has to be signed: this uplink has a command_key"
    if wrong is not None:
        id_, name, issuer = (asked.get(field) for field in ("id", "name", "issuer"))
        return Refusal(
            id_ if _is_id(id_) else "",
            name if is_command_name(name) else "",
            issuer if is_issuer(issuer) else "",
            *wrong,
        )
    return Command(
        str(asked["id"]),
        str(asked["name"]),
        cast("Mapping[str, Json]", asked.get("args", {})),
        str(asked["issuer"]),
        terms.source,
        cast("int", asked["expires"]),
        answer,
        Signed(key, cast("int", asked["counter"])) if signed else None,
    )


def _signed_text(envelope: Mapping[str, Json]) -> str:
    """The text that is signed; ValueError where this is no signed command."""
    text = envelope.get("signed")
    if envelope.keys() != {"signed", "signature"} or not isinstance(text, str):
        raise ValueError("a signed command has signed, its text, and signature, and nothing else")
    return text


def _signer(asked: Mapping[str, Json], text: str, written: Json, terms: Terms) -> tuple[str, str]:
    """The id of the key that has signed the text; or why it is not taken."""
    if terms.keys is None:
        return "", "this uplink has no command_key to check a signature with"
    try:
        key = terms.keys.signer(text.encode(), signature(written if isinstance(written, str) else ""))
    except ValueError as error:
        return "", str(error)
    if not key:
        return "", "its signature is that of no command_key"
    if asked.get("gateway") != terms.gateway:
        return "", f"it was signed for another gateway than {terms.gateway}"
    if not is_count(asked.get("counter")):
        return "", "what is signed needs counter, a whole number that grows"
    return key, ""


def _wrong(
    asked: Mapping[str, Json], retain: bool, allowed: Sequence[str], fields: frozenset[str]
) -> tuple[str, str] | None:
    """What is wrong with a request, as kind and words; None if nothing is."""
    name, unknown = asked.get("name"), asked.keys() - fields
    if retain:
        return "retained", "a retained command is never obeyed"
    if not _is_id(asked.get("id")):
        return "malformed", "id must be 1 to 64 letters, digits or . _ : -"
    if not is_command_name(name):
        return "malformed", "name must be a command's name"
    if not isinstance(asked.get("args", {}), dict):
        return "malformed", "args must be an object"
    if not is_issuer(asked.get("issuer")):
        return "malformed", f"issuer must be 1 to {MAX_ISSUER} printable characters"
    if not is_count(asked.get("expires")):
        return "malformed", "expires must be a time in UTC milliseconds"
    if unknown:
        return "malformed", f"unknown field {min(unknown)!r}"[:200]
    if name not in allowed and name != RESEND:
        return "not_allowed", f"{name} is not among the commands that this gateway takes from this uplink"
    return None


def _is_id(value: Json) -> TypeGuard[str]:
    return isinstance(value, str) and _COMMAND_ID.fullmatch(value) is not None


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
