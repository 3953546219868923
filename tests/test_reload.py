"""A daemon that goes on by another configuration: a real process, real devices, a real broker."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from consumer import Consumer
from daemon import Daemon, write_profile
from modbus_responder import TcpDevices, value_of

from gateway.cli import FAILED, OK, main
from gateway.demo.broker import Broker

WITHIN_S = 20.0
ROOT = "sitewarden/v1/dc3/gw1"
TOP = """
site: {{id: dc3, name: {name}}}
gateway: {{id: gw1}}
storage: {{commit_every: 100ms}}
uplinks:
  platform: {{url: "mqtt://127.0.0.1:{broker}", linger: 50ms, commands: [reload]}}
"""
LINKS = "links:\n  io: {{type: tcp, host: 127.0.0.1, port: {device}, timeout: {timeout}}}\n"
DEVICES = "devices:\n"
METER = "  meter-{unit}: {{driver: modbus, link: {link}, unit: {unit}, profile: four, every: {every}, zone: hall}}\n"
RULES = "rules:\n"
LOW = "  low: {{point: meter-1.r0, above: {low}, priority: medium}}\n"
VALUE = value_of(1, 3, 0)


class Scene:
    """A daemon, and the pieces of its configuration as they are written next."""

    def __init__(self, folder: Path, broker: int, device: int) -> None:
        self.given = {"name": "Hall", "broker": broker, "device": device, "timeout": "1s", "low": -1}
        self.meters = {1: ("io", "100ms"), 2: ("io", "100ms")}
        self.links = ""
        self.rules = ""
        write_profile(folder, "four", 4)
        self.daemon = Daemon(folder, self.text)

    @property
    def text(self) -> str:
        meters = "".join(METER.format(unit=unit, link=link, every=every) for unit, (link, every) in self.meters.items())
        low = "" if self.given["low"] is None else LOW.format(**self.given)
        rules = RULES + low + self.rules if low + self.rules else ""
        return TOP.format(**self.given) + LINKS.format(**self.given) + self.links + DEVICES + meters + rules

    def write(self, **given: Any) -> None:
        self.given |= given
        self.daemon.config.write_text(self.text)

    def reload(self, **given: Any) -> subprocess.CompletedProcess[str]:
        self.write(**given)
        return self.asked()

    def asked(self) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "gateway", "reload", "--by", "Ada", "--state", str(self.daemon.state)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
        )

    def status(self) -> dict[str, Any]:
        status = self.daemon.status()
        assert status is not None
        return status

    def health(self, link: str = "io") -> dict[str, Any]:
        found: dict[str, Any] = next(it for it in self.status()["health"]["links"] if it["link"] == link)
        return found

    def stands(self) -> bool:
        """Whether a daemon is there, and its alarm, which was told."""
        status = self.daemon.status()
        return status is not None and "low" in {alarm["alarm"] for alarm in status["alarms"] if alarm["seq"]}

    def alarms(self) -> dict[str, dict[str, Any]]:
        return {alarm["alarm"]: alarm for alarm in self.status()["alarms"]}


def wait_for(what: Callable[[], Any], why: str) -> Any:
    until, pause = time.monotonic() + WITHIN_S, threading.Event()
    while not (found := what()):
        assert time.monotonic() < until, why
        pause.wait(0.05)
    return found


def weight_kib(pid: int) -> int:
    """Of a process, in memory."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(status.partition("VmRSS:")[2].split()[0])


@pytest.fixture
def broker() -> Iterator[Broker]:
    broker = Broker()
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def scene(tmp_path: Path, broker: Broker) -> Iterator[Scene]:
    with TcpDevices() as devices:
        scene = Scene(tmp_path, broker.port, devices.port)
        with scene.daemon:
            wait_for(scene.stands, "the alarm stands")
            yield scene


