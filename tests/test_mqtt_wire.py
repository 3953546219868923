"""The wire on real sockets: what it says when it cannot connect, versions, TLS, and bytes that are no MQTT."""

from __future__ import annotations

import random
import socket
import ssl
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Self

import pytest
from tls_scene import Authority, Pair, openssl, tls_front
from uplink_scene import ROOT, SHORT_PAUSES, Platform, event, running, until

from gateway.clock import Clock, SystemClock
from gateway.config.schema import Uplink
from gateway.demo.broker import Broker
from gateway.model import CertificatesRead
from gateway.uplink import tls
from gateway.uplink.address import Endpoint, endpoint
from gateway.uplink.attempts import Pauses
from gateway.uplink.connector import MqttWire
from gateway.uplink.wire import Down, Heard, Landed, NotSubscribed, Publication, Received, Up


@pytest.fixture
def broker() -> Iterator[Broker]:
    one = Broker()
    one.start()
    yield one
    one.stop()


class Listener:
    """A wire on its thread, and all that it says."""

    def __init__(
        self,
        url: str | tuple[str, ...],
        folder: Path = Path("/"),
        pauses: Any = SHORT_PAUSES,
        patience: Any = None,
        clock: Clock | None = None,
        **options: Any,
    ) -> None:
        self.heard: SimpleQueue[Heard] = SimpleQueue()
        self.certificates: SimpleQueue[CertificatesRead] = SimpleQueue()
        will = Publication(f"{ROOT}/status", b"lost", retain=True)
        settings = Uplink(url=(url,) if isinstance(url, str) else url, **options)
        self.wire = MqttWire(
            "platform",
            settings,
            folder,
            "gw1",
            lambda: will,
            self.heard.put,
            self.certificates.put,
            clock or SystemClock(),
            pauses,
            **(patience or {}),
        )
        self.thread = threading.Thread(target=self.wire.run)

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.wire.finish()
        self.thread.join(10)
        assert not self.thread.is_alive()

    def next(self, within_s: float = 10.0) -> Heard:
        return self.heard.get(timeout=within_s)

    def up_or_down(self) -> Heard:
        heard = self.next()
        assert isinstance(heard, Up | Down), heard
        return heard

    def down(self) -> Down:
        heard = self.next()
        assert isinstance(heard, Down), heard
        return heard

    def up_after_failures(self) -> Up:
        """The next Up, after some Downs at most."""
        for _ in range(100):
            if isinstance(heard := self.next(), Up):
                return heard
            assert isinstance(heard, Down)
        pytest.fail("it does not connect")

    def up(self) -> Up:
        heard = self.next()
        assert isinstance(heard, Up), heard
        return heard


