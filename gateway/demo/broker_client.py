"""The connections of the demo's broker, and the desk that they share. All of it on the broker's thread.

A client that sends what is no MQTT loses its connection, and nobody else notices.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias, cast

from gateway.demo import packets
from gateway.demo.packet_reader import V5, V311, Malformed
from gateway.demo.packets import Frame, Publish
from gateway.demo.sessions import Memory, Session

MAX_PACKET = 1_048_576
MAX_CONNECTIONS = 200
MAX_HELD = 65_535
MAX_UNREAD = 4_194_304
"""Bytes that wait for a client that does not read, before it loses its connection."""

CONNECT_S = 5.0

Tap: TypeAlias = Callable[[str, bytes, bool], None]


@dataclass(slots=True)
class Faults:
    """What goes wrong on demand. `fuse`: bytes until a connection is cut; `refusals`: topic filter -> reason code."""

    holds_acks: bool = False
    refuses_5: bool = False
    fuse: int | None = None
    refusals: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Desk:
    """What all connections of a broker share."""

    receive_maximum: int
    credentials: tuple[str, str] | None
    tap: Tap | None
    now: Callable[[], float]
    memory: Memory = field(default_factory=Memory)
    clients: set[Client] = field(default_factory=set)
    faults: Faults = field(default_factory=Faults)

    def accept(self, message: Publish, publisher: Session | None) -> int:
        """A message came from a client; returns its PUBACK's reason code."""
        for filter_, code in self.faults.refusals.items():
            if packets.matches(filter_, message.topic):
                return code
        self.memory.route(message, publisher)
        if self.tap is not None:
            self.tap(message.topic, message.payload, message.retain)
        return 0

    def admit(self, asked: packets.Connect, client: Client) -> tuple[int, bool]:
        """A CONNECT came: its return code by the client's version, and whether a session was there."""
        old = asked.version == V311
        if not old and (asked.version != V5 or self.faults.refuses_5):
            return 1, False
        if self.credentials is not None:
            user, password = self.credentials
            if (asked.username, asked.password) != (user, password.encode()):
                return (4 if old else 0x86), False
        if not asked.client_id and old and not asked.clean:
            return 2, False
        client_id = asked.client_id or f"anonymous-{id(client)}"
        for other in list(self.clients):
            if other.session is not None and other.session.client_id == client_id:
                other.taken_over()
        found = self.memory.session(client_id, asked.clean, self.now())
        if found is None:
            return (3 if old else 0x97), False
        client.session, present = found
        client.session.expiry_s = asked.expiry_s
        return 0, present


