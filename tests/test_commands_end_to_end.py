"""Commands over a real mosquitto to a real daemon: what is obeyed, what is not, and that every one is on record."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
from consumer import VALIDATORS, Consumer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from daemon import Daemon, write_profile
from modbus_responder import TcpDevices, value_of
from mosquitto import mosquitto
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion
from test_clock_end_to_end import Board

from gateway.app import Gateway
from gateway.config.installed import read_config
from gateway.contract.signed_command import signed_command
from gateway.model import Trust

pytestmark = pytest.mark.mosquitto
ROOT, GATEWAY = "sitewarden/v1/dc3/gw1", "dc3/gw1"
WITHIN_S = 15.0
KEY = Ed25519PrivateKey.generate()
PUBLIC = KEY.public_key().public_bytes_raw().hex()
CONFIG = """
site: {{id: dc3}}
gateway: {{id: gw1}}
uplinks:
  platform:
    url: "mqtt://127.0.0.1:{broker}"
    linger: 50ms
    commands: [acknowledge, set_output, read_now, reload]
    command_key: {key}
links:
  io: {{type: tcp, host: 127.0.0.1, port: {device}, timeout: 1s}}
  pins: {{type: gpio, factory: mock}}
devices:
  meter-1: {{driver: modbus, link: io, unit: 1, profile: four, every: 1h, zone: hall}}
  siren: {{driver: relay, link: pins, pin: 22, zone: hall}}
rules:
  low: {{point: meter-1.r0, above: -1, priority: medium}}
"""


class Platform:
    """Asks, and hears the answers, in their order."""

    def __init__(self, port: int) -> None:
        self._replies: SimpleQueue[bytes] = SimpleQueue()
        self._client = Client(CallbackAPIVersion.VERSION2, "asker")
        subscribed: SimpleQueue[None] = SimpleQueue()
        self._client.on_message = self._heard
        self._client.on_subscribe = lambda *_: subscribed.put(None)
        self._client.on_connect = lambda client, *_: client.subscribe(f"{ROOT}/reply", 1)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        subscribed.get(timeout=WITHIN_S)

    def _heard(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        self._replies.put(bytes(message.payload))

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def send(self, payload: bytes, *, retain: bool = False) -> None:
        self._client.publish(f"{ROOT}/command", payload, qos=1, retain=retain)

    def reply(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._replies.get(timeout=WITHIN_S))
        VALIDATORS["reply"].validate(found)
        return found

    def ask(self, payload: bytes, *, retain: bool = False) -> tuple[str, str]:
        """The answer's result and detail."""
        self.send(payload, retain=retain)
        answer = self.reply()
        return answer["result"], answer["detail"]

    def hears_nothing(self, for_s: float) -> bool:
        try:
            self._replies.get(timeout=for_s)
        except queue.Empty:
            return True
        return False


def plain(name: str, id_: str, /, expires_in_s: float = 60, **args: Any) -> bytes:
    expires = round((time.time() + expires_in_s) * 1000)
    return json.dumps({"id": id_, "name": name, "args": args, "issuer": "maria", "expires": expires}).encode()


def signed(name: str, id_: str, counter: int, /, key: Ed25519PrivateKey = KEY, **args: Any) -> bytes:
    return signed_command(key, GATEWAY, json.loads(plain(name, id_, **args)), counter)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[tuple[Daemon, Consumer, Platform]]:
    write_profile(tmp_path, "four", 4)
    lines = ("allow_anonymous true",)
    with (
        mosquitto(tmp_path / "broker", *lines) as broker,
        TcpDevices() as devices,
        Consumer(broker.port) as consumer,
        Daemon(tmp_path, CONFIG.format(broker=broker.port, device=devices.port, key=PUBLIC)) as daemon,
    ):
        consumer.wait_for(lambda: consumer.event(event="alarm", change="raised") is not None, WITHIN_S, "raised")
        platform = Platform(broker.port)
        yield daemon, consumer, platform
        platform.close()


def on_record(consumer: Consumer, **fields: Any) -> None:
    consumer.wait_for(lambda: consumer.event(event="command", **fields) is not None, WITHIN_S, f"{fields} is on record")


def told(consumer: Consumer, **fields: Any) -> set[tuple[str, int]]:
    """The records of events with these fields, by identity: after a power cut some come twice."""
    return {(it["run"], it["seq"]) for it in consumer.events if all(it.get(key) == fields[key] for key in fields)}


@pytest.mark.promise("command-never-retained")
def test_what_may_not_be_done_is_refused_and_on_record(scene: tuple[Daemon, Consumer, Platform]) -> None:
    daemon, consumer, platform = scene
    assert platform.ask(plain("reset", "c1", alarm="low"))[0] == "refused"
    on_record(consumer, id="c1", name="reset", issuer="maria", result="refused", source="platform")
    assert platform.ask(b'{"id":"c3","name":')[0] == "refused"
    on_record(consumer, id="c3", name="", issuer="", result="refused")
    platform.send(b"\xff\x00 not a command")
    on_record(consumer, id="", result="refused")
    assert platform.ask(plain("acknowledge", "c4", alarm="low"), retain=True)[0] == "done", "sent live, it is none"
    platform.send(b"", retain=True)
    on_record(consumer, id="c4", result="done")
    assert daemon.status() is not None


