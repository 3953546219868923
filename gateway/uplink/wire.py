"""What sender and wire tell each other.

Every message names the connection it belongs to (a number that grows with each), so that neither acts on what was said
about one that is gone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol, TypeAlias

NO_LIMIT = 65_535
"""Messages that a broker takes unacknowledged if it names no Receive Maximum. Source: MQTT 5.0, 3.2.2.3.3."""

LARGEST_PACKET = 268_435_455
"""Bytes after the fixed header, at most. Source: MQTT 5.0, 2.1.4."""

FAILED = 0x80
"""Reason codes from here on are failures. Source: MQTT 5.0, 2.4."""


class Publication(NamedTuple):
    """What is published, always with QoS 1."""

    topic: str
    payload: bytes
    retain: bool = False
    content: str = ""  # what it is, where it is no plain JSON; MQTT 5 says so, 3.1.1 cannot
    expires_s: float | None = None  # how long the broker is to keep it; MQTT 5 alone


class Up(NamedTuple):
    """The broker at `url` accepted the connection: MQTT `version`, and the limits that it named."""

    connection: int
    version: str
    receive_maximum: int = NO_LIMIT
    max_packet: int = LARGEST_PACKET  # bytes
    retains: bool = True
    url: str = ""


class Down(NamedTuple):
    """There is no connection: an attempt failed or an established one ended."""

    connection: int
    what: str
    hint: str


class Landed(NamedTuple):
    """The broker answered the publication `token` with a PUBACK; `code` from FAILED on is a refusal."""

    connection: int
    token: int
    code: int
    reason: str


class Received(NamedTuple):
    """A message came."""

    connection: int
    topic: str
    payload: bytes
    retain: bool


class NotSubscribed(NamedTuple):
    """The broker refused some of these subscriptions."""

    connection: int
    filters: tuple[str, ...]
    reason: str


Heard: TypeAlias = Up | Down | Landed | Received | NotSubscribed

Tell: TypeAlias = Callable[[Heard], None]


class Wire(Protocol):
    """One connection after the other to a broker. Every call returns at once; for an old connection it does nothing."""

    def publish(self, connection: int, token: int, publication: Publication) -> None:
        """Send a publication; its `Landed` will name `token`."""

    def subscribe(self, connection: int, filters: tuple[tuple[str, int], ...]) -> None:
        """Subscribe to these topic filters, each with its QoS."""

    def unsubscribe(self, connection: int, filters: tuple[str, ...]) -> None:
        """End these subscriptions."""

    def break_off(self, connection: int, what: str, hint: str) -> None:
        """End the connection without goodbye, for this reason, and connect again."""

    def has_passed(self, ts: int) -> None:
        """This wall time (UTC ms) has passed for certain: a clock before it is wrong."""

    def finish(self, with_will: bool = False) -> None:
        """Say goodbye to the broker, if connected, and connect no more."""
