"""The uplink over a websocket: both ways, over TLS, and what a web server may answer or send instead."""

from __future__ import annotations

import random
import socket
import threading
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_mqtt_wire import CONNACK, Listener
from tls_scene import Authority, Pair, tls_front
from uplink_scene import Platform, event, running, until
from web_scene import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    behind_tls,
    client_frame,
    frame,
    grant,
    head_of,
    server,
    web_front,
)

from gateway.demo.broker import Broker
from gateway.uplink.attempts import Pauses
from gateway.uplink.httphead import read_head
from gateway.uplink.websocket import READ, WebSocket
from gateway.uplink.wire import Down


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def pair(authority: Authority) -> Pair:
    return authority.issue("web")


def fault(authority: Authority, pair: Pair, serve: Callable[[socket.socket], None], path: str = "/mqtt") -> Down:
    """What is said of a web server that behaves like this."""
    with server(behind_tls(serve, pair)) as port:
        url = f"wss://localhost:{port}{path}"
        with Listener(url, authority.folder, ca_file="ca.pem", patience={"answer_s": 1.0}) as wire:
            heard = wire.up_or_down()
            while not isinstance(heard, Down):
                heard = wire.next()
    assert heard.hint
    return heard


def answering(reply: bytes) -> Callable[[socket.socket], None]:
    def serve(one: socket.socket) -> None:
        head_of(one)
        one.sendall(reply)
        one.recv(1)

    return serve


# ---------------------------------------------------------------- it works


def test_everything_arrives_over_a_websocket_in_tls_whatever_frames_the_server_makes(
    authority: Authority, pair: Pair
) -> None:
    platform = Platform()
    broker = Broker(tap=platform.tap)
    with web_front(broker.start()) as (front, plain), tls_front(plain, pair) as port:
        url = f"wss://localhost:{port}/broker/mqtt"
        with running(url, authority.folder, ca_file="ca.pem") as scene:
            assert scene.wait_up().url == url
            scene.store(*(event(seq) for seq in range(1, 200)))
            scene.wait_acked()
        assert front.paths == ["/broker/mqtt"]
        assert set(front.pongs) == {b"alive?"}
    broker.stop()
    assert len(platform.on("event")) == 199


def test_without_a_path_the_usual_one_is_asked_for(authority: Authority, pair: Pair) -> None:
    broker = Broker()
    with web_front(broker.start()) as (front, plain), tls_front(plain, pair) as port:
        with Listener(f"wss://localhost:{port}", authority.folder, ca_file="ca.pem") as wire:
            wire.up()
        assert front.paths == ["/mqtt"]
    broker.stop()


# ---------------------------------------------------------------- what else a web server may answer


@pytest.mark.parametrize(
    ("status", "word", "hint"),
    [
        ("404 Not Found", "has nothing at /wrong", "path"),
        ("200 OK", "is a web page and no websocket", "path"),
        ("502 Bad Gateway", "has no answer from what is behind it", "running"),
        ("503 Service Unavailable", "is not available", "running"),
        ("401 Unauthorized", "does not let us in", "Ask"),
        ("301 Moved Permanently", "sends us elsewhere", "into url"),
        ("101 Switching Protocols", "not for MQTT", "path"),
    ],
)
def test_each_refusal_of_a_web_server_has_its_own_words(
    authority: Authority, pair: Pair, status: str, word: str, hint: str
) -> None:
    down = fault(authority, pair, answering(f"HTTP/1.1 {status}\r\n\r\n".encode()), "/wrong")
    assert word in down.what
    assert hint in down.hint


def test_what_is_no_web_server_is_told_so(authority: Authority, pair: Pair) -> None:
    for reply in (CONNACK, b"HTTP/1.1 hello\r\n\r\n", b"HTTP/1.1 101 x\r\n" + b"a: b\r\n" * 10_000):
        down = fault(authority, pair, answering(reply))
        assert "does not answer as a web server" in down.what
        assert "mqtts://" in down.hint


def test_a_web_server_that_hangs_up_is_told_so(authority: Authority, pair: Pair) -> None:
    def hang_up(one: socket.socket) -> None:
        head_of(one)

    down = fault(authority, pair, hang_up)
    assert "closed the connection instead of answering" in down.what
    assert "usually 443" in down.hint


