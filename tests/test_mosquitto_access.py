"""The broker that README.md sets up: its own lines are run, and a real mosquitto keeps the gateways apart."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Self

import pytest
from mosquitto import Mosquitto, mosquitto
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from tls_scene import openssl
from uplink_scene import ABOUT, Scene, alarm, event, reading, running, until

from gateway.model import AlarmsKnown, AlarmState, Command, Lane, Reply

pytestmark = [
    pytest.mark.mosquitto,
    pytest.mark.skipif(shutil.which("mosquitto") is None, reason="mosquitto is not installed"),
]

TOP = Path(__file__).parent.parent
ROOT, OTHER = "sitewarden/v1/shop-1/gw1", "sitewarden/v1/shop-1/gw2"
NOT_HERE = ("sudo apt ", "sudo systemctl ", "sudo chown ")
"""Lines that need root, a package manager or a service manager."""


def set_up(folder: Path) -> list[str]:
    """Run the README's lines, with `folder` for /etc/mosquitto and localhost for the broker; the lines of its file."""
    section = (TOP / "README.md").read_text().split("## A broker of your own")[1]
    block = re.findall(r"(?:^    .*\n)+", section, re.MULTILINE)[0]
    lines = [line.strip() for line in block.splitlines() if not line.strip().startswith(NOT_HERE)]
    assert len(lines) > 10
    etc = folder / "etc"
    (etc / "conf.d").mkdir(parents=True)
    shutil.copytree(TOP / "config", folder / "config")

    def here(text: str) -> str:
        return text.replace("/etc/mosquitto", str(etc)).replace("mqtt.example.com", "localhost")

    script = here("\n".join(lines)).replace("sudo ", "").replace("-o mosquitto ", "")
    script += '\nmosquitto_passwd -b "$1" shop-1/gw2 other\n'
    command = ["sh", "-e", "-u", "-c", script, "sh", str(etc / "sitewarden" / "passwords")]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    written = here((etc / "conf.d" / "sitewarden.conf").read_text()).splitlines()
    assert written.count("listener 8883") == 1
    return [line for line in written if line != "listener 8883"]


class Site:
    """The broker, and the folder with what the README's lines have made."""

    def __init__(self, folder: Path, broker: Mosquitto) -> None:
        self.folder = folder
        self.broker = broker

    def gateway(self) -> Any:
        """The uplink of gw1, as the README writes it."""
        text = (TOP / "README.md").read_text()
        assert "username: shop-1/gw1, password_file: mqtt-password, ca_file: ca.pem}" in text
        shutil.copy(self.folder / "gw1-password", self.folder / "mqtt-password")
        options: dict[str, Any] = {
            "username": "shop-1/gw1",
            "password_file": "mqtt-password",
            "ca_file": "ca.pem",
            "linger": 0.01,
        }
        url = f"mqtts://localhost:{self.broker.port}"
        return running(url, self.folder, about=replace(ABOUT, site="shop-1"), commands=("acknowledge",), **options)

    def platform(self) -> Peer:
        return Peer(self, "platform", (self.folder / "platform-password").read_text().strip())


class Peer:
    """Somebody at the broker, with a user name and a password, and the broker's answer to him as a reason code."""

    def __init__(self, site: Site, user: str, password: str, answer: int = 0) -> None:
        self.got: SimpleQueue[MQTTMessage] = SimpleQueue()
        self._said: SimpleQueue[Any] = SimpleQueue()
        self._port = site.broker.port
        self._client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        self._client.tls_set(str(site.folder / "ca.pem"))
        self._answer = answer
        if user:
            self._client.username_pw_set(user, password)
        self._client.on_connect = lambda _c, _u, _f, code, _p: self._said.put(code.value)
        self._client.on_publish = lambda _c, _u, _m, code, _p: self._said.put(code.value)
        self._client.on_subscribe = lambda _c, _u, _m, codes, _p: self._said.put(codes[0].value)
        self._client.on_message = lambda _c, _u, message: self.got.put(message)

    def __enter__(self) -> Self:
        self._client.connect("localhost", self._port)
        self._client.loop_start()
        assert self._said.get(timeout=5) == self._answer
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def subscribe(self, topic: str) -> None:
        self._client.subscribe(topic, 1)
        self._said.get(timeout=5)

    def may_write(self, topic: str, text: str = "x", *, retain: bool = False) -> bool:
        self._client.publish(topic, text, 1, retain=retain)
        return bool(self._said.get(timeout=5) < 0x80)

    def topics_until(self, last: str) -> set[str]:
        """The topics of what came, up to and with `last`."""
        topics: set[str] = set()
        until = time.monotonic() + 5
        while last not in topics:
            try:
                topics.add(self.got.get(timeout=max(0.0, until - time.monotonic())).topic)
            except Empty:
                pytest.fail(f"no {last} among {topics}")
        return topics

    def payload_on(self, topic: str, payload: bytes) -> None:
        """Wait until this has come."""
        until = time.monotonic() + 10
        while ((message := self.got.get(timeout=10)).topic, message.payload) != (topic, payload):
            assert time.monotonic() < until, f"{topic} does not become {payload!r}"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("broker")
    with mosquitto(folder / "m", *set_up(folder)) as broker:
        yield Site(folder, broker)


def heard_from(scene: Scene, platform: Peer) -> set[str]:
    """What reaches the platform of a gateway that says everything it can."""
    scene.wait_up()
    scene.sender.post(AlarmsKnown())
    scene.sender.post(alarm(AlarmState.UNACK_ACTIVE))
    scene.store(*(reading(seq) for seq in range(1, 20)), event(1))
    scene.wait_acked()
    asked = {"id": "c-1", "name": "acknowledge", "args": {"alarm": "a"}, "issuer": "Ada", "expires": 2**52}
    assert platform.may_write(f"{ROOT}/command", json.dumps(asked))
    command = scene.wait_fact(Command)
    command.answer(Reply("c-1", "done", ""))
    return platform.topics_until(f"{ROOT}/reply")


