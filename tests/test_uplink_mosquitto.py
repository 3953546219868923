"""The uplink against mosquitto, the broker most sites run: both versions, passwords, TLS, restarts."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
from consumer import Consumer
from mosquitto import free_port, mosquitto
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from tls_scene import Authority
from uplink_scene import RUN, Waiter, alarm, event, reading, running, until

from gateway.model import AlarmState, Lane, UplinkDown

pytestmark = [
    pytest.mark.mosquitto,
    pytest.mark.skipif(shutil.which("mosquitto") is None, reason="mosquitto is not installed"),
]


def test_everything_arrives_once_and_validates_at_a_subscriber(tmp_path: Path) -> None:
    with mosquitto(tmp_path / "m", "allow_anonymous true") as broker, Consumer(broker.port) as consumer:
        with running(f"mqtt://127.0.0.1:{broker.port}", linger=0.01) as scene:
            assert scene.wait_up().version == "5"
            scene.sender.post(alarm(AlarmState.UNACK_ACTIVE))
            for first in range(1, 1001, 100):
                scene.store(*(reading(seq) for seq in range(first, first + 100)), event(first // 100 + 1))
            scene.wait_acked()
            consumer.wait_for(lambda: len(consumer.counts) == 1010, 10, "1,000 readings and 10 events")
        consumer.wait_for(lambda: b"stopped" in consumer.latest["sitewarden/v1/dc3/gw1/status"], 5, "a goodbye")
        assert set(consumer.counts.values()) == {1}
        assert consumer.seqs(RUN, "event") == set(range(1, 11))


def test_a_mosquitto_that_is_restarted_under_load_loses_nothing(tmp_path: Path) -> None:
    with (
        mosquitto(tmp_path / "m", "allow_anonymous true") as broker,
        Consumer(broker.port) as consumer,
        running(f"mqtt://127.0.0.1:{broker.port}", linger=0.01) as scene,
    ):
        seq = 0
        for _ in range(3):
            scene.wait_up()  # a SIGTERM that comes before its main loop is lost on mosquitto
            scene.store(*(reading(seq + number) for number in range(1, 201)))
            seq += 200
            broker.end()
            scene.store(*(reading(seq + number) for number in range(1, 201)))
            seq += 200
            broker.start()
        scene.wait_acked()
        wanted = set(range(1, seq + 1))
        consumer.wait_for(lambda: consumer.seqs(RUN, "telemetry") == wanted, 20, "all readings")


def test_a_mosquitto_that_is_killed_is_found_again(tmp_path: Path) -> None:
    with (
        mosquitto(tmp_path / "m", "allow_anonymous true") as broker,
        running(f"mqtt://127.0.0.1:{broker.port}") as scene,
    ):
        scene.wait_up()
        broker.end(kill=True)
        scene.wait_down()
        broker.start()
        scene.wait_up()
        scene.store(event(1))
        scene.wait_acked()


def test_a_bad_password_is_named_and_a_good_one_lets_in(tmp_path: Path) -> None:
    passwords = tmp_path / "passwords"
    subprocess.run(["mosquitto_passwd", "-c", "-b", str(passwords), "gw1", "right"], check=True, timeout=10)
    (tmp_path / "pw").write_text("wrong")
    (tmp_path / "pw").chmod(0o600)
    lines = ("allow_anonymous false", f"password_file {passwords}")
    with mosquitto(tmp_path / "m", *lines) as broker:
        login: dict[str, Any] = {"username": "gw1", "password_file": "pw"}
        with running(f"mqtt://127.0.0.1:{broker.port}", tmp_path, **login) as scene:
            down = scene.wait_down()
            assert "user name or password" in down.what or "not authorise" in down.what
            (tmp_path / "pw").write_text("right")
            scene.wait_up()
            scene.store(event(1))
            scene.wait_acked()
            assert sum(isinstance(fact, UplinkDown) for fact in scene.heard) == 1


def test_an_access_list_that_forbids_telemetry_lets_events_through(tmp_path: Path) -> None:
    access = tmp_path / "acl"
    access.write_text("topic readwrite sitewarden/v1/dc3/gw1/event\ntopic write sitewarden/v1/dc3/gw1/status\n")
    with (
        mosquitto(tmp_path / "m", "allow_anonymous true", f"acl_file {access}") as broker,
        running(f"mqtt://127.0.0.1:{broker.port}", linger=0.01) as scene,
    ):
        scene.wait_up()
        scene.store(*(reading(seq) for seq in range(1, 50)), *(event(seq) for seq in range(1, 20)))
        until(lambda: scene.journal.do(lambda j: len(j.acked[Lane.EVENT])) == 19)
        assert scene.journal.do(lambda j: len(j.acked[Lane.TELEMETRY])) == 0


def test_mosquitto_over_tls_with_a_client_certificate(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca")
    pair, own = authority.issue("broker"), authority.issue("gw1")
    lines = (f"cafile {authority.ca.cert}", f"certfile {pair.cert}", f"keyfile {pair.key}", "require_certificate true")
    with mosquitto(tmp_path / "m", *lines, "use_identity_as_username true", "allow_anonymous false") as broker:
        url = f"mqtts://localhost:{broker.port}"
        certificates: dict[str, Any] = {"ca_file": "ca.pem", "cert_file": own.cert.name, "key_file": own.key.name}
        with running(url, authority.folder, **certificates) as scene:
            scene.wait_up()
            scene.store(*(event(seq) for seq in range(1, 100)))
            scene.wait_acked()
        with running(url, authority.folder, ca_file="ca.pem") as scene:
            assert "asks for a certificate of ours" in scene.wait_down().what
        with running(f"mqtt://localhost:{broker.port}", authority.folder) as scene:
            assert "mqtts://" in scene.wait_down().hint


def test_mosquittos_websocket_over_tls_takes_a_backlog_and_keeps_a_quiet_connection(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca")
    pair = authority.issue("broker")
    lines = ("protocol websockets", f"certfile {pair.cert}", f"keyfile {pair.key}", "allow_anonymous true")
    plain = free_port()
    with (
        mosquitto(tmp_path / "m", *lines, f"listener {plain} 127.0.0.1") as broker,
        Consumer(plain) as consumer,
        running(f"wss://localhost:{broker.port}/mqtt", authority.folder, ca_file="ca.pem", keepalive=5.0) as scene,
    ):
        up = scene.wait_up()
        assert (up.version, up.url) == ("5", f"wss://localhost:{broker.port}/mqtt")
        for first in range(1, 5001, 500):
            scene.store(*(reading(seq) for seq in range(first, first + 500)), event(first // 500 + 1))
        scene.wait_acked()
        consumer.wait_for(lambda: len(consumer.counts) == 5010, 10, "5,000 readings and 10 events")
        Waiter.wait(6.0)
        scene.store(event(11))
        scene.wait_acked()
        assert not any(isinstance(fact, UplinkDown) for fact in scene.heard)
        assert set(consumer.counts.values()) == {1}
        broker.end(kill=True)
        scene.wait_down()
        broker.start()
        scene.wait_up()
        scene.store(event(12))
        scene.wait_acked()


def test_a_wss_url_at_mosquittos_own_port_and_mqtts_at_its_websocket_are_told(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca")
    pair = authority.issue("broker")
    secure = (f"certfile {pair.cert}", f"keyfile {pair.key}")
    web = free_port()
    lines = ("allow_anonymous true", *secure, f"listener {web} 127.0.0.1", "protocol websockets", *secure)
    with mosquitto(tmp_path / "m", *lines) as broker:
        for url in (f"wss://localhost:{broker.port}", f"mqtts://localhost:{web}"):
            with running(url, authority.folder, ca_file="ca.pem") as scene:
                down = scene.wait_down()
                assert "mqtts://" in down.hint, down
                assert "wss://" in down.hint, down


def test_compressed_telemetry_and_its_expiry_reach_a_subscriber_of_either_version(tmp_path: Path) -> None:
    heard: SimpleQueue[MQTTMessage] = SimpleQueue()
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    client.on_message = lambda _, __, message: heard.put(message)
    with (
        mosquitto(tmp_path / "m", "allow_anonymous true") as broker,
        Consumer(broker.port) as consumer,
        running(f"mqtt://127.0.0.1:{broker.port}", linger=0.01, compression="gzip", expire_live=300.0) as scene,
    ):
        client.connect("127.0.0.1", broker.port)
        client.loop_start()
        client.subscribe("sitewarden/v1/+/+/telemetry", 1)
        scene.wait_up()
        scene.store(*(reading(seq) for seq in range(1, 101)), event(1))
        scene.wait_acked()
        consumer.wait_for(lambda: len(consumer.counts) == 101, 10, "100 readings and an event, in 3.1.1")
        assert consumer.compressed >= 1
        message = heard.get(timeout=10)
        client.disconnect()
        client.loop_stop()
    assert message.payload[:2] == b"\x1f\x8b"
    assert message.properties is not None
    told = message.properties.json()  # type: ignore[no-untyped-call]
    assert told["ContentType"] == "application/gzip"
    assert 290 <= told["MessageExpiryInterval"] <= 300


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_a_broker_with_a_maximum_packet_size_gets_all_that_fits_it(tmp_path: Path, compression: str) -> None:
    with (
        mosquitto(tmp_path / "m", "allow_anonymous true", "max_packet_size 700") as broker,
        Consumer(broker.port) as consumer,
        running(f"mqtt://127.0.0.1:{broker.port}", linger=0.01, compression=compression) as scene,
    ):
        scene.wait_up()
        scene.store(*(reading(seq) for seq in range(1, 301)), event(1))
        scene.wait_acked()
        consumer.wait_for(lambda: len(consumer.counts) == 301, 10, "all of them")
        assert (consumer.compressed > 0) is (compression == "gzip")
        assert not any(isinstance(fact, UplinkDown) for fact in scene.heard)


def test_a_mosquitto_says_that_nobody_has_subscribed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with mosquitto(tmp_path, "allow_anonymous true") as broker, running(f"mqtt://127.0.0.1:{broker.port}") as scene:
        scene.wait_up()
        scene.store(event(1), reading(1))
        scene.wait_acked()
        until(lambda: caplog.text.count("nobody has subscribed") == 2, 5, "a line for each lane")