def test_a_changed_limit_is_judged_by_the_next_value_and_nothing_else_is_touched(scene: Scene) -> None:
    before, opens, run = scene.alarms()["low"], scene.health()["opens"], scene.status()["run"]
    polls = {it["device"]: it["polls"] for it in scene.health()["devices"]}
    raised = scene.reload(low=VALUE - 1)
    assert (raised.returncode, raised.stdout) == (OK, "reload: done (rule low changed)\n")
    after = scene.alarms()["low"]
    assert (after["since"], after["seq"]) == (before["since"], before["seq"]), "it stands as it stood"
    assert str(VALUE - 1) in after["text"]
    assert scene.reload(low=VALUE + 1).returncode == OK
    wait_for(lambda: scene.alarms().get("low", {}).get("state") != "unack_active", "the new limit ends it")
    assert scene.status()["run"] == run
    assert scene.health()["opens"] == opens, "the connection was kept"
    wait_for(lambda: all(it["polls"] > polls[it["device"]] for it in scene.health()["devices"]), "it polls on")
    assert scene.health()["late"] == 0


def test_a_device_comes_and_goes_while_its_link_stays(scene: Scene, broker: Broker) -> None:
    opens, about = scene.health()["opens"], f"{ROOT}/about/meter-3"
    scene.meters[3] = ("io", "100ms")
    scene.rules = "  third: {point: meter-3.r0, above: -1}\n"
    assert scene.reload().stdout == "reload: done (device meter-3 added, rule third added)\n"
    wait_for(lambda: "third" in scene.alarms(), "it is polled and judged")
    wait_for(lambda: {about, f"{ROOT}/alarm/third"} <= broker.retained().keys(), "it is described")
    del scene.meters[3]
    scene.rules = ""
    with Consumer(broker.port) as consumer:
        assert scene.reload().stdout == "reload: done (device meter-3 removed, rule third removed)\n"
        consumer.wait_for(lambda: consumer.event(event="alarm_removed", alarm="third") is not None, WITHIN_S, "told")
        told = consumer.event(event="configured", source="local")
        assert told is not None
        assert told["by"].startswith("Ada (user ") or told["by"] == "Ada"
        assert told["changed"] == ["device meter-3 removed", "rule third removed"]
    wait_for(lambda: not {about, f"{ROOT}/alarm/third"} & broker.retained().keys(), "what is retained of it is cleared")
    assert "third" not in scene.alarms()
    assert {it["device"] for it in scene.health()["devices"]} == {"meter-1", "meter-2"}
    assert (scene.health()["opens"], scene.health()["late"]) == (opens, 0)
    assert json.loads(broker.retained()[f"{ROOT}/about"])["config"] == told["config"]


def test_a_file_with_a_mistake_changes_nothing_and_says_where_it_is(scene: Scene) -> None:
    alarm, config = scene.alarms()["low"], scene.status()["about"]["config"]
    scene.daemon.config.write_text(scene.text.replace("timeout: 1s", "timeout: soon"))
    done = scene.asked()
    assert done.returncode == FAILED
    first, problem = done.stderr.splitlines()[:2]
    assert first == "reload: refused, the old configuration stays"
    assert problem.startswith(f"{scene.daemon.config}:8:")
    assert scene.alarms()["low"] == alarm
    assert scene.status()["about"]["config"] == config
    assert scene.reload().stdout == "reload: done (nothing changed)\n"


def test_what_needs_a_restart_is_refused_with_that_word(scene: Scene) -> None:
    scene.daemon.config.write_text(
        scene.text.replace("id: gw1", "id: gw2").replace("id: dc3", "id: dc4").replace("linger: 50ms", "linger: 1s")
    )
    done = scene.asked()
    assert done.returncode == FAILED
    assert done.stderr.splitlines()[1] == "site.id, gateway.id: restart the daemon for this"


def test_a_link_whose_settings_change_is_opened_anew_and_no_other(scene: Scene) -> None:
    with TcpDevices() as others:
        opens = scene.health()["opens"]
        scene.links = f"  more: {{type: tcp, host: 127.0.0.1, port: {others.port}}}\n"
        scene.meters[4] = ("more", "100ms")
        assert scene.reload().stdout == "reload: done (device meter-4 added, link more added)\n"
        wait_for(lambda: scene.health("more")["up"], "it is opened")
        scene.links = scene.links.replace("}", ", timeout: 2s}")
        assert scene.reload().stdout == "reload: done (link more changed)\n"
        wait_for(lambda: others.connections == 2, "it is opened anew")
        wait_for(lambda: scene.health("more")["devices"][0]["polls"] > 3, "and polled")
        del scene.meters[4]
        scene.links = ""
        assert scene.reload().stdout == "reload: done (device meter-4 removed, link more removed)\n"
        assert [it["link"] for it in scene.status()["health"]["links"]] == ["io"]
        assert scene.health()["opens"] == opens


