"""The demo's broker, against paho as an independent client, and against bytes that are no MQTT."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from typing import Any

import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from uplink_scene import until

from gateway.demo import packets
from gateway.demo.broker import Broker
from gateway.demo.packet_reader import V5, V311, Malformed, Reader
from gateway.demo.sessions import MAX_QUEUED, Session

VERSIONS = [MQTTProtocolVersion.MQTTv311, MQTTProtocolVersion.MQTTv5]


@pytest.fixture
def broker() -> Iterator[Broker]:
    one = Broker()
    one.start()
    yield one
    one.stop()


class Person:
    """A paho client that waits for what it expects."""

    def __init__(self, broker: Broker, name: str, version: MQTTProtocolVersion, **options: Any) -> None:
        self.got: SimpleQueue[MQTTMessage] = SimpleQueue()
        self.connacks: SimpleQueue[tuple[str, bool]] = SimpleQueue()
        self.ends: SimpleQueue[str] = SimpleQueue()
        self._subscribed = threading.Event()
        self.version = version
        keeps = options.pop("keeps", False)
        user = options.pop("user", None)
        old = version is MQTTProtocolVersion.MQTTv311
        self.client = Client(
            CallbackAPIVersion.VERSION2,
            name,
            protocol=version,
            clean_session=not keeps if old else None,
            reconnect_on_failure=False,
        )
        if user:
            self.client.username_pw_set(*user)
        self.client.on_connect = lambda _c, _u, flags, code, _p: self.connacks.put((str(code), flags.session_present))
        self.client.on_message = lambda _c, _u, message: self.got.put(message)
        self.client.on_subscribe = lambda *_: self._subscribed.set()
        self.client.on_disconnect = lambda _c, _u, _f, code, _p: self.ends.put(str(code))
        will = options.pop("will", None)
        if will:
            self.client.will_set(will, "gone", qos=1, retain=True)
        properties = None
        if not old:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.SessionExpiryInterval = 60 if keeps else 0
            options |= {"clean_start": not keeps, "properties": properties}
        self.client.connect("127.0.0.1", broker.port, **options)
        self.client.loop_start()

    def connack(self) -> tuple[str, bool]:
        return self.connacks.get(timeout=5)

    def subscribe(self, *filters: str, qos: int = 1) -> None:
        self._subscribed.clear()
        self.client.subscribe([(name, qos) for name in filters])
        assert self._subscribed.wait(5)

    def publish(self, topic: str, payload: str = "x", qos: int = 1, *, retain: bool = False) -> None:
        self.client.publish(topic, payload, qos=qos, retain=retain).wait_for_publish(5)

    def next(self) -> tuple[str, str, bool]:
        message = self.got.get(timeout=5)
        return message.topic, message.payload.decode(), message.retain

    def nothing(self, within_s: float = 0.1) -> None:
        with pytest.raises(Empty):
            self.got.get(timeout=within_s)

    def vanish(self) -> None:
        sock = self.client.socket()
        assert sock is not None
        sock.shutdown(socket.SHUT_RDWR)  # type: ignore[attr-defined]

    def leave(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@contextmanager
def person(broker: Broker, name: str, version: MQTTProtocolVersion, **options: Any) -> Iterator[Person]:
    one = Person(broker, name, version, **options)
    try:
        yield one
    finally:
        one.leave()


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_published_reaches_those_who_subscribed(broker: Broker, version: MQTTProtocolVersion) -> None:
    with person(broker, "a", version) as a, person(broker, "b", version) as b:
        assert a.connack() == ("Success", False)
        b.subscribe("x/+/z", "y/#")
        a.publish("x/1/z", "one")
        a.publish("x/1/2/z", "no")
        a.publish("y", "two", qos=0)
        a.publish("y/1/2", "three")
        assert [b.next() for _ in range(3)] == [("x/1/z", "one", False), ("y", "two", False), ("y/1/2", "three", False)]
        b.nothing()


@pytest.mark.parametrize("version", VERSIONS)
def test_retained_messages_greet_a_subscriber_and_can_be_removed(broker: Broker, version: MQTTProtocolVersion) -> None:
    with person(broker, "a", version) as a, person(broker, "b", version) as b:
        a.publish("r/1", "one", retain=True)
        a.publish("r/2", "two", retain=True)
        a.publish("r/2", "", retain=True)
        b.subscribe("r/+")
        assert b.next() == ("r/1", "one", True)
        b.nothing()
        a.publish("r/1", "live", retain=True)
        assert b.next() == ("r/1", "live", False)
    assert broker.retained() == {"r/1": b"live"}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_will_is_said_for_the_lost_and_not_for_those_who_leave(broker: Broker, version: MQTTProtocolVersion) -> None:
    with person(broker, "b", version) as b:
        b.subscribe("will")
        with person(broker, "a", version, will="will") as a:
            a.connack()
        b.nothing()
        with person(broker, "a", version, will="will") as a:
            a.connack()
            a.vanish()
            assert b.next() == ("will", "gone", False)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_session_keeps_messages_for_a_client_that_is_away(broker: Broker, version: MQTTProtocolVersion) -> None:
    with person(broker, "a", version) as a:
        with person(broker, "b", version, keeps=True) as b:
            assert b.connack() == ("Success", False)
            b.subscribe("q/#")
        until(lambda: broker.connected() == ("a",))
        for number in range(50):
            a.publish("q/1", str(number))
        broker.pause()
        broker.resume()
        with person(broker, "b", version, keeps=True) as b:
            assert b.connack() == ("Success", True)
            assert [b.next()[1] for _ in range(50)] == [str(number) for number in range(50)]


def test_a_session_ends_when_a_client_begins_anew_or_the_broker_forgets(broker: Broker) -> None:
    for forget in (False, True):
        with person(broker, "b", VERSIONS[0], keeps=True) as b:
            b.connack()
            b.subscribe("q")
        until(lambda: broker.connected() == ())
        if forget:
            broker.forget()
        broker.publish("q", b"x")
        with person(broker, "b", VERSIONS[0], keeps=forget) as b:
            assert b.connack() == ("Success", False)
            b.nothing(0.05)


def test_a_second_client_with_the_same_id_takes_over(broker: Broker) -> None:
    with person(broker, "a", VERSIONS[1]) as first, person(broker, "a", VERSIONS[1]) as second:
        assert second.connack()[0] == "Success"
        assert first.ends.get(timeout=5) == "Session taken over"
        second.subscribe("t")
        broker.publish("t", b"x")
        assert second.next()[0] == "t"


@pytest.mark.parametrize("version", VERSIONS)
def test_a_wrong_password_is_refused(version: MQTTProtocolVersion) -> None:
    broker = Broker(credentials=("gw1", "secret"))
    broker.start()
    try:
        with person(broker, "a", version, user=("gw1", "wrong")) as a:
            assert a.connack()[0] == "Bad user name or password"
        with person(broker, "a", version, user=("gw1", "secret")) as a:
            assert a.connack()[0] == "Success"
    finally:
        broker.stop()


def test_a_broker_that_is_paused_refuses_connections_and_says_no_will(broker: Broker) -> None:
    with person(broker, "a", VERSIONS[1], will="will") as a:
        a.connack()
        broker.pause()
        assert a.ends.get(timeout=5)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", broker.port), 2).close()
    port = broker.port
    broker.resume()
    assert broker.port == port
    assert broker.retained() == {}


def test_acknowledgements_can_be_withheld_and_released(broker: Broker) -> None:
    with person(broker, "a", VERSIONS[1]) as a:
        a.connack()
        broker.hold_acks(True)
        info = a.client.publish("t", "x", qos=1)
        a.subscribe("answered/in/between")
        assert not info.is_published()
        broker.hold_acks(False)
        info.wait_for_publish(5)
        assert info.is_published()


def test_messages_can_be_refused_by_topic(broker: Broker) -> None:
    codes: SimpleQueue[int] = SimpleQueue()
    with person(broker, "a", VERSIONS[1]) as a:
        a.connack()
        a.client.on_publish = lambda _c, _u, _m, code, _p: codes.put(code.value)
        broker.refuse_publish("t/#", 0x97)
        a.client.publish("t/1", "x", qos=1)
        assert codes.get(timeout=5) == 0x97
        broker.refuse_publish("t/#", 0)
        a.client.publish("t/1", "x", qos=1)
        assert codes.get(timeout=5) == 0


def test_a_connection_is_cut_after_so_many_bytes(broker: Broker) -> None:
    seen: list[bytes] = []
    with person(broker, "a", VERSIONS[0]) as a, person(broker, "b", VERSIONS[0]) as b:
        b.connack()
        b.subscribe("t")
        a.connack()
        broker.drop_after(150)
        for _ in range(10):
            a.client.publish("t", "y" * 50, qos=1)
        assert a.ends.get(timeout=5)
        seen = [b.next()[1].encode(), b.next()[1].encode()]
        b.nothing()
    assert seen == [b"y" * 50] * 2


def test_version_5_can_be_refused_as_an_old_broker_does(broker: Broker) -> None:
    broker.refuse_version_5(True)
    with person(broker, "a", VERSIONS[1]) as a:
        assert a.connack()[0] == "Unsupported protocol version"
    with person(broker, "a", VERSIONS[0]) as a:
        assert a.connack()[0] == "Success"


def test_a_client_that_is_silent_beyond_its_keepalive_is_cut(broker: Broker) -> None:
    with socket.create_connection(("127.0.0.1", broker.port), 5) as sock:
        sock.sendall(connect_bytes(V311, keepalive=1))
        assert sock.recv(4) == b"\x20\x02\x00\x00"
        assert sock.recv(1) == b"", "cut after 1.5 s"


def test_the_receive_maximum_of_broker_and_client_is_kept(broker: Broker) -> None:
    with socket.create_connection(("127.0.0.1", broker.port), 5) as sock:
        sock.sendall(connect_bytes(V5, properties=b"\x21\x00\x03"))
        assert sock.recv(100) == b"\x20\x06\x00\x00\x03\x21\x00\x14", "20, unless configured"
        sock.sendall(packets.packet(packets.SUBSCRIBE, 2, b"\x00\x01\x00\x00\x01t\x01"))
        assert sock.recv(100) == b"\x90\x04\x00\x01\x00\x01"
        for _ in range(10):
            broker.publish("t", b"x")
        got = sock.recv(1000)
        assert got.count(b"\x00\x01t") == 3
        sock.sendall(packets.packet(packets.PUBACK, 0, b"\x00\x01"))
        assert sock.recv(1000).count(b"\x00\x01t") == 1


def connect_bytes(version: int, keepalive: int = 0, properties: bytes = b"", client_id: str = "raw") -> bytes:
    body = b"\x00\x04MQTT" + bytes([version, 2]) + keepalive.to_bytes(2, "big")
    if version == V5:
        body += bytes([len(properties)]) + properties
    return packets.packet(packets.CONNECT, 0, body + len(client_id).to_bytes(2, "big") + client_id.encode())


MALFORMED = [
    b"GET / HTTP/1.1\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01",
    b"\x10\xff\xff\xff\xff\xff",
    b"\x10\xff\xff\xff\x7f",
    b"\x30\x05\x00\x01tab",
    connect_bytes(V5) + connect_bytes(V5),
    connect_bytes(V5) + b"\x30\x04\x00\x01#x",
    connect_bytes(V5) + b"\x34\x06\x00\x01t\x00\x01\x00",
    connect_bytes(V311) + b"\x32\x05\x00\x01t\x00\x00",
    connect_bytes(V5) + b"\x30\x07\x00\x01t\x03\x23\x00\x01",
    connect_bytes(V311) + b"\x82\x06\x00\x01\x00\x01#\x07",
    connect_bytes(V311) + b"\x82\x07\x00\x01\x00\x02a#\x01",
    connect_bytes(V311) + b"\xa0\x00",
    connect_bytes(V311) + b"\xf0\x00",
    connect_bytes(V311) + b"\x30\x04\x00\x02\xff\xfe",
]


@pytest.mark.parametrize("wrong", MALFORMED, ids=range(len(MALFORMED)))
def test_what_is_no_mqtt_ends_that_connection_and_no_other(broker: Broker, wrong: bytes) -> None:
    with person(broker, "good", VERSIONS[1]) as good:
        good.connack()
        good.subscribe("t")
        with socket.create_connection(("127.0.0.1", broker.port), 5) as sock:
            sock.sendall(wrong)
            with suppress(ConnectionResetError):
                while sock.recv(1000):
                    pass
        broker.publish("t", b"x")
        assert good.next()[0] == "t"


@settings(max_examples=examples(300))
@given(st.binary(max_size=60), st.sampled_from([V311, V5]), st.integers(0, 15))
def test_the_codec_raises_nothing_but_malformed(body: bytes, version: int, flags: int) -> None:
    for decode in (
        lambda: packets.connect(body),
        lambda: packets.connect(b"\x00\x04MQTT" + bytes([version]) + body),
        lambda: packets.publish(flags, body, version),
        lambda: packets.subscribe(flags, body, version),
        lambda: packets.unsubscribe(flags, body, version),
        lambda: packets.puback_mid(body),
        lambda: Reader(body).properties(V5),
        lambda: packets.frame_at(bytearray(body), 1000),
    ):
        with suppress(Malformed):
            decode()


@given(st.text(st.characters(exclude_characters="+#\0", codec="utf-8"), min_size=1), st.binary(max_size=300))
def test_a_message_survives_the_codec(topic: str, payload: bytes) -> None:
    for version in (V311, V5):
        message = packets.Publish(
            topic, payload, 1, retain=True, mid=77, properties=b"\x01\x01" if version == V5 else b""
        )
        found = packets.frame_at(bytearray(packets.outgoing(version, message)), 10_000)
        assert found is not None
        frame, size = found
        assert size == len(packets.outgoing(version, message))
        assert packets.publish(frame.flags, frame.body, version) == message


@pytest.mark.parametrize(
    ("wanted", "topic", "fits"),
    [
        ("#", "a/b", True),
        ("a/#", "a", True),
        ("a/+", "a", False),
        ("a/+", "a/", True),
        ("+/+", "/a", True),
        ("+", "/a", False),
        ("#", "$SYS/x", False),
        ("$SYS/#", "$SYS/x", True),
        ("a/b", "a/b/c", False),
    ],
)
def test_filters_match_as_the_standard_says(wanted: str, topic: str, fits: bool) -> None:
    assert packets.matches(wanted, topic) is fits


def test_a_session_that_nobody_reads_is_bounded_and_counts_what_it_drops() -> None:
    session = Session("away")
    for number in range(MAX_QUEUED + 100):
        session.deliver(packets.Publish("t", str(number).encode(), 1))
    assert session.dropped == 100
    got: list[packets.Publish] = []
    session.attach(got.append, 10)
    assert [message.payload for message in got] == [str(100 + number).encode() for number in range(10)]
