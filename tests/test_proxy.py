"""The uplink through an HTTP proxy: with a login, with names that only the proxy knows, and what it may answer."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from test_mqtt_wire import CONNACK, Listener, free_port
from tls_scene import Authority, tls_front
from uplink_scene import Platform, event, running
from web_scene import head_of, http_proxy, server, web_front

from gateway.demo.broker import Broker
from gateway.uplink.wire import Down


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


def secret(folder: Path, text: str) -> str:
    path = folder / "proxy-password"
    path.write_text(text)
    path.chmod(0o600)
    return str(path)


def test_everything_arrives_through_a_proxy_that_alone_knows_the_brokers_name(
    authority: Authority, tmp_path: Path
) -> None:
    platform = Platform()
    broker = Broker(tap=platform.tap)
    pair = authority.issue("far", "DNS:mqtt.far.example")
    with (
        tls_front(broker.start(), pair) as port,
        http_proxy(login="site:s3cret", names={"mqtt.far.example": port}) as (proxy, door),
    ):
        login = {"proxy_username": "site", "proxy_password_file": secret(tmp_path, "s3cret")}
        options: dict[str, Any] = {"ca_file": "ca.pem", "proxy": f"http://127.0.0.1:{door}", **login}
        with running("mqtts://mqtt.far.example:8883", authority.folder, **options) as scene:
            scene.wait_up()
            scene.store(*(event(seq) for seq in range(1, 300)))
            scene.wait_acked()
        assert proxy.asked == ["mqtt.far.example:8883"]
    broker.stop()
    assert len(platform.on("event")) == 299


def test_a_websocket_goes_through_a_proxy_too(authority: Authority) -> None:
    broker = Broker()
    with (
        web_front(broker.start()) as (_, plain),
        tls_front(plain, authority.issue("web")) as port,
        http_proxy() as (proxy, door),
        Listener(
            f"wss://localhost:{port}", authority.folder, ca_file="ca.pem", proxy=f"http://127.0.0.1:{door}"
        ) as one,
    ):
        one.up()
        assert proxy.asked == [f"localhost:{port}"]
    broker.stop()


def test_the_brokers_certificate_is_checked_behind_a_proxy_as_well(authority: Authority) -> None:
    broker = Broker()
    wrong = authority.issue("wrong", "DNS:mqtt.example.com")
    with (
        tls_front(broker.start(), wrong) as port,
        http_proxy() as (_, door),
        Listener(
            f"mqtts://localhost:{port}", authority.folder, ca_file="ca.pem", proxy=f"http://127.0.0.1:{door}"
        ) as one,
    ):
        assert "another host name" in one.down().what
    broker.stop()


# ---------------------------------------------------------------- what may go wrong


def fault(port: int, url: str = "mqtt://127.0.0.1:1883", folder: Path = Path("/"), **options: Any) -> Down:
    with Listener(url, folder, proxy=f"http://127.0.0.1:{port}", **options) as one:
        down = one.down()
    assert down.hint
    return down


def test_a_proxy_that_is_not_there_is_told_from_a_broker_that_is_not_there() -> None:
    assert "the proxy 127.0.0.1" in (gone := fault(free_port())).what
    assert "refuses connections" in gone.what
    with http_proxy() as (_, door):
        target = free_port()
        far = fault(door, f"mqtt://127.0.0.1:{target}")
        assert f"does not reach 127.0.0.1:{target} (HTTP 502)" in far.what
    with Listener("mqtt://127.0.0.1:1883", proxy="http://nosuchproxy.invalid:3128") as one:
        assert "the proxy's host name nosuchproxy.invalid cannot be resolved" in one.down().what


def test_a_login_that_is_missing_or_wrong_is_named(tmp_path: Path) -> None:
    with http_proxy(login="site:s3cret") as (_, door):
        missing = fault(door)
        wrong = fault(door, proxy_username="site", proxy_password_file=secret(tmp_path, "guess"))
    assert "wants a login (HTTP 407)" in missing.what
    assert "proxy_password_file" in missing.hint
    assert "refuses user name or password" in wrong.what
    assert "guess" not in f"{missing}{wrong}"


def test_a_target_that_the_proxy_does_not_allow_is_named() -> None:
    with http_proxy(allowed=frozenset({443})) as (_, door):
        down = fault(door, "mqtt://127.0.0.1:8883")
    assert "does not let us through to 127.0.0.1:8883" in down.what
    assert "wss://" in down.hint


def answering(reply: bytes) -> Callable[[socket.socket], None]:
    def serve(one: socket.socket) -> None:
        head_of(one)
        one.sendall(reply)
        one.recv(1)

    return serve


@pytest.mark.parametrize(
    "reply",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        CONNACK,
        b"HTTP/1.1 200 OK\r\n\r\n" + CONNACK,
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 10_000,
    ],
)
def test_what_is_no_proxy_is_told_so(reply: bytes) -> None:
    with server(answering(reply)) as port:
        assert "does not answer as an HTTP proxy does" in fault(port).what


def test_a_proxy_that_hangs_up_or_answers_something_else_is_told_so() -> None:
    def hang_up(one: socket.socket) -> None:
        head_of(one)

    with server(hang_up) as port:
        assert "closed the connection instead of answering" in fault(port).what
    with server(answering(b"HTTP/1.1 418 I'm a teapot\r\n\r\n")) as port:
        assert "did not connect us to 127.0.0.1:1883 (HTTP 418)" in fault(port).what


def test_stopping_does_not_wait_for_a_proxy_that_says_nothing() -> None:
    asked = threading.Event()

    def mute(one: socket.socket) -> None:
        head_of(one)
        asked.set()
        one.recv(1)

    with (
        server(mute) as port,
        Listener("mqtt://127.0.0.1:1883", proxy=f"http://127.0.0.1:{port}") as one,
    ):
        assert asked.wait(5)
        began = time.monotonic()
        one.wire.stop()
        one.thread.join(5)
        assert time.monotonic() - began < 1


def test_names_that_no_host_can_have_are_no_reason_to_stop() -> None:
    with http_proxy() as (_, door):
        for url in ("mqtt://a..b", f"mqtt://{'a' * 64}.example"):
            assert "cannot be resolved" in fault(door, url).what


@pytest.mark.parametrize("with_proxy", [False, True])
def test_an_address_of_a_family_that_the_kernel_lacks_is_passed_over(
    with_proxy: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with IPv6 switched off in the kernel, for a name whose first address is an IPv6 one."""
    look_up = socket.getaddrinfo

    def with_another_first(*asked: Any, **more: Any) -> list[Any]:
        found = look_up(*asked, **more)
        return [(socket.AF_APPLETALK, *found[0][1:]), *found]  # it has streams in no kernel

    broker = Broker()
    url = f"mqtt://127.0.0.1:{broker.start()}"
    with http_proxy() as (_, door):
        monkeypatch.setattr(socket, "getaddrinfo", with_another_first)
        with Listener(url, proxy=f"http://127.0.0.1:{door}" if with_proxy else "") as one:
            one.up()
        monkeypatch.undo()
    broker.stop()