@contextmanager
def raw_server(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server that treats each connection, one after the other, as `serve` says, and then closes it."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            with suppress(OSError):
                while True:
                    one, _ = server.accept()
                    one.settimeout(10)
                    with one, suppress(OSError):
                        serve(one)

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(10)


# ---------------------------------------------------------------- plain


def test_a_connection_tells_the_brokers_limits_and_carries_both_ways() -> None:
    platform = Platform()
    broker = Broker(receive_maximum=7, tap=platform.tap)
    with Listener(f"mqtt://127.0.0.1:{broker.start()}") as wire:
        up = wire.up()
        assert (up.version, up.receive_maximum, up.retains) == ("5", 7, True)
        wire.wire.subscribe(up.connection, (("in/#", 1),))
        wire.wire.publish(up.connection, 41, Publication("out", b"x"))
        assert wire.next() == Landed(up.connection, 41, 0, "Success")
        broker.publish("in/1", b"y", retain=False)
        assert wire.next() == Received(up.connection, "in/1", b"y", retain=False)
        wire.wire.unsubscribe(up.connection, ("in/#",))
        wire.wire.publish(up.connection, 42, Publication("in/1", b"z"))
        assert wire.next() == Landed(up.connection, 42, 0, "Success")
    broker.stop()
    assert [(topic, payload) for topic, payload, _ in platform.messages] == [
        ("out", b"x"),
        ("in/1", b"y"),
        ("in/1", b"z"),
    ]


def test_what_is_said_for_an_earlier_connection_is_never_sent() -> None:
    platform = Platform()
    broker = Broker(tap=platform.tap)
    with Listener(f"mqtt://127.0.0.1:{broker.start()}") as wire:
        first = wire.up()
        broker.pause()
        assert wire.down().connection == first.connection
        for token in range(50):
            wire.wire.publish(first.connection, token, Publication("old", b"x"))
        broker.resume()
        second = wire.up_after_failures()
        wire.wire.publish(first.connection, 98, Publication("old", b"x"))
        wire.wire.publish(second.connection, 99, Publication("new", b"x"))
        assert wire.next() == Landed(second.connection, 99, 0, "Success")
    broker.stop()
    assert [topic for topic, _, _ in platform.messages if topic in {"old", "new"}] == ["new"]


def test_finishing_is_a_goodbye_and_stopping_without_one_leaves_the_will() -> None:
    for version_5 in (True, False):
        broker = Broker()
        port = broker.start()
        broker.refuse_version_5(not version_5)
        with Listener(f"mqtt://127.0.0.1:{port}") as wire:
            assert wire.up().version == ("5" if version_5 else "3.1.1")
        until(lambda b=broker: b.connected() == ())  # type: ignore[misc]
        assert broker.retained() == {}
        with Listener(f"mqtt://127.0.0.1:{port}") as wire:
            up = wire.up()
            wire.wire.break_off(up.connection, "why", "hint")
            assert wire.down() == Down(up.connection, "why", "hint")
            until(lambda b=broker: b.retained() == {f"{ROOT}/status": b"lost"})  # type: ignore[misc]
        broker.stop()


def test_stopping_the_wire_alone_ends_it_within_its_deadline_and_leaves_the_will(broker: Broker) -> None:
    with Listener(f"mqtt://127.0.0.1:{broker.port}", patience={"goodbye_s": 0.2}) as wire:
        wire.up()
        wire.wire.stop()
        wire.thread.join(3)
        assert not wire.thread.is_alive()
    until(lambda: broker.retained() == {f"{ROOT}/status": b"lost"})


def test_stopping_ends_a_pause_between_attempts_at_once() -> None:
    endless = Pauses(least_s=3600.0, most_s=3600.0)
    with Listener(f"mqtt://127.0.0.1:{free_port()}", pauses=endless) as wire:
        wire.down()
        wire.wire.stop()
        wire.thread.join(2)
        assert not wire.thread.is_alive()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def test_each_failure_to_connect_has_its_own_words_and_a_hint() -> None:
    told = {}
    for url in (f"mqtt://127.0.0.1:{free_port()}", "mqtt://nosuchhost.invalid", "mqtt://a..b", "mqtt://192.0.2.1.x_y"):
        with Listener(url) as wire:
            down = wire.down()
            told[url] = down.what
            assert down.hint
    words = list(told.values())
    assert "refuses connections" in words[0]
    assert all("cannot be resolved" in what for what in words[1:])


def test_a_port_that_accepts_but_never_answers_is_named() -> None:
    def mute(one: socket.socket) -> None:
        while one.recv(1000):
            pass

    with raw_server(mute) as port, Listener(f"mqtt://127.0.0.1:{port}", patience={"answer_s": 0.2}) as wire:
        assert "does not answer" in wire.down().what


def test_refused_credentials_and_missing_rights_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "pw").write_text("wrong\n")
    (tmp_path / "pw").chmod(0o600)
    broker = Broker(credentials=("gw1", "right"))
    url = f"mqtt://127.0.0.1:{broker.start()}"
    with Listener(url, tmp_path, username="gw1", password_file="pw") as wire:
        assert "user name or password" in wire.down().what
        (tmp_path / "pw").write_text("right\n")
        wire.up_after_failures()
    broker.stop()

    def not_authorised(one: socket.socket) -> None:
        one.recv(1000)
        one.sendall(b"\x20\x03\x00\x87\x00")
        one.recv(1)

    with raw_server(not_authorised) as port, Listener(f"mqtt://127.0.0.1:{port}") as wire:
        assert "does not authorise" in wire.down().what


def test_a_password_file_that_is_missing_is_said_without_its_contents(tmp_path: Path) -> None:
    with Listener("mqtt://127.0.0.1:1", tmp_path, username="gw1", password_file="nothing") as wire:
        down = wire.down()
        assert "password" in down.what
        assert "nothing" not in down.what


