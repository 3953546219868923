"""Every act of a person, and of a platform, is an event with name and reason in the hash chain: command by command."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from journal_scene import MB, NOW
from test_write_end_to_end import PROFILE

from gateway.config.installed import read_config
from gateway.config.schema import Uplink
from gateway.derive.derivation import Derivation
from gateway.hub.acts import LOOKS
from gateway.hub.decide import Hub
from gateway.hub.plan import Reconfigured, plan_of
from gateway.journal.store import Store
from gateway.journal.verify import verify
from gateway.journal.waiting import Waiting
from gateway.model import (
    Adjust,
    Adjusted,
    Answer,
    Command,
    Decision,
    Fact,
    Moment,
    Reading,
    Reply,
    Row,
    SoonRead,
    Stored,
    Trust,
    Value,
)

ALARM, SMOKE = "warm", "smoke@smoke-1.smoke"
WHY = "because of the audit"
SITE = """
site: {id: dc3, name: Distribution centre 3}
gateway: {id: gw1}
uplinks:
  platform: {url: "mqtt://127.0.0.1:1883", commands: [confirm]}
links:
  bus1: {type: serial, port: /dev/ttyUSB0, baudrate: 9600}
  usb: {type: serial, port: /dev/ttyUSB1, baudrate: 115200}
  pins: {type: gpio, factory: mock}
devices:
  cold-1: {driver: modbus, link: bus1, unit: 1, profile: thermostat, settings: [setpoint], every: 10s, zone: shop}
  smoke-1: {driver: contact, link: pins, pin: 17, kind: smoke, zone: shop}
  siren: {driver: relay, link: pins, pin: 22, zone: shop}
  door-1: {driver: people_counter, link: usb, zone: shop}
  people: {driver: occupancy, doors: {door-1: {}}, capacity: 100, zone: shop}
rules:
  warm: {point: cold-1.setpoint, above: 100, priority: high, response: evacuate}
  smoke: {kind: smoke, equals: alarm, priority: high, latch: true}
responses:
  evacuate: {set: {siren: on}, audible: [siren], say: Leave}
