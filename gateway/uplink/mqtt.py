"""One MQTT connection. The only user of paho, and only on the wire's thread.

- Each connection has a paho client of its own, so nothing of an earlier one is ever sent again by paho: the sender's
  window is the only window, the journal the only queue.
- paho's own loops let the publishing thread write beside the network thread: half a packet of one may end up in a
  packet of the other, and two threads use one TLS object. So its interface for foreign event loops is used, and no
  other thread ever calls it.
- The socket is ours (dial.py): paho has no public way to hand one in, so its `_create_socket` is overridden.
- A callback does one `put`, or notes for this same thread what the broker said.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from gateway.uplink import faults, webfaults
from gateway.uplink.address import Endpoint, Proxy
from gateway.uplink.dial import Dial, Stream
from gateway.uplink.faults import Fault
from gateway.uplink.tls import Shown
from gateway.uplink.websocket import WebSocket
from gateway.uplink.wire import (
    LARGEST_PACKET,
    NO_LIMIT,
    Landed,
    NotSubscribed,
    Publication,
    Received,
    Tell,
    Up,
)

MAX_INCOMING = 65_536
"""Bytes of a packet that the broker may send to us."""

AT_ONCE = 16_384
"""Bytes of one read; paho makes up to 100 of them before anybody can look at the packet."""

UNSUPPORTED_VERSION = 0x84
PROTOCOL_ERROR = 0x82
KEEP_ALIVE_TIMEOUT = 0x8D
"""Reason codes. Source: MQTT 5.0, 2.4."""

DISCONNECT_WITH_WILL = 0x04

_PROTOCOLS = {"5": MQTTProtocolVersion.MQTTv5, "3.1.1": MQTTProtocolVersion.MQTTv311}


class Login(NamedTuple):
    """What a connection begins with. `context` None: no TLS; `proxy` None: straight to the broker."""

    client_id: str
    username: str
    password: str | None
    context: ssl.SSLContext | None
    will: Publication
    keepalive_s: float
    proxy: Proxy | None = None


class _Client(Client):
    """paho's client on a stream that `dialled` gives."""

    def __init__(self, client_id: str, protocol: MQTTProtocolVersion, dialled: Callable[[], Stream]) -> None:
        super().__init__(CallbackAPIVersion.VERSION2, client_id, protocol=protocol, reconnect_on_failure=False)
        self._dialled = dialled

    def _create_socket(self) -> Stream:
        return self._dialled()

    def _sock_recv(self, bufsize: int) -> bytes:
        """As paho's, which asks for as many bytes as a packet says it has, and gets that much memory at once."""
        received: bytes = super()._sock_recv(min(bufsize, AT_ONCE))
        return received


