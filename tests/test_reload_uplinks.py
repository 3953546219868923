"""A running daemon gets another uplink, or loses one, or goes on with other settings of it: two real brokers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from consumer import Consumer
from daemon import Daemon, write_profile
from modbus_responder import TcpDevices
from mosquitto import Mosquitto, mosquitto
from test_reload import wait_for

from gateway.control import ask
from gateway.journal.ledger import Ledger
from gateway.model import Lane

pytestmark = pytest.mark.mosquitto

WITHIN_S = 20.0
CONFIG = """
site: {{id: dc3, name: Hall}}
gateway: {{id: gw1}}
storage: {{commit_every: 100ms{storage}}}
uplinks:
{uplinks}
links:
  io: {{type: tcp, host: 127.0.0.1, port: {device}}}
devices:
{devices}
rules:
  low: {{point: meter-1.r0, above: -1, priority: medium}}
"""
UPLINK = '  {name}: {{url: "mqtt://127.0.0.1:{port}", linger: {linger}}}\n'
METER = "  meter-{unit}: {{driver: modbus, link: io, unit: {unit}, profile: four, every: 100ms, zone: hall}}\n"


class Site:
    """A daemon with four meters, and two brokers that it may be told to use."""

    def __init__(
        self, folder: Path, device: int, brokers: dict[str, Mosquitto], first: Consumer, second: Consumer
    ) -> None:
        self.first, self.second = first, second
        self.device = device
        self.brokers = brokers
        self.uplinks = {"first": "50ms"}
        self.storage = ""
        write_profile(folder, "four", 4)
        self.daemon = Daemon(folder, self.text)

    @property
    def text(self) -> str:
        uplinks = "".join(
            UPLINK.format(name=name, port=self.brokers[name].port, linger=linger)
            for name, linger in self.uplinks.items()
        )
        meters = "".join(METER.format(unit=unit) for unit in range(1, 5))
        return CONFIG.format(uplinks=uplinks, device=self.device, devices=meters, storage=self.storage)

    def reload(self) -> str:
        """What has changed, in words."""
        self.daemon.config.write_text(self.text)
        said = ask(self.daemon.state, {"ask": "command", "name": "reload", "args": {}, "issuer": "Ada"}, 30.0)
        assert said["result"] == "done", said
        return str(said["detail"])

    def health(self) -> dict[str, Any]:
        status = self.daemon.status()
        assert status is not None
        health: dict[str, Any] = status["health"]
        return health

    def uplink(self, name: str) -> dict[str, Any]:
        return next((it for it in self.health()["uplinks"] if it["uplink"] == name), {})

    def is_online(self, name: str) -> bool:
        return bool(self.uplink(name).get("state") == "online")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with (
        mosquitto(tmp_path / "one", "allow_anonymous true") as one,
        mosquitto(tmp_path / "two", "allow_anonymous true") as two,
        Consumer(one.port) as first,
        Consumer(two.port) as second,
        TcpDevices() as devices,
    ):
        site = Site(tmp_path, devices.port, {"first": one, "second": two}, first, second)
        with site.daemon:
            wait_for(lambda: site.daemon.status() is not None and site.is_online("first"), "it is connected")
            yield site


@contextmanager
def complete(consumer: Consumer, site: Site, run: str) -> Iterator[None]:
    """In the end this platform has every event and every reading of the run up to now, each once."""
    yield
    counts = site.health()["counts"]
    for lane, last in (("event", counts["events"]), ("telemetry", counts["telemetry"])):
        consumer.wait_for(
            lambda lane=lane, last=last: set(range(1, last + 1)) <= consumer.seqs(run, lane),  # type: ignore[misc]
            WITHIN_S,
            f"every {lane}",
        )
    assert max(consumer.counts.values()) == 1, "none twice"


def run_of(site: Site) -> str:
    status = site.daemon.status()
    assert status is not None
    return str(status["run"])


def test_an_uplink_that_is_added_gets_all_that_the_journal_keeps_and_the_other_one_does_not_notice(site: Site) -> None:
    run, sent = run_of(site), site.uplink("first")["sent"]
    with complete(site.first, site, run), complete(site.second, site, run):
        wait_for(lambda: site.uplink("first")["sent"] > sent + 10, "telemetry flows")
        site.uplinks["second"] = "50ms"
        assert site.reload() == "uplink second added"
        wait_for(lambda: site.is_online("second"), "it is connected")
        root = "sitewarden/v1/dc3/gw1"
        wanted = {f"{root}/alarm/low", f"{root}/about", f"{root}/about/meter-4", f"{root}/status"}
        site.second.wait_for(lambda: wanted <= site.second.latest.keys(), WITHIN_S, "it is described")
        assert json.loads(site.second.latest[f"{root}/alarm/low"])["state"] == "unack_active"
    told = [event for event in site.first.events if event["event"] in {"uplink_down", "uplink_up"}]
    assert [(it["event"], it["uplink"]) for it in told] == [
        ("uplink_up", "first"),
        ("uplink_up", "second"),
    ]
    wait_for(lambda: site.health()["journal"]["backlog"].keys() == {"first", "second"}, "the journal counts for both")


def test_an_uplink_that_is_taken_out_says_goodbye_and_is_waited_for_no_more(site: Site) -> None:
    site.uplinks["second"] = "50ms"
    site.reload()
    wait_for(lambda: site.is_online("second"), "it is connected")
    run = run_of(site)
    site.second.wait_for(lambda: bool(site.second.latest), WITHIN_S, "it is told")
    with complete(site.first, site, run):
        del site.uplinks["second"]
        assert site.reload() == "uplink second removed"
        status = "sitewarden/v1/dc3/gw1/status"
        site.second.wait_for(lambda: b'"stopped"' in site.second.latest.get(status, b""), WITHIN_S, "it said so")
        assert [it["uplink"] for it in site.health()["uplinks"]] == ["first"]
        wait_for(lambda: site.health()["journal"]["backlog"].keys() == {"first"}, "the journal knows")
    assert b'"online"' in site.first.latest[status]


def test_settings_change_ten_times_and_nothing_is_lost_or_sent_twice(site: Site) -> None:
    site.uplinks["second"] = "50ms"
    site.reload()
    run = run_of(site)
    late = site.health()["links"][0]["late"]
    with complete(site.first, site, run), complete(site.second, site, run):
        for number in range(10):
            site.uplinks["second"] = f"{60 + number}ms"
            assert site.reload() == "uplink second changed"
        wait_for(lambda: site.is_online("second"), "it is connected")
    ups = [event["uplink"] for event in site.first.events if event["event"] == "uplink_up"]
    assert ups.count("first") == 1
    assert len([event for event in site.first.events if event["event"] == "configured"]) == 11
    assert site.health()["links"][0]["late"] - late <= 4, "polls go on meanwhile"
    assert "Traceback" not in site.daemon.log.read_text()


def test_limits_of_the_journal_change_while_it_is_written(site: Site) -> None:
    with complete(site.first, site, run_of(site)):
        site.storage = ", max_size: 4MB, keep_events: 30d, event_share: 20"
        assert site.reload() == "storage changed"
        rows = site.health()["journal"]["rows"]
        wait_for(lambda: site.health()["journal"]["rows"] > rows + 50, "it is written on")
        wait_for(lambda: site.health()["journal"]["bytes"] <= 4_000_000, "it takes no more")
        assert site.health()["journal"]["state"] == "ok"
        site.storage = ", max_size: 1GB"
        assert site.reload() == "storage changed"
    assert site.daemon.stop() == 0


def test_a_daemon_that_is_killed_at_once_after_it_starts_with_the_new_uplink(site: Site) -> None:
    run = run_of(site)
    site.uplinks["second"] = "50ms"
    site.reload()
    site.daemon.kill()
    site.daemon.start()
    site.second.wait_for(
        lambda: site.second.event(run=run, event="started") is not None, WITHIN_S, "of the run before, too"
    )
    wait_for(lambda: site.is_online("first") and site.is_online("second"), "both are connected")


def test_the_ledger_forgets_who_goes_and_gives_who_comes_everything_that_is_there() -> None:
    ledger = Ledger(("a", "b"))
    ledger.runs[1] = "run"
    ledger.give_up(Lane.EVENT, 0, (1 << 40) + 2)
    ledger.stored(Lane.EVENT, (1 << 40) + 10)
    for name in ("a", "b"):
        ledger.acknowledge(name, Lane.EVENT, [((1 << 40) + 3, (1 << 40) + 10)])
    ledger.serve(("b", "c"))
    assert (ledger.backlog("b"), ledger.backlog("c")) == (0, 8)
    assert not ledger.acknowledge("a", Lane.EVENT, [(1, 2)])
    ledger.serve(("a", "b"))
    assert ledger.backlog("a") == 8, "it had been taken out, so it is a new one"
