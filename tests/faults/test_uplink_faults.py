"""The uplink under the faults of a network and a broker: nothing lost, order kept, alarms first."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from uplink_scene import ROOT, Platform, Scene, Waiter, alarm, event, reading, running, until

from gateway.demo.broker import Broker
from gateway.model import AlarmsKnown, AlarmState, Lane, Stored, UplinkDown
from gateway.uplink import contract

CONTRACT = Path(contract.__file__).parent.parent / "contract"
EVERY = 10  # one event to so many readings


@contextmanager
def site(receive_maximum: int = 20, **options: Any) -> Iterator[tuple[Broker, Platform, Scene]]:
    platform = Platform()
    broker = Broker(receive_maximum=receive_maximum, tap=platform.tap)
    try:
        with running(f"mqtt://127.0.0.1:{broker.start()}", linger=0.01, **options) as scene:
            scene.wait_up()
            yield broker, platform, scene
    finally:
        broker.stop()
    check_payloads(platform)


def check_payloads(platform: Platform) -> None:
    """Every payload that was ever sent is as the contract says."""
    names = {"status", "about", "telemetry", "event", "alarm", "health", "reply"}
    schemas = {
        name: Draft202012Validator(json.loads((CONTRACT / f"{name}.schema.json").read_text()))
        for name in (*names, "about-device")
    }
    for topic, payload, _ in platform.messages:
        name, *below = topic.removeprefix(ROOT + "/").split("/")
        if payload:
            schemas["about-device" if name == "about" and below else name].validate(json.loads(payload))


class Load:
    """Readings and events, made as fast as is asked for."""

    def __init__(self, scene: Scene) -> None:
        self.readings = self.events = 0
        self._scene = scene

    def make(self, count: int) -> None:
        made = []
        for _ in range(count):
            self.readings += 1
            made.append(reading(self.readings))
            if self.readings % EVERY == 0:
                self.events += 1
                made.append(event(self.events))
        for record in made:
            if record.lane is Lane.EVENT:
                self._scene.sender.post(record)
        self._scene.store(*made)

    def check(self, platform: Platform) -> None:
        """All arrived; each stream in order, repetitions apart."""
        for lane, last in ((Lane.TELEMETRY, self.readings), (Lane.EVENT, self.events)):
            assert set(platform.seqs(lane)) == set(range(1, last + 1)), f"{lane} lost"
            for hist in (False, True):
                stream = platform.stream(lane, hist=hist)
                assert stream == sorted(stream), f"{lane} out of order"


@pytest.mark.promise("at-least-once")
@pytest.mark.promise("order-per-stream")
def test_a_broker_that_restarts_twenty_times_under_load_loses_nothing() -> None:
    with site() as (broker, platform, scene):
        load = Load(scene)
        for _ in range(20):
            load.make(100)
            Waiter.wait(0.01)
            broker.pause()
            load.make(50)
            broker.resume()
            until(broker.connected)
        load.make(100)
        scene.wait_acked()
        load.check(platform)
        assert platform.seqs(Lane.TELEMETRY).count(1) >= 1


def test_bytes_cut_at_random_offsets_lose_nothing() -> None:
    chance = random.Random(7)
    with site() as (broker, platform, scene):
        load = Load(scene)
        for _ in range(60):
            broker.drop_after(chance.randrange(1, 12_000))
            load.make(40)
            Waiter.wait(0.005)
        broker.drop_after(10_000_000)
        scene.wait_acked()
        load.check(platform)


@pytest.mark.promise("hist")
def test_a_long_outage_is_caught_up_with_events_first_and_live_beside_the_backlog() -> None:
    with site() as (broker, platform, scene):
        load = Load(scene)
        broker.pause()
        scene.wait_down()
        for _ in range(50):
            load.make(100)
        scene.journal.do(lambda journal: journal.asked)
        platform.messages.clear()
        broker.resume()
        scene.wait_up()
        load.make(100)
        scene.wait_acked()
        kinds = [topic.rpartition("/")[2] for topic, _, _ in platform.messages]
        hist = [
            index
            for index, (topic, payload, _) in enumerate(platform.messages)
            if topic.endswith("telemetry") and json.loads(payload)["hist"]
        ]
        assert kinds[0] == "status"
        assert max(index for index, kind in enumerate(kinds) if kind == "event") < hist[-1]
        assert platform.stream(Lane.TELEMETRY, hist=False), "live beside it"
        load.check(platform)


@pytest.mark.promise("event-first")
def test_an_alarm_overtakes_the_backlog_at_a_slow_broker() -> None:
    with site(receive_maximum=8) as (broker, platform, scene):
        until(lambda: f"{ROOT}/about/cold-1" in broker.retained())
        broker.hold_acks(True)
        load = Load(scene)
        load.make(9)
        until(lambda: platform.on("telemetry"))
        for _ in range(20):
            scene.store(*(reading(10 + number) for number in range(200)))
        seq = 1000
        scene.sender.post(event(seq))
        scene.sender.post(alarm(AlarmState.UNACK_ACTIVE))
        began = time.monotonic()
        scene.store(event(seq))
        until(lambda: platform.on("event") and f"{ROOT}/alarm/room-1-warm" in broker.retained())
        assert time.monotonic() - began < 1.0
        broker.hold_acks(False)


def test_no_more_than_the_brokers_receive_maximum_is_ever_unacknowledged() -> None:
    with site(receive_maximum=5) as (broker, platform, scene):
        broker.hold_acks(True)
        before = len(platform.messages)
        load = Load(scene)
        for _ in range(20):
            load.make(200)
        Waiter.wait(0.2)
        assert len(platform.messages) - before <= 5
        broker.hold_acks(False)
        scene.wait_acked()
        load.check(platform)


def test_acknowledgements_that_never_come_break_the_connection_and_everything_goes_again() -> None:
    with site(keepalive=1.0) as (broker, platform, scene):
        broker.hold_acks(True)
        load = Load(scene)
        load.make(30)
        down = scene.wait_down()
        assert "has not acknowledged" in down.what
        broker.hold_acks(False)
        scene.wait_acked()
        load.check(platform)
        assert len(platform.seqs(Lane.EVENT)) > 3, "sent again"


def test_an_event_leaves_though_the_disk_stands_and_only_once() -> None:
    with site() as (_, platform, scene):
        began = time.monotonic()
        scene.sender.post(event(1))
        until(lambda: platform.on("event"))
        assert 0.9 < time.monotonic() - began < 2.0
        scene.store(event(1))
        scene.wait_acked()
        assert platform.seqs(Lane.EVENT) == [1]


def test_a_broker_that_lost_everything_gets_status_alarms_and_descriptions_again() -> None:
    with site() as (broker, _, scene):
        scene.sender.post(alarm(AlarmState.UNACK_ACTIVE))
        wanted = {f"{ROOT}/{name}" for name in ("status", "about", "about/cold-1", "alarm/room-1-warm")}
        until(lambda: set(broker.retained()) == wanted)
        broker.pause()
        broker.forget()
        broker.resume()
        until(lambda: set(broker.retained()) == wanted)
        scene.sender.post(alarm(AlarmState.NORMAL))
        until(lambda: set(broker.retained()) == wanted - {f"{ROOT}/alarm/room-1-warm"})


@pytest.mark.promise("status-truthful")
def test_a_clean_stop_says_stopped_and_retained_alarms_of_another_life_are_cleared() -> None:
    broker = Broker()
    port = broker.start()
    for topic in ("alarm/old@x.y", "about/gone"):
        broker.publish(f"{ROOT}/{topic}", b"{}", retain=True)
    with running(f"mqtt://127.0.0.1:{port}") as scene:
        scene.wait_up()
        scene.sender.post(AlarmsKnown())
        until(lambda: set(broker.retained()) == {f"{ROOT}/{name}" for name in ("status", "about", "about/cold-1")})
        online = json.loads(broker.retained()[f"{ROOT}/status"])
    stopped = json.loads(broker.retained()[f"{ROOT}/status"])
    broker.stop()
    assert (online["state"], stopped["state"]) == ("online", "stopped")
    assert stopped["since"] >= online["since"]


def test_a_refused_message_stays_in_the_journal_and_holds_up_nobody() -> None:
    with site() as (broker, platform, scene):
        broker.refuse_publish(f"{ROOT}/telemetry", 0x97)
        load = Load(scene)
        load.make(20)
        until(lambda: len(platform.on("event")) == 2)
        Waiter.wait(0.2)
        assert platform.on("telemetry") == []
        broker.refuse_publish(f"{ROOT}/telemetry", 0)
        scene.wait_acked()
        load.check(platform)


def test_a_port_that_comes_up_late_is_found() -> None:
    broker = Broker()
    port = broker.start()
    broker.pause()
    with running(f"mqtt://127.0.0.1:{port}") as scene:
        assert "refuses connections" in scene.wait_down().what
        scene.store(*(reading(seq) for seq in range(1, 50)))
        broker.resume()
        scene.wait_up()
        scene.wait_acked()
        assert sum(isinstance(fact, UplinkDown) for fact in scene.heard) == 1, "once per reason"
    broker.stop()


def test_an_old_broker_gets_everything_too() -> None:
    platform = Platform()
    broker = Broker(tap=platform.tap)
    port = broker.start()
    broker.refuse_version_5(True)
    with running(f"mqtt://127.0.0.1:{port}", linger=0.01) as scene:
        assert scene.wait_up().version == "3.1.1"
        load = Load(scene)
        for _ in range(5):
            load.make(100)
            broker.drop_connections()
        scene.wait_acked()
        load.check(platform)
    broker.stop()


DAEMON = """
import sys, threading
from pathlib import Path
from typing import Any
from queue import SimpleQueue
sys.path[:0] = {path!r}
from uplink_scene import running
with running({url!r}) as scene:
    scene.wait_up()
    print("up", flush=True)
    threading.Event().wait(60)
