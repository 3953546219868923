"""`sitewarden init`: a commented starter configuration from the ports and pins that this machine has.

Invariant: what is written passes `sitewarden check` as it is, on any machine. What is connected to a port nobody can
know, so every device is written with `enabled: false`, for a person to look at first.
"""

from __future__ import annotations

import argparse
import json
import re
import socket
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from gateway.cli import CANNOT_CREATE, OK, default_config
from gateway.links.adapters import ROOT, serial_ports

GPIO_CHIPS = "gpiochip[0-9]*"

_HEAD = """\
# Sitewarden: what is connected to this gateway, what is an alarm, and what happens then.
# Check after each change:  sitewarden check {file}
# Times are written with a unit (200ms, 10s, 5m, 2h, 7d), ids with small letters, digits, - and _.

site:
  id: my-site            # the same for all gateways of one site; part of the MQTT topics
  name: My site          # for people
  timezone: UTC          # as in Europe/Berlin, for people; records are in UTC

gateway:
  id: {gateway}

# Where records and alarms are sent. Without an uplink everything is judged, acted on and stored here.
uplinks:
  # platform:
  #   url: mqtts://mqtt.example.com:8883
  #   username: {gateway}
  #   password_file: mqtt-password   # a file beside this one with the password alone in it, chmod 600
  #   proxy: http://proxy:3128       # only where nothing gets out but through an HTTP proxy

# The wires. Each serial port is one link; RS-485 devices share theirs, other devices need one of their own.
links:
"""

_NO_PORT = """\
  # No USB serial adapter was found. With one plugged in, `sitewarden ports` tells its name; it is written like this:
  # bus1:
  #   type: serial
  #   port: /dev/serial/by-id/usb-...
  #   baudrate: 9600
"""

_PORT = """\
  {link}:
    type: serial
    port: {port}
    baudrate: {baudrate}
"""

_GPIO = """\
  gpio:                  # the header of a Raspberry Pi
    type: gpio
"""
_NO_GPIO = "    enabled: false       # this machine has no GPIO header\n"

_DEVICES = """
# The devices. Set `enabled: true`, or delete the line, where one is really connected like this.
devices:
"""

_MODBUS = """\
  climate-{number}:
    enabled: false
    driver: modbus
    link: {link}
    unit: 1                # the device's own address on the bus, from 1 to 247
    profile: xy-md02       # which registers it has: a name from drivers/profiles, or profiles/ beside this file
    every: 10s
    zone: storage
"""

_GPS = """\
  gps-{number}:
    enabled: false
    driver: gps_nmea       # it talks by itself, so the link is its own
    link: {link}
    zone: vehicle
"""

_PEOPLE = """\
  people-{number}:
    enabled: false
    driver: people_counter # it talks when somebody passes, so the link is its own
    link: {link}
    every: 12h             # the longest time without anybody passing
    zone: entrance
"""

_PINS = """\
  smoke-1:               # a smoke detector's relay contact, between the pin and ground
    enabled: false
    driver: contact
    link: gpio
    pin: 17                # BCM number; header pin 11
    kind: smoke
    normally: closed       # the loop opens on smoke, and when its wire is cut: both are alarms
    zone: storage
  siren:                 # a relay board's input
    enabled: false
    driver: relay
    link: gpio
    pin: 22                # header pin 15
    zone: storage

# What is an alarm. A rule is about one point (device.point) or all points of one kind.
rules:
  smoke:
    kind: smoke
    equals: alarm
    priority: high
    latch: true            # stands until a person has seen and reset it
    response: evacuate
"""

_CLIMATE_RULES = """\
  too-warm:
    point: climate-{number}.temperature
    above: 8               # °C
    clear_below: 7         # ends when it is this cold again
    for: 10m               # not at once: a door may be open
    priority: high
  climate-silent:
    point: climate-{number}.temperature
    silent_for: 2m
    priority: medium
"""

_RESPONSES = """
# What happens on the spot while an alarm stands.
responses:
  evacuate:
    set: {siren: on}
    say: Leave the building by the nearest exit
"""


class _Wiring(NamedTuple):
    """What is likely on a port: a word for its link, its baud rate, and the text of its first device."""

    word: str
    baudrate: int
    device: str


_BUS = _Wiring("bus", 9600, _MODBUS)
_TALKERS = {  # by a part of the port's name
    re.compile(r"u-blox|gnss|gps", re.IGNORECASE): _Wiring("gps", 9600, _GPS),
    re.compile(r"terabee|people", re.IGNORECASE): _Wiring("people", 115200, _PEOPLE),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The file to write."""
    parser.add_argument("file", nargs="?", type=Path, default=None, help="where to write it")
    parser.add_argument("--force", action="store_true", help="replace the file if it is there")


def run(args: argparse.Namespace) -> int:
    """Write the file and say what was found; 73 if it cannot be written or is there already."""
    path: Path = args.file or default_config()
    ports = adapters(ROOT)
    gpio = any(Path("/dev").glob(GPIO_CHIPS))
    text = starter(str(path), ports, gpio, gateway_id(socket.gethostname()))
    if path.exists() and not args.force:
        print(f"sitewarden: {path} is there already; --force replaces it", file=sys.stderr)
        return CANNOT_CREATE
    try:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        why = (error.strerror or "unusable name").lower()
        hint = "try it with sudo, or name another file: sitewarden init sitewarden.yaml"
        print(f"sitewarden: {path} cannot be written, {why}; {hint}", file=sys.stderr)
        return CANNOT_CREATE
    found = f"{len(ports)} serial port{'' if len(ports) == 1 else 's'} and {'a' if gpio else 'no'} GPIO header"
    print(f"wrote {path}, for {found}")
    print(f"next: look at its devices, then `sitewarden check {path}` and `sitewarden run {path}`")
    return OK


def adapters(root: Path) -> list[str]:
    """The USB adapters below `root` by the names that stay the same, sorted; odd names are left out."""
    names = sorted(port.stable for port in serial_ports(root) if port.usb is not None)
    return [name for name in names if name.isascii() and name.isprintable()]


def gateway_id(hostname: str) -> str:
    """An id made of the host's name."""
    return re.sub(r"[^a-z0-9_-]+", "-", hostname.lower().split(".")[0]).strip("-_")[:64] or "gw1"


def starter(file: str, ports: Iterable[str], gpio: bool, gateway: str) -> str:
    """The text of a starter configuration, called `file`, for these serial ports, and pins if there is a header."""
    links, devices, rules = [], [], []
    counts: dict[str, int] = {}
    for port in ports:
        wiring = next((wiring for name, wiring in _TALKERS.items() if name.search(port)), _BUS)
        number = counts[wiring.word] = counts.get(wiring.word, 0) + 1
        link = f"{wiring.word}{number}"
        links.append(_PORT.format(link=link, port=json.dumps(port), baudrate=wiring.baudrate))
        devices.append(wiring.device.format(number=number, link=link))
        if wiring is _BUS and number == 1:
            rules.append(_CLIMATE_RULES.format(number=number))
    return "".join(
        [
            _HEAD.format(file=file, gateway=gateway),
            *(links or [_NO_PORT]),
            _GPIO,
            "" if gpio else _NO_GPIO,
            _DEVICES,
            *devices,
            _PINS,
            *rules,
            _RESPONSES,
        ]
    )
