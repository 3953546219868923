"""The house keeps its rules (house_rules.py), and each rule bites: shown on small files that break it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import house_rules as rules
import pytest
from house_rules import RULES, Rule
from source_file import Source

TOP = Path(__file__).parent.parent
FOLDERS = ("gateway", "drivers", "tests")
HOUSE = {
    path: Source(path, file.read_text(encoding="utf-8"))
    for folder in FOLDERS
    for file in sorted((TOP / folder).rglob("*.py"))
    if (path := file.relative_to(TOP).as_posix())
}
DRIVER = Source("drivers/contact.py", "class Contact(Pushed): ...")
PARSER = Source("drivers/nmea.py", "def parse(line): ...")
SMALL_HOUSE = {source.path: source for source in (DRIVER, PARSER)}

BREAKING = [
    (rules.pure_rooms_only_compute, "gateway/rules/judge.py", "import time"),
    (rules.pure_rooms_only_compute, "gateway/model.py", "from os import path"),
    (rules.pure_rooms_only_compute, "gateway/refine/dew.py", "def f():\n    import logging"),
    (rules.pure_rooms_only_compute, "gateway/links/schedule.py", "from threading import Lock"),
    (rules.pure_rooms_only_compute, "gateway/links/debounce.py", "from gateway.clock import Clock"),
    (rules.pure_rooms_only_compute, "gateway/records.py", "from gateway.hub import decide"),
    (rules.pure_rooms_only_compute, "gateway/rules/judge.py", "from ..clock import Clock"),
    (rules.pure_rooms_only_compute, "gateway/units.py", "import importlib\nimportlib.import_module('socket')"),
    (rules.what_calls_itself_pure_is, "gateway/pace.py", '"""An allowance. Pure."""\nimport time'),
    (rules.what_calls_itself_pure_is, "gateway/demo/view.py", '"""A view. Pure."""\nfrom queue import SimpleQueue'),
    (rules.drivers_only_translate, "drivers/gps_nmea.py", "import serial"),
    (rules.drivers_only_translate, "drivers/gps_nmea.py", "import time"),
    (rules.drivers_only_translate, "drivers/gps_nmea.py", "from gateway.links import serial"),
    (rules.drivers_only_translate, "drivers/gps_nmea.py", "from drivers.contact import Contact"),
    (rules.drivers_only_translate, "drivers/gps_nmea.py", "from drivers import contact"),
    (rules.drivers_only_translate, "drivers/gps_nmea.py", "from .contact import Contact"),
    (rules.drivers_only_translate, "drivers/gps_nmea.py", "from drivers import known"),
    (rules.a_library_has_one_home, "gateway/links/tcp.py", "import serial.tools.list_ports"),
    (rules.a_library_has_one_home, "gateway/links/poller.py", "from pymodbus.pdu import DecodePDU"),
    (rules.a_library_has_one_home, "gateway/uplink/sender.py", "import paho.mqtt.client as mqtt"),
    (rules.a_library_has_one_home, "gateway/hub/decide.py", "import sqlite3"),
    (rules.a_library_has_one_home, "gateway/cli/init.py", "def f():\n    import yaml"),
    (rules.a_library_has_one_home, "gateway/demo/pins.py", "from gpiozero import Device"),
    (rules.a_library_has_one_home, "gateway/driver.py", "from pydantic import BaseModel"),
    (rules.rooms_meet_in_app, "gateway/journal/thread.py", "from gateway.uplink import sender"),
    (rules.rooms_meet_in_app, "gateway/uplink/sender.py", "from gateway.journal.store import Store"),
    (rules.rooms_meet_in_app, "gateway/links/poller.py", "import gateway.hub"),
    (rules.rooms_meet_in_app, "gateway/uplink/mqtt.py", "from .. import journal"),
    (rules.rooms_meet_in_app, "gateway/cli/run.py", "from gateway import hub\nfrom gateway import journal"),
    (rules.only_commands_and_demo_import_app, "gateway/hub/room.py", "from gateway.app import Gateway"),
    (rules.only_commands_and_demo_import_app, "gateway/supervisor.py", "from gateway import app"),
    (rules.hub_touches_no_disk_and_no_network, "gateway/hub/room.py", "import socket"),
    (rules.hub_touches_no_disk_and_no_network, "gateway/hub/decide.py", "def f(path):\n    return path.open()"),
    (rules.modules_have_no_state, "gateway/hub/room.py", "def f():\n    global _seen"),
    (rules.modules_have_no_state, "gateway/hub/room.py", "seen = []"),
    (rules.modules_have_no_state, "gateway/hub/room.py", "SEEN: dict[str, int] = {}\ndef f():\n    SEEN['a'] = 1"),
    (rules.modules_have_no_state, "drivers/gps_nmea.py", "SEEN = set()\ndef f(x):\n    SEEN.add(x)"),
    (
        rules.modules_have_no_state,
        "drivers/gps_nmea.py",
        "BUFFER = bytearray()\ndef f(x):\n    global BUFFER\n    BUFFER += x",
    ),
    (rules.modules_have_no_state, "gateway/links/poller.py", "INBOX = queue.SimpleQueue()"),
    (rules.a_lock_has_its_reason_beside_it, "gateway/hub/room.py", "lock = threading.Lock()"),
    (rules.a_lock_has_its_reason_beside_it, "gateway/hub/room.py", "lock = RLock()  # noqa: PLW1508"),
    (rules.a_lock_has_its_reason_beside_it, "gateway/hub/room.py", "count = 1  # of rooms\nlock = RLock()"),
    (rules.a_broad_except_has_its_reason_beside_it, "gateway/cli/run.py", "try: f()\nexcept Exception: pass"),
    (rules.a_broad_except_has_its_reason_beside_it, "gateway/cli/run.py", "try: f()\nexcept: pass"),
    (
        rules.a_broad_except_has_its_reason_beside_it,
        "drivers/contact.py",
        "try: f()\nexcept (OSError, BaseException):  # noqa: BLE001\n    pass",
    ),
    (rules.an_ignored_rule_has_its_reason, "gateway/hub/room.py", "import os  # noqa: F401"),
    (rules.an_ignored_rule_has_its_reason, "tests/test_hub.py", "import os  # noqa"),
    (
        rules.an_ignored_rule_has_its_reason,
        "tests/test_hub.py",
        "a = 1  # noqa: S608\n\nb = 2  # noqa: S608 - no input",
    ),
    (rules.nothing_sleeps, "gateway/links/poller.py", "import time\ntime.sleep(1)"),
    (rules.nothing_sleeps, "tests/test_hub.py", "from time import sleep"),
    (rules.nothing_sleeps, "tests/test_hub.py", "async def f():\n    await asyncio.sleep(0.1)"),
    (rules.nothing_sleeps, "drivers/contact.py", "import time\nwait = time.sleep"),
    (rules.modules_are_nouns_of_the_domain, "gateway/links/serial_utils.py", ""),
    (rules.modules_are_nouns_of_the_domain, "gateway/core/__init__.py", ""),
    (rules.modules_are_nouns_of_the_domain, "tests/helpers.py", ""),
    (
        rules.constructors_only_assign,
        "gateway/control.py",
        "class C:\n    def __init__(self, p):\n        self.f = open(p)",
    ),
    (rules.constructors_only_assign, "gateway/hub/room.py", "class C:\n    def __init__(self, t):\n        t.start()"),
]

KEEPING = [
    (rules.pure_rooms_only_compute, "gateway/rules/judge.py", "import math\nfrom gateway.model import Value"),
    (rules.pure_rooms_only_compute, "gateway/rules/judge.py", "from .lifecycle import after"),
    (rules.pure_rooms_only_compute, "gateway/links/poller.py", "import threading"),
    (rules.what_calls_itself_pure_is, "gateway/demo/view.py", '"""A view. Pure."""\nfrom gateway.model import Value'),
    (rules.drivers_only_translate, "drivers/gps_nmea.py", "import struct\nfrom drivers.nmea import parse"),
    (
        rules.drivers_only_translate,
        "drivers/gps_nmea.py",
        "from gateway.driver import Pushed\nfrom datetime import date",
    ),
    (rules.a_library_has_one_home, "gateway/links/serial.py", "import serial"),
    (rules.a_library_has_one_home, "gateway/journal/store.py", "import sqlite3"),
    (rules.a_library_has_one_home, "gateway/links/tcp.py", "from gateway.links.serial import SerialLine"),
    (rules.rooms_meet_in_app, "gateway/app.py", "from gateway import hub, journal, links, uplink"),
    (
        rules.rooms_meet_in_app,
        "gateway/hub/room.py",
        "from gateway.hub.decide import Hub\nfrom gateway.rules import judge",
    ),
    (rules.only_commands_and_demo_import_app, "gateway/cli/run.py", "from gateway.app import Gateway"),
    (rules.modules_have_no_state, "gateway/hub/room.py", "_SECONDS = {'s': 1}\nlog = logging.getLogger(__name__)"),
    (rules.modules_have_no_state, "gateway/hub/room.py", "def f():\n    seen = []\n    seen.append(1)"),
    (rules.a_lock_has_its_reason_beside_it, "gateway/hub/room.py", "# paho calls from two threads\nlock = Lock()"),
    (
        rules.a_broad_except_has_its_reason_beside_it,
        "gateway/links/poller.py",
        "try: f()\nexcept Exception:  # noqa: BLE001 - a driver's bug must stay its own\n    pass",
    ),
    (
        rules.an_ignored_rule_has_its_reason,
        "gateway/errors.py",
        "class Down(Exception):  # noqa: N818 - by consequence\n    ...",
    ),
    (rules.nothing_sleeps, "tests/test_hub.py", "stopped.wait(timeout=1)"),
    (rules.nothing_sleeps, "gateway/demo/broker.py", "async def f():\n    await asyncio.sleep(0)"),
    (rules.constructors_only_assign, "gateway/hub/room.py", "class C:\n    def __init__(self, t):\n        self.t = t"),
]


def names(cases: Sequence[tuple[Rule, str, str]]) -> list[str]:
    return [f"{rule.__name__}-{position}" for position, (rule, _, _) in enumerate(cases)]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_house_keeps(rule: Rule) -> None:
    problems = [problem for source in HOUSE.values() for problem in rule(source, HOUSE)]
    assert not problems, "\n" + "\n".join(problems)


@pytest.mark.parametrize(("rule", "path", "text"), BREAKING, ids=names(BREAKING))
def test_a_rule_bites(rule: Rule, path: str, text: str) -> None:
    assert list(rule(Source(path, text), SMALL_HOUSE))


@pytest.mark.parametrize(("rule", "path", "text"), KEEPING, ids=names(KEEPING))
def test_a_rule_lets_pass_what_keeps_it(rule: Rule, path: str, text: str) -> None:
    assert not list(rule(Source(path, text), SMALL_HOUSE))


def test_every_rule_is_seen_biting() -> None:
    assert {rule for rule, _, _ in BREAKING} == set(RULES)


def test_the_rooms_that_the_rules_name_exist() -> None:
    named = [module.replace(".", "/") for module in rules.PURE_ROOMS]
    named += [home.removesuffix(".py") for homes in rules.LIBRARY_HOMES.values() for home in homes]
    missing = {room for room in named if not (TOP / room).is_dir() and not (TOP / f"{room}.py").is_file()}
    assert not missing