"""

ASKED: Mapping[str, Mapping[str, Any]] = {
    "acknowledge": {"alarm": ALARM},
    "reset": {"alarm": SMOKE},
    "shelve": {"alarm": ALARM, "for_s": 60},
    "unshelve": {"alarm": ALARM},
    "out_of_service": {"alarm": ALARM},
    "in_service": {"alarm": ALARM},
    "confirm": {"alarm": ALARM},
    "silence": {"alarm": ALARM},
    "set_output": {"output": "siren", "value": "on", "for_s": 60},
    "test_response": {"response": "evacuate", "for_s": 5},
    "set_occupancy": {"zone": "people", "value": 12},
    "test_mode": {"zone": "shop", "for_s": 60},
    "disable": {"device": "smoke-1", "for_s": 60},
    "enable": {"device": "smoke-1"},
    "read_now": {"device": "cold-1"},
    "write_point": {"device": "cold-1", "point": "setpoint", "value": 7},
    "reload": {},
}
"""What is asked for of each command there is. A new one has to be added, and is then an event as all others."""

BEFORE = {"unshelve": "shelve", "in_service": "out_of_service", "enable": "disable"}
"""What has to be done first."""


class Office:
    """A hub with a real configuration and a real journal, whose rooms answer at once; Ada asks."""

    def __init__(self, folder: Path) -> None:
        (folder / "profiles").mkdir()
        (folder / "profiles" / "thermostat.yaml").write_text(PROFILE)
        config = folder / "sitewarden.yaml"
        config.write_text(SITE)
        self.plan = plan_of(read_config(config), "run1", "boot-1")
        self.journal = folder / "journal.db"
        self._store = Store(self.journal, "run1", "boot-1", ("platform",), 50 * MB)
        self.now = Moment(100.0, NOW, Trust.SYNCED)
        recovered, _ = self._store.open(NOW)
        self._hub = Hub(self.plan, self.now)
        self._waiting = Waiting()
        self.results: dict[str, str] = {}
        self.tell(recovered)

    def tell(self, fact: Fact | Reconfigured) -> Decision:
        decision = self._hub.handle(fact, self.now)
        self._waiting.add(decision, self.now.mono)
        for answer, reply in decision.replies:
            answer(reply)
        if decision.records and not isinstance(fact, Stored):
            self.follow(self.tell(Stored(tuple(Row(1, "run1", record) for record in decision.records))))
        return self.follow(decision)

    def follow(self, decision: Decision) -> Decision:
        """What the other rooms do."""
        for write in decision.writes:
            if isinstance(write, Adjust):
                self.tell(Adjusted(write.key, "done", write.value, ""))
        for wanted in decision.reads:
            said = Reading(wanted.device, self.now.mono, self.now.ts, {"setpoint": 500}, {})
            self.tell(SoonRead(wanted.key, Answer(said)))
        for command in decision.reloads:
            links = frozenset({"bus1", "usb", "pins"})
            self.tell(Reconfigured(self.plan, command, ("site changed",), frozenset(), links))
        return decision

    def say(self, device: str, **values: Value) -> None:
        self.tell(Reading(device, self.now.mono, self.now.ts, values, {}))

    def smoke_that_is_over(self) -> None:
        """What a person has seen, and can reset."""
        self.say("smoke-1", smoke="alarm")
        self.tell(Command("seen", "acknowledge", {"alarm": SMOKE}, "Eve", "local", None, lambda _: None))
        self.say("smoke-1", smoke="normal")

    def ask(self, name: str, source: str) -> None:
        self.tell(Command(f"{source}-{name}", name, {**ASKED[name], "reason": WHY}, "Ada", source, None, self.hear))

    def hear(self, reply: Reply) -> None:
        self.results[reply.id] = f"{reply.result} {reply.detail}"

    def events(self) -> list[dict[str, Any]]:
        """Those on the disk, after the chain over them was checked."""
        self._store.commit(self._waiting, (), self.now.ts)
        self._store.close()
        verdict = verify(self.journal)
        with closing(sqlite3.connect(self.journal)) as db:
            found = [json.loads(text) for (text,) in db.execute("SELECT text FROM event ORDER BY id")]
        assert (verdict.is_sound, verdict.checked) == (True, len(found))
        return found


@pytest.fixture
def office(tmp_path: Path) -> Office:
    office = Office(tmp_path)
    office.say("cold-1", setpoint=500)
    office.say("smoke-1", smoke="normal")
    return office


def commands_of_uplinks() -> set[str]:
    return set(get_args(get_args(get_type_hints(Uplink)["commands"])[0]))


def test_this_file_knows_every_command_that_there_is() -> None:
    assert commands_of_uplinks() == set(ASKED)


def of_derivations(base: type[Derivation] = Derivation) -> set[str]:
    """The commands that any derivation of the product takes."""
    ours = [each for each in base.__subclasses__() if each.__module__.startswith(("gateway.", "drivers."))]
    return set(base.commands).union(*map(of_derivations, ours))


def test_every_command_that_derived_points_take_can_be_allowed_to_an_uplink() -> None:
    for file in (Path(__file__).parent.parent / "gateway" / "derive").glob("*.py"):
        import_module(f"gateway.derive.{file.stem}")
    assert "set_occupancy" in of_derivations()
    assert of_derivations() <= commands_of_uplinks()


@pytest.mark.parametrize("source", ["local", "platform"])
@pytest.mark.parametrize("name", ASKED)
def test_every_act_is_an_event_with_name_and_reason_in_the_chain(office: Office, name: str, source: str) -> None:
    if name == "reset":
        office.smoke_that_is_over()
    if name in BEFORE:
        office.ask(BEFORE[name], "local")
    office.ask(name, source)
    assert office.results[f"{source}-{name}"].startswith("done")
    told = [event for event in office.events() if event.get("id") == f"{source}-{name}"]
    named = {(event.get("issuer") or event["by"], event["source"], event["reason"]) for event in told}
    assert named == {("Ada", source, WHY)}


@pytest.mark.parametrize("name", sorted(LOOKS))
def test_what_a_person_looks_at_on_the_spot_is_an_event_with_the_name(office: Office, name: str) -> None:
    office.tell(Command("c1", name, {"of": "meter-1"}, "Ada", "local", None, office.hear))
    (told,) = [event for event in office.events() if event.get("id") == "c1"]
    assert (told["name"], told["issuer"], told["detail"]) == (name, "Ada", "meter-1")
