"""Pins that something else in the same configuration may use: told by `check`, and no error."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config.installed import read_config
from gateway.errors import ConfigError

SITE = """\
site: {{id: s, timezone: UTC}}
gateway: {{id: g}}
links:
  line: {{type: serial, port: {port}, baudrate: 9600}}
  gpio: {{type: gpio}}
devices:
  gps: {{driver: gps_nmea, link: line, zone: hall}}
  door: {{driver: contact, link: gpio, pin: {pin}, kind: door, zone: hall}}
"""


def notes(folder: Path, pin: int, port: str) -> tuple[str, ...]:
    path = folder / "site.yaml"
    path.write_text(SITE.format(pin=pin, port=port), encoding="utf-8")
    return tuple(note.removeprefix(f"{folder}/") for note in read_config(path).notes)


@pytest.mark.parametrize("pin", [14, 15])
@pytest.mark.parametrize("port", ["/dev/serial0", "/dev/ttyAMA0", "/dev/ttyS0"])
def test_a_pin_of_the_serial_port_that_a_link_uses_is_worth_a_look(tmp_path: Path, pin: int, port: str) -> None:
    (note,) = notes(tmp_path, pin, port)
    where, what = "site.yaml:8:39: devices.door.pin", f"pin {pin} is a wire of {port}, which link line uses"
    assert note == f"{where}: {what}: only one of them works; use another"


@pytest.mark.parametrize(("pin", "port"), [(14, "/dev/ttyUSB0"), (17, "/dev/serial0")])
def test_others_are_not(tmp_path: Path, pin: int, port: str) -> None:
    assert notes(tmp_path, pin, port) == ()


@pytest.mark.parametrize("pin", [0, 1])
def test_the_pins_of_the_memory_chip_are_refused(tmp_path: Path, pin: int) -> None:
    with pytest.raises(ConfigError, match="pins 0 and 1 are for the memory chip"):
        notes(tmp_path, pin, "/dev/ttyUSB0")


@pytest.mark.parametrize(("pin", "told"), [(4, 1), (5, 0)])
def test_the_pin_of_the_1_wire_bus_is_worth_a_look_beside_a_sensor_on_it(tmp_path: Path, pin: int, told: int) -> None:
    path = tmp_path / "site.yaml"
    sensor = "  t: {driver: ds18b20, link: kernel, id: 28-0316a4c1e9ff, zone: hall}\n"
    text = SITE.format(pin=pin, port="/dev/ttyUSB0") + sensor
    path.write_text(text.replace("devices:", "  kernel: {type: files}\ndevices:"), encoding="utf-8")
    what = "pin 4 is the 1-wire bus of t, unless its overlay names another pin: only one of them works; use another"
    assert list(read_config(path).notes) == [f"{path}:9:39: devices.door.pin: {what}"] * told