def test_a_command_that_waits_at_the_broker_is_never_obeyed(scene: tuple[Daemon, Consumer, Platform]) -> None:
    daemon, consumer, platform = scene
    assert daemon.stop() == 0
    platform.send(plain("acknowledge", "gone", alarm="low"))
    platform.send(plain("acknowledge", "kept", alarm="low"), retain=True)
    daemon.start()
    answer = platform.reply()
    assert (answer["id"], answer["result"], answer["detail"]) == (
        "kept",
        "refused",
        "a retained command is never obeyed",
    )
    on_record(consumer, id="kept", name="acknowledge", issuer="maria")
    assert platform.hears_nothing(1.0)
    (alarm,) = [alarm for alarm in (daemon.status() or {})["alarms"] if alarm["alarm"] == "low"]
    assert alarm["state"] == "unack_active"


@pytest.mark.promise("command-once")
def test_a_repetition_is_answered_and_not_done_again_after_a_power_cut_too(
    scene: tuple[Daemon, Consumer, Platform],
) -> None:
    daemon, consumer, platform = scene
    again = plain("acknowledge", "c1", alarm="low")
    assert platform.ask(again)[0] == "done"
    assert platform.ask(again)[0] == "done"
    on_record(consumer, id="c1", result="repeated")
    daemon.kill()
    daemon.start()
    consumer.wait_for(lambda: len([it for it in consumer.events if it["event"] == "started"]) == 2, WITHIN_S, "it runs")
    consumer.wait_for(lambda: b"online" in consumer.latest.get(f"{ROOT}/status", b""), WITHIN_S, "it is connected")
    assert platform.ask(again)[0] == "done"
    assert len(told(consumer, event="alarm", change="acknowledged")) == 1


@pytest.mark.promise("read-now")
def test_a_device_that_is_polled_once_an_hour_is_asked_now(scene: tuple[Daemon, Consumer, Platform]) -> None:
    _, consumer, platform = scene
    before = consumer.counts.total()
    platform.send(plain("read_now", "c1", device="meter-1"))
    answer = platform.reply()
    assert (answer["result"], answer["values"]["r0"]) == ("done", value_of(1, 3, 0))
    consumer.wait_for(lambda: consumer.counts.total() > before, WITHIN_S, "it is a record, too")
    assert platform.ask(plain("read_now", "c2", device="siren"))[0] == "failed"


@pytest.mark.promise("signed")
@pytest.mark.parametrize(
    ("board", "outcome"),
    [
        (Board(0.0, Trust.SYNCED), ("refused", "expired")),
        (Board(-1e9, Trust.UNSYNCED), ("done", "its expiry was not checked: this gateway's clock is not set")),
    ],
    ids=["synced", "1994"],
)
def test_with_a_clock_that_is_set_expiry_counts_too(tmp_path: Path, board: Board, outcome: tuple[str, str]) -> None:
    write_profile(tmp_path, "four", 4)
    with (
        mosquitto(tmp_path / "broker", "allow_anonymous true") as broker,
        TcpDevices() as devices,
        Consumer(broker.port) as consumer,
    ):
        config = tmp_path / "sitewarden.yaml"
        config.write_text(CONFIG.format(broker=broker.port, device=devices.port, key=PUBLIC))
        gateway = Gateway(read_config(config), tmp_path / "state", board)
        gateway.start()
        try:
            consumer.wait_for(lambda: consumer.event(event="alarm") is not None, WITHIN_S, "raised")
            platform = Platform(broker.port)
            assert platform.ask(plain("acknowledge", "c1", -5, alarm="low")) == outcome
            on_record(consumer, id="c1", detail=outcome[1], args={"alarm": "low"})
            late = signed_command(KEY, GATEWAY, json.loads(plain("read_now", "c2", -5, device="meter-1")), 7)
            assert platform.ask(late)[0] == outcome[0]
            assert platform.ask(signed("acknowledge", "c3", 7, alarm="low"))[1].startswith("its counter is used up")
            platform.close()
        finally:
            gateway.stop()


@pytest.mark.promise("signed")
def test_a_siren_is_switched_by_who_has_the_key_and_by_nobody_who_has_listened(
    scene: tuple[Daemon, Consumer, Platform],
) -> None:
    daemon, consumer, platform = scene
    on: dict[str, Any] = {"output": "siren", "value": "on", "for_s": 60, "reason": "a drill"}
    heard = signed("set_output", "c1", 100, **on)
    assert platform.ask(plain("set_output", "c0", **on))[0] == "refused"
    on_record(consumer, id="c0", name="set_output", issuer="maria", result="refused")
    assert platform.ask(signed("set_output", "c0", 100, key=Ed25519PrivateKey.generate(), **on))[0] == "refused"
    assert platform.ask(heard)[0] == "done"
    assert (daemon.status() or {})["outputs"] == {"siren.output": "on"}
    daemon.kill()
    daemon.start()
    consumer.wait_for(lambda: len([it for it in consumer.events if it["event"] == "started"]) == 2, WITHIN_S, "it runs")
    consumer.wait_for(lambda: b"online" in consumer.latest.get(f"{ROOT}/status", b""), WITHIN_S, "it is connected")
    assert platform.ask(heard)[0] == "done", "answered, and not done again"
    used_up = "its counter is used up: 100 is not more than 100, the last one of this key"
    assert platform.ask(signed("set_output", "c2", 100, **on)) == ("refused", used_up)
    assert platform.ask(signed("set_output", "c3", 101, **{**on, "value": "off"}))[0] == "done"
    on_record(consumer, id="c3")
    assert len(told(consumer, event="command", name="set_output", result="done")) == 2
    verified = [sys.executable, "-m", "gateway", "journal", "verify", "--state", str(daemon.state)]
    top = Path(__file__).parent.parent
    assert subprocess.run(verified, check=False, capture_output=True, cwd=top).returncode == 0