class Client(asyncio.Protocol):
    """One connection."""

    def __init__(self, desk: Desk) -> None:
        self.session: Session | None = None
        self.will: packets.Will | None = None
        self._desk = desk
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._version = 0
        self._held: list[bytes] = []
        self._heard = 0.0
        self._limit_s = CONNECT_S
        self._timer: asyncio.TimerHandle | None = None

    # ------------------------------------------------------------ bytes

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Someone has connected."""
        self._transport = cast("asyncio.Transport", transport)
        self._desk.clients.add(self)
        if len(self._desk.clients) > MAX_CONNECTIONS:
            self.cut()
        self._heard = self._desk.now()
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        fuse = self._desk.faults.fuse
        burnt = fuse is not None and len(data) >= fuse
        if fuse is not None:
            data = data[:fuse]
            self._desk.faults.fuse = None if burnt else fuse - len(data)
        self._heard = self._desk.now()
        self._buffer += data
        try:
            self._read()
        except Malformed:
            self.cut()
        if burnt:
            self.cut()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """The connection has ended, whoever ended it."""
        self._desk.clients.discard(self)
        if self._timer is not None:
            self._timer.cancel()
        self._leave()
        self._transport = None

    def _read(self) -> None:
        if self.session is None and bytes(self._buffer[:1]) not in {b"", b"\x10"}:
            raise Malformed("CONNECT comes first")
        while self._transport is not None and not self._transport.is_closing():
            found = packets.frame_at(self._buffer, MAX_PACKET)
            if found is None:
                return
            frame, size = found
            del self._buffer[:size]
            if self.session is None:
                self._connect(frame)
            else:
                self._handle(frame, self.session)

    def _write(self, data: bytes) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        transport.write(data)
        if transport.get_write_buffer_size() > MAX_UNREAD:
            self.cut()

    def cut(self) -> None:
        """End the connection without a word."""
        if self._transport is not None:
            self._transport.abort()

    def _watch(self) -> None:
        """Cut a connection that was silent for too long; source: MQTT 5.0, 3.1.2.10."""
        left = self._heard + self._limit_s - self._desk.now()
        if left <= 0:
            self.cut()
        else:
            self._timer = asyncio.get_running_loop().call_later(left, self._watch)

    # ------------------------------------------------------------ packets

    def _connect(self, frame: Frame) -> None:
        if frame.kind != packets.CONNECT or frame.flags:
            raise Malformed("CONNECT comes first")
        asked = packets.connect(frame.body)
        code, present = self._desk.admit(asked, self)
        spoken = V311 if code == 1 else asked.version
        self._write(packets.connack(spoken, code, present, self._desk.receive_maximum))
        if code or self.session is None:
            if self._transport is not None:
                self._transport.close()
            return
        self._version, self.will = asked.version, asked.will
        if self._timer is not None:
            self._timer.cancel()
        if asked.keepalive_s:
            self._limit_s = asked.keepalive_s * 1.5
            self._watch()
        self.session.attach(self._deliver, asked.receive_maximum)

    def _handle(self, frame: Frame, session: Session) -> None:
        match frame.kind:
            case packets.PUBLISH:
                self._publish(packets.publish(frame.flags, frame.body, self._version), session)
            case packets.PUBACK:
                session.acked(packets.puback_mid(frame.body))
            case packets.SUBSCRIBE:
                mid, wanted = packets.subscribe(frame.flags, frame.body, self._version)
                self._subscribe(mid, wanted, session)
            case packets.UNSUBSCRIBE:
                mid, filters = packets.unsubscribe(frame.flags, frame.body, self._version)
                for filter_ in filters:
                    session.subscriptions.pop(filter_, None)
                self._write(packets.unsuback(self._version, mid, len(filters)))
            case packets.PINGREQ:
                self._write(packets.packet(packets.PINGRESP, 0, b""))
            case packets.DISCONNECT:
                self._goodbye(frame.body)
            case _:
                raise Malformed("a packet that clients do not send")

    def _publish(self, message: Publish, session: Session) -> None:
        code = self._desk.accept(message, session)
        if message.qos:
            ack = packets.puback(self._version, message.mid, code)
            if self._desk.faults.holds_acks:
                self._held.append(ack)
                if len(self._held) > MAX_HELD:
                    self.cut()
            else:
                self._write(ack)

    def release(self) -> None:
        """Send the PUBACKs that were withheld."""
        held, self._held = self._held, []
        for ack in held:
            self._write(ack)

    def _subscribe(self, mid: int, wanted: tuple[packets.Wanted, ...], session: Session) -> None:
        taken = [session.subscribe(one) for one in wanted]
        codes = [0x80 if new is None else one.qos for one, new in zip(wanted, taken, strict=True)]
        self._write(packets.suback(self._version, mid, bytes(codes)))
        for one, new in zip(wanted, taken, strict=True):
            if new is not None and (one.retained == 0 or (one.retained == 1 and new)):
                self._desk.memory.send_retained(session, one)

    def _goodbye(self, body: bytes) -> None:
        if not (self._version == V5 and body[:1] == b"\4"):
            self.will = None
        if self._transport is not None:
            self._transport.close()

    def _deliver(self, message: Publish) -> None:
        transport = self._transport
        if message.qos == 0 and transport is not None and transport.get_write_buffer_size() > MAX_PACKET:
            return
        self._write(packets.outgoing(self._version, message))

    def taken_over(self) -> None:
        """Another connection has come with the same client id."""
        if self._version == V5:
            self._write(packets.disconnect(0x8E))
        if self._transport is not None:
            self._transport.close()
        self._leave()

    def _leave(self) -> None:
        session, self.session = self.session, None
        if session is None:
            return
        self._desk.memory.detach(session, self._desk.now())
        will, self.will = self.will, None
        if will is not None:
            self._desk.accept(Publish(will.topic, will.payload, will.qos, will.retain), None)
