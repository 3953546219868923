"""The whole daemon in a process of its own, from a Modbus device on a socket to a record at a subscriber."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from consumer import Consumer
from daemon import Daemon, write_profile
from modbus_responder import TcpDevices

from gateway.cli import main
from gateway.demo.broker import Broker

CONFIG = """
site: {{id: dc3}}
gateway: {{id: gw1}}
storage: {{commit_every: 100ms}}
uplinks:
  platform: {{url: "mqtt://127.0.0.1:{broker}", linger: 50ms, commands: [acknowledge, reset]}}
links:
  io: {{type: tcp, host: 127.0.0.1, port: {device}}}
devices:
  meter-1: {{driver: modbus, link: io, unit: 1, profile: four, every: 20ms, zone: hall}}
  meter-2: {{driver: modbus, link: io, unit: 2, profile: four, every: 50ms, zone: hall}}
rules:
  always: {{point: meter-1.r0, above: -1, priority: high}}
"""


@pytest.fixture
def broker() -> Iterator[Broker]:
    broker = Broker()
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def site(tmp_path: Path, broker: Broker) -> Iterator[tuple[Daemon, Consumer, TcpDevices]]:
    write_profile(tmp_path, "four", 4)
    with TcpDevices() as devices, Consumer(broker.port) as consumer:
        config = CONFIG.format(broker=broker.port, device=devices.port)
        with Daemon(tmp_path, config) as daemon:
            yield daemon, consumer, devices


def stored(daemon: Daemon) -> set[tuple[str, str, int]]:
    """The identity of every record in the journal."""
    with closing(sqlite3.connect(daemon.state / "journal.db")) as db:
        return {
            (str(run), lane, int(seq))
            for lane, view in (("event", "events"), ("telemetry", "readings"))
            for run, seq in db.execute(f"SELECT run, seq FROM {view}")
        }


def runs(consumer: Consumer) -> list[str]:
    return list(dict.fromkeys(event["run"] for event in consumer.events))


def starts(consumer: Consumer) -> dict[str, dict[str, Any]]:
    """The first event of each run."""
    return {event["run"]: event for event in consumer.events if event["event"] == "started"}


def test_a_register_becomes_an_acknowledged_record_and_an_alarm(site: tuple[Daemon, Consumer, TcpDevices]) -> None:
    daemon, consumer, _ = site
    consumer.wait_for(lambda: consumer.event(event="alarm", change="raised") is not None, 10, "the alarm's event")
    consumer.wait_for(lambda: len(consumer.counts) > 50, 10, "telemetry")
    run = runs(consumer)[0]
    first = consumer.event(event="started")
    assert first is not None
    assert (first["seq"], first["previous"], first["journal"]) == (1, None, "new")
    assert json.loads(consumer.latest["sitewarden/v1/dc3/gw1/status"])["state"] == "online"
    assert json.loads(consumer.latest["sitewarden/v1/dc3/gw1/alarm/always"])["state"] == "unack_active"
    assert json.loads(consumer.latest["sitewarden/v1/dc3/gw1/about/meter-1"])["device"] == "meter-1"
    status = daemon.status()
    assert status is not None
    assert status["run"] == run
    assert status["points"][0]["quality"] == "good"
    assert daemon.stop() == 0
    consumer.wait_for(lambda: consumer.event(event="stopped") is not None, 5, "the last event")
    last = consumer.event(event="stopped")
    assert last is not None
    consumer.wait_for(
        lambda: json.loads(consumer.latest["sitewarden/v1/dc3/gw1/status"])["state"] == "stopped", 5, "the goodbye"
    )
    daemon.start()
    consumer.wait_for(lambda: consumer.seqs(run, "telemetry") == set(range(1, last["telemetry"] + 1)), 10, "the rest")


def test_a_command_acknowledges_the_alarm_and_is_answered(site: tuple[Daemon, Consumer, TcpDevices]) -> None:
    daemon, consumer, _ = site
    root = "sitewarden/v1/dc3/gw1"
    consumer.wait_for(lambda: f"{root}/alarm/always" in consumer.latest, 10, "the alarm's state")
    command = {"id": "c-1", "name": "acknowledge", "args": {"alarm": "always"}, "issuer": "Ada"}
    consumer.publish(f"{root}/command", {**command, "expires": int(time.time() * 1000) + 60_000})
    consumer.wait_for(lambda: f"{root}/reply" in consumer.latest, 5, "the reply")
    reply = json.loads(consumer.latest[f"{root}/reply"])
    assert (reply["id"], reply["result"]) == ("c-1", "done")
    consumer.wait_for(lambda: json.loads(consumer.latest[f"{root}/alarm/always"])["state"] == "ack_active", 5, "state")
    acknowledged = {"event": "alarm", "change": "acknowledged", "by": "Ada"}
    consumer.wait_for(lambda: consumer.event(**acknowledged) is not None, 5, "the event")
    assert daemon.stop() == 0
    assert main(["journal", "verify", "--state", str(daemon.state)]) == 0, "events stand in the order of their numbers"


@pytest.mark.promise("at-least-once")
@pytest.mark.promise("order-per-stream")
@pytest.mark.promise("started-names-the-run-before")
def test_a_kill_in_the_middle_of_the_stream_loses_nothing_that_was_committed(
    site: tuple[Daemon, Consumer, TcpDevices], broker: Broker
) -> None:
    daemon, consumer, _ = site
    committed: set[tuple[str, str, int]] = set()
    for life in range(4):
        have = len(consumer.counts)
        consumer.wait_for(lambda have=have: len(consumer.counts) >= have + 60, 15, f"records in life {life}")  # type: ignore[misc]
        if life == 2:
            broker.pause()
            while (status := daemon.status()) is None or status["health"]["counts"]["telemetry"] < 150:
                pass
        daemon.kill()
        broker.resume()
        committed |= stored(daemon)
        daemon.start()
    consumer.wait_for(lambda: committed <= set(consumer.counts), 20, "everything that was committed")
    consumer.wait_for(lambda: len(starts(consumer)) == 5, 5, "the last run")
    assert sum(consumer.counts.values()) - len(consumer.counts) <= 4 * (20 * 100 + 20), "duplicates of the window only"
    previous = {run: event["previous"] for run, event in starts(consumer).items()}
    names = sorted(previous, key=lambda run: int(starts(consumer)[run]["ts"]))
    assert [previous[run] and previous[run]["run"] for run in names] == [None, *names[:-1]]
    for run in names[:-1]:
        for lane in ("event", "telemetry"):
            live = [
                seq for of_run, of_lane, hist, seq in consumer.order if (of_run, of_lane, hist) == (run, lane, False)
            ]
            firsts = list(dict.fromkeys(live))
            assert firsts == sorted(firsts), f"live {lane} of {run} came out of order"


def test_a_kill_while_an_alarm_stands_neither_forgets_it_nor_raises_it_again(
    site: tuple[Daemon, Consumer, TcpDevices],
) -> None:
    daemon, consumer, _ = site
    raised = {"event": "alarm", "change": "raised", "alarm": "always"}
    consumer.wait_for(lambda: consumer.event(**raised) is not None, 10, "the alarm's event")
    first = consumer.event(**raised)
    assert first is not None
    identity = (first["run"], "event", first["seq"])
    consumer.wait_for(lambda: identity in stored(daemon), 5, "the event on the disk")
    daemon.kill()
    daemon.start()
    consumer.wait_for(lambda: len(starts(consumer)) == 2, 10, "the next run")
    consumer.wait_for(lambda: len(consumer.seqs(runs(consumer)[-1], "telemetry")) > 20, 10, "its telemetry")
    status = daemon.status()
    assert status is not None
    (alarm,) = [it for it in status["alarms"] if it["alarm"] == "always"]
    assert (alarm["state"], alarm["since"]) == ("unack_active", first["ts"])
    told = [event for event in consumer.events if event.get("alarm") == "always" and event["change"] == "raised"]
    assert {(event["run"], event["seq"]) for event in told} == {(first["run"], first["seq"])}


def test_what_happens_while_the_broker_is_away_arrives_when_it_is_back(
    site: tuple[Daemon, Consumer, TcpDevices], broker: Broker
) -> None:
    daemon, consumer, _ = site
    consumer.wait_for(lambda: len(consumer.counts) > 30, 10, "telemetry")
    broker.pause()
    before = daemon.status()
    assert before is not None
    goal = before["health"]["counts"]["telemetry"] + 100
    while (status := daemon.status()) is None or status["health"]["counts"]["telemetry"] < goal:
        pass
    broker.resume()
    run = status["run"]
    consumer.wait_for(lambda: set(range(1, goal + 1)) <= consumer.seqs(run, "telemetry"), 20, "the backlog")
    assert any(hist for _, _, hist, _ in consumer.order), "backlog is marked as such"


def test_a_device_that_unplugs_is_bad_and_comes_back(site: tuple[Daemon, Consumer, TcpDevices]) -> None:
    daemon, consumer, devices = site
    consumer.wait_for(lambda: len(consumer.counts) > 10, 10, "telemetry")
    devices.do(devices.unplug)
    consumer.wait_for(lambda: consumer.event(event="link_lost", link="io") is not None, 10, "the loss")
    status = daemon.status()
    assert status is not None
    assert {point["quality"] for point in status["points"]} == {"link_down"}
    assert status["alarms"][0]["state"] == "unack_active", "an alarm does not clear because its sensor is gone"
    devices.do(devices.plug)
    consumer.wait_for(lambda: consumer.event(event="link_back", link="io") is not None, 15, "the return")


@pytest.mark.promise("event-within-a-second")
def test_an_event_reaches_the_platform_while_the_disk_hangs(site: tuple[Daemon, Consumer, TcpDevices]) -> None:
    daemon, consumer, devices = site
    consumer.wait_for(lambda: len(consumer.counts) > 10, 10, "telemetry")
    with closing(sqlite3.connect(daemon.state / "journal.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")  # the journal's next commit waits for this one
        began = time.monotonic()
        devices.do(devices.unplug)
        consumer.wait_for(lambda: consumer.event(event="link_lost", link="io") is not None, 3, "the event")
        assert 0.8 < time.monotonic() - began < 2.0, "it waits a second for the disk, and no longer"
        status = daemon.status()
        assert status is not None
        assert {point["quality"] for point in status["points"]} == {"link_down"}, "judging goes on"
        other.execute("ROLLBACK")
    lost = consumer.event(event="link_lost", link="io")
    assert lost is not None
    until = time.monotonic() + 10
    while (lost["run"], "event", lost["seq"]) not in stored(daemon):
        assert time.monotonic() < until, "the event is stored once the disk answers again"
    assert consumer.counts[lost["run"], "event", lost["seq"]] == 1, "and not sent twice"
