"""The example of the other end, against the real daemon and mosquitto: the feed exactly once, whoever is killed."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest
from daemon import Daemon, write_profile
from modbus_responder import TcpDevices
from mosquitto import Mosquitto, mosquitto
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode
from tls_scene import Authority, tls_front
from uplink_scene import Waiter, until

from gateway.contract import consumer, small_consumer

pytestmark = [
    pytest.mark.mosquitto,
    pytest.mark.skipif(shutil.which("mosquitto") is None, reason="mosquitto is not installed"),
]

CONFIG = """
site: {{id: dc3}}
gateway: {{id: gw1}}
storage: {{commit_every: 100ms}}
uplinks:
  platform: {{url: "mqtt://127.0.0.1:{broker}", linger: 50ms, {options}}}
links:
  io: {{type: tcp, host: 127.0.0.1, port: {device}}}
devices:
  meter-1: {{driver: modbus, link: io, unit: 1, profile: four, every: 20ms, zone: hall}}
  meter-2: {{driver: modbus, link: io, unit: 2, profile: four, every: 50ms, zone: hall}}
"""

Feed = dict[tuple[str, str, int], tuple[int, Any]]
"""(run, lane, seq) -> time and contents."""


class Listener:
    """The example in a process of its own; it may be killed and started again."""

    def __init__(self, port: int, file: Path, *options: str, small: bool = False) -> None:
        fixed = [sys.executable, consumer.__file__, "127.0.0.1", str(file), f"--port={port}", "--look=1"]
        if small:
            fixed = [sys.executable, small_consumer.__file__, "127.0.0.1", str(file), str(port)]
        self._command = [*fixed, *options]
        self._log = file.with_suffix(".log")
        self._file = file
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stderr=log)

    def says(self, what: str) -> None:
        """Wait until it has printed this."""
        until(lambda: what in self._log.read_text(), 10, f"{what!r} in what it prints")

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def feed(self) -> Feed:
        if not self._file.exists():
            return {}
        with closing(sqlite3.connect(self._file)) as db:
            try:
                rows = db.execute("SELECT run, lane, seq, ts, body FROM records").fetchall()
            except sqlite3.OperationalError:  # its table is not there yet
                return {}
        return {(run, lane, seq): (ts, contents(json.loads(body))) for run, lane, seq, ts, body in rows}


def contents(record: dict[str, Any]) -> dict[str, Any]:
    envelope = {"schema", "run", "tq", "hist", "seq", "ts"}
    return {name: value for name, value in record.items() if name not in envelope}


def stored(daemon: Daemon) -> Feed:
    """What the journal holds."""
    found: Feed = {}
    with closing(sqlite3.connect(daemon.state / "journal.db")) as db:
        for run, seq, ts, text in db.execute("SELECT run, seq, ts, text FROM events"):
            found[run, "event", seq] = ts, json.loads(text)
        columns = "run, seq, ts, device, point, value, bad"
        for run, seq, ts, device, point, value, bad in db.execute(f"SELECT {columns} FROM readings"):
            _, record = found.setdefault((run, "telemetry", seq), (ts, {"device": device, "values": {}}))
            (record["values"] if bad is None else record.setdefault("bad", {}))[point] = value if bad is None else bad
    return found


@contextmanager
def site(folder: Path, options: str, *, small: bool = False) -> Iterator[tuple[Daemon, Mosquitto, Listener]]:
    """A broker that saves nothing but when it ends in order."""
    write_profile(folder, "four", 4)
    with (
        mosquitto(folder / "m", "allow_anonymous true", "max_queued_messages 0") as broker,
        Listener(broker.port, folder / "feed.db", small=small) as listener,
        TcpDevices() as devices,
        Daemon(folder, CONFIG.format(broker=broker.port, device=devices.port, options=options)) as daemon,
    ):
        until(lambda: len(listener.feed()) > 20, 20, "the first records")
        yield daemon, broker, listener


def complete(daemon: Daemon, listener: Listener) -> None:
    """All that the journal holds now is at the consumer, once, as it is; and nothing else."""
    wanted = stored(daemon)
    until(lambda: wanted.keys() <= listener.feed().keys(), 40, "everything that was stored")
    found = listener.feed()
    assert {name: found[name] for name in wanted} == wanted
    assert found.keys() <= stored(daemon).keys(), "a record that never was"


@pytest.mark.promise("exactly-once")
@pytest.mark.promise("confirmed")
@pytest.mark.parametrize("small", [True, False], ids=["small", "whole"])
def test_the_feed_is_stored_exactly_once_whoever_is_killed(tmp_path: Path, *, small: bool) -> None:
    chance = random.Random(3)
    options = "acknowledged_by: platform, confirm_within: 1s, compression: gzip"
    with site(tmp_path, options, small=small) as (daemon, broker, listener):
        for victim in ("broker", "consumer", "gateway", "consumer", "broker", "gateway"):
            have = len(listener.feed())
            until(lambda have=have: len(listener.feed()) > have + 20, 20, f"records before {victim} is killed")  # type: ignore[misc]
            Waiter.wait(chance.random() / 4)
            if victim == "broker":
                broker.end(kill=True)
                broker.start()
            elif victim == "consumer":
                listener.kill()
                Waiter.wait(0.3)
                listener.start()
            else:
                daemon.kill()
                daemon.start()
        complete(daemon, listener)


@pytest.mark.promise("confirmed")
def test_a_broker_that_forgets_what_it_has_acknowledged_costs_nothing_where_the_platform_confirms(
    tmp_path: Path,
) -> None:
    with site(tmp_path, "acknowledged_by: platform, confirm_within: 1s") as (daemon, broker, listener):
        forgotten(daemon, broker, listener)
        complete(daemon, listener)


@pytest.mark.promise("resend")
def test_what_a_broker_forgot_is_seen_as_a_hole_and_asked_for(tmp_path: Path) -> None:
    with site(tmp_path, "acknowledged_by: broker") as (daemon, broker, listener):
        lost = forgotten(daemon, broker, listener)
        until(lambda: lost <= listener.feed().keys(), 30, "what the broker forgot")
        complete(daemon, listener)
        asked = [text for _, text in stored(daemon).values() if text.get("event") == "command"]
        assert {(text["name"], text["issuer"], text["result"]) for text in asked} == {("resend", "consumer", "done")}


def forgotten(daemon: Daemon, broker: Mosquitto, listener: Listener) -> set[tuple[str, str, int]]:
    """Records that the broker acknowledges while the consumer is away, and takes with it when it is killed."""
    listener.kill()
    before = daemon.status()
    assert before is not None
    goal = before["health"]["counts"]["telemetry"] + 50
    until(lambda: ((s := daemon.status()) is not None) and s["health"]["uplinks"][0]["sent"] > goal, 20, "records sent")
    broker.end(kill=True)
    broker.start()
    listener.start()
    have = listener.feed().keys()
    return set(stored(daemon)) - set(have)


def test_it_reaches_a_broker_with_a_private_ca_and_says_why_where_it_does_not(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca")
    with (
        mosquitto(tmp_path / "m", "allow_anonymous true") as broker,
        tls_front(broker.port, authority.issue("broker")) as port,
    ):
        with Listener(port, tmp_path / "a.db", "--tls", "--client-id=a") as listener:
            listener.says("cannot be reached: [SSL: CERTIFICATE_VERIFY_FAILED]")
        with Listener(port, tmp_path / "b.db", f"--ca-file={authority.ca.cert}", "--client-id=b") as listener:
            listener.says("login: Success")
    with Listener(port, tmp_path / "c.db") as listener:
        listener.says("cannot be reached: [Errno 111] Connection refused")


def test_a_wrong_password_is_said(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("wrong")
    login = ("--username=platform", f"--password-file={tmp_path / 'secret'}")
    with (
        mosquitto(tmp_path / "m", "allow_anonymous false") as broker,
        Listener(broker.port, tmp_path / "a.db", *login) as listener,
    ):
        listener.says("login: Not authorized")


def test_a_refused_subscription_is_said(caplog: pytest.LogCaptureFixture) -> None:
    made: Any = consumer.client(consumer.arguments(["broker", "feed.db"]), lambda *_: None)
    codes = [ReasonCode(PacketTypes.SUBACK, identifier=code) for code in (1, 0x80, 1, 1, 1)]
    made.on_subscribe(made, None, 1, codes, None)
    assert [record.getMessage() for record in caplog.records] == [
        "broker: refuses the subscription to sitewarden/v1/+/+/event: Unspecified error; check its access list"
    ]