"""


@pytest.mark.promise("status-truthful")
def test_a_killed_gateway_is_lost_to_the_platform() -> None:
    broker = Broker()
    port = broker.start()
    code = DAEMON.format(path=sys.path, url=f"mqtt://127.0.0.1:{port}")
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        until(lambda: f"{ROOT}/status" in broker.retained())
        os.kill(process.pid, signal.SIGKILL)
    status = until(lambda: (s := json.loads(broker.retained()[f"{ROOT}/status"]))["state"] == "lost" and s)
    broker.stop()
    Draft202012Validator(json.loads((CONTRACT / "status.schema.json").read_text())).validate(status)


def test_a_sender_that_died_of_a_bug_starts_over_and_loses_nothing() -> None:
    platform = Platform()
    broker = Broker(tap=platform.tap)
    port = broker.start()
    with running(f"mqtt://127.0.0.1:{port}", linger=0.01) as scene:
        scene.wait_up()
        load = Load(scene)
        load.make(500)
        scene.sender.post(Stored(None))  # type: ignore[arg-type]
        load.make(500)
        assert isinstance(until(lambda: scene.deaths)[0], TypeError)
        scene.wait_acked()
        load.check(platform)
    broker.stop()


@pytest.mark.slow
def test_an_event_is_on_the_wire_well_within_a_millisecond_of_being_stored() -> None:
    taken: list[float] = []
    with site() as (_, platform, scene):
        for seq in range(1, 301):
            rows = scene.journal.do(lambda j, s=seq: j.store([event(s)]))  # type: ignore[misc]
            before = len(platform.times)
            began = time.monotonic()
            scene.sender.post(rows)
            until(lambda b=before: len(platform.times) > b)  # type: ignore[misc]
            taken.append(platform.times[before] - began)
            threading.Event().wait(0.002)
    taken.sort()
    print(f"p50 {taken[150] * 1e3:.2f} ms, p99 {taken[297] * 1e3:.2f} ms")
    assert taken[150] < 0.001