def test_a_gateway_works_with_it_as_the_readme_sets_it_up(site: Site) -> None:
    with site.platform() as platform:
        platform.subscribe("sitewarden/v1/#")
        with site.gateway() as scene:
            topics = heard_from(scene, platform)
            wanted = {"status", "about", "about/cold-1", "telemetry", "event", "alarm/room-1-warm", "command", "reply"}
            assert topics >= {f"{ROOT}/{name}" for name in wanted}


def test_what_a_gateway_left_behind_is_cleared_with_it_too(site: Site) -> None:
    with site.platform() as platform, peer_of(site, "gw1") as own:
        assert own.may_write(f"{ROOT}/alarm/old", "{}", retain=True)
        platform.subscribe(f"{ROOT}/alarm/+")
        platform.payload_on(f"{ROOT}/alarm/old", b"{}")
        with site.gateway() as scene:
            scene.wait_up()
            scene.sender.post(AlarmsKnown())
            platform.payload_on(f"{ROOT}/alarm/old", b"")


def test_a_certificate_takes_the_passwords_place_as_the_broker_file_says(
    site: Site, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = (site.folder / "etc" / "conf.d" / "sitewarden.conf").read_text()
    (subject,) = re.findall(r"-subj '(.*)'", text)
    lines = re.sub(r"^# (cafile|require_certificate|use_identity)", r"\1", text, flags=re.MULTILINE)
    lines = lines.replace("/etc/mosquitto", str(site.folder / "etc"))
    kept = [line for line in lines.splitlines() if not line.startswith(("listener", "password_file"))]
    assert sum(line.startswith(("cafile", "require", "use_identity")) for line in kept) == 3
    ca = ("-CA", site.folder / "ca.pem", "-CAkey", site.folder / "ca.key", "-CAcreateserial")
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", tmp_path / "own.key")
    openssl("req", *key, "-subj", subject, "-out", tmp_path / "own.csr")
    openssl("x509", "-req", "-in", tmp_path / "own.csr", *ca, "-days", "90", "-out", tmp_path / "own.pem")
    shutil.copy(site.folder / "ca.pem", tmp_path)
    options: dict[str, Any] = {"ca_file": "ca.pem", "cert_file": "own.pem", "key_file": "own.key"}
    with mosquitto(tmp_path / "m", *kept) as broker:
        url = f"mqtts://localhost:{broker.port}"
        with running(url, tmp_path, about=replace(ABOUT, site="shop-1"), **options) as scene:
            scene.wait_up()
            scene.store(event(1), reading(1))
            scene.wait_acked()
        with running(url, tmp_path, about=replace(ABOUT, site="shop-2"), **options) as scene:
            scene.wait_up()
            scene.store(event(1))
            until(lambda: "sitewarden/v1/shop-2/gw1/event: Not authorized" in caplog.text)
            assert scene.journal.do(lambda journal: journal.unacked(Lane.EVENT)) == [1]


def peer_of(site: Site, gateway: str) -> Peer:
    password = {"gw1": (site.folder / "gw1-password").read_text().strip(), "gw2": "other"}[gateway]
    return Peer(site, f"shop-1/{gateway}", password)


@pytest.mark.parametrize(
    "topic",
    [
        f"{OTHER}/event",
        f"{OTHER}/command",
        f"{OTHER}/stored",
        "sitewarden/v1/shop-2/gw1/event",
        "sitewarden/v1/shop-1",
        "elsewhere",
        "$SYS/x",
    ],
)
def test_a_gateway_writes_nowhere_but_below_its_own_root(site: Site, topic: str) -> None:
    with peer_of(site, "gw1") as gateway:
        assert not gateway.may_write(topic)
        assert gateway.may_write(f"{ROOT}/event")


def test_a_gateway_reads_its_own_commands_and_confirmations_and_nobody_elses(site: Site) -> None:
    with site.platform() as platform, peer_of(site, "gw1") as gateway:
        for topic in ("sitewarden/v1/#", f"{OTHER}/command", "sitewarden/v1/+/+/command", "$SYS/#"):
            gateway.subscribe(topic)
        for name in ("command", "stored"):
            assert platform.may_write(f"{OTHER}/{name}")
        with peer_of(site, "gw2") as other:
            assert other.may_write(f"{OTHER}/event")
            assert other.may_write(f"{OTHER}/alarm/a")
        assert platform.may_write(f"{ROOT}/stored")
        assert platform.may_write(f"{ROOT}/command")
        read = gateway.topics_until(f"{ROOT}/command")
        assert f"{ROOT}/stored" in read
        assert all(topic.startswith(f"{ROOT}/") for topic in read)
        assert not any(
            topic.startswith(f"{ROOT}/{name}") for topic in read for name in ("event", "telemetry", "status")
        )


@pytest.mark.parametrize("name", ["event", "telemetry", "status", "alarm/a", "reply"])
def test_the_platform_cannot_speak_for_a_gateway(site: Site, name: str) -> None:
    with site.platform() as platform:
        assert not platform.may_write(f"{ROOT}/{name}")


@pytest.mark.parametrize(("user", "password"), [("", ""), ("shop-1/gw1", "guessed"), ("shop-1/gw3", "other")])
def test_nobody_comes_in_without_a_password_of_his_own(site: Site, user: str, password: str) -> None:
    with Peer(site, user, password, answer=0x87):
        pass