def test_a_hangup_has_it_read_again_and_a_platform_may_ask_for_that(scene: Scene, broker: Broker) -> None:
    with Consumer(broker.port) as consumer:
        scene.write(name="Great hall")
        os.kill(scene.daemon.pid, signal.SIGHUP)
        consumer.wait_for(lambda: consumer.event(event="configured", by="SIGHUP") is not None, WITHIN_S, "it is told")
        scene.write(name="Small hall")
        wait_for(lambda: f"{ROOT}/about" in broker.retained(), "it is connected")
        expires = int(time.time() * 1000) + 60_000
        asked = {"id": "c-1", "name": "reload", "issuer": "ada@platform", "expires": expires}
        consumer.publish(f"{ROOT}/command", asked)
        consumer.wait_for(lambda: b"site changed" in consumer.latest.get(f"{ROOT}/reply", b""), WITHIN_S, "answered")
        told = wait_for(lambda: consumer.event(event="configured", by="ada@platform", source="platform"), "recorded")
        assert told["changed"] == ["site changed"]
    assert scene.status()["about"]["site_name"] == "Small hall"


def test_a_storm_of_hangups_is_over_with_a_few_and_the_last_is_not_lost(scene: Scene, broker: Broker) -> None:
    with Consumer(broker.port) as consumer:
        for number in range(200):
            scene.write(name=f"Hall {number}")
            os.kill(scene.daemon.pid, signal.SIGHUP)
        wait_for(lambda: scene.status()["about"]["site_name"] == "Hall 199", "what was written last is in use")
        configured = [event for event in consumer.events if event["event"] == "configured"]
        assert len(configured) < 40, "one runs, and one waits"


def test_twenty_times_under_load_no_record_is_lost_or_doubled_and_no_poll_is_late(scene: Scene, broker: Broker) -> None:
    for unit in (1, 2):
        scene.meters[unit] = ("io", "200ms")
    assert scene.reload().returncode == OK
    with Consumer(broker.port) as consumer:
        late = scene.health()["late"]
        weights = []
        for round_ in range(20):
            scene.meters.pop(3, None) or scene.meters.update({3: ("io", "200ms")})
            assert scene.reload(low=VALUE - 2 - round_).returncode == OK
            weights.append(weight_kib(scene.daemon.pid))
        assert weights[-1] - weights[4] < 2048, "it has not grown"
        run, counts = scene.status()["run"], scene.status()["health"]["counts"]
        ticks_late = (scene.health()["late"] - late) / 3  # devices
        assert ticks_late <= 3, "a busy machine may be late by itself, now and then; each reload would be 20"
        consumer.wait_for(lambda: max(consumer.seqs(run, "telemetry")) >= counts["telemetry"], WITHIN_S, "all has come")
        seen = consumer.seqs(run, "telemetry")
        assert seen == set(range(min(seen), max(seen) + 1)), "none is lost"
        assert max(consumer.counts.values()) == 1, "none is doubled"
        assert len([event for event in consumer.events if event["event"] == "configured"]) == 20
    assert "Traceback" not in scene.daemon.log.read_text()


def test_a_daemon_that_is_killed_meanwhile_starts_with_its_alarms(scene: Scene) -> None:
    for step in range(4):
        scene.write(low=VALUE - 3 - step, name=f"Hall {step}")
        os.kill(scene.daemon.pid, signal.SIGHUP)
        threading.Event().wait(0.2 * step)
        scene.daemon.kill()
        scene.daemon.start()
        wait_for(scene.stands, "the alarm stands")
        assert scene.status()["about"]["site_name"] == f"Hall {step}"
        assert str(VALUE - 3 - step) in scene.alarms()["low"]["text"]
    assert scene.reload(low=VALUE - 20).stdout == "reload: done (rule low changed)\n"
    scene.daemon.stop()
    assert main(["journal", "verify", "--state", str(scene.daemon.state)]) == OK
