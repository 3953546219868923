"""`sitewarden plan` as a person types it, from the configuration alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.cli import CONFIG, FAILED, OK, main
from gateway.cli.plan import LinkPlan, lines
from gateway.config.wires import DeviceLoad, LinkLoad
from gateway.wiretime import of_line

SITE = """\
site: {id: dc3}
gateway: {id: gw1}
links:
  bus1: {type: serial, port: /dev/ttyUSB0, baudrate: 9600}
  bus2: {type: tcp, host: 10.0.0.7}
  bus3: {type: tcp, host: 10.0.0.8, framing: rtu}
  gpio: {type: gpio, factory: mock}
devices:
  cold-1: {driver: modbus, link: bus1, unit: 1, profile: xy-md02, zone: cold}
  meter: {driver: modbus, link: bus1, unit: 20, profile: eastron-sdm630, zone: hall, every: 1s}
  cold-2: {driver: modbus, link: bus2, unit: 1, profile: xy-md02, zone: cold}
  relays: {driver: modbus, link: bus2, unit: 2, profile: relay4-clone, accept_beta: true, outputs: [relay1], zone: hall}
  cold-3: {driver: modbus, link: bus3, unit: 1, profile: xy-md02, zone: cold, every: 1m}
  siren: {driver: relay, link: gpio, pin: 22, zone: hall}
"""

TEXT = """\
bus1: serial port /dev/ttyUSB0, 9600 baud, parity none, 1 stop bit
  All devices once: 193.6 ms. Reading takes 17% of the time. Assumed: 5 ms for a device to answer.
  A gap of up to 10 registers takes less time than one read more; `max_gap` limits it, too.

  DEVICE  UNIT  FUNCTION  ADDRESS  COUNT  UNUSED  TIME     POINTS
  cold-1  1     4 input   1        2      0       26.7 ms  temperature, humidity
  meter   20    4 input   0        14     4       51.7 ms  voltage_l1, voltage_l2, voltage_l3, current_l1 and 1 more
  meter   20    4 input   30       2      0       26.7 ms  power_factor_l1
  meter   20    4 input   52       2      0       26.7 ms  power_total
  meter   20    4 input   70       6      0       35.1 ms  frequency, energy_import, energy_export
  meter   20    4 input   342      2      0       26.7 ms  energy_total

  DEVICE  EVERY  READS  TIME      LOAD
  cold-1  10s    1      26.7 ms   0.3%
  meter   1s     5      166.9 ms  17%

bus2: 10.0.0.7, TCP port 502
  All devices once: 2.0 ms. Reading takes less than 0.1% of the time. Assumed: 2 ms for a round trip.
  A gap of any length takes less time than one read more; `max_gap` limits it, too.

  DEVICE  UNIT  FUNCTION  ADDRESS  COUNT  UNUSED  TIME    POINTS
  cold-2  1     4 input   1        2      0       2.0 ms  temperature, humidity

  DEVICE  EVERY  READS  TIME    LOAD
  cold-2  10s    1      2.0 ms  less than 0.1%
  relays  10s    -      -       -

bus3: 10.0.0.8, TCP port 502, RTU frames
  All devices once: 26.7 ms. Reading takes less than 0.1% of the time. \
Assumed: 9600 baud behind the serial server, 5 ms for a device to answer.
  A gap of up to 10 registers takes less time than one read more; `max_gap` limits it, too.

  DEVICE  UNIT  FUNCTION  ADDRESS  COUNT  UNUSED  TIME     POINTS
  cold-3  1     4 input   1        2      0       26.7 ms  temperature, humidity

  DEVICE  EVERY  READS  TIME     LOAD
  cold-3  1m     1      26.7 ms  less than 0.1%
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "site.yaml"
    path.write_text(SITE, encoding="utf-8")
    return path


def test_the_plan_shows_what_is_asked_and_what_that_takes(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", str(path)]) == OK
    assert capsys.readouterr().out == TEXT


def test_the_plan_as_json_has_every_point_and_plain_numbers(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", str(path), "--json"]) == OK
    links = {link["link"]: link for link in json.loads(capsys.readouterr().out)["links"]}
    assert list(links) == ["bus1", "bus2", "bus3"]
    wire = of_line(9600)
    bus = links["bus1"]
    assert (bus["character_s"], bus["silence_s"]) == (wire.character_s, wire.silence_s)
    assert bus["gap_registers"] == pytest.approx(10.83, abs=0.01)
    assert links["bus2"]["gap_registers"] is None
    cold, meter = bus["devices"]
    assert cold["reads"] == [
        {
            "unit": 1,
            "function": 4,
            "table": "input",
            "address": 1,
            "count": 2,
            "unused": 0,
            "wire_s": wire.registers_s(2),
            "points": ["temperature", "humidity"],
        }
    ]
    assert (cold["every_s"], cold["poll_s"], cold["learned"]) == (10.0, wire.registers_s(2), False)
    assert cold["unanswered_s"] == pytest.approx(wire.unanswered_s())
    assert sum(len(read["points"]) for read in meter["reads"]) == 11
    assert bus["cycle_s"] == pytest.approx(cold["poll_s"] + meter["poll_s"])
    assert bus["load"] == pytest.approx(cold["poll_s"] / 10 + meter["poll_s"])


def test_values_from_outside_change_the_plan(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", str(path), "--json", "--set", "links.bus1.baudrate=115200"]) == OK
    bus = json.loads(capsys.readouterr().out)["links"][0]
    assert [(read["address"], read["count"]) for read in bus["devices"][1]["reads"]] == [(0, 32), (52, 24), (342, 2)]
    assert bus["gap_registers"] == pytest.approx(45.38, abs=0.01)


def test_a_site_without_modbus_has_no_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "site.yaml"
    lines = SITE.splitlines()
    path.write_text("\n".join([*lines[:3], lines[6], lines[7], lines[13]]), encoding="utf-8")
    assert main(["plan", str(path)]) == OK
    assert capsys.readouterr().out == "there is no link with Modbus devices\n"


def test_a_wrong_configuration_has_no_plan(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path.write_text(SITE.replace("xy-md02", "xy-md03"), encoding="utf-8")
    assert main(["plan", str(path)]) == CONFIG
    assert "there is no profile xy-md03; did you mean xy-md02?" in capsys.readouterr().err


def test_a_daemon_that_does_not_run_has_learned_nothing(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", str(path), "--state", str(path.parent)]) == FAILED
    assert capsys.readouterr().err.startswith("sitewarden: ")


def test_a_driver_that_does_not_tell_beforehand_is_shown_without_reads() -> None:
    wire = of_line(9600)
    load = LinkLoad(wire, {"odd": DeviceLoad((), 0.0, 10.0, 0.7)})
    assert list(lines([LinkPlan("bus1", "a port", "nothing", load, frozenset())])) == [
        "bus1: a port",
        "  All devices once: 0.0 ms. Reading takes less than 0.1% of the time. Assumed: nothing.",
        "  A gap of up to 10 registers takes less time than one read more; `max_gap` limits it, too.",
        "",
        "  no device tells beforehand what it asks",
        "",
        "  DEVICE  EVERY  READS  TIME  LOAD",
        "  odd     10s    -      -     -",
    ]
