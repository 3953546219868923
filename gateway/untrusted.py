"""Bytes from outside as a JSON object, or a reason why not. Pure.

Size and depth are looked at before anything is parsed. What passes can be written out as JSON again: no NaN, no
infinity, no half surrogate pair, no field twice. And it can be reckoned with: every integer is a float, too.
"""

from __future__ import annotations

import json
import math
import re
from typing import NoReturn, TypeGuard

from gateway.model import Json
from gateway.records import encode

MAX_BYTES = 16_384
MAX_DEPTH = 8
MAX_ISSUER = 128

_JSON_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)', re.DOTALL)  # one that never ends is read once, too
_RUN = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_MOST = 2**53


def parsed(payload: bytes, what: str, most: int = MAX_BYTES) -> dict[str, Json]:
    """The object in `payload`; ValueError, in words for who sent it, where there is none. `what`: a command, ..."""
    if len(payload) > most:
        raise ValueError(f"{what} has at most {most} bytes, not {len(payload)}")
    if _depth(payload) > MAX_DEPTH:
        raise ValueError(f"{what} is nested at most {MAX_DEPTH} deep")
    try:
        return _parse(payload)
    except ValueError as error:
        raise ValueError(f"not {what}: {error}"[:200]) from error


def is_run(value: Json) -> TypeGuard[str]:
    """Whether this is how a run may be called."""
    return isinstance(value, str) and _RUN.fullmatch(value) is not None


def is_command_name(value: Json) -> TypeGuard[str]:
    """Whether this is how a command may be called."""
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


def is_issuer(value: object) -> TypeGuard[str]:
    """Whether this is how somebody who asks may be called, for the record."""
    return isinstance(value, str) and 0 < len(value) <= MAX_ISSUER and value.isprintable()


def is_count(value: Json) -> TypeGuard[int]:
    """Whether this is a whole number that JSON carries exactly."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST


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
    found = json.loads(
        payload.decode("utf-8"),
        parse_constant=_no_constant,
        parse_float=_finite,
        parse_int=_exact,
        object_pairs_hook=_unique,
    )
    if not isinstance(found, dict):
        raise ValueError("an object is expected")  # noqa: TRY004 - wrong bytes, not a wrong call
    encode(found).encode("utf-8")  # half a surrogate pair can be read but not written: UnicodeEncodeError
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number is too big")
    return number


def _exact(text: str) -> int:
    if len(text) > len(f"-{_MOST}") or abs(int(text)) > _MOST:
        raise ValueError("a number is too big")
    return int(text)


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a field stands twice")
    return fields
