"""The gateway's own alarms, from a real file to the broker's retained topic, and a person's acknowledgement."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from consumer import VALIDATORS
from linkless import Linkless, config
from tls_scene import Authority, tls_front
from uplink_scene import SHORT_PAUSES, until

from gateway.clock import SystemClock
from gateway.demo.broker import Broker
from gateway.journal.statelock import JOURNAL_FILE

SYNCED = SystemClock(is_synced=lambda: True)  # where the test runs, it may not be
ROOT = "sitewarden/v1/campaign/gw1"


class Platform:
    """A broker, and what reaches it."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.broker = Broker(tap=self._tap)
        self.broker.start()

    def _tap(self, topic: str, payload: bytes, _retain: bool) -> None:
        if topic == f"{ROOT}/event":
            self.events.append(json.loads(payload))

    def alarm(self, alarm: str) -> dict[str, Any] | None:
        """The alarm's retained state, which validates; None if there is none."""
        payload = self.broker.retained().get(f"{ROOT}/alarm/{alarm}")
        if not payload:
            return None
        state: dict[str, Any] = json.loads(payload)
        VALIDATORS["alarm"].validate(state)
        return state

    def changes(self, alarm: str) -> list[str]:
        return [event["change"] for event in self.events if event["event"] == "alarm" and event["alarm"] == alarm]


@pytest.fixture
def platform() -> Iterator[Platform]:
    one = Platform()
    yield one
    one.broker.stop()


@pytest.mark.promise("own-alarms")
def test_a_certificate_that_expires_soon_is_an_alarm_until_it_is_renewed(tmp_path: Path, platform: Platform) -> None:
    authority = Authority(tmp_path / "ca")
    site = tmp_path / "site"
    site.mkdir()
    shutil.copy(authority.ca.cert, site / "ca.pem")
    alarm = "ca-certificate@platform"
    with tls_front(platform.broker.port, authority.issue("broker")) as port:
        text = config(port, 1, uplink=", ca_file: ca.pem").replace("mqtt://127.0.0.1", "mqtts://localhost")
        with Linkless(site, text, 1, SHORT_PAUSES, SYNCED) as run:
            state = until(lambda: platform.alarm(alarm), 20) or {}
            assert (state["state"], state["priority"]) == ("unack_active", "low"), "it is valid for nine days"
            assert "a CA certificate (Test CA) is valid until" in state["text"]
            assert run.gateway.command("acknowledge", {"alarm": alarm}, "Ada").result == "done"
            until(lambda: (platform.alarm(alarm) or {}).get("state") == "ack_active")
        with Linkless(site, text, 1, SHORT_PAUSES, SYNCED) as run:
            until(lambda: any(a.alarm == alarm for a in run.gateway.status().alarms), 20)
            until(lambda: run.gateway.status().health.certificates)
            assert platform.changes(alarm) == ["raised", "acknowledged"], "neither raised again nor forgotten"


@pytest.mark.promise("own-alarms")
def test_a_journal_that_is_damaged_is_an_alarm_at_the_platform(tmp_path: Path, platform: Platform) -> None:
    text = config(platform.broker.port, 1)
    (tmp_path / "site" / "state").mkdir(parents=True)
    (tmp_path / "site" / "state" / JOURNAL_FILE).write_bytes(b"no database" * 1000)
    with Linkless(tmp_path / "site", text, 1, SHORT_PAUSES):
        state = until(lambda: platform.alarm("journal-damaged@gateway"), 20) or {}
        assert state["state"] == "rtn_unack"
        assert f"{JOURNAL_FILE}.bad-" in state["text"]


@pytest.mark.promise("own-alarms")
def test_a_disk_that_takes_no_records_is_an_alarm_at_the_platform(tmp_path: Path, platform: Platform) -> None:
    text = config(platform.broker.port, 1)
    in_the_way = tmp_path / "site" / "state" / JOURNAL_FILE
    in_the_way.mkdir(parents=True)
    with Linkless(tmp_path / "site", text, 1, SHORT_PAUSES) as run:
        state = until(lambda: platform.alarm("journal-failed@gateway"), 20) or {}
        assert (state["state"], state["priority"]) == ("unack_active", "high")
        assert state["say"]
        in_the_way.rmdir()
        until(lambda: platform.changes("journal-failed@gateway") == ["raised", "cleared"], 20)
        assert run.gateway.command("acknowledge", {"alarm": "journal-failed@gateway"}, "Ada").result == "done"
        until(lambda: platform.alarm("journal-failed@gateway") is None)