class Connection:
    """The connection `number`, speaking MQTT `version` ("5" or "3.1.1"). `fault` says why it ended, where known.

    `shown` is what its TLS shows, if its context was made with it.
    """

    def __init__(self, number: int, version: str, where: Endpoint, tell: Tell) -> None:
        self.number = number
        self.version = version
        self.is_up = False
        self.fault: Fault | None = None
        self.version_refused = False
        self.shown = Shown()
        self._where = where
        self._tell = tell
        self._client: Client | None = None
        self._stream: Stream | None = None
        self._dial: Dial | None = None
        self._called_off = False
        self._tokens: dict[int, int] = {}
        self._filters: dict[int, tuple[str, ...]] = {}

    def open(self, login: Login) -> None:
        """Resolve, connect, shake hands and send CONNECT; on failure `fault` says why and there is no socket."""
        client = self._client = self._new_client(login)
        keepalive = round(login.keepalive_s)
        try:
            if self.version == "5":
                properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
                properties.MaximumPacketSize = MAX_INCOMING
                client.connect(self._where.host, self._where.port, keepalive, clean_start=True, properties=properties)
            else:
                client.connect(self._where.host, self._where.port, keepalive)
        except faults.DialError as failed:
            self.fault = failed.fault
        except ValueError:  # a label in the host name that no DNS name can have
            self.fault = faults.connecting(socket.gaierror("not a host name"), self._where)

    def _dialled(self, login: Login) -> Stream:
        self._dial = Dial(self._where, login.context, login.proxy)
        if self._called_off:
            self._dial.call_off()
        self._stream = self._dial.stream()
        return self._stream

    def call_off(self) -> None:
        """Give it up, and send no CONNECT, if that was not sent yet. May be called from another thread."""
        self._called_off = True
        if self._dial is not None:
            self._dial.call_off()

    @property
    def has_begun(self) -> bool:
        """Whether the CONNECT may have been sent. May be asked from another thread."""
        return self._stream is not None

    def adopt(self, tell: Tell) -> None:
        """Tell this one from now on."""
        self._tell = tell

    def _new_client(self, login: Login) -> Client:
        client = _Client(login.client_id, _PROTOCOLS[self.version], lambda: self._dialled(login))
        client.max_inflight_messages_set(0)  # no limit: the window is the sender's
        if login.username:
            client.username_pw_set(login.username, login.password)
        client.will_set(login.will.topic, login.will.payload, qos=1, retain=login.will.retain)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_message = self._on_message
        client.on_subscribe = self._on_subscribe
        return client

    # ------------------------------------------------------------ carrying bytes

    def fileno(self) -> int | None:
        """The socket's number; None when the connection has ended."""
        sock = self._client.socket() if self._client is not None else None
        return None if sock is None else sock.fileno()

    @property
    def wants_write(self) -> bool:
        """Whether bytes wait to be written."""
        if self._client is None:
            return False
        return self._client.want_write() or (isinstance(self._stream, WebSocket) and self._stream.wants_write)

    @property
    def ping_s(self) -> float:
        """Seconds within which `tend` must be called again; the broker may have shortened the keep-alive."""
        return self._client.keepalive / 4 if self._client is not None else 0.0

    def read(self) -> None:
        """The socket is readable."""
        client = self._client
        if client is None:
            return
        client.loop_read()
        while client.socket() is not None and _pending(self._stream):
            client.loop_read()
        if isinstance(self._stream, WebSocket) and self._stream.broken:
            self.close(webfaults.broken_frames(self._where))
        # paho has no limit of its own, and 3.1.1 no way to tell the broker ours
        if client._in_packet["remaining_length"] > MAX_INCOMING:  # noqa: SLF001
            self.close(faults.too_large(self._where))

    def write(self) -> None:
        """The socket is writable."""
        if self._client is not None and self._client.want_write():
            self._client.loop_write()
        elif isinstance(self._stream, WebSocket):
            with suppress(OSError):  # reading tells what happened
                self._stream.flush()

    def tend(self) -> None:
        """Ping if it is time, and notice a peer that has fallen silent."""
        if self._client is not None:
            self._client.loop_misc()

    # ------------------------------------------------------------ what the sender wants

    def publish(self, token: int, publication: Publication) -> None:
        """Send a publication; its `Landed` will name `token`. Nothing is sent, or kept, if the connection has ended."""
        if self._client is not None and self.is_up and self.fileno() is not None:
            properties = _properties(publication) if self.version == "5" else None
            topic, payload = publication.topic, publication.payload
            info = self._client.publish(topic, payload, qos=1, retain=publication.retain, properties=properties)
            self._tokens[info.mid] = token

    def subscribe(self, filters: tuple[tuple[str, int], ...]) -> None:
        """Subscribe to these topic filters, each with its QoS."""
        if self._client is not None and self.is_up:
            _, mid = self._client.subscribe(list(filters))
            if mid is not None:
                self._filters[mid] = tuple(name for name, _ in filters)

    def unsubscribe(self, filters: tuple[str, ...]) -> None:
        """End these subscriptions."""
        if self._client is not None and self.is_up:
            self._client.unsubscribe(list(filters))

    def goodbye(self, with_will: bool = False) -> None:
        """Disconnect in order; `with_will`: the broker is to publish the will nevertheless."""
        if self._client is None or self.fileno() is None:
            return
        if not with_will:
            self._client.disconnect()
        elif self.is_up and self.version == "5":
            self._client.disconnect(ReasonCode(PacketTypes.DISCONNECT, identifier=DISCONNECT_WITH_WILL))

    def close(self, fault: Fault | None = None) -> None:
        """End without goodbye, for this reason; again and again does no harm."""
        self.fault = self.fault or fault
        client, self._client = self._client, None
        if client is not None and (sock := client.socket()) is not None:
            sock.close()

    # ------------------------------------------------------------ what paho says

    def _on_connect(
        self, _c: Client, _u: object, _f: ConnectFlags, code: ReasonCode, properties: Properties | None
    ) -> None:
        if code.is_failure:
            self.version_refused = code.value == UNSUPPORTED_VERSION
            self.fault = faults.refused(code.value, str(code))
            return
        self.is_up = True
        self._tell(
            Up(
                self.number,
                self.version,
                int(getattr(properties, "ReceiveMaximum", NO_LIMIT)),
                int(getattr(properties, "MaximumPacketSize", LARGEST_PACKET)),
                bool(getattr(properties, "RetainAvailable", 1)),
                self._where.url,
            )
        )

    def _on_disconnect(
        self, _c: Client, _u: object, flags: DisconnectFlags, code: ReasonCode, _p: Properties | None
    ) -> None:
        if self.fault is not None:
            return
        if flags.is_disconnect_packet_from_server:
            self.fault = faults.ended(code.value, str(code))
        elif code.value == PROTOCOL_ERROR:
            self.fault = faults.malformed(self._where)
        elif code.value == KEEP_ALIVE_TIMEOUT:
            self.fault = faults.silent(self._where)

    def _on_publish(self, _c: Client, _u: object, mid: int, code: ReasonCode, _p: Properties | None) -> None:
        token = self._tokens.pop(mid, None)
        if token is not None:
            self._tell(Landed(self.number, token, code.value, str(code)))

    def _on_message(self, _c: Client, _u: object, message: MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            self.close(faults.malformed(self._where))
            return
        self._tell(Received(self.number, topic, bytes(message.payload), message.retain))

    def _on_subscribe(self, _c: Client, _u: object, mid: int, codes: list[ReasonCode], _p: Properties | None) -> None:
        filters = self._filters.pop(mid, ())
        failed = [code for code in codes if code.is_failure]
        if failed:
            self._tell(NotSubscribed(self.number, filters, str(failed[0])))


def _pending(stream: Stream | None) -> int:
    """Bytes that were read from the socket already, and that no selector tells of."""
    return stream.pending() if isinstance(stream, ssl.SSLSocket | WebSocket) else 0


def _properties(publication: Publication) -> Properties | None:
    if not publication.content and publication.expires_s is None:
        return None
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    if publication.content:
        properties.ContentType = publication.content
    if publication.expires_s is not None:
        properties.MessageExpiryInterval = max(1, round(publication.expires_s))
    return properties