def test_a_reply_that_comes_byte_by_byte_has_to_be_whole_in_time() -> None:
    near, far = socket.socketpair()
    ended = threading.Event()

    def drip() -> None:
        for byte in b"HTTP/1.1 200 OK\r\n" + b"a" * 10_000:
            if ended.wait(0.01):
                return
            far.sendall(bytes((byte,)))

    thread = threading.Thread(target=drip)
    thread.start()
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        read_head(near, began + 0.3)
    assert time.monotonic() - began < 1
    ended.set()
    thread.join()
    near.close()
    far.close()


def test_another_host_name_and_an_unknown_ca_are_refused_before_a_byte_is_sent(
    authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> None:
    asked = []

    def note(one: socket.socket) -> None:
        asked.append(one.recv(1000))

    other = Authority(tmp_path_factory.mktemp("other"), "Other CA").issue("web")
    wrong = authority.issue("wrong", "DNS:mqtt.example.com")
    assert "another host name" in fault(authority, wrong, note).what
    assert "CA that is not known" in fault(authority, other, note).what
    assert not any(asked)


# ---------------------------------------------------------------- frames


def ends() -> tuple[WebSocket, socket.socket]:
    near, far = socket.socketpair()
    near.setblocking(False)
    far.settimeout(5)
    return WebSocket(near), far


def received(near: WebSocket, count: int) -> bytes:
    """So many bytes of payload, or fewer if the stream ends."""
    data = b""
    while len(data) < count:
        try:
            more = near.recv(count - len(data))
        except BlockingIOError:
            break
        if not more:
            break
        data += more
    return data


def test_payload_is_the_same_however_it_is_cut_into_frames_and_reads() -> None:
    chance = random.Random(3)
    for _ in range(200):
        near, far = ends()
        payload = chance.randbytes(chance.randrange(1, 3000))
        stream, at = b"", 0
        while at < len(payload):
            size = chance.randrange(0, 700)
            stream += frame(payload[at : at + size], BINARY if at == 0 else 0, fin=at + size >= len(payload))
            stream += frame(b"", PONG) if chance.random() < 0.3 else b""
            at += size
        got = b""
        while stream:
            cut = chance.randrange(1, 900)
            far.sendall(stream[:cut])
            stream = stream[cut:]
            got += received(near, chance.randrange(1, 500))
        got += received(near, len(payload))
        assert got == payload
        assert near.pending() == 0
        near.close()
        far.close()


def test_what_was_read_and_not_asked_for_yet_is_told_by_pending() -> None:
    near, far = ends()
    far.sendall(frame(b"abcdef") + frame(b"ghi") + b"\x82")
    assert near.recv(2) == b"ab"
    assert near.pending() == 4
    assert received(near, 100) == b"cdefghi"
    assert near.pending() == 0, "half a header is nothing"
    near.close()
    far.close()


def test_what_we_send_is_whole_and_masked_whatever_the_socket_takes_at_once() -> None:
    for size in (0, 1, 125, 126, 65_535, 65_536, 3_000_000):
        near, far = ends()
        payload = random.Random(size).randbytes(size)
        got = b""
        while (sent := tried(near, payload)) is None:
            assert near.wants_write
            got += far.recv(100_000)
        assert sent == size
        near.send(b"next")
        far_frames = socket.socketpair()
        rest = b""
        far.setblocking(False)
        try:
            while more := far.recv(100_000):
                rest += more
        except BlockingIOError:
            pass
        replay(far_frames[0], got + rest)
        assert client_frame(far_frames[1]) == (BINARY, payload)
        assert client_frame(far_frames[1]) == (BINARY, b"next")
        for one in (near, far, *far_frames):
            one.close()


def tried(near: WebSocket, payload: bytes) -> int | None:
    """What `send` returns; None if it has to be asked again."""
    try:
        return near.send(payload)
    except BlockingIOError:
        return None


def replay(one: socket.socket, data: bytes) -> None:

    threading.Thread(target=one.sendall, args=(data,)).start()


def test_a_ping_is_answered_and_a_close_too() -> None:
    near, far = ends()
    far.sendall(frame(b"are you there", PING) + frame(b"\x03\xe8bye", CLOSE))
    assert received(near, 10) == b""
    assert client_frame(far) == (PONG, b"are you there")
    assert client_frame(far) == (CLOSE, b"\x03\xe8bye")
    assert near.recv(10) == b"", "the end"
    near.close()
    far.close()


def test_nothing_is_read_any_more_where_nothing_can_be_written() -> None:
    near, far = ends()
    far.sendall(frame(b"ok") + frame(b"never read"))
    assert near.recv(2) == b"ok"
    far.close()
    with pytest.raises(BrokenPipeError):
        near.send(b"x")
    assert near.recv(10) == b""
    near.close()


@pytest.mark.parametrize(
    "bad",
    [
        frame(b"hello", TEXT),
        frame(b"x", 3),
        frame(b"x", 11),
        b"\xc2\x01x",
        b"\x82\x81\x00\x00\x00\x00x",
        frame(b"x" * 126, PING),
        frame(b"x", PING, fin=False),
    ],
)
def test_what_no_server_may_send_ends_the_websocket(bad: bytes) -> None:
    near, far = ends()
    far.sendall(frame(b"ok") + bad)
    assert near.recv(2) == b"ok"
    with pytest.raises(ConnectionAbortedError):
        near.recv(2)
    assert near.broken
    near.close()
    far.close()


@given(st.lists(st.binary(max_size=40), max_size=8), st.booleans())
def test_any_bytes_are_payload_or_the_end_and_never_an_error_of_ours(pieces: list[bytes], framed: bool) -> None:
    near, far = ends()
    got = 0
    try:
        for piece in pieces:
            far.sendall(frame(piece, piece[0] % 16) if framed and piece else piece)
            got += len(received(near, 50))
            assert near.pending() <= 50
    except ConnectionAbortedError:
        assert near.broken
    assert got <= sum(map(len, pieces))
    near.close()
    far.close()


def test_a_frame_that_says_it_is_endless_and_a_flood_of_pings_fill_no_memory() -> None:
    near, far = ends()
    far.setblocking(False)
    tracemalloc.start()
    far.send(b"\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff")
    for _ in range(300):
        far.send(b"a" * READ)
        while near.pending() or received(near, 1):
            received(near, READ)
    near._left = 0
    for _ in range(300):
        far.send(frame(b"b" * 125, PING) * 120)
        while near.pending() or received(near, 1):
            received(near, READ)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    near.close()
    far.close()
    assert peak < 500_000


def test_frames_that_are_none_and_a_message_that_is_too_large_end_the_connection_in_words(
    authority: Authority, pair: Pair
) -> None:
    def text(one: socket.socket) -> None:
        grant(one)
        client_frame(one)
        one.sendall(frame(CONNACK) + frame(b"hello", TEXT))
        one.recv(100)

    def large(one: socket.socket) -> None:
        grant(one)
        client_frame(one)
        one.sendall(frame(CONNACK) + frame(b"\x30\xff\xff\xff\x7f\x00\x01t"))
        for _ in range(10_000):
            one.sendall(frame(b"a" * 10_000))

    assert "is no websocket" in fault(authority, pair, text).what
    assert "too large" in fault(authority, pair, large).what


def test_nothing_that_a_web_server_sends_ends_the_wires_thread(authority: Authority, pair: Pair) -> None:
    chance = random.Random(9)
    tried: list[int] = []

    def nasty(one: socket.socket) -> None:
        tried.append(1)
        if chance.random() < 0.2:
            head_of(one)
            one.sendall(chance.choice([b"HTTP/1.1 101 x\r\n", b"HTTP/1.", b""]) + chance.randbytes(50))
            return
        grant(one)
        junk = chance.randbytes(chance.randrange(60))
        one.sendall(
            chance.choice([junk, frame(junk), frame(CONNACK) + junk, frame(CONNACK + junk), frame(junk, CLOSE)])
        )

    settings: dict[str, Any] = {"ca_file": "ca.pem", "pauses": Pauses(least_s=0.0, most_s=0.0)}
    with (
        server(behind_tls(nasty, pair)) as port,
        Listener(f"wss://localhost:{port}/", authority.folder, **settings) as wire,
    ):
        until(lambda: len(tried) > 150 or not wire.thread.is_alive(), 30)
        assert wire.thread.is_alive()