def test_a_client_id_that_is_taken_over_is_named(broker: Broker) -> None:
    with Listener(f"mqtt://127.0.0.1:{broker.port}") as first:
        first.up()
        with Listener(f"mqtt://127.0.0.1:{broker.port}") as second:
            second.up()
            down = first.down()
            assert "our client id" in down.what
            assert "client_id" in down.hint


def test_a_refused_subscription_is_told() -> None:
    def refuse(one: socket.socket) -> None:
        one.recv(1000)
        one.sendall(b"\x20\x03\x00\x00\x00")
        mid = one.recv(1000)[2:4]
        one.sendall(b"\x90\x04" + mid + b"\x00\x87")
        one.recv(1)

    with raw_server(refuse) as port, Listener(f"mqtt://127.0.0.1:{port}") as wire:
        up = wire.up()
        wire.wire.subscribe(up.connection, (("x/command", 1),))
        assert wire.next() == NotSubscribed(up.connection, ("x/command",), "Not authorized")


# ---------------------------------------------------------------- versions


def test_a_broker_that_only_knows_3_1_1_is_met_with_it_and_that_is_remembered(broker: Broker) -> None:
    broker.refuse_version_5(True)
    with Listener(f"mqtt://127.0.0.1:{broker.port}") as wire:
        assert wire.up().version == "3.1.1"
        broker.drop_connections()
        assert isinstance(wire.next(), Down)
        broker.refuse_version_5(False)
        assert wire.up().version == "3.1.1"


@pytest.mark.parametrize("answer", [b"\x20\x03\x00\x84\x00", b"\x20\x02\x00\x01", b""])
def test_version_3_1_1_is_tried_however_the_broker_says_that_it_does_not_know_5(answer: bytes) -> None:
    versions = []

    def old_broker(one: socket.socket) -> None:
        hello = one.recv(1000)
        versions.append(version_of(hello))
        if versions[-1] == 5:
            one.sendall(answer)
            return
        one.sendall(b"\x20\x02\x00\x00")
        one.recv(1)

    with raw_server(old_broker) as port, Listener(f"mqtt://127.0.0.1:{port}") as wire:
        up = wire.up_after_failures() if answer == b"" else wire.up()  # silence alone costs failed attempts
        assert up.version == "3.1.1"
    assert versions[-1] == 4


def version_of(hello: bytes) -> int:
    return hello[hello.index(b"MQTT") + 4]


def test_a_load_balancer_that_hangs_up_while_its_broker_restarts_costs_5_one_connection_at_most() -> None:
    versions: list[int] = []

    def balancer(one: socket.socket) -> None:
        versions.append(version_of(one.recv(1000)))
        if len(versions) > 2:  # the broker is back
            one.sendall(b"\x20\x03\x00\x00\x00" if versions[-1] == 5 else b"\x20\x02\x00\x00")

    with raw_server(balancer) as port, Listener(f"mqtt://127.0.0.1:{port}") as wire:
        met_with = [wire.up_after_failures().version for _ in range(4)]
    assert met_with == ["3.1.1", "5", "5", "5"]


def test_an_old_broker_that_hangs_up_on_5_is_met_with_3_1_1_again_after_one_more_try() -> None:
    versions: list[int] = []

    def old_broker(one: socket.socket) -> None:
        versions.append(version_of(one.recv(1000)))
        if versions[-1] == 4:
            one.sendall(b"\x20\x02\x00\x00")

    with raw_server(old_broker) as port, Listener(f"mqtt://127.0.0.1:{port}") as wire:
        assert [wire.up_after_failures().version for _ in range(3)] == ["3.1.1"] * 3
    assert versions[:7] == [5, 5, 4, 5, 4, 5, 4]


def test_a_port_that_always_hangs_up_is_tried_with_both_versions_and_not_without_pauses() -> None:
    versions: list[int] = []

    def hang_up(one: socket.socket) -> None:
        hello = one.recv(1000)
        versions.append(version_of(hello))

    with raw_server(hang_up) as port, Listener(f"mqtt://127.0.0.1:{port}") as wire:
        until(lambda: len(versions) > 8)
        down = wire.down()
        assert "closed the connection" in down.what
        assert "mqtts://" in down.hint
    assert {4, 5} == set(versions)
    assert (4, 4) not in pairwise(versions), "5 has its turn again"


