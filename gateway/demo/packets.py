"""MQTT packets as bytes, for the demo's broker: 3.1.1 and 5.0, QoS 0 and 1. Pure.

What does not follow the standard raises Malformed and nothing else. Sources: MQTT 3.1.1 and MQTT 5.0, OASIS.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from gateway.demo.packet_reader import (
    RECEIVE_MAXIMUM,
    SESSION_EXPIRY,
    TOPIC_ALIAS,
    V5,
    V311,
    Malformed,
    Reader,
)

CONNECT, CONNACK, PUBLISH, PUBACK = 1, 2, 3, 4
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK = 8, 9, 10, 11
PINGREQ, PINGRESP, DISCONNECT = 12, 13, 14


class Frame(NamedTuple):
    """One packet: its type, the four flags beside it, and what follows the length."""

    kind: int
    flags: int
    body: bytes


class Will(NamedTuple):
    """What is published when a client is lost."""

    topic: str
    payload: bytes
    qos: int
    retain: bool


class Connect(NamedTuple):
    """A client wants in. `expiry_s`: how long its session outlives its connection."""

    version: int
    client_id: str
    clean: bool
    keepalive_s: int
    will: Will | None
    username: str | None
    password: bytes | None
    expiry_s: int
    receive_maximum: int


class Publish(NamedTuple):
    """A message; `properties` are those that a subscriber gets, too, as bytes."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    mid: int = 0
    dup: bool = False
    properties: bytes = b""


class Wanted(NamedTuple):
    """One topic filter of a SUBSCRIBE."""

    filter: str
    qos: int
    no_local: bool
    as_published: bool
    retained: int  # 0 send what is retained, 1 only for a new subscription, 2 never


def frame_at(buffer: bytearray, most: int) -> tuple[Frame, int] | None:
    """The first whole packet in `buffer` and its size; None if it is not whole yet. `most`: bytes of its body."""
    size = 0
    for index in range(1, 5):
        if index >= len(buffer):
            return None
        size |= (buffer[index] & 127) << (7 * (index - 1))
        if buffer[index] < 128:
            break
    else:
        raise Malformed("a length has more than four bytes")
    if size > most:
        raise Malformed("a packet is too large")
    end = index + 1 + size
    if len(buffer) < end:
        return None
    return Frame(buffer[0] >> 4, buffer[0] & 15, bytes(buffer[index + 1 : end])), end


def connect(body: bytes) -> Connect:
    """A CONNECT; another `version` than 4 and 5 comes back with nothing else in it."""
    reader = Reader(body)
    protocol, version = reader.text(), reader.number(1)
    if protocol != "MQTT" or version not in {V311, V5}:
        if protocol not in {"MQTT", "MQIsdp"}:
            raise Malformed("another protocol")
        return Connect(version if version not in {V311, V5} else 0, "", True, 0, None, None, None, 0, 0)
    flags = reader.number(1)
    if flags & 1 or (flags >> 3 & 3) == 3 or (not flags & 4 and flags & 0x38):
        raise Malformed("flags of CONNECT")
    keepalive_s = reader.number(2)
    numbers = reader.properties(version).numbers
    client_id = reader.text()
    will = _will(reader, flags, version) if flags & 4 else None
    username = reader.text() if flags & 0x80 else None
    password = reader.binary() if flags & 0x40 else None
    clean = bool(flags & 2)
    endless = 0 if clean or version == V5 else 0xFFFFFFFF
    expiry_s = numbers.get(SESSION_EXPIRY, endless)
    maximum = numbers.get(RECEIVE_MAXIMUM, 65_535)
    if reader.more or maximum == 0:
        raise Malformed("CONNECT")
    return Connect(version, client_id, clean, keepalive_s, will, username, password, expiry_s, maximum)


def _will(reader: Reader, flags: int, version: int) -> Will:
    reader.properties(version)
    topic = reader.text()
    check_topic(topic)
    return Will(topic, reader.binary(), flags >> 3 & 3, bool(flags & 0x20))


def publish(flags: int, body: bytes, version: int) -> Publish:
    """A PUBLISH of QoS 0 or 1."""
    qos = flags >> 1 & 3
    if qos > 1:
        raise Malformed("QoS 2 is not spoken here")
    reader = Reader(body)
    topic = reader.text()
    check_topic(topic)
    mid = reader.number(2) if qos else 0
    if qos and not mid:
        raise Malformed("a packet identifier of zero")
    properties = reader.properties(version)
    if TOPIC_ALIAS in properties.numbers:
        raise Malformed("a topic alias, though none was offered")
    return Publish(topic, reader.rest(), qos, bool(flags & 1), mid, bool(flags & 8), properties.forwarded)


