"""The gateway's own alarms: a failing disk, certificates that expire. Stepped, without a thread."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from consumer import VALIDATORS
from test_hub import Stepped

from gateway.cli.status import lines
from gateway.config.installed import read_config
from gateway.config.schema import Uplink
from gateway.errors import ConfigError
from gateway.hub.own import JOURNAL_DAMAGED, JOURNAL_FAILED, ROOM_DIED, alarms_of
from gateway.model import (
    AlarmState,
    AlarmView,
    Certificate,
    CertificatesRead,
    Decision,
    JournalFailed,
    JournalRestored,
    JournalSetAside,
    Lane,
    Priority,
    Recovered,
    RoomDied,
    Tick,
    Trust,
    UplinkHealth,
)
from gateway.records import encode
from gateway.uplink import contract

OWN = "own-certificate@platform"
DAY_S = 86_400.0
FULL = JournalFailed("the disk is full", "Make room", 0)


class Own(Stepped):
    """A hub whose every event and alarm is checked against the contract."""

    def tell(self, fact: Any, after_s: float = 0.0) -> Decision:
        decision = super().tell(fact, after_s)
        for record in decision.records:
            if record.lane is Lane.EVENT:
                VALIDATORS["event"].validate(json.loads(contract.event("run2", record, hist=False)))
        for notice in decision.notices:
            if isinstance(notice, AlarmView) and (payload := contract.alarm(notice)):
                VALIDATORS["alarm"].validate(json.loads(payload))
        return decision

    def certificate(self, days: float, which: str = "own", name: str = "gw1", **more: str) -> Decision:
        """The uplink has read a certificate that is valid for so many days more."""
        until = self.now().ts + round(days * DAY_S * 1000)
        return self.tell(CertificatesRead("platform", (Certificate("platform", which, name, until),), **more))

    def pass_days(self, days: float) -> None:
        self.tell(Tick(), days * DAY_S)

    def changes(self, alarm: str) -> list[tuple[str, str]]:
        return [(e["change"], e["priority"]) for e in self.events() if e["event"] == "alarm" and e["alarm"] == alarm]

    def standing(self) -> dict[str, AlarmView]:
        """The own alarms that stand."""
        return {view.alarm: view for view in self.status().alarms if not view.rule}

    def restarted(self) -> Own:
        """The next run, with what this one stored."""
        return Own(self.stored)


# ---------------------------------------------------------------- the journal


def test_a_disk_that_fails_is_an_alarm_until_it_works_again() -> None:
    hub = Own()
    decision = hub.tell(FULL)
    assert [json.loads(record.text)["event"] for record in decision.records] == ["journal_failed", "alarm"]
    view = hub.standing()[JOURNAL_FAILED]
    assert (view.state, view.priority) == (AlarmState.UNACK_ACTIVE, Priority.HIGH)
    assert "the disk is full" in view.text
    assert view.say == "Make room"
    assert hub.command("acknowledge", alarm=JOURNAL_FAILED).result == "done"
    decision = hub.tell(JournalRestored(5.0), 5.0)
    assert [json.loads(record.text)["event"] for record in decision.records] == ["journal_restored", "alarm"]
    assert hub.changes(JOURNAL_FAILED) == [("raised", "high"), ("acknowledged", "high"), ("cleared", "high")]
    assert hub.standing() == {}
    assert hub.stored_alarms() == []


def test_a_part_that_died_is_an_alarm_until_somebody_has_seen_it() -> None:
    hub = Own()
    decision = hub.tell(RoomDied("link bus1", "KeyError: 'x'", 1))
    assert [json.loads(record.text)["event"] for record in decision.records] == ["room_died", "alarm", "alarm"]
    view = hub.standing()[ROOM_DIED]
    assert (view.state, view.priority) == (AlarmState.RTN_UNACK, Priority.MEDIUM)
    assert "link bus1" in view.text
    assert "report" in view.say
    assert ROOM_DIED in hub.restarted().standing()
    hub.command("acknowledge", alarm=ROOM_DIED)
    assert hub.standing() == {}
    hub.tell(RoomDied("link bus1", "KeyError: 'x'", 2), 60.0)
    assert "for the 2. time" in hub.standing()[ROOM_DIED].text


def uplink(*refused: str, version: str = "5") -> UplinkHealth:
    return UplinkHealth("platform", "online", version, 0, 5, 5, None, refused=refused)


def test_what_the_broker_refuses_is_an_alarm_until_it_takes_it() -> None:
    hub, refused = Own(), "messages-refused@platform"
    hub.tell(uplink("event (the broker's access list does not let this user publish here)"))
    hub.tell(Tick(), 60.0)
    view = hub.standing()[refused]
    assert (view.state, view.priority) == (AlarmState.UNACK_ACTIVE, Priority.HIGH)
    assert "access list" in view.text
    hub.tell(uplink(version=""))
    hub.tell(Tick(), 60.0)
    assert hub.standing()[refused].state is AlarmState.UNACK_ACTIVE, "nothing is known while it is not connected"
    hub.tell(uplink())
    hub.tell(Tick(), 60.0)
    assert hub.standing()[refused].state is AlarmState.RTN_UNACK


def test_an_alarm_of_the_gateways_own_has_no_rule_device_and_point() -> None:
    hub = Own()
    hub.tell(FULL)
    event = next(event for event in hub.events() if event["event"] == "alarm")
    payload = json.loads(contract.alarm(hub.standing()[JOURNAL_FAILED]))
    for said in (event, payload):
        assert not {"rule", "device", "point", "zone", "value"} & set(said)
    assert not VALIDATORS["alarm"].is_valid({**payload, "device": "cold-1"})
    assert not VALIDATORS["alarm"].is_valid({**payload, "alarm": "warm"}), "a rule's alarm names rule and point"


def test_what_an_earlier_run_could_not_store_is_over_when_the_journal_opens() -> None:
    before = Own()
    before.tell(FULL)
    hub = before.restarted()
    assert hub.standing()[JOURNAL_FAILED].state is AlarmState.RTN_UNACK, "nobody has seen it yet"
    assert hub.changes(JOURNAL_FAILED) == [("cleared", "high")]


def test_a_disk_that_failed_at_the_start_of_this_run_is_not_over_when_the_journal_opens() -> None:
    hub = Own(recovered=False)
    hub.tell(FULL)
    hub.tell(Recovered("new", None, {}))
    assert hub.standing()[JOURNAL_FAILED].state is AlarmState.UNACK_ACTIVE
    hub.tell(JournalRestored(5.0))
    assert hub.standing()[JOURNAL_FAILED].state is AlarmState.RTN_UNACK


def test_a_journal_that_was_found_damaged_is_an_alarm_until_somebody_has_seen_it() -> None:
    hub = Own(recovered=False)
    hub.tell(Recovered("salvaged", None, {}, "journal.db.bad-20261122T080000.000"))
    view = hub.standing()[JOURNAL_DAMAGED]
    assert (view.state, view.priority) == (AlarmState.RTN_UNACK, Priority.MEDIUM)
    assert "journal.db.bad-20261122T080000.000" in view.text
    assert hub.changes(JOURNAL_DAMAGED) == [("raised", "medium"), ("cleared", "medium")]
    assert JOURNAL_DAMAGED in hub.restarted().standing()
    hub.command("acknowledge", alarm=JOURNAL_DAMAGED)
    assert hub.standing() == {}


def test_so_is_one_that_was_found_damaged_while_it_was_in_use() -> None:
    hub = Own()
    hub.tell(JournalSetAside("journal.db.bad-20261122T080000.000"))
    assert hub.standing()[JOURNAL_DAMAGED].state is AlarmState.RTN_UNACK
    hub.tell(JournalSetAside("journal.db.bad-20261123T080000.000"))
    assert "journal.db.bad-20261123T080000.000" in hub.standing()[JOURNAL_DAMAGED].text, "the one to look at now"
    assert hub.changes(JOURNAL_DAMAGED) == 2 * [("raised", "medium"), ("cleared", "medium")]


# ---------------------------------------------------------------- certificates


@pytest.mark.parametrize("which", ["own", "ca", "broker"])
def test_a_certificate_that_expires_is_an_alarm_that_grows_more_urgent(which: str) -> None:
    hub = Own()
    alarm = f"{which}-certificate@platform"
    hub.certificate(30.5, which)
    assert hub.standing() == {}
    hub.pass_days(0.6)
    assert hub.changes(alarm) == [("raised", "low")]
    hub.command("acknowledge", alarm=alarm)
    hub.pass_days(10)
    assert hub.standing()[alarm].state is AlarmState.ACK_ACTIVE, "the same trouble is not raised twice"
    hub.pass_days(13)
    assert hub.standing()[alarm].state is AlarmState.UNACK_ACTIVE, "more urgent: someone must look again"
    hub.pass_days(6)
    hub.pass_days(3)
    assert [priority for change, priority in hub.changes(alarm) if change == "raised"] == ["low", "medium", "high"]
    hub.certificate(90, which)
    assert hub.changes(alarm)[-1] == ("cleared", "high")
    hub.command("acknowledge", alarm=alarm)
    assert hub.standing() == {}


def test_the_alarm_names_the_certificate_and_its_date() -> None:
    hub = Own()
    hub.certificate(2, name="CN=gw1")
    text = hub.standing()[OWN].text
    assert "this gateway's certificate (CN=gw1) is valid until 2027-01-17 08:16 UTC" in text
    assert "cert_file" in hub.standing()[OWN].say


def test_a_renewed_certificate_that_expires_soon_too_is_another_trouble() -> None:
    hub = Own()
    hub.certificate(3)
    hub.command("acknowledge", alarm=OWN)
    hub.certificate(5)
    assert hub.changes(OWN) == [("raised", "medium"), ("acknowledged", "medium"), ("raised", "medium")]


def test_a_restart_neither_raises_an_expiry_again_nor_forgets_its_acknowledgement() -> None:
    before = Own()
    before.certificate(3, name="gw1")
    before.command("acknowledge", alarm=OWN)
    hub = Own(before.stored, recovered=False)
    hub.certificate(3, name="gw1")
    assert hub.events() == [], "not judged before it is known what stands"
    hub.tell(Recovered("kept", None, hub.stored))
    view = hub.standing()[OWN]
    assert (view.state, view.priority) == (AlarmState.ACK_ACTIVE, Priority.MEDIUM)
    assert view.text == before.standing()[OWN].text
    hub.tell(Tick(), 61)
    assert hub.changes(OWN) == []


def test_with_a_clock_that_is_not_set_no_date_is_judged() -> None:
    hub = Own(trust=Trust.UNSYNCED)
    hub.certificate(0.5)
    hub.tell(Tick(), 61)
    assert hub.standing() == {}
    hub.trust = Trust.SYNCED
    hub.tell(Tick(), 61)
    assert OWN in hub.standing()
    hub.trust, hub.wall_shift_ms = Trust.UNSYNCED, -round(400 * DAY_S * 1000)
    hub.tell(Tick(), 61)
    assert OWN in hub.standing(), "a clock that is wrong clears nothing either"


def test_status_shows_each_certificate_and_that_its_date_is_not_judged() -> None:
    hub = Own(trust=Trust.UNSYNCED)
    hub.certificate(40, "broker", "mqtt.example.com")
    shown = "\n".join(lines(status_of(hub)))
    assert "mqtt.example.com" in shown
    assert "not judged: the clock is not set" in shown
    hub.trust = Trust.SYNCED
    hub.tell(Tick(), 61)
    assert "39 d 23 h" in "\n".join(lines(status_of(hub)))
    report = next(n for n in hub.tell(Tick(), 61).notices if not isinstance(n, AlarmView))
    VALIDATORS["health"].validate(json.loads(contract.health(report)))  # type: ignore[arg-type]


def status_of(hub: Own) -> dict[str, Any]:
    return dict(json.loads(encode(asdict(hub.status()))))


def test_new_files_that_cannot_be_used_are_an_alarm_until_they_can() -> None:
    hub = Own()
    alarm = "certificate-files@platform"
    hub.certificate(90, unusable="the key does not belong to the certificate", hint="Copy both")
    assert "the key does not belong" in hub.standing()[alarm].text
    assert hub.standing()[alarm].say == "Copy both"
    hub.certificate(90)
    assert hub.changes(alarm) == [("raised", "medium"), ("cleared", "medium")]


# ---------------------------------------------------------------- names and configurations


def test_own_alarms_of_what_is_not_configured_any_more_are_removed() -> None:
    assert alarms_of("p", Uplink(url=("mqtt://localhost:1883",))) == ("messages-refused@p",)
    with_tls = {"messages-refused@p", "broker-certificate@p", "certificate-files@p"}
    assert set(alarms_of("p", Uplink(url=("mqtts://h:8883",)))) == with_tls
    before = Own()
    before.certificate(3)
    stored = {key.replace("@platform", "@old"): text for key, text in before.stored.items()}
    hub = Own(stored)
    assert [e["alarm"] for e in hub.events() if e["event"] == "alarm_removed"] == ["own-certificate@old"]
    assert hub.stored_alarms() == []


def test_no_rule_can_take_the_name_of_an_own_alarm(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(
        "site: {id: s}\ngateway: {id: g}\nlinks:\n  gpio: {type: gpio}\ndevices:\n"
        "  smoke: {driver: contact, link: gpio, pin: 17, kind: smoke}\n"
        f"rules:\n  {JOURNAL_FAILED}: {{point: smoke.smoke, equals: alarm}}\n"
    )
    with pytest.raises(ConfigError, match="journal-failed@gateway"):
        read_config(path)
