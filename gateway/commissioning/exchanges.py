"""What passed on a wire, in terms of requests and their replies. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from gateway.model import Passing


class Exchanged(NamedTuple):
    """A request and all that came after it; `after_s` from its sending to the last byte, None if nothing came."""

    sent: bytes
    received: bytes
    after_s: float | None


def exchanges(passed: Iterable[Passing]) -> tuple[Exchanged, ...]:
    """What was sent, each time with what came before the next was; what came before the first belongs to none."""
    found: list[Exchanged] = []
    began = 0.0
    for passing in passed:
        if passing.sent:
            began = passing.mono
            found.append(Exchanged(passing.data, b"", None))
        elif found:
            last = found[-1]
            found[-1] = Exchanged(last.sent, last.received + passing.data, passing.mono - began)
    return tuple(found)


def spaced(data: bytes) -> str:
    """Bytes as people write them: 01 04 00 01; "-" for none."""
    return data.hex(" ").upper() or "-"