def puback_mid(body: bytes) -> int:
    """The packet identifier in a PUBACK."""
    return Reader(body).number(2)


def subscribe(flags: int, body: bytes, version: int) -> tuple[int, tuple[Wanted, ...]]:
    """A SUBSCRIBE: its packet identifier and filters."""
    reader = Reader(body)
    mid = reader.number(2)
    reader.properties(version)
    wanted = []
    while reader.more:
        filter_, options = reader.text(), reader.number(1)
        check_filter(filter_)
        if options & 3 == 3 or options & 0xC0 or (version == V311 and options & 0xFC):
            raise Malformed("options of SUBSCRIBE")
        qos = min(options & 3, 1)
        wanted.append(Wanted(filter_, qos, bool(options & 4), bool(options & 8), options >> 4 & 3))
    if flags != 2 or not mid or not wanted:
        raise Malformed("SUBSCRIBE")
    return mid, tuple(wanted)


def unsubscribe(flags: int, body: bytes, version: int) -> tuple[int, tuple[str, ...]]:
    """An UNSUBSCRIBE: its packet identifier and filters."""
    reader = Reader(body)
    mid = reader.number(2)
    reader.properties(version)
    filters = []
    while reader.more:
        filters.append(reader.text())
    if flags != 2 or not mid or not filters:
        raise Malformed("UNSUBSCRIBE")
    return mid, tuple(filters)


def check_topic(topic: str) -> None:
    """Malformed if nothing can be published under this name."""
    if not topic or "+" in topic or "#" in topic:
        raise Malformed("a topic that is none")


def check_filter(filter_: str) -> None:
    """Malformed if nothing can be subscribed to under this name."""
    levels = filter_.split("/")
    for index, level in enumerate(levels):
        if ("+" in level or "#" in level) and (len(level) > 1 or (level == "#" and index < len(levels) - 1)):
            raise Malformed("a wildcard inside a level")
    if not filter_:
        raise Malformed("an empty filter")


def matches(filter_: str, topic: str) -> bool:
    """Whether `topic` falls under `filter_`; `$` topics only if they are named."""
    if topic.startswith("$") and filter_[:1] in {"+", "#"}:
        return False
    levels = topic.split("/")
    wanted = filter_.split("/")
    for index, level in enumerate(wanted):
        if level == "#":
            return True
        if index >= len(levels) or level not in {"+", levels[index]}:
            return False
    return len(wanted) == len(levels)


# ---------------------------------------------------------------- from broker to client


def packet(kind: int, flags: int, body: bytes) -> bytes:
    """A packet with its length."""
    size = len(body)
    head = bytearray([kind << 4 | flags])
    while size > 127:
        head.append(size & 127 | 128)
        size >>= 7
    head.append(size)
    return bytes(head) + body


def connack(version: int, code: int, session_present: bool, receive_maximum: int) -> bytes:
    """The answer to CONNECT; `code` as the version counts."""
    body = bytes([session_present, code])
    if version == V5:
        properties = struct.pack(">BH", RECEIVE_MAXIMUM, receive_maximum) if code == 0 else b""
        body += bytes([len(properties)]) + properties
    return packet(CONNACK, 0, body)


def puback(version: int, mid: int, code: int) -> bytes:
    """The answer to a PUBLISH of QoS 1; 3.1.1 has no codes."""
    return packet(PUBACK, 0, mid.to_bytes(2, "big") + (bytes([code]) if version == V5 and code else b""))


def suback(version: int, mid: int, codes: bytes) -> bytes:
    """The answer to SUBSCRIBE."""
    return packet(SUBACK, 0, mid.to_bytes(2, "big") + (b"\0" if version == V5 else b"") + codes)


def unsuback(version: int, mid: int, count: int) -> bytes:
    """The answer to UNSUBSCRIBE."""
    return packet(UNSUBACK, 0, mid.to_bytes(2, "big") + (b"\0" + bytes(count) if version == V5 else b""))


def disconnect(code: int) -> bytes:
    """The broker ends a version 5 connection."""
    return packet(DISCONNECT, 0, bytes([code]))


def outgoing(version: int, message: Publish) -> bytes:
    """A PUBLISH to a subscriber."""
    topic = message.topic.encode()
    body = len(topic).to_bytes(2, "big") + topic
    if message.qos:
        body += message.mid.to_bytes(2, "big")
    if version == V5:
        body += _varint(len(message.properties)) + message.properties
    flags = message.dup << 3 | message.qos << 1 | message.retain
    return packet(PUBLISH, flags, body + message.payload)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)