# ---------------------------------------------------------------- TLS


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


def test_tls_is_spoken_and_events_arrive(authority: Authority) -> None:
    platform = Platform()
    broker = Broker(tap=platform.tap)
    with tls_front(broker.start(), authority.issue("good")) as port:
        url = f"mqtts://localhost:{port}"
        with running(url, authority.folder, ca_file="ca.pem") as scene:
            scene.wait_up()
            scene.store(*(event(seq) for seq in range(1, 200)))
            scene.wait_acked()
    broker.stop()
    assert len(platform.on("event")) == 199


def test_a_client_certificate_is_shown_where_the_broker_asks_for_one(authority: Authority, broker: Broker) -> None:
    authority.issue("gw1")
    with tls_front(broker.port, authority.issue("strict"), authority.ca.cert) as port:
        url = f"mqtts://localhost:{port}"
        with Listener(url, authority.folder, ca_file="ca.pem", cert_file="gw1.pem", key_file="gw1.key") as wire:
            wire.up()
        with Listener(url, authority.folder, ca_file="ca.pem") as wire:
            assert "asks for a certificate of ours" in wire.down().what


def tls_fault(authority: Authority, pair: Pair, **options: Any) -> Down:
    sent = []

    def note(one: socket.socket) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair.cert, pair.key)
        with context.wrap_socket(one, server_side=True) as secure:
            sent.append(secure.recv(1000))

    with raw_server(note) as port, Listener(f"mqtts://localhost:{port}", authority.folder, **options) as wire:
        down = wire.down()
    assert not any(sent), "not one byte of MQTT before the check"
    assert down.hint
    return down


def test_each_wrong_certificate_is_refused_in_words_of_its_own(authority: Authority, tmp_path: Path) -> None:
    other = Authority(tmp_path / "other", "Other CA")
    trusted = {"ca_file": "ca.pem"}
    unknown = tls_fault(authority, other.issue("unknown"), **trusted)
    wrong = tls_fault(authority, authority.issue("wrong", "DNS:mqtt.example.com"), **trusted)
    common_name = tls_fault(authority, authority.issue("localhost", ""), **trusted)
    expired = tls_fault(authority, authority.issue("expired", end="20210101000000Z"), **trusted)
    early = tls_fault(authority, authority.issue("early", begin="20900101000000Z"), **trusted)
    system = tls_fault(authority, authority.issue("system"))
    assert "CA that is not known" in unknown.what
    assert "ca_file" in unknown.hint
    assert "another host name" in wrong.what
    assert "host name" in common_name.what, "a common name is no host name"
    assert "expired" in expired.what
    assert "not valid yet" in early.what
    assert "clock" in early.hint
    assert "clock" in expired.hint
    assert system.what == unknown.what


def test_tls_to_a_plain_port_and_plain_to_a_tls_port_name_the_scheme(authority: Authority, broker: Broker) -> None:
    with Listener(f"mqtts://localhost:{broker.port}", authority.folder, ca_file="ca.pem") as wire:
        down = wire.down()
        assert "TLS" in down.what
        assert "mqtt://" in down.hint
    with tls_front(broker.port, authority.issue("front")) as port, Listener(f"mqtt://localhost:{port}") as wire:
        assert "mqtts://" in wire.down().hint


def test_tls_verifies_everything_from_1_2_on(authority: Authority) -> None:
    settings = Uplink(url=("mqtts://localhost",), ca_file="ca.pem")
    context = tls.context(settings, authority.folder, tls.Shown())
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.check_hostname
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert not context.hostname_checks_common_name


def test_files_that_cannot_be_used_are_named(authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "rubbish.pem").write_text("rubbish")
    openssl("genpkey", "-algorithm", "ed25519", "-aes256", "-pass", "pass:x", "-out", tmp_path / "locked.key")
    cert = authority.issue("locked").cert
    other = authority.issue("another").key
    wrong: list[tuple[dict[str, Any], str, str]] = [
        ({"ca_file": "nothing.pem"}, "nothing.pem", "cannot be read"),
        ({"ca_file": "rubbish.pem"}, "ca_file", "holds no certificate"),
        ({"cert_file": "rubbish.pem", "key_file": str(other)}, "cert_file", "holds no certificate"),
        ({"cert_file": str(cert), "key_file": "rubbish.pem"}, "key_file", "holds no usable key"),
        ({"cert_file": str(cert), "key_file": "locked.key"}, "key_file", "locked by a password"),
        ({"cert_file": str(cert), "key_file": str(other)}, "key_file", "does not belong to the certificate"),
    ]
    for options, name, word in wrong:
        with Listener("mqtts://localhost:1", tmp_path, **options) as wire:
            down = wire.down()
            assert name in down.what
            assert word in down.what
            assert down.hint


# ---------------------------------------------------------------- bytes that are no MQTT

CONNACK = b"\x20\x03\x00\x00\x00"
NASTY = [
    b"HTTP/1.1 400 Bad Request\r\n\r\n",
    b"\x15\x03\x03\x00\x02\x02\x46",
    b"\x20\x00",
    b"\x20\x01\x00",
    b"\x20\x04\x00\x00\x7f\x00",
    b"\x20\xff\xff\xff\xff\xff",
    CONNACK + b"\x30\x04\x00\x02\xff\xfe",
    CONNACK + b"\x32\x02\x00\x01",
    CONNACK + b"\x40\x01\x00",
    CONNACK + b"\x40\x04\x00\x01\xee\x00",
    CONNACK + b"\x90\x00",
    CONNACK + b"\xe0\x01\xee",
    CONNACK + b"\x30\xff\xff\xff\x7f" + b"a" * 1000,
    CONNACK + CONNACK,
    CONNACK + b"\xd0\x05abcde",
    CONNACK + b"\x62\x02\x00\x01",
]


def test_nothing_that_a_peer_sends_ends_the_wires_thread() -> None:
    chance = random.Random(5)
    scripts = NASTY + [CONNACK[: chance.randrange(6)] + chance.randbytes(chance.randrange(40)) for _ in range(300)]
    scripts += [CONNACK + bytes([chance.randrange(256), 20]) + chance.randbytes(20) for _ in range(300)]
    waiting = scripts[::-1]

    def nasty(one: socket.socket) -> None:
        one.recv(1000)
        one.sendall(waiting.pop() if waiting else b"")

    at_once = Pauses(least_s=0.0, most_s=0.0)
    with raw_server(nasty) as port, Listener(f"mqtt://127.0.0.1:{port}", pauses=at_once) as wire:
        until(lambda: not waiting or not wire.thread.is_alive(), 20)
        assert wire.thread.is_alive()
        wire.down()


def test_a_message_larger_than_anything_we_asked_for_ends_the_connection_before_it_fills_memory() -> None:
    def large(one: socket.socket) -> None:
        one.recv(1000)
        one.sendall(CONNACK + b"\x30\xff\xff\xff\x7f\x00\x01t")
        with suppress(OSError):
            for _ in range(10_000):
                one.sendall(b"a" * 10_000)

    tracemalloc.start()
    with raw_server(large) as port, Listener(f"mqtt://127.0.0.1:{port}") as wire:
        wire.up()
        assert "too large" in wire.down().what
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3_000_000


# ---------------------------------------------------------------- small things


def test_urls_name_host_port_and_tls() -> None:
    assert endpoint("mqtt://h") == Endpoint("h", 1883, tls=False)
    assert endpoint("mqtts://h") == Endpoint("h", 8883, tls=True)
    assert endpoint("mqtt://[::1]:99") == Endpoint("::1", 99, tls=False)
    for wrong in ("http://h", "h:1883", "mqtt://"):
        with pytest.raises(ValueError, match="mqtts://"):
            endpoint(wrong)


def test_the_broker_answers_a_ping_and_a_quiet_connection_lives(broker: Broker) -> None:
    with Listener(f"mqtt://127.0.0.1:{broker.port}", keepalive=1.0) as wire:
        wire.up()
        assert wire.heard.empty()
        quiet = threading.Event()
        quiet.wait(2.0)
        assert wire.heard.empty()
        assert broker.connected() == ("gw1",)


def test_a_connection_on_which_nothing_comes_back_is_given_up() -> None:
    def deaf(one: socket.socket) -> None:
        one.recv(1000)
        one.sendall(CONNACK)
        while one.recv(1000):
            pass

    with raw_server(deaf) as port, Listener(f"mqtt://127.0.0.1:{port}", keepalive=1.0) as wire:
        wire.up()
        assert "fallen silent" in wire.down().what
